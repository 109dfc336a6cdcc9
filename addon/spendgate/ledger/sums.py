"""What is to be added to a balance that is read: values."""

from __future__ import annotations

from msgspec import Struct


class Sums(Struct):
    """What is still to be counted in one balance. Nano-dollars."""

    settled: int = 0
    held: int = 0
    ceiling: int = 0
    open_calls: int = 0
    billed: int = 0
    """How much of `settled` was billed and not captured."""


BalanceKey = tuple[str, str, str, str, int]
"""`Scope.balance`."""
