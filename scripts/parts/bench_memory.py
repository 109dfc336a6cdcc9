"""Resident memory of the gate over many calls, against its own start. Answers without end and bombs are tests, not figures."""

from __future__ import annotations

from pathlib import Path

from parts import bench_load
from parts.bench_load import Case
from parts.bench_systems import gate, origin

STEPS, CALLS = 5, 4_000


async def run(folder: Path) -> dict[str, list[float]]:
    """20,000 small calls in five steps; megabytes after each."""
    case = Case("memory", CALLS, 8)
    with origin(folder) as (port, ca), gate(folder, ca) as ours:
        await bench_load.run(Case("warm", 400, 8), ours.port, ours.ca, port)
        sizes = [ours.rss_mb()]
        for _ in range(STEPS):
            await bench_load.run(case, ours.port, ours.ca, port)
            sizes.append(ours.rss_mb())
        print("resident MB at 0, 4k, … 20k calls: " + " ".join(f"{size:.0f}" for size in sizes), flush=True)
    return {"rss_mb": sizes}
