"""Which policy is believed: signed as this machine asks for, without a fault, and no older than what has been in force.

In this order: who signed it, before any of its bytes is parsed; every fault of the files; its revision.
"""

from __future__ import annotations

from dataclasses import dataclass

from spendgate.config.bundle import Gathering, Held
from spendgate.config.people import Known
from spendgate.config.policy_file import parse_policy
from spendgate.config.signed import Signed, Unsigned, verified
from spendgate.config.trust import Trust
from spendgate.errors import PolicyError, Why
from spendgate.policy import Policy


@dataclass(frozen=True, slots=True)
class Latest:
    """The highest revision that has taken force."""

    revision: int
    digest: str | None
    """Of the bytes that had it; None where nobody can say."""
    content: str | None
    """`Policy.hash` of what they mean to this Spendgate; None where it cannot read the copy any more."""

    def judge(self, policy: Policy, digest: str) -> None:
        """Raises ValueError for a policy that this one must not give way to."""
        found, least = policy.validity.revision, f"allowed: {self.revision + 1} or more"
        if found is None:
            raise ValueError(
                f"is missing, and {self.revision} has been in force: without one this may be an older file; {least}"
            )
        if found < self.revision:
            raise ValueError(f"{found} is lower than {self.revision}, which has been in force; {least}")
        if found == self.revision and self.digest is not None and digest != self.digest and policy.hash != self.content:
            raise ValueError(f"{found} has been in force with other content; a change has a higher one; {least}")


def believed(
    origin: Gathering | Held, file: str, known: Known, trust: Trust | None, latest: Latest | None = None
) -> tuple[Policy, Signed | None]:
    """The policy, and whose signature it has; without `trust` none is looked for. `file` is how faults name it.

    Raises PolicyError.
    """
    signed = verified(origin.bundle, file, trust) if trust is not None else None
    read = signed.checked(origin.beside) if signed else origin.beside
    why = Why.FAULTS

    def beside(name: str) -> bytes:
        nonlocal why
        try:
            return read(name)
        except Unsigned:
            why = Why.SIGNATURE
            raise

    def judge(policy: Policy) -> None:
        nonlocal why
        try:
            if trust is not None and (signed is not None or trust.least_revision is not None):
                _numbered(policy, trust)
            if latest is not None:
                latest.judge(policy, origin.bundle.digest)
        except ValueError:
            why = Why.REVISION
            raise

    try:
        policy = parse_policy(origin.main, file, known, beside=beside, judge=judge)
    except PolicyError as fault:
        raise PolicyError(fault.faults, why) from fault
    if signed is not None:
        signed.judge(policy, origin.bundle.names)
    return policy, signed


def _numbered(policy: Policy, trust: Trust) -> None:
    """Raises ValueError for a policy that does not count its changes, or has too few."""
    found, least = policy.validity.revision, trust.least_revision
    if found is None:
        raise ValueError("is missing; a signed policy needs one, or an older one could not be told from it")
    if least is not None and found < least:
        raise ValueError(f"{found} is lower than least_revision in {trust.file}; allowed: {least} or more")
