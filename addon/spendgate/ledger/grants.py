"""Asks and grants in the ledger, as they are read: who asked for what, what was taken in, what has ended.

A grant's row is its signed text, and what decides is that text: whoever reads it judges it again by the policy in force
(`spendgate.grants.raised`). Rows are never changed; an end is a row of its own, and there is one at most.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace
from typing import Final, Protocol

from spendgate.audit_words import AuditWord
from spendgate.grant_texts import Ask, SignedGrant
from spendgate.grants import Refusal, Taken
from spendgate.ledger import audit_log

OVER: Final = "its time is over"
_ASKS: Final = """SELECT id, at_ms, until_ms, person, budget, amount_nanos, reason, call, spent_nanos, held_nanos, limit_nanos,
    resets_ms, asked_of, code, coalesce(
        (SELECT grants.id FROM grants WHERE grants.ask = asks.id ORDER BY grants.seq DESC LIMIT 1),
        (SELECT grants.id FROM grants WHERE grants.person = asks.person AND grants.budget = asks.budget
            AND grants.at_ms > asks.at_ms ORDER BY grants.seq DESC LIMIT 1))
    FROM asks ORDER BY seq"""
"""Each with the grant that answers it: the one made for it, else one that the person was given since for that budget."""
_GRANTS: Final = """SELECT text, grants.at_ms, coalesce(min(grant_ends.at_ms, until_ms), until_ms), coalesce(why, '')
    FROM grants LEFT JOIN grant_ends ON grant_ends.grant_id = grants.id ORDER BY grants.seq"""
_LATEST: Final = "SELECT coalesce((SELECT max(seq) FROM grants), 0), coalesce((SELECT max(seq) FROM grant_ends), 0)"


@dataclass(frozen=True, slots=True)
class Figures:
    """What a refusal said of the budget, in nano-dollars, and which call it was; None: nothing was refused."""

    call: str | None = None
    spent_nanos: int | None = None
    held_nanos: int | None = None
    limit_nanos: int | None = None
    resets_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """An ask as the ledger has it."""

    ask: Ask
    figures: Figures
    asked_of: str
    """Whose budget it is: who is to answer."""
    granted: str = ""
    """The grant that has answered it."""
    replaced: str = ""
    """The newer ask of the same person for the same allowance, which stands in its place."""
    excepted: bool = False
    """Whether an exception that the policy has got since answers it; the ledger does not know that."""

    def open(self, now_ms: int) -> bool:
        """Whether it waits for an answer."""
        return not (self.granted or self.replaced or self.excepted) and self.ask.until_ms > now_ms


class GrantPort(Protocol):
    """What `ask` and `grant` do to a ledger, wherever it lies: in a file of the user's own, or behind a service's socket."""

    def ask(self, asked: Asked, now_ms: int) -> Asked:
        """Write it down, once: the same ask that is still open is given back. Raises StateError where too many are open."""
        ...

    def accept(self, text: str, person: str | None, now_ms: int, who: str) -> Taken | Refusal:
        """Take a grant in, or say why not. `person` is who does it; None: somebody who may for others; `who` is their account.
        Raises ValueError for text that is no grant."""
        ...

    def revoke(self, grant_id: str, who: str, now_ms: int) -> bool:
        """End a grant now. False: it had ended. Raises StateError where there is none."""
        ...


def asks(conn: sqlite3.Connection) -> tuple[Asked, ...]:
    """Every ask, in the order in which they came. Rows whose code does not parse are left out."""
    found = []
    for *_, call, spent, held, limit, resets, asked_of, code, granted in conn.execute(_ASKS):
        try:
            ask = Ask.of_code(code)
        except ValueError:
            continue
        found.append(Asked(ask, Figures(call, spent, held, limit, resets), asked_of, granted or ""))
    newest = {allowance(each.ask): each.ask.id for each in found}
    return tuple(
        each if newest[allowance(each.ask)] == each.ask.id else replace(each, replaced=newest[allowance(each.ask)])
        for each in found
    )


def allowance(ask: Ask) -> tuple[str, str, str, tuple[tuple[str, str], ...]]:
    """What an ask is about, whatever the amount."""
    return ask.machine, ask.person, ask.budget, tuple(sorted(ask.values.items()))


def grants(conn: sqlite3.Connection) -> tuple[Taken, ...]:
    """Every grant that was taken in, in that order. Rows whose text does not parse are none."""
    found = []
    for text, at_ms, until_ms, why in conn.execute(_GRANTS):
        try:
            signed = SignedGrant.parse(text)
        except ValueError:
            continue
        found.append(Taken(signed, at_ms, min(until_ms, signed.grant.until_ms), why))
    return tuple(found)


def latest(conn: sqlite3.Connection) -> tuple[int, int]:
    """What changes when a grant is taken in or ends: two look-ups, some microseconds."""
    newest, ended = conn.execute(_LATEST).fetchone()
    return newest, ended


def end(conn: sqlite3.Connection, grant_id: str, at_ms: int, why: str) -> bool:
    """Write that a grant has ended; False: it had."""
    done = conn.execute(
        "INSERT OR IGNORE INTO grant_ends (grant_id, at_ms, why) VALUES (?, ?, ?)", (grant_id, at_ms, why)
    ).rowcount
    if done:
        audit_log.append(conn, line(at_ms, f"{grant_id} ended: {why}"))
    return bool(done)


def line(at_ms: int, detail: str, who: str = "") -> audit_log.Line:
    """What the audit trail says of a grant."""
    return audit_log.Line(at_ms, AuditWord.GRANT, detail, who)
