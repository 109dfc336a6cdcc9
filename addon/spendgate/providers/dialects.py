"""Every dialect, by the name that routes and rows have."""

from __future__ import annotations

from typing import Final

from spendgate.providers.amazon_q import AmazonQ
from spendgate.providers.answer_capped import AnswerCapped
from spendgate.providers.anthropic import AnthropicMessages
from spendgate.providers.batches import AnthropicBatches, OpenAIBatches
from spendgate.providers.bedrock import BedrockConverse, BedrockInvoke
from spendgate.providers.chatgpt import ChatGPTConversation
from spendgate.providers.claude_ai import ClaudeAI
from spendgate.providers.code_assist import CodeAssist
from spendgate.providers.cohere import CohereChat, CohereEmbed
from spendgate.providers.cursor import Cursor
from spendgate.providers.deferred import DeferredChat
from spendgate.providers.enveloped import EnvelopedChat
from spendgate.providers.gemini import Gemini
from spendgate.providers.interactions import Interactions
from spendgate.providers.interface import Dialect
from spendgate.providers.openai_audio import OpenAISpeech, OpenAITranscriptions
from spendgate.providers.openai_chat import OpenAIChat
from spendgate.providers.openai_embeddings import OpenAIEmbeddings
from spendgate.providers.openai_images import OpenAIImages
from spendgate.providers.openai_realtime import OpenAIRealtime
from spendgate.providers.openai_responses import OpenAIResponses
from spendgate.providers.windsurf import Windsurf
from spendgate.providers.zed import ZedCompletions

DIALECTS: Final[dict[str, Dialect]] = {
    dialect.name: dialect
    for dialect in (
        AnthropicMessages(),
        OpenAIChat(),
        AnswerCapped(),
        EnvelopedChat(),
        DeferredChat(),
        OpenAIResponses(),
        OpenAIEmbeddings(),
        AnthropicBatches(),
        OpenAIBatches(),
        OpenAIImages(),
        OpenAITranscriptions(),
        OpenAISpeech(),
        Cursor(),
        Windsurf(),
        CohereChat(),
        CohereEmbed(),
        OpenAIRealtime(),
        Gemini(),
        Interactions(),
        CodeAssist(),
        ClaudeAI(),
        ChatGPTConversation(),
        ZedCompletions(),
        BedrockInvoke(),
        BedrockConverse(),
        AmazonQ(),
    )
}
