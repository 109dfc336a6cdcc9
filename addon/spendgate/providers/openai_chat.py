"""The dialect `openai-chat`: POST …/chat/completions (and the older …/completions) of OpenAI, Azure and all that speak alike.

A stream reports usage only when asked with `stream_options.include_usage`, in a last chunk without choices; many compatible
hosts report it unasked, some on every chunk, Groq as `x_groq.usage`, Moonshot in a choice: the last report counts, none is
added. Groq's compound models break it down by the models that worked, and each is priced as its own. A stream without any is
estimated. Sources: facts/wire-formats.md 2, 6, 12; learn.microsoft.com, Azure OpenAI On Your Data; alibabacloud.com, Model Studio
(`enable_search`); ai.google.dev, OpenAI compatibility (`extra_body`).
"""

from __future__ import annotations

import re
from typing import Final

from msgspec.structs import replace

from spendgate.providers.ask import Ask
from spendgate.providers.base import OpenAIDialect
from spendgate.providers.client import sender
from spendgate.providers.copilot_usage import COPILOT_USAGE, copilot_cost_nanos
from spendgate.providers.interface import Head, Headers, Notice, Reader
from spendgate.providers.jsonscan import ESCAPED, Scan, Scanner
from spendgate.providers.openai_usage import USAGE, price_context, usage_of
from spendgate.providers.other_models import NAMING, PLUGINS, TOOL, others
from spendgate.providers.readers import BodyReader
from spendgate.providers.reading import Part, Reading
from spendgate.providers.refusals import chat_cut
from spendgate.providers.shapes import (
    FACTOR,
    FLAG,
    PRESENT,
    PROMPTS,
    TEXT,
    UNLESS_FALSE,
    UNREADABLE,
    Fields,
    Shape,
    cap,
    items,
    record,
)
from spendgate.providers.stated import FEES, stated_nanos, tools_run
from spendgate.providers.streams import EventReader
from spendgate.usage import Usage

_REQUEST: Final = Shape(
    model=TEXT,
    stream=FLAG,
    max_tokens=FACTOR,
    max_completion_tokens=FACTOR,
    n=FACTOR,
    best_of=FACTOR,
    prompt=PROMPTS,
    service_tier=TEXT,
    web_search_options=PRESENT,
    search_parameters=PRESENT,
    enable_search=UNLESS_FALSE,
    enable_thinking=FLAG,
    enable_code_interpreter=UNLESS_FALSE,
    data_sources=PRESENT,
    agent_id=PRESENT,
    plugins=PLUGINS,
    stream_options=PRESENT,
    deferred=FLAG,
    tools=items(record(type=TEXT, **TOOL)),
    **NAMING,
)
_HOSTED: Final = ("enable_search", "enable_code_interpreter", "data_sources")
"""What hosts are told to look up, and to run: Alibaba's, whose search has a price by the call, and Azure's "on your data", which
asks the model what to look for and puts what it finds into the input."""
_SCHEMA: Final = (
    rb'\{\s*+(?:\}|"(?:type|description|title|default|format|enum|const|examples|anyOf|oneOf|allOf|\$ref)"\s*+:)'
)
_REQUEST_SCAN: Final = Scanner(
    _REQUEST,
    (
        "model", "stream", "max_tokens", "max_completion_tokens", "n", "best_of", "prompt",
        "service_tier", "web_search_options", "search_parameters", *_HOSTED, "plugins", "stream_options", "tools", "deferred",
        "enable_thinking", "agent_id",
        *NAMING,
    ),
    # A cache of Gemini's that a request goes on from (`extra_body.google.cached_content`) holds any amount of input. Films,
    # documents and recordings by their address are OpenRouter's, Alibaba's, Moonshot's, Z.ai's and Mistral's; vLLM, and by its
    # word OpenAI, too, take a part without a type. A tool's schema may have a property of that name.
    marks=rb'type"\s*:\s*"((?:input_)?(?:image|video|audio|document|file)(?:_url)?)"|(file_id)"|(audio)"\s*:\s*\{'
    rb'|(cached_?[cC]ontent)"\s*:\s*"|((?:image|video|audio|file|document)_url)"\s*+:(?!\s*+(?:null|' + _SCHEMA + rb"))",
)  # fmt: skip

