"""How many of something, for people."""

from __future__ import annotations


def counted(number: int, what: str) -> str:
    """`1 rule`, `2,000 rules`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
