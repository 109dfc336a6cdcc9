"""Calls decided under a policy text on a real ledger at chosen instants: no gate, no clock, no prices."""

from __future__ import annotations

import itertools
import secrets
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from ledger.kit import FAILED, open_ledger, row
from ledger.kit import settled as ending
from spendgate.admission import Admit, Decision, Refuse, decide
from spendgate.config.policy_file import parse_policy
from spendgate.fitting import enforces, scopes
from spendgate.gate.past import counted, scopes_of
from spendgate.ledger import Ledger
from spendgate.ledger.check import check
from spendgate.ledger.queries import Reader
from spendgate.money import NANOS_PER_DOLLAR
from spendgate.policy import Policy
from spendgate.selector import Facts
from spendgate.standing import Scope, Size, Standing

_ids = itertools.count()
_PROCESS = secrets.token_hex(4)
HEAD = "version: 1\nowner: ops@acme.example\n"


def at(text: str) -> int:
    """`2026-12-01T09:00Z` or with an offset, as epoch milliseconds."""
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def dollars(amount: float) -> int:
    """Nano-dollars of a test's amount."""
    return round(amount * NANOS_PER_DOLLAR)


class Desk:
    """One gate's decisions on the ledger in a folder. Every call costs at most what it is asked with."""

    def __init__(self, folder: Path, text: str) -> None:
        self.folder = folder
        self.policy: Policy = parse_policy(f"{HEAD}{text}".encode())
        self.ledger: Ledger = open_ledger(folder)
        self._made: dict[str, tuple[Facts, int]] = {}

    def close(self) -> None:
        """The gate ends."""
        self.ledger.close()

    def scopes(self, at_ms: int, **words: Any) -> tuple[Scope, ...]:
        """What such a call draws on then."""
        return self._scopes(_facts(words), at_ms)

    def _scopes(self, facts: Facts, at_ms: int) -> tuple[Scope, ...]:
        on_plan = facts.values.get("billing") == ("subscription",)
        return scopes(self.policy, facts, at_ms, enforces(self.policy, facts), on_plan=on_plan)

    def ask(self, at_ms: int, nanos: int, *, patient: bool = False, **words: Any) -> tuple[str, Decision]:
        """One call that may cost so much; its id and what was decided, at once unless it is `patient`."""
        call_id, facts = f"{_PROCESS}-{next(_ids)}", _facts(words)
        asked = self._scopes(facts, at_ms)
        row_words = {**words, "groups": tuple(words.get("group", ()))}
        row_words.pop("group", None)
        model = row_words.pop("model", None)
        opened = row(call_id, ceiling_nanos=nanos, model_requested=model, kind="k", **{"person": "alice", **row_words})
        size = Size(nanos, nanos, largest_nanos=nanos, typical_nanos=nanos, guess_nanos=nanos, seen=500, own_seen=500)
        decision = self.ledger.hold(
            opened, asked, lambda found, kind: decide(found, kind, size, now_ms=at_ms, patient=patient), at_ms
        )
        self._made[call_id] = (facts, at_ms)
        return call_id, decision

    def refuse(self, call_id: str, refuse: Refuse, now_ms: int) -> None:
        """Write the row of a refused call."""
        facts, _ = self._made[call_id]
        named = {name: facts.values[name][0] for name in ("person", "team", "project") if name in facts.values}
        opened = row(call_id, ceiling_nanos=refuse.hold_nanos, kind="k", **named)
        self.ledger.refused(opened, refuse, now_ms=now_ms, waited_ms=0, http_status=429)

    def settle(self, call_id: str, nanos: int, *, model: str | None = None, ended_ms: int | None = None) -> None:
        """The call ends at this cost, answered by `model`."""
        facts, booked_ms = self._made[call_id]
        drawn = self._scopes(facts.answered_by(model) if model else facts, booked_ms)
        cost = 0 if facts.values.get("billing") == ("subscription",) else nanos
        charges = tuple((each, nanos) for each in drawn)
        self.ledger.settle(
            call_id, ending(cost, charges=charges, value_nanos=nanos, ended_ms=ended_ms or booked_ms + 1000)
        )

    def fail(self, call_id: str) -> None:
        """The call ends unsent, at no cost."""
        self.ledger.settle(call_id, FAILED)

    def spend(self, at_ms: int, nanos: int, **words: Any) -> bool:
        """Ask and, where admitted, settle at just this cost; whether it was admitted."""
        call_id, decision = self.ask(at_ms, nanos, **words)
        if isinstance(decision, Admit):
            self.settle(call_id, nanos)
        return isinstance(decision, Admit)

    def fill(self, now_ms: int) -> None:
        """Let the policy's budgets count what the ledger has, as a gate does at its start."""
        self.ledger.prepare(counted(self.policy, now_ms), scopes_of(self.policy), now_ms)

    def standing(self, at_ms: int, budget: str, **words: Any) -> Standing:
        """What `status` reads of one budget."""
        with Reader(self.folder / "ledger.db") as reader:
            found = reader.standings(self.scopes(at_ms, **words), at_ms)
        return next(each for each in found if each.scope.budget == budget)

    def faults(self) -> tuple[str, ...]:
        """Every fault of the ledger against itself."""
        with closing(sqlite3.connect(self.folder / "ledger.db", isolation_level=None)) as conn:
            return check(conn)


def _facts(words: dict[str, Any]) -> Facts:
    return Facts.of(**{"person": "alice", "tool": "claude-code", **words})
