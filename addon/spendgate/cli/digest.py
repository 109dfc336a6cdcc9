"""`spendgate digest`: the week that is over, as the running gate sends it: who spent what, and what somebody should look at."""

from __future__ import annotations

import time
from contextlib import closing
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from spendgate import digest_texts
from spendgate.alerts.digesting import gathered
from spendgate.cli import granted, in_force
from spendgate.cli.moments import moment
from spendgate.cli.options import StateOption, existing_state, one_of, utf8
from spendgate.cli.output import emit_json, writing
from spendgate.config import paths, prices
from spendgate.digest import Digest, week_before, week_of
from spendgate.digest_made import digest_of
from spendgate.errors import UsageError
from spendgate.ledger.queries import Reader
from spendgate.ledger.spending import POLICY_PRICE
from spendgate.policy import Policy
from spendgate.window import Bounds, day_starts_ms, zone_of


class As(StrEnum):
    """`--format` of the digest."""

    TABLE = "table"
    MARKDOWN = "markdown"
    JSON = "json"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("digest")(digest)


def digest(
    week: Annotated[
        str | None,
        typer.Option("--week", metavar="W", help="last (default), this, or a day of the week: 2026-11-18."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="T", help="Of the week in which T lies: 9d, yesterday, 2026-11-18."),
    ] = None,
    team: Annotated[
        str | None, typer.Option("--team", metavar="NAME", help="Of this team and those below it alone.")
    ] = None,
    state: StateOption = None,
    fmt: Annotated[
        As,
        typer.Option(
            "--format",
            parser=one_of(As),
            metavar=f"[{'|'.join(As)}]",
            help="table for people, markdown for a page, json for programs.",
        ),
    ] = As.TABLE,
) -> None:
    """One week: top five spenders and the change, outliers, models, budgets that end early, exceptions, refusals, keys, prices.

    Receivers of `notify` that are for `digest` get it from the running gate, on the first day of each week at 08:00.
    """
    if week is not None and since is not None:
        raise UsageError("--week and --since both name the week: give one")
    policy = in_force.policy(paths.find(state))
    name = utf8("--team", team) if team is not None else ""
    if name and name not in policy.roster.team_by_name:
        raise UsageError(f"--team {name!r}: the policy in force has no such team")
    now_ms = time.time_ns() // 1_000_000
    wanted = _week(policy, week, since, now_ms)
    made = _made(state, policy, wanted, name, now_ms)
    if fmt is As.JSON:
        emit_json(msgspec.to_builtins(made))
        return
    with writing():
        typer.echo(digest_texts.markdown(made) if fmt is As.MARKDOWN else digest_texts.text(made, aligned=True))


def _made(state: Path | None, policy: Policy, week: Bounds, team: str, now_ms: int) -> Digest:
    found = existing_state(state)
    said = in_force.told(found)
    list_ = prices.said(prices.PriceStore(found.root / "prices").book(), datetime.now(UTC))
    machine = said.machine if said else "unknown"
    with closing(Reader(found.ledger)) as reader:
        policy = granted.shown(found, policy, reader, now_ms)
        read = gathered(policy, reader, week, now_ms, prices=list_, machine=machine, team=team)
    return digest_of(read, policy, week, team=team, guess=POLICY_PRICE)


def _week(policy: Policy, word: str | None, since: str | None, now_ms: int) -> Bounds:
    """The week that was asked for. Raises UsageError."""
    running = week_of(policy, now_ms)
    if since is not None:
        at_ms = moment(since, zone_of(policy.timezone), datetime.fromtimestamp(now_ms / 1000, UTC))
    elif word in (None, "last"):
        return week_before(policy, running)
    elif word == "this":
        return running
    else:
        try:
            at_ms = day_starts_ms(policy.timezone, date.fromisoformat(word or ""))
        except (ValueError, OverflowError):
            raise UsageError(f"--week {word!r} is no week; write last, this, or one of its days, 2026-11-18") from None
    if at_ms > now_ms:
        raise UsageError(f"{since or word} is still to come: there is no digest of it yet")
    return week_of(policy, at_ms)
