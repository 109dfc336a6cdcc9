"""A ledger with a long past: what a decision costs on it beside a young one, and how long a policy is replayed over it.

The past is written by hand, row by row as a gate leaves them: 500 people in 40 teams, four models, costs that vary, a call each
2.6 seconds. Rows, links of the chain, charges' texts and the balances of windows that have ended are there, as in a real file.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from spendgate.attribution import Attribution
from spendgate.config.policy_file import parse_policy
from spendgate.gate.clock import Clock
from spendgate.gate.gate import Gate
from spendgate.gate.interface import Admitted, End, Intent
from spendgate.ledger.ledger import Ledger
from spendgate.ledger.queries import Reader
from spendgate.policy import Policy
from spendgate.pricing import PriceBook
from spendgate.providers.ask import Ask
from spendgate.providers.interface import Kind, Route
from spendgate.providers.reading import Part, Reading
from spendgate.providers.unfinished import estimate_usage
from spendgate.replay import report
from spendgate.replay.engine import replay
from spendgate.standing import Size
from spendgate.usage import Usage

CALLS = 1_000_000
YOUNG = 10_000
ENDS_MS = 1_795_000_000_000
BETWEEN_MS = 2_600
PEOPLE, TEAMS = 500, 40
MODELS = ("claude-opus-4-5", "claude-sonnet-4-5", "gpt-5", "claude-haiku-4-5")
BUDGETS = 200
FITTING = (200, 10)
_WINDOWS = ("hour", "day", "week", "month", "rolling 24h")
_AT_ONCE = 20_000
_COLUMNS = (
    "id", "state", "gate", "started_ms", "booked_ms", "ended_ms", "person", "team", "groups", "machine", "account_os", "tool",
    "session", "evidence", "provider", "host", "path", "model_requested", "model", "kind", "billing", "estimate_nanos",
    "ceiling_nanos", "typical_nanos", "held_nanos", "size", "cost_nanos", "value_nanos", "basis", "request_bytes", "text_bytes",
    "waited_ms", "policy_hash", "input_tokens", "output_tokens", "holds",
)  # fmt: skip
_FIVE = """\
budgets:
  - {name: person, per: person, limit: ["$1 per hour", "$8 per day", "$7 per rolling 24h"]}
  - {name: team, per: team, limit: "$380 per week"}
  - {name: everyone, limit: "$60,000 per month"}
