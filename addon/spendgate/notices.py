"""What a reader of a policy must be told of it besides its faults: that it has ended, what of it waits, where its limits hold.

Pure: the same words wherever a policy is shown.
"""

from __future__ import annotations

from collections.abc import Iterator

from spendgate.budget import Budget
from spendgate.lapse import ended
from spendgate.money import dollars
from spendgate.policy import Policy

_ONE_MACHINES = ("machine", "session")
"""Attributes whose values live on one machine: an allowance for each of them is not spent twice."""

_TIMES = "\u00d7"
_SHOWN_MAX = 12
"""So many of the limits that each machine counts for itself are named."""


def notices(policy: Policy, now_ms: int) -> tuple[str, ...]:
    """What holds of the file as a whole at this instant (epoch milliseconds), the gravest first; each one sentence."""
    return (*_validity(policy, now_ms), *not_done(policy))


def not_done(policy: Policy) -> tuple[str, ...]:
    """The words of the policy that this version checks and does not carry out, and what happens meanwhile."""
    return tuple(_hub(policy))


def _validity(policy: Policy, now_ms: int) -> Iterator[str]:
    if not ended(policy, now_ms):
        return
    since = f"the policy ended on {policy.validity.valid_until}"
    now = "calls are refused" if policy.validity.expired == "refuse" else "it stays in force (expired: keep)"
    yield f"{since}: {now}; {policy.owner} answers for it"


def _hub(policy: Policy) -> Iterator[str]:
    fleet = policy.fleet
    if fleet.hub is None:
        return
    meanwhile = {
        "lease": "nothing is leased, so each machine enforces alone",
        "allow": "each machine enforces alone",
        "refuse": "calls are refused (offline: refuse)",
    }[fleet.offline]
    yield f"fleet.hub {fleet.hub}: no hub is reached by this version; {meanwhile}"


def signable(policy: Policy) -> tuple[str, ...]:
    """What the CA of each machine could sign for besides the hosts that are decrypted."""
    return tuple(
        f"capture.hosts: {host.host}: the CA on each machine could sign for {host.host[2:]} and every name below, "
        "sign-in pages and mail too; name each host where they are few"
        for host in policy.capture.hosts
        if host.host.startswith("*.")
    )


def spent_on_each(policy: Policy) -> tuple[str, ...]:
    """The limits that hold on each machine alone, and that several machines share: one sentence of all together."""
    shared = [budget for budget in policy.budgets if _shared(budget)]
    if not shared:
        return ()
    if len(shared) == 1:
        [budget] = shared
        again = "it holds on this machine, and can be spent once on each"
        return (f"{budget.name}: {_each(budget)} {_TIMES} N machines; {again}{_alone(budget)}",)
    every = ", ".join(f"{budget.name} {_each(budget)}{_alone(budget)}" for budget in shared[:_SHOWN_MAX])
    more = f" and {len(shared) - _SHOWN_MAX:,} more" if len(shared) > _SHOWN_MAX else ""
    head = f"{len(shared):,} limits hold on each machine alone, and can be spent once on each ({_TIMES} N machines)"
    return (f"{head}: {every}{more}",)


def _each(budget: Budget) -> str:
    """What is multiplied: a limit, in parentheses where it has more than one part."""
    return f"({limit_text(budget)})" if budget.mean is not None else limit_text(budget)


def _alone(budget: Budget) -> str:
    if budget.per_machine_nanos is None:
        return ""
    return f" (its per_machine of {_amount(budget.per_machine_nanos)} holds once there is a hub)"


def _shared(budget: Budget) -> bool:
    """Whether several machines may draw on one allowance of the budget."""
    one = budget.match.texts("machine")
    return not set(_ONE_MACHINES) & set(budget.per) and not (len(one) == 1 and not set("*?") & set(one[0]))


def limit_text(budget: Budget) -> str:
    """The limit as a policy writes it: `$2,000 per month`, `$0.0005 per rolling 24h`, `4x mean of 7d per day, at most $9`."""
    window = f" per {budget.window.name.replace('-', ' ')}" if budget.window is not None else ""
    if budget.mean is None:
        return f"{_amount(budget.limit_nanos)}{window}"
    least = budget.mean.at_least_nanos
    bounds = f"at least {_amount(least)}, at most" if least else "at most"
    return f"{budget.mean.words}{window}, {bounds} {_amount(budget.limit_nanos)}"


def _amount(nanos: int) -> str:
    return dollars(nanos).removesuffix(".00")
