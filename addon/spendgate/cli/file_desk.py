"""The desk over a ledger's file: for its own account, which sees all; and for a service's clients, each of which sees its own."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from spendgate.audit_words import AuditWord
from spendgate.cli import (
    alive,
    file_alerts,
    file_grants,
    file_me,
    granted,
    health,
    in_force,
    not_captured,
    purged,
    seats,
)
from spendgate.cli.account import own_account
from spendgate.cli.desk import Asking, Called, Explained, Listed, Rows, Signing, Spending, Verified, Wish
from spendgate.cli.file_verified import verified
from spendgate.cli.moments import iso, moment
from spendgate.cli.options import existing_state, refuse_others
from spendgate.cli.outside import heads_file, to_acknowledge
from spendgate.cli.outside import now_ms as time_of
from spendgate.cli.own import Hand, own_person
from spendgate.cli.report import Report
from spendgate.cli.report_made import gathered
from spendgate.cli.spans import attributes, span
from spendgate.config import paths
from spendgate.errors import StateError
from spendgate.ledger.audit_log import Line
from spendgate.ledger.heads_file import Remembered
from spendgate.ledger.noted import note_beside
from spendgate.ledger.queries import Reader
from spendgate.ledger.selecting import Span
from spendgate.policy import Policy, today_in
from spendgate.providers.interface import Kind
from spendgate.sight import ADMINS, Sight
from spendgate.window import zone_of

SERVED_CALLS_MAX = 5_000
"""Rows in one answer of a service, whose memory is everybody's."""


