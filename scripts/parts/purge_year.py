"""A year of a million calls is purged: how long it takes, what calls that are made meanwhile wait, and that nothing else changed.

The ledger is written as gates leave it (`parts.year_written`). The year is older than `keep`; the 400 days that stay have a
tenth of its calls.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from parts.year_written import KEEP_DAYS, MODELS, NOW_MS, PEOPLE, POLICY, TEAMS, write

from spendgate.admission import Admit
from spendgate.config.policy_file import parse_policy
from spendgate.errors import LedgerBusy
from spendgate.fitting import enforces, scopes
from spendgate.gate.purging import Purging
from spendgate.ledger.day_sums import Totals
from spendgate.ledger.interface import CallRow, Settlement
from spendgate.ledger.ledger import Ledger
from spendgate.ledger.purge import Purge, run
from spendgate.ledger.queries import Reader
from spendgate.policy import Policy
from spendgate.selector import Facts
from spendgate.standing import Scope, Standing
from spendgate.usage import Usage

_TIMED = 400


@dataclass(frozen=True)
class Look:
    """The ledger at one moment."""

    totals: Totals
    standings: tuple[Standing, ...]
    head: str
    faults: int
    seconds: float
    """That the look at all of it took."""
    bytes: int


def look(path: Path) -> Look:
    """Everything that a purge must leave as it is, and what it must not leave."""
    policy = parse_policy(POLICY.encode())
    with closing(Reader(path)) as reader:
        found = tuple(
            standing
            for person in range(PEOPLE)
            for standing in reader.standings(_today(policy, person), NOW_MS)
        )  # fmt: skip
        totals, head = reader.totals(), reader.head().head
        began = time.perf_counter()
        faults = sum(1 for _ in reader.verify(None))
        took = time.perf_counter() - began
    return Look(totals, found, head, faults, took, path.stat().st_size)


def _today(policy: Policy, person: int) -> tuple[Scope, ...]:
    facts = Facts.of(model=MODELS[0], person=f"p{person}", team=f"t{person % TEAMS}")
    return scopes(policy, facts, NOW_MS, enforces(policy, facts))


def _timed(ledger: Ledger, name: str, calls: int) -> list[float]:
    """Milliseconds of hold and settlement of so many calls, with every wait for a ledger that was busy."""
    policy, taken = parse_policy(POLICY.encode()), []
    drawn = _today(policy, 0)
    admitted = Admit(tuple((scope, 0) for scope in drawn))
    for number in range(calls):
        row = CallRow(
            f"{name}-{number}", NOW_MS, "p0", "m1", "anthropic", "api.anthropic.com", "/v1/messages", kind="k"
        )
        end = Settlement("settled", "reported", Usage(), 0, 0, tuple((scope, 0) for scope in drawn), NOW_MS)
        began = time.perf_counter()
        _retried(lambda row=row: ledger.hold(row, drawn, lambda _s, _k: admitted, NOW_MS))
        _retried(lambda row=row, end=end: ledger.settle(row.id, end))
        taken.append((time.perf_counter() - began) * 1e3)
        time.sleep(0.01)
    return sorted(taken)


def _retried(work: object) -> None:
    assert callable(work)
    while True:
        try:
            work()
        except LedgerBusy:
            time.sleep(0.0005)
        else:
            return


def show(folder: Path, old: int, kept: int, *, timed: int = _TIMED) -> dict[str, float]:
    """Write, look, purge (some of it beside calls, as a running gate does, the rest as the command does), look again.

    Raises RuntimeError where anything but the rows has changed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, gates, policy = folder / "ledger.db", folder / "gates", parse_policy(POLICY.encode())
    write(path, gates, old, kept)
    before = look(path)
    alone, beside, in_thread = _beside_calls(path, gates, policy, timed)
    between = look(path)
    began = time.perf_counter()
    with Purge(path, gates) as purge:
        calls, gone = run(purge, KEEP_DAYS, NOW_MS)
    took = time.perf_counter() - began
    after = look(path)
    for one, other in ((before, between), (between, after)):
        if one.faults or other.faults:
            raise RuntimeError(f"the ledger has {one.faults} and {other.faults} faults")
        if one.standings != other.standings:
            raise RuntimeError("a window has changed")
    if between.totals != after.totals or between.head != after.head or in_thread + calls != old:
        raise RuntimeError(f"{between.totals} became {after.totals}, {in_thread} + {calls} of {old} calls")
    return {
        "calls purged": float(in_thread + calls),
        "of them beside running calls": float(in_thread),
        "the others: seconds": took,
        "the others: calls a second": calls / took if took else 0.0,
        "balances of windows that were over": float(gone.balances),
        "spent before ($)": between.totals.cost_nanos / 1e9,
        "spent after ($)": after.totals.cost_nanos / 1e9,
        "ended calls before": float(between.totals.rows),
        "ended calls after": float(after.totals.rows),
        "windows compared, none changed": float(len(after.standings)),
        "faults of both chains and all sums after": float(after.faults),
        "audit verify before (s)": before.seconds,
        "audit verify after (s)": after.seconds,
        "file before (MB)": before.bytes / 1e6,
        "file after (MB)": after.bytes / 1e6,
        "hold + settle alone, p50 (ms)": statistics.median(alone),
        "hold + settle alone, p99 (ms)": alone[int(len(alone) * 0.99)],
        "beside a purging gate, p50 (ms)": statistics.median(beside),
        "beside a purging gate, p99 (ms)": beside[int(len(beside) * 0.99)],
        "beside a purging gate, most (ms)": beside[-1],
    }


def _beside_calls(path: Path, gates: Path, policy: Policy, timed: int) -> tuple[list[float], list[float], int]:
    """What calls take alone, what they take while a gate purges in its thread, and how many calls that purged."""
    ledger = Ledger.open(path, gates, NOW_MS)
    done: list[int] = []
    thread_of = Purging(path, gates, policy, lambda: NOW_MS, lambda: True)
    thread = threading.Thread(target=lambda: done.append(thread_of.look()))
    alone = _timed(ledger, "alone", timed)
    thread.start()
    beside = _timed(ledger, "beside", timed)
    thread_of.stop()
    thread.join()
    ledger.close()
    return alone, beside, done[0]


def main() -> None:
    """Print the figures."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--calls", type=int, default=1_000_000, help="in the year that is to go")
    options.add_argument("--kept", type=int, default=100_000, help="in the days that stay")
    options.add_argument("--folder", type=Path, help="where to work; a temporary one without it")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        for name, figure in show(Path(folder), given.calls, given.kept).items():
            print(f"{name:48}{figure:18,.3f}", flush=True)


if __name__ == "__main__":
    main()
