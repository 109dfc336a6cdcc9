"""The error tree. Few classes, each with the one place that catches it.

    SpendgateError
    ├── PolicyError        a policy file that cannot take force; carries every fault      -> cli, config (keeps last good)
    ├── StateError         the state directory, CA or ledger cannot be used as it is      -> cli: exit 1, one line
    │   └── PortTaken      another program listens there already                          -> cli: says whose it is, where it knows
    ├── LedgerUnavailable  busy beyond patience, full or broken disk                      -> gate: policy's on_failure
    │   └── LedgerBusy     another writer holds the file at this instant                  -> gate: jittered retry
    ├── WireError          bytes of a peer that do not parse as its dialect               -> readers: stop reading, keep relaying
    ├── StatementError     a provider's bill or answer that cannot be read                -> cli: exit 1, every fault
    ├── RolloutError       a rollout file (`mdm make`) with faults; carries every fault   -> cli: exit 1, every fault
    └── UsageError         wrong command line or option                                   -> cli: exit 2

Decisions are not errors: a refusal is a value (`admission.Refuse`), an unknown price is a value (`pricing.UnknownPrice`).
"""

from __future__ import annotations

from enum import StrEnum


class SpendgateError(Exception):
    """Base of all errors that Spendgate raises on purpose. `str()` is one sentence that names the place and the remedy."""


class Why(StrEnum):
    """In one word, why a policy cannot take force: what the audit trail may hold, since a fault's own text quotes the file."""

    FAULTS = "faults"
    SIGNATURE = "signature"
    REVISION = "revision"
    UNREACHED = "not fetched"


class PolicyError(SpendgateError):
    """A policy that cannot take force. `faults` holds one line for each fault, `file:line:column: …`."""

    def __init__(self, faults: tuple[str, ...], why: Why = Why.FAULTS) -> None:
        super().__init__("\n".join(faults))
        self.faults, self.why = faults, why


class StateError(SpendgateError):
    """The state directory, the CA or the ledger cannot be used as it is."""


class PortTaken(StateError):
    """Another program listens at this port already, of `host`. `why`: the fault; `instead`: what to choose."""

    def __init__(self, port: int, why: str, instead: str, host: str = "") -> None:
        super().__init__(f"{why}; {instead}")
        self.port, self.why, self.instead, self.host = port, why, instead, host


class LedgerUnavailable(SpendgateError):
    """The ledger could not be written now: busy beyond patience, disk full, file broken."""


class LedgerBusy(LedgerUnavailable):
    """Another process is writing at this instant; nothing was changed. Try again within milliseconds."""


class WireError(SpendgateError):
    """Bytes that do not parse as the dialect they claim. Never shown to the client: its bytes flow on."""


class StatementError(SpendgateError):
    """A statement that cannot be read as what it claims to be; nothing of it is taken. `faults` holds one line for each fault,
    `file:line: …` or `host page N: …`, without amounts of people and without secrets."""

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class RolloutError(SpendgateError):
    """A rollout file from which nothing is made. `faults` holds one line for each fault, `file:line:column: …`."""

    def __init__(self, faults: tuple[str, ...]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class UsageError(SpendgateError):
    """A wrong command line, option or mode."""