@dataclass(frozen=True, slots=True)
class FileDesk:
    """See `Desk`. `account` None: whoever runs this, on a ledger of their own."""

    chosen: Path | None
    """The state directory, as `--state` names it."""
    account: str | None = None
    everything: bool = True

    # -- what all methods stand on -------------------------------------------------------------------------------

    @property
    def served(self) -> bool:
        """Whether a service asks for somebody else."""
        return self.account is not None

    def state(self) -> paths.State:
        """Where the ledger is. Raises StateError where there is none."""
        return existing_state(self.chosen)

    def policy(self) -> Policy:
        """The policy in force, also where there is no ledger yet: words are read by it."""
        return in_force.policy(paths.find(self.chosen))

    def sight(self, policy: Policy) -> Sight:
        """What is seen by whoever asks."""
        account, now_ms = own_account() if self.account is None else self.account, time_of(self.state())
        who, machine = own_person(self.state(), policy, account, now_ms)
        roster = policy.roster
        listed = roster.lists(account, today=today_in(policy, now_ms), machine=machine) or not roster.listed(who.person)
        return Sight(account, who.person, self.everything, listed)

    def only_admins(self, what: str) -> None:
        """Raises StateError for everybody else."""
        if not self.everything:
            raise StateError(f"{what} is for root and the group {ADMINS}: ask one of them")

    # -- reading -------------------------------------------------------------------------------------------------

    def status(self) -> Report:
        """See `Desk`."""
        found = self.state()
        policy, now_ms = self.policy(), time_of(found)
        with closing(Reader(found.ledger)) as reader:
            policy = granted.shown(found, policy, reader, now_ms)
            report = gathered(found, policy, reader, self.sight(policy), now_ms)
        # A service's own traffic is no client's: a client tries the ways itself.
        return report if self.served else replace(report, silent=alive.silent(report.ways))

    def health(self) -> health.Health:
        """See `Desk`."""
        found = self.state()
        policy, now_ms = self.policy(), time_of(found)
        with closing(Reader(found.ledger)) as reader:
            return health.gathered(found, policy, reader, self.sight(policy), now_ms)

    def spend(self, by: str, asking: Asking, with_seats: bool) -> Spending:
        """See `Desk`."""
        names, policy = attributes(by), self.policy()
        asked = span(policy, asking.since, asking.until, asking.where)
        found = self.state()  # after the words: wrong ones are wrong on a machine without a ledger, too
        where = self.sight(policy).where
        with closing(Reader(found.ledger)) as reader:
            note = purged.said_of_sums(reader, names, asked)
            asked = self._seen(asked, policy)
            totals = reader.spend(names, asked, zone_of(policy.timezone), week_starts=policy.week_starts)
            lines = _seat_lines(policy, reader, where) if with_seats else ()
            cells = not_captured.of_span(reader, asked, policy)
            unread = reader.states(asked).get(Kind.UNRECOGNIZED, 0)
        totals, billed = not_captured.beside(totals, names, cells, policy)
        return Spending(totals, lines, note, billed, unread)

    def calls(self, asking: Asking, limit: int, free: bool) -> Called:
        """See `Desk`."""
        if self.served and limit > SERVED_CALLS_MAX:
            raise StateError(f"--limit {limit}: a service gives {SERVED_CALLS_MAX} calls at once; go on with --until")
        policy = self.policy()
        asked = replace(span(policy, asking.since, asking.until, asking.where), free=free)
        found = self.state()
        asked = self._seen(asked, policy)
        with closing(Reader(found.ledger)) as reader:
            rows, columns = reader.calls(asked, limit), reader.columns()
            hidden = 0 if free else reader.states(Span(where=self.sight(policy).where)).get("free", 0)
            says = "calls are sums by day (privacy.keep): `spendgate spend` has them"
            note = purged.said(reader, asked.since_ms, says) if len(rows) < limit else ""
        return Called(rows, columns, hidden, policy.timezone, note)

    def call(self, prefix: str) -> Explained:
        """See `Desk`."""
        found = self.state()
        seen = Span() if self.everything else Span(where=self.sight(self.policy()).where)
        with closing(Reader(found.ledger)) as reader:
            try:
                return Explained(*reader.call(prefix, seen))
            except ValueError as fault:
                raise StateError(str(fault)) from fault

    def me(self, rows: bool) -> dict[str, Any]:
        """See `Desk`. Of a ledger of one's own, too, the own rows alone."""
        return file_me.document(
            self._hand(), time_of(self.state()), (SERVED_CALLS_MAX if self.served else None) if rows else 0
        )

    def _seen(self, asked: Span, policy: Policy) -> Span:
        return replace(asked, where=(*asked.where, *self.sight(policy).where))

    # -- asks, grants, alerts ------------------------------------------------------------------------------------

    def _hand(self) -> Hand:
        state, policy = self.state(), self.policy()
        return Hand(state, policy, self.sight(policy), self.served)

    def ask(self, wish: Wish) -> tuple[str, ...]:
        """See `Desk`."""
        return file_grants.ask(self._hand(), wish)

    def asks(self) -> Rows:
        """See `Desk`."""
        return file_grants.asks(self._hand())

    def grants(self) -> Rows:
        """See `Desk`."""
        return file_grants.grants(self._hand())

    def signing(self, ask_id: str, key: str) -> Signing:
        """See `Desk`."""
        return file_grants.signing(self._hand(), ask_id, key)

    def accept(self, text: str, signed_here: bool) -> str:
        """See `Desk`."""
        return file_grants.accept(self._hand(), text, signed_here=signed_here)

    def revoke(self, grant_id: str) -> str:
        """See `Desk`."""
        self.only_admins("ending a grant")
        return file_grants.revoke(self._hand(), grant_id)

    def alerts(self, since: str | None) -> Listed:
        """See `Desk`."""
        policy = self.policy()
        since_ms = 0 if since is None else moment(since, zone_of(policy.timezone), datetime.now(UTC))
        return Listed(file_alerts.listed(self._hand(), since_ms), policy.timezone)

    def see_alerts(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """See `Desk`."""
        return file_alerts.seen(self._hand(), names, time.time_ns() // 1_000_000)

    # -- the audit trail -----------------------------------------------------------------------------------------

    def audit(self, since: str | None) -> Listed:
        """See `Desk`."""
        self.only_admins("the audit trail")
        policy = self.policy()
        since_ms = span(policy, since, None, None).since_ms if since else None
        found = self.state()
        with closing(Reader(found.ledger)) as reader:
            return Listed(reader.audit(since_ms or 0), policy.timezone)

    def verify(self) -> Verified:
        """See `Desk`."""
        self.only_admins("verifying the ledger")
        return verified(self.state().ledger)

    def take_note(self) -> tuple[str, ...]:
        """See `Desk`. On a file: for the account that the state directory belongs to, who alone can write there."""
        self.only_admins("acknowledging what was found about the ledger")
        found = self.state()
        refuse_others(found)
        who = own_account() if self.account is None else self.account
        file, now_ms = heads_file(found), time_of(found)
        with file.locked():
            remembered = file.read() or Remembered()
            with closing(Reader(found.ledger)) as reader:
                findings = to_acknowledge(remembered, reader)
            if not findings:
                return ("nothing is to be acknowledged",)
            for each in findings:
                detail = f"{each.what}, found {iso(each.at_ms)}: {each.detail}"
                note_beside(found.ledger, Line(now_ms, AuditWord.ACKNOWLEDGED, detail, who))
            file.write(msgspec.structs.replace(remembered, findings=()))
        return tuple(f"{who} has acknowledged: {each.what}: {each.detail}" for each in findings)


def _seat_lines(policy: Policy, reader: Reader, where: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    found: Any = seats.of_everybody(policy, reader, time.time_ns() // 1_000_000, where)
    return tuple(seats.line(all_of) for all_of, _ in found)
