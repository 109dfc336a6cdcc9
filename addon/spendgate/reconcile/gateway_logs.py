"""A gateway's own log beside what its key is billed: what the log lacks went by the key and not through the gateway. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from spendgate.money import CENT, short_dollars
from spendgate.reconcile.assembling import Assembled
from spendgate.reconcile.bills import Bill
from spendgate.reconcile.facts import Role
from spendgate.reconcile.groups import charged
from spendgate.reconcile.naming import day_of, product_of

_ROUNDS: Final = 200
"""Of a bill one part in so many may be the gateway's own price list."""


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
