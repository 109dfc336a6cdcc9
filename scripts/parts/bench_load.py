"""The load of the benchmark: keep-alive callers that time the first byte, the last event and the end of each answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from load import client

HOST = "api.anthropic.com"


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table."""

    name: str
    calls: int
    """Calls in one run of one system."""
    concurrency: int
    events: int = 0
    pause_ms: int = 0
    body_bytes: int = 300
    fresh: bool = False
    """A new connection for each call."""
    http2: bool = False
    goal: float | None = 1.0
    """The most that the ratio to stock may be, of CPU and of median latency; None: issue 2 sets none."""

    @property
    def path(self) -> str:
        """What is asked for."""
        return f"/v1/messages?events={self.events}&pause={self.pause_ms}" if self.events else "/v1/messages"

    @property
    def body(self) -> bytes:
        """A request as a client of the Messages API would send it."""
        stream = "true" if self.events else "false"
        head = (
            f'{{"model":"claude-sonnet-4-5","max_tokens":1024,"stream":{stream},"messages":[{{"role":"user","content":"'
        )
        return head.encode() + b"x" * max(0, self.body_bytes - len(head) - 5) + b'"}]}'


CASES = (
    Case("small c=1", 150, 1, goal=0.7),
    Case("small c=8", 240, 8, goal=0.7),
    Case("small c=64", 320, 64, goal=0.7),
    Case("stream 50 c=1", 60, 1, events=50),
    Case("stream 50 c=8", 96, 8, events=50),
    Case("live 50x20ms c=8", 8, 8, events=50, pause_ms=20),
    Case("live 50x20ms c=64", 64, 64, events=50, pause_ms=20),
    Case("stream 5000 c=1", 2, 1, events=5000),
    Case("1 MB request c=1", 30, 1, body_bytes=1_048_576, goal=None),
    Case("new connection c=1", 60, 1, fresh=True, goal=0.8),
    Case("h2 small c=8", 160, 8, http2=True, goal=0.7),
    Case("h2 stream 50 c=8", 48, 8, events=50, http2=True),
    Case("h2 new connection c=1", 50, 1, fresh=True, http2=True, goal=0.8),
)


@dataclass(slots=True)
class Times:
    """What the callers of one run saw, in seconds."""

    total: list[float] = field(default_factory=list)
    end_lag: list[float] = field(default_factory=list)
    """From the arrival of a stream's last bytes to its end."""
    cpu_s: float = 0.0
    """What the proxy took of a CPU meanwhile."""


async def run(
    case: Case, proxy_port: int, ca: str, origin_port: int, cpu_s: Callable[[], float] = lambda: 0.0
) -> Times:
    """All calls of one case through one proxy. Where connections are kept they are open before anything is measured, so that
    handshakes do not stand in the figures of calls; `cpu_s` is read just before the first call and just after the last."""
    target = client.Target(HOST, ("127.0.0.1", origin_port), ("127.0.0.1", proxy_port), ca, case.http2)
    times = Times()
    links = [None if case.fresh else await _open(target) for _ in range(case.concurrency)]

    async def worker(link: _Http1 | _Http2 | None, calls: int) -> None:
        for _ in range(calls):
            began = time.perf_counter()
            here = link or await _open(target)
            await here.ask(case, times)
            times.total.append(time.perf_counter() - began)
            if case.fresh:
                here.writer.close()

    before = cpu_s()
    await asyncio.gather(*(worker(link, max(1, case.calls // case.concurrency)) for link in links))
    times.cpu_s = cpu_s() - before
    for link in links:
        if link:
            link.writer.close()
    return times


class _Http1:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, case: Case, times: Times) -> None:
        body = case.body
        head = f"POST {case.path} HTTP/1.1\r\nhost: {HOST}\r\ncontent-type: application/json\r\nx-api-key: sk-ant-api03-bench\r\n"
        self.writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        answer = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        if b" 200 " not in answer.split(b"\r\n", 1)[0]:
            raise SystemExit(f"{case.name}: {answer.decode()}")
        if b"content-length:" in answer:
            await self.reader.readexactly(int(answer.split(b"content-length:")[1].split(b"\r\n")[0]))
            return
        last = time.perf_counter()
        while size := int(await self.reader.readline(), 16):
            await self.reader.readexactly(size + 2)
            last = time.perf_counter()
        await self.reader.readexactly(2)
        times.end_lag.append(time.perf_counter() - last)


class _Http2:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self._client = client.Http2Client(reader, writer)

    async def ask(self, case: Case, _times: Times) -> None:
        answer = await self._client.ask(HOST, case.path, case.body)
        if b"msg_bench" not in answer:
            raise SystemExit(f"{case.name}: {answer[:200].decode()}")


async def _open(target: client.Target) -> _Http1 | _Http2:
    reader, writer = await client.connect(target)
    return (_Http2 if target.http2 else _Http1)(reader, writer)
