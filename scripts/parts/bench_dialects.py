"""Every dialect: what reading costs by itself, and what a long answer costs through the gate against stock streaming.

By itself: CPU of a tap for each megabyte of an answer, event by event as they come and in pieces of 16 KB, and of the reader of
requests. Through the gate: interleaved pairs with an A/A control, as in the matrix. A dialect is to cost at most 1.25 of stock.
Results of a batch are measured as new ones, each of which becomes a row, and as those that were read before, which do not.
"""

from __future__ import annotations

import itertools
import ssl
import statistics
import sys
import time
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path

from parts.bench_systems import System, gate, origin, stock
from parts.wires_origin import asked_for

from load.wires import WIRES, Wire
from spendgate.capture.tap import Tap
from spendgate.capture.unread import Turns
from spendgate.providers.ask import Ask
from spendgate.providers.decoding import Decoder
from spendgate.providers.dialects import DIALECTS
from spendgate.providers.headers import CaseInsensitive
from spendgate.providers.interface import Head, Reader, ResultDialect
from spendgate.providers.socket_interface import OverheardDialect
from spendgate.providers.spoken import OpenDialect

GOAL = 1.25
MB = 1_000_000
ANSWER_BYTES, REQUEST_BYTES = MB, MB // 4
LIVE_BYTES, LIVE_BYTES_LARGE = MB // 2, 8 * MB
"""Of an answer through the gate; the latter where a piece of it is as large as an image."""
PIECE_BYTES = 16 * 1024
REPEATS = 5
"""Of which the quickest counts: what reading costs where nothing else is in the way."""
REST_S = 0.03
"""A proxy that takes less than a twentieth of such a pause has come to rest."""
_FIRST_READ = 1
_numbers = itertools.count(100_000, 100_000)
"""From where the results of one answer are numbered, more than it has apart."""
_STILL = Turns(next=lambda _act: None, now_ns=lambda: 0)


async def run(folder: Path, pairs: int, only: set[str]) -> dict[str, object]:
    """Measure, print a line for each dialect as it ends, and give the raw figures."""
    wires = [wire for wire in WIRES if not only or wire.dialect in only]
    figures: dict[str, object] = {}
    print(f"{'reading alone, ms of CPU a MB':36}{'by event':>10}{'by 16 KB':>10}{'request':>10}", flush=True)
    for wire in wires:
        alone = _alone(wire)
        print(f"{_name(wire):36}" + "".join(f"{ms:10.2f}" for ms in alone), flush=True)
        figures[f"{_name(wire)}, alone"] = alone
    hosts = sorted({wire.host for wire in wires})
    with (
        origin(folder, "parts.wires_origin", *hosts) as (port, ca),
        stock(folder, "stock", ca) as a,
        stock(folder, "stock-2", ca) as b,
        gate(folder, ca) as ours,
    ):
        print(f"{'through the gate':36}{'stock ms':>10}{'gate ms':>10}{'ratio':>7}{'A/A':>6}  goal {GOAL}", flush=True)
        for wire in wires:
            if wire.dialect == "openai-realtime":
                print(f"{_name(wire):36}{'a WebSocket: its messages are measured alone':>46}", flush=True)
                continue
            figures[f"{_name(wire)}, live"] = _live(wire, (a, b, ours), port, pairs)
            if wire.result:
                figures[f"{_name(wire)}, live, again"] = _live(wire, (a, b, ours), port, pairs, again=True)
    return figures


def _name(wire: Wire) -> str:
    return wire.dialect + (", an array" if wire.dialect == "gemini" and not wire.query else "")


