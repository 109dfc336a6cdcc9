"""Show 10, over every wire: canaries in prompts, answers, keys, headers and names are in nothing that is written or printed."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest

from end_to_end.canaries import CANARIES, leaks
from end_to_end.raw import trust
from end_to_end.test_secrets import written
from end_to_end.world import PATIENCE_S, Gate, policy, started_gate, until
from load import origin
from load.wires import WIRES, Wire

SPOKEN = [wire for wire in WIRES if wire.dialect != "openai-realtime"]
"""Not the one WebSocket, which has no request to repeat here; `test_realtime` is its own."""
BROKEN = "x-broken-off"
HEADERS = {
    "authorization": f"Bearer sk-{CANARIES['key']}",
    "x-custom": CANARIES["header"],
    "cookie": f"session={CANARIES['header']}",
    "user-agent": "canary/1.0",
}


def _answer(target: str, body: bytes) -> tuple[str, AsyncIterator[bytes]]:
    """The wire's own answer with the canary as its text; to a request that is no JSON of its own a piece of it."""
    path = target.partition("?")[0]
    wire = next(each for each in WIRES if each.path == path)
    pieces = list(wire.answer(CANARIES["answer"]))
    broken = BROKEN in target
    return wire.answers, _sent([*pieces[:1], pieces[-1][:-7]] if broken else pieces)


async def _sent(pieces: list[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


@pytest.fixture(scope="module")
def everyone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int]]:
    """The authority's file and the port of a server that is every provider."""
    identity = origin.Identity.make(tmp_path_factory.mktemp("origin"), *sorted({wire.host for wire in SPOKEN}))
    loop, before = asyncio.new_event_loop(), origin.answer
    origin.answer = _answer
    running = threading.Thread(target=loop.run_forever, daemon=True)
    running.start()
    server = asyncio.run_coroutine_threadsafe(origin.Origin(identity).start(), loop).result(PATIENCE_S)
    yield identity.ca, server.port
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result(PATIENCE_S)
    loop.call_soon_threadsafe(loop.stop)
    running.join(PATIENCE_S)
    loop.close()
    origin.answer = before


@contextlib.contextmanager
def _gate(folder: Path, everyone: tuple[Path, int], limit: str) -> Iterator[Gate]:
    ca, port = everyone
    options = [f"connect_to={host}=127.0.0.1:{port}" for host in sorted({wire.host for wire in SPOKEN})]
    options.append(f"ssl_verify_upstream_trusted_ca={ca}")
    with started_gate(
        folder, policy(folder, limit=limit), *(word for option in options for word in ("--set", option))
    ) as gate:
        yield gate


def _ask(http: httpx2.Client, wire: Wire, body: bytes, more: str = "") -> int:
    query = "&".join(filter(None, (wire.query, f"trace={CANARIES['query']}", more)))
    content = body if wire.method == "POST" else None
    url = f"https://{wire.host}{wire.path}?{query}"
    with contextlib.suppress(httpx2.TransportError):
        return http.request(wire.method, url, content=content, headers={"content-type": wire.asks}).status_code
    return 0


@pytest.mark.parametrize(("limit", "state"), [("$100,000", "settled"), ("$0", "refused")])
def test_no_wire_leaves_content_behind(everyone: tuple[Path, int], folder: Path, limit: str, state: str) -> None:
    """Whole, broken off, malformed, misencoded, admitted and refused: rows and nothing of what was said."""
    with _gate(folder, everyone, limit) as gate:
        with httpx2.Client(proxy=gate.proxy, verify=trust(gate), headers=HEADERS, timeout=PATIENCE_S) as http:
            for wire in SPOKEN:
                body = wire.body(CANARIES["prompt"])
                _ask(http, wire, body)
                _ask(http, wire, body, BROKEN)
                _ask(http, wire, body[: len(body) // 2] + CANARIES["broken"].encode())
                _ask(http, wire, b"\x1f\x8b" + CANARIES["broken"].encode() + body)
        until(lambda: True if all(row["ended_at"] for row in gate.calls()) else None)
        rows = gate.calls()
        found = written(folder, gate)
    found["output of run, at its end"] = bytes(gate.output)
    asked_of = {wire.dialect for wire in SPOKEN if not wire.result}
    told = {row["dialect"] for row in rows if state in (row["state"], row["billing"] == "subscription" and "refused")}
    assert asked_of - told == set()  # what a plan pays for no budget refuses
    assert leaks(found) == []
