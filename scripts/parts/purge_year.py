"""A year of a million calls is purged: how long it takes, what calls that are made meanwhile wait, and that nothing else changed.

The ledger is written row by row as gates leave it: 25 people in 5 teams, four models, budgets over six kinds of window, every
call with its link in the chain, its holds and its charges. The year is older than `keep`; the 400 days that stay have a tenth.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import statistics
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from pathlib import Path

from spendgate.admission import Admit
from spendgate.config.policy_file import parse_policy
from spendgate.errors import LedgerBusy
from spendgate.fitting import enforces, scopes
from spendgate.gate.past import counted
from spendgate.gate.purging import Purging
from spendgate.ledger import chain, open_calls, purgeable, rows
from spendgate.ledger.day_sums import Totals
from spendgate.ledger.interface import CallRow, Settlement
from spendgate.ledger.ledger import Ledger
from spendgate.ledger.purge import Purge, run
from spendgate.ledger.queries import Reader
from spendgate.policy import Policy
from spendgate.selector import Facts
from spendgate.standing import Scope, Standing
from spendgate.usage import Usage
from spendgate.window import DAY_MS

NOW_MS = 1_795_312_800_000
KEEP_DAYS, YEAR_DAYS = 400, 365
PEOPLE, TEAMS = 25, 5
MODELS = ("claude-opus-4-5", "claude-sonnet-4-5", "gpt-5", "claude-haiku-4-5")
_AT_ONCE = 20_000
_TIMED = 400
_COLUMNS = (*rows.OPENED, *rows.SETTLED, *rows.RUNNING, "holds", "gate")
POLICY = f"""\
version: 1
owner: bench@acme.example
privacy: {{keep: {KEEP_DAYS} days}}
teams: {{{", ".join(f"t{number}: {{}}" for number in range(TEAMS))}}}
people:
{"".join(f"  p{number}: {{team: t{number % TEAMS}}}{chr(10)}" for number in range(PEOPLE))}
budgets:
  - name: person
    per: person
    limit: [$999999 per day, $999999 per rolling 24h, $999999 per rolling 30d, $999999 per month, $999999]
  - {{name: team, per: team, limit: "$1,000,000 per quarter"}}
  - {{name: everyone, limit: "$1,000,000 per year"}}
  - {{name: runaway, per: person, limit: 4x mean of 7d per day, at_least: $20, at_most: "$1,000,000"}}
"""


@dataclass
class Written:
    """The balances of a ledger that is being written, by the scope's key."""

    ids: dict[tuple[str, str, str, str, int], int] = field(default_factory=dict)
    scopes: dict[int, Scope] = field(default_factory=dict)
    settled: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    kinds: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def balance(self, scope: Scope) -> int:
        """The number of its balance."""
        found = self.ids.setdefault(scope.balance, len(self.ids) + 1)
        self.scopes.setdefault(found, scope)
        return found


def _drawn(policy: Policy, written: Written, person: int, day_ms: int) -> list[tuple[int, int]]:
    """The balances that a call of this person's draws on that day: number, and the length of a rolling window."""
    facts = Facts.of(model=MODELS[0], person=f"p{person}", team=f"t{person % TEAMS}")
    found = scopes(policy, facts, day_ms, enforces(policy, facts))
    return [(written.balance(scope), scope.rolling_ms or 0) for scope in found]


