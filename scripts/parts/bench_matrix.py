"""The matrix: each case, interleaved pairs of stock and gate, beside a second stock that does the same work (A/A)."""

from __future__ import annotations

import statistics
import sys
from dataclasses import dataclass, field
from pathlib import Path

from parts import bench_load
from parts.bench_load import CASES, Case
from parts.bench_systems import System, gate, origin, stock


@dataclass(slots=True)
class Runs:
    """Figures of one system in one case: one entry for each pair."""

    cpu_ms: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)
    end_lag_ms: list[float] = field(default_factory=list)


async def run(folder: Path, pairs: int, only: set[str]) -> dict[str, object]:
    """Measure, print a line for each case as it ends, and give the raw figures."""
    chosen = [case for case in CASES if not only or case.name in only]
    if not chosen:
        raise SystemExit(f"no such case; there are: {', '.join(case.name for case in CASES)}")
    with (
        origin(folder) as (port, ca),
        stock(folder, "stock", ca) as a,
        stock(folder, "stock-2", ca) as b,
        gate(folder, ca) as ours,
    ):
        systems = [a, b, ours]
        for system in systems:  # certificates, caches and code paths are warm before anything is measured
            for case in (CASES[0], CASES[3]):
                await bench_load.run(case, system.port, system.ca, port)
        print(_HEAD, flush=True)
        figures: dict[str, object] = {}
        for case in chosen:
            runs = await _case(case, systems, port, pairs)
            print(_line(case, runs), flush=True)
            figures[case.name] = {
                name: {"cpu_ms": r.cpu_ms, "p50_ms": r.p50_ms, "end_lag_ms": r.end_lag_ms} for name, r in runs.items()
            }
    return figures


async def _case(case: Case, systems: list[System], port: int, pairs: int) -> dict[str, Runs]:
    runs = {system.name: Runs() for system in systems}
    for pair in range(pairs):
        for shift in range(len(systems)):
            system = systems[(pair + shift) % len(systems)]
            times = await bench_load.run(case, system.port, system.ca, port, system.cpu_s)
            mine = runs[system.name]
            mine.cpu_ms.append(times.cpu_s * 1000 / len(times.total))
            mine.p50_ms.append(statistics.median(times.total) * 1000)
            if times.end_lag:
                mine.end_lag_ms.append(sorted(times.end_lag)[int(len(times.end_lag) * 0.99) - 1] * 1000)
        sys.stderr.write(f"\r{case.name}: pair {pair + 1}/{pairs}  ")
    sys.stderr.write("\r" + " " * 60 + "\r")
    return runs


_HEAD = (
    f"{'case':24}{'stock CPU':>10}{'gate CPU':>10}{'ratio':>7}{'A/A':>6} |"
    f"{'stock p50':>10}{'gate p50':>10}{'ratio':>7}{'A/A':>6} | goal        | end lag p99 ms"
)


def _line(case: Case, runs: dict[str, Runs]) -> str:
    stock_runs, again, ours = runs["stock"], runs["stock-2"], runs["spendgate"]
    cpu, cpu_aa = _ratio(ours.cpu_ms, stock_runs.cpu_ms, again.cpu_ms), _ratio(again.cpu_ms, stock_runs.cpu_ms)
    p50, p50_aa = _ratio(ours.p50_ms, stock_runs.p50_ms, again.p50_ms), _ratio(again.p50_ms, stock_runs.p50_ms)
    # As printed: of a stream that its pauses make a second long, the third decimal is whose packet came first.
    met = case.goal is None or round(max(cpu, p50), 2) <= case.goal
    verdict = "none" if case.goal is None else f"{case.goal:.2f} {'met' if met else 'MISSED'}"
    lag = ""
    if ours.end_lag_ms:
        lag = f"{statistics.median(ours.end_lag_ms):.2f} (stock {statistics.median(stock_runs.end_lag_ms):.2f})"
    middle = statistics.median
    return (
        f"{case.name:24}{middle(stock_runs.cpu_ms):10.2f}{middle(ours.cpu_ms):10.2f}{cpu:7.2f}{cpu_aa:6.2f} |"
        f"{middle(stock_runs.p50_ms):10.2f}{middle(ours.p50_ms):10.2f}{p50:7.2f}{p50_aa:6.2f} |"
        f" {verdict:11} | {lag}"
    )


def _ratio(mine: list[float], *theirs: list[float]) -> float:
    """Median over the pairs of mine to the mean of theirs in the same pair."""
    ratios: list[float] = [m / statistics.mean(t) for m, *t in zip(mine, *theirs, strict=True)]
    return statistics.median(ratios)
