"""All that `status` says, as values: the gate, the policy in force, what this person draws on, what could not be seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spendgate.cli import alive, captured, in_force
from spendgate.cli.moments import iso
from spendgate.cli.outside import Outside

ON_THIS_MACHINE = "on this machine"
"""Where a limit holds while no ledger is shared: another machine may spend it once more."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What is said of the policy in force."""

    hash: str
    owner: str
    mode: str
    timezone: str
    revision: int | None
    valid_until: str | None
    expired: str
    alerts: int
    """How many rules tell of calls."""
    thresholds: int
    """How many shares of budgets are to be told."""
    receivers: int = 0
    """How many entries of `notify` there are, the teams' too."""


@dataclass(frozen=True, slots=True)
class SeatShown:
    """A seat over everybody who was seen to use it, and this person's use."""

    line: str
    summary: dict[str, Any]
    own: dict[str, Any] | None
    """For programs."""
    own_shown: dict[str, Any] | None
    """For people."""


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that `status` says. Plain values: it may come from a service."""

    gates: int
    silent: tuple[str, ...]
    """Ways of the gate through which nothing is captured, as whoever asks has tried them."""
    policy: Rules
    said: in_force.InForce | None
    person: str
    budgets: tuple[dict[str, Any], ...]
    rates: tuple[dict[str, Any], ...]
    """Each limit of each rate that counts such calls."""
    coverage: tuple[dict[str, Any], ...]
    over_nanos: int
    """The most that open calls could still cost above their holds."""
    unbounded: int
    """Open calls of whose cost nothing is the most."""
    free: int
    unrecognized: int
    would_refuse: dict[str, int]
    """How many calls each rule would have refused but for `observe` or `warn`."""
    guessed: tuple[int, int]
    """Calls whose model no price list has, and their nano-dollars."""
    ledger: dict[str, Any]
    machine: str
    machine_groups: tuple[tuple[str, str | None], ...]
    """Names, and who answers for them."""
    seats: tuple[SeatShown, ...]
    notices: tuple[str, ...]
    """What the policy's own words lead to now: that it has ended, that no hub is reached, that nothing is purged."""
    outside: Outside
    """What stands about the ledger outside it."""
    ways: tuple[alive.Way, ...] = ()
    """The ways to be tried."""
    tools: tuple[captured.Tool, ...] = ()
    """How much of each tool's traffic to providers was read."""
    other_gates: tuple[str, ...] = ()
    """Gates that run on this ledger by another policy, in words."""
    went_by: tuple[dict[str, Any], ...] = ()
    """Calls that lack what a budget is kept per, and that it lets go by."""

    undelivered: tuple[int, tuple[str, ...]] = (0, ())
    """Messages of alerts that are not there yet, or never will be, and why."""

    asks: tuple[dict[str, Any], ...] = ()
    """What this person has asked for and nobody has answered, and whether those who can have it."""

    certificates: dict[str, Any] | None = None
    """Whose certificates the gate shows, until when, and how many days are left; None where no gate has said so."""

    unseen: tuple[dict[str, Any], ...] = ()
    """The newest alerts of the last day about this person that nobody has acknowledged."""

    def not_led(self, way: str) -> str:
        """Why the gate has nothing led to it through this way of `silent`; empty: it says nothing of the kind."""
        why = self.said.not_led if self.said and self.gates and way.startswith("transparent") else ""
        return f"no traffic is led to the gate, since {why}" if why else ""

    @property
    def taken(self) -> tuple[str, ...]:
        """Ports of the gate that another program has, each with who it is and what was taken instead."""
        return self.said.taken if self.said and self.gates else ()

    def as_json(self) -> dict[str, object]:
        """The report for programs."""
        return {
            "gate": self._gate(),
            "certificates": self.certificates,
            "policy": self._policy(),
            "machine": self._machine(),
            "limits_hold": ON_THIS_MACHINE,
            "alerts": {"rules": self.policy.alerts, "thresholds": self.policy.thresholds, **self._undelivered()},
            "prices": self.said.prices if self.said else None,
            "person": self.person,
            "asks": list(self.asks),
            "budgets": list(self.budgets),
            "seats": [{**seat.summary, "own": seat.own} for seat in self.seats],
            "rates": list(self.rates),
            "open_calls_above_holds_nanos": self.over_nanos,
            "open_calls_unbounded": self.unbounded,
            "free_calls": self.free,
            "unrecognized_calls": self.unrecognized,
            "would_refuse_by": self.would_refuse,
            "price_unknown_calls": self.guessed[0],
            "price_unknown_nanos": self.guessed[1],
            "went_by": list(self.went_by),
            "coverage": list(self.coverage),
            "tools": [each.row() for each in self.tools],
            "ledger": {**self.ledger, "findings": self.outside.rows()},
            "clock": self.outside.clock_row(),
        }

    def _gate(self) -> dict[str, object]:
        said = self.said
        return {
            "up": self.gates > 0,
            "gates": self.gates,
            "by_other_policies": list(self.other_gates),
            "modes": list(said.modes) if said and self.gates else [],
            "not_led": said.not_led if said and self.gates else "",
            "ports_taken": list(self.taken),
            "captures_nothing_through": list(self.silent),
        }

    def _policy(self) -> dict[str, object]:
        said = self.said
        return {
            "hash": self.policy.hash,
            "source": said.source if said else None,
            "owner": self.policy.owner,
            "mode": self.policy.mode,
            "refused": list(said.refused) if said else [],
            "revision": self.policy.revision,
            "valid_until": self.policy.valid_until,
            "included": list(said.included) if said else [],
            "signed_by": (said.signed_by or None) if said else None,
            "notices": list(self.notices),
        }

    def _machine(self) -> dict[str, object]:
        return {
            "id": self.machine,
            "groups": [name for name, _ in self.machine_groups],
            "owners": [owner for _, owner in self.machine_groups if owner],
        }

    def _undelivered(self) -> dict[str, object]:
        number, why = self.undelivered
        unseen = [{**row, "made_at": iso(row["made_ms"])} for row in self.unseen]
        return {"undelivered": number, "why": list(why), "unseen": unseen}
