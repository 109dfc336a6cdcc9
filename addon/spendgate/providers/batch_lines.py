"""Lines of batches' results as nearly all of them are, one model's answer with plain counts: read by msgspec in a quarter of the
time that their shape takes.

`None` says only that a line is another one (a tool that is billed by the call, a fallback, a count of another type, no JSON at
all): `batches` then reads it by its shape, which misses nothing. What is given is the very Result that the shape's way gives,
which a property test holds it to. Text that nobody looks at is not shown to be well-formed UTF-8.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from spendgate.providers.anthropic_usage import split_told
from spendgate.providers.openai_usage import disjoint
from spendgate.providers.reading import Part, Reading, Result
from spendgate.providers.shapes import COUNT_MAX, TEXT_MAX
from spendgate.usage import Usage

BATCH: Final = {"processing": "batch"}
"""genai-prices' word for the batch price, of both vendors."""

_Count = Annotated[int, Meta(ge=0, le=COUNT_MAX)]
_Name = Annotated[str, Meta(min_length=1, max_length=TEXT_MAX)]
# A member whose type is None is null or left out; with anything else in it the line is not a plain one.


class _Details(Struct, frozen=True, gc=False):
    cached_tokens: _Count | None = None
    cache_write_tokens: _Count | None = None
    reasoning_tokens: _Count | None = None
    audio_tokens: _Count | None = None
    cache_write_tokens_details: None = None


class _Split(Struct, frozen=True, gc=False):
    ephemeral_5m_input_tokens: _Count | None = None
    ephemeral_1h_input_tokens: _Count | None = None


class _Thinking(Struct, frozen=True, gc=False):
    thinking_tokens: _Count | None = None


class _Searches(Struct, frozen=True, gc=False):
    web_search_requests: _Count | None = None


class _Stated(Struct, frozen=True, gc=False):
    """What a `usage` object may say of costs and fees (`stated.STATED`)."""

    cost: None = None
    cost_details: None = None
    cost_in_usd_ticks: None = None
    num_server_side_tools_used: None = None
    server_tool_use_details: None = None


class _Tokens(_Stated, frozen=True, gc=False, kw_only=True):
    input_tokens: _Count
    output_tokens: _Count
    cache_creation_input_tokens: _Count | None = None
    cache_read_input_tokens: _Count | None = None
    cache_creation: _Split | None = None
    output_tokens_details: _Thinking | None = None
    server_tool_use: _Searches | None = None
    inference_geo: _Name | None = None
    speed: _Name | None = None
    iterations: None = None


class _Block(Struct, frozen=True, gc=False):
    type: Literal["text", "thinking", "redacted_thinking", "tool_use"]


class _Message(Struct, frozen=True, gc=False):
    usage: _Tokens
    content: list[_Block]
    id: _Name | None = None
    model: _Name | None = None
    stop_reason: Literal["end_turn", "max_tokens", "stop_sequence", "tool_use"] | None = None
    copilot_usage: None = None


class _Succeeded(Struct, frozen=True, gc=False):
    message: _Message


class _MessageLine(Struct, frozen=True, gc=False):
    custom_id: _Name
    result: _Succeeded


class _Counts(_Stated, frozen=True, gc=False):
    prompt_tokens: _Count | None = None
    completion_tokens: _Count | None = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None
    input_tokens: _Count | None = None
    output_tokens: _Count | None = None
    input_tokens_details: _Details | None = None
    output_tokens_details: _Details | None = None
    total_tokens: _Count | None = None
    cached_tokens: None = None
    num_cached_tokens: None = None
    prompt_cache_hit_tokens: None = None
    num_search_queries: None = None


class _Item(Struct, frozen=True, gc=False):
    type: Literal["message", "reasoning", "function_call", "custom_tool_call"]


class _NoSearch(Struct, frozen=True, gc=False):
    num_requests: Literal[0] | None = None


class _NoImage(Struct, frozen=True, gc=False):
    output_tokens: Literal[0] | None = None


class _NoneUsed(Struct, frozen=True, gc=False):
    web_search: _NoSearch | None = None
    image_gen: _NoImage | None = None


class _Body(Struct, frozen=True, gc=False):
    usage: _Counts
    id: _Name | None = None
    model: _Name | None = None
    object: _Name | None = None
    status: Literal["completed", "incomplete"] | None = None
    background: bool | None = None
    output: list[_Item] | None = None
    tool_usage: _NoneUsed | None = None
    copilot_usage: None = None


class _Answered(Struct, frozen=True, gc=False):
    body: _Body


class _BodyLine(Struct, frozen=True, gc=False):
    id: _Name
    response: _Answered


_message = msgspec.json.Decoder(_MessageLine).decode
_body = msgspec.json.Decoder(_BodyLine).decode
_NO_DETAILS: Final = _Details()
_NO_SPLIT: Final = _Split()
_OTHER: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def plain_message(batch: str, line: bytes) -> Result | None:
    """A line of a batch of messages; None: it is not a plain one."""
    try:
        found = _message(line)
    except _OTHER:
        return None
    message = found.result.message
    told = message.usage
    split, total = told.cache_creation or _NO_SPLIT, told.cache_creation_input_tokens
    writes: tuple[int | None, int | None] | None = split.ephemeral_5m_input_tokens, split.ephemeral_1h_input_tokens
    if total is not None:
        writes = split_told(total, split.ephemeral_5m_input_tokens, split.ephemeral_1h_input_tokens)
    if writes is None or told.speed == "fast":
        return None
    usage = Usage(
        told.input_tokens,
        told.cache_read_input_tokens,
        writes[0],
        writes[1],
        None,
        told.output_tokens,
        told.output_tokens_details.thinking_tokens if told.output_tokens_details else None,
        web_searches=told.server_tool_use.web_search_requests if told.server_tool_use else None,
    )
    part = Part(usage, message.model, BATCH, "us" if told.inference_geo == "us" else None)
    return Result(f"batch {batch} {found.custom_id}", _reading(part, message.id))


def plain_body(line: bytes) -> Result | None:
    """A line of OpenAI's output file; None: it is not a plain one."""
    try:
        found = _body(line)
    except _OTHER:
        return None
    body = found.response.body
    if body.model is None:
        return None
    told = body.usage
    into = told.prompt_tokens_details or told.input_tokens_details or _NO_DETAILS
    out = told.completion_tokens_details or told.output_tokens_details or _NO_DETAILS
    total_in = told.input_tokens if told.prompt_tokens is None else told.prompt_tokens
    output = told.output_tokens if told.completion_tokens is None else told.completion_tokens
    if total_in is None or output is None or body.background:
        return None
    usage = disjoint(
        total_in, output, told.total_tokens, read=into.cached_tokens, written=into.cache_write_tokens,
        audio=into.audio_tokens, reasoning=out.reasoning_tokens, spoken=out.audio_tokens, searches=None,
    )  # fmt: skip
    return Result(f"batch {found.id}", _reading(Part(usage, body.model, BATCH), body.id))


def _reading(part: Part, response_id: str | None) -> Reading:
    return Reading((part,), part.model, response_id=response_id, final=True, ended=True)
