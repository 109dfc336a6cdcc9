"""`spendgate policy replay`: the ledger's history run through a candidate policy."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Annotated

import typer

from spendgate.cli import granted, in_force, purged
from spendgate.cli.options import FormatOption, StateOption, existing_state
from spendgate.cli.output import Column, Format, emit, emit_json, safe, writing
from spendgate.cli.replay_words import ALERT_RULES, PEOPLE, RULES, headline, local, worded
from spendgate.cli.spans import replayed
from spendgate.cli.spend import SinceOption, UntilOption
from spendgate.config import policies
from spendgate.config.known import KNOWN
from spendgate.ledger.queries import Reader
from spendgate.policy import Policy
from spendgate.replay import report
from spendgate.replay.outcome import KEPT_MAX, Outcome
from spendgate.replay.run import replay as run_again
from spendgate.window import zone_of

FileArgument = Annotated[
    Path | None,
    typer.Argument(metavar="FILE", help="The candidate; without it the policy in force.", show_default=False),
]
SHOWN_MAX = 20
"""How many people and calls a table shows; JSON and CSV have more."""

_RULES = (
    Column("rule", "rule", weight=0),
    Column("does", "does", weight=0),
    Column("kind", "why", weight=1),
    Column("calls", "calls", right=True, weight=0),
    Column("people", "people", right=True, weight=2),
    Column("cost_nanos", "their cost", right=True, weight=1),
    Column("first", "first", weight=3),
    Column("last", "last", weight=4),
)
_PEOPLE = (
    Column("person", "person", weight=0),
    Column("refused", "calls refused", right=True, weight=0),
    Column("saved_nanos", "saved", right=True, weight=0),
    Column("calls", "calls that leave", right=True, weight=1),
    Column("cost_nanos", "they cost", right=True, weight=1),
)
_CALLS = (
    Column("when", "when", weight=1),
    Column("person", "person", weight=0),
    Column("tool", "tool", weight=4),
    Column("model_requested", "model", weight=3),
    Column("then", "then", weight=2),
    Column("now", "now", weight=0),
    Column("kind", "why", weight=2),
    Column("cost_nanos", "cost", right=True, weight=1),
    Column("id", "id", weight=5),
)


_ALERT_RULES = (
    Column("rule", "alert", weight=0),
    Column("severity", "severity", weight=1),
    Column("times", "times", right=True, weight=0),
    Column("told", "told", weight=1),
    Column("first", "first", weight=2),
    Column("last", "last", weight=3),
)
_ALERTS = (
    Column("when", "when", weight=1),
    Column("severity", "severity", weight=3),
    Column("told", "told", weight=2),
    Column("text", "alert", weight=0),
)


def register(group: typer.Typer) -> None:
    """Add the command."""
    group.command("replay")(replay)


def replay(
    file: FileArgument = None,
    since: SinceOption = None,
    until: UntilOption = None,
    state: StateOption = None,
    fmt: FormatOption = Format.TABLE,
) -> None:
    """Run the ledger's history through a policy: whom it would have refused, when, and what that would have saved.

    From --since on (30d where it is not given) every call is decided again as it asked, on what the gate knew then of its
    size; earlier ones fill the windows that run then.
    """
    found = existing_state(state)
    then = in_force.named(found) if file is None else in_force.policy(found)
    candidate = then if file is None else policies.load(file, KNOWN)
    asked = replayed(then, since, until)
    with closing(Reader(found.ledger)) as reader:
        candidate = granted.shown(found, candidate, reader, int(datetime.now(UTC).timestamp() * 1000))
        purged.tell(reader, asked.since_ms, "calls are sums by day (privacy.keep): they are not decided again")
        outcome = run_again(candidate, asked.since_ms or 0, lambda at_ms: reader.history(at_ms, asked.until_ms))
    _print(outcome, candidate, fmt, asked.until_ms)


def _print(outcome: Outcome, policy: Policy, fmt: Format, until_ms: int | None) -> None:
    if fmt is Format.JSON:
        emit_json(
            {
                "policy": policy.hash,
                **report.summary(outcome),
                "rules": report.rules(outcome),
                "people": report.people(outcome),
                "alert_rules": report.alert_rules(outcome),
                "alerts": report.alerts(outcome),
                "differing": report.calls(outcome),
            }
        )
    elif fmt is Format.CSV:
        emit(report.calls(outcome), (), fmt, keys=report.CALL_KEYS)
    else:
        _table(outcome, zone_of(policy.timezone), until_ms)


def _table(outcome: Outcome, zone: tzinfo, until_ms: int | None) -> None:
    with writing():
        for line in headline(outcome, zone, until_ms):
            typer.echo(line)
    if outcome.rules or outcome.would:
        rules = [worded(row) for row in report.rules(outcome)]
        _part(f"{RULES}:", [_dated(row, zone, ("first", "last")) for row in rules], _RULES)
    refused = [row for row in report.people(outcome) if row["refused"]]
    if refused:
        _part(_first(PEOPLE, len(refused), len(refused)), refused[:SHOWN_MAX], _PEOPLE)
    if outcome.alerts:
        total = sum(tally.times for tally in outcome.alerts.values())
        _part(
            f"{ALERT_RULES}:",
            [_dated(row, zone, ("first", "last")) for row in report.alert_rules(outcome)],
            _ALERT_RULES,
        )
        rows = [{**row, "when_at": row["at"], "told": ", ".join(told)} for row, told in _told(outcome)]
        _part(_first("each alert", len(rows), total), [_dated(row, zone, ("when",)) for row in rows], _ALERTS)
    if outcome.differing:
        total = outcome.newly_refused + outcome.no_longer_refused
        calls = [worded(row) for row in report.calls(outcome)[:SHOWN_MAX]]
        rows = [_dated({**row, "when_at": row["at"]}, zone, ("when",)) for row in calls]
        _part(_first("calls that it decides otherwise", len(rows), total), rows, _CALLS)


def _told(outcome: Outcome) -> list[tuple[report.Row, tuple[str, ...]]]:
    """The alerts that a table shows, each with whom it reaches."""
    rows = report.alerts(outcome)[:SHOWN_MAX]
    return [(row, told) for row, (_, told) in zip(rows, outcome.alerts_kept, strict=False)]


def _first(what: str, shown_rows: int, total: int) -> str:
    few = min(shown_rows, SHOWN_MAX)
    if few == total:
        return f"{what}:"
    more = f" (--format json has {min(total, KEPT_MAX):,})"
    return f"{what}, the first {few} of {total:,}{more}:"


def _part(heading: str, rows: list[report.Row], columns: tuple[Column, ...]) -> None:
    with writing():
        typer.echo("")
        if heading:
            typer.echo(safe(heading))
    emit(rows, columns, Format.TABLE)


def _dated(row: report.Row, zone: tzinfo, names: tuple[str, ...]) -> report.Row:
    return {**row, **{name: local(row[f"{name}_at"], zone) for name in names}}
