"""How well `hold: expected` sizes its holds: a discrete-event simulation of the real `admission.decide` and `estimate.Sizes`.

    scripts/simulate [--seeds 200] [--only NAME]

Calls arrive, wait first come first served, are answered after their duration and settle; a stream gives its input count early
and grows until it ends. Printed for each case, as shares of the budget: what was used, what went over in all, what went over
beyond the call that went alone (`parts.alone`), each with the tenth, middle and ninetieth of a hundred runs, and how many runs
kept the promise of Show 5: nine tenths used, at most a twentieth over beyond that call. One run is a
`parts.simulated_world.World`.
"""

from __future__ import annotations

import argparse
import dataclasses
import random

from parts.simulated import CASES, Case
from parts.simulated_world import Result, World

USED_LEAST, BEYOND_MOST = 0.9, 0.05
"""Show 5 of the issue, for costs that vary."""


def simulate(case: Case, seed: int) -> Result:
    """One run."""
    return World(case, random.Random(seed)).run()


def mean(results: list[Result], word: str) -> float:
    """Mean of one figure over runs."""
    figures: list[float] = [getattr(result, word) for result in results]
    return sum(figures) / len(figures)


def kept(results: list[Result]) -> float:
    """The share of runs that used enough of the budget and passed it by little beyond the call that went alone."""
    return sum(each.used >= USED_LEAST and each.beyond_alone <= BEYOND_MOST for each in results) / len(results)


def spread(results: list[Result], word: str) -> str:
    """Mean, then the tenth, middle and ninetieth of a hundred, and the largest."""
    values = sorted(getattr(result, word) for result in results)
    tenths = [values[len(values) * share // 100] for share in (10, 50, 90)]
    return "".join(f"{value:6.2f}" for value in (mean(results, word), *tenths, values[-1]))


def main() -> int:
    parser = argparse.ArgumentParser(description="Simulate the sizes of holds.")
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--only", default="")
    parser.add_argument("--budgets", type=int, default=1, help="that fit, all but the first ample (default 1)")
    args = parser.parse_args()
    shares, counts = (
        ("used", "over", "beyond_alone"),
        ("before_refusal", "admitted", "at_once", "refused", "cut", "ends"),
    )
    heads = "".join(f"{f'{word}: mean p10 p50 p90 max':>30}" for word in shares)
    print(f"{'case':38}{heads}{'kept':>7}" + "".join(f"{word:>15}" for word in counts))
    for case in CASES:
        if args.only in case.name:
            several = dataclasses.replace(case, budgets=args.budgets)
            results = [simulate(several, seed) for seed in range(args.seeds)]
            figures = "".join(spread(results, word) for word in shares)
            rest = "".join(f"{mean(results, word):15.2f}" for word in counts)
            print(f"{case.name:38}{figures}{kept(results):7.0%}{rest}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
