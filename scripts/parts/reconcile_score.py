"""The explainer measured: injected against found dollars, one cause at a time and all of them together.

    scripts/reconcile-score [--people 16] [--days 21] [--calls 30] [--seed 3] [--mixtures 3] [--plain] [--no-singles]
                            [--only NAME]

A row of the first table is a way of a cause: what it moved, how much of that is under its own name, and under which others the
rest is. The second is a mixture of all of them through a real ledger: injected and found by cause, and the share of the dollars
that is in the right one (in total, and where each must be right on each day of each provider). Dollars are exact, shares rounded.
Several names, `A,B`, are a month with these together: how two causes get into each other's way. Exit status 1 where a cause alone
is not exact or a mixture has less than nineteen dollars of twenty right.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from reconcile.scoring import Score, faults, in_memory, through_ledger
from reconcile.simulator.causes import ALL, mixed, month_with
from reconcile.simulator.month import Month, make
from reconcile.simulator.traffic import Size
from spendgate.money import dollars

RIGHT_LEAST: Final = 0.95


def main() -> int:
    """Print what was asked for."""
    asked = _options()
    size = Size(people=asked.people, days=asked.days, calls=asked.calls, plain=asked.plain)
    only = [name for name in asked.only.split(",") if name]
    if len(only) > 1:
        month = month_with(asked.seed, size, [inject for _, inject in ALL if inject.__name__ in only])
        return 0 if _together(month, in_memory(month)) == 1 else 1
    exact = asked.no_singles or _singles(size, asked.seed, only)
    right = [_mixture(size, seed) >= RIGHT_LEAST for seed in range(1, asked.mixtures + 1) if not only]
    return 0 if exact and all(right) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measures `reconcile` on simulated months.")
    for name, default in (("people", 16), ("days", 21), ("calls", 30), ("seed", 3), ("mixtures", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--plain", action="store_true", help="without web searches, flex, fast mode, the US, errors")
    parser.add_argument("--no-singles", action="store_true", help="mixtures alone")
    parser.add_argument("--only", default="", help="one way alone, or several together: A,B")
    return parser.parse_args()


def _singles(size: Size, seed: int, only: list[str]) -> bool:
    print(f"{'cause':24}{'way':30}{'injected':>16}{'found there':>16}  elsewhere")
    base = in_memory(make(seed, size))
    _row("(none)", "", 0, 0, base)
    good = not base.found
    for cause, inject in ALL:
        if only and inject.__name__ not in only:
            continue
        score = in_memory(month_with(seed, size, [inject]))
        _row(cause.value, inject.__name__, score.injected.get(cause, 0), score.found.get(cause, 0), score)
        good = good and score.found == score.injected and not faults(score)
    return good


def _row(cause: str, way: str, injected: int, found: int, score: Score) -> None:
    others = {str(name): nanos for name, nanos in score.found.items() if str(name) != cause}
    elsewhere = ", ".join(f"{name} {dollars(nanos)}" for name, nanos in others.items())
    said = "; ".join(filter(None, (elsewhere, *faults(score))))
    print(f"{cause:24}{way:30}{dollars(injected):>16}{dollars(found):>16}  {said}", flush=True)


def _mixture(size: Size, seed: int) -> float:
    began = time.perf_counter()
    month = mixed(seed, size)
    made = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        score = through_ledger(month, Path(folder))
    took = time.perf_counter() - made
    print(f"\nmixture, seed {seed}: made in {made - began:.1f} s, filed in a ledger, imported and told in {took:.1f} s")
    return _together(month, score)


def _together(month: Month, score: Score) -> float:
    """The share of the dollars that is right; none where the result contradicts itself."""
    print(f"{len(month.requests)} requests, billed {dollars(score.answer.billed_nanos)}")
    print(f"{'cause':24}{'injected':>20}{'found':>20}{'found less injected':>22}")
    for name in sorted({*score.injected, *score.found}, key=str):
        injected, found = score.injected.get(name, 0), score.found.get(name, 0)
        print(f"{name!s:24}{dollars(injected):>20}{dollars(found):>20}{dollars(found - injected):>22}")
    print(
        f"in the right cause: {score.right:.2%}; on the right day of the right provider as well: {score.right_by_day:.2%}"
    )
    wrong = faults(score)
    for fault in wrong:
        print(f"FAULT: {fault}")
    return 0.0 if wrong else score.right


if __name__ == "__main__":
    sys.exit(main())
