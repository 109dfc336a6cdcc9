"""Asks and grants are written: an ask, a grant that is taken in, an end. Each is one transaction with its audit line."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from spendgate.audit_words import AuditWord
from spendgate.errors import LedgerUnavailable, StateError
from spendgate.grant_texts import Ask, SignedGrant
from spendgate.grants import HONEST, Place, Refusal, Taken, authentic, judge
from spendgate.ledger import audit_log, chain, messages, outbox
from spendgate.ledger.book import Book
from spendgate.ledger.grants import Asked, allowance, asks, end, grants, line
from spendgate.ledger.reserve import Reserve, reserve_of
from spendgate.money import dollars
from spendgate.policy import Policy
from spendgate.window import DAY_MS

OPEN_MAX: Final = 10
"""Asks of one person that nobody has answered and that are not over, or not a day old: each is a mail, also one that ends in a
minute."""
FORGED_MAX: Final = 10
"""Refused grants without their approver's signature that are told in a day; the audit trail has all."""


class GrantBook(Book):
    """The port over a ledger's file. Opens it for writing, without becoming one of its gates."""

    def __init__(self, path: Path, policy: Policy, machine: str) -> None:
        """Raises StateError where the file is no ledger that this version knows."""
        super().__init__(path, Reserve(reserve_of(path)))
        self._policy, self._machine = policy, machine

    @property
    def ledger_id(self) -> str:
        """Which ledger it is."""
        return chain.head(self._store.conn).id

    def ask(self, asked: Asked, now_ms: int) -> Asked:
        """See `GrantPort.ask`."""
        return self._write(lambda conn: _ask(conn, asked, self._policy, now_ms))

    def accept(self, text: str, person: str | None, now_ms: int, who: str) -> Taken | Refusal:
        """See `GrantPort.accept`."""
        try:
            signed = SignedGrant.parse(text)
        except ValueError:
            refused = line(now_ms, "refused: it is no grant, or was changed", who)
            self._write(lambda conn: audit_log.append(conn, refused))
            raise
        place = Place(self.ledger_id, self._machine, person, who)
        return self._write(lambda conn: _accept(conn, signed, self._policy, place, now_ms))

    def revoke(self, grant_id: str, who: str, now_ms: int) -> bool:
        """See `GrantPort.revoke`."""
        return self._write(lambda conn: _revoke(conn, grant_id, who, now_ms))

    def _write[T](self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return self._store.end(lambda known: work(known.conn))
        except LedgerUnavailable as fault:
            raise StateError(f"{self._store.path}: {fault}") from fault


def _ask(conn: sqlite3.Connection, asked: Asked, policy: Policy, now_ms: int) -> Asked:
    ask = asked.ask
    mine = [each for each in asks(conn) if each.ask.person == ask.person and not each.granted]
    for each in mine:
        if each.open(now_ms) and _same(each.ask, ask):
            return each
    mine = [each for each in mine if each.open(now_ms) or each.ask.at_ms > now_ms - DAY_MS]
    if len(mine) >= OPEN_MAX:
        raise StateError(
            f"{ask.person} has {len(mine)} asks that nobody has answered, the most that may be in a day: see `spendgate ask list`"
        )
    figures = asked.figures
    conn.execute(
        """INSERT INTO asks (id, at_ms, until_ms, person, budget, amount_nanos, reason, call, spent_nanos, held_nanos,
            limit_nanos, resets_ms, asked_of, code) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            ask.id, ask.at_ms, ask.until_ms, ask.person, ask.budget, ask.amount_nanos, ask.reason, figures.call,
            figures.spent_nanos, figures.held_nanos, figures.limit_nanos, figures.resets_ms, asked.asked_of, ask.code(),
        ),
    )  # fmt: skip
    more = f"{ask.person} asked {asked.asked_of} for {dollars(ask.amount_nanos)} more of {ask.budget}"
    said = f"ask {ask.id}: {more}: {ask.reason or 'no reason given'}"
    audit_log.append(conn, audit_log.Line(now_ms, AuditWord.ASK, said, ask.person))
    told = (figures.spent_nanos, figures.held_nanos, figures.limit_nanos)
    for each in mine:
        if allowance(each.ask) == allowance(ask):
            outbox.answered(conn, messages.ASK, each.ask.id, ask.person, now_ms)  # what is not sent yet need not be
    outbox.write(conn, [messages.of_ask(ask, policy, asked.asked_of, told, now_ms)], now_ms)
    return asked


def _same(one: Ask, other: Ask) -> bool:
    """Whether it asks for the same: what a person types twice is one ask."""
    return (one.budget, one.values, one.amount_nanos, one.reason, one.until_ms) == (
        other.budget, other.values, other.amount_nanos, other.reason, other.until_ms,
    )  # fmt: skip


def _accept(
    conn: sqlite3.Connection, signed: SignedGrant, policy: Policy, place: Place, now_ms: int
) -> Taken | Refusal:
    grant = signed.grant
    refusal = judge(signed, policy, place, grants(conn), now_ms)
    if refusal is not None:
        audit_log.append(conn, line(now_ms, f"{grant.id} refused: {refusal.why}", place.who))
        if refusal.why not in HONEST and (authentic(signed, policy) or _room(conn, now_ms)):
            outbox.write(conn, [messages.of_refused_grant(grant, refusal, policy, place, now_ms)], now_ms)
        return refusal
    conn.execute(
        """INSERT INTO grants (id, ask, at_ms, from_ms, until_ms, person, budget, amount_nanos, approver, reason, text)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            grant.id, grant.ask, now_ms, grant.from_ms, grant.until_ms, grant.person, grant.budget, grant.amount_nanos,
            grant.approver, grant.reason, signed.text(),
        ),
    )  # fmt: skip
    more = f"{grant.person} has {dollars(grant.amount_nanos)} more of {grant.budget}"
    detail = (
        f"{grant.id} taken in: {more}, granted by {grant.approver} (key {signed.signature.key_name}): {grant.reason}"
    )
    audit_log.append(conn, line(now_ms, detail, grant.approver))
    outbox.write(conn, [messages.of_grant(grant, policy, now_ms)], now_ms)
    outbox.answered(conn, messages.ASK, grant.ask, grant.approver, now_ms)
    return Taken(signed, now_ms, grant.until_ms)


def _room(conn: sqlite3.Connection, now_ms: int) -> bool:
    """Whether one more grant that nobody signed is told today: whoever makes such up could fill its owner's mail."""
    sql = "SELECT count(*) FROM alerts WHERE rule = ? AND value = ? AND at_ms > ?"
    values = (messages.EVIDENCE, messages.GRANT_REFUSED, now_ms - DAY_MS)
    return int(conn.execute(sql, values).fetchone()[0]) < FORGED_MAX


def _revoke(conn: sqlite3.Connection, grant_id: str, who: str, now_ms: int) -> bool:
    found = [each.signed.grant.id for each in grants(conn) if each.signed.grant.id.startswith(grant_id)]
    if not grant_id or len(found) != 1:
        raise StateError(
            f"{'no' if not found else 'more than one'} grant here begins {grant_id!r}: see `spendgate grant list`"
        )
    return end(conn, found[0], now_ms, f"revoked by {who}")
