"""What a provider may say that a call used: counts that no call can have are cut, flagged, and never taken as reported.

A wrong or hostile endpoint could otherwise spend a person's budget for years with one answer, or more than a ledger row
holds; and one that counts nothing, as some compatible hosts do in streams, would be free. What is cut is charged as an estimate
and teaches nothing, and so is output that was seen and counted as none. Pure; costs a comparison for each count.
"""

from __future__ import annotations

from operator import attrgetter, is_
from typing import Final

from msgspec.structs import replace

from spendgate.gate.asked import Asked
from spendgate.money import NANOS_PER_DOLLAR
from spendgate.providers.reading import Part, Reading
from spendgate.usage import Usage

CUT: Final = "counts beyond belief: cut"
"""Flag of a call whose provider reported more than a call can use."""
ZERO: Final = "output counted as none: estimated"
"""Flag of a call whose provider reported that it put nothing out, while text came."""
SEEN_BYTES_LEAST: Final = 16
"""Of text, so that what is taken for it is some."""
CALL_TOKENS_MAX: Final = 100_000_000
"""Tokens of one class in one call, all its samplings together: a hundred of today's largest context windows."""
WINDOW_TOKENS_LEAST: Final = 1_000_000
"""Price lists name a model's plain window; its provider may sell a longer one (Anthropic: context-1m)."""
WINDOWS_MAX: Final = 10
"""Windows that one sampling of a call without server-side loops may report: room for price lists that are out of date."""
SEARCHES_MAX: Final = 10_000
STATED_MAX_NANOS: Final = 10_000 * NANOS_PER_DOLLAR
"""The largest price of its own that a provider is believed."""

_NAMES: Final = Usage.__struct_fields__
_counts = attrgetter(*_NAMES)
_MOST: Final = {**dict.fromkeys(_NAMES, CALL_TOKENS_MAX), "web_searches": SEARCHES_MAX}


def believed(asked: Asked, reading: Reading) -> Reading:
    """The same reading where all of it can be; else one that is cut, flagged `CUT` and not final.

    What a host says that the call costs counts only where it is the one that bills (`Route.states_cost`).
    """
    if reading.stated_cost_nanos is not None and not asked.intent.route.states_cost:
        reading = replace(reading, stated_cost_nanos=None)
    seen = reading.final and reading.output_bytes >= SEEN_BYTES_LEAST and reading.stated_cost_nanos is None
    if seen and asked.intent.ask.generates:  # a warm-up asks for nothing, and is counted as nothing
        reading = _seen(reading)
    most = most_tokens(asked)
    if len(reading.parts) == 1 and reading.stated_cost_nanos is None and can_be(reading.parts[0].usage, most):
        return reading
    left = _MOST.copy()
    parts = tuple(_cut(part, most, left) for part in reading.parts)
    stated = reading.stated_cost_nanos
    dear = stated is not None and stated > STATED_MAX_NANOS
    if not dear and all(map(is_, parts, reading.parts)):
        return reading
    return replace(
        reading,
        parts=parts,
        final=False,
        stated_cost_nanos=None if dear else stated,
        flags=(*reading.flags, CUT),
    )


def can_be(usage: Usage, most: int) -> bool:
    """Whether one sampling that is the whole call may have used this: so it is nearly always, and soon seen."""
    return max(filter(None, _counts(usage)), default=0) <= most and (usage.web_searches or 0) <= SEARCHES_MAX


def _seen(reading: Reading) -> Reading:
    """Without an output of zero, which a stream that brought text did not have; where all is zero, without any counts."""
    parts = reading.parts
    if not parts or any(part.usage.output_tokens or not part.usage.known for part in parts):
        return reading
    last = parts[-1]
    nothing = all(part.usage.nothing for part in parts)
    usage = Usage() if nothing else replace(last.usage, output_tokens=None, reasoning_tokens=None)
    return replace(reading, parts=(*parts[:-1], replace(last, usage=usage)), final=False, flags=(*reading.flags, ZERO))


def most_tokens(asked: Asked) -> int:
    """Tokens of one class that one sampling of this call may report."""
    ask, window = asked.intent.ask, asked.bound_rates.context_window
    if ask.loops or window is None:
        return CALL_TOKENS_MAX
    return min(CALL_TOKENS_MAX, WINDOWS_MAX * max(window, WINDOW_TOKENS_LEAST) * max(1, ask.choices))


def _cut(part: Part, most: int, left: dict[str, int]) -> Part:
    """The part itself or one with smaller counts; takes what it keeps off `left`."""
    smaller: dict[str, int] = {}
    for name, count in zip(_NAMES, _counts(part.usage), strict=True):
        if count:
            kept = min(count, most, left[name])
            left[name] -= kept
            if kept != count:
                smaller[name] = kept
    return replace(part, usage=replace(part.usage, **smaller)) if smaller else part
