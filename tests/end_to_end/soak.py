"""A gate for an hour, as a laptop treats it: calls at a steady pace, and again and again the machine sleeps, the network is gone
or silent, the gate alone hangs, or somebody writes the policy anew, now and then wrongly.

At its end the two books are compared call by call as in `storm`. What it does is drawn from a seed; what a laptop's clock does in
its sleep (it goes on while nothing else does) is no part of it: every process is stopped, none has its clock moved.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from end_to_end.storm import POLICY, Standin, Storm
from end_to_end.world import Gate, running_gate

PER_SECOND: Final = 5
AT_ONCE_MAX: Final = 300
"""Calls that may wait at once: what five a second make of a minute without a network."""
CALLS_A_SESSION: Final = 6
"""Some sessions spend their budget with these, others do not."""
BETWEEN_S: Final = (6.0, 18.0)
"""Quiet between two faults, the least and the most."""
LASTS_S: Final = (2.0, 12.0)
"""How long a fault lasts."""
SAMPLE_S: Final = 2.0
LIMITS: Final = ("$50,000", "$100,000", "$75,000")
BROKEN: Final = ("budgets: [", "version: 1\nowner: x\nbudgets: [{name: large, per: nobody, limit: 3 apples}]\n", "")


@dataclass(slots=True)
class Line:
    """The network between gate and provider: a relay that can lose its connections, or keep what it has been given."""

    to_port: int
    port: int = 0
    gone: bool = False
    """Connections are reset and no new one is made."""
    flows: asyncio.Event = field(default_factory=asyncio.Event)
    """Not set: it is silent, bytes stay where they are."""
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @contextlib.asynccontextmanager
    async def up(self) -> AsyncIterator[None]:
        """Relays until left."""
        self.flows.set()
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield
            self.cut()

    def cut(self) -> None:
        """All connections end, without a farewell."""
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def _serve(self, near: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        if self.gone:
            near_out.transport.abort()
            return
        far, far_out = await asyncio.open_connection("127.0.0.1", self.to_port)
        self._writers |= {near_out, far_out}
        await asyncio.gather(self._pass(near, far_out), self._pass(far, near_out))
        self._writers -= {near_out, far_out}

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                await self.flows.wait()
                sink.write(data)
                await sink.drain()
        sink.close()


@dataclass(slots=True)
class Watched:
    """What a soak has seen."""

    faults: Counter[str] = field(default_factory=Counter)
    resident: list[tuple[float, int]] = field(default_factory=list)
    """Seconds since the start, and the gate's resident bytes."""
    files: list[int] = field(default_factory=list)
    """Its open descriptors, at the same moments."""
    left_out: int = 0
    """Calls that were not begun, since too many waited."""

    def grown_bytes(self) -> int:
        """The median of the last quarter of the samples over that of the second: the first is the warming up."""
        sizes = [size for _, size in self.resident]
        quarter = len(sizes) // 4
        return _median(sizes[-quarter:]) - _median(sizes[quarter : 2 * quarter])


