"""Runs the explainer over a simulated month and compares what it found with what was injected, in dollars.

The one place that knows both sides: the simulator knows nothing of the explainer, and the explainer nothing of it.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import closing
from pathlib import Path
from typing import Final

from msgspec import Struct

from reconcile.simulator import fleet
from reconcile.simulator.answers import Answer, answer
from reconcile.simulator.bill import bills
from reconcile.simulator.books import Row
from reconcile.simulator.filing import file
from reconcile.simulator.month import Known, Month, Span, Witness
from reconcile.simulator.prices import PARTS
from spendgate.ledger.queries import Reader
from spendgate.ledger.statements import StatementBook
from spendgate.reconcile.captured import Call
from spendgate.reconcile.facts import Facts, Interval, Key, Person, Role, Witnessed
from spendgate.reconcile.result import Cause, Result
from spendgate.reconcile.run import Options, Version, compare, reconcile
from spendgate.statement import Statement

UNEXPLAINED: Final = "unexplained"
Name = Cause | str
"""A cause, or UNEXPLAINED."""


class Score(Struct, frozen=True):
    """One month: injected and found, in nano-dollars."""

    answer: Answer
    result: Result
    injected: dict[Name, int]
    found: dict[Name, int]

    @property
    def off(self) -> dict[Name, int]:
        """Found less injected, where they differ."""
        names = [*self.injected, *(name for name in self.found if name not in self.injected)]
        each = {name: self.found.get(name, 0) - self.injected.get(name, 0) for name in names}
        return {name: nanos for name, nanos in each.items() if nanos}

    @property
    def right(self) -> float:
        """The share of the injected dollars that is in the right cause: what is missing there or too much is in a wrong one."""
        total = sum(abs(nanos) for nanos in self.injected.values())
        return 1 - sum(abs(nanos) for nanos in self.off.values()) / (2 * total) if total else 1.0

    @property
    def right_by_day(self) -> float:
        """The same where each cause must be right on each day of each provider: nothing is set off against another day."""
        injected = {place: parts // PARTS for place, parts in self.answer.places.items()}
        found: dict[object, int] = defaultdict(int)
        for each in self.result.findings:
            found[each.cause, each.provider, each.day_ms] += each.nanos
        wrong = sum(abs(found.get(place, 0) - nanos) for place, nanos in injected.items())
        wrong += sum(abs(nanos) for place, nanos in found.items() if place not in injected)
        wrong += sum(abs(each.unexplained_nanos) for each in self.result.days)
        total = sum(abs(nanos) for nanos in injected.values())
        return 1 - wrong / (2 * total) if total else 1.0


def through_ledger(month: Month, folder: Path) -> Score:
    """The whole way: rows in a real ledger, statements imported into it, `reconcile`."""
    path = file(month, folder)
    with StatementBook(path) as book:
        for at, said in enumerate(_said(month)):
            book.take(said, "simulator", month.now_ms - 1_000 + at)
    with closing(Reader(path)) as reader:
        return _score(month, reconcile(reader, _options(month), facts_of(month.known)))


def in_memory(month: Month) -> Score:
    """The pure function behind it, for many small months."""
    rows = sorted((each.row for each in month.requests if each.row is not None), key=lambda row: row.started_ms)
    versions = [Version(f"v{at}", month.now_ms - 1_000 + at, said) for at, said in enumerate(_said(month))]
    return _score(month, compare([_call(row) for row in rows], versions, facts_of(month.known), _options(month)))


def faults(score: Score) -> list[str]:
    """What must hold of every result, whatever it explains; none when it does."""
    result, found = score.result, []
    if result.gap_nanos != sum(each.nanos for each in result.findings) + result.unexplained_nanos:
        found.append("causes and unexplained are not the gap")
    if result.billed_nanos != score.answer.billed_nanos:
        found.append(f"billed is {result.billed_nanos}, the statements say {score.answer.billed_nanos}")
    if result.captured_nanos != score.answer.captured_nanos:
        found.append(f"captured is {result.captured_nanos}, the ledger says {score.answer.captured_nanos}")
    if result.billed_nanos != sum(each.billed_nanos for each in result.days):
        found.append("the days' bills are not the whole bill")
    if result.captured_nanos != sum(each.captured_nanos for each in result.days):
        found.append("the days' calls are not all that was captured")
    if result.unexplained_nanos != sum(each.unexplained_nanos for each in result.days):
        found.append("the days' unexplained is not the whole")
    if result.gap_nanos != result.under_nanos + result.over_nanos:
        found.append("what is under and what is over are not the gap")
    return found


def _said(month: Month) -> list[Statement]:
    made = bills(month)
    return [*(bill.earlier for bill in made if bill.earlier is not None), *(bill.statement for bill in made)]


def _options(month: Month) -> Options:
    return Options(month.from_ms, month.until_ms, month.now_ms)


def _score(month: Month, result: Result) -> Score:
    said = answer(month)
    injected: dict[Name, int] = {cause: parts // PARTS for cause, parts in said.causes.items()}
    found: dict[Name, int] = defaultdict(int)
    for each in result.findings:
        found[each.cause] += each.nanos
    if result.unexplained_nanos:
        found[UNEXPLAINED] = result.unexplained_nanos
    return Score(said, result, injected, dict(found))


# -- what is known, in the explainer's words -----------------------------------------------------------------------------


def facts_of(known: Known) -> Facts:
    """The fleet as whoever reconciles would describe it."""
    return Facts(
        keys=(
            *(_key(key, Role.FLEET) for key in known.keys),
            *(_key(key, Role.ELSEWHERE) for key in known.elsewhere),
            *(_key(key, Role.GATEWAY) for key in known.gateways),
        ),
        people=tuple(Person(each.name, (each.email,)) for each in known.people),
        complete=known.complete,
        gateway_hosts=tuple(known.gateway_hosts),
        outages=tuple(map(_interval, known.outages)),
        presence=tuple(map(_interval, known.presence)),
        witnessed=tuple(map(_witnessed, known.witnessed)),
    )


def _key(key: fleet.Key, role: Role) -> Key:
    return Key(key.provider, key.id, (key.fingerprint,), key.person, key.name, key.hint, role)


def _interval(span: Span) -> Interval:
    return Interval(span.machine, span.from_ms, span.until_ms, span.person, span.why)


def _witnessed(seen: Witness) -> Witnessed:
    row = seen.row_like
    log = "Claude Code's session log" if row.tool == "claude-code" else "Codex's session log"
    return Witnessed(
        row.provider, row.started_ms, log, row.request_id, row.response_id, row.model, row.usage, seen.subcalls,
        row.person, row.machine, seen.why,
    )  # fmt: skip


def _call(row: Row) -> Call:
    return Call(
        row.started_ms, row.provider, row.model, row.state, row.usage, row.cost_nanos, row.value_nanos, 1, row.id,
        row.ended_ms, row.api_key or "", row.person, row.machine, row.tool, row.host, "", row.billing, row.basis,
        row.prices or "", ",".join(row.flags), row.http_status, row.request_id, row.response_id,
    )  # fmt: skip