def _calls(old: int, kept: int, written: Written, policy: Policy) -> Iterator[rows.Values]:
    """The values of `_COLUMNS`, oldest first; the same each time."""
    rng = random.Random(7)
    oldest_ms, border_ms = NOW_MS - (KEEP_DAYS + YEAR_DAYS) * DAY_MS, purgeable.before(NOW_MS, KEEP_DAYS)
    drawn: dict[int, list[tuple[int, int]]] = {}
    day = -1
    for number in range(old + kept):
        if number < old:
            at_ms = oldest_ms + (border_ms - oldest_ms) * number // old
        else:
            at_ms = border_ms + (NOW_MS - border_ms) * (number - old) // kept
        if at_ms // DAY_MS != day:
            day, drawn = at_ms // DAY_MS, {}
        person, model = rng.randrange(PEOPLE), MODELS[rng.randrange(len(MODELS))]
        if person not in drawn:
            drawn[person] = _drawn(policy, written, person, at_ms)
        cost = int(rng.lognormvariate(17.5, 1))
        kind = f"claude-code|{model}"
        row = CallRow(
            f"c{number:07d}", at_ms, f"p{person}", "m1", "anthropic", "api.anthropic.com", "/v1/messages",
            team=f"t{person % TEAMS}", account_os=f"p{person}", tool="claude-code", session=f"s{number // 40}-{person}",
            project="github.com/acme/widgets", process="claude", model_requested=model, kind=kind, estimate_nanos=cost,
            ceiling_nanos=8 * cost, typical_nanos=cost, request_bytes=9_000, text_bytes=8_000, policy_hash="x" * 16,
        )  # fmt: skip
        usage = Usage(
            input_tokens=rng.randrange(9_000), cache_read_tokens=rng.randrange(90_000), output_tokens=rng.randrange(900)
        )
        end = Settlement("settled", "reported", usage, cost, cost, (), at_ms + 9_000, model=model, http_status=200)
        holds = open_calls.charged([(at, cost, 8 * cost, "expected", 0, cost) for at, _ in drawn[person]])
        running = (None, at_ms, at_ms, cost, 0, None)
        for balance, length_ms in drawn[person]:
            if not length_ms or at_ms > NOW_MS - length_ms:
                written.settled[balance] += cost
        written.kinds[kind] += 1
        yield (*rows.opened(row), *rows.ended(end, ()), *running, holds, 1)


def write(path: Path, gates: Path, old: int, kept: int) -> None:
    """A ledger with so many calls in the year that is to go, and in the 400 days that stay."""
    policy, written = parse_policy(POLICY.encode()), Written()
    Ledger.open(path, gates, NOW_MS).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.execute("PRAGMA synchronous = OFF")
        conn.execute("PRAGMA cache_size = -200000")
        every, position, head = _calls(old, kept, written, policy), 0, chain.FIRST
        while chunk := list(islice(every, _AT_ONCE)):
            links = []
            for number, values in enumerate(chunk, position + 1):
                digest = sha256(chain.canonical(values[:-1])).digest()
                head = sha256(head + digest).digest()
                links.append((number, number, chain.SETTLED, digest, head))
            conn.execute("BEGIN")
            conn.executemany(rows.insert_sql(_COLUMNS), chunk)
            conn.executemany("INSERT INTO chain (position, call, form, digest, head) VALUES (?, ?, ?, ?, ?)", links)
            conn.execute("COMMIT")
            position += len(chunk)
        _write_balances(conn, written)
        notes = [(each.budget, each.noted_as, position, 0) for each in counted(policy, NOW_MS)]
        conn.executemany("INSERT INTO counted (budget, words, upto_seq, since_ms) VALUES (?, ?, ?, ?)", notes)


def _write_balances(conn: sqlite3.Connection, written: Written) -> None:
    conn.execute("BEGIN")
    numbered = [(number, key, written.scopes[number]) for key, number in written.ids.items()]
    conn.executemany(
        """INSERT INTO windows (id, budget, value, window, words, length_ms, starts_ms, ends_ms)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)""",
        [(number, *key, scope.starts_ms, scope.ends_ms) for number, key, scope in numbered],
    )
    conn.executemany(
        "INSERT INTO sums (id, edge_ms, settled) VALUES (?, ?, ?)",
        [(number, NOW_MS - key[-1] if key[-1] else None, written.settled[number]) for number, key, _ in numbered],
    )
    first = max(written.scopes) + 1
    conn.executemany(
        """INSERT INTO windows (id, budget, value, window, words, length_ms, starts_ms)
        VALUES (?, '', ?, '', '', 0, 0)""",
        list(enumerate(written.kinds, first)),
    )
    conn.executemany(
        "INSERT INTO sums (id, settled_calls) VALUES (?, ?)", list(enumerate(written.kinds.values(), first))
    )
    conn.execute("COMMIT")


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
