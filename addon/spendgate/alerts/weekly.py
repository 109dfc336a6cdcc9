"""The digest of each week, put into the outbox once: of everybody for the file's receivers, of a team for its own.

It is due on the first day of a week at 08:00 in the file's zone; a gate that was down then writes it when it starts. The
outbox tells what is there, so that neither a restart nor another gate writes it again. Used by the thread that looks for alerts:
it reads the ledger on a connection of its own, and no call waits for it.
"""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from spendgate import digest_sections, digest_texts
from spendgate.alerts import routing
from spendgate.alerts.digesting import gathered
from spendgate.answerers import owner_of
from spendgate.digest import Digest, Prices, week_to_tell
from spendgate.digest_made import digest_of
from spendgate.errors import SpendgateError
from spendgate.ledger.interface import AlertRow
from spendgate.ledger.outbox import Outbox
from spendgate.ledger.queries import reading
from spendgate.ledger.spending import POLICY_PRICE
from spendgate.policy import Policy
from spendgate.window import Bounds

logger = logging.getLogger(__name__)
AGAIN_MS: Final = 10 * 60_000
"""After a failure."""


class Weekly:
    """Of one gate."""

    def __init__(self, ledger: Path, machine: str, prices: Callable[[], Prices]) -> None:
        """`prices` says which list is in use."""
        self._ledger, self._machine, self._prices = ledger, machine, prices
        self._done = ("", "")
        self._quiet_until_ms = 0

    def look(self, outbox: Outbox, policy: Policy, now_ms: int) -> int:
        """Write what is due and not there; how many digests that were. What fails is tried again later."""
        teams = tuple(wanted(policy))
        if not teams or now_ms < self._quiet_until_ms:
            return 0
        week = week_to_tell(policy, now_ms)
        if self._done == (policy.hash, week.key):
            return 0
        try:
            found = self._write(outbox, policy, week, teams, now_ms)
        except Exception as fault:  # noqa: BLE001 - whatever a ledger or a roster holds, alerts must go on in this thread
            self._quiet_until_ms = now_ms + AGAIN_MS
            why = fault if isinstance(fault, SpendgateError) else type(fault).__name__
            logger.warning("the digest of %s could not be made, and is tried again in ten minutes: %s", week.key, why)
            return 0
        self._done = (policy.hash, week.key)
        return found

    def _write(self, outbox: Outbox, policy: Policy, week: Bounds, teams: tuple[str, ...], now_ms: int) -> int:
        there, written = outbox.letters(routing.DIGEST, week.key), 0
        missing = [team for team in teams if team not in there]
        if not missing:
            return 0
        with reading(self._ledger) as reader:
            if reader.head().created_ms >= (week.ends_ms or 0):
                return 0  # a ledger that is younger has nothing to say of it
            for team in missing:
                found = gathered(policy, reader, week, now_ms, prices=self._prices(), machine=self._machine, team=team)
                digest = digest_of(found, policy, week, team=team, guess=POLICY_PRICE)
                row = message(digest, policy, week, now_ms)
                written += outbox.write_letter(row, digest_texts.text(digest), digest_texts.html(digest), now_ms)
        return written


def wanted(policy: Policy) -> Iterator[str]:
    """Whose digests somebody receives: everybody's, named by an empty text, and each team's that has such an entry."""
    for team in ("", *(each.name for each in policy.roster.teams)):
        if routing.digest_keys(policy, team):
            yield team


def message(digest: Digest, policy: Policy, week: Bounds, now_ms: int) -> AlertRow:
    """What the outbox has of it, beside the whole text."""
    team = policy.roster.team_by_name.get(digest.team)
    of = ["--team", digest.team] if digest.team else []
    return AlertRow(
        rule=f"digest of {digest.team}" if digest.team else "digest", form=routing.DIGEST, value=digest.team,
        window=week.key, severity=routing.DIGEST, at_ms=now_ms, again_ms=None, person=None,
        team=team.lineage if team else (), owner=owner_of(policy, team.lineage if team else ()),
        spent_nanos=digest.spent_nanos, mark_nanos=digest.before_nanos, calls=digest.calls, of_calls=None,
        text=f"{digest_sections.title(digest)}: {digest_sections.headline(digest)}",
        command=shlex.join(["spendgate", "digest", "--week", str(digest.first_day), *of]), policy_hash=policy.hash,
    )  # fmt: skip
