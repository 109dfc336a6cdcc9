"""A ledger's rows alone give the same limits again: every decision recomputed in memory, from the calls in their order."""

from __future__ import annotations

import sqlite3
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.desk import HEAD, Desk, at, dollars
from spendgate import limits
from spendgate.adaptive import MeanOf, Settled, settled_of
from spendgate.admission import Admit, decide
from spendgate.config.policy_file import parse_policy
from spendgate.fitting import scopes
from spendgate.limits import Claim
from spendgate.policy import Policy
from spendgate.selector import Facts
from spendgate.standing import Credit, Hold, KindStanding, Scope, Size, Standing

TEXT = """\
people: {alice: {team: payments}, bob: {team: payments}, carol: {}}
teams: {payments: {owner: lead@acme.example}}
timezone: America/New_York
budgets:
  - {name: runaway, per: person, limit: 2x mean of 3d per day, at_least: $6, at_most: $40, hold: ceiling}
  - {name: weekly, limit: 1.5x mean of 4d per week, at_most: $300, hold: ceiling}
  - {name: person, per: person, limit: [$30 per day, $90 per month], hold: ceiling}
exceptions:
  - {budget: runaway, match: {project: x}, add: $7, from: 2026-12-03, until: 2026-12-05, reason: launch, approved_by: cto}
  - {budget: person/day, match: {person: bob}, add: $20, once: true, until: 2026-12-20, reason: on call, approved_by: cto}
  - {budget: person/month, match: {team: payments}, limit: $120, until: "2026-12-06T12:00Z", reason: audit, approved_by: cto}
  - {budget: weekly, match: {person: carol}, add: $9, once: true, until: 2026-12-20, reason: carol, approved_by: cto}
"""
START = at("2026-12-01T00:00Z")
HOUR = 3_600_000
Key = tuple[str, str, str, str]


@dataclass
class Memory:
    """What a replay keeps: sums by balance, means by day, windows of what holds once. Calendar windows alone."""

    policy: Policy
    sums: dict[Key, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    means: dict[tuple[str, str, str, str], Settled] = field(default_factory=dict)
    claims: dict[tuple[str, str, str], str] = field(default_factory=dict)

    def decide(self, row: dict[str, Any]) -> tuple[Any, tuple[Scope, ...]]:
        """As the gate that wrote the row."""
        facts = Facts.of(model=None, person=row["person"], team=row["team"], project=row["project"], tool=row["tool"])
        found = scopes(self.policy, facts, row["booked_ms"], enforced=True)
        nanos = row["ceiling_nanos"]
        size = Size(nanos, nanos, largest_nanos=nanos, typical_nanos=nanos, guess_nanos=nanos, seen=500, own_seen=500)
        standings = tuple(self._standing(scope) for scope in found)
        decision = decide(standings, KindStanding("k"), size, now_ms=row["booked_ms"], patient=False)
        if isinstance(decision, Admit):
            for standing, (scope, held) in zip(standings, decision.holds, strict=True):
                self.sums[_key(scope)][1] += held
                if standing.limit is not None:
                    taken = standing.settled_nanos + standing.held_nanos + held
                    for credit in limits.claimed_by(standing.limit, taken):
                        self.claims[_claim_key(credit)] = credit.tally.window
        return decision, found

    def settle(self, row: dict[str, Any], found: tuple[Scope, ...]) -> None:
        """The call ends."""
        for scope in found:
            self.sums[_key(scope)][0] += row["cost_nanos"]
            self.sums[_key(scope)][1] -= row["ceiling_nanos"]

    def _standing(self, scope: Scope) -> Standing:
        settled, held = self.sums[_key(scope)]
        limit = None
        if scope.moves:
            limit = limits.limit(scope, scope.mean and self._mean(scope.mean, scope.value), self._used, self._claim)
        return Standing(scope, settled, held, held, int(held > 0), 0, limit=limit)

    def _mean(self, mean: MeanOf, value: str) -> Settled:
        key = (mean.budget, mean.words, value, mean.day)
        if key not in self.means:
            self.means[key] = settled_of(self.sums[mean.budget, value, day, mean.words][0] for day in mean.days)
        return self.means[key]

    def _used(self, credit: Credit) -> int:
        return sum(self.sums[_key(credit.tally)])

    def _claim(self, credit: Credit) -> Claim:
        window = self.claims.get(_claim_key(credit))
        return Claim.NONE if window is None else Claim.HERE if window == credit.tally.window else Claim.ELSEWHERE


def _key(scope: Scope) -> Key:
    return scope.budget, scope.value, scope.window, scope.words


def _claim_key(credit: Credit) -> tuple[str, str, str]:
    return credit.tally.budget, credit.once_words, credit.tally.value


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """Every call of the ledger's file."""
    with closing(sqlite3.connect(folder / "ledger.db")) as conn:
        conn.row_factory = sqlite3.Row
        return [dict(row) for row in conn.execute("SELECT * FROM call_rows ORDER BY seq")]


def events(rows: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], bool]]:
    """Each call when it was decided and, where it was admitted, when it ended."""
    times = [(row["booked_ms"], 1, place, False) for place, row in enumerate(rows)]
    times += [(row["ended_ms"], 0, place, True) for place, row in enumerate(rows) if row["state"] == "settled"]
    return ((rows[place], ends) for _, _, place, ends in sorted(times))


