"""What the file says of rates is what memory says: for two gates in turns, after restarts, reboots and failed transactions."""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ledger.kit import FAILED, NOW, open_ledger, row, settled
from spendgate.admission import Admit, Decision, decide
from spendgate.flow import Limits, Sliding, Tokens, corrected
from spendgate.ledger import Ledger, flows
from spendgate.ledger.check import check
from spendgate.ledger.interface import Flowing
from spendgate.rate_memory import RateMemory
from spendgate.standing import Hold, KindStanding, Scope, Size, Standing

NEED = Tokens()
NOTHING = Size(ceiling_nanos=0, learned_nanos=0)
RATES = (
    Limits(Sliding(4, 50)),
    Limits(Sliding(9, 200), Sliding(100, 120)),
    Limits(tokens=Sliding(150, 90), cache_reads=True, parallel=3),
    Limits(parallel=2),
)


def rate_scope(place: int, value: str) -> Scope:
    """One of the rates, for one value."""
    return Scope(f"rate{place}", value, "life", 0, None, None, 0, Hold.RATE, 0, True, False, place, "w", RATES[place])


class Gate:
    """A ledger, and the calls that this gate has open."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger = open_ledger(folder)
        self.open: dict[str, Flowing] = {}

    def hold(
        self, call: str, scopes: tuple[Scope, ...], boot: str, boot_ms: int, need: Tokens = NEED, *, wall_ms: int = NOW
    ) -> list[Standing]:
        """Decide this call; the standings that it was decided by."""
        rates = tuple(scope for scope in scopes if scope.rate.longest_ms)
        longest_ms = max((scope.rate.longest_ms for scope in rates), default=0)
        flowing = Flowing(boot, boot_ms, need, rates, longest_ms)
        seen: list[Standing] = []

        def look(standings: tuple[Standing, ...], kind: KindStanding) -> Decision:
            seen.extend(standings)
            return decide(standings, kind, NOTHING, now_ms=wall_ms, patient=False)

        if isinstance(self.ledger.hold(row(call), scopes, look, wall_ms, flowing=flowing), Admit):
            self.open[call] = flowing
        return seen

    def end(self, call: str, used: Tokens | None, *, sent: bool) -> None:
        """End it."""
        was = self.open.pop(call)
        change = corrected(was.need, used, sent=sent) if was.rates else None
        flowed = None if change is None else replace(was, requests=change[0], need=change[1])
        assert self.ledger.settle(call, replace(settled(0) if sent else FAILED, flowed=flowed))


tokens_of = st.builds(Tokens, st.integers(0, 40), st.integers(0, 40))
asks = st.tuples(
    st.just("ask"), st.integers(0, 1), st.integers(0, 30), tokens_of, st.sets(st.integers(0, 3), min_size=1),
    st.sampled_from("ab"),
)  # fmt: skip
ends = st.tuples(st.just("end"), st.integers(0, 1), st.integers(0, 30), st.none() | tokens_of, st.booleans())
others = st.tuples(st.sampled_from(["restart", "fail"]), st.integers(0, 1), st.integers(0, 30))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.one_of(asks, asks, ends, others), max_size=40))
def test_the_file_counts_as_memory_does(steps: list[tuple[Any, ...]]) -> None:
    """Each standing of each decision is the same, whichever of two gates asks, and whatever happened to it before."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as gates_open:
        gates, memory, boot_ms = [Gate(Path(name)), Gate(Path(name))], RateMemory(), 10_000
        gates_open.callback(lambda: [gate.ledger.close() for gate in gates])
        for number, (what, which, pause, *rest) in enumerate(steps):
            boot_ms += pause
            gate, call = gates[which], f"call-{number}"
            if what == "ask":
                need, places, value = rest
                scopes = tuple(rate_scope(place, value) for place in sorted(places))
                expected = memory.standings(scopes, need, boot_ms)
                assert tuple(gate.hold(call, scopes, "one", boot_ms, need)) == expected
                if call in gate.open:
                    memory.admitted(call, scopes, need, boot_ms)
            elif what == "end" and gate.open:
                used, sent = rest
                first = next(iter(gate.open))
                gate.end(first, used, sent=sent)
                memory.ended(first, used, sent=sent)
            elif what == "fail":
                _failing_hold(gate, call, boot_ms)
            elif what == "restart" and not gate.open:
                gate.ledger.close()
                gates[which] = Gate(Path(name))
        with contextlib.closing(sqlite3.connect(Path(name) / "ledger.db", isolation_level=None)) as conn:
            assert check(conn) == ()


