"""`spendgate policy diff` and `policy review`: what a change of a policy does, and what it would have done."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from spendgate.cli import in_force
from spendgate.cli.options import FormatOption, StateOption, existing_state
from spendgate.cli.output import Format, emit, inert, money, writing
from spendgate.cli.replay import SINCE, headline
from spendgate.cli.spans import span
from spendgate.cli.spend import SinceOption
from spendgate.config import policies
from spendgate.config.known import KNOWN
from spendgate.errors import PolicyError
from spendgate.ledger.queries import Reader
from spendgate.model_names import family
from spendgate.policy import Policy
from spendgate.pricing import PriceBook
from spendgate.replay import report
from spendgate.replay.engine import replay
from spendgate.replay.outcome import Outcome
from spendgate.review.changes import Change, Effect
from spendgate.review.diff import diff
from spendgate.window import local_date

OldArgument = Annotated[Path, typer.Argument(metavar="OLD", help="The policy as it is.")]
NewArgument = Annotated[Path, typer.Argument(metavar="NEW", help="The policy as it shall be.")]
_ROWS_MAX = 10


def register(group: typer.Typer) -> None:
    """Add the commands."""
    group.command("diff")(diff_)
    group.command("review")(review)


def diff_(old: OldArgument, new: NewArgument, fmt: FormatOption = Format.TABLE) -> None:
    """Say in words what a change does: who may spend more or less, who gains or loses which models, what is decrypted."""
    changes = _changes(*_both(old, new))
    if fmt is Format.TABLE:
        with writing():
            for line in _lines(changes):
                typer.echo(line)
        return
    rows = [{"effect": each.effect.value, "text": each.text, "where": each.where} for each in changes]
    emit(rows, (), fmt, keys=("effect", "text", "where"))


def review(old: OldArgument, new: NewArgument, since: SinceOption = None, state: StateOption = None) -> None:
    """The comment for a pull request, in Markdown: what the change does, and what it would have done to the ledger's calls.

    From --since on (30d where it is not given), as `policy replay` runs them.
    """
    was, now = _both(old, new)
    found = existing_state(state)
    asked = span(in_force.policy(found), since or SINCE, None, None)
    with closing(Reader(found.ledger)) as reader:
        outcome = replay(now, asked.since_ms or 0, reader.history)
    with writing():
        typer.echo("\n".join(_markdown(_changes(was, now), outcome, now)))


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
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    models = sorted({family(name) for name in PriceBook().model_ids()})
    return diff(old, new, local_date(new.timezone, now_ms), models)


def _lines(changes: Sequence[Change]) -> Iterator[str]:
    """Each effect with its changes under it."""
    if not changes:
        yield "nothing changes"
    for effect in Effect:
        told = [change for change in changes if change.effect is effect]
        if told:
            yield f"{effect.value}:"
            yield from (f"  {inert(change.text)}" for change in told)


def _markdown(changes: Sequence[Change], outcome: Outcome, policy: Policy) -> list[str]:
    lines = [f"### What this policy changes (`{policy.hash}`)", ""]
    if not changes:
        lines += ["Nothing.", ""]
    for effect in Effect:
        told = [change for change in changes if change.effect is effect]
        if told:
            lines += [f"**{effect.value[0].upper()}{effect.value[1:]}**", ""]
            lines += [f"- {_inert(change.text)}" for change in told]
            lines.append("")
    lines += [
        "### What it would have done",
        "",
        *(f"{_inert(line)}  " for line in headline(outcome, ZoneInfo(policy.timezone))),
    ]
    if outcome.rules:
        lines += ["", *_rows(report.rules(outcome), ("rule", "does", "kind", "calls", "people", "cost_nanos"))]
    refused = [row for row in report.people(outcome) if row["refused"]]
    if refused:
        lines += ["", *_rows(refused, ("person", "refused", "saved_nanos", "calls", "cost_nanos"))]
    if outcome.alerts:
        lines += ["", *_rows(report.alert_rules(outcome), ("rule", "severity", "times", "told", "first_at", "last_at"))]
    return lines


_HEADINGS = {
    "kind": "why",
    "cost_nanos": "cost",
    "saved_nanos": "saved",
    "calls": "calls",
    "rule": "rule",
    "first_at": "first",
    "last_at": "last",
}


def _rows(rows: Sequence[report.Row], keys: Sequence[str]) -> list[str]:
    """A table of the first rows."""
    lines = [f"| {' | '.join(_HEADINGS.get(key, key) for key in keys)} |", f"|{' --- |' * len(keys)}"]
    for row in rows[:_ROWS_MAX]:
        cells = (money(row[key]) if key.endswith("_nanos") else _inert(str(row[key])) for key in keys)
        lines.append(f"| {' | '.join(cells)} |")
    if len(rows) > _ROWS_MAX:
        lines.append(f"\n… and {len(rows) - _ROWS_MAX:,} more")
    return lines


_MARKS = re.compile(r"[\\`*\[\]<|#~&_]|\$(?!\d)")
"""What Markdown reads. Of two `$` around a formula the last one is followed by no digit: amounts stay as they are."""
_LINKS = re.compile(r"@|:(?=//)|www(?=\.)", re.IGNORECASE)
"""What a mention, an address and a bare host begin with."""


def _inert(text: str) -> str:
    """Text that is no Markdown and no HTML: names can come from a client's headers."""
    shown = inert(text)
    shown = _MARKS.sub(r"\\\g<0>", shown)
    return _LINKS.sub("\\g<0>\u200b", shown)
