"""Google's and AWS's paths on a gateway of one's own, below whatever it puts before them (`/gemini`, `/bedrock`, `/vertex_ai`).

So LiteLLM, Portkey and others pass them on, and so tools ask them that are given a base URL: Gemini CLI and google-genai,
Claude Code with CLAUDE_CODE_USE_BEDROCK and ANTHROPIC_BEDROCK_BASE_URL, or the same of Vertex. Each ends in a verb that no other
API here has, so the end alone says whose it is. What of these APIs is not read at their vendors is not read here.
Sources: facts/wire-formats.md 4, 5; docs.litellm.ai, pass_through; code.claude.com/docs/en/llm-gateway.
"""

from __future__ import annotations

from typing import Final

from spendgate.providers.provider import CHAT, GEMINI, INTERACTIONS, MESSAGES, billable, free, result

_VERBS: Final = ("generateContent", "streamGenerateContent", "embedContent", "batchEmbedContents")
_RAW: Final = ("rawPredict", "streamRawPredict")
_AT_AWS: Final = (
    ("invoke", "bedrock-invoke"),
    ("invoke-with-response-stream", "bedrock-invoke"),
    ("converse", "bedrock-converse"),
    ("converse-stream", "bedrock-converse"),
)
_ARNS: Final = ("*:inference-profile/{model}", "*:foundation-model/{model}", "{model**}")
"""As in `hosts/aws`: what a system's ARN ends in is the model."""
_INTERACTIONS: Final = ("/**/v1beta/interactions", "/**/projects/*/locations/*/interactions")

PASSED_ON_BILLABLE: Final = (
    # The counting of tokens stands first: it looks like a model's name.
    *free("/**/publishers/anthropic/models/count-tokens:rawPredict"),
    *(billable(f"/**/publishers/anthropic/models/{{model}}:{verb}", MESSAGES, prices="google") for verb in _RAW),
    *(billable(f"/**/publishers/mistralai/models/{{model}}:{verb}", CHAT, prices="mistral") for verb in _RAW),
    *(billable(f"/**/publishers/*/models/{{model}}:{verb}", CHAT, prices="google") for verb in _RAW),
    # A gateway's own names may hold slashes: `/v1beta/models/gemini/gemini-2.5-pro:generateContent`.
    *(billable(f"/**/models/{{model**}}:{verb}", GEMINI, prices="google") for verb in _VERBS),
    *(billable(f"/**/tunedModels/{{model}}:{verb}", GEMINI, prices="google") for verb in _VERBS),
    # Under a name of the customer's: only the answer says which model it is.
    *(billable(f"/**/*:{verb}", GEMINI, prices="google") for verb in _VERBS),
    *(billable(f"/**/model/{model}/{verb}", dialect, prices="aws") for model in _ARNS for verb, dialect in _AT_AWS),
    *(billable(at, INTERACTIONS, prices="google") for at in _INTERACTIONS),
)
PASSED_ON_RESULTS: Final = tuple(
    each
    for at in _INTERACTIONS
    for each in (result(f"{at}/*", INTERACTIONS), result(f"{at}/*/cancel", INTERACTIONS, method="POST"))
)
PASSED_ON_FREE: Final = free("/**/*:countTokens", "/**/*:computeTokens", "/**/model/**/count-tokens")
