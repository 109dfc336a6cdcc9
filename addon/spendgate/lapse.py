"""What a policy file refuses as a whole, whoever asks: it has ended, or it must not decide without its fleet's hub. Pure."""

from __future__ import annotations

from spendgate.admission import RefusalKind, Refuse
from spendgate.policy import Policy

ENDED = "valid_until"
"""The rule that a refusal names where the file has ended under `expired: refuse`."""
NO_HUB = "fleet.offline"
"""The rule that a refusal names under `offline: refuse`."""


def ended(policy: Policy, now_ms: int) -> bool:
    """Whether the file's last day is over."""
    return policy.ends_ms is not None and now_ms >= policy.ends_ms


def refusal(policy: Policy, now_ms: int) -> Refuse | None:
    """Why no call may leave at this instant (epoch milliseconds); None where the file as a whole refuses none."""
    if policy.validity.expired == "refuse" and ended(policy, now_ms):
        last = policy.validity.valid_until
        reason = f"the policy ended on {last} and refuses calls since; {policy.owner} answers for it"
        return Refuse(RefusalKind.RULE, ENDED, reason)
    if policy.fleet.hub is not None and policy.fleet.offline == "refuse":
        reason = (
            f"no hub is reached by this version, and the policy refuses calls without; {policy.owner} answers for it"
        )
        return Refuse(RefusalKind.RULE, NO_HUB, reason)
    return None
