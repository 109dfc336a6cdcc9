"""Any order of hold, resize, sent, settle, release, crash and clock step, on two gates: the ledger stays equal to its model."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from ledger.kit import DAY, FAILED, HOUR, NOW, admit, open_ledger, row, scope, settled
from spendgate.ledger import Ledger
from spendgate.ledger.check import check
from spendgate.ledger.queries import Reader
from spendgate.standing import Hold, Scope

MONEY = st.integers(0, 10**13)
SCOPES = (
    scope("month", window="2026-11", hold=Hold.CEILING),
    scope("hour", rolling_ms=HOUR),
    scope("life", window="life", ends_ms=None),
)


@dataclass
class Modelled:
    """What a call should have done to every scope."""

    gate: int
    booked_ms: int
    holds: dict[Scope, int]
    sent: bool = False
    typical: int | None = None
    resized: bool = False
    charges: dict[Scope, int] | None = None


@dataclass
class Model:
    """All calls, by id."""

    calls: dict[str, Modelled] = field(default_factory=dict)

    def settled(self, of: Scope, now: int) -> int:
        """Sum of charges in the window as of now."""
        return sum(call.charges.get(of, 0) for call in self._inside(of, now) if call.charges is not None)

    def held(self, of: Scope, now: int) -> int:
        """Sum of open holds in the window as of now."""
        return sum(call.holds.get(of, 0) for call in self._inside(of, now) if call.charges is None)

    def _inside(self, of: Scope, now: int) -> list[Modelled]:
        return [call for call in self.calls.values() if of.rolling_ms is None or call.booked_ms > now - of.rolling_ms]


class Lifecycle(RuleBasedStateMachine):
    """Two gates on one file, one model of what the sums must be."""

    open_calls: Bundle[str] = Bundle("open_calls")
    ended_calls: Bundle[str] = Bundle("ended_calls")

    @initialize()
    def start(self) -> None:
        """An empty ledger, two gates."""
        self.folder = tempfile.TemporaryDirectory()
        self.now = NOW
        self.model = Model()
        self.gates: list[Ledger] = [self._open(), self._open()]

    def _open(self) -> Ledger:
        return open_ledger(Path(self.folder.name))

    @rule(target=open_calls, gate=st.integers(0, 1), nanos=MONEY, count=st.integers(1, 3), typical=st.none() | MONEY)
    def hold(self, gate: int, nanos: int, count: int, typical: int | None) -> str:
        """A call is admitted with holds in some of the scopes."""
        name, scopes = str(len(self.model.calls)), SCOPES[:count]
        self.gates[gate].hold(row(name, typical_nanos=typical), scopes, admit(nanos), self.now)
        self.model.calls[name] = Modelled(gate, self.now, dict.fromkeys(scopes, nanos), typical=typical)
        return name

    @rule(name=open_calls, nanos=MONEY)
    def resize(self, name: str, nanos: int) -> None:
        """Its holds are corrected, unless a crash has ended it."""
        call = self.model.calls[name]
        after = self.gates[call.gate].resize(name, tuple((each, nanos) for each in call.holds), self.now)
        assert bool(after) == (call.charges is None)
        if call.charges is None:
            call.holds, call.resized = dict.fromkeys(call.holds, nanos), True

    @rule(name=open_calls)
    def sent(self, name: str) -> None:
        """Its head goes upstream."""
        call = self.model.calls[name]
        self.gates[call.gate].sent(name, self.now)
        call.sent = call.sent or call.charges is None

    @rule(target=ended_calls, name=consumes(open_calls), cost=MONEY, elsewhere=st.booleans())
    def settle(self, name: str, cost: int, elsewhere: bool) -> str:
        """It ends with a cost, perhaps also in a scope that held nothing."""
        call = self.model.calls[name]
        scopes = SCOPES if elsewhere else tuple(call.holds)
        assert self.gates[call.gate].settle(name, settled(cost, *scopes)) == (call.charges is None)
        if call.charges is None:
            call.charges = dict.fromkeys(scopes, cost)
        return name

    @rule(target=ended_calls, name=consumes(open_calls))
    def release(self, name: str) -> str:
        """Nothing was sent."""
        call = self.model.calls[name]
        self.gates[call.gate].settle(name, FAILED)
        call.charges = call.charges if call.charges is not None else {}
        return name

    @rule(name=ended_calls, cost=MONEY)
    def settle_again(self, name: str, cost: int) -> None:
        """A late second end changes nothing, from whichever gate."""
        assert not any(gate.settle(name, settled(cost, *SCOPES)) for gate in self.gates)

    @rule(gate=st.integers(0, 1))
    def crash(self, gate: int) -> None:
        """A gate dies with its calls open; the other resolves them, once."""
        self.gates[gate].close()
        resolved = self.gates[1 - gate].resolve_orphans(self.now)
        assert self.gates[1 - gate].resolve_orphans(self.now).gates == 0
        orphans = [call for call in self.model.calls.values() if call.gate == gate and call.charges is None]
        assert resolved.interrupted == sum(call.sent for call in orphans)
        assert resolved.released == sum(not call.sent for call in orphans)
        for call in orphans:
            call.charges = {each: self._orphan_charge(call, each, nanos) for each, nanos in call.holds.items()}
        self.gates[gate] = self._open()

    @staticmethod
    def _orphan_charge(call: Modelled, of: Scope, nanos: int) -> int:
        if not call.sent:
            return 0
        if of.hold is Hold.CEILING or call.resized or call.typical is None or nanos == 0:
            return nanos
        return call.typical

    @rule(step=st.integers(-2 * DAY, 2 * DAY))
    def clock_steps(self, step: int) -> None:
        """The wall clock jumps; the calendar scope stands for any window that is still the same."""
        self.now += step

    @invariant()
    def equals_the_model(self) -> None:
        """Counter = settled + open holds, in each scope; the file agrees with itself."""
        if not hasattr(self, "gates"):
            return
        path = Path(self.folder.name) / "ledger.db"
        with Reader(path) as reader:
            for standing in reader.standings(SCOPES, self.now):
                assert standing.settled_nanos == self.model.settled(standing.scope, self.now)
                assert standing.held_nanos == self.model.held(standing.scope, self.now)
        with closing(sqlite3.connect(path, isolation_level=None)) as conn:
            assert check(conn) == ()

    def teardown(self) -> None:
        """Close both gates."""
        for gate in getattr(self, "gates", ()):
            gate.close()
        if hasattr(self, "folder"):
            self.folder.cleanup()


Lifecycle.TestCase.settings = settings(
    max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestLifecycle = Lifecycle.TestCase
