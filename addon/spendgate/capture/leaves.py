"""Leaves that an organization issued, in place of an authority: a gate that has these can make none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from spendgate.capture.ca import Leaf
from spendgate.capture.certificates import Term
from spendgate.capture.coverage import Gap
from spendgate.capture.issued import Issued


class Leaves:
    """What can be shown now. `now`: the wall clock, which certificates live by. A renewal takes the place of what is here.

    A leaf that does not hold is none: its host is not covered from that instant on, and is tunnelled.
    """

    def __init__(self, issued: Issued | None, now: Callable[[], datetime]) -> None:
        """None: none at all."""
        self._now = now
        self._leaves: dict[str, tuple[Leaf, Term]] = {}
        self.issued = issued
        if issued is not None:
            self.take(issued)

    def take(self, issued: Issued) -> None:
        """Show these from here on."""
        above = Term.common((issued.issuer, issued.root))
        chain = (issued.issuer,)
        self._leaves = {
            host: (Leaf(host, certificate, issued.key, chain), Term.common((certificate,)).within(above))
            for host, certificate in issued.leaves.items()
        }
        self.issued = issued

    @property
    def term(self) -> Term | None:
        """While all of them hold."""
        return self.issued.term if self.issued is not None else None

    @property
    def any_holds(self) -> bool:
        """Whether there is anything to show now."""
        return any(self.covers(host) for host in self._leaves)

    def covers(self, host: str) -> bool:
        """Whether there is a leaf for this host that holds now."""
        found = self._leaves.get(host)
        return found is not None and found[1].holds(self._now())

    def why_not(self, host: str) -> Gap:
        return Gap.EXPIRED_LEAF if host in self._leaves else Gap.NO_LEAF

    def leaf(self, host: str, now: datetime) -> Leaf:
        found = self._leaves.get(host)
        if found is None or not found[1].holds(now):
            raise ValueError(f"no certificate for {host} holds now")
        return found[0]

    def still_good(self, leaf: Leaf, now: datetime) -> bool:
        """Whether it is the one that is installed, and holds."""
        found = self._leaves.get(leaf.host)
        return found is not None and found[0] is leaf and found[1].holds(now)
