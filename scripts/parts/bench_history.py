"""A ledger with a long past: what a decision costs on it beside a young one, and how long a policy is replayed over it.

The past is written by hand, row by row as a gate leaves them: 500 people in 40 teams, four models, costs that vary, a call each
2.6 seconds. Rows, links of the chain, charges' texts and the balances of windows that have ended are there, as in a real file.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from parts.past_written import ENDS_MS, PEOPLE, TEAMS, write

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
from spendgate.replay.run import replay
from spendgate.usage import Usage

CALLS = 1_000_000
YOUNG = 10_000
BUDGETS = 200
FITTING = (200, 10)
_WINDOWS = ("hour", "day", "week", "month", "rolling 24h")
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
