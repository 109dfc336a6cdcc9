"""The provider of the benchmark: as little as answers `POST /v1/messages` over TLS, HTTP/1.1 and HTTP/2.

The query says what to answer: `?events=50&pause=20` a stream of 50 deltas, 20 ms apart; without it one small JSON answer.
Prints its port.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs

from load import origin

USAGE = '"usage":{"input_tokens":12,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":7}'
MESSAGE = f'"id":"msg_bench","type":"message","role":"assistant","model":"claude-sonnet-4-5",{USAGE}'
SMALL = f'{{{MESSAGE},"content":[{{"type":"text","text":"{"x" * 200}"}}],"stop_reason":"end_turn"}}'.encode()


def _event(name: str, data: str) -> bytes:
    return f'event: {name}\ndata: {{"type":"{name}",{data}}}\n\n'.encode()


START = _event("message_start", f'"message":{{{MESSAGE},"content":[]}}')
DELTA = _event("content_block_delta", f'"index":0,"delta":{{"type":"text_delta","text":"{"word " * 12}"}}')
END = _event("message_delta", f'"delta":{{"stop_reason":"end_turn"}},{USAGE}') + _event("message_stop", '"x":0')


async def _stream(events: int, pause_s: float) -> AsyncIterator[bytes]:
    yield START
    for _ in range(events):
        if pause_s:
            await asyncio.sleep(pause_s)
        yield DELTA
    yield END


async def _once() -> AsyncIterator[bytes]:
    yield SMALL


def answer(path: str, body: bytes) -> tuple[str, AsyncIterator[bytes]]:
    """Content type and chunks for a path with its query."""
    asked = parse_qs(path.partition("?")[2])
    if "events" in asked:
        return "text/event-stream", _stream(int(asked["events"][0]), int(asked.get("pause", ["0"])[0]) / 1000)
    return "application/json", _once()


async def main(folder: Path) -> None:
    """Serve until killed."""
    origin.answer = answer
    identity = origin.Identity.make(folder, "api.anthropic.com")
    running = await origin.Origin(identity).start()
    sys.stdout.write(f"{running.port}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
