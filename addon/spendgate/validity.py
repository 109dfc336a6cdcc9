"""How long a policy file may be believed, and which of two versions of it is the newer one. Values only.

A file's last day ends at midnight in the policy's own zone, as every day of a policy does.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Literal

from spendgate.roster import Values
from spendgate.window import day_starts_ms


class Validity(Values):
    """`revision` rises with every change; None: the file does not count its changes."""

    revision: int | None = None
    valid_until: date | None = None
    """The last day on which the file holds; None: it has no end."""
    expired: Literal["keep", "refuse"] = "keep"
    """What happens after that day: the policy goes on and its end is told, or calls are refused."""

    def ends_ms(self, zone: str) -> int | None:
        """The first instant after the last day in `zone`, in epoch milliseconds."""
        return None if self.valid_until is None else day_starts_ms(zone, self.valid_until + timedelta(days=1))