def _median(sizes: list[int]) -> int:
    return sorted(sizes)[len(sizes) // 2]


@dataclass(slots=True)
class Soak:
    """A storm's load at a steady pace over a line that fails. `chance` decides what happens when."""

    world: Storm
    line: Line
    chance: random.Random
    watched: Watched = field(default_factory=Watched)
    awake: asyncio.Event = field(default_factory=asyncio.Event)
    """Not set: the machine sleeps, no client does anything."""

    async def last(self, gate: Gate, seconds: float) -> None:
        """So long; then until the last call has ended."""
        self.awake.set()
        ends = time.monotonic() + seconds
        trust = ssl.create_default_context(cafile=str(gate.ca))
        beside = [asyncio.create_task(each) for each in (self._happen(gate, ends), self._sample(gate, ends))]
        calls: set[asyncio.Task[None]] = set()
        while time.monotonic() < ends:
            await asyncio.sleep(1 / PER_SECOND)
            await self.awake.wait()
            if len(calls) >= AT_ONCE_MAX:
                self.watched.left_out += 1
                continue
            task = asyncio.create_task(self._call(gate, trust))
            calls.add(task)
            task.add_done_callback(calls.discard)
        await asyncio.gather(*beside, *calls)

    async def _call(self, gate: Gate, trust: ssl.SSLContext) -> None:
        self.world.answers[await self.world.call(gate, trust, f"session-{self.world.number // CALLS_A_SESSION}")] += 1

    async def _sample(self, gate: Gate, ends: float) -> None:
        process, began = psutil.Process(gate.process.pid), time.monotonic()
        while time.monotonic() < ends:
            self.watched.resident.append((time.monotonic() - began, process.memory_info().rss))
            self.watched.files.append(process.num_fds())
            await asyncio.sleep(SAMPLE_S)

    async def _happen(self, gate: Gate, ends: float) -> None:
        """One fault after the other, each of them before any comes twice as often as another."""
        kinds: list[Fault] = []
        while time.monotonic() + BETWEEN_S[1] + LASTS_S[1] < ends:
            await asyncio.sleep(self.chance.uniform(*BETWEEN_S))
            kinds = kinds or self.chance.sample(FAULTS, len(FAULTS))
            fault = kinds.pop()
            await fault(self, gate)
            self.watched.faults[fault.__name__.strip("_")] += 1

    def _for_a_while(self) -> float:
        return self.chance.uniform(*LASTS_S)

    async def _sleeps(self, gate: Gate) -> None:
        """The lid is closed: gate, provider and clients stop, and go on where they were."""
        self.awake.clear()
        with _stopped(gate.process.pid), _stopped(self.world.standin.process.pid):
            await asyncio.sleep(self._for_a_while())
        self.awake.set()

    async def _hangs(self, gate: Gate) -> None:
        """The gate alone stops; clients go on and wait for it."""
        with _stopped(gate.process.pid):
            await asyncio.sleep(self._for_a_while())

    async def _loses_the_network(self, gate: Gate) -> None:
        """All connections to the provider end, and none can be made."""
        self.line.gone = True
        self.line.cut()
        await asyncio.sleep(self._for_a_while())
        self.line.gone = False

    async def _changes_networks(self, gate: Gate) -> None:
        """All connections to the provider end; the next one can be made."""
        self.line.cut()

    async def _has_a_silent_network(self, gate: Gate) -> None:
        """Nothing arrives for a while, and nothing is lost."""
        self.line.flows.clear()
        await asyncio.sleep(self._for_a_while())
        self.line.flows.set()

    async def _gets_a_policy(self, gate: Gate) -> None:
        """Another limit; first, as often as not, a file that is none."""
        file = self.world.folder / "policy.yaml"
        if self.chance.random() < 0.5:
            file.write_text(self.chance.choice(BROKEN))
            await asyncio.sleep(self._for_a_while())
        file.write_text(POLICY.replace("$100,000", self.chance.choice(LIMITS)))


Fault = Callable[[Soak, Gate], Awaitable[None]]
FAULTS: Final[tuple[Fault, ...]] = (
    Soak._sleeps, Soak._hangs, Soak._loses_the_network, Soak._changes_networks, Soak._has_a_silent_network,
    Soak._gets_a_policy,
)  # fmt: skip


@contextlib.contextmanager
def _stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@dataclass(frozen=True, slots=True)
class Provided:
    """What the gate must know of a provider: where it answers, and by what it is trusted."""

    port: int
    ca: Path


def soak(folder: Path, seconds: float, seed: int) -> tuple[Watched, Counter[str], Counter[int]]:
    """Soak a gate so long, then hold its ledger to the stand-in's log: what was seen, the calls by their ends, answers by status.

    Raises AssertionError where a served call has no row, two rows, no charge or another than the list price's.
    """
    standin = Standin(folder)
    try:
        world = Storm(folder, standin, random.Random(seed), POLICY)
        watched = asyncio.run(_soaked(world, seconds, random.Random(seed)))
        standin.stop()
        world.nothing_open()
        return watched, world.settled_as_served(), world.answers
    finally:
        if standin.process.poll() is None:
            standin.stop()


async def _soaked(world: Storm, seconds: float, chance: random.Random) -> Watched:
    line = Line(world.standin.port)
    async with line.up():
        file = world.folder / "policy.yaml"
        file.write_text(world.policy)
        provided = Provided(line.port, world.standin.ca)
        with running_gate(world.folder, provided, file) as gate:  # type: ignore[arg-type]  # port and CA are all it needs
            soaking = Soak(world, line, chance)
            await soaking.last(gate, seconds)
            await asyncio.to_thread(gate.stop)
    return soaking.watched
