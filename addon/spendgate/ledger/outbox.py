"""Alerts in the ledger, each once in its window, kept until everybody to whom it goes has it.

A second writer of the same alert finds it there: a gate that looks again after another has died, or a refusal, which its alert
must not come after.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Collection, Iterable
from typing import Final

from msgspec import Struct

from spendgate.audit_words import AuditWord
from spendgate.grant_texts import Ask
from spendgate.ledger import audit_log
from spendgate.ledger.interface import AlertRow
from spendgate.ledger.shared_connection import SharedConnection

_COLUMNS: Final = AlertRow.__struct_fields__
_INSERT: Final = f"""INSERT INTO alerts (name, made_ms, {", ".join(_COLUMNS)})
    SELECT ?, ?, {", ".join("?" * len(_COLUMNS))} WHERE NOT EXISTS (
        SELECT 1 FROM alerts WHERE rule = ? AND value = ? AND window = ? AND (again_ms IS NULL OR again_ms > ?))"""  # noqa: S608 - our own words
_IDLE: Final = "receiver NOT IN (SELECT value FROM json_each(?))"
_DUE: Final = "(due_ms <= ? OR due_ms > ?)"
_FAR_MS: Final = 3_600_000
"""No wait between two attempts is so long: what is due later was put off by a clock that was ahead."""
_OPEN: Final = "delivered_ms IS NULL AND given_up_ms IS NULL"


class Unrouted(Struct, frozen=True):
    """An alert of which nobody has said yet to whom it goes."""

    id: int
    form: str
    window: str
    severity: str
    person: str | None
    team: tuple[str, ...]


class Trail(Struct, frozen=True):
    """A line of the audit trail."""

    position: int
    at_ms: int
    what: str
    detail: str


class Due(Struct, frozen=True):
    """One alert for one receiver, to be sent now."""

    alert: int
    receiver: str
    attempts: int
    """This one too."""
    name: str
    """By which a receiver can tell that it has had it before."""
    rule: str
    value: str
    window: str
    severity: str
    at_ms: int
    made_ms: int
    person: str | None
    team: tuple[str, ...]
    owner: str
    text: str
    command: str
    form: str
    long_text: str | None
    """What is sent in place of `text`, where there is more to say: the whole digest."""
    html: str | None
    """The same for mail."""


def write(conn: sqlite3.Connection, alerts: Iterable[AlertRow], now_ms: int) -> int:
    """Write those that are not there for their window, inside the caller's transaction; how many were not."""
    written = 0
    for each in alerts:
        values = [json.dumps(value) if isinstance(value, tuple) else value for value in _values(each)]
        key = (each.rule, each.value, each.window, each.at_ms)
        written += conn.execute(_INSERT, (secrets.token_hex(6), now_ms, *values, *key)).rowcount
    return written


def write_letter(conn: sqlite3.Connection, alert: AlertRow, text: str, html: str, now_ms: int) -> bool:
    """Write a message of more than a sentence, inside the caller's transaction; False: it is there for its window."""
    if not write(conn, [alert], now_ms):
        return False
    conn.execute("INSERT INTO letters (alert, text, html) VALUES (last_insert_rowid(), ?, ?)", (text, html))
    return True


def answered(conn: sqlite3.Connection, form: str, window: str, who: str, now_ms: int) -> None:
    """What this message asked for is done: nothing more is sent of it. Inside the caller's transaction."""
    for (alert,) in conn.execute("SELECT id FROM alerts WHERE form = ? AND window = ?", (form, window)).fetchall():
        _seen(conn, alert, who, "answered", now_ms)


def _seen(conn: sqlite3.Connection, alert: int, who: str, how: str, now_ms: int, *, ends_sending: bool = True) -> bool:
    changed = conn.execute(
        "UPDATE alerts SET acked_ms = ?, acked_by = ?, routed = max(routed, ?) WHERE id = ? AND acked_ms IS NULL",
        (now_ms, who, ends_sending, alert),
    ).rowcount
    if changed and ends_sending:
        conn.execute(
            f"UPDATE deliveries SET given_up_ms = ?, error = ? WHERE alert = ? AND {_OPEN}",  # noqa: S608 - our own words
            (now_ms, f"{how} before it was delivered", alert),
        )
    return bool(changed)


def _values(alert: AlertRow) -> tuple[object, ...]:
    return tuple([getattr(alert, name) for name in _COLUMNS])


