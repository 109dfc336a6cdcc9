"""What a gate remembers between transactions is never older than the file."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ledger.kit import DAY, FAILED, HOUR, NOW, ROW, admit, open_ledger, row, scope, settled, standing_of, wait
from spendgate.admission import Admit, Decision
from spendgate.errors import LedgerUnavailable
from spendgate.ledger import Ledger, known
from spendgate.ledger.counted import Counted
from spendgate.ledger.queries import Reader
from spendgate.standing import KindStanding, Standing

DAILY, ROLLING = scope(), scope("person/1h", rolling_ms=HOUR)


def seen(ledger: Ledger, now_ms: int = NOW) -> tuple[int, int, int, int, KindStanding]:
    """Settled and held of both scopes and the count of the kind, as a decision is given them."""
    found: list[tuple[int, int, int, int, KindStanding]] = []

    def look(standings: tuple[Standing, ...], kind: KindStanding) -> Decision:
        daily, rolling = standings
        found.append((daily.settled_nanos, daily.held_nanos, rolling.settled_nanos, rolling.held_nanos, kind))
        raise RuntimeError

    with pytest.raises(RuntimeError):
        ledger.hold(row("looker"), (DAILY, ROLLING), look, now_ms)
    return found[0]


@pytest.mark.parametrize("seed", range(6))
def test_two_gates_see_what_a_gate_sees_that_remembers_nothing(tmp_path: Path, seed: int) -> None:
    """After each step of two gates, taken in any turn, both see the sums that a fresh gate reads from the file."""
    chance, gates = random.Random(seed), [open_ledger(tmp_path), open_ledger(tmp_path)]
    running: list[tuple[Ledger, str]] = []
    now = NOW
    for number in range(60):
        gate, name = chance.choice(gates), str(number)
        step = chance.randrange(5)
        if step < 2:
            gate.hold(row(name), (DAILY, ROLLING), admit(chance.randrange(1000)), now)
            running.append((gate, name))
        elif running and step < 4:
            own, ending = running.pop(chance.randrange(len(running)))
            own.sent(ending, now)
            own.settle(ending, chance.choice((FAILED, settled(chance.randrange(1000), DAILY, ROLLING))))
        else:
            now += chance.choice((-HOUR, 1, 1000, HOUR // 2))
        if chance.random() < 0.5:
            fresh = open_ledger(tmp_path)
            expected = seen(fresh, now)
            fresh.close()
            assert [seen(each, now) for each in gates] == [expected, expected]
    for each in gates:
        each.close()
    with Reader(tmp_path / "ledger.db") as reader:
        assert reader.check() == ()


def test_commit_of_anybody_else_is_seen(ledger: Ledger, tmp_path: Path) -> None:
    """Also one that came from no gate at all: the next decision reads the file."""
    ledger.hold(ROW, (DAILY,), admit(700), NOW)
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as conn:
        conn.execute("UPDATE balances SET held = held + 1 WHERE budget <> ''")
        assert standing_of(ledger, DAILY).held_nanos == 701
        conn.execute("UPDATE balances SET held = held - 1 WHERE budget <> ''")


def test_nothing_of_a_rolled_back_transaction_is_remembered(ledger: Ledger) -> None:
    """A new budget's row that is taken back gives its number to the next one, and neither its name nor its sum."""

    def broken(*_: object) -> Admit:
        raise RuntimeError("a fault in the decision")

    with pytest.raises(RuntimeError):
        ledger.hold(ROW, (scope("never"),), broken, NOW)
    ledger.hold(ROW, (DAILY,), admit(700), NOW)
    with pytest.raises(ValueError, match=r"call_rows\.id"):
        ledger.hold(ROW, (DAILY,), admit(300), NOW)
    assert (standing_of(ledger, scope("never")).held_nanos, standing_of(ledger, DAILY).held_nanos) == (0, 700)
    assert ledger.settle(ROW.id, settled(5, DAILY))
    assert standing_of(ledger, DAILY).settled_nanos == 5


def test_failed_write_is_not_remembered_as_done(ledger: Ledger) -> None:
    """A disk that fails between hold and settle: the call is still open, and ends once when the disk is back."""
    ledger.hold(ROW, (DAILY,), admit(700), NOW)
    conn = ledger._store.conn
    conn.execute("CREATE TEMP TRIGGER broken BEFORE INSERT ON chain BEGIN SELECT 1 FROM nowhere; END")
    with pytest.raises(LedgerUnavailable, match="nowhere"):
        ledger.settle(ROW.id, settled(5, DAILY))
    conn.execute("DROP TRIGGER broken")
    assert standing_of(ledger, DAILY).held_nanos == 700
    assert [ledger.settle(ROW.id, settled(5, DAILY)) for _ in range(2)] == [True, False]


def test_filling_an_open_call_is_seen_by_its_own_gate(ledger: Ledger) -> None:
    """A hold that filling has added in between is charged too, though the gate opened the call itself."""
    new = scope("new")
    ledger.hold(ROW, (DAILY,), admit(700), NOW)
    assert ledger.prepare((Counted("new", "", NOW - DAY),), lambda _: (new,), NOW) == 1
    ledger.settle(ROW.id, settled(90, DAILY))
    assert [standing_of(ledger, each).settled_nanos for each in (DAILY, new)] == [90, 90]


def test_waiter_of_another_gate_is_seen(ledger: Ledger, tmp_path: Path) -> None:
    """That nobody waits is believed only until somebody else has written."""
    assert standing_of(ledger, DAILY).ahead == 0
    other = open_ledger(tmp_path)
    other.hold(row("theirs"), (DAILY,), wait(DAILY), NOW)
    assert standing_of(ledger, DAILY).ahead == 1
    other.close()


def test_memory_is_bounded_and_full_memory_changes_nothing(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """More sessions and open calls than are remembered: the sums stay right, the memory small."""
    monkeypatch.setattr(known, "_MOST", 5)
    scopes = [scope("session", value=str(number)) for number in range(20)]
    for number, each in enumerate(scopes):
        ledger.hold(row(str(number)), (DAILY, each), admit(10), NOW)
        assert len(ledger._store.known.calls) <= 7
        assert len(ledger._store.known.balances.by_id) <= 9
    for number, each in enumerate(scopes):
        assert ledger.settle(str(number), settled(4, DAILY, each))
    assert {standing_of(ledger, each).settled_nanos for each in scopes} == {4}
    assert standing_of(ledger, DAILY).settled_nanos == 80
