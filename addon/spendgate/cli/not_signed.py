"""Hosts of the policy that the machine's own CA is too old to sign for: what is said of them, and what mends it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

REMEDY: Final = "`spendgate ca rotate`, `spendgate ca trust`, then restart the gate"
_NAMED: Final = 3


def said(hosts: Sequence[str]) -> str:
    """One sentence with its remedy; empty where there are none."""
    if not hosts:
        return ""
    rest = len(hosts) - _NAMED
    named = ", ".join(hosts[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")
    return f"calls to {named} pass unread, outside every budget: the CA is older than the policy's hosts; {REMEDY}"
