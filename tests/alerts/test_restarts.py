"""What a running gate tells from its ledger is what the rules say of the same charges, wherever it dies and however far it lags.

The oracle plays the charges to `alerts.rules` one by one, with balances summed anew (`kit.Told`); the ledger is a real one.
"""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.kit import Told, at, nanos, read
from ledger.kit import open_ledger
from spendgate.admission import Admit
from spendgate.errors import LedgerUnavailable
from spendgate.fitting import scopes
from spendgate.gate.looking import Looking
from spendgate.ledger.ended_calls import EndedCalls
from spendgate.ledger.interface import CallRow, Settlement
from spendgate.ledger.ledger import Ledger
from spendgate.ledger.shared_connection import SharedConnection
from spendgate.policy import Policy
from spendgate.selector import Facts
from spendgate.usage import Usage

START = at("2026-11-02T09:00:00")
POLICY = read("""
budgets:
  - {name: person, per: person, limit: $10 per day, alerts: [50%, 80%, 100%]}
  - {name: slide, per: person, limit: $6 per rolling 6h, alerts: [50%]}
  - {name: month, limit: $40 per month, alerts: [25%]}
alerts:
  - {name: spike, spike: 3x over 3d, per: person, minimum: $2}
  - {name: burn, burn: $4 in 1h, per: person, severity: page}
  - {name: early, pace: 20% by week 1, budget: month}
  - {name: night, spend: $3 outside mon-fri 07:00-20:00, per: person}
  - {name: mix, share: 60%, match: {model: "claude-opus-*"}, per: person, minimum_calls: 3}
""")
CHARGE = st.tuples(
    st.sampled_from(["alice", "bob"]),
    st.sampled_from(["claude-opus-4-5", "claude-sonnet-4-5"]),
    st.integers(0, 30),
    st.integers(0, 12),
)
"""Who, which model, how many quarters of an hour after the one before, how many half dollars."""
STEP = st.sampled_from(["look", "look and keep", "die", "die before it is written", "lag"])


def charge(ledger: Ledger, policy: Policy, number: int, who: tuple[str, str], *, at_ms: int, cost: int) -> None:
    """A call that is held and settled at one instant."""
    person, model = who
    drawn = scopes(policy, Facts.of(person=person, model=model), at_ms, True)
    row = CallRow(f"call-{number}", at_ms, person, "m", "anthropic", "h", "/", model_requested=model, kind="k")
    ledger.hold(row, drawn, lambda *_: Admit(tuple((scope, cost) for scope in drawn)), at_ms)
    end = Settlement(
        state="settled", basis="reported", usage=Usage(input_tokens=1), cost_nanos=cost, value_nanos=cost,
        charges=tuple((scope, cost) for scope in drawn), ended_ms=at_ms, model=model,
    )  # fmt: skip
    ledger.settle(row.id, end)


class Mortal(EndedCalls):
    """Ended calls of a gate that dies at the last moment before the file has what it found."""

    def wrote(self, *_: object, **__: object) -> bool:
        raise LedgerUnavailable("killed")


def look(shared: SharedConnection, looking: Looking | None, now_ms: int, step: str) -> Looking | None:
    """One thing that a gate does, or that happens to it."""
    if step == "lag":
        return looking
    if step == "die":
        return None
    if step == "die before it is written":
        try:
            Looking(Mortal(shared)).look(POLICY, now_ms, keeps=True)
        except LedgerUnavailable:
            pass  # what the test is about
        return None
    looking = looking or Looking(EndedCalls(shared))
    looking.look(POLICY, now_ms, keeps=step == "look and keep")
    return looking


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(CHARGE, STEP), min_size=1, max_size=30))
def test_nothing_is_lost_or_told_twice(happens: list[tuple[tuple[str, str, int, int], str]]) -> None:
    """The very same alerts, with the same figures and words, in the same order."""
    oracle, now_ms, looking = Told(POLICY), START, None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "ledger.db")
        ledger = open_ledger(Path(folder), START)
        shared = SharedConnection(path)
        for number, ((person, model, quarters, halves), step) in enumerate(happens):
            now_ms += quarters * 900_000 + 1
            cost = nanos(halves / 2)
            oracle.charge(now_ms, cost, person=person, model=model)
            charge(ledger, POLICY, number, (person, model), at_ms=now_ms, cost=cost)
            looking = look(shared, looking, now_ms, step)
        look(shared, looking, now_ms, "look and keep")
        shared.close()
        with closing(sqlite3.connect(path)) as conn:
            told = conn.execute("SELECT rule, value, window, at_ms, text, command FROM alerts ORDER BY id").fetchall()
        ledger.close()
    expected = [(a.rule, a.value, a.window, a.at_ms, a.text) for a in oracle.found]
    assert [row[:5] for row in told] == expected


def test_two_gates_tell_once(tmp_path: Path) -> None:
    """Where both look at once (a lock that a file system does not keep), the slower writes nothing and begins anew."""
    ledger = open_ledger(tmp_path, START)
    path = tmp_path / "ledger.db"
    with closing(SharedConnection(path)) as one, closing(SharedConnection(path)) as two:
        first, second = Looking(EndedCalls(one)), Looking(EndedCalls(two))
        charge(ledger, POLICY, 1, ("alice", "claude-opus-4-5"), at_ms=START, cost=nanos(5))
        assert first.look(POLICY, START) > 0
        try:
            second.look(POLICY, START)
        except LedgerUnavailable as fault:
            assert "looked further" in str(fault)
        Looking(EndedCalls(two)).look(POLICY, START, keeps=True)
    with closing(sqlite3.connect(path)) as conn:
        assert conn.execute("SELECT count(*) FROM alerts GROUP BY rule, value, window").fetchall() == [(1,)] * 4
    ledger.close()


def test_a_new_rule_sums_what_the_ledger_has(tmp_path: Path) -> None:
    """A policy that begins to look back knows the days before it; of what was over before it nothing is told."""
    plain = read("budgets: [{name: person, per: person, limit: $100 per day, alerts: [90%]}]\n")
    spike = read(
        "budgets: [{name: person, per: person, limit: $100 per day, alerts: [90%]}]\n"
        "alerts: [{name: spike, spike: 3x over 3d, per: person}]\n"
    )
    ledger = open_ledger(tmp_path, START)
    day = 86_400_000
    with closing(SharedConnection(tmp_path / "ledger.db")) as shared:
        looking = Looking(EndedCalls(shared))
        for number in range(3):
            charge(ledger, plain, number, ("alice", "claude-opus-4-5"), at_ms=START + number * day, cost=nanos(2))
        looking.look(plain, START + 3 * day, keeps=True)
        charge(ledger, spike, 10, ("alice", "claude-opus-4-5"), at_ms=START + 3 * day, cost=nanos(5.99))
        assert looking.look(spike, START + 3 * day) == 0
        charge(ledger, spike, 11, ("alice", "claude-opus-4-5"), at_ms=START + 3 * day + 1, cost=nanos(0.01))
        assert looking.look(spike, START + 3 * day + 1) == 1
    ledger.close()
