"""What a request for an OpenAI response asks for: a body, or a `response.create` message, which holds the same fields.

Sources: facts/wire-formats.md 2, 16.1; openai-python 3.54, types/responses/response_create_params.py; cookbook.openai.com,
Better performance from reasoning models using the Responses API.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Final

from msgspec.structs import replace

from spendgate.providers.ask import Ask
from spendgate.providers.brought_tools import ToolScanner
from spendgate.providers.client import sender
from spendgate.providers.interface import Head
from spendgate.providers.jsonscan import ESCAPED, Scan, Steps
from spendgate.providers.jsonspace import REACH_BYTES
from spendgate.providers.other_models import NAMING, TOOL, others
from spendgate.providers.shapes import COUNT, FLAG, NAMED, PRESENT, TEXT, Shape, cap, items, record

_TOOL: Final = record(type=TEXT, **TOOL)
_REQUEST: Final = Shape(
    model=TEXT,
    stream=FLAG,
    stream_id=TEXT,
    max_output_tokens=COUNT,
    max_tool_calls=COUNT,
    service_tier=TEXT,
    background=FLAG,
    background_options=record(completion_window=TEXT),
    generate=FLAG,
    previous_response_id=NAMED,
    conversation=NAMED,
    prompt=PRESENT,
    reasoning=record(mode=TEXT),
    multi_agent=record(enabled=FLAG),
    tools=items(_TOOL),
    context_management=PRESENT,
    **NAMING,
)
# An item of an id alone, its type left out or null, refers to an earlier one: behind its bracket, spaced or not. One that says
# them four times counts too, without a look at its end: of a thousand ids in a row, each would be read from up to the last.
_VALUE: Final = rb'"\s*+:\s*+(?:null|"[^"]*+")\s*+'
_AGAIN: Final = rb'(?:,\s*+"(?:id|type)' + _VALUE + rb")"
_REFERENCE: Final = (
    rb'(id)(?:(?<=\{"id)|(?<=[\s{]\s"id))' + _VALUE + rb"(?:" + _AGAIN + rb"{3}|" + _AGAIN + rb"{0,2}+\})"
    rb'|type"\s*+:\s*+(null)'
)
_THINKS: Final = b"reasoning"
# An item that holds its thoughts, and what they stand in: encrypted, or as text where a host shows them.
_THOUGHTS: Final = re.compile(
    rb'"(?<!\\")(?:type"\s*+:\s*+"(?:(reasoning|compaction|compaction_summary)|reasoning_text)"|encrypted_content"\s*+:\s*+")'
)
_BRINGS: Final = b"additional_tools|tool_search_output"
_COMPACTS: Final = b"compaction_trigger"


class _ResponsesScanner(ToolScanner):
    """A scanner whose mark of reasoning says that some of it is kept at the provider, and referred to by its id alone."""

    def steps(self, body: bytes) -> Steps:
        """As for any scanner."""
        scan = yield from super().steps(body)
        if _THINKS not in scan.marks or (yield from _kept(body)):
            return scan
        return replace(scan, marks=scan.marks - {_THINKS})


def _kept(body: bytes) -> Generator[None, None, bool]:
    """Whether there are more items of reasoning than what is to stand in them: OpenAI bills as input what it then looks up."""
    missing = 0
    for start in range(0, len(body), _STEP_BYTES):
        stop = start + _STEP_BYTES
        for hit in _THOUGHTS.finditer(body, start, stop + REACH_BYTES):
            if hit.start() >= stop:
                break
            missing += 1 if hit[1] else -1
        yield
    return missing > 0


REQUEST_SCAN: Final = _ResponsesScanner(
    _REQUEST,
    (
        "model", "stream", "stream_id", "max_output_tokens", "max_tool_calls", "service_tier", "background",
        "background_options", "generate",
        "previous_response_id", "conversation", "prompt", "reasoning", "multi_agent", "tools", "context_management",
        *NAMING,
    ),
    marks=rb'type"\s*:\s*"(input_image|input_file|input_audio|computer_screenshot|image_generation_call|item_reference|'
    + _THINKS + rb"|" + _COMPACTS + rb"|" + _BRINGS + rb')"|(file_id)"|' + _REFERENCE,
    telling=_BRINGS, key="tools", opening=b"[", tool=_TOOL,
)  # fmt: skip
_STEP_BYTES: Final = 128 * 1024
_SHOWN: Final = frozenset({_COMPACTS, *_BRINGS.split(b"|")})
"""Marks of what stands in the request as text."""
_CLIENT_TOOLS: Final = frozenset(
    {None, "function", "custom", "local_shell", "apply_patch", "computer", "computer_use_preview", "namespace"}
)


def ask_of(head: Head, body: bytes, scan: Scan) -> Ask:
    """The Ask of a request body, or of a `response.create` message, which holds the same fields."""
    found = scan.fields
    hosted = [tool for tool in found.get("tools") or [] if tool and tool.get("type") not in _CLIENT_TOOLS]
    searches = any((tool.get("type") or "").startswith("web_search") for tool in hosted)
    stored = bool(found.get("prompt"))
    before, conversation = found.get("previous_response_id"), found.get("conversation")
    refers = stored or bool(before or conversation)
    kept = conversation if isinstance(conversation, str) else None
    team = found.get("multi_agent")
    return Ask(
        model=found.get("model"),
        also=others(found, hosted),
        streamed=bool(found.get("stream")),
        text_bytes=len(body),
        opaque_input=refers or bool(scan.marks - _SHOWN),
        output_tokens_max=cap(found.get("max_output_tokens")),
        service_tier=found.get("service_tier"),
        cache_ttl="write",
        searches_max=found.get("max_tool_calls") if searches else 0,
        # The provider runs these itself and bills the input again at each round, a stored prompt may bring some that are not
        # seen here, and a model; `pro` samples several times, as compaction does, and agents of the provider's are as many as
        # the model wants.
        loops=bool(hosted)
        or stored
        or bool(found.get("context_management"))
        or bool(scan.marks & {_COMPACTS, ESCAPED})
        or (found.get("reasoning") or {}).get("mode") == "pro"
        or (team is not None and team.get("enabled") is not False),
        background=bool(found.get("background")),
        discounted=(found.get("background_options") or {}).get("completion_window") not in (None, "soonest"),
        continues=before if isinstance(before, str) else kept,
        conversation=kept,
        generates=found.get("generate") is not False,
        **sender(head),
    )
