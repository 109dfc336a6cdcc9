"""What a chat completion used, whole or streamed, wherever its host puts the counts.

Many hosts report usage on every chunk, Groq as `x_groq.usage`, Moonshot in a choice: the last report counts, none is added.
Groq's compound models break it down by the models that worked, and each is priced as its own. Sources: facts/wire-formats.md
2, 6, 12.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from spendgate.providers.copilot_usage import COPILOT_USAGE, copilot_cost_nanos
from spendgate.providers.interface import Headers
from spendgate.providers.jsonscan import Scanner
from spendgate.providers.openai_usage import USAGE, price_context, usage_of
from spendgate.providers.reading import Part, Reading
from spendgate.providers.shapes import PRESENT, TEXT, Fields, Shape, items, record
from spendgate.providers.stated import FEES, stated_nanos, tools_run
from spendgate.providers.streams import EventReader
from spendgate.usage import Usage

_RUN: Final = record(executed_tools=items(record(type=TEXT)))
_CHOICE: Final = record(finish_reason=TEXT, usage=USAGE, message=_RUN, delta=_RUN)
_BREAKDOWN: Final = record(models=items(record(model=TEXT, usage=USAGE)))
ANSWER_SHAPE: Final = Shape(
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
ANSWER_SCAN: Final = Scanner(
    ANSWER_SHAPE, ("id", "request_id", "model", "service_tier", "usage", "usage_breakdown", "x_groq", "copilot_usage")
)


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


def answer(reading: Reading, found: Fields, *, searches: bool) -> Reading:
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


class Stream(EventReader):
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
        found = ANSWER_SHAPE.read(data)
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
