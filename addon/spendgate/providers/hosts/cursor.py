"""Cursor: the editor, its agent on the command line, and what they ask beside model work. Source: facts/wire-formats.md 7.1, 7.2.

The regions of `agent-gcpp-…` and `agentn-gcpp-…` are those that several public readings of its builds name (reported, not tried).
"""

from __future__ import annotations

from typing import Final

from spendgate.providers.cursor_fields import FREE, RPCS
from spendgate.providers.provider import CURSOR, Provider, billable, free

_REGIONS: Final = ("uswest", "eucentral", "apsoutheast")

PROVIDERS: Final = (
    Provider(
        "cursor",
        (
            "api2.cursor.sh",
            "api3.cursor.sh",
            "api4.cursor.sh",
            "agent.api5.cursor.sh",
            "agentn.api5.cursor.sh",
            "agentn.global.api5.cursor.sh",
            "agentn.us.api5.cursor.sh",
            *(f"{agent}-gcpp-{region}.api5.cursor.sh" for agent in ("agent", "agentn") for region in _REGIONS),
        ),
        "cursor",
        (*(billable(path, CURSOR, plan=rpc.plan) for path, rpc in RPCS.items()), *free(*FREE), *free("/", "/auth/**")),
        CURSOR,
    ),
)