"""


def five() -> Policy:
    """Five budgets over five kinds of window for 500 people in 40 teams; some calls do not fit."""
    teams = "".join(f"  t{number}: {{}}\n" for number in range(TEAMS))
    people = "".join(f"  p{number}: {{team: t{number % TEAMS}}}\n" for number in range(PEOPLE))
    head = "version: 1\nowner: bench@acme.example\n"
    return parse_policy(f"{head}teams:\n{teams}people:\n{people}{_FIVE}".encode())


def many(fitting: int) -> Policy:
    """200 budgets over five kinds of window, of which so many fit the call that is timed; none is ever spent."""
    lines = [
        "version: 1",
        "owner: bench@acme.example",
        "teams: {t0: {}, t1: {}}",
        "people: {p0: {team: t0}, p1: {team: t1}}",
        "budgets:",
    ]
    for number in range(BUDGETS):
        team, window = ("t0" if number < fitting else "t1"), _WINDOWS[number % len(_WINDOWS)]
        per = "per: person, " if number % 2 else ""
        lines.append(f'  - {{name: b{number}, {per}match: {{team: {team}}}, limit: "$1,000,000 per {window}"}}')
    return parse_policy("\n".join(lines).encode())


def _past(calls: int) -> Iterator[tuple[object, ...]]:
    """The rows of `_COLUMNS`, oldest first, the last at `ENDS_MS`; the same each time."""
    rng = random.Random(7)
    sessions: dict[int, str] = {}
    at_ms = ENDS_MS - calls * BETWEEN_MS
    for number in range(calls):
        at_ms += 1 + rng.randrange(2 * BETWEEN_MS - 2)
        person, model = rng.randrange(PEOPLE), MODELS[rng.randrange(len(MODELS))]
        if person not in sessions or rng.random() < 0.02:
            sessions[person] = f"s{number}"
        cost = int(rng.lognormvariate(17.5, 1))
        expected = int(cost * rng.uniform(0.5, 1.5))
        size = Size(
            ceiling_nanos=expected * 8, learned_nanos=expected, largest_nanos=expected * 4, typical_nanos=expected,
            guess_nanos=expected * 8, spread_nanos=expected // 2, output_nanos=expected // 3, seen=50, own_seen=50,
            output_most_nanos=expected * 5,
        )  # fmt: skip
        holds = ",".join(
            f'[{10_000 + person * 5 + each},{expected},{expected * 8},"expected",0,{cost}]' for each in range(5)
        )
        yield (
            f"c{number:07d}", "settled", 1, at_ms, min(at_ms, ENDS_MS), at_ms + rng.randrange(1_000, 30_000), f"p{person}",
            f"t{person % TEAMS}", "", f"m{person}", f"p{person}", "claude-code", sessions[person], "", "anthropic",
            "api.anthropic.com", "/v1/messages", model, model, f"claude-code|{model}", "metered", expected, expected * 8,
            expected, expected, size.text, cost, cost, "reported", 1_000, 1_000, 0, "x", 1_000, 100, f"[{holds}]",
        )  # fmt: skip


def write(path: Path, calls: int) -> None:
    """Add so many past calls to an open-able ledger, each with its link, and a tenth as many balances that have ended."""
    names = ", ".join(_COLUMNS)
    marks = ", ".join("?" * len(_COLUMNS))
    with sqlite3.connect(path, isolation_level=None) as conn:
        conn.execute("PRAGMA synchronous = OFF")
        conn.execute("PRAGMA cache_size = -200000")
        first = conn.execute("SELECT coalesce(max(seq), 0) FROM call_rows").fetchone()[0]
        rows = _past(calls)
        while chunk := list(islice(rows, _AT_ONCE)):
            conn.execute("BEGIN")
            conn.executemany(f"INSERT INTO call_rows ({names}) VALUES ({marks})", chunk)  # noqa: S608 - this file's own words
            conn.execute("COMMIT")
        conn.execute(
            """INSERT INTO chain (position, call, form, digest, head)
            SELECT (SELECT coalesce(max(position), 0) FROM chain) + seq - ?1, seq, 7, randomblob(32), randomblob(32)
            FROM call_rows WHERE seq > ?1""",
            (first,),
        )
        conn.execute(
            """INSERT INTO windows (id, budget, words, value, window, length_ms, starts_ms, ends_ms)
            SELECT 1000000 + seq, 'b' || seq % 200, 'old', person, booked_ms, 0, booked_ms, booked_ms + 1
            FROM call_rows WHERE seq > ? AND seq % 10 = 0""",
            (first,),
        )
        conn.execute(
            "INSERT INTO sums (id, settled) SELECT 1000000 + seq, cost_nanos FROM call_rows WHERE seq > ? AND seq % 10 = 0",
            (first,),
        )
        # The gates that admitted these calls counted them in their budgets.
        conn.execute("UPDATE counted SET upto_seq = (SELECT max(seq) FROM call_rows)")
    conn.close()


@dataclass
class _Ticking:
    """A clock that goes on by a tenth of a second each time it is asked."""

    now_ms: int = ENDS_MS + 1_000

    def __call__(self) -> int:
        self.now_ms += 100
        return self.now_ms


@dataclass(frozen=True)
class _Gate:
    """One gate on one ledger."""

    gate: Gate
    ledger: Ledger


async def _opened(folder: Path, policy: Policy) -> _Gate:
    ledger = Ledger.open(folder / "ledger.db", folder / "gates", ENDS_MS)
    gate = Gate(ledger, PriceBook(), policy, estimate=estimate_usage, clock=Clock(now_ms=_Ticking()))
    await gate.start()
    return _Gate(gate, ledger)


async def _closed(at: _Gate) -> None:
    await at.gate.stop()
    at.ledger.close()


async def _call(at: _Gate, name: str) -> float:
    """Seconds of one hold and its settlement."""
    ask = Ask(model="claude-sonnet-4-5", text_bytes=300, output_tokens_max=1024, searches_max=0)
    who = Attribution(person="p0", team="t0", teams=("t0",), machine="m", tool="claude-code", session="one")
    route = Route("anthropic", "anthropic-messages", Kind.BILLABLE, "/v1/messages")
    intent = Intent(name, ENDS_MS, "api.anthropic.com", route, ask, who, 300)
    parts = (Part(Usage(input_tokens=12, output_tokens=7), "claude-sonnet-4-5"),)
    reading = Reading(parts=parts, model="claude-sonnet-4-5", final=True, ended=True)
    end = End(ENDS_MS, sent=True, complete=True, http_status=200, first_byte_ms=1, duration_ms=2, response_bytes=400)
    began = time.perf_counter()
    answer = await at.gate.hold(intent)
    held = time.perf_counter()
    if not isinstance(answer, Admitted):
        raise RuntimeError(f"a call of the benchmark was not admitted: {answer}")
    at.gate.sent(name)
    sent = time.perf_counter()
    at.gate.settle(name, reading, end)
    return time.perf_counter() - sent + held - began


async def _first_calls(folder: Path) -> None:
    """Of a new ledger: its budgets have then counted all that there is, under both policies."""
    for fitting in FITTING:
        first = await _opened(folder, many(fitting))
        await _call(first, f"first-{fitting}")
        await _closed(first)


async def _timed(folders: tuple[Path, Path], policy: Policy, calls: int) -> tuple[list[float], list[float]]:
    """Two ledgers, call by call in turns under the same policy: seconds of each."""
    one, other = await _opened(folders[0], policy), await _opened(folders[1], policy)
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(calls):
        for at, each in zip((one, other), taken, strict=True):
            each.append(await _call(at, f"{policy.hash}-{number}"))
    await _closed(one)
    await _closed(other)
    return taken


def age(folder: Path, calls: int = 300) -> dict[str, float]:
    """Decision time with 200 budgets, on ten thousand calls and on a million."""
    young, old = folder / "young", folder / "old"
    young.mkdir(parents=True)
    old.mkdir()
    for path, size in ((young, YOUNG), (old, CALLS)):
        asyncio.run(_first_calls(path))
        write(path / "ledger.db", size)
    figures: dict[str, float] = {}
    for fitting in FITTING:
        both = asyncio.run(_timed((young, old), many(fitting), calls))
        for name, taken in zip(("10 thousand", "a million"), both, strict=True):
            taken.sort()
            what = f"hold + settle, 200 budgets, {fitting} fit, {name} calls"
            figures[f"{what}, p50 (ms)"] = statistics.median(taken) * 1e3
            figures[f"{what}, p99 (ms)"] = taken[int(len(taken) * 0.99)] * 1e3
    _print(figures)
    return figures


def replayed(folder: Path) -> dict[str, float]:
    """Seconds in which a million calls are decided again under five budgets over five kinds of window, twice."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "ledger.db"
    Ledger.open(path, folder / "gates", ENDS_MS).close()
    write(path, CALLS)
    policy = five()
    took, said = [], []
    with Reader(path) as reader:
        for _ in range(2):
            began = time.perf_counter()
            outcome = replay(policy, 0, lambda since_ms: reader.history(since_ms, None))
            took.append(time.perf_counter() - began)
            said.append((report.summary(outcome), report.rules(outcome), report.people(outcome), report.calls(outcome)))
    if said[0] != said[1]:
        raise RuntimeError("the same history was replayed to two different outcomes")
    figures = {
        "replay of a million calls (s), goal 60": took[0],
        "the same again, same output (s)": took[1],
        "of them refused": float(outcome.refused),
    }
    _print(figures)
    return figures


def _print(figures: dict[str, float]) -> None:
    for name, figure in figures.items():
        print(f"{name:64}{figure:12.3f}", flush=True)
