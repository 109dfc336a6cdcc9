"""The world around the product in the end-to-end tests: a stand-in provider, a gate as people run it, clients of both.

Nothing here imports the product but its stand-in: the gate is a program, the ledger is a file with a public view.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any, Protocol

from genai_prices import Usage as ListedUsage
from genai_prices import calc_price

from spendgate.standin.script import Canned, Script
from spendgate.standin.served import Served
from spendgate.standin.server import NAMES, StandIn
from spendgate.usage import Usage

ROOT = Path(__file__).parents[2]
PRODUCT = (sys.executable, "-m", "spendgate")
PATIENCE_S = 60.0
"""How long a test waits for what must come: long enough for a busy machine."""
POLICY = """\
version: 1
owner: tests@acme.example
help: "Ask in #ai-budget."
mode: enforce
budgets:
  - name: {name}
    per: person
    limit: {limit} per day
"""


class Provider:
    """The stand-in in a thread with a loop of its own, so that synchronous clients can be tested beside it."""

    NAMES: tuple[str, ...] = NAMES

    def __init__(self, folder: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="stand-in", daemon=True)
        self._thread.start()
        self.standin = StandIn(self.NAMES)
        self.run(self.standin.start())
        self.port = self.standin.port
        self.ca = folder / "standin-ca.pem"
        self.ca.write_bytes(self.standin.ca_pem)

    def run[T](self, coroutine: Coroutine[object, object, T]) -> T:
        """Run something in the stand-in's loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE_S)

    @property
    def served(self) -> list[Served]:
        """All that was served so far."""
        return list(self.standin.log.served)

    def ended(self, name: str) -> Served:
        """What was served under this request or response id; waits for its end."""
        return until(
            lambda: next((s for s in self.served if name in (s.request_id, s.response_id) and s.ended_ms), None)
        )

    def set(self, script: Script | None = None, canned: Canned | None = None) -> None:
        """Answer with this from now on."""
        self.standin.set(script, canned)

    def close(self) -> None:
        """Stop the server and its loop."""
        self.run(self.standin.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()


class Way(Protocol):
    """A proxy on the loopback, and the certificate that its clients must trust."""

    @property
    def port(self) -> int: ...

    @property
    def ca(self) -> Path: ...


@dataclass(slots=True)
class Gate:
    """`spendgate run` as a program of its own."""

    state: Path
    port: int
    process: subprocess.Popen[bytes]
    output: bytearray = field(default_factory=bytearray)
    """Everything that it wrote on stdout and stderr."""

    @property
    def ca(self) -> Path:
        """The certificate that clients must trust."""
        return self.state / "ca" / "ca-cert.pem"

    @property
    def proxy(self) -> str:
        """What clients put into HTTPS_PROXY."""
        return f"http://127.0.0.1:{self.port}"

    def calls(self) -> list[dict[str, Any]]:
        """All rows of the public view."""
        return calls(self.state)

    def ended(self) -> list[dict[str, Any]]:
        """All rows, once none of them is of a call under way.

        The gate writes a row's end while its client reads the answer, of a stream perhaps after its last byte. Waited for is only
        what has a row: an admitted call has one before it leaves, a free call at its end alone.
        """

        def look() -> list[dict[str, Any]] | None:
            rows = self.calls()
            return rows if all(row["ended_at"] for row in rows) else None

        return until(look)

    def row(self, request_id: str) -> dict[str, Any]:
        """The settled row of the request with this id of the provider's; waits for it."""
        return until(
            lambda: next((row for row in self.calls() if row["request_id"] == request_id and row["ended_at"]), None)
        )

    def stop(self) -> None:
        """End it as a person would."""
        self.process.terminate()
        self.process.wait(PATIENCE_S)


def calls(state: Path) -> list[dict[str, Any]]:
    """The rows of the view `calls`, in order of their start."""
    with contextlib.closing(sqlite3.connect(f"file:{state / 'ledger.db'}?mode=ro", uri=True, timeout=30)) as ledger:
        ledger.row_factory = sqlite3.Row
        return [dict(row) for row in ledger.execute("SELECT * FROM calls ORDER BY started_at, id")]


def listens(path: Path) -> bool | None:
    """True once somebody can connect to that socket, else None: before that its mode is not yet set."""
    with socket.socket(socket.AF_UNIX) as asked:
        return asked.connect_ex(str(path)) == 0 or None


def until[T](look: Callable[[], T | None]) -> T:
    """What `look` gives as soon as it gives something: neither None nor False. Fails after `PATIENCE_S`."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if (found := look()) is not None and found is not False:
            return found
        time.sleep(0.02)
    raise AssertionError("what must come did not come")


def policy(folder: Path, *, name: str = "person", limit: str = "$1,000", more: str = "") -> Path:
    """A policy file with one budget."""
    file = folder / "policy.yaml"
    file.write_text(POLICY.format(name=name, limit=limit) + more)
    return file


def upstream(provider: Provider) -> list[str]:
    """Options that lead the gate to the stand-in in place of the providers."""
    options = [f"connect_to={name}=127.0.0.1:{provider.port}" for name in NAMES]
    options.append(f"ssl_verify_upstream_trusted_ca={provider.ca}")
    return [word for option in options for word in ("--set", option)]


@contextlib.contextmanager
def running_gate(folder: Path, provider: Provider, file: Path | None, *more: str, **variables: str) -> Iterator[Gate]:
    """A gate in regular mode whose upstream is the stand-in, with these variables in its environment."""
    with started_gate(folder, file, *upstream(provider), *more, **variables) as gate:
        yield gate


@contextlib.contextmanager
def started_gate(folder: Path, file: Path | None, *more: str, **variables: str) -> Iterator[Gate]:
    """A gate in regular mode with these words on its command line; `file` None: without `--policy`."""
    state = folder / "state"
    policy = ["--policy", str(file)] if file else []
    command = [*PRODUCT, "run", *policy, "--state", str(state), "--mode", "regular", "--port", "0", *more]
    surroundings = environment(folder, **variables)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=surroundings)
    gate = Gate(state, 0, process)
    reader = threading.Thread(target=_read, args=(process, gate.output), daemon=True)
    reader.start()
    try:
        gate.port = until(lambda: _port(gate))
        yield gate
    finally:
        if process.poll() is None:
            gate.stop()
        reader.join(PATIENCE_S)
        if process.stdout:
            process.stdout.close()


def _read(process: subprocess.Popen[bytes], into: bytearray) -> None:
    while process.stdout and (data := os.read(process.stdout.fileno(), 65536)):
        into += data


def _port(gate: Gate) -> int | None:
    text = gate.output.decode(errors="replace")
    if gate.process.poll() is not None:
        raise AssertionError(f"the gate ended with {gate.process.returncode}: {text}")
    found = re.search(r"^ready\b.*?:(\d+)", text, re.MULTILINE)
    return int(found[1]) if found else None


def environment(folder: Path, **more: str) -> dict[str, str]:
    """The surroundings of a fresh account: a home of its own, no proxy, no keys."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"
    return {
        "HOME": str(home),
        "PATH": path,
        "PYTHONPATH": str(ROOT / "addon"),
        "TERM": "dumb",
        "LANG": "C.UTF-8",
        **more,
    }


def listed_nanos(provider: str, model: str, usage: Usage, at: str) -> int:
    """genai-prices' own answer in nano-dollars, rounded half-even once. Asked without any code of the product."""
    writes_5m, writes_1h, writes = (
        usage.cache_write_5m_tokens or 0,
        usage.cache_write_1h_tokens or 0,
        usage.cache_write_tokens or 0,
    )
    reads, plain = usage.cache_read_tokens or 0, usage.input_tokens or 0
    counts = {
        "input_tokens": plain + reads + writes_5m + writes_1h + writes,
        "cache_read_tokens": reads,
        "cache_write_tokens": writes_5m + writes_1h + writes,
        "cache_write_5m_tokens": writes_5m,
        "cache_write_1h_tokens": writes_1h,
        "output_tokens": usage.output_tokens,
        "web_searches": usage.web_searches,
    }
    when = datetime.fromisoformat(at).astimezone(UTC)
    asked = ListedUsage(**{name: count for name, count in counts.items() if count})
    price = calc_price(asked, model, provider_id=provider, genai_request_timestamp=when).total_price
    return int((Decimal(price) * 10**9).to_integral_value(rounding=ROUND_HALF_EVEN))
