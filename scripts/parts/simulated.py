"""The mornings that `scripts/simulate` runs: how costs vary, how calls arrive, and what their requests show."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from spendgate.standing import Hold

Draw = Callable[[random.Random, int], list[float]]


def equal(_: random.Random, calls: int) -> list[float]:
    """All calls cost the same."""
    return [1.0] * calls


def tiny(first: int) -> Draw:
    """So many calls that cost next to nothing, then equal ones."""
    return lambda _, calls: [0.001] * first + [1.0] * (calls - first)


def log_normal(rng: random.Random, calls: int, sigma: float = 1.2) -> list[float]:
    """A long tail; mean 1."""
    return [math.exp(rng.gauss(-sigma * sigma / 2, sigma)) for _ in range(calls)]


def two_humps(rng: random.Random, calls: int) -> list[float]:
    """Four in five small, one in five twenty-one times as dear; mean 1."""
    return [0.2 if rng.random() < 0.8 else 4.2 for _ in range(calls)]


@dataclass(frozen=True)
class Case:
    """One situation. Dollars, seconds, bytes, tokens."""

    name: str
    costs: Draw = equal
    mean: float = 0.05
    limit: float = 1.0
    calls: int = 100
    wait: float = 20.0
    duration: Callable[[random.Random], float] = lambda _: 2.0
    arrives: Callable[[int], float] = lambda _: 0.0
    text_bytes: int = 2_000
    output_max: int | None = 32_000
    priced: bool = True
    """False: no list has the model, so that its price is the policy's and nobody knows its window."""
    opaque: bool = False
    input_share: float = 0.3
    bounded: bool = True
    """Costs never pass the bound of the request, as providers' do not."""
    warm: int = 0
    kinds: int = 1
    gates: int = 1
    streams: bool = False
    cut: bool = False
    hold: Hold = Hold.EXPECTED
    budgets: int = 1
    """How many budgets fit; all but the first are ample."""


EXACT = Case("equal costs")
VARIED = Case("varied costs", wait=60.0)
"""Waits as long as in `scripts/overshoot`: thirty times what a call takes."""
SIX = Case("six agents", calls=6, limit=20, mean=0.4, text_bytes=60_000)
"""A first morning: agents whose requests are as large as those of Claude Code and Codex."""
UNPRICED = replace(VARIED, output_max=None, priced=False)
"""Codex' own default model on the days before a list has its price."""
CASES = (
    replace(EXACT, name="a: 20 times the visible request", text_bytes=2_000, output_max=100, input_share=1.0, bounded=False),
    replace(EXACT, name="a: a few words shown", text_bytes=100, output_max=100, input_share=1.0, bounded=False),
    replace(EXACT, name="b: max_tokens 32,000, 2,000 produced", text_bytes=10_000, input_share=0.4),
    replace(EXACT, name="c: equal costs, cold"),
    replace(EXACT, name="c: equal costs, warm", warm=50),
    replace(EXACT, name="c: equal costs, streams", streams=True),
    replace(EXACT, name="d: one tiny call first", costs=tiny(1)),
    replace(EXACT, name="d: three tiny calls first", costs=tiny(3)),
    replace(VARIED, name="d: log-normal", costs=log_normal),
    replace(VARIED, name="d: log-normal, two gates", costs=log_normal, gates=2),
    replace(VARIED, name="d: log-normal, warm", costs=log_normal, warm=50),
    replace(VARIED, name="d: log-normal, streams", costs=log_normal, streams=True),
    replace(VARIED, name="d: log-normal, cut", costs=log_normal, streams=True, cut=True),
    replace(VARIED, name="d: log-normal, wait 20 s", costs=log_normal, wait=20.0),
    replace(VARIED, name="d: two humps", costs=two_humps),
    replace(VARIED, name="d: two humps, two gates", costs=two_humps, gates=2),
    replace(VARIED, name="d: two humps, warm", costs=two_humps, warm=50),
    replace(VARIED, name="d: two humps, cut", costs=two_humps, streams=True, cut=True),
    replace(VARIED, name="d: two humps, wait 20 s", costs=two_humps, wait=20.0),
    replace(EXACT, name="e: six agents, untouched $20", calls=6, limit=20, mean=0.3, text_bytes=100_000),
    replace(SIX, name="e: six agents, uncapped", output_max=None),
    replace(SIX, name="e: six agents, unpriced", priced=False),
    replace(SIX, name="e: six agents, unpriced, uncapped", priced=False, output_max=None),
    replace(
        EXACT, name="f: ceiling, $0.10 against $5", hold=Hold.CEILING, calls=1_000, limit=5, mean=0.1, text_bytes=0,
        output_max=6_667, input_share=0.0, bounded=False,
    ),
    replace(
        VARIED, name="g: uncapped, log-normal, $20", costs=log_normal, limit=20, mean=0.8, text_bytes=20_000,
        output_max=None,
    ),
    replace(UNPRICED, name="g: unpriced, equal costs"),
    replace(UNPRICED, name="g: unpriced, log-normal", costs=log_normal),
    replace(UNPRICED, name="g: unpriced, two humps", costs=two_humps),
    replace(UNPRICED, name="g: unpriced, log-normal, $20", costs=log_normal, limit=20, mean=0.8, text_bytes=20_000),
    replace(EXACT, name="two gates", gates=2),
    replace(EXACT, name="in waves of ten, every 3 s", arrives=lambda number: number // 10 * 3.0),
    replace(EXACT, name="five kinds on one budget", kinds=5),
    replace(EXACT, name="long and short calls", duration=lambda rng: 0.5 if rng.random() < 0.7 else 5.0),
    replace(VARIED, name="ten times the bound, log-normal", limit=5, costs=log_normal, calls=300),
    replace(EXACT, name="ten times the bound, warm", limit=5, warm=50, calls=10),
)  # fmt: skip
