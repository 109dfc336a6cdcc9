"""A server's word that it is asked too fast, and how long it wants to be left alone.

Source: RFC 9110, 10.2.3 (`Retry-After`: seconds, or a date) and 5.6.7 (its three forms of dates); GitHub's "Rate limits for the
REST API": a spent primary limit is 403 or 429 with `x-ratelimit-remaining: 0`, not to be asked again before
`x-ratelimit-reset` (epoch seconds); a secondary one is 403 or 429 whose message says so, to be left alone for a minute at
least. OpenRouter's `x-ratelimit-reset` is said to have milliseconds, which was not looked up: a time so far off is read as such.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

from msgspec import Struct

LONGEST_WAIT_S: Final = 300.0
"""No server keeps a person for longer at a time."""
MAYBE: Final = frozenset({403, 429})
"""What haste is refused with; GitHub's 403 may also be what it says."""
_SECONDS: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_EPOCH: Final = re.compile(r"[0-9]{1,13}")
_MILLISECONDS_FROM: Final = 10**11
"""No time of these millennia in seconds."""
_SECONDARY: Final = b"secondary rate limit"
_MINUTE_S: Final = 60.0


class Haste(Struct, frozen=True):
    """It was asked too fast."""

    wait_s: float | None = None
    """For how long it wants to be left alone; None: it does not say."""
    spent_until_ms: int | None = None
    """A limit is spent until then, longer than anybody waits here; epoch milliseconds."""


def haste(status: int, headers: Mapping[str, str], body: bytes, now_ms: int) -> Haste | None:
    """Whether a refusal is one for haste. `headers` by lower-case names, `body` as far as it was read."""
    if status not in MAYBE:
        return None
    told = wait_told(headers.get("retry-after"), now_ms)
    if told is not None:
        return Haste(told)
    if headers.get("x-ratelimit-remaining", "").strip() == "0":
        return _reset(headers.get("x-ratelimit-reset", "").strip(), now_ms)
    if _SECONDARY in body.lower():
        return Haste(_MINUTE_S)
    return Haste() if status == 429 or "retry-after" in headers else None


def wait_told(said: str | None, now_ms: int) -> float | None:
    """Seconds of a `Retry-After`, at most the longest wait; None where it says nothing, nothing readable, or what is over."""
    if said is None:
        return None
    wait = float(said) if _SECONDS.fullmatch(said.strip()) else _until(said, now_ms)
    return min(wait, LONGEST_WAIT_S) if wait > 0 else None


def _until(date: str, now_ms: int) -> float:
    """Seconds until an HTTP date; 0 where it is none."""
    try:
        found = parsedate_to_datetime(date)
        until = found if found.tzinfo is not None else found.replace(tzinfo=UTC)  # asctime has no zone: it is UTC
        return until.timestamp() - now_ms / 1000
    except (ValueError, TypeError, IndexError, OverflowError):  # what its parser raises at odd texts
        return 0.0


def _reset(said: str, now_ms: int) -> Haste:
    """A spent limit: how long until it is given anew, in a second more, since the time is a whole one."""
    if not _EPOCH.fullmatch(said):
        return Haste()
    number = int(said)
    at_ms = number if number >= _MILLISECONDS_FROM else number * 1000
    wait_s = (at_ms - now_ms) / 1000 + 1
    if wait_s > LONGEST_WAIT_S:
        return Haste(spent_until_ms=at_ms)
    return Haste(wait_s if wait_s > 0 else None)
