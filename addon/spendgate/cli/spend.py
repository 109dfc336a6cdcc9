"""`spendgate spend`: totals, by any attributes and periods."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from spendgate.cli import in_force, purged, seats
from spendgate.cli.moments import moment
from spendgate.cli.options import FormatOption, StateOption, existing_state, utf8
from spendgate.cli.output import Column, Format, emit, note
from spendgate.config import paths
from spendgate.errors import UsageError
from spendgate.ledger.periods import PERIODS
from spendgate.ledger.queries import ATTRIBUTES, Reader, Span, Spend
from spendgate.policy import Policy

SinceOption = Annotated[str | None, typer.Option("--since", metavar="T", help="From then on: today, 7d, 2026-11-22, …")]
UntilOption = Annotated[str | None, typer.Option("--until", metavar="T", help="Before then.")]
WhereOption = Annotated[
    list[str] | None,
    typer.Option("--where", metavar="ATTR=VALUE", help="Only these. May be given again, for another attribute."),
]
_TOTALS = (
    Column("calls", "calls", right=True, weight=0),
    Column("refused", "refused", right=True, weight=2),
    Column("cost_nanos", "spent", right=True, weight=0),
    Column("held_nanos", "held", right=True, weight=1),
    Column("value_nanos", "list price", right=True, weight=6),
    Column("not_reported_nanos", "estimated", right=True, weight=5),
    Column("input_tokens", "input", right=True, weight=3),
    Column("cache_read_tokens", "cache read", right=True, weight=4),
    Column("cache_write_tokens", "cache write", right=True, weight=4),
    Column("output_tokens", "output", right=True, weight=3),
)
_GROUPS = (*PERIODS, *ATTRIBUTES)
_FIGURES = tuple(field.name for field in fields(Spend) if field.name != "key")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("spend")(spend)


def spend(
    by: Annotated[str, typer.Option("--by", metavar="ATTR[,ATTR]", help=f"Any of: {', '.join(_GROUPS)}.")] = "person",
    since: SinceOption = None,
    until: UntilOption = None,
    where: WhereOption = None,
    state: StateOption = None,
    fmt: FormatOption = Format.TABLE,
) -> None:
    """Totals of what was spent, dearest first."""
    names = attributes(by)
    policy = in_force.policy(paths.find(state))
    asked = span(policy, since, until, where)
    found = existing_state(state)  # after the words: wrong ones are wrong on a machine without a ledger, too
    with closing(Reader(found.ledger)) as reader:
        totals = reader.spend(names, asked, ZoneInfo(policy.timezone), week_starts=policy.week_starts)
        purged.tell_of_sums(reader, names, asked)
        used = seats.of_everybody(policy, reader, time.time_ns() // 1_000_000) if fmt is Format.TABLE else ()
    spent = [total for total in totals if total.calls or total.refused]  # what was free altogether is no spend
    columns = [*(Column(name, name, weight=0) for name in names), *_TOTALS]
    emit([_row(names, total) for total in spent], columns, fmt, empty=nothing(asked), keys=(*names, *_FIGURES))
    for all_of, _ in used:
        note(f"seat {seats.line(all_of)}")


def attributes(by: str) -> tuple[str, ...]:
    """What calls are grouped by. Raises UsageError where a word is no attribute, is empty, or stands twice."""
    names = tuple(name.strip() for name in by.split(","))
    for place, name in enumerate(names):
        if name not in _GROUPS:
            raise UsageError(f"--by {by!r}: calls have no {name!r}; there are: {', '.join(_GROUPS)}")
        if name in names[:place]:
            raise UsageError(f"--by {by!r}: {name!r} stands twice; name each once, of: {', '.join(_GROUPS)}")
    return names


def span(policy: Policy, since: str | None, until: str | None, where: list[str] | None) -> Span:
    """The span of a reading command's options. Raises UsageError."""
    zone, now = ZoneInfo(policy.timezone), datetime.now(UTC)
    pairs: list[tuple[str, str]] = []
    for text in where or ():
        name, equals, value = utf8("--where", text).partition("=")
        if not equals or name not in ATTRIBUTES:
            raise UsageError(f"--where {text}: write ATTR=VALUE; attributes are: {', '.join(ATTRIBUTES)}")
        if any(name == before for before, _ in pairs):
            raise UsageError(
                f"--where {text}: {name!r} stands twice; ask for one value each of: {', '.join(ATTRIBUTES)}"
            )
        pairs.append((name, value))
    since_ms = _instant("--since", since, zone, now)
    until_ms = _instant("--until", until, zone, now)
    if since_ms is not None and until_ms is not None and since_ms >= until_ms:
        raise UsageError(f"--since {since} is not before --until {until}: no call can be in between")
    return Span(since_ms=since_ms, until_ms=until_ms, where=tuple(pairs))


def _instant(option: str, text: str | None, zone: ZoneInfo, now: datetime) -> int | None:
    """An option's time; None where it was not given. Raises UsageError that names the option."""
    try:
        return None if text is None else moment(text, zone, now)
    except UsageError as fault:
        raise UsageError(f"{option}: {fault}") from fault


def nothing(asked: Span) -> str:
    """What a table without a row says: whether there is nothing, or nothing that was asked for."""
    if asked.where:
        return "no call fits these filters (--where compares exactly)"
    narrowed = asked.since_ms is not None or asked.until_ms is not None
    return "no call fits these filters" if narrowed else "nothing yet"


def _row(names: tuple[str, ...], total: Spend) -> dict[str, object]:
    numbers = asdict(total)
    del numbers["key"]
    return {**dict(zip(names, total.key, strict=True)), **numbers}
