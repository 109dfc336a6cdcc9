"""Approvers: who may grant somebody more than a budget allows, up to how much, and the key that their grants are signed with."""

from __future__ import annotations

from spendgate.roster import Values
from spendgate.selector import EVERY, Chosen


class Approver(Values):
    """One entry of `approvers`. Nano-dollars."""

    person: str
    key: str
    """A minisign public key as minisign prints it."""
    up_to_nanos: int
    reach: Chosen = EVERY
    """The file's `for`: whose budgets; without it everybody's."""