def _failing_hold(gate: Gate, call: str, boot_ms: int) -> None:
    """A transaction that admits a call and then fails: nothing of it is counted."""

    def both() -> None:
        gate.hold(call, (rate_scope(1, "a"),), "one", boot_ms, Tokens(1))
        raise RuntimeError("it fails")

    with pytest.raises(RuntimeError):
        gate.ledger.together(both)
    gate.open.pop(call, None)


@pytest.mark.parametrize(
    ("boot", "boot_ms", "off_ms", "wait_ms"),
    [
        pytest.param("one", 5_000, 0, 50, id="a wall step changes nothing"),
        pytest.param("one", 5_000, -86_400_000, 50, id="nor one back"),
        pytest.param("one", 5_030, 86_400_000, 20, id="only the boot clock counts"),
        pytest.param("two", 7, 0, 50, id="a reboot frees nothing by itself"),
        pytest.param("two", 900_000, 30, 20, id="but the time for which the machine was off counts"),
        pytest.param("two", 7, -5_000, 50, id="a wall clock set back over a reboot frees nothing"),
        pytest.param("two", 7, 60, 0, id="off for longer than the rate is over"),
        pytest.param("", 7, 60, 50, id="no boot is told: no time is believed"),
    ],
)
def test_clocks(tmp_path: Path, boot: str, boot_ms: int, off_ms: int, wait_ms: int) -> None:
    """What a call of the boot `one` at 5,000 ms still counts, for a gate that starts then."""
    full = Limits(Sliding(1, 50))
    scope = replace(rate_scope(0, "a"), rate=full)
    first = Gate(tmp_path)
    first.hold("first", (scope,), "one", 5_000)
    first.end("first", None, sent=True)
    first.ledger.close()

    second = Gate(tmp_path)
    (standing,) = second.hold("second", (scope,), boot, boot_ms, wall_ms=NOW + off_ms)
    assert standing.flow.requests_wait_ms == wait_ms
    second.ledger.close()


def test_without_a_name_of_the_boot_a_reboot_counts_as_no_time(tmp_path: Path) -> None:
    """A boot clock that is far behind what it showed is another boot's; how long the machine was off is then not believed."""
    scope = replace(rate_scope(0, "a"), rate=Limits(Sliding(1, 50)))
    for boot_ms, off_ms in ((5_000_000, 0), (7, 86_400_000)):
        gate = Gate(tmp_path)
        (standing,) = gate.hold(f"at-{boot_ms}", (scope,), "", boot_ms, wall_ms=NOW + off_ms)
        gate.ledger.close()
    assert standing.flow.requests_wait_ms == 50


def test_what_counts_no_more_leaves_the_file(tmp_path: Path) -> None:
    """The log has the rows that count and at most a round of deletion more, also where each call is corrected."""
    gate = Gate(tmp_path)
    scope = replace(rate_scope(1, "a"), rate=Limits(Sliding(1_000, 50), Sliding(10**9, 50)))
    for number in range(1_000):
        gate.hold(f"call-{number}", (scope,), "one", number * 10, Tokens(5))
        gate.end(f"call-{number}", Tokens(7), sent=True)
    assert rows_of(tmp_path) <= 2 * 5 + 2 * flows.DELETE_EVERY
    gate.ledger.close()


def rows_of(folder: Path) -> int:
    """How many rows the log has."""
    with contextlib.closing(sqlite3.connect(folder / "ledger.db")) as conn:
        return int(conn.execute("SELECT count(*) FROM flows").fetchone()[0])


def test_a_dead_gates_calls_free_their_places(tmp_path: Path) -> None:
    """What a gate that died had open is no longer open when another gate has resolved it; its requests still count."""
    scope = replace(rate_scope(2, "a"), rate=Limits(Sliding(5, 1_000), parallel=2))
    dead, living = Gate(tmp_path), Gate(tmp_path)
    for call in ("one", "two"):
        dead.hold(call, (scope,), "one", 1_000)
    (standing,) = living.hold("three", (scope,), "one", 1_001)
    assert (standing.open_calls, standing.flow.requests) == (2, 2)

    _die(dead.ledger)
    living.ledger.resolve_orphans(NOW)
    (standing,) = living.hold("four", (scope,), "one", 1_002)
    assert (standing.open_calls, standing.flow.requests) == (0, 2)
    assert "four" in living.open
    living.ledger.close()


def _die(ledger: Ledger) -> None:
    """As a killed process: the lock goes, nothing is written."""
    ledger._store.close()
    ledger._gates.leave(ended=False)