class Outbox:
    """What is told, and to whom it still goes. One thread at a time works with it, others wait."""

    def __init__(self, shared: SharedConnection) -> None:
        self._shared = shared

    # -- telling -------------------------------------------------------------------------------------------------

    def trail(self, after: int, words: Collection[str]) -> list[Trail]:
        """The lines of the audit trail with these words after this position, the oldest first."""
        sql = """SELECT position, at_ms, what, detail FROM audit WHERE position > ? AND what IN (SELECT value FROM json_each(?))
            ORDER BY position"""
        with self._shared.transaction("BEGIN") as conn:
            return [Trail(*row) for row in conn.execute(sql, (after, json.dumps(sorted(words))))]

    def tell(self, alerts: Iterable[AlertRow], now_ms: int) -> int:
        """Write alerts that rest on no call; how many were not there for their window."""
        with self._shared.transaction() as conn:
            return write(conn, alerts, now_ms)

    def letters(self, form: str, window: str) -> frozenset[str]:
        """Whose message of this form is there for this window, by `value`."""
        with self._shared.transaction("BEGIN") as conn:
            found = conn.execute("SELECT value FROM alerts WHERE form = ? AND window = ?", (form, window))
            return frozenset(row[0] for row in found)

    def write_letter(self, alert: AlertRow, text: str, html: str, now_ms: int) -> bool:
        """Put a message of more than a sentence there, once for its window. False: it was there."""
        with self._shared.transaction() as conn:
            return write_letter(conn, alert, text, html, now_ms)

    # -- sending -------------------------------------------------------------------------------------------------

    def unrouted(self) -> list[Unrouted]:
        """The alerts of which nobody has said yet to whom they go."""
        with self._shared.transaction("BEGIN") as conn:
            found = conn.execute(
                "SELECT id, form, window, severity, person, team FROM alerts WHERE routed = 0"
            ).fetchall()
        return [Unrouted(row[0], row[1], row[2], row[3], row[4], tuple(json.loads(row[5]))) for row in found]

    def ask(self, ask_id: str) -> Ask | None:
        """What was asked for; None: no ask of that id can be read."""
        with self._shared.transaction("BEGIN") as conn:
            row = conn.execute("SELECT code FROM asks WHERE id = ?", (ask_id,)).fetchone()
        try:
            return None if row is None else Ask.of_code(row[0])
        except ValueError:
            return None

    def route(self, alert: int, receivers: Iterable[str], now_ms: int) -> None:
        """This alert goes to these, now, and it is in the audit trail."""
        with self._shared.transaction() as conn:
            if not conn.execute("UPDATE alerts SET routed = 1 WHERE id = ? AND routed = 0", (alert,)).rowcount:
                return
            to = list(dict.fromkeys(receivers))
            conn.executemany(
                "INSERT OR IGNORE INTO deliveries (alert, receiver, due_ms) VALUES (?, ?, ?)",
                [(alert, receiver, now_ms) for receiver in to],
            )
            name, rule, value = conn.execute("SELECT name, rule, value FROM alerts WHERE id = ?", (alert,)).fetchone()
            of = f" of {value}" if value else ""
            said = f"{name} {rule}{of}, to {', '.join(to) or 'nobody'}"
            audit_log.append(conn, audit_log.Line(now_ms, AuditWord.ALERT, said))

    def due(self, now_ms: int, again_ms: int, limit: int, *, busy: Collection[str] = ()) -> list[Due]:
        """What is to be sent now, but to those who are busy. Each is put off until `again_ms` first, so that a death in between
        is one attempt that failed."""
        with self._shared.transaction() as conn:
            found = conn.execute(
                f"""SELECT deliveries.alert, receiver, attempts + 1, name, rule, value, window, severity,
                    at_ms, made_ms, person, team, owner, alerts.text, command, form, letters.text, letters.html
                    FROM deliveries JOIN alerts ON alerts.id = deliveries.alert
                    LEFT JOIN letters ON letters.alert = alerts.id WHERE {_OPEN} AND {_DUE}
                    AND {_IDLE} ORDER BY due_ms LIMIT ?""",  # noqa: S608 - our own words
                (now_ms, now_ms + _FAR_MS, json.dumps(sorted(busy)), limit),
            ).fetchall()
            conn.executemany(
                "UPDATE deliveries SET attempts = attempts + 1, due_ms = ? WHERE alert = ? AND receiver = ?",
                [(again_ms, row[0], row[1]) for row in found],
            )
        names = Due.__struct_fields__
        rows = [dict(zip(names, row, strict=True)) for row in found]
        return [Due(**{**row, "team": tuple(json.loads(row["team"]))}) for row in rows]

    def any_due(self, now_ms: int, *, busy: Collection[str] = ()) -> bool:
        """Whether something is to be sent: one look, nothing is written."""
        with self._shared.transaction("BEGIN") as conn:
            sql = f"SELECT 1 FROM deliveries WHERE {_OPEN} AND {_DUE} AND {_IDLE} LIMIT 1"  # noqa: S608 - our own words
            return conn.execute(sql, (now_ms, now_ms + _FAR_MS, json.dumps(sorted(busy)))).fetchone() is not None

    def delivered(self, sent: Due, now_ms: int) -> None:
        """It is there."""
        with self._shared.transaction() as conn:
            conn.execute(
                "UPDATE deliveries SET delivered_ms = ?, error = NULL WHERE alert = ? AND receiver = ?",
                (now_ms, sent.alert, sent.receiver),
            )

    def failed(self, sent: Due, error: str, due_ms: int | None, now_ms: int) -> None:
        """It is not there: to be tried again then, or, None, not any more. `error` is of our own words."""
        with self._shared.transaction() as conn:
            given_up_ms = now_ms if due_ms is None else None
            conn.execute(
                """UPDATE deliveries SET error = ?, due_ms = coalesce(?, due_ms), given_up_ms = ?
                   WHERE alert = ? AND receiver = ?""",
                (error, due_ms, given_up_ms, sent.alert, sent.receiver),
            )
            if due_ms is None:
                said = f"{sent.name} to {sent.receiver}: {error}"
                audit_log.append(conn, audit_log.Line(now_ms, AuditWord.ALERT_NOT_DELIVERED, said))

    def acknowledge(self, name: str, who: str, now_ms: int, *, ends_sending: bool = True) -> bool:
        """Somebody has seen it, and says so; nothing more is sent of it, unless `ends_sending` is False. False: there is none of
        that name, or it was before.

        Raises LedgerUnavailable.
        """
        with self._shared.transaction() as conn:
            found = conn.execute("SELECT id FROM alerts WHERE name = ?", (name,)).fetchone()
            changed = found is not None and _seen(
                conn, found[0], who, "acknowledged", now_ms, ends_sending=ends_sending
            )
            if changed:
                audit_log.append(conn, audit_log.Line(now_ms, AuditWord.ALERT_ACKNOWLEDGED, name, who))
            return changed
