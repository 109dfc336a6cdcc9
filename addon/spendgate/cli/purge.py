"""`spendgate purge`: what is older than `privacy.keep` becomes sums by day, now; or what would."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Annotated, Any

import typer

from spendgate.cli import in_force
from spendgate.cli.moments import iso
from spendgate.cli.options import FormatOption, StateOption, existing_state, refuse_others
from spendgate.cli.output import Column, Format, emit, emit_json, note
from spendgate.cli.outside import now_ms as time_of
from spendgate.config.paths import State
from spendgate.errors import LedgerBusy, StateError
from spendgate.ledger import purgeable
from spendgate.ledger.day_sums import Totals
from spendgate.ledger.purge import Purge, run
from spendgate.ledger.purge_beside import Beside
from spendgate.ledger.purgeable import Plan
from spendgate.ledger.queries import Reader

_COLUMNS = (
    Column("when", "", weight=0),
    Column("rows", "ended calls", right=True, weight=0),
    Column("calls", "left", right=True, weight=1),
    Column("refused", "refused", right=True, weight=2),
    Column("cost_nanos", "spent", right=True, weight=0),
    Column("value_nanos", "list price", right=True, weight=3),
    Column("tokens", "tokens", right=True, weight=2),
)
_KEYS = tuple(column.key for column in _COLUMNS)
_BUSY_S = 10.0


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("purge")(purge)


def purge(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    state: StateOption = None,
    fmt: FormatOption = Format.TABLE,
) -> None:
    """Let calls older than `privacy.keep` of the policy in force become sums by day and person. A running gate does it by itself,
    once a day."""
    found = existing_state(state)
    keep_days = in_force.policy(found).privacy.keep_days
    if keep_days is None:
        note("the policy in force has no privacy.keep: rows are kept for good, nothing is purged")
        return
    now_ms = time_of(found)
    with closing(Reader(found.ledger)) as reader:
        plan, before = reader.purgeable(purgeable.before(now_ms, keep_days)), reader.totals()
    if dry_run:
        _show(fmt, keep_days, plan, [("now", before)], {"purged_calls": 0})
        note(f"{_said(plan)} would become sums by day; kept are {keep_days} days")
        return
    refuse_others(found)
    if not in_force.agreed(found):
        raise StateError(
            "gates with different policies run on this ledger, whose windows may be longer than what one of them keeps; purge "
            "once all have the same"
        )
    began = time.monotonic()
    calls, beside, after = _purged(found, keep_days, now_ms)
    took_s = time.monotonic() - began
    more = {"purged_calls": calls, "beside": _named(beside), "seconds": round(took_s, 3)}
    _show(fmt, keep_days, plan, [("before", before), ("after", after)], more)
    also = f"; and {beside}" if beside.any else ""
    note(f"{_said(plan)} became sums by day in {took_s:.1f} s{also}; kept are {keep_days} days")


def _purged(state: State, keep_days: int, now_ms: int) -> tuple[int, Beside, Totals]:
    """All of it, in turns with a gate that purges, too. Raises LedgerUnavailable, StateError."""
    calls, patient_until = 0, time.monotonic() + _BUSY_S
    with Purge(state.ledger, state.gates) as purge_:
        while True:
            try:
                found, beside = run(purge_, keep_days, now_ms, paused=_breath)
            except LedgerBusy:
                if time.monotonic() > patient_until:
                    raise
                time.sleep(0.01)
                continue
            return calls + found, beside, purge_.totals()


def _breath() -> bool:
    """Between two transactions, so that a gate that waits for its turn has it."""
    time.sleep(0.001)
    return False


def _said(plan: Plan) -> str:
    if plan.first_ms is None or plan.last_ms is None:
        return f"no call before {iso(plan.before_ms)}"
    return f"{plan.calls:,} calls from {iso(plan.first_ms)} to {iso(plan.last_ms)}"


def _named(beside: Beside) -> dict[str, int]:
    return dict(zip(Beside.__struct_fields__, beside.values(), strict=True))


def _show(fmt: Format, keep_days: int, plan: Plan, totals: list[tuple[str, Totals]], more: dict[str, Any]) -> None:
    rows = [{"when": when, **dict(zip(Totals.__struct_fields__, each.values(), strict=True))} for when, each in totals]
    if fmt is not Format.JSON:
        emit(rows, _COLUMNS, fmt, keys=_KEYS)
        return
    emit_json({
        "keep_days": keep_days, "before": iso(plan.before_ms), "calls": plan.calls,
        "first_at": None if plan.first_ms is None else iso(plan.first_ms),
        "last_at": None if plan.last_ms is None else iso(plan.last_ms), **more, "totals": rows,
    })  # fmt: skip
