"""A ledger with the calls of several weeks, as a gate would have written them."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from spendgate.admission import Admit, RefusalKind, Refuse
from spendgate.digest import Prices
from spendgate.fitting import enforces, scopes
from spendgate.ledger.interface import CallRow, Settlement
from spendgate.ledger.ledger import Ledger
from spendgate.money import NANOS_PER_DOLLAR
from spendgate.policy import Policy, person_then
from spendgate.selector import Facts
from spendgate.usage import Usage

PRICES = Prices("list 2026-10-01, 45 days old", 45)


@dataclass
class Weeks:
    """Calls into a ledger, each at its instant."""

    folder: Path
    policy: Policy
    first_ms: int
    _number: count[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.ledger = Ledger.open(self.folder / "ledger.db", self.folder / "gates", self.first_ms)

    def _row(self, person: str, at_ms: int, more: dict[str, str | None]) -> tuple[CallRow, Facts]:
        team = person_then(self.policy, person, None, "m", at_ms).team
        model = more.get("model") or "claude-opus-4-5"
        row = CallRow(
            id=f"{next(self._number):08x}", started_ms=at_ms, person=person, machine="m", provider="anthropic",
            host="api.anthropic.com", path="/v1/messages", team=team[0] if team else None, tool="claude-code",
            model_requested=model, session=more.get("session"), api_key=more.get("api_key"),
            text_bytes=int(more.get("bytes") or 1),
        )  # fmt: skip
        return row, Facts.of(model=model, person=person, team=team)

    def spend(self, person: str, at_ms: int, dollars: float, **more: str | None) -> None:
        """A call that has cost so much. `prices`, `basis`, `would` as the row has them."""
        row, facts = self._row(person, at_ms, more)
        drawn, nanos = (
            scopes(self.policy, facts, at_ms, enforces(self.policy, facts)),
            round(dollars * NANOS_PER_DOLLAR),
        )
        admit = Admit(tuple((scope, nanos) for scope in drawn))
        self.ledger.hold(row, drawn, lambda _s, _k: admit, at_ms)
        self.ledger.settle(
            row.id,
            Settlement(
                state="settled", basis=more.get("basis") or "reported", usage=Usage(input_tokens=10, output_tokens=5),
                cost_nanos=nanos, value_nanos=nanos, charges=tuple((scope, nanos) for scope in drawn), ended_ms=at_ms + 5,
                model=row.model_requested, http_status=200, prices=more.get("prices"),
            ),
        )  # fmt: skip

    def refuse(self, person: str, at_ms: int, rule: str, dollars: float, **more: str | None) -> None:
        """A call that was refused, and would have held so much."""
        row, _ = self._row(person, at_ms, more)
        hold = round(dollars * NANOS_PER_DOLLAR)
        refuse = Refuse(
            RefusalKind.SPENT,
            rule,
            "the budget is spent",
            settled_nanos=1,
            held_nanos=0,
            hold_nanos=hold,
            limit_nanos=2,
        )
        self.ledger.refused(row, refuse, now_ms=at_ms, waited_ms=0, http_status=429)
