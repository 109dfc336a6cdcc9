"""What of a person's machine may be written into a call's row, and for how long rows are to be kept. Values only."""

from __future__ import annotations

from typing import Literal

from spendgate.roster import Values


class Privacy(Values):
    """What a row may hold besides counts. `keep_days` None: rows are kept for good."""

    keep_days: int | None = None
    project: Literal["repository", "none"] = "repository"
    process: Literal["name", "path", "none"] = "name"
