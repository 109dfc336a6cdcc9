"""The fleet as a policy names it: where a limit shall hold beyond one machine. Values only.

This version reaches no hub: it opens no connection to one, each machine enforces alone, and `notices` says so.
"""

from __future__ import annotations

from typing import Literal

from spendgate.roster import Values


class Fleet(Values):
    """`hub` is an https address; None: each machine is meant to enforce alone."""

    hub: str | None = None
    offline: Literal["lease", "allow", "refuse"] = "lease"
    """What a machine does that cannot reach the hub: spend what was leased to it, go on alone, or refuse every call."""
