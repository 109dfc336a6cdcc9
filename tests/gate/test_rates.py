"""Rates in the running gate: never more than the limit in any sliding stretch, never more at once, refusals that say the true wait."""

from __future__ import annotations

import asyncio

from gate.world import Time, budget, costing, end, house, intent, policy, replace, used
from spendgate.admission import RefusalKind
from spendgate.gate.clock import Clock
from spendgate.gate.interface import Admitted, Gone, Refused
from spendgate.policy import Mode, Policy
from spendgate.providers.interface import Reading
from spendgate.rates import Quota, Rate
from spendgate.standing import Hold

MINUTE = 60_000


def rate(name: str = "loop", **words: object) -> Rate:
    """A rate per person unless told otherwise."""
    return Rate(**{"name": name, "per": ("person",), "wait_ms": 60_000, "order": 0, **words})  # type: ignore[arg-type]


def rated(*rates: Rate, **words: object) -> Policy:
    """A policy of these rates, beside one ample budget."""
    ordered = tuple(each.model_copy(update={"order": order}) for order, each in enumerate(rates))
    return policy(budget(1_000_000, hold=Hold.CEILING), rates=ordered, **words)


class Boot:
    """A boot clock that stands still until a test steps it."""

    def __init__(self, at_ms: int = 5_000_000) -> None:
        self.at_ms, self.name = at_ms, "boot-1"

    def clock(self, time: Time) -> Clock:
        """The gate's clock."""
        return Clock(now_ms=time.now_ms, boot_ms=lambda: self.at_ms, boot=lambda: self.name)


async def test_500_at_once_are_never_more_than_the_limit(tmp_path):
    """Of 500 concurrent calls exactly as many leave as the rate allows; all others are refused at once, with the true wait."""
    boot = Boot()
    async with house(tmp_path, rated(rate(requests=Quota(most=100, length_ms=MINUTE))), boot=boot) as place:
        answers = await asyncio.gather(*(place.gate.hold(intent()) for _ in range(500)))
        refused = [each for each in answers if isinstance(each, Refused)]

        assert sum(isinstance(each, Admitted) for each in answers) == 100
        assert {(each.refuse.kind, each.refuse.rule) for each in refused} == {(RefusalKind.RULE, "loop")}
        assert {each.refuse.retry_after_ms for each in refused} == {MINUTE}
        assert "100 of 100 requests per minute are used" in refused[0].message
        assert "Try again in 60 seconds." in refused[0].message
        boot.at_ms += MINUTE - 1
        late = await place.gate.hold(intent())
        assert isinstance(late, Refused)
        assert late.refuse.retry_after_ms == 1
        boot.at_ms += 1
        assert isinstance(await place.gate.hold(intent()), Admitted)
