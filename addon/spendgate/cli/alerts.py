"""`spendgate alerts list|test|ack`: what was told, whom it reached; a trial of each receiver; who has seen it."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from spendgate.alerts import courier, routing
from spendgate.alerts.sending import Message, Result
from spendgate.cli import in_force
from spendgate.cli.account import own_account
from spendgate.cli.desks import at_service, desk
from spendgate.cli.moments import to_the_second
from spendgate.cli.options import FormatOption, StateOption, utf8
from spendgate.cli.output import Column, Format, emit, note
from spendgate.cli.spend import SinceOption
from spendgate.config import paths
from spendgate.errors import SpendgateError, StateError, UsageError
from spendgate.policy import Policy
from spendgate.roster import Notify
from spendgate.window import zone_of

_COLUMNS = (
    Column("name", "id", weight=0),
    Column("at", "at", weight=2),
    Column("severity", "severity", weight=4),
    Column("says", "says", weight=1, wraps=True),
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
    found = desk(state).alerts(since)
    rows, zone = list(found.rows), zone_of(found.timezone)
    if fmt is Format.TABLE:
        rows = [{**row, "at": to_the_second(row["at"], zone), "says": row["text"]} for row in rows]
    elif fmt is Format.CSV:
        rows = [{**row, "team": ",".join(row["team"])} for row in rows]
    kept = [*_KEYS, "deliveries"] if fmt is Format.JSON else [*_KEYS, "says"]
    shown = [{key: row.get(key) for key in kept} for row in rows]
    emit(shown, _COLUMNS, fmt, empty="nothing was told", keys=_KEYS)


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
    if (socket := at_service(state)) is not None:
        raise StateError(f"{socket} is a service's, whose policy and secrets are its own: run this as its account")
    place = paths.find(state)
    policy = in_force.policy(place)
    wanted = [entry for entry in _entries(policy) if to is None or to in (routing.key(entry), routing.service(entry))]
    desktop = courier.has_desktop(os.environ) and to in (None, routing.DESKTOP)
    if not wanted and not desktop:
        known = ", ".join(dict.fromkeys(routing.service(entry) for entry in _entries(policy)))
        if not known and in_force.told(place) is None:
            raise StateError(f"no gate has run with {place.root} yet: start one, or name its directory with --state")
        if not known:
            raise UsageError("the policy in force has no receiver; give it one under `notify`")
        raise UsageError(f"the policy in force has no receiver {to}; it has {known}")
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
    """Say that you have seen these: the audit trail has who and when, and nothing more is sent of them.

    With a service only an admin's word ends what is being sent.
    """
    for line in desk(state).see_alerts(tuple(utf8("ID", name) for name in names)):
        note(line)
