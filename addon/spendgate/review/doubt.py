"""One warning about a policy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Doubt:
    """One warning. `subject` is `budgets.NAME`, `models.NAME`, `rates.NAME`, `alerts.NAME`, `people.NAME`, `capture.never.HOST`
    or a key of the file."""

    subject: str
    text: str
