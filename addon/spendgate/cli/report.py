"""All that `status` says, as values: the gate, the policy in force, what this person draws on, what could not be seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spendgate.cli import alive, budget_rows, in_force, rates_shown, seats
from spendgate.cli.moments import iso
from spendgate.cli.outside import Outside, outside
from spendgate.cli.own_calls import calls_of, scopes_of_calls
from spendgate.cli.went_by import went_by
from spendgate.config.paths import State
from spendgate.ledger.gates import living
from spendgate.ledger.queries import Reader
from spendgate.notices import notices
from spendgate.policy import Policy, person_of, today_in
from spendgate.roster import MachineGroup
from spendgate.seats import InUse, Used
from spendgate.window import DAY_MS

ON_THIS_MACHINE = "on this machine"
"""Where a limit holds while no ledger is shared: another machine may spend it once more."""
_UNSEEN_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that `status` says."""

    gates: int
    silent: tuple[str, ...]
    """Ways of the gate through which nothing is captured."""
    policy: Policy
    said: in_force.InForce | None
    person: str
    budgets: tuple[dict[str, object], ...]
    rates: tuple[dict[str, object], ...]
    """Each limit of each rate that counts such calls."""
    coverage: tuple[dict[str, object], ...]
    over_nanos: int
    """The most that open calls could still cost above their holds."""
    free: int
    unrecognized: int
    would_refuse: dict[str, int]
    guessed: tuple[int, int]
    """Calls whose model no price list has, and their nano-dollars."""
    """How many calls each rule would have refused but for `observe` or `warn`."""
    ledger: dict[str, object]
    machine: str
    machine_groups: tuple[MachineGroup, ...]
    seats: tuple[tuple[InUse, Used | None], ...]
    """Each seat over everybody who was seen to use it, and this person's use."""
    notices: tuple[str, ...]
    """What the policy's own words lead to now: that it has ended, that no hub is reached, that nothing is purged."""
    outside: Outside
    """What stands about the ledger outside it."""
    went_by: tuple[dict[str, Any], ...] = ()
    """Calls that lack what a budget is kept per, and that it lets go by."""

    undelivered: tuple[int, tuple[str, ...]] = (0, ())
    """Messages of alerts that are not there yet, or never will be, and why."""

    unseen: tuple[dict[str, Any], ...] = ()
    """The newest alerts of the last day about this person that nobody has acknowledged."""

    def _undelivered(self) -> dict[str, object]:
        number, why = self.undelivered
        unseen = [{**row, "made_at": iso(row["made_ms"])} for row in self.unseen]
        return {"undelivered": number, "why": list(why), "unseen": unseen}

    def as_json(self) -> dict[str, object]:
        """The report for programs."""
        said, validity = self.said, self.policy.validity
        return {
            "gate": {
                "up": self.gates > 0,
                "gates": self.gates,
                "modes": list(said.modes) if said and self.gates else [],
                "captures_nothing_through": list(self.silent),
            },
            "policy": {
                "hash": self.policy.hash,
                "source": said.source if said else None,
                "owner": self.policy.owner,
                "mode": self.policy.mode.default,
                "refused": list(said.refused) if said else [],
                "revision": validity.revision,
                "valid_until": str(validity.valid_until) if validity.valid_until else None,
                "included": list(said.included) if said else [],
                "signed_by": (said.signed_by or None) if said else None,
                "notices": list(self.notices),
            },
            "machine": {
                "id": self.machine,
                "groups": [group.name for group in self.machine_groups],
                "owners": [group.owner for group in self.machine_groups if group.owner],
            },
            "limits_hold": ON_THIS_MACHINE,
            "alerts": {"rules": len(self.policy.alerts), "thresholds": thresholds(self.policy), **self._undelivered()},
            "prices": said.prices if said else None,
            "person": self.person,
            "budgets": list(self.budgets),
            "seats": [{**seats.summary(all_of), "own": seats.row(own) if own else None} for all_of, own in self.seats],
            "rates": list(self.rates),
            "open_calls_above_holds_nanos": self.over_nanos,
            "free_calls": self.free,
            "unrecognized_calls": self.unrecognized,
            "would_refuse_by": self.would_refuse,
            "price_unknown_calls": self.guessed[0],
            "price_unknown_nanos": self.guessed[1],
            "went_by": list(self.went_by),
            "coverage": list(self.coverage),
            "ledger": {**self.ledger, "findings": self.outside.rows()},
            "clock": self.outside.clock_row(),
        }


def gathered(state: State, policy: Policy, reader: Reader, account: str, now_ms: int) -> Report:
    """What holds at this instant for the person whose OS account it is."""
    said = in_force.told(state)
    machine = said.machine if said else "unknown"
    match = person_of(policy, account, today=today_in(policy, now_ms), machine=machine)
    facts = tuple(calls_of(policy, match, machine, reader, now_ms))
    standings = reader.standings(tuple(scopes_of_calls(policy, facts, now_ms)), now_ms)
    states = reader.states()
    head, until_ms = reader.head(), reader.purged_until_ms()
    gates = living(state.gates)
    return Report(
        gates=len(gates),
        silent=tuple(way for gate in in_force.of_gates(state, gates) for way in alive.silent(gate)),
        policy=policy,
        said=said,
        person=match.person,
        budgets=tuple(budget_rows.row(standing, policy) for standing in standings),
        rates=rates_shown.rows(policy, facts, reader, now_ms),
        coverage=reader.coverage(),
        over_nanos=reader.open_above_holds(),
        free=states.get("free", 0),
        unrecognized=states.get("unrecognized", 0),
        would_refuse=reader.would_refuse(),
        guessed=reader.guessed_prices(),
        machine=machine,
        machine_groups=policy.roster.machine_groups(machine),
        seats=tuple(
            (all_of, next((each for each in people if each.person == match.person), None))
            for all_of, people in seats.of_everybody(policy, reader, now_ms)
        ),
        notices=notices(policy, now_ms),
        ledger={
            "id": head.id,
            "created_at": iso(head.created_ms),
            "rows": head.rows,
            "head": head.head,
            "keep_days": policy.privacy.keep_days,
            "purged_until": iso(until_ms) if until_ms is not None else None,
        },
        outside=outside(state, reader),
        went_by=went_by(policy, reader, now_ms),
        undelivered=reader.undelivered(),
        unseen=reader.unseen(match.person, now_ms - DAY_MS, _UNSEEN_SHOWN),
    )


def thresholds(policy: Policy) -> int:
    """How many shares of budgets are to be told."""
    return sum(len(budget.alerts) for budget in policy.budgets)