def _alone(wire: Wire) -> tuple[float, float, float]:
    pieces = list(wire.answer(size=ANSWER_BYTES))
    body = wire.body('line of code with \\n and "quotes" in it; ' * (REQUEST_BYTES // 40))
    whole = b"".join(pieces)
    # What a server writes at once reaches a proxy at once; a message of a WebSocket stays one.
    large = pieces if wire.dialect == "openai-realtime" else list(map(bytes, itertools.batched(whole, PIECE_BYTES)))
    head = _head(wire)
    asking = 0.0 if wire.result else _cpu(lambda: _all(DIALECTS[wire.dialect].asking(head, body))) / len(body)
    fed = [_cpu(partial(_feed, wire, given)) / len(whole) for given in (pieces, large)]
    return fed[0] * MB * 1000, fed[1] * MB * 1000, asking * MB * 1000


def _head(wire: Wire) -> Head:
    return Head(wire.method, wire.host, wire.path, wire.query, CaseInsensitive({"content-type": wire.asks}))


def _feed(wire: Wire, pieces: list[bytes]) -> None:
    """One answer through a tap, as capture feeds it: what gives results back and what is overheard has readers of its own."""
    dialect, headers = DIALECTS[wire.dialect], CaseInsensitive({"content-type": wire.answers})
    if isinstance(dialect, OverheardDialect):
        listening = dialect.overheard(_head(wire))
        for piece in pieces:
            listening.from_server(piece)
    elif wire.result:
        results: ResultDialect = dialect  # type: ignore[assignment]  # the table says so
        collecting = results.results(_head(wire), 200, headers)
        for piece in pieces:
            collecting.feed(piece)
        assert not collecting.close()
    else:
        ask = dialect.ask(_head(wire), wire.body("hi"))
        tap = Tap(_reader(wire, headers, ask), lambda _reading: None, Decoder(None), turns=_STILL)
        for piece in pieces:
            tap(piece)
        assert "reader failed" not in " ".join(tap.close().flags)


def _reader(wire: Wire, headers: CaseInsensitive, ask: Ask) -> Reader:
    dialect = DIALECTS[wire.dialect]
    spoken = dialect.spoken(_head(wire)) if isinstance(dialect, OpenDialect) else dialect
    return spoken.reader(ask, 200, headers)


def _all(steps: Generator[None, None, object]) -> None:
    for _ in steps:
        pass


def _cpu(work: Callable[[], object]) -> float:
    """Seconds of this thread's CPU, of the quickest run."""
    taken = []
    for _ in range(REPEATS):
        began = time.thread_time()
        work()
        taken.append(time.thread_time() - began)
    return min(taken)


def _live(
    wire: Wire, systems: tuple[System, System, System], port: int, pairs: int, *, again: bool = False
) -> dict[str, list[float]]:
    """`again`: the results of all answers are the same ones, which the first round has read."""
    name = f"{_name(wire)}, read again" if again else _name(wire)
    cpu: dict[str, list[float]] = {system.name: [] for system in systems}
    for pair in range(-1, pairs):  # the first round warms certificates, caches and code paths up, and is not counted
        for shift in range(len(systems)):
            system = systems[(pair + shift) % len(systems)]
            taken = _call(wire, system, port, _FIRST_READ if again else next(_numbers))
            if pair >= 0:
                cpu[system.name].append(taken * 1000)
        sys.stderr.write(f"\r{name}: pair {pair + 1}/{pairs}  ")
    sys.stderr.write("\r" + " " * 60 + "\r")
    ours, one, two = cpu["spendgate"], cpu["stock"], cpu["stock-2"]
    ratio = statistics.median(o / ((a + b) / 2) for o, a, b in zip(ours, one, two, strict=True))
    same = statistics.median(b / a for a, b in zip(one, two, strict=True))
    middle = statistics.median
    verdict = "met" if round(ratio, 2) <= GOAL else "MISSED"
    print(f"{name:36}{middle(one):10.1f}{middle(ours):10.1f}{ratio:7.2f}{same:6.2f}  {verdict}", flush=True)
    return cpu


def _at_rest(system: System) -> float:
    """Seconds of CPU when nothing is left to do: an answer is read to its end, and its call written, when it has left."""
    now, before = system.cpu_s(), 0.0
    while now - before > REST_S / 20:
        time.sleep(REST_S)
        before, now = now, system.cpu_s()
    return now


def _call(wire: Wire, system: System, port: int, first: int) -> float:
    """Seconds of the proxy's CPU for one answer, its results numbered from `first`, on a connection that was open before."""
    context = ssl.create_default_context(cafile=system.ca)
    wanted = LIVE_BYTES if len(wire.pieces("")[1]) < 8_000 else LIVE_BYTES_LARGE
    with asked_for(wire, ("127.0.0.1", system.port), ("127.0.0.1", port), context) as ask:
        before = system.cpu_s()
        size = ask(wanted, first)
        taken = _at_rest(system) - before
    if size < wanted:
        raise SystemExit(f"{_name(wire)}: {system.name} gave {size} bytes")
    return taken
