"""History since a time, run through a policy: how far back it must be read for that."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from spendgate.alerts.measured import looks_back_to
from spendgate.ledger.history import Step
from spendgate.policy import Policy
from spendgate.pricing import PriceBook
from spendgate.replay.engine import Replay
from spendgate.replay.outcome import Outcome
from spendgate.window import DAY_MS

_AT_ONCE_MS: Final = DAY_MS
"""So long before the time asked about calls are looked for that may still run then, for rates of calls at once."""
Steps = Callable[[int], Iterable[Step]]
"""Every step booked from this instant on."""


def replay(policy: Policy, since_ms: int, steps: Steps, prices: PriceBook | None = None) -> Outcome:
    """Run the history since `since_ms` through `policy`, its windows filled with what came before. `prices` as in `Replay`."""
    found = [starts for draw, _ in policy.draws for _, _, starts in draw.counted_since(since_ms)]
    found.append(looks_back_to(policy, since_ms))
    for limits in (draw.rate for draw in policy.rate_draws):
        if limits is not None:
            found.append(since_ms - max(limits.longest_ms, 0 if limits.parallel is None else _AT_ONCE_MS))
    return Replay(policy, since_ms, prices).run(steps(max(0, min(found))))
