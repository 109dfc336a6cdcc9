"""Who asks, as the gate has them, and what a command needs at hand for that."""

from __future__ import annotations

from dataclasses import dataclass

from spendgate.cli import in_force
from spendgate.config.paths import State
from spendgate.policy import Policy, person_of, today_in
from spendgate.roster import PersonMatch
from spendgate.sight import Sight


@dataclass(frozen=True, slots=True)
class Hand:
    """A ledger, the policy in force on it, and what whoever asks may see of it."""

    state: State
    policy: Policy
    sight: Sight
    served: bool = False
    """Whether a service asks for somebody else."""

    @property
    def machine(self) -> str:
        """The machine's id."""
        return machine_of(self.state)


def machine_of(state: State) -> str:
    """The machine's id, as the gate has it."""
    told = in_force.told(state)
    return told.machine if told else "unknown"


def own_person(state: State, policy: Policy, account: str, now_ms: int) -> tuple[PersonMatch, str]:
    """Whom the policy takes an account for, and on which machine."""
    machine = machine_of(state)
    return person_of(policy, account, today=today_in(policy, now_ms), machine=machine), machine
