"""A running proxy with the meter in it, a stand-in provider behind it, and a gate that notes what it is told."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx2 as httpx

from spendgate.admission import RefusalKind, Refuse
from spendgate.attribution import Attribution, Evidence, Peer
from spendgate.capture import launcher
from spendgate.capture.ca import create
from spendgate.capture.coverage import CoverageEvent
from spendgate.capture.http_layer import MeteredHttpLayer
from spendgate.capture.meter import Meter
from spendgate.capture.scope import Scope
from spendgate.gate.interface import Admitted, Answered, Collected, End, Intent, Refused, Seen
from spendgate.identity.interface import Endpoints
from spendgate.providers.anthropic import AnthropicMessages
from spendgate.providers.ask import Ask
from spendgate.providers.headers import asks_websocket
from spendgate.providers.interface import Dialect, Head, Kind, Notice, Route
from spendgate.providers.openai_responses import OpenAIResponses
from spendgate.providers.reading import Reading
from spendgate.standin.server import StandIn

ANTHROPIC, OPENAI = "api.anthropic.com", "api.openai.com"
KEY = "sk-ant-api03-canary-key"
MODEL = "claude-sonnet-4-5"


def _set() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@dataclass
class FakeGate:
    """Admits, unless told otherwise, and keeps what it was told. `answer` may wait, refuse or raise."""

    answer: Callable[[Intent], object] = lambda intent: Admitted(intent.call_id, cut=False)
    gap: asyncio.Event | None = None
    notice: Notice | None = None
    broke: bool = False
    intents: list[Intent] = field(default_factory=list)
    sent_ids: list[str] = field(default_factory=list)
    noted_ids: list[str] = field(default_factory=list)
    ledger_free: asyncio.Event = field(default_factory=_set)
    cues: list[Reading] = field(default_factory=list)
    settled: list[tuple[str, Reading, End]] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    collected: list[Collected] = field(default_factory=list)
    dates: list[tuple[str, int]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    refused_ids: list[str] = field(default_factory=list)
    """Calls that `spent` refused with a row."""
    on_failure: Callable[[Intent], Answered] = lambda intent: refused(intent, RefusalKind.FAILURE)

    async def hold(self, intent: Intent) -> Answered:
        self.intents.append(intent)
        if self.gap is not None:
            await self.gap.wait()
        answered = self.answer(intent)
        if isinstance(answered, Exception):
            raise answered
        return answered  # type: ignore[return-value]

    async def spent(self, intent: Intent, *, writes: bool = True) -> Refused | None:
        if self.broke and writes:
            self.refused_ids.append(intent.call_id)
        return refused(intent) if self.broke else None

    async def failing(self, intent: Intent, why: str) -> Answered:
        self.faults.append(why)
        return self.on_failure(intent)

    def sent(self, call_id: str) -> bool:
        self.sent_ids.append(call_id)
        return self.ledger_free.is_set()

    async def noted(self, call_id: str) -> None:
        await self.ledger_free.wait()
        self.noted_ids.append(call_id)

    def progress(self, call_id: str, reading: Reading) -> Notice | None:
        self.cues.append(reading)
        return self.notice

    def settle(self, call_id: str, reading: Reading, end: End) -> None:
        self.settled.append((call_id, reading, end))

    def dated(self, host: str, date_ms: int) -> None:
        self.dates.append((host, date_ms))

    def record(self, seen: Seen) -> None:
        self.seen.append(seen)

    def collect(self, found: Collected) -> None:
        self.collected.append(found)


def refused(intent: Intent, kind: RefusalKind = RefusalKind.SPENT, retry_after_ms: int | None = None) -> Refused:
    """A refusal by the budget `person/day`."""
    refuse = Refuse(kind, "person/day", "the budget is spent", "alice", retry_after_ms=retry_after_ms)
    return Refused(intent.call_id, refuse, "Budget person/day is spent: $20.00 of $20.00")


class FakeRegistry:
    """Two providers; what B's registry says of their paths, in little."""

    def __init__(self, body_bytes_max: int = 1 << 20) -> None:
        self.body_bytes_max = body_bytes_max
        self.dialects: dict[str, Dialect] = {
            "anthropic-messages": AnthropicMessages(),
            "openai-responses": OpenAIResponses(),
        }
        self.broken = False

    def host(self, name: str) -> object | None:
        return name if name in (ANTHROPIC, OPENAI) else None

    def route(self, head: Head) -> Route:
        if self.broken:
            raise KeyError("secret-canary")
        if head.path == "/v1/messages":
            return Route(
                "anthropic", "anthropic-messages", Kind.BILLABLE, "/v1/messages", body_bytes_max=self.body_bytes_max
            )
        if head.path == "/v1/responses":
            upgrade = asks_websocket(head.headers.get("upgrade"))
            return Route("openai", "openai-responses", Kind.BILLABLE, "/v1/responses", websocket=upgrade)
        kind = Kind.FREE if head.path.endswith("/count_tokens") else Kind.UNRECOGNIZED
        return Route("anthropic", "anthropic-messages", kind, head.path)

    def dialect(self, name: str) -> Dialect:
        return self.dialects[name]


