"""`spendgate ask`: what a refused person runs. Writes the request down and prints what the owner needs to grant it."""

from __future__ import annotations

import secrets
from contextlib import closing
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from spendgate.cli import in_force, status
from spendgate.cli.asking import (
    WEEK_MS,
    amount_of,
    asked_of,
    figures_of,
    now_utc,
    own_values,
    port,
    said,
    until_of,
    values_of,
)
from spendgate.cli.moments import iso, shown
from spendgate.cli.options import FormatOption, StateOption, existing_state
from spendgate.cli.output import Column, Format, emit, inert, writing
from spendgate.cli.reached import reached
from spendgate.cli.routed import Routed
from spendgate.config import paths
from spendgate.errors import StateError, UsageError
from spendgate.grant_texts import REASON_LENGTH_MAX, Ask
from spendgate.ledger.gates import living
from spendgate.ledger.grants import Asked
from spendgate.ledger.messages import ASK
from spendgate.ledger.queries import Reader
from spendgate.money import dollars
from spendgate.policy import Policy, person_of, today_in
from spendgate.roster import PersonMatch
from spendgate.window import shown_in

ID_BYTES = 4
COLUMNS = (
    Column("id", "ask", weight=0),
    Column("status", "status", weight=0),
    Column("person", "person", weight=1),
    Column("budget", "budget", weight=0),
    Column("amount_nanos", "more", right=True, weight=0),
    Column("until", "until", weight=1),
    Column("asked_of", "asked of", weight=2),
    Column("reached", "message", weight=1),
    Column("reason", "reason", weight=2),
)
KEYS = (
    "id",
    "status",
    "person",
    "budget",
    "amount_nanos",
    "asked_at",
    "until",
    "asked_of",
    "reached",
    "reason",
    "figures",
    "code",
)
group = typer.Typer(name="ask", help="Ask for more of a budget that has refused you.", cls=Routed)


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(group)


@group.command(Routed.MAIN)
def ask(
    amount: Annotated[
        str | None,
        typer.Argument(metavar="AMOUNT", help="Dollars; without it a fifth of the limit.", show_default=False),
    ] = None,
    reason: Annotated[str, typer.Option("--for", metavar="REASON", help="What it is for.")] = "",
    budget: Annotated[
        str | None,
        typer.Option("--budget", metavar="NAME", help="Which budget; without it the one that refused you last."),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="T", help="8h, 3d, 2026-12-04; without it until the budget resets.")
    ] = None,
    state: StateOption = None,
) -> None:
    """Ask for more of the budget that has refused you last: spendgate ask 50 --for "release week"."""
    if len(reason) > REASON_LENGTH_MAX or not (reason or "x").isprintable():
        raise UsageError(f"--for: at most {REASON_LENGTH_MAX} characters on one line")
    found = existing_state(state)
    policy, now = in_force.policy(found), now_utc()
    now_ms = int(now.timestamp() * 1000)
    who, machine = own_person(found, policy, now_ms)
    with closing(Reader(found.ledger)) as reader:
        refused = reader.latest_refusal(who.person, budget)
        ledger = reader.head().id
    if refused is None and budget is None:
        raise StateError(
            f"no budget has refused {who.person} here; name one with --budget (`spendgate status` lists them)"
        )
    name = budget or str(refused["refused_by"]) if refused is not None else str(budget)
    about = next((each for each in policy.budgets if each.name == name), None)
    if about is None:
        raise UsageError(f"the policy in force has no budget {name!r}; `spendgate status` lists those that are yours")
    values = values_of(about, refused["refused_value"] or "") if refused else own_values(about, who, machine)
    figures = figures_of(refused)
    ends_ms = figures.resets_ms if figures.resets_ms and figures.resets_ms > now_ms else now_ms + WEEK_MS
    if until is not None:
        ends_ms = until_of(until, ZoneInfo(policy.timezone), now)
    wanted = Ask(
        id=secrets.token_hex(ID_BYTES), ledger=ledger, machine=machine, person=who.person, budget=name, values=values,
        amount_nanos=amount_of(amount, refused, about.limit_nanos), at_ms=now_ms, until_ms=ends_ms, reason=reason,
    )  # fmt: skip
    try:
        Ask.of_code(wanted.code())
    except ValueError as fault:
        raise StateError(f"this cannot be asked for by a code: {fault}") from fault
    asked = Asked(wanted, figures, asked_of(policy, about, who.team))
    with port(found, policy, machine) as book:
        _print(book.ask(asked, now_ms), policy, told=bool(living(found.gates)))


@group.command("list")
def list_(state: StateOption = None, fmt: FormatOption = Format.TABLE) -> None:
    """What was asked for on this ledger, and what became of it."""
    found = existing_state(state)
    policy = in_force.policy(found)
    with closing(Reader(found.ledger)) as reader:
        messages, now_ms = reader.messages(ASK), int(now_utc().timestamp() * 1000)
        rows = [row(each, policy, now_ms, reached(messages.get(each.ask.id))) for each in reader.asks()]
    emit(rows, COLUMNS, fmt, empty="nobody has asked for more yet", keys=KEYS)


def own_person(state: paths.State, policy: Policy, now_ms: int) -> tuple[PersonMatch, str]:
    """Who runs this, as the gate has them, and on which machine."""
    told = in_force.told(state)
    machine = told.machine if told else "unknown"
    return person_of(policy, status.own_account(), today=today_in(policy, now_ms), machine=machine), machine


def row(asked: Asked, policy: Policy, now_ms: int, told: str = "") -> dict[str, object]:
    """An ask as it is listed; `told`: whether its message is there."""
    each = asked.ask
    state = f"granted ({asked.granted})" if asked.granted else "open" if asked.open(now_ms) else "over"
    return {
        "id": each.id,
        "status": state,
        "person": each.person,
        "budget": each.budget,
        "amount_nanos": each.amount_nanos,
        "asked_at": iso(each.at_ms),
        "until": shown(each.until_ms, ZoneInfo(policy.timezone)),
        "asked_of": asked.asked_of,
        "reached": told,
        "reason": each.reason,
        "figures": said(asked.figures),
        "code": each.code(),
    }


def _print(asked: Asked, policy: Policy, *, told: bool) -> None:
    each, figures = asked.ask, said(asked.figures)
    lines = [
        f"Asked {asked.asked_of} for {dollars(each.amount_nanos)} more of {each.budget} for {each.person},"
        f" until {shown_in(policy.timezone, each.until_ms)}{f': {each.reason}' if each.reason else ''}.",
        *([f"When it refused: {figures}."] if figures else []),
        f"{'The running gate tells them now' if told else 'No gate runs: the next one tells them'}; `spendgate ask list` says"
        " whether they have it.",
        *([f"{_who_may(policy)}"] if policy.approvers else []),
        f"On this machine they answer with:  spendgate grant {each.id} --key KEYFILE --reason WHY",
        "On another one, send them this line:",
        each.code(),
    ]
    with writing():
        for line in lines:
            typer.echo(inert(line))


def _who_may(policy: Policy) -> str:
    names = dict.fromkeys(f"{each.person} (up to {dollars(each.up_to_nanos)})" for each in policy.approvers)
    return f"Who may approve by the policy: {', '.join(names)}."
