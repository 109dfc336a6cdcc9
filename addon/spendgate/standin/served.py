"""What the stand-in served: the independent truth that a ledger is compared with. Counts, hashes and times, never content."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import asdict

from spendgate.usage import Usage


@dataclass(slots=True)
class Served:
    """One HTTP exchange, or one response within a WebSocket. Times in epoch milliseconds, sizes in bytes."""

    request_id: str
    transport: str
    """`http/1.1`, `h2` or `websocket`."""
    method: str
    host: str
    path: str
    """Without its query."""
    billable: bool = False
    model: str | None = None
    """The model that claims to have answered."""
    response_id: str | None = None
    usage: Usage | None = None
    """What the answer really used; None for an error."""
    reported: bool = False
    """Whether the answer tells those counts."""
    status: int = 0
    started_ms: int = 0
    ended_ms: int | None = None
    request_bytes: int = 0
    """Of the body, as it came."""
    writes: int = 0
    """Of the body (WebSocket: messages) that were given to the connection: how far a stream had come."""
    bytes_sent: int = 0
    """Of the body (WebSocket: of the messages), content-encoding applied, transfer framing not."""
    complete: bool = False
    """The whole body was handed to the connection."""
    user_agent: str = ""
    header_names: tuple[str, ...] = ()
    """Names alone: values hold keys."""
    _hash: hashlib._Hash = field(default_factory=hashlib.sha256, repr=False)

    def sent(self, data: bytes) -> None:
        """Count and hash bytes of the body that were given to the connection."""
        self.writes += 1
        self.bytes_sent += len(data)
        self._hash.update(data)

    @property
    def sha256(self) -> str:
        """Hash of the body's bytes so far."""
        return self._hash.hexdigest()

    def line(self) -> str:
        """One line of JSON."""
        usage = asdict(self.usage) if self.usage else None
        names = (
            "request_id",
            "transport",
            "method",
            "host",
            "path",
            "billable",
            "model",
            "response_id",
            "status",
            "reported",
        )
        more = ("started_ms", "ended_ms", "request_bytes", "writes", "bytes_sent", "complete")
        row = {name: getattr(self, name) for name in (*names, *more)}
        return json.dumps({**row, "sha256": self.sha256, "usage": usage}, separators=(",", ":"))


class Log:
    """All that was served, in memory, and a line in a file for each that ended."""

    def __init__(self, file: Path | None = None) -> None:
        self.served: list[Served] = []
        self._file = file.open("a", encoding="utf-8", buffering=1) if file else None

    def begin(self, served: Served) -> Served:
        """Note the arrival of a request."""
        served.started_ms = now_ms()
        self.served.append(served)
        return served

    def end(self, served: Served, *, complete: bool) -> None:
        """Note the end of a request; a second end of the same one changes nothing."""
        if served.ended_ms is not None:
            return
        served.ended_ms, served.complete = now_ms(), complete
        if self._file:
            self._file.write(served.line() + "\n")

    def billable(self) -> list[Served]:
        """Requests that a provider would bill, in order of arrival."""
        return [served for served in self.served if served.billable]

    def close(self) -> None:
        """Close the file; the memory stays."""
        if self._file:
            self._file.close()
            self._file = None


def now_ms() -> int:
    """The wall clock in epoch milliseconds."""
    return time.time_ns() // 1_000_000
