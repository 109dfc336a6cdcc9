"""`spendgate grant`: an approver signs more of a budget for a person; the person's machine takes it in, offline too."""

from __future__ import annotations

import os
import re
import secrets
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from spendgate.cli import granted, in_force, status
from spendgate.cli.ask import ID_BYTES, own_person
from spendgate.cli.ask import row as ask_row
from spendgate.cli.asking import amount_of, now_utc, port, until_of
from spendgate.cli.moments import shown
from spendgate.cli.options import FormatOption, StateOption, existing_state
from spendgate.cli.output import Column, Format, emit, inert, note, writing
from spendgate.cli.routed import Routed
from spendgate.cli.sign import secret_key
from spendgate.config import paths, policies
from spendgate.config.known import KNOWN
from spendgate.config.reading import read_regular
from spendgate.errors import StateError, UsageError
from spendgate.grant_texts import ASK, COMMENT, GRANT, REASON_LENGTH_MAX, Ask, Grant, SignedGrant
from spendgate.grants import Refusal, Taken
from spendgate.ledger.queries import Reader
from spendgate.minisign_secret import SecretKey
from spendgate.money import dollars
from spendgate.policy import Policy
from spendgate.window import shown_in

_FILE_BYTES_MAX = 1 << 20
_IN_TEXT = re.compile(rf"{GRANT}[\w.-]+", re.ASCII)
_COLUMNS = (
    Column("id", "id", weight=0),
    Column("status", "status", weight=0),
    Column("person", "person", weight=0),
    Column("budget", "budget", weight=0),
    Column("amount_nanos", "more", right=True, weight=0),
    Column("until", "until", weight=1),
    Column("by", "by", weight=1),
    Column("reason", "reason", weight=2),
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
    policy: Annotated[Path | None, typer.Option("--policy", metavar="FILE", help="The policy that lists you.")] = None,
    state: StateOption = None,
) -> None:
    """Sign a grant and print it: one line to be sent to whoever asked. Where their ledger is at hand it is taken in at once."""
    hand, now = _at_hand(state, policy), now_utc()
    ask = _ask(asked, hand)
    secret = secret_key(key)
    why = reason or ask.reason
    if not why:
        raise UsageError("--reason: say why; it is shown wherever the grant counts")
    if len(why) > REASON_LENGTH_MAX or not why.isprintable():
        raise UsageError(f"--reason: at most {REASON_LENGTH_MAX} characters on one line")
    zone = hand.listing.timezone if hand.listing else "UTC"
    made = Grant(
        id=secrets.token_hex(ID_BYTES), ask=ask.id, ledger=ask.ledger, machine=ask.machine, person=ask.person,
        budget=ask.budget, values=ask.values, reason=why, approver=_name(secret, hand.listing, by), from_ms=ask.at_ms,
        amount_nanos=ask.amount_nanos if amount is None else amount_of(amount, None, 0),
        until_ms=ask.until_ms if until is None else until_of(until, ZoneInfo(zone), now),
        issued_ms=int(now.timestamp() * 1000),
    )  # fmt: skip
    if made.until_ms <= made.issued_ms:
        raise UsageError(f"it would have ended {shown_in(zone, made.until_ms)}; give it another end with --until")
    text = SignedGrant(made, secret.sign(made.data(), COMMENT)).text()
    if hand.state is not None and hand.policy is not None and hand.ledger == made.ledger:
        with port(hand.state, hand.policy, hand.machine) as book:
            _told(book.accept(text, None, made.issued_ms), hand.policy)
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
    found = existing_state(state)
    policy, now_ms = in_force.policy(found), int(now_utc().timestamp() * 1000)
    who, machine = own_person(found, policy, now_ms)
    # Who may write to the service's ledger takes in what others were granted, too.
    person = None if found.root == paths.SERVICE_DIRECTORY else who.person
    with port(found, policy, machine) as book:
        try:
            verdict = book.accept(_text(text), person, now_ms)
        except ValueError as fault:
            raise StateError(f"the grant {fault}") from fault
        _told(verdict, policy)


@group.command("revoke")
def revoke(
    grant_id: Annotated[str, typer.Argument(metavar="ID", help="The grant, as `grant list` has it.")],
    state: StateOption = None,
) -> None:
    """End a grant now. Calls that run keep what they hold; what was spent under it stays counted in it."""
    found = existing_state(state)
    policy, now_ms = in_force.policy(found), int(now_utc().timestamp() * 1000)
    with port(found, policy, "") as book:
        if not book.revoke(grant_id, status.own_account(), now_ms):
            raise StateError(f"grant {grant_id} has ended already")
    note(f"grant {grant_id} has ended")


