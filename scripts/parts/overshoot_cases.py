"""The shapes of cost that budgets are tried with. Prices are those of claude-opus-4-5: $5 and $25 for a million tokens."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

MODEL = "claude-opus-4-5"
INPUT_NANOS, OUTPUT_NANOS = 5_000, 25_000
DOLLAR = 10**9


@dataclass(frozen=True, slots=True)
class Call:
    """One call: what the request shows, and what it will really use. Tokens, but for `body_bytes`, the whole body's length."""

    body_bytes: int
    max_tokens: int
    input_tokens: int
    output_tokens: int

    @property
    def nanos(self) -> int:
        """What the provider will bill."""
        return self.input_tokens * INPUT_NANOS + self.output_tokens * OUTPUT_NANOS


@dataclass(frozen=True, slots=True)
class Case:
    """Calls that all want to leave at once, and what is promised of them."""

    name: str
    calls: Callable[[random.Random], list[Call]]
    hold: str = "expected"
    limit: str = "$1"
    stream: bool = False
    cut: bool = False
    used_min: float = 0.9
    over_max: float = 0.05
    """Beyond the call that went alone (`parts.alone`) where costs vary; in all, where they do not or `cut` is on."""
    varied: bool = False
    warm: int = 0
    """So many calls like the first go before, in a session (and so a budget) of their own: what calls cost is then known."""
    admits: int | None = None
    """Exactly so many calls are let through; None: as many as it takes."""


def _costing(nanos: int, max_tokens: int = 32_000) -> Call:
    """A call of this cost, most of it output."""
    output = max(1, min(max_tokens, (nanos - 500 * INPUT_NANOS) // OUTPUT_NANOS))
    return Call(2_000, max_tokens, max(1, (nanos - output * OUTPUT_NANOS) // INPUT_NANOS), output)


def _log_normal(random_: random.Random) -> list[Call]:
    sigma, mean = 1.2, 0.05
    mu = math.log(mean) - sigma**2 / 2
    return [_costing(max(100_000, int(random_.lognormvariate(mu, sigma) * DOLLAR))) for _ in range(100)]


def _two_humps(random_: random.Random) -> list[Call]:
    return [_costing(random_.choice((DOLLAR // 100, 9 * DOLLAR // 100))) for _ in range(100)]


def _tiny_first(count: int) -> Callable[[random.Random], list[Call]]:
    return lambda _random: [_costing(DOLLAR // 1000)] * count + [_costing(DOLLAR // 20)] * 100


HIDDEN = Call(body_bytes=2_000, max_tokens=16, input_tokens=9_950, output_tokens=10)
MODEST = Call(body_bytes=2_000, max_tokens=32_000, input_tokens=500, output_tokens=1_900)
EXACT = Call(body_bytes=20_000, max_tokens=1_000, input_tokens=5_000, output_tokens=1_000)
CEILED = Call(body_bytes=2_000, max_tokens=3_600, input_tokens=2_000, output_tokens=3_600)
"""Its ceiling (a token for each byte, all its output) and its cost are exactly $0.10."""

CASES = (
    Case("20x a naive estimate", lambda _: [HIDDEN] * 100),
    Case("20x, streams", lambda _: [HIDDEN] * 100, stream=True),
    Case("max_tokens 32,000, 1,900 used", lambda _: [MODEST] * 100),
    Case("max_tokens 32,000, streams", lambda _: [MODEST] * 100, stream=True),
    Case("exact estimates", lambda _: [EXACT] * 100, over_max=0.0, admits=20),
    Case("exact estimates, streams", lambda _: [EXACT] * 100, over_max=0.0, stream=True, admits=20),
    Case("20x, warm", lambda _: [HIDDEN] * 100, warm=15),
    Case("max_tokens 32,000, warm", lambda _: [MODEST] * 100, warm=15),
    Case("exact estimates, warm", lambda _: [EXACT] * 100, over_max=0.0, warm=15, admits=20),
    Case("exact estimates, streams, warm", lambda _: [EXACT] * 100, over_max=0.0, stream=True, warm=15, admits=20),
    Case("one tiny call first", _tiny_first(1), varied=True),
    Case("three tiny calls first", _tiny_first(3), varied=True),
    Case("log-normal", _log_normal, varied=True),
    Case("two humps", _two_humps, varied=True),
    Case("log-normal, cut", _log_normal, stream=True, cut=True),
    Case("ceiling", lambda _: [CEILED] * 1_000, hold="ceiling", limit="$5", over_max=0.0, used_min=1.0, admits=50),
)
