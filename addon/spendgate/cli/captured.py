"""How much of each tool's traffic to providers was read: calls that were, against connections that could not be. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spendgate.capture.coverage import FAILED, Gap
from spendgate.cli.moments import iso
from spendgate.ledger.tools_seen import ToolSeen

CHOSEN = frozenset({Gap.NEVER.value})
"""Not read because the policy says so: no gap."""
UNSURE = frozenset({Gap.AT_ADDRESS.value})
"""Told, and no part of a share: a CDN's address serves many, and most such connections are not to the provider."""
TRUST = frozenset({Gap.TRUST_REFUSED.value, Gap.TRUST_SUSPECTED.value})
UNNAMED = "unknown"


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool, by the name that its calls have."""

    name: str
    captured: int
    """Calls with a row, but for free ones."""
    not_read: int
    """Connections to providers that could not be read; how many calls they were, nobody knows."""
    last_ms: int | None
    unrecognized: int = 0
    """How many of the captured ones are `unrecognized`: decrypted, and neither counted nor held against a budget."""

    @property
    def share(self) -> float:
        """Captured of all; both counts stand beside it, since one connection may be many calls or none."""
        return self.captured / (self.captured + self.not_read)

    def row(self) -> dict[str, object]:
        """For programs."""
        return {
            "tool": self.name, "captured": self.captured, "unrecognized": self.unrecognized, "not_read": self.not_read,
            "coverage": round(self.share, 4), "last_call_at": None if self.last_ms is None else iso(self.last_ms),
        }  # fmt: skip


def tools(seen: Sequence[ToolSeen], unread: Sequence[Mapping[str, Any]]) -> tuple[Tool, ...]:
    """By tool, the least covered first. `unread` are the rows of coverage."""
    calls: dict[str, int] = {}
    unrecognized: dict[str, int] = {}
    last_ms: dict[str, int] = {}
    for each in seen:
        name = each.tool or UNNAMED
        calls[name] = calls.get(name, 0) + each.calls
        unrecognized[name] = unrecognized.get(name, 0) + each.unrecognized
        last_ms[name] = max(last_ms.get(name, 0), each.last_ms)
    gaps: dict[str, int] = {}
    for row in unread:
        if row["reason"] not in CHOSEN | FAILED | UNSURE:
            name = row["tool"] or UNNAMED
            gaps[name] = gaps.get(name, 0) + int(row["count"])
    found = (
        Tool(name, calls.get(name, 0), gaps.get(name, 0), last_ms.get(name), unrecognized.get(name, 0))
        for name in sorted({*calls, *gaps})
    )
    return tuple(sorted(found, key=lambda tool: (tool.share, tool.name)))


def read_since(row: Mapping[str, Any], seen: Sequence[ToolSeen]) -> bool:
    """Whether the tool came to trust the gate after this row of coverage: a later call of it under that account was read."""
    return row["reason"] in TRUST and any(
        each.account == row["account"] and (each.tool or UNNAMED) == (row["tool"] or UNNAMED)
        and each.last_ms > row["last_ms"]
        for each in seen
    )  # fmt: skip
