"""An open call, its holds, and how they are kept in its row.

The column `holds` is a JSON array with one array for each balance that the call draws on: the fields of `Held` (numbers and a
word of `standing.Hold`, so nothing needs an escape) and, once the call has ended, its charge, and of some the balance's mark.
It is part of the row, so that opening and ending a call write one row each, and the chain covers what each budget was charged.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from spendgate.ledger import rows
from spendgate.ledger.balances import Balance
from spendgate.standing import Scope

_FIND: Final = f"""SELECT seq, {", ".join(rows.RUNNING)}, holds, {", ".join(rows.OPENED)}
    FROM call_rows WHERE id = ? AND state = 'open'"""  # noqa: S608 - the ledger's own column names
_OPENED_AT: Final = 2 + len(rows.RUNNING)


AT_COST, AT_LIST_PRICE = 1, 2
"""How a hold that filling added is charged; at list price what is on a plan, which costs nothing."""


class Held(Struct, frozen=True, array_like=True, gc=False):
    """What one call holds in one balance, and what that became. Nano-dollars."""

    balance: int
    nanos: int
    bound_nanos: int
    mode: str
    """A word of `standing.Hold`."""
    added: int
    """AT_COST or AT_LIST_PRICE: filling added it, for a policy that came into force while the call ran; else 0."""


Drawn = tuple[tuple[Scope, ...], list[Balance], Balance]
"""What a call draws on: the scopes of its holds, their balances in that order, and the balance of its kind."""

Ended = tuple[int, int, int, str, int, int, *tuple[str, ...]]
"""A hold of a call that has ended: the fields of `Held`, the charge, and of some the balance's mark (`Balance.mark`)."""

_CHARGE: Final = len(Held.__struct_fields__)
_ANY: Final = -1
"""Stands for an amount; with the comma before it, it is nowhere else in the text, whose words and marks have none."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(tuple[Held, ...]).decode


class OpenCall(Struct):
    """An open call as its row has it."""

    id: str
    """As the gate names it."""
    kind: str
    """What its size is learned by."""
    seq: int
    account: str | None
    booked_ms: int
    sent_ms: int | None
    held_nanos: int
    waited_ms: int
    would_refuse_by: str | None
    holds: tuple[Held, ...]
    opened: rows.Values
    """The values of rows.OPENED."""
    drawn: Drawn | None = None
    """What `holds` draw on; None of a call that was read back. Its balances are known as long as the call is (`known.Known`)."""


def find(conn: sqlite3.Connection, call_id: str) -> OpenCall | None:
    """Read an open call; None when it is not open."""
    found = conn.execute(_FIND, (call_id,)).fetchone()
    if found is None:
        return None
    seq, account, booked_ms, sent_ms, held_nanos, waited_ms, rule, holds = found[:_OPENED_AT]
    opened = found[_OPENED_AT:]
    kind = opened[rows.KIND_AT]
    return OpenCall(
        call_id, kind, seq, account, booked_ms, sent_ms, held_nanos, waited_ms, rule, unpacked(holds), opened
    )


def packed(holds: tuple[Held, ...]) -> str:
    """The text of the column `holds` while the call is open."""
    return _encode(holds).decode()


def charged(holds: Sequence[Ended]) -> str:
    """The text of the column `holds` of an ended call: each with its charge, 0 for a hold that was released."""
    return _encode(holds).decode()


def charged_alike(holds: Sequence[Ended], amounts: Iterable[int]) -> list[str]:
    """`charged` for each of these amounts, where all of the holds are charged the same and stay as they are but for that."""
    any_amount = [(*hold[:_CHARGE], _ANY, *hold[_CHARGE + 1 :]) for hold in holds]
    between = _encode(any_amount).decode().split(f",{_ANY}")
    return [f",{nanos}".join(between) for nanos in amounts]


def unpacked(text: str | None) -> tuple[Held, ...]:
    """The holds in the column's text, without charges; none for a call that never held."""
    return _decode(text) if text else ()
