"""`scripts/merge-bench`: one ledger written by the gate's own code is made many laptops' (ids and chain written anew), then merged by the command itself: time, peak memory of all its processes, duplicates; again; killed in the middle and again."""

# ruff: noqa: E501 - what is told is easier to read in one line
from __future__ import annotations

import argparse
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import psutil
from msgspec.structs import replace

from ledger.kit import NOW, admit, open_ledger, row, scope, settled
from spendgate.ledger import chain
from spendgate.usage import Usage

_TOGETHER = 500
_MONTH_MS = 30 * 86_400_000


def template(folder: Path, calls: int) -> Path:
    """One laptop's month, by the ledger's own code."""
    ledger = open_ledger(folder)
    step = max(1, _MONTH_MS // calls)
    use = Usage(input_tokens=812, cache_read_tokens=91_000, cache_write_5m_tokens=1_400, output_tokens=640)

    def some(numbers: range) -> None:
        for number in numbers:
            call, at_ms = f"template-{number:09d}", NOW + number * step
            made = row(call, started_ms=at_ms, team="web", groups=("dev",), tool="claude-code", project="shop", api_key="ab12cd34",
                       session=f"s-{number // 50}", model_requested="claude-opus-4-5", request_bytes=90_000, text_bytes=80_000)  # fmt: skip
            ledger.hold(made, (scope(),), admit(90_000_000), at_ms)
            end = replace(settled(41_234_567 + number, scope(), ended_ms=at_ms + 9_000), usage=use, request_id=f"req_{number:020d}",
                          response_id=f"msg_{number:020d}", prices="anthropic/claude-opus-4-5", duration_ms=9_000)  # fmt: skip
            ledger.settle(call, end)

    for first in range(0, calls, _TOGETHER):
        ledger.together(lambda first=first: some(range(first, min(calls, first + _TOGETHER))))  # type: ignore[misc]
    ledger.close()
    return folder / "ledger.db"


def laptop(made: Path, path: Path, number: int) -> None:
    """A copy under its own id, person, machine and call ids, chained anew."""
    path.parent.mkdir(parents=True)
    shutil.copyfile(made, path)
    covered = (*chain.BEGINNINGS[chain.SETTLED], *chain.FORMS[chain.SETTLED])
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.execute("PRAGMA synchronous = OFF")
        guards = conn.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        conn.execute("BEGIN")
        for name, _ in guards:
            conn.execute(f"DROP TRIGGER {name}")
        conn.execute("UPDATE ledger SET id = ?", (sha256(str(number).encode()).hexdigest()[:16],))
        # A gate's ids are random, so a merged file's index of them is written to everywhere at once.
        conn.create_function("new_id", 1, lambda seq: str(UUID(bytes=sha256(f"{number}-{seq}".encode()).digest()[:16])))
        conn.execute(
            "UPDATE call_rows SET id = new_id(seq), machine = ?, person = ?",
            (f"lt-{number:02d}", f"person-{number:02d}"),
        )
        conn.execute("DELETE FROM chain")
        conn.execute("DELETE FROM audit")
        head, links = chain.FIRST, []
        found = conn.execute(f"SELECT seq, {', '.join(covered)} FROM call_rows ORDER BY seq")  # noqa: S608 - our own columns
        for position, (seq, *values) in enumerate(found, 1):
            digest = sha256(chain.canonical(tuple(values))).digest()
            head = sha256(head + digest).digest()
            links.append((position, seq, chain.SETTLED, digest, head))
        conn.executemany("INSERT INTO chain VALUES (?, ?, ?, ?, ?)", links)
        for _, sql in guards:
            conn.execute(sql)
        conn.execute("COMMIT")


def laptops(home: Path, ledgers: int, calls: int) -> list[Path]:
    """Their files: made, unless they are there already."""
    paths = [home / f"lt-{number:02d}" / "ledger.db" for number in range(ledgers)]
    if not paths[-1].exists():
        (home / "template").mkdir(parents=True)
        made = template(home / "template", calls)
        for number, path in enumerate(paths):
            laptop(made, path, number)
    return paths


def run(out: Path, paths: list[Path], kill_after: float | None = None) -> tuple[str, int, str]:
    """One merge by the command: its seconds, by the clock and of processors, peak of its processes' resident bytes, what it printed last."""
    command = [sys.executable, "-c", "from spendgate.cli.main import run; run()", "ledger", "merge", "--into", str(out)]
    began, used, peak = time.perf_counter(), _used(), 0
    child = psutil.Popen([*command, "--format", "csv", *map(str, paths)], stdout=subprocess.PIPE, text=True)
    while child.poll() is None:
        try:
            peak = max(peak, sum(each.memory_info().rss for each in (child, *child.children(recursive=True))))
        except psutil.Error:
            pass  # it has just ended
        if kill_after is not None and time.perf_counter() - began > kill_after:
            os.kill(child.pid, signal.SIGKILL)
        time.sleep(0.05)
    with child.stdout:
        said = child.stdout.read()
    return f"{time.perf_counter() - began:.1f} s ({_used() - used:.1f} s of processors)", peak, said


def _used() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def facts(out: Path) -> tuple[int, int, int, int]:
    """Calls, different ids, nano-dollars, sources."""
    with closing(sqlite3.connect(out)) as conn:
        if not conn.execute("SELECT 1 FROM sqlite_schema WHERE name = 'source_audit'").fetchone():
            return 0, 0, 0, 0  # killed before it was made
        calls, nanos = conn.execute("SELECT count(*), sum(cost_nanos) FROM call_rows").fetchone()
        ids = conn.execute("SELECT count(*) FROM (SELECT DISTINCT id FROM call_rows)").fetchone()[0]
        return calls, ids, nanos, conn.execute("SELECT count(*) FROM merged_from").fetchone()[0]


def main() -> None:
    """Print the figures; exit status 1 where a call is lost or doubled."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--ledgers", type=int, default=40)
    asked.add_argument("--calls", type=int, default=100_000)
    asked.add_argument("--kill-after", type=float, default=15.0)
    asked.add_argument("--keep", type=Path)
    options = asked.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        home = options.keep or Path(scratch)
        paths = laptops(home, options.ledgers, options.calls)
        total = options.ledgers * options.calls
        print(
            f"{options.ledgers} ledgers of {options.calls:,} calls, {sum(path.stat().st_size for path in paths) / 1e6:,.0f} MB"
        )
        out, other = home / "merged.db", home / "again.db"
        for each in (out, other):
            each.unlink(missing_ok=True)
        seconds, peak, _ = run(out, paths)
        first = facts(out)
        print(f"merged in {seconds}, peak {peak / 1e6:,.0f} MB, {out.stat().st_size / 1e6:,.0f} MB: "
              f"{first[0]:,} calls, {first[0] - first[1]} duplicates, {total - first[0]} missing, {first[3]} sources")  # fmt: skip
        seconds, peak, said = run(out, paths)
        print(
            f"again in {seconds}, peak {peak / 1e6:,.0f} MB: {said.count(',unchanged,')} unchanged; same: {facts(out) == first}"
        )
        out.unlink()
        run(other, paths, options.kill_after)
        half = facts(other)
        seconds, _, _ = run(other, list(reversed(paths)))
        print(f"killed after {options.kill_after:.0f} s with {half[3]} sources, {half[0]:,} calls; gone on in {seconds}, "
              f"in reverse: same: {facts(other) == first}")  # fmt: skip
        other.unlink()
        sys.exit(0 if first[:2] == (total, total) else 1)


if __name__ == "__main__":
    main()
