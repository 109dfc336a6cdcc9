"""The dialect `openai-chat`: POST …/chat/completions (and the older …/completions) of OpenAI, Azure and all that speak alike.

A stream reports usage only when asked with `stream_options.include_usage`, in a last chunk without choices; many compatible
hosts report it unasked, some on every chunk, Groq as `x_groq.usage`, Moonshot in a choice: the last report counts, none is
added. A stream without any is estimated. Sources: facts/wire-formats.md 2, 6, 12.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from spendgate.providers.base import OpenAIDialect
from spendgate.providers.client import sender
from spendgate.providers.copilot_usage import COPILOT_USAGE, copilot_cost_nanos
from spendgate.providers.interface import Ask, Head, Headers, Notice, Part, Reader, Reading
from spendgate.providers.jsonscan import Scan, Scanner
from spendgate.providers.openai_usage import USAGE, price_context, usage_of
from spendgate.providers.readers import BodyReader
from spendgate.providers.refusals import chat_cut
from spendgate.providers.shapes import FACTOR, FLAG, PRESENT, PROMPTS, TEXT, UNREADABLE, Fields, Shape, items, record
from spendgate.providers.streams import EventReader

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
)
_REQUEST_SCAN: Final = Scanner(
    _REQUEST,
    (
        "model", "stream", "max_tokens", "max_completion_tokens", "n", "best_of", "prompt",
        "service_tier", "web_search_options",
    ),
    marks=rb'type"\s*:\s*"(image_url|input_audio|file)"|(file_id)"|(audio)"\s*:\s*\{',
)  # fmt: skip

_SEARCH_MODELS: Final = re.compile(r"-search(?:-|$)|:online$")
"""`gpt-4o-search-preview`, `gpt-5-search-api`, and OpenRouter's suffix: models that search whether asked to or not."""
_CHOICES_MAX: Final = 128
"""OpenAI's limit of `n`; other hosts may have none."""

_CHOICE: Final = record(finish_reason=TEXT, usage=USAGE)
_ANSWER: Final = Shape(
    id=TEXT,
    model=TEXT,
    service_tier=TEXT,
    usage=USAGE,
    choices=items(_CHOICE),
    x_groq=record(id=TEXT, usage=USAGE),
    error=PRESENT,
    copilot_usage=COPILOT_USAGE,
)
_ANSWER_SCAN: Final = Scanner(_ANSWER, ("id", "model", "service_tier", "usage", "x_groq", "copilot_usage"))


class OpenAIChat(OpenAIDialect):
    """OpenAI Chat Completions. Stateless."""

    name = "openai-chat"

    request = _REQUEST_SCAN

    def asked(self, head: Head, body: bytes, scan: Scan) -> Ask:
        """The Ask of a request with this scan."""
        return _ask(head, body, scan)

    def events(self, ask: Ask, headers: Headers) -> Reader:
        """A reader of a stream of events."""
        return _Stream(headers)

    def document(self, ask: Ask, headers: Headers) -> Reader:
        """A reader of one JSON answer."""
        return BodyReader(headers, _ANSWER, _ANSWER_SCAN, _answer)

    def cut(self, notice: Notice, response_id: str | None = None) -> bytes:
        """A chunk with a top-level `error`, which ends a stream."""
        return chat_cut(notice)


def _ask(head: Head, body: bytes, scan: Scan) -> Ask:
    found = scan.fields
    streamed = bool(found.get("stream"))
    searches = bool(found.get("web_search_options") or _SEARCH_MODELS.search(found.get("model") or ""))
    factors = [found.get("n"), found.get("best_of")]
    prompts = found.get("prompt")
    # A host may well read what this does not, and there is no telling as how many.
    unread = UNREADABLE in (*factors, prompts)
    return Ask(
        model=found.get("model"),
        streamed=streamed,
        text_bytes=len(body),
        opaque_input=bool(scan.marks),
        output_tokens_max=_output_max(found),
        choices=_CHOICES_MAX if unread else max(1, *(factor or 1 for factor in factors)) * (prompts or 1),
        service_tier=found.get("service_tier"),
        cache_ttl="write",
        searches_max=None if searches else 0,
        loops=searches or unread,
        **sender(head),
    )


def _output_max(found: Fields) -> int | None:
    """The larger of both caps, since hosts differ in which one they heed; None where neither can be read, or one cannot."""
    caps = [cap for name in ("max_tokens", "max_completion_tokens") if (cap := found.get(name)) is not None]
    return None if UNREADABLE in caps else max(caps, default=None)


def _usage(found: Fields) -> Fields | None:
    """The one usage object of an answer or chunk, wherever this host puts it."""
    usage: Fields | None = found.get("usage") or (found.get("x_groq") or {}).get("usage")
    if usage is None:
        in_choices = [choice["usage"] for choice in found.get("choices") or [] if choice and choice.get("usage")]
        usage = in_choices[-1] if in_choices else None
    return usage


def _answer(reading: Reading, found: Fields) -> Reading:
    """The Reading of a whole answer."""
    model, usage = found.get("model"), _usage(found)
    if usage is None:
        flags = (*reading.flags, "an answer without usage")
        return replace(reading, model=model, response_id=found.get("id"), ended=True, flags=flags)
    counts = usage_of(usage)
    parts = (Part(counts, model, price_context(found.get("service_tier"))),)
    return replace(
        reading, parts=parts, model=model, response_id=found.get("id"), final=counts.known, ended=True,
        stated_cost_nanos=copilot_cost_nanos(found),
    )  # fmt: skip


class _Stream(EventReader):
    """Reads a streamed answer."""

    marks = (b'"usage":{', b'"finish_reason":"', b'"error"', b"[DONE]")
    texts = (b"content", b"reasoning_content", b"reasoning", b"arguments", b"refusal", b"text")

    def __init__(self, headers: Headers) -> None:
        super().__init__(headers)
        self._tier: str | None = None
        self._finished = False
        self._counted: int | None = None

    def event(self, data: bytes) -> bool:
        """Read the first chunk, one that finishes a choice, one with usage, an error, or `[DONE]`."""
        if data.strip() == b"[DONE]":
            self._finished = True
            self.current = replace(self.current, ended=True, final=self._all_counted())
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
        stated = copilot_cost_nanos(found)
        if stated is not None:
            self.current = replace(self.current, stated_cost_nanos=stated)
        if usage is not None:
            counts = usage_of(usage)
            self._counted = self.output_bytes if counts.known else None
            self._finished = self._finished or found.get("choices") == []
            self.current = replace(self.current, parts=(Part(counts, model, price_context(self._tier)),))
        self.current = replace(self.current, final=self._finished and self._all_counted())
        return True

    def _all_counted(self) -> bool:
        """Whether no text came after the last counts: on a host that reports with each chunk, earlier ones are of a part."""
        return self._counted == self.output_bytes
