"""Pieces of the gate by themselves, hot: what one event, one large body, one hold and settle cost."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

from parts.bench_origin import DELTA, END, START

from spendgate.admission import Admit, Hold, Scope
from spendgate.capture.tap import Tap
from spendgate.ledger.interface import CallRow, Settlement
from spendgate.ledger.ledger import Ledger
from spendgate.providers.decoding import Decoder
from spendgate.providers.headers import CaseInsensitive
from spendgate.providers.interface import Ask, Head
from spendgate.providers.registry import DIALECTS
from spendgate.usage import Usage

DAY_MS = 86_400_000
NOW_MS = 1_795_000_000_000


def run(folder: Path) -> dict[str, float]:
    """Measure, print a line each, and give the figures."""
    figures = {
        "tap per event (us), goal 2": _tap() * 1e6,
        "1 MB request read (ms), goal 1": _large_body() * 1e3,
    }
    median, p99 = _hold_and_settle(folder / "ledger")
    figures |= {"hold + settle, 3 budgets, p50 (ms), goal 0.1": median * 1e3, "the same, p99 (ms), goal 0.5": p99 * 1e3}
    for name, figure in figures.items():
        print(f"{name:48}{figure:10.3f}", flush=True)
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
        tap = Tap(reader, lambda _reading: None, Decoder(None), framed=False)
        for chunk in chunks:
            tap(chunk)

    return _best(stream, 20) / events


def _large_body() -> float:
    text = 'line of code with \\n and \\"quotes\\" in it; ' * 24_000
    body = f'{{"model":"claude-sonnet-4-5","max_tokens":8192,"messages":[{{"role":"user","content":"{text}"}}],"stream":true}}'
    head = Head("POST", "api.anthropic.com", "/v1/messages", "", CaseInsensitive({"content-type": "application/json"}))
    data = body.encode()
    assert len(data) > 1_000_000
    return _best(lambda: DIALECTS["anthropic-messages"].ask(head, data), 20)


def _scopes() -> tuple[Scope, ...]:
    def scope(name: str, window: str, ends: int) -> Scope:
        return Scope(
            budget=name, value="alice", window=window, starts_ms=NOW_MS - DAY_MS, ends_ms=ends, rolling_ms=None,
            limit_nanos=10**15, hold=Hold.EXPECTED, wait_ms=0, enforced=True, cut=False, order=0, words=name,
        )  # fmt: skip

    return (
        scope("hour", "h", NOW_MS + DAY_MS),
        scope("day", "d", NOW_MS + DAY_MS),
        scope("month", "m", NOW_MS + 30 * DAY_MS),
    )


def _hold_and_settle(folder: Path) -> tuple[float, float]:
    folder.mkdir()
    ledger, scopes = Ledger.open(folder / "ledger.db", folder / "gates", NOW_MS), _scopes()
    admit = Admit(tuple((scope, 1_000_000) for scope in scopes))
    taken = []
    for number in range(5_000):
        row = CallRow(
            id=f"{number:032d}", started_ms=NOW_MS + number, person="alice", machine="m", provider="anthropic",
            host="api.anthropic.com", path="/v1/messages", tool="claude-code", kind="claude-code|claude-sonnet-4-5",
        )  # fmt: skip
        end = Settlement(
            state="settled", basis="reported", usage=Usage(input_tokens=12, output_tokens=7), cost_nanos=900, value_nanos=900,
            charges=tuple((scope, 900) for scope in scopes), ended_ms=NOW_MS + number + 1, model="claude-sonnet-4-5",
        )  # fmt: skip
        began = time.perf_counter()
        ledger.hold(row, scopes, lambda _standings, _kind: admit, NOW_MS + number)
        ledger.settle(row.id, end)
        taken.append(time.perf_counter() - began)
    ledger.close()
    return statistics.median(taken), sorted(taken)[int(len(taken) * 0.99)]
