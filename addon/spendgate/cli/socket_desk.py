"""The desk behind a service's socket: each method is one question. And the same, answered: which words call which method."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from spendgate.cli import alive
from spendgate.cli.desk import Asking, Called, Desk, Explained, Listed, Rows, Signing, Spending, Verified, Wish
from spendgate.cli.health import Health
from spendgate.cli.report import Report
from spendgate.errors import UsageError
from spendgate.service.client import asked


@dataclass(frozen=True, slots=True)
class SocketDesk:
    """See `Desk`. Who asks is known by the service."""

    path: Path

    def status(self) -> Report:
        """See `Desk`."""
        report = asked(self.path, "status", {}, Report)
        return replace(report, silent=alive.silent(report.ways))

    def health(self) -> Health:
        """See `Desk`."""
        return asked(self.path, "health", {}, Health)

    def spend(self, by: str, asking: Asking, with_seats: bool) -> Spending:
        """See `Desk`."""
        return asked(self.path, "spend", {"by": by, "asking": asking, "with_seats": with_seats}, Spending)

    def calls(self, asking: Asking, limit: int, free: bool) -> Called:
        """See `Desk`."""
        return asked(self.path, "calls", {"asking": asking, "limit": limit, "free": free}, Called)

    def call(self, prefix: str) -> Explained:
        """See `Desk`."""
        return asked(self.path, "call", {"prefix": prefix}, Explained)

    def me(self, rows: bool) -> dict[str, Any]:
        """See `Desk`."""
        return asked(self.path, "me", {"rows": rows}, dict[str, Any])

    def ask(self, wish: Wish) -> tuple[str, ...]:
        """See `Desk`."""
        return asked(self.path, "ask", {"wish": wish}, tuple[str, ...])

    def asks(self) -> Rows:
        """See `Desk`."""
        return asked(self.path, "asks", {}, Rows)

    def grants(self) -> Rows:
        """See `Desk`."""
        return asked(self.path, "grants", {}, Rows)

    def signing(self, ask_id: str, key: str) -> Signing:
        """See `Desk`."""
        return asked(self.path, "signing", {"ask_id": ask_id, "key": key}, Signing)

    def accept(self, text: str, signed_here: bool) -> str:
        """See `Desk`."""
        return asked(self.path, "accept", {"text": text, "signed_here": signed_here}, str)

    def revoke(self, grant_id: str) -> str:
        """See `Desk`."""
        return asked(self.path, "revoke", {"grant_id": grant_id}, str)

    def alerts(self, since: str | None) -> Listed:
        """See `Desk`."""
        return asked(self.path, "alerts", {"since": since}, Listed)

    def see_alerts(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """See `Desk`."""
        return asked(self.path, "see_alerts", {"names": names}, tuple[str, ...])

    def audit(self, since: str | None) -> Listed:
        """See `Desk`."""
        return asked(self.path, "audit", {"since": since}, Listed)

    def verify(self) -> Verified:
        """See `Desk`."""
        return asked(self.path, "verify", {}, Verified)

    def take_note(self) -> tuple[str, ...]:
        """See `Desk`."""
        return asked(self.path, "take_note", {}, tuple[str, ...])


CALLS: dict[str, type[msgspec.Struct]] = {
    name: msgspec.defstruct(
        name,
        [(word, kind) for word, kind in get_type_hints(method).items() if word != "return"],
        forbid_unknown_fields=True,
    )
    for name, method in vars(Desk).items()
    if callable(method) and not name.startswith("_")
}
"""Each question that a service knows, and its arguments."""

WRITES = frozenset({"ask", "accept", "revoke", "see_alerts", "take_note"})
"""Those that change something."""


def answered(at: Desk, call: str, args: bytes) -> bytes:
    """What a desk answers, as JSON. Raises UsageError for what is no question, and what the desk raises."""
    wanted = CALLS.get(call)
    if wanted is None:
        raise UsageError(f"this service answers no {call[:40]!r}: use the gate's own version")
    try:
        given = msgspec.json.decode(args, type=wanted)
    except (msgspec.MsgspecError, RecursionError) as fault:
        raise UsageError(
            f"{call}: the arguments are not what this service knows: use the gate's own version"
        ) from fault
    said: dict[str, Any] = {name: getattr(given, name) for name in given.__struct_fields__}
    return msgspec.json.encode(getattr(at, call)(**said))