calls = st.lists(
    st.tuples(
        st.integers(0, 9 * 24), st.sampled_from(["alice", "bob", "carol"]), st.sampled_from([None, "x"]), st.integers(1, 25),
        st.integers(0, 40), st.integers(1, 4),
    ),
    max_size=60,
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(calls)
def test_rows_alone_give_every_decision_again(asked: list[tuple[int, str, str | None, int, int, int]]) -> None:
    """Means, exceptions, `once` and teams together; calls that outlive the night settle late: each admission, each refusal and
    its limit comes out of the rows as the gate decided it."""
    with tempfile.TemporaryDirectory() as folder, closing(Desk(Path(folder), TEXT)) as desk:
        running: list[tuple[int, int, str, int]] = []
        for number, (hour, person, project, nanos, lasts, share) in enumerate(sorted(asked, key=lambda call: call[0])):
            now = START + hour * HOUR + number
            for ended, _, call, cost in sorted(each for each in running if each[0] <= now):
                desk.settle(call, cost, ended_ms=ended)
            running = [each for each in running if each[0] > now]
            team = None if person == "carol" else "payments"
            call, decision = desk.ask(now, dollars(nanos), person=person, team=team, project=project)
            if isinstance(decision, Admit):
                running.append((now + lasts * HOUR + 1, number, call, dollars(nanos) // share))
            else:
                desk.refuse(call, decision, now)
        for ended, _, call, cost in sorted(running):
            desk.settle(call, cost, ended_ms=ended)
        assert desk.faults() == ()

        memory, open_calls = Memory(parse_policy(f"{HEAD}{TEXT}".encode())), {}
        for row, ends in events(rows_of(Path(folder))):
            if ends:
                memory.settle(row, open_calls.pop(row["id"]))
                continue
            decision, found = memory.decide(row)
            assert isinstance(decision, Admit) == (row["state"] == "settled")
            if isinstance(decision, Admit):
                open_calls[row["id"]] = found
            else:
                figures = (decision.rule, decision.value, decision.limit_nanos, decision.reason)
                assert figures == tuple(row[f"refused_{name}"] for name in ("by", "value", "limit_nanos", "reason"))


def test_the_policy_of_this_page_uses_all_that_moves() -> None:
    """So that the property above is about every part of it."""
    policy = parse_policy(f"{HEAD}{TEXT}".encode())
    assert {budget.mean is None for budget in policy.budgets} == {True, False}
    assert {each.once for each in policy.exceptions} == {True, False}
    assert {each.limit_nanos is None for each in policy.exceptions} == {True, False}
    assert {budget.hold for budget in policy.budgets} == {Hold.CEILING}


@pytest.mark.parametrize("used", [0, 5, 10, 15])
def test_the_limit_is_pure(used: int) -> None:
    """The same figures give the same limit: a call that fits sees all, any other what was used, never more than the addition."""
    exception = "{budget: b, match: {project: x}, add: $0.0001, until: 2100-01-01, reason: r, approved_by: a}"
    policy = parse_policy(f"{HEAD}budgets: [{{name: b, limit: $1}}]\nexceptions: [{exception}]\n".encode())
    dollar, most = dollars(1), dollars(0.0001)
    for project, more in (("x", most), ("y", min(most, used * 10_000))):
        scope = scopes(policy, Facts.of(person="alice", project=project), START, enforced=True)[0]
        found = limits.limit(scope, None, lambda _: used * 10_000, lambda _: Claim.NONE)
        assert found.nanos == dollar + more
