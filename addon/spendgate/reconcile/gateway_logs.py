"""A gateway's own log beside what its key is billed: what the log lacks went by the key and not through the gateway. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

from spendgate.money import CENT, short_dollars
from spendgate.plural import counted
from spendgate.reconcile.accounts import Grain
from spendgate.reconcile.assembling import Assembled
from spendgate.reconcile.bills import Bill
from spendgate.reconcile.facts import Facts, Role
from spendgate.reconcile.folding import Captured
from spendgate.reconcile.groups import charged
from spendgate.reconcile.kinds import Kind
from spendgate.reconcile.naming import day_of, product_of
from spendgate.reconcile.result import Cause, Finding

_MISSING: Final = frozenset({Cause.UNCAPTURED, Cause.SCOPE_KEY})
_ROUNDS: Final = 200
"""Of a bill one part in so many may be the gateway's own price list."""


def no_key_is_its_own(
    captured: Captured, assembled: Assembled, facts: Facts, findings: Iterable[Finding]
) -> Iterator[str]:
    """A note on each provider of which calls went to a gateway whose own key nobody names, while something is missing."""
    missing = {each.provider for each in findings if each.cause in _MISSING}
    for provider, who in sorted(assembled.names.items()):
        calls = sum(
            kinds[Kind.GATEWAY].calls
            for raw, kinds in captured.sums.items()
            if raw.provider == provider and Kind.GATEWAY in kinds
        )
        told = any(each.role is Role.GATEWAY for each in facts.keys if each.provider == provider)
        told |= Role.GATEWAY in dict(facts.workspaces).values()
        if calls and provider in missing and not told and who.grain is Grain.KEY:
            yield (
                f"{provider}: {counted(calls, 'call')} went to a gateway, and no key of the bill is said to be the gateway's own:"
                f" what that is billed for them is told as missing. Name it in `--map`, as"
                f" `- {{key: KEY, provider: {provider}, role: gateway}}`"
            )


def lower_than_billed(bill: Bill, assembled: Assembled) -> Iterator[str]:
    """A note on each provider whose bill of gateways' keys is above what their logs have, on days that a log covers."""
    billed: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    keys: dict[str, set[str]] = defaultdict(set)
    for key, group in assembled.groups.items():
        if group.account.role is Role.GATEWAY and key.day_ms in bill.gateway_days:
            billed[key.provider][key.day_ms] += group.billed_now
            keys[key.provider].add(group.account.name)
    for provider, days in sorted(billed.items()):
        logged: dict[int, int] = defaultdict(int)
        for line in bill.gateway:
            its = product_of(line.product)
            if its == provider or (not its and len(billed) == 1):
                logged[day_of(line.starts_ms)] += charged(line)
        whole, log = sum(days.values()), sum(logged[day_ms] for day_ms in days)
        if whole - log > max(CENT, whole // _ROUNDS):
            whose, off = ", ".join(sorted(keys[provider])), short_dollars(whole - log)
            worst = max(days, key=lambda day_ms: days[day_ms] - logged[day_ms])
            day = f"{datetime.fromtimestamp(worst / 1000, UTC):%Y-%m-%d}"
            yield (
                f"{provider}: the gateway's own key ({whose}) is billed {short_dollars(whole)}, its log has {short_dollars(log)}"
                f" of these days: {off} went by the key and is not in the log, or was billed at another price; most of it on"
                f" {day}. All of it is told as gateway_leg. Look whether the log was exported whole, then who else has the key"
            )