class FakeLookup:
    def owner(self, ends: Endpoints) -> Peer:
        return Peer(uid=1000, account="alice", evidence=Evidence.SOCKET_OWNER)

    def process(self, peer: Peer, ends: Endpoints) -> Peer:
        return Peer(uid=1000, account="alice", pid=1, process="python", evidence=Evidence.PROCESS)


def attribute(peer: Peer, ask: Ask) -> Attribution:
    return Attribution(person=peer.account or "unknown", machine="m1", process=peer.process, tool=ask.tool.value)


@dataclass
class Rig:
    """What a test needs of it."""

    gate: FakeGate
    registry: FakeRegistry
    provider: StandIn
    meter: Meter
    port: int
    trust: ssl.SSLContext
    gaps: list[CoverageEvent]

    def client(self, *, http2: bool = False) -> httpx.AsyncClient:
        """An HTTP client that goes through the gate."""
        return httpx.AsyncClient(
            proxy=f"http://127.0.0.1:{self.port}", verify=self.trust, http2=http2, timeout=30, trust_env=False
        )

    async def tunnel(self, host: str = ANTHROPIC) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A raw HTTP/1.1 connection to a provider, through the gate."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"CONNECT {host}:443 HTTP/1.1\r\nhost: {host}\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        await writer.start_tls(self.trust, server_hostname=host)
        return reader, writer

    async def ended(self, count: int = 1, seen: int = 0) -> None:
        """Until so many calls have been settled, and so many that held nothing recorded."""
        async with asyncio.timeout(60):
            while len(self.gate.settled) < count or len(self.gate.seen) < seen:
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def rig(
    tmp_path: Path,
    *,
    gate: FakeGate | None = None,
    registry: FakeRegistry | None = None,
    addon: object | None = None,
    modes: tuple[str, ...] = ("regular",),
) -> AsyncIterator[Rig]:
    """The whole thing on loopback ports. `addon` stands in the meter's place."""
    provider = StandIn()
    await provider.start()
    trusted = tmp_path / "provider-ca.pem"
    trusted.write_bytes(provider.ca_pem)
    authority = create((ANTHROPIC, OPENAI), datetime.now(UTC))
    gate, registry = gate or FakeGate(), registry or FakeRegistry()
    meter = Meter(gate, registry, FakeLookup(), attribute, machine="m1")
    gaps: list[CoverageEvent] = []
    settings = launcher.Settings(
        minter=authority,
        scope=lambda: Scope(frozenset({ANTHROPIC, OPENAI})),
        port=0,
        modes=modes,
        sets=(
            f"ssl_verify_upstream_trusted_ca={trusted}",
            f"connect_to={ANTHROPIC}=127.0.0.1:{provider.port}",
            f"connect_to={OPENAI}=127.0.0.1:{provider.port}",
        ),
        http_layer=MeteredHttpLayer,
        on_coverage=gaps.append,
    )
    trust = ssl.create_default_context(cadata=authority.pem.decode() if isinstance(authority.pem, bytes) else None)
    try:
        async with launcher.running(settings, [addon or meter]) as listening:
            yield Rig(gate, registry, provider, meter, listening.address[1], trust, gaps)
    finally:
        await provider.stop()


def body(*, stream: bool = False, size: int = 0) -> dict[str, object]:
    """A request to Messages."""
    said = "x" * size or "hello"
    return {"model": MODEL, "max_tokens": 64, "stream": stream, "messages": [{"role": "user", "content": said}]}


HEADERS = {"x-api-key": KEY, "anthropic-version": "2023-06-01", "user-agent": "claude-cli/2.1.197 (external, cli)"}
URL = f"https://{ANTHROPIC}/v1/messages"
