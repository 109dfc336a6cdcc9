"""What is known of Cursor's messages: field numbers, and which calls there are. All of it is reported, none of it published.

Builds: cursor-agent 2026.08.25-3e8eec8 (descriptor) and 3.16.17 (captures) for `agent.v1`; dumps of March and August 2026 for
the rest. Source: facts/wire-formats.md 7.2, 7.3; three projects that read the same wire agree on `TurnEndedUpdate` and
`InteractionUpdate`. A path is one of field numbers from the message down. A build that moves a field leaves a name or count
empty, which makes the call an estimate and flags it; nothing breaks.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final, NamedTuple

Path = tuple[int, ...]


class Layout(NamedTuple):
    """Where a request's message says what it asks for. All paths are within the message at `within`."""

    within: Path = ()
    """What must be there for the message to begin a turn."""
    models: tuple[Path, ...] = ()
    """The first that is there counts."""
    max_modes: tuple[Path, ...] = ()
    sessions: tuple[Path, ...] = ()
    groups: tuple[Path, ...] = ()
    """The conversation that a sub-agent's belongs to."""
    parameters: Path = ()
    """Messages `{id = 1, value = 2}`: `fast`, `effort`, …"""
    own_keys: tuple[Path, ...] = ()
    """Credentials of the person's own: the provider of the model bills it, not Cursor."""


# AgentClientMessage.run_request = 1, an AgentRunRequest: model_details 3, requested_model 9.
AGENT: Final = Layout(
    within=(1,),
    models=((9, 1), (3, 1)),
    max_modes=((9, 2), (3, 7)),
    sessions=((5,),),
    groups=((16,),),
    parameters=(9, 3),
    own_keys=((9, 4), (9, 5), (9, 6), (3, 8), (3, 9), (3, 10)),
)
# StreamUnifiedChatRequest: model_details 5, conversation_id 23.
CHAT: Final = Layout(models=((5, 1),), max_modes=((5, 8),), sessions=((23,),), own_keys=((5, 2),))
# StreamUnifiedChatRequestWithTools.1 = StreamUnifiedChatRequest.
CHAT_WITH_TOOLS: Final = CHAT._replace(within=(1,))
CPP: Final = Layout(models=((3,),))
UNKNOWN: Final = Layout()
PARAMETER_ID: Final = (1,)
PARAMETER_VALUE: Final = (2,)

# aiserver.v1.BidiAppendRequest, BidiRequestId, BidiPollRequest: what stands for a stream that both sides write to, over HTTP/1.1.
APPEND_HEX: Final = (1,)
"""An AgentClientMessage or StreamUnifiedChatRequestWithTools, as hex digits."""
APPEND_ID: Final = (2, 1)
APPEND_BINARY: Final = (4,)
"""The same as bytes, in builds that were told to send it so."""
SSE_ID: Final = (1,)
POLL_ID: Final = (1, 1)

# AgentServerMessage.interaction_update = 1.
UPDATE: Final = 1
TEXTS: Final = {1: 1, 4: 1, 7: 3}
"""Within it, each a message with its text: text_delta.text, thinking_delta.text, partial_tool_call.args_text_delta."""
TOKEN_DELTA: Final = 8
TOKENS: Final = (1,)
"""Of a TokenDeltaUpdate. What the screen counts up with: not the bill (5,022 where 5,870 were billed)."""
TURN_ENDED: Final = 14
INPUT, OUTPUT, CACHE_READ, CACHE_WRITE, REASONING = (1,), (2,), (3,), (4,), (5,)
"""Of TurnEndedUpdate: sums over the turn's samplings; the input holds both cache classes, the output the reasoning."""


class Says(Enum):
    """What a call's request is."""

    MESSAGE = auto()
    """The first message of the stream says what is asked."""
    ID = auto()
    """An id alone: an append says what is asked (`cursor_runs`)."""
    APPEND = auto()
    """A piece of what another call is asked."""


class Rpc(NamedTuple):
    """A call that costs money, or is part of one."""

    says: Says = Says.MESSAGE
    layout: Layout = UNKNOWN
    agent: bool = False
    """Its answers are AgentServerMessages; else their text alone is measured."""
    loops: bool = False
    """One call samples as often as its tools need: no bound."""
    streamed: bool = True
    id_path: Path = ()
    plan: bool = False
    """Tab completion: part of every plan."""


_CHAT: Final = "/aiserver.v1.ChatService/StreamUnifiedChat"
_AGENT_SSE: Final = Rpc(Says.ID, AGENT, agent=True, loops=True, id_path=SSE_ID)
_CHAT_SSE: Final = Rpc(Says.ID, CHAT_WITH_TOOLS, loops=True, id_path=SSE_ID)
_CHAT_POLL: Final = _CHAT_SSE._replace(id_path=POLL_ID)
RPCS: Final = {
    "/agent.v1.AgentService/Run": Rpc(layout=AGENT, agent=True, loops=True),
    "/agent.v1.AgentService/RunSSE": _AGENT_SSE,
    "/agent.v1.AgentService/RunPoll": _AGENT_SSE._replace(agent=False, id_path=POLL_ID),
    "/aiserver.v1.BidiService/BidiAppend": Rpc(Says.APPEND, streamed=False, id_path=APPEND_ID),
    _CHAT: Rpc(layout=CHAT),
    f"{_CHAT}WithTools": Rpc(layout=CHAT_WITH_TOOLS, loops=True),
    f"{_CHAT}WithToolsSSE": _CHAT_SSE,
    f"{_CHAT}WithToolsPoll": _CHAT_POLL,
    f"{_CHAT}WithToolsIdempotent": Rpc(loops=True),
    f"{_CHAT}WithToolsIdempotentSSE": _CHAT_SSE,
    f"{_CHAT}WithToolsIdempotentPoll": _CHAT_POLL,
    "/aiserver.v1.CmdKService/StreamCmdK": Rpc(),
    "/aiserver.v1.CmdKService/StreamTerminalCmdK": Rpc(),
    "/aiserver.v1.AiService/StreamCpp": Rpc(layout=CPP, plan=True),
    "/aiserver.v1.AiService/StreamNextCursorPrediction": Rpc(plan=True),
}
FREE: Final = (
    *(
        f"/agent.v1.AgentService/{name}"
        for name in (
            "NameAgent", "UpdateConversationMetadata", "GetUsableModels", "GetDefaultModelForCli", "GetAllowedModelIntents",
            "UploadConversationBlobs", "GetSignedUrlForAttachedMedia", "GetPromptContextUsage", "NotifyConversationClone",
        )
    ),
    *(
        f"/aiserver.v1.AiService/{name}"
        for name in (
            "GetUsableModels", "GetDefaultModelForCli", "AvailableModels", "CountTokens", "CppConfig", "CppAppend",
            "CheckFeatureStatus", "NameAgent",
        )
    ),
    *(
        f"/aiserver.v1.{name}Service/*"
        for name in ("Dashboard", "ServerConfig", "Repository", "FileSync", "Analytics", "Auth", "Health")
    ),
)  # fmt: skip
"""Calls of which no model's work is billed."""

# aiserver.v1.ErrorDetails, which the editor shows: facts/wire-formats.md 7.4.
ERROR_DETAILS: Final = "aiserver.v1.ErrorDetails"
ERROR: Final = 1
ERROR_CUSTOM_MESSAGE: Final = 29
CUSTOM: Final = 2
TITLE, DETAIL, IS_RETRYABLE, SHOW_REQUEST_ID, SHOW_AT_ONCE = 1, 2, 4, 5, 6
IS_EXPECTED: Final = 3
