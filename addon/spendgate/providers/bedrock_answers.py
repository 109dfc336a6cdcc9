"""Bedrock's answers that come whole, and what counts in streamed ones too. Their readers never raise.

Source: facts/wire-formats.md 5.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec.structs import replace

from spendgate.model_names import hides_model
from spendgate.providers.anthropic import AnthropicMessages
from spendgate.providers.ask import Ask
from spendgate.providers.bedrock_usage import converse_usage, header_usage
from spendgate.providers.interface import Headers
from spendgate.providers.reading import Part, Reading
from spendgate.providers.shapes import Fields
from spendgate.providers.stated import FEES, GUARDED
from spendgate.usage import NO_USAGE, Usage

CLAUDE: Final = AnthropicMessages()
_DIFFER: Final = "AWS's counters differ from the model's own"
TIER_HEADER: Final = "x-amzn-bedrock-service-tier"
"""InvokeModel's `serviceTier`, in a request's head and in its answer's (botocore 1.44.8): `priority`, `flex`, `reserved`."""
LATENCY_HEADER: Final = "x-amzn-bedrock-performanceconfig-latency"
"""How InvokeModel is asked to serve, and in its answer's head how it did."""
_OPTIMIZED: Final = "optimized"
_ASSUMED: Final = "a region's price assumed"
_INTERVENED: Final = "guardrail_intervened"
_HOSTED: Final = "server_tool_use"
"""The type of a tool that AWS itself has run (`systemTool`): Nova's search is billed by the call (botocore 1.44.8)."""
_INVOKED: Final = re.compile(r".*:(?:inference-profile|foundation-model)/(.+)")


def converse_answer(reading: Reading, found: Fields, ask: Ask) -> Reading:
    """The Reading of Converse's answer, or of its stream's `metadata`."""
    usage, model = found.get("usage"), _invoked(ask, found)
    if usage is None:
        return replace(reading, model=model, flags=(*reading.flags, "an answer without usage"))
    counts = converse_usage(usage, ask.cache_ttl)
    tier = (found.get("serviceTier") or {}).get("type")
    context = {"service_tier": tier} if tier and tier != "default" else {}
    speed = speed_of((found.get("performanceConfig") or {}).get("latency"))
    if speed is not None:
        context["speed"] = speed
    return replace(reading, model=model, parts=(Part(counts, model, context),), final=counts.known, ended=True)


def converse_document(reading: Reading, found: Fields, ask: Ask) -> Reading:
    """The Reading of Converse's whole answer. Of a long one what it holds is not read, and whether AWS's tools ran is unknown."""
    output = found.get("output")
    content = ((output or {}).get("message") or {}).get("content") or []
    ran = ask.loops if output is None else any(aws_ran(block) for block in content)
    return flagged(converse_answer(reading, found, ask), *(guarded(ask) or watched(found)), *((FEES,) if ran else ()))


def flagged(reading: Reading, *flags: str) -> Reading:
    """With these flags, each once."""
    return replace(reading, flags=tuple(dict.fromkeys((*reading.flags, *flags)))) if flags else reading


def guarded(ask: Ask) -> tuple[str, ...]:
    """The flag of a call that a guardrail looks at."""
    return (GUARDED,) if ask.guarded else ()


def watched(found: Fields) -> tuple[str, ...]:
    """What an answer shows of a guardrail, also of one that an account enforces and no request names."""
    seen = (found.get("trace") or {}).get("guardrail") or found.get("stopReason") == _INTERVENED
    return (GUARDED,) if seen else ()


def aws_ran(block: Fields | None) -> bool:
    """Whether AWS ran the tool of this block itself."""
    return ((block or {}).get("toolUse") or {}).get("type") == _HOSTED


def _invoked(ask: Ask, found: Fields) -> str | None:
    """The model that a prompt router has chosen, by AWS's trace; else the URL's."""
    named = ((found.get("trace") or {}).get("promptRouter") or {}).get("invokedModelId")
    told = _INVOKED.fullmatch(named or "") if hides_model(ask.model) else None
    return told[1] if told else ask.model


def counted(reading: Reading, aws: Usage, ask: Ask) -> Reading:
    """A Reading of the model's own counts, with AWS's in their place and the URL's model.

    Where the URL's ARN hides the model, the one that the answer names: without a prefix, so at the price of a region, which is
    never the lower one.
    """
    told = reading.model if hides_model(ask.model) else None
    model = told or ask.model
    own = tuple(replace(part, model=model) for part in reading.parts)
    reading = replace(reading, model=model, parts=own)
    if told and _ASSUMED not in reading.flags:
        reading = replace(reading, flags=(*reading.flags, _ASSUMED))
    if aws == NO_USAGE or len(own) > 1:
        return reading
    before = own[0].usage if own else NO_USAGE
    after = before.overlaid(aws)
    if before.writes == aws.writes:
        # The same writes: the body's own split of them is the truer one.
        after = replace(
            after,
            cache_write_5m_tokens=before.cache_write_5m_tokens,
            cache_write_1h_tokens=before.cache_write_1h_tokens,
        )
    differ = bool(own) and before.known and after != before.overlaid(Usage(cache_read_tokens=after.cache_read_tokens))
    part = replace(own[0], usage=after) if own else Part(after, model)
    flags = (*reading.flags, _DIFFER) if differ and _DIFFER not in reading.flags else reading.flags
    return replace(reading, parts=(part,), flags=flags, free=False, final=after.known, ended=True)


def speed_of(latency: str | None) -> str | None:
    """The speed in prices' words: AWS bills what it served for low latency at rates of their own, which no list has."""
    return _OPTIMIZED if latency == _OPTIMIZED else None


def served_as(headers: Headers) -> dict[str, str]:
    """The tier and speed that served InvokeModel, as prices' context. A head names them: the model's own body is passed on."""
    tier, speed = headers.get(TIER_HEADER), speed_of(headers.get(LATENCY_HEADER))
    context = {} if tier in (None, "", "default") else {"service_tier": str(tier)[:32]}
    return context if speed is None else context | {"speed": speed}


def tiered(reading: Reading, context: dict[str, str]) -> Reading:
    """With what served it (`served_as`) in its prices' context."""
    if not context:
        return reading
    parts = tuple(replace(part, context={**part.context, **context}) for part in reading.parts)
    return replace(reading, parts=parts)


class InvokeDocument:
    """Reads InvokeModel's answer: Claude's body, and the counters in the headers, which is all there is for other models."""

    __slots__ = ("_ask", "_aws", "_body", "_served")

    def __init__(self, headers: Headers, ask: Ask) -> None:
        self._ask = ask
        self._served = served_as(headers)
        self._aws = header_usage(headers, ask.cache_ttl)
        if self._aws.input_tokens is not None and self._aws.output_tokens is None and not ask.pictures:
            # An embedding: AWS counts its input alone, and there is no output.
            self._aws = replace(self._aws, output_tokens=0)
        self._body = CLAUDE.document(ask, headers)

    def feed(self, data: bytes) -> bool:
        """Take the next bytes; the counts show at the end."""
        return self._body.feed(data)

    def reading(self) -> Reading:
        """What the head told."""
        return self._whole(self._body.reading())

    def close(self) -> Reading:
        """The whole."""
        return self._whole(self._body.close())

    def _whole(self, read: Reading) -> Reading:
        return flagged(tiered(counted(read, self._aws, self._ask), self._served), *guarded(self._ask))
