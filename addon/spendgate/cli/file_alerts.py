"""Alerts of a ledger's file: what was told, and who has seen it."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any

from spendgate.cli.desk import Rows
from spendgate.cli.moments import iso
from spendgate.cli.own import Hand
from spendgate.errors import StateError
from spendgate.ledger.outbox import Outbox
from spendgate.ledger.queries import Reader
from spendgate.ledger.shared_connection import SharedConnection


def listed(hand: Hand, since_ms: int) -> Rows:
    """Each alert, newest first, with what became of its messages; who is no admin sees those about them alone, without it."""
    with closing(Reader(hand.state.ledger)) as reader:
        rows = [row for row in reader.alerts(since_ms) if hand.sight.sees(row["person"])]
    return tuple(_shown(row, hand) for row in rows)


def seen(hand: Hand, names: tuple[str, ...], now_ms: int) -> tuple[str, ...]:
    """Note that these were seen; a line for each. Raises StateError where one of them is none.

    An admin's word ends what is still to be sent of it; a person's own does not, so that nobody keeps an alert about
    themselves from its owner.
    """
    with closing(Reader(hand.state.ledger)) as reader:
        # Of an account that only counts as somebody no alert is its own: nobody's name is the empty one.
        person = None if hand.sight.everything else "" if hand.sight.shared else hand.sight.person
        try:
            whole = [reader.alert(name, person) for name in names]
        except ValueError as fault:
            raise StateError(str(fault)) from fault
    who, lines = hand.sight.account, []
    with closing(SharedConnection(hand.state.ledger)) as shared:
        outbox = Outbox(shared)
        for name in dict.fromkeys(whole):
            done = outbox.acknowledge(name, who, now_ms, ends_sending=hand.sight.everything)
            lines.append(f"{name}: seen by {who}" if done else f"{name}: was seen before")
    return tuple(lines)


def _shown(row: dict[str, Any], hand: Hand) -> dict[str, Any]:
    deliveries = [
        {
            "receiver": each["receiver"],
            "attempts": each["attempts"],
            "delivered_at": None if each["delivered_ms"] is None else iso(each["delivered_ms"]),
            "given_up_at": None if each["given_up_ms"] is None else iso(each["given_up_ms"]),
            "error": each["error"],
        }
        for each in (row["deliveries"] if hand.sight.everything else ())
    ]
    return {
        **row,
        "at": iso(row["at_ms"]),
        "team": json.loads(row["team"]),
        "acked_at": None if row["acked_ms"] is None else iso(row["acked_ms"]),
        "deliveries": deliveries,
        "sent": "; ".join(_became(each) for each in deliveries) or _routed(row, hand),
    }


def _routed(row: dict[str, Any], hand: Hand) -> str:
    if row["routed"] and not hand.sight.everything:
        return "to whom the policy says"
    return "to nobody" if row["routed"] else "not yet"


def _became(delivery: dict[str, Any]) -> str:
    receiver, error = delivery["receiver"], delivery["error"]
    if delivery["delivered_at"] is not None:
        return f"{receiver}: there"
    if delivery["given_up_at"] is not None:
        return f"{receiver}: given up, {error}"
    return f"{receiver}: {error or 'not yet'}{', again soon' if error else ''}"