@group.command("list")
def list_(state: StateOption = None, fmt: FormatOption = Format.TABLE) -> None:
    """Asks that wait for an answer, and every grant that this ledger has taken in."""
    found = existing_state(state)
    policy, now_ms = in_force.policy(found), int(now_utc().timestamp() * 1000)
    with closing(Reader(found.ledger)) as reader:
        rows = [
            ask_row(each, policy, now_ms) | {"by": f"asked of {each.asked_of}"}
            for each in reader.asks()
            if each.open(now_ms)
        ]
        counting = {
            each.grant for each in granted.shown(found, policy, reader, now_ms).grants if each.until_ms > now_ms
        }
        rows += [_row(each, policy, now_ms, counting) for each in reader.grants()]
    emit(
        [{key: each[key] for key in _KEYS} for each in rows],
        _COLUMNS,
        fmt,
        empty="nobody has asked for more",
        keys=_KEYS,
    )


def _row(taken: Taken, policy: Policy, now_ms: int, counting: set[str]) -> dict[str, object]:
    """A grant as it is listed; `counting` are those that the policy in force lets count."""
    each = taken.signed.grant
    word = "granted" if each.id in counting else "does not count"
    over = taken.until_ms <= now_ms or taken.ended
    return {
        "id": each.id,
        "status": f"ended: {taken.ended}" if taken.ended else "ended" if over else word,
        "person": each.person,
        "budget": each.budget,
        "amount_nanos": each.amount_nanos,
        "until": shown(taken.until_ms, ZoneInfo(policy.timezone)),
        "by": each.approver,
        "reason": each.reason,
    }


@dataclass(frozen=True, slots=True)
class _AtHand:
    """What an approver has here: often neither a ledger nor the policy."""

    listing: Policy | None = None
    """Where the approver's name is looked up."""
    policy: Policy | None = None
    """What decides on the ledger that is here."""
    state: paths.State | None = None
    ledger: str = ""
    machine: str = ""


def _at_hand(chosen: Path | None, file: Path | None) -> _AtHand:
    policy = policies.load(file, KNOWN) if file is not None else None
    state = paths.find(chosen)
    if not (os.access(state.ledger, os.R_OK) and state.ledger.exists()):
        return _AtHand(policy)
    decides, told = in_force.policy(state), in_force.told(state)
    with closing(Reader(state.ledger)) as reader:
        return _AtHand(policy or decides, decides, state, reader.head().id, told.machine if told else "unknown")


def _ask(text: str, hand: _AtHand) -> Ask:
    """The ask that is meant. Raises UsageError."""
    if text.strip().startswith(ASK):
        try:
            return Ask.of_code(text)
        except ValueError as fault:
            raise UsageError(f"the code {fault}") from fault
    if hand.state is None:
        raise UsageError(
            f"{text!r} is no code (it would begin {ASK}), and there is no ledger here that has it as an id"
        )
    with closing(Reader(hand.state.ledger)) as reader:
        found = [each.ask for each in reader.asks() if text and each.ask.id.startswith(text)]
    if len(found) != 1:
        raise UsageError(
            f"{'no ask' if not found else 'more than one ask'} here begins {text!r}: see `spendgate grant list`"
        )
    return found[0]


def _name(secret: SecretKey, policy: Policy | None, by: str) -> str:
    """The approver's name, as the policy lists the key. Raises UsageError."""
    listed = [each.person for each in policy.approvers if each.key == str(secret.public)] if policy else []
    if by:
        return by
    if not listed:
        raise UsageError(
            f"no policy here lists {secret.public} under approvers; say who you are with --by, or name one with --policy"
        )
    return listed[0]


def _told(verdict: Taken | Refusal, policy: Policy) -> None:
    """Say what became of it. Raises StateError where it does not count."""
    if isinstance(verdict, Refusal):
        raise StateError(f"the grant does not count: {verdict.why}: {verdict.said}")
    each = verdict.signed.grant
    more = f"{each.person} has {dollars(each.amount_nanos)} more of {each.budget}"
    note(inert(f"{more} until {shown_in(policy.timezone, each.until_ms)}, by {each.approver}: {each.reason}"))


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
