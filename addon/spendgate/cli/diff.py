"""`spendgate policy diff` and `policy review`: what a change of a policy does, and what it would have done."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import typer

from spendgate.cli import granted, in_force, whole_lines
from spendgate.cli.options import FormatOption, StateOption, existing_state
from spendgate.cli.output import Format, emit, money, writing
from spendgate.cli.replay_words import ALERT_RULES, PEOPLE, RULES, headline, local, worded
from spendgate.cli.spans import replayed
from spendgate.cli.spend import SinceOption
from spendgate.config import paths, policies
from spendgate.config.known import KNOWN
from spendgate.errors import PolicyError, StateError
from spendgate.inert_text import inert_markdown
from spendgate.ledger.queries import Reader
from spendgate.model_names import family
from spendgate.policy import Policy
from spendgate.price_change import PriceChange
from spendgate.pricing import PriceBook, UnknownPrice
from spendgate.replay import report
from spendgate.replay.outcome import Outcome
from spendgate.replay.run import replay
from spendgate.review.changes import Change, Effect
from spendgate.review.diff import diff
from spendgate.window import local_date, zone_of

OldArgument = Annotated[Path, typer.Argument(metavar="OLD", help="The policy as it is.", readable=False)]
NewArgument = Annotated[Path, typer.Argument(metavar="NEW", help="The policy as it shall be.", readable=False)]
_ROWS_MAX = 10


def register(group: typer.Typer) -> None:
    """Add the commands."""
    group.command("diff")(diff_)
    group.command("review")(review)


def diff_(old: OldArgument, new: NewArgument, fmt: FormatOption = Format.TABLE) -> None:
    """Say in words what a change does: who may spend more or less, who gains or loses which models, what is decrypted."""
    changes = _changes(*_both(old, new))
    if fmt is Format.TABLE:
        _show(changes)
        return
    emit([_row(each) for each in changes], (), fmt, keys=("effect", "text", "where"))


def review(old: OldArgument, new: NewArgument, since: SinceOption = None, state: StateOption = None) -> None:
    """The comment for a pull request, in Markdown: what the change does, and what it would have done to the ledger's calls.

    From --since on (30d where it is not given), as `policy replay` runs them. Where there is no ledger, the first half alone.
    """
    was, now = _both(old, new)
    lines = [*_changed(_changes(was, now), now), "### What it would have done", ""]
    # A ledger of somebody else's is a fault all the same: only one that was never written is no reason to say nothing.
    found = paths.find(state)
    try:
        found = existing_state(state)
    except StateError:
        if (found.root.exists() and not os.access(found.root, os.X_OK)) or found.ledger.exists():
            raise
        lines.append(f"There is no ledger in {inert_markdown(str(found.root))}: no call was replayed.")
    else:
        asked = replayed(in_force.policy(found), since)
        with closing(Reader(found.ledger)) as reader:
            # The grants that count here are in force beside whichever policy.
            candidate = granted.shown(found, now, reader, int(datetime.now(UTC).timestamp() * 1000))
            lines += _replayed(replay(candidate, asked.since_ms or 0, reader.history), candidate)
    with writing():
        typer.echo("\n".join(lines))


def _row(change: Change) -> dict[str, object]:
    """As JSON has it: of models who gains and loses which, all of them, where the text has how many there are."""
    row: dict[str, object] = {"effect": change.effect.value, "text": change.text, "where": change.where}
    if change.access is not None:
        row |= {"people": change.access.people, "gain": change.access.gain, "lose": change.access.lose}
    return row


def _both(old: Path, new: Path) -> tuple[Policy, Policy]:
    """The two policies. Raises PolicyError with the faults of both."""
    found: list[Policy] = []
    faults: list[str] = []
    for file in (old, new):
        try:
            found.append(policies.load(file, KNOWN))
        except PolicyError as fault:
            faults += fault.faults
    if faults:
        raise PolicyError(tuple(dict.fromkeys(faults)))
    was, now = found
    return was, now


def _changes(old: Policy, new: Policy) -> tuple[Change, ...]:
    now = datetime.now(UTC)
    book = PriceBook()

    def priced(provider: str, model: str, change: PriceChange | None) -> Mapping[str, Fraction] | None:
        units = book.units(provider, model, 0, at=now, change=change)
        return None if isinstance(units, UnknownPrice) else units

    models = sorted({family(name) for name in book.model_ids()})
    now_ms = int(now.timestamp() * 1000)
    return diff(old, new, local_date(new.timezone, now_ms), models, priced, now_ms=now_ms)


def _show(changes: Sequence[Change]) -> None:
    """Each effect with its changes under it."""
    if not changes:
        whole_lines.say("nothing changes")
    for effect in Effect:
        told = [change for change in changes if change.effect is effect]
        if told:
            whole_lines.say(f"{effect.value}:")
        for change in told:
            whole_lines.say(change.text, 2)


def _changed(changes: Sequence[Change], policy: Policy) -> list[str]:
    """The first half of the comment."""
    lines = [f"### What this policy changes (`{policy.hash}`)", ""]
    if not changes:
        lines += ["Nothing.", ""]
    for effect in Effect:
        told = [change for change in changes if change.effect is effect]
        if told:
            lines += [f"**{effect.value[0].upper()}{effect.value[1:]}**", ""]
            lines += [f"- {inert_markdown(change.text)}" for change in told]
            lines.append("")
    return lines


def _replayed(outcome: Outcome, policy: Policy) -> list[str]:
    """The second half: what became of the ledger's calls."""
    zone = zone_of(policy.timezone)
    lines = [f"{inert_markdown(line)}  " for line in headline(outcome, zone)]
    if outcome.rules:
        rules = [worded(row) for row in report.rules(outcome)]
        lines += _part(RULES, _rows(rules, ("rule", "does", "kind", "calls", "people", "cost_nanos")))
    people = ({**row, "leave": row["calls"], "leave_nanos": row["cost_nanos"]} for row in report.people(outcome))
    refused = [row for row in people if row["refused"]]
    if refused:
        lines += _part(PEOPLE, _rows(refused, ("person", "refused", "saved_nanos", "leave", "leave_nanos")))
    if outcome.alerts:
        alerts = [
            {**row, "alert": row["rule"], **{name: local(row[f"{name}_at"], zone) for name in ("first", "last")}}
            for row in report.alert_rules(outcome)
        ]
        lines += _part(ALERT_RULES, _rows(alerts, ("alert", "severity", "times", "told", "first", "last")))
    return lines


def _part(heading: str, table: list[str]) -> list[str]:
    return ["", f"**{heading[0].upper()}{heading[1:]}**", "", *table]


_HEADINGS = {
    "kind": "why",
    "cost_nanos": "their cost",
    "saved_nanos": "saved",
    "refused": "calls refused",
    "leave": "calls that leave",
    "leave_nanos": "they cost",
}


def _rows(rows: Sequence[report.Row], keys: Sequence[str]) -> list[str]:
    """A table of the first rows."""
    lines = [f"| {' | '.join(_HEADINGS.get(key, key) for key in keys)} |", f"|{' --- |' * len(keys)}"]
    for row in rows[:_ROWS_MAX]:
        cells = (money(row[key]) if key.endswith("_nanos") else inert_markdown(str(row[key])) for key in keys)
        lines.append(f"| {' | '.join(cells)} |")
    if len(rows) > _ROWS_MAX:
        lines.append(f"\n… and {len(rows) - _ROWS_MAX:,} more")
    return lines
