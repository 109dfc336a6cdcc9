"""Which calls a reading command is about: its options, read in the policy's zone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, tzinfo

from spendgate.budget import whole_name
from spendgate.cli.desk import Asking
from spendgate.cli.moments import moment
from spendgate.cli.options import utf8
from spendgate.errors import UsageError
from spendgate.ledger.periods import PERIODS
from spendgate.ledger.selecting import ATTRIBUTES, Span
from spendgate.policy import Policy
from spendgate.window import zone_of

BACK = "30d"
"""From where on calls are decided again where nobody says it."""
GROUPS = (*PERIODS, *ATTRIBUTES)
_RULES = ("refused_by", "would_refuse_by")
"""Attributes that hold a rule's name."""


def attributes(by: str) -> tuple[str, ...]:
    """What calls are grouped by. Raises UsageError where a word is no attribute, is empty, or stands twice."""
    names = tuple(name.strip() for name in by.split(","))
    for place, name in enumerate(names):
        if name not in GROUPS:
            raise UsageError(f"--by {by!r}: calls have no {name!r}; there are: {', '.join(GROUPS)}")
        if name in names[:place]:
            raise UsageError(f"--by {by!r}: {name!r} stands twice; name each once, of: {', '.join(GROUPS)}")
    return names


def span(policy: Policy, since: str | None, until: str | None, where: Iterable[str] | None) -> Span:
    """The span of a reading command's options. Raises UsageError."""
    zone, now = zone_of(policy.timezone), datetime.now(UTC)
    pairs: list[tuple[str, str]] = []
    for text in where or ():
        name, equals, value = utf8("--where", text).partition("=")
        if not equals or name not in ATTRIBUTES:
            raise UsageError(f"--where {text}: write ATTR=VALUE; attributes are: {', '.join(ATTRIBUTES)}")
        if any(name == before for before, _ in pairs):
            raise UsageError(
                f"--where {text}: {name!r} stands twice; ask for one value each of: {', '.join(ATTRIBUTES)}"
            )
        # Rules as `status` and the policy write them.
        pairs.append((name, whole_name(value) if name in _RULES else value))
    since_ms = _instant("--since", since, zone, now)
    until_ms = _instant("--until", until, zone, now)
    if since_ms is not None and until_ms is not None and since_ms >= until_ms:
        raise UsageError(f"--since {since} is not before --until {until}: no call can be in between")
    return Span(since_ms=since_ms, until_ms=until_ms, where=tuple(pairs))


def replayed(policy: Policy, since: str | None, until: str | None = None) -> Span:
    """The span of the calls that are decided again: of one back from now (30d where none is given) from the beginning of its day,
    hour or minute on, so that another run on the same ledger gives the same answer. Raises UsageError."""
    back = since or BACK
    found, unit = span(policy, back, until, None), back[-1:]
    if not back[:-1].isdecimal() or unit not in "mhdw":
        return found
    at = datetime.fromtimestamp((found.since_ms or 0) / 1000, zone_of(policy.timezone))
    at = at.replace(second=0, microsecond=0)
    at = at if unit == "m" else at.replace(minute=0)
    at = at if unit in "mh" else at.replace(hour=0)
    return replace(found, since_ms=int(at.timestamp() * 1000))


def _instant(option: str, text: str | None, zone: tzinfo, now: datetime) -> int | None:
    """An option's time; None where it was not given. Raises UsageError that names the option."""
    try:
        return None if text is None else moment(text, zone, now)
    except UsageError as fault:
        raise UsageError(f"{option}: {fault}") from fault


def nothing(asking: Asking) -> str:
    """What a table without a row says: whether there is nothing, or nothing that was asked for."""
    if asking.where:
        return "no call fits these filters (--where compares exactly)"
    return "no call fits these filters" if asking.since is not None or asking.until is not None else "nothing yet"
