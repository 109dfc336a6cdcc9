"""`spendgate alerts list|test|ack`: what was told, whom it reached; a trial of each receiver; who has seen it."""

from __future__ import annotations

import json
import os
import time
from contextlib import closing
from datetime import UTC, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from spendgate.alerts import courier, routing
from spendgate.alerts.sending import Message, Result
from spendgate.cli import in_force
from spendgate.cli.moments import iso, moment, to_the_second
from spendgate.cli.options import FormatOption, StateOption, existing_state, utf8
from spendgate.cli.output import Column, Format, emit, note
from spendgate.cli.spend import SinceOption
from spendgate.cli.status import own_account
from spendgate.config import paths
from spendgate.errors import SpendgateError, StateError, UsageError
from spendgate.ledger.outbox import Outbox
from spendgate.ledger.queries import Reader
from spendgate.policy import Policy
from spendgate.roster import Notify

_COLUMNS = (
    Column("name", "id", weight=0),
    Column("at", "at", weight=2),
    Column("severity", "severity", weight=4),
    Column("says", "says", weight=1),
    Column("owner", "answers for it", weight=6),
    Column("sent", "sent", weight=3),
    Column("acked_by", "seen by", weight=5),
    Column("command", "the calls behind it", weight=7),
)
_KEYS = (
    "name", "at", "rule", "form", "value", "window", "severity", "person", "team", "owner", "spent_nanos", "mark_nanos", "calls",
    "of_calls", "text", "command", "policy_hash", "acked_at", "acked_by", "sent",
)  # fmt: skip
_TRIED = (Column("receiver", "receiver", weight=0), Column("for", "for"), Column("result", "result", weight=0))
_commands = typer.Typer(help="What was told, to whom, and whether it is there.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(_commands, name="alerts")


@_commands.command("list")
def list_(since: SinceOption = None, state: StateOption = None, fmt: FormatOption = Format.TABLE) -> None:
    """Every alert, newest first, with what became of each of its messages."""
    policy = in_force.policy(paths.find(state))
    zone = ZoneInfo(policy.timezone)
    since_ms = 0 if since is None else moment(since, zone, datetime.now(UTC))
    found = existing_state(state)
    with closing(Reader(found.ledger)) as reader:
        rows = [_shown(row) for row in reader.alerts(since_ms)]
    if fmt is Format.TABLE:
        rows = [{**row, "at": to_the_second(row["at"], zone), "says": row["text"]} for row in rows]
    elif fmt is Format.CSV:
        rows = [{**row, "team": ",".join(row["team"])} for row in rows]
    kept = [*_KEYS, "deliveries"] if fmt is Format.JSON else [*_KEYS, "says"]
    shown = [{key: row.get(key) for key in kept} for row in rows]
    emit(shown, _COLUMNS, fmt, empty="nothing was told", keys=_KEYS)


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    deliveries = [
        {
            "receiver": each["receiver"],
            "attempts": each["attempts"],
            "delivered_at": None if each["delivered_ms"] is None else iso(each["delivered_ms"]),
            "given_up_at": None if each["given_up_ms"] is None else iso(each["given_up_ms"]),
            "error": each["error"],
        }
        for each in row["deliveries"]
    ]
    return {
        **row,
        "at": iso(row["at_ms"]),
        "team": json.loads(row["team"]),
        "acked_at": None if row["acked_ms"] is None else iso(row["acked_ms"]),
        "deliveries": deliveries,
        "sent": "; ".join(_became(each) for each in deliveries) or ("to nobody" if row["routed"] else "not yet"),
    }


def _became(delivery: dict[str, Any]) -> str:
    receiver, error = delivery["receiver"], delivery["error"]
    if delivery["delivered_at"] is not None:
        return f"{receiver}: there"
    if delivery["given_up_at"] is not None:
        return f"{receiver}: given up, {error}"
    return f"{receiver}: {error or 'not yet'}{', again soon' if error else ''}"


@_commands.command("test")
def test(
    to: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="NAME", help="Only receivers of this name: slack, or slack-1f3a9c0d from the list."
        ),
    ] = None,
    state: StateOption = None,
    fmt: FormatOption = Format.TABLE,
) -> None:
    """Send a test, which says so, to each receiver of the policy in force. Secrets are those of this shell."""
    policy = in_force.policy(paths.find(state))
    wanted = [entry for entry in _entries(policy) if to is None or to in (routing.key(entry), routing.service(entry))]
    desktop = courier.has_desktop(os.environ) and to in (None, routing.DESKTOP)
    if not wanted and not desktop:
        known = ", ".join(dict.fromkeys(routing.service(entry) for entry in _entries(policy)))
        raise UsageError(f"the policy in force has no receiver {to or ''}; it has {known or 'none: give it notify'}")
    title = "Spendgate test"
    body = f"A test of {own_account()}'s, not an alert. Policy {policy.hash}; {policy.owner} answers for it."
    messages = [Message(number, entry.to, title, body, "notice") for number, entry in enumerate(wanted)]
    results = {each.number: each for each in courier.sent(messages)}
    rows: list[dict[str, object]] = [
        {"receiver": routing.key(entry), "for": ", ".join(entry.purposes), "result": _result(results[number])}
        for number, entry in enumerate(wanted)
    ]
    if desktop:
        shown = courier.show(title, body, "notice")
        rows.append({"receiver": routing.DESKTOP, "for": "persons", "result": shown or "taken"})
    emit(rows, _TRIED, fmt, keys=[column.key for column in _TRIED])
    failed = [row for row in rows if row["result"] != "taken"]
    if failed:
        raise SpendgateError(f"{len(failed)} of {len(rows)} receivers did not take the test")


def _result(result: Result) -> str:
    return "taken" if result.error is None else result.error


def _entries(policy: Policy) -> list[Notify]:
    entries = [*policy.notify, *(entry for team in policy.roster.teams for entry in team.notify)]
    return list({entry.to: entry for entry in entries}.values())


@_commands.command()
def ack(
    names: Annotated[
        list[str], typer.Argument(metavar="ID…", help="Ids as `alerts list` has them, or their beginnings.")
    ],
    state: StateOption = None,
) -> None:
    """Say that you have seen these: nothing more is sent of them, and the audit trail has who and when."""
    wanted = [utf8("ID", name) for name in names]
    found = existing_state(state)
    with closing(Reader(found.ledger)) as reader:
        try:
            whole = [reader.alert(name) for name in wanted]
        except ValueError as fault:
            raise StateError(str(fault)) from fault
    who = own_account()
    with closing(Outbox(found.ledger)) as outbox:
        for name in dict.fromkeys(whole):
            done = outbox.acknowledge(name, who, time.time_ns() // 1_000_000)
            note(f"{name}: seen by {who}" if done else f"{name}: was seen before")
