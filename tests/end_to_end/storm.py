"""A storm of calls through gates that die: many clients at once, a stand-in that outlives every gate, and the two books compared.

Each call has a body of a length that no other has, so that the stand-in's log and the ledger, which share no name before the
response's head, can be matched one to one. What must be, and which way an error may go:

    the stand-in served it       exactly one row, `settled` or `interrupted`, that costs something: never free, never twice
    it never saw it              no charge, except that the gate was killed (or the connection lost) after `sent` was written:
                                 `sent` is on disk before the first byte leaves, so a call may be charged that got lost on its
                                 way; the other order would let calls through for nothing
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sqlite3
import ssl
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import crowded
from end_to_end.world import PATIENCE_S, Gate, calls, environment, running_gate
from spendgate.ledger.queries import Reader

POLICY = """\
version: 1
owner: tests@acme.example
budgets:
  - {name: large, per: person, limit: "$100,000 per day"}
  - {name: small, per: session, limit: "$0.02", wait: 100ms}
  - {name: firm, per: session, limit: "$0.15", hold: ceiling, wait: 100ms}
"""
"""A session spends `small` with a few calls; the ceiling of a call that may be long does not fit into `firm`."""
CROWD = crowded.text(
    crowded.Limited("small", "session", "$0.02", wait="100ms"),
    crowded.Limited("firm", "session", "$0.15", hold="ceiling", wait="100ms"),
)
"""The same two over five windows each, and twenty more budgets that no call spends."""
HOST = "api.anthropic.com"
MODEL = "claude-opus-4-5"
INPUT_NANOS, OUTPUT_NANOS = 5_000, 25_000
"""Its list price in genai-prices for one token."""
BODY_BYTES = 400
"""The shortest body; call n has n more."""
WORKERS = 16
CHARGED = ("settled", "interrupted")


class Standin:
    """The stand-in in a process of its own; its log is read from its file."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "served.jsonl"
        self.ca = folder / "standin-ca.pem"
        command = [sys.executable, "-m", "spendgate.standin", "--ca", str(self.ca), "--log", str(self.log)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment(folder))
        assert self.process.stdout is not None
        self.port = int(json.loads(self.process.stdout.readline())["port"])

    def stop(self) -> None:
        """End it; what it was still answering is then in its log too."""
        self.process.terminate()
        self.process.wait(PATIENCE_S)
        if self.process.stdout:
            self.process.stdout.close()

    def served(self) -> list[dict[str, Any]]:
        """All billable requests that arrived whole and have ended."""
        lines = self.log.read_text().splitlines(keepends=True) if self.log.exists() else []
        return [row for line in lines if line.endswith("\n") and (row := json.loads(line))["billable"]]


