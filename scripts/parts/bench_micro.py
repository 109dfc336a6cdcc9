"""Pieces of the gate by themselves, hot: what one event, one large body, one hold and settle cost."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

from parts.bench_origin import DELTA, END, START
from parts.bench_systems import POLICY

from ledger import speed
from spendgate.attribution import Attribution
from spendgate.capture.tap import Tap
from spendgate.config import policies
from spendgate.config.paths import State, prepare
from spendgate.config.people import Known
from spendgate.gate.gate import Gate
from spendgate.gate.interface import End, Intent
from spendgate.ledger.ledger import Ledger
from spendgate.pricing import PriceBook
from spendgate.providers.ask import Ask
from spendgate.providers.decoding import Decoder
from spendgate.providers.dialects import DIALECTS
from spendgate.providers.headers import CaseInsensitive
from spendgate.providers.interface import Head, Kind, Route
from spendgate.providers.reading import Part, Reading
from spendgate.providers.registry import HOST_DIALECTS, PROVIDER_NAMES
from spendgate.providers.unfinished import estimate_usage
from spendgate.usage import Usage

NOW_MS = 1_795_000_000_000
RATES = """
rates:
  - {name: requests, per: person, requests: 1000000 per minute}
  - {name: tokens, per: person, tokens: 1000000000 per 5m}
  - {name: at-once, per: person, parallel: 1000}
"""


def run(folder: Path) -> dict[str, float]:
    """Measure, print a line each, and give the figures."""
    figures = {
        "tap per event (us), goal 2": _tap() * 1e6,
        "1 MB request, longest step (ms), goal 1": _large_body() * 1e3,
    }
    taken = sorted(asyncio.run(_gate(folder / "gate")))
    rated = sorted(asyncio.run(_gate(folder / "rated", RATES)))
    figures |= _ledger(folder / "ledger") | {
        "gate: hold + settle, 3 budgets, p50 (ms), goal 0.1": statistics.median(taken) * 1e3,
        "gate: the same, p99 (ms), goal 0.5": taken[int(len(taken) * 0.99)] * 1e3,
        "gate: the same, least (ms)": taken[0] * 1e3,
        "gate: the same and 3 rates, p50 (ms)": statistics.median(rated) * 1e3,
        "gate: the same and 3 rates, least (ms)": rated[0] * 1e3,
    }
    for name, figure in figures.items():
        print(f"{name:56}{figure:10.3f}", flush=True)
    return figures


def _best(work: Callable[[], object], times: int) -> float:
    """Seconds of the quickest of some runs: what the work costs where nothing else is in the way."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return min(taken)


def _tap() -> float:
    events = 5_000
    headers = CaseInsensitive({"content-type": "text/event-stream"})
    chunks = [START, *[DELTA] * events, END]

    def stream() -> None:
        reader = DIALECTS["anthropic-messages"].reader(Ask(model="claude-sonnet-4-5", streamed=True), 200, headers)
        tap = Tap(reader, lambda _reading: None, Decoder(None))
        for chunk in chunks:
            tap(chunk)

    return _best(stream, 20) / events


def _large_body() -> float:
    text = 'line of code with \\n and \\"quotes\\" in it; ' * 24_000
    body = f'{{"model":"claude-sonnet-4-5","max_tokens":8192,"messages":[{{"role":"user","content":"{text}"}}],"stream":true}}'
    head = Head("POST", "api.anthropic.com", "/v1/messages", "", CaseInsensitive({"content-type": "application/json"}))
    data = body.encode()
    assert len(data) > 1_000_000
    return min(_longest_step(DIALECTS["anthropic-messages"].asking(head, data)) for _ in range(20))


def _longest_step(steps: Iterator[None]) -> float:
    """The longest that the loop stands still while this work is done in steps."""
    longest, began = 0.0, time.perf_counter()
    for _ in chain(steps, (None,)):
        now = time.perf_counter()
        longest, began = max(longest, now - began), now
    return longest


def _ledger(folder: Path) -> dict[str, float]:
    """Three budgets, beside what SQLite alone needs for the same two transactions, in milliseconds."""
    folder.mkdir()
    found = speed.measure(5_000, folder)
    pair, bare = found["hold+settle"], found["bare"]
    return {
        "ledger: hold + settle, 3 budgets, p50 (ms), goal 0.1": pair.median_us / 1e3,
        "ledger: the same, p99 (ms), goal 0.5": pair.p99_us / 1e3,
        "ledger: settle + next hold as one, busy gate, p50 (ms)": found["joined"].median_us / 1e3,
        "ledger: the same, p99 (ms)": found["joined"].p99_us / 1e3,
        "ledger: mark as sent, p50 (ms)": found["sent"].median_us / 1e3,
        "bare SQLite, the same two transactions, p50 (ms)": bare.median_us / 1e3,
        "bare SQLite, p99 (ms)": bare.p99_us / 1e3,
    }


async def _gate(folder: Path, rates: str = "") -> list[float]:
    """The whole of it: budgets (and rates) found, price and size, decision, ledger, charge and what is learned."""
    state, file = prepare(State(folder)), folder.with_suffix(".yaml")
    file.write_text(POLICY + rates)
    known = Known(providers=PROVIDER_NAMES, dialects=HOST_DIALECTS)
    policy = policies.LastGood(state).start(file, NOW_MS, known).policy
    ledger = Ledger.open(state.ledger, state.gates, NOW_MS)
    gate = Gate(ledger, PriceBook(), policy, estimate=estimate_usage)
    await gate.start()
    route = Route("anthropic", "anthropic-messages", Kind.BILLABLE, "/v1/messages")
    who = Attribution(person="alice", machine="m", tool="claude-code", session="one")
    taken = []
    for number in range(3_000):
        ask = Ask(model="claude-sonnet-4-5", text_bytes=300 + number % 7, output_tokens_max=1024, searches_max=0)
        intent = Intent(f"{number:032d}", NOW_MS, "api.anthropic.com", route, ask, who, 300)
        parts = (Part(Usage(input_tokens=12, output_tokens=7), "claude-sonnet-4-5"),)
        reading = Reading(parts=parts, model="claude-sonnet-4-5", final=True, ended=True)
        end = End(NOW_MS, sent=True, complete=True, http_status=200, first_byte_ms=1, duration_ms=2, response_bytes=400)
        began = time.perf_counter()
        await gate.hold(intent)
        held = time.perf_counter()
        gate.sent(intent.call_id)
        sent = time.perf_counter()
        gate.settle(intent.call_id, reading, end)
        taken.append(time.perf_counter() - sent + held - began)
    await gate.stop()
    ledger.close()
    return taken
