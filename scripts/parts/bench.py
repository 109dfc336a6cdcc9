"""The benchmark's command line and its tables. Ratios are between processes of the same run; a number alone means little."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path

from parts import bench_dialects, bench_history, bench_matrix, bench_memory, bench_micro


def main() -> None:
    """Run what was asked for and print it."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument(
        "what", nargs="*", choices=["matrix", "micro", "memory", "dialects", "age", "replay", []], default=[]
    )
    parser.add_argument("--pairs", type=int, default=10, help="interleaved pairs for each case (default 10)")
    parser.add_argument("--only", default="", help="cases or dialects, comma-separated")
    parser.add_argument("--json", type=Path, help="file for the raw figures")
    wanted = parser.parse_args()
    what = wanted.what or ["matrix", "micro"]
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory(prefix="spendgate-bench-") as name:
        folder = Path(name)
        if "matrix" in what:
            figures["matrix"] = asyncio.run(
                bench_matrix.run(folder, wanted.pairs, set(filter(None, wanted.only.split(","))))
            )
        if "micro" in what:
            figures["micro"] = bench_micro.run(folder)
        if "dialects" in what:
            figures["dialects"] = asyncio.run(
                bench_dialects.run(folder, wanted.pairs, set(filter(None, wanted.only.split(","))))
            )
        if "memory" in what:
            figures["memory"] = asyncio.run(bench_memory.run(folder))
        if "age" in what:
            figures["age"] = bench_history.age(folder / "age")
        if "replay" in what:
            figures["replay"] = bench_history.replayed(folder / "replay")
    if wanted.json:
        wanted.json.write_text(json.dumps(figures, indent=1))
    sys.exit(0)


if __name__ == "__main__":
    main()