@dataclass(slots=True)
class Storm:
    """The load, and what it has sent so far. `chance` decides every call."""

    folder: Path
    standin: Standin
    chance: random.Random
    policy: str
    number: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    """By status; 0 where the connection broke off."""

    @contextlib.contextmanager
    def gate(self) -> Iterator[Gate]:
        """A gate on the ledger that all gates of this storm share."""
        file = self.folder / "policy.yaml"
        file.write_text(self.policy)
        with running_gate(self.folder, self.standin, file) as gate:  # type: ignore[arg-type]  # port and CA are all it needs
            yield gate

    @property
    def state(self) -> Path:
        return self.folder / "state"

    async def rage(self, gates: list[Gate], until: asyncio.Event) -> None:
        """Call after call through these gates in turn, until told to stop or until the gates have gone."""
        trust = ssl.create_default_context(cafile=str(gates[0].ca))
        workers = [self._work(gates[number % len(gates)], trust, until) for number in range(WORKERS)]
        await asyncio.gather(*workers)
        # What was closed is gone after a turn of the loop.
        await asyncio.sleep(0.05)

    async def _work(self, gate: Gate, trust: ssl.SSLContext, until: asyncio.Event) -> None:
        session = f"session-{self.chance.randrange(1 << 60)}"
        while not until.is_set() and gate.process.poll() is None:
            if self.chance.random() < 0.15:
                session = f"session-{self.chance.randrange(1 << 60)}"
            self.answers[await self.call(gate, trust, session)] += 1

    async def call(self, gate: Gate, trust: ssl.SSLContext, session: str) -> int:
        """The next call; its status, 0 where the connection broke off."""
        body, script = self._next()
        return (await post(gate.port, trust, body, script, session))[0]

    def _next(self) -> tuple[bytes, str]:
        self.number += 1
        stream, long = self.chance.random() < 0.5, self.chance.random() < 0.3
        body: dict[str, object] = {"model": MODEL, "max_tokens": 8_000 if long else 200, "stream": stream}
        body["messages"] = [{"role": "user", "content": ""}]
        bare = len(json.dumps(body))
        body["messages"] = [{"role": "user", "content": "x" * (BODY_BYTES + self.number - bare)}]
        pace = (
            f"events=5; interval_ms={self.chance.randrange(20)}" if stream else f"delay_ms={self.chance.randrange(80)}"
        )
        counts = f"input={self.chance.randrange(50, 900)}; output={self.chance.randrange(1, 200)}"
        return json.dumps(body).encode(), f"{counts}; {pace}"

    async def answered(self, more: int) -> None:
        """Until so many more calls have ended, refused ones too."""
        last = self.answers.total() + more
        async with asyncio.timeout(PATIENCE_S):
            while self.answers.total() < last:
                await asyncio.sleep(0.005)

    # what must be

    def consistent(self) -> None:
        """Counter = settled + open holds, in every balance; every sum is the sum over its calls."""
        with Reader(self.state / "ledger.db") as reader:
            assert reader.check() == ()

    def nothing_open(self) -> None:
        """All calls have ended, nothing is held, and each budget was charged what the call's row says.

        Of a killed gate's call each budget is charged by its own way of holding, and the row says the largest of these.
        """
        self.consistent()
        if self.policy is CROWD and calls(self.state):
            crowded.agree(self.state / "ledger.db")
        with contextlib.closing(sqlite3.connect(f"file:{self.state / 'ledger.db'}?mode=ro", uri=True)) as ledger:
            assert ledger.execute("SELECT id FROM call_rows WHERE state = 'open'").fetchall() == []
            assert ledger.execute("SELECT * FROM balances WHERE held <> 0 OR open_calls <> 0").fetchall() == []
            wrong = """SELECT c.id FROM call_rows c JOIN holds h ON h.call = c.seq GROUP BY c.id
                HAVING max(h.charged_nanos) <> coalesce(max(c.cost_nanos), 0)
                    OR (c.state = 'settled' AND min(h.charged_nanos) <> c.cost_nanos)"""
            assert ledger.execute(wrong).fetchall() == []

    def settled_as_served(self) -> Counter[str]:
        """The stand-in's log against the ledger, call by call; how many of each kind were seen."""
        rows = _by_length(calls(self.state))
        served = _by_length(self.standin.served())
        found: Counter[str] = Counter()
        assert [length for length, each in served.items() if len(each) > 1] == [], "the stand-in saw a call twice"
        for length, (seen,) in served.items():
            assert length in rows, "a call was served that has no row"
            (row,) = rows[length]
            assert row["state"] in CHARGED, f"a served call is {row['state']}"
            assert row["cost_nanos"] > 0, "a served call is free"
            if row["basis"] == "reported":
                assert row["cost_nanos"] == _list_price(seen)
            found[f"served, {row['state']}"] += 1
        for length, each in rows.items():
            assert len(each) == 1, "a call has two rows"
            if length not in served:
                found[_unserved(each[0])] += 1
        return found


async def post(port: int, trust: ssl.SSLContext, body: bytes, script: str, session: str) -> tuple[int, bytes]:
    """One message through a gate, on a connection of its own: status and head; 0 where the connection broke off."""
    head = (
        f"POST /v1/messages HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\ncontent-type: application/json\r\n"
        f"anthropic-version: 2023-06-01\r\nx-api-key: sk-ant-api03-made-up\r\nx-claude-code-session-id: {session}\r\n"
        f"user-agent: claude-cli/2.1.197 (external, cli)\r\nx-standin: {script}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    transports: list[asyncio.BaseTransport] = []
    try:
        async with asyncio.timeout(PATIENCE_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            transports.append(writer.transport)
            writer.write(f"CONNECT {HOST}:443 HTTP/1.1\r\nhost: {HOST}\r\n\r\n".encode())
            await reader.readuntil(b"\r\n\r\n")
            await writer.start_tls(trust, server_hostname=HOST)
            transports.append(writer.transport)
            writer.write(head.encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            await reader.read()
            return int(answer.split(b" ", 2)[1]), answer
    except (OSError, asyncio.IncompleteReadError):
        return 0, b""
    finally:
        for transport in transports:
            transport.close()


def _unserved(row: dict[str, Any]) -> str:
    if row["cost_nanos"]:
        assert row["sent_at"] is not None, "a call was charged that never left"
        assert row["state"] == "interrupted", "a call was settled that nobody served"
        return "never arrived, charged"
    assert row["state"] in ("failed", "refused"), f"a call that nobody served is {row['state']} for nothing"
    return f"never arrived, {row['state']}"


def _by_length(rows: list[dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        if row["path"] == "/v1/messages":
            found.setdefault(row["request_bytes"], []).append(row)
    return found


def _list_price(served: dict[str, Any]) -> int:
    usage = served["usage"]
    return int(usage["input_tokens"] * INPUT_NANOS + usage["output_tokens"] * OUTPUT_NANOS)


@contextlib.contextmanager
def storm(folder: Path, seed: int, policy: str = POLICY) -> Iterator[Storm]:
    """A stand-in and a load over it."""
    standin = Standin(folder)
    try:
        yield Storm(folder, standin, random.Random(seed), policy)
    finally:
        if standin.process.poll() is None:
            standin.stop()
