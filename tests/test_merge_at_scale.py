"""A merge of 40 ledgers of 100,000 calls that is killed again and again, as `scripts/merge-bench` runs it once."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from importlib import import_module
from pathlib import Path
from random import Random
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
MOST_MB = 1_000


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script's own part."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return import_module("parts.merge_bench")


def killed_and_run_again(bench: ModuleType, folder: Path, ledgers: int, calls: int, kills: tuple[float, ...]) -> float:
    """Kill after each of these times, then run to the end: every call is there once. The peak of its memory, in MB."""
    paths, out, order = bench.laptops(folder / "from", ledgers, calls), folder / "out.db", Random(7)
    for seconds in kills:
        order.shuffle(paths)
        bench.run(out, paths, seconds)
        found = bench.facts(out)
        print(f"killed after {seconds} s: {found[3]} sources, {found[0]:,} calls")
        assert found[0] == found[1] == found[3] * calls  # whole sources, none of their calls twice
    took, peak, _ = bench.run(out, paths)
    found = bench.facts(out)
    print(f"then in {took}, peak {peak / 1e6:,.0f} MB: {found[0]:,} calls")
    one = calls * 41_234_567 + calls * (calls - 1) // 2
    assert found == (ledgers * calls, ledgers * calls, ledgers * one, ledgers)
    with closing(sqlite3.connect(out)) as conn:
        assert conn.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",)
        assert {each[1] for each in conn.execute("PRAGMA index_list(call_rows)")} >= {"calls_id", "calls_booked"}
    assert bench.run(out, paths)[2].count(",unchanged,") == ledgers
    return float(peak) / 1e6


def test_whenever_it_is_killed(bench: ModuleType, tmp_path: Path) -> None:
    """Small: in every phase of it."""
    killed_and_run_again(bench, tmp_path, 4, 300, (0.6, 1.3, 1.6, 1.9, 2.2))


@pytest.mark.heavy
@pytest.mark.timeout(3600)
def test_four_million_calls_killed_and_run_again(bench: ModuleType, tmp_path: Path) -> None:
    """No call is lost or doubled, and its processes stay below a gigabyte."""
    assert killed_and_run_again(bench, tmp_path, 40, 100_000, (3, 11, 23, 31)) < MOST_MB