_SEARCH_MODELS: Final = re.compile(r"-search(?:-|$)|:online$|(?:^|/)compound(?:-|$)")
"""`gpt-4o-search-preview`, `gpt-5-search-api`, OpenRouter's suffix, Groq's compound: models that search unasked."""
_FREE_PLUGINS: Final = frozenset({"response-healing", "context-compression", "auto-router", "moderation"})
"""OpenRouter's plugins that bill nothing by the call; others search or read files."""
_CLIENT_TOOLS: Final = frozenset({None, "function", "custom"})
"""Others are run by the provider, and may have it sample again: OpenRouter's, Groq's, Z.ai's, Moonshot's `builtin_function`."""
_CHOICES_MAX: Final = 128
"""OpenAI's limit of `n`; other hosts may have none."""

_RUN: Final = record(executed_tools=items(record(type=TEXT)))
_CHOICE: Final = record(finish_reason=TEXT, usage=USAGE, message=_RUN, delta=_RUN)
_BREAKDOWN: Final = record(models=items(record(model=TEXT, usage=USAGE)))
_ANSWER: Final = Shape(
    id=TEXT,
    request_id=TEXT,
    model=TEXT,
    service_tier=TEXT,
    usage=USAGE,
    choices=items(_CHOICE),
    usage_breakdown=_BREAKDOWN,
    x_groq=record(id=TEXT, usage=USAGE, usage_breakdown=_BREAKDOWN),
    error=PRESENT,
    copilot_usage=COPILOT_USAGE,
)
_ANSWER_SCAN: Final = Scanner(
    _ANSWER, ("id", "request_id", "model", "service_tier", "usage", "usage_breakdown", "x_groq", "copilot_usage")
)


class OpenAIChat(OpenAIDialect):
    """OpenAI Chat Completions. Stateless."""

    name = "openai-chat"

    request = _REQUEST_SCAN

    def asked(self, head: Head, body: bytes, scan: Scan) -> Ask:
        """The Ask of a request with this scan."""
        return _ask(head, body, scan)

    def events(self, ask: Ask, headers: Headers) -> Reader:
        """A reader of a stream of events."""
        return _Stream(headers, searches=ask.searches_max is None)

    def document(self, ask: Ask, headers: Headers) -> Reader:
        """A reader of one JSON answer."""
        searches = ask.searches_max is None
        return BodyReader(
            headers, _ANSWER, _ANSWER_SCAN, lambda reading, found: _answer(reading, found, searches=searches)
        )

    def cut(self, notice: Notice, response_id: str | None = None) -> bytes:
        """A chunk with a top-level `error`, which ends a stream."""
        return chat_cut(notice)


def _ask(head: Head, body: bytes, scan: Scan) -> Ask:
    found = scan.fields
    streamed = bool(found.get("stream"))
    asks = any(found.get(name) for name in ("web_search_options", "search_parameters", "enable_search"))
    runs = any(found.get(name) for name in _HOSTED)
    plugins = any((plugin or {}).get("id") not in _FREE_PLUGINS for plugin in found.get("plugins") or [])
    hosted = [tool for tool in found.get("tools") or [] if tool and tool.get("type") not in _CLIENT_TOOLS]
    kept = bool(found.get("agent_id"))  # Mistral's, whose instructions and tools no request shows
    searches = bool(asks or plugins or hosted or _SEARCH_MODELS.search(found.get("model") or ""))
    factors = [found.get("n"), found.get("best_of")]
    prompts = found.get("prompt")
    # A host may well read what this does not, and there is no telling as how many.
    unread = UNREADABLE in (*factors, prompts)
    return Ask(
        model=found.get("model"),
        also=others(found, hosted),
        streamed=streamed,
        text_bytes=len(body),
        opaque_input=kept or bool(scan.marks),
        output_tokens_max=_output_max(found),
        choices=_CHOICES_MAX if unread else max(1, *(factor or 1 for factor in factors)) * (prompts or 1),
        service_tier=found.get("service_tier"),
        cache_ttl="write",
        searches_max=None if searches else 0,
        loops=searches or runs or unread or kept,
        background=bool(found.get("deferred")),
        usage_unsaid=streamed and "stream_options" not in found and ESCAPED not in scan.marks,
        **sender(head),
    )


def _output_max(found: Fields) -> int | None:
    """The larger of both caps, since hosts differ in which one they heed; None where neither can be read, or one cannot."""
    caps = [each for name in ("max_tokens", "max_completion_tokens") if (each := found.get(name)) is not None]
    return None if UNREADABLE in caps else cap(max(caps, default=None))


def _usage(found: Fields) -> Fields | None:
    """The one usage object of an answer or chunk, wherever this host puts it."""
    usage: Fields | None = found.get("usage") or (found.get("x_groq") or {}).get("usage")
    if usage is None:
        in_choices = [choice["usage"] for choice in found.get("choices") or [] if choice and choice.get("usage")]
        usage = in_choices[-1] if in_choices else None
    return usage


