"""`spendgate grant`: an approver signs more of a budget for a person; the person's machine takes it in, offline too."""

from __future__ import annotations

import re
import secrets
import sys
from pathlib import Path
from typing import Annotated

import typer

from spendgate.cli.asking import amount_of, now_utc, until_of
from spendgate.cli.desk import Desk, Signing
from spendgate.cli.desks import desk
from spendgate.cli.file_grants import ID_BYTES
from spendgate.cli.options import FormatOption, StateOption
from spendgate.cli.output import Column, Format, emit, inert, note, writing
from spendgate.cli.routed import Routed
from spendgate.cli.sign import secret_key
from spendgate.config import policies
from spendgate.config.known import KNOWN
from spendgate.config.reading import read_regular
from spendgate.errors import StateError, UsageError
from spendgate.grant_texts import ASK, COMMENT, GRANT, REASON_LENGTH_MAX, Ask, Grant, SignedGrant
from spendgate.minisign_secret import SecretKey
from spendgate.policy import Policy
from spendgate.window import shown_in, zone_of

_FILE_BYTES_MAX = 1 << 20
_IN_TEXT = re.compile(rf"{GRANT}[\w.-]+", re.ASCII)
_COLUMNS = (
    Column("id", "id", weight=0),
    Column("status", "status", weight=0),
    Column("person", "person", weight=0),
    Column("budget", "budget", weight=0),
    Column("amount_nanos", "more", right=True, weight=0),
    Column("ends", "until", weight=1),
    Column("by", "by", weight=1),
    Column("reason", "reason", weight=2, wraps=True),
)
_KEYS = ("id", "status", "person", "budget", "amount_nanos", "until", "by", "reason")
group = typer.Typer(name="grant", help="Grant more of a budget to somebody who asked.", cls=Routed)


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(group)


@group.command(Routed.MAIN)
def grant(
    asked: Annotated[
        str, typer.Argument(metavar="ASK_ID|CODE", help="The ask, by its id on this machine or its code.")
    ],
    key: Annotated[
        Path, typer.Option("--key", metavar="KEYFILE", help="The approver's secret key, in minisign's format.")
    ],
    reason: Annotated[str, typer.Option("--reason", metavar="WHY", help="Why; without it what was asked for.")] = "",
    amount: Annotated[str | None, typer.Option("--amount", metavar="AMOUNT", help="Instead of what was asked.")] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="T", help="8h, 3d, 2026-12-04 instead.")] = None,
    by: Annotated[
        str,
        typer.Option("--by", metavar="NAME", help="Your name in the policy's approvers, where no policy is at hand."),
    ] = "",
    policy: Annotated[
        Path | None, typer.Option("--policy", metavar="FILE", help="The policy that lists you.", readable=False)
    ] = None,
    state: StateOption = None,
) -> None:
    """Sign a grant and print it: one line to be sent to whoever asked. Where their ledger is at hand it is taken in at once."""
    at, now, secret = desk(state), now_utc(), secret_key(key)
    listing = policies.load(policy, KNOWN) if policy is not None else None
    here = _here(at, asked, secret)
    ask = _ask(asked, here)
    why = reason or ask.reason
    if not why:
        raise UsageError("--reason: say why; it is shown wherever the grant counts")
    if len(why) > REASON_LENGTH_MAX or not why.isprintable():
        raise UsageError(f"--reason: at most {REASON_LENGTH_MAX} characters on one line")
    zone = listing.timezone if listing else here.timezone if here else "UTC"
    listed = _listed(secret, listing) if listing else here.names if here else ()
    made = Grant(
        id=secrets.token_hex(ID_BYTES), ask=ask.id, ledger=ask.ledger, machine=ask.machine, person=ask.person,
        budget=ask.budget, values=ask.values, reason=why, approver=_name(secret, listed, by), from_ms=ask.at_ms,
        amount_nanos=ask.amount_nanos if amount is None else amount_of(amount, None, 0),
        until_ms=ask.until_ms if until is None else until_of(until, zone_of(zone), now),
        issued_ms=int(now.timestamp() * 1000),
    )  # fmt: skip
    if made.until_ms <= made.issued_ms:
        raise UsageError(f"it would have ended {shown_in(zone, made.until_ms)}; give it another end with --until")
    text = SignedGrant(made, secret.sign(made.data(), COMMENT)).text()
    if here is not None and here.ledger == made.ledger:
        note(inert(at.accept(text, True)))
    else:
        note(f"on {made.person}'s machine:  spendgate grant accept TEXT")
    with writing():
        typer.echo(text)


@group.command("accept")
def accept(
    text: Annotated[str, typer.Argument(metavar="TEXT|FILE", help="The grant, a file that holds it, or - for stdin.")],
    state: StateOption = None,
) -> None:
    """Take a grant in. Needs no network: the approver's key is in the policy in force. Exit status 1 where it does not count."""
    note(inert(desk(state).accept(_text(text), False)))


@group.command("revoke")
def revoke(
    grant_id: Annotated[str, typer.Argument(metavar="ID", help="The grant, as `grant list` has it.")],
    state: StateOption = None,
) -> None:
    """End a grant now. Calls that run keep what they hold; what was spent under it stays counted in it."""
    note(desk(state).revoke(grant_id))


@group.command("list")
def list_(state: StateOption = None, fmt: FormatOption = Format.TABLE) -> None:
    """Asks that wait for an answer, and every grant that this ledger has taken in."""
    rows = [{key: each[key] for key in _KEYS} for each in desk(state).grants()]
    emit(rows, _COLUMNS, fmt, empty="nobody has asked for more", keys=_KEYS)


def _here(at: Desk, asked: str, secret: SecretKey) -> Signing | None:
    """What is known here: an approver often has neither a ledger nor the policy. Raises UsageError where `asked` is an id that
    nothing here knows."""
    is_code = asked.strip().startswith(ASK)
    try:
        return at.signing("" if is_code else asked, str(secret.public))
    except StateError as fault:
        if is_code:
            return None
        raise UsageError(
            f"{asked!r} is no code (it would begin {ASK}), and no ledger here has it as an id: {fault}"
        ) from fault


def _ask(text: str, here: Signing | None) -> Ask:
    """The ask that is meant. Raises UsageError."""
    try:
        return Ask.of_code(here.code if here and here.code else text)
    except ValueError as fault:
        raise UsageError(f"the code {fault}") from fault


def _listed(secret: SecretKey, policy: Policy) -> tuple[str, ...]:
    return tuple(each.person for each in policy.approvers if each.key == str(secret.public))


def _name(secret: SecretKey, listed: tuple[str, ...], by: str) -> str:
    """The approver's name, as the policy lists the key. Raises UsageError."""
    if by:
        return by
    if not listed:
        raise UsageError(
            f"no policy here lists {secret.public} under approvers; say who you are with --by, or name one with --policy"
        )
    return listed[0]


def _text(given: str) -> str:
    """The grant in what was given: itself, or a file or stdin with a letter around it. Raises UsageError."""
    if given.strip().startswith(GRANT):
        return given.strip()
    try:
        data = (
            sys.stdin.read(_FILE_BYTES_MAX)
            if given == "-"
            else read_regular(Path(given), _FILE_BYTES_MAX).decode(errors="replace")
        )
    except (OSError, ValueError) as fault:
        raise UsageError(f"{given[:60]!r} is no grant (it would begin {GRANT}) and no file that can be read") from fault
    found: list[str] = sorted(set(_IN_TEXT.findall(data)))
    if len(found) != 1:
        raise UsageError(f"{given[:60]} holds {len(found)} grants; allowed: one")
    return found[0]
