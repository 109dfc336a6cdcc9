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

    @property
    def share(self) -> float:
        """Captured of all; both counts stand beside it, since one connection may be many calls or none."""
        return self.captured / (self.captured + self.not_read)

    def row(self) -> dict[str, object]:
        """For programs."""
        return {
            "tool": self.name, "captured": self.captured, "not_read": self.not_read, "coverage": round(self.share, 4),
            "last_call_at": None if self.last_ms is None else iso(self.last_ms),
        }  # fmt: skip


def tools(seen: Sequence[ToolSeen], unread: Sequence[Mapping[str, Any]]) -> tuple[Tool, ...]:
    """By tool, the least covered first. `unread` are the rows of coverage."""
    calls = {each.tool or UNNAMED: each for each in seen}
    gaps: dict[str, int] = {}
    for row in unread:
        if row["reason"] not in CHOSEN | FAILED | UNSURE:
            name = row["tool"] or UNNAMED
            gaps[name] = gaps.get(name, 0) + int(row["count"])
    found = (
        Tool(name, calls[name].calls if name in calls else 0, gaps.get(name, 0), _last(calls.get(name)))
        for name in sorted({*calls, *gaps})
    )
    return tuple(sorted(found, key=lambda tool: (tool.share, tool.name)))


def _last(seen: ToolSeen | None) -> int | None:
    return None if seen is None else seen.last_ms