def _parts(found: Fields, usage: Fields, model: str | None, tier: str | None) -> tuple[Part, ...]:
    """What is billed: one sampling or, where the host breaks the whole down without a rest, one of each model."""
    context = price_context(tier)
    whole = usage_of(usage)
    groq = found.get("x_groq") or {}
    models = (found.get("usage_breakdown") or groq.get("usage_breakdown") or {}).get("models") or []
    each = tuple(Part(usage_of(one["usage"]), one.get("model"), context) for one in models if one and one.get("usage"))
    total = Usage()
    for part in each:
        total += part.usage
    exact = total.known and (total.input_total, total.output_tokens) == (whole.input_total, whole.output_tokens)
    return each if exact and len(each) == len(models) else (Part(whole, model, context),)


def _fees(found: Fields, usage: Fields | None) -> bool:
    """Whether tools ran that are billed by the call: as counted (xAI, OpenRouter) or shown (Groq)."""
    choices = [choice for choice in found.get("choices") or [] if choice]
    shown = [choice.get(place) or {} for choice in choices for place in ("message", "delta")]
    return any(run.get("executed_tools") for run in shown) or (usage is not None and tools_run(usage))


def _answer(reading: Reading, found: Fields, *, searches: bool) -> Reading:
    """The Reading of a whole answer. `searches`: its model searches the web, which is billed."""
    model, usage = found.get("model"), _usage(found)
    if usage is None:
        flags = (*reading.flags, "an answer without usage")
        # Of a deferred chat (xAI) the answer is read later, by the id of its request.
        known_as = found.get("id") or found.get("request_id")
        return replace(reading, model=model, response_id=known_as, ended=True, flags=flags)
    parts = _parts(found, usage, model, found.get("service_tier"))
    final = all(part.usage.known for part in parts)
    stated = copilot_cost_nanos(found)
    if stated is None and final:
        stated = stated_nanos(usage)
    uncounted = searches and not any(part.usage.web_searches for part in parts)
    fees = stated is None and (uncounted or _fees(found, usage))
    return replace(
        reading,
        parts=parts,
        model=model,
        response_id=found.get("id"),
        final=final,
        ended=True,
        stated_cost_nanos=stated,
        flags=(*reading.flags, FEES) if fees else reading.flags,
    )


class _Stream(EventReader):
    """Reads a streamed answer."""

    marks = (b'"usage":{', b'"finish_reason":"', b'"error"', b"[DONE]", b'"executed_tools":[')
    texts = (b"content", b"reasoning_content", b"reasoning", b"arguments", b"refusal", b"text")

    def __init__(self, headers: Headers, *, searches: bool) -> None:
        super().__init__(headers)
        self._fees = searches
        self._stated: int | None = None
        self._tier: str | None = None
        self._finished = False
        self._counted: int | None = None

    def event(self, data: bytes) -> bool:
        """Read the first chunk, one that finishes a choice, one with usage, an error, or `[DONE]`."""
        if data.strip() == b"[DONE]":
            self._finished = True
            self.current = replace(self.current, ended=True)
            return True
        found = _ANSWER.read(data)
        self._tier = found.get("service_tier") or self._tier
        model = found.get("model") or self.current.model
        self.current = replace(self.current, model=model, response_id=self.current.response_id or found.get("id"))
        if found.get("error"):
            free = not self.output_bytes and not self.current.parts
            self.current = replace(self.current, ended=True, free=free)
        if any(choice and choice.get("finish_reason") for choice in found.get("choices") or []):
            self._finished = True
        usage = _usage(found)
        self._fees = self._fees or _fees(found, usage)
        if usage is not None:
            parts = _parts(found, usage, model, self._tier)
            self._counted = self.output_bytes if all(part.usage.known for part in parts) else None
            said = stated_nanos(usage)
            self._stated = self._stated if said is None else said
            self._finished = self._finished or found.get("choices") == []
            self.current = replace(self.current, parts=parts)
        credit_nanos = copilot_cost_nanos(found)
        self._stated = self._stated if credit_nanos is None else credit_nanos
        return True

    def reading(self) -> Reading:
        """What has been read so far: final where the answer is finished and no text came after the last counts.

        On a host that reports with each chunk, earlier counts are of a part, and so is a cost beside them.
        """
        read = super().reading()
        if not self._finished or self._counted != self.output_bytes:
            return read
        fees = self._stated is None and self._fees and not any(part.usage.web_searches for part in read.parts)
        flags = (*read.flags, FEES) if fees else read.flags
        return replace(read, final=True, stated_cost_nanos=self._stated, flags=flags)
