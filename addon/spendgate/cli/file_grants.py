"""Asks and grants of a ledger's file: what `ask` and `grant` do, for its owner or for a service's client."""

from __future__ import annotations

import secrets
from contextlib import closing

from spendgate.alerts import routing
from spendgate.answerers import answering_team
from spendgate.budget import whole_name
from spendgate.cli import granted, in_force
from spendgate.cli.asking import (
    WEEK_MS,
    amount_of,
    asked_of,
    figures_of,
    now_utc,
    own_values,
    port,
    standing,
    until_of,
    values_of,
)
from spendgate.cli.desk import Rows, Signing, Wish
from spendgate.cli.grants_shown import ask_row, grant_row, lines_of
from spendgate.cli.own import Hand, own_person
from spendgate.cli.own_calls import calls_of, draws_on
from spendgate.cli.reached import reached
from spendgate.config.paths import SERVICE_DIRECTORY
from spendgate.errors import StateError, UsageError
from spendgate.grant_texts import REASON_LENGTH_MAX, Ask
from spendgate.grants import Refusal
from spendgate.ledger.gates import living
from spendgate.ledger.grants import Asked
from spendgate.ledger.messages import ASK
from spendgate.ledger.queries import Reader
from spendgate.money import dollars, short_dollars
from spendgate.window import shown_in, zone_of

ID_BYTES = 4


def ask(hand: Hand, wish: Wish) -> tuple[str, ...]:
    """Write an ask down; the lines that tell of it. Raises UsageError, StateError."""
    if len(wish.reason) > REASON_LENGTH_MAX or not (wish.reason or "x").isprintable():
        raise UsageError(f"--for: at most {REASON_LENGTH_MAX} characters on one line")
    policy, now = hand.policy, now_utc()
    asked_for = None if wish.budget is None else whole_name(wish.budget)
    now_ms = int(now.timestamp() * 1000)
    who, machine = own_person(hand.state, policy, hand.sight.account, now_ms)
    with closing(Reader(hand.state.ledger)) as reader:
        account = hand.sight.account if hand.sight.shared else None
        refused = reader.latest_refusal(who.person, asked_for, account)
        if refused is None and asked_for is None:
            raise StateError(
                f"no budget has refused {who.person} here; name one with --budget (`spendgate status` lists them)"
            )
        ledger = reader.head().id
        calls = tuple(calls_of(policy, who, machine, reader, now_ms, hand.sight.where, refused))
    name = asked_for or str(refused["refused_by"]) if refused is not None else str(asked_for)
    about = next((each for each in policy.budgets if each.name == name), None)
    if about is None or not draws_on(policy, calls, name):  # of what is not theirs, not even that it is there
        parts = [each.name for each in policy.budgets if each.base_name == name and draws_on(policy, calls, each.name)]
        which = f"one of {', '.join(parts)}" if parts else "`spendgate status` lists those"
        raise UsageError(f"the policy in force has no budget {name!r} that applies to you here; {which}")
    values = values_of(about, refused["refused_value"] or "") if refused else own_values(about, who, machine)
    figures = figures_of(refused)
    ends_ms = figures.resets_ms if figures.resets_ms and figures.resets_ms > now_ms else now_ms + WEEK_MS
    if wish.until is not None:
        ends_ms = until_of(wish.until, zone_of(policy.timezone), now)
    wanted = Ask(
        id=secrets.token_hex(ID_BYTES), ledger=ledger, machine=machine, person=who.person, budget=name, values=values,
        amount_nanos=amount_of(wish.amount, refused, about.limit_nanos), at_ms=now_ms, until_ms=ends_ms, reason=wish.reason,
    )  # fmt: skip
    try:
        Ask.of_code(wanted.code())
    except ValueError as fault:
        raise StateError(f"this cannot be asked for by a code: {fault}") from fault
    asked = Asked(wanted, figures, asked_of(policy, about, who.team))
    with port(hand.state, policy, machine) as book:
        asked = book.ask(asked, now_ms)
    reaches = routing.keys_of_ask(policy, asked.ask, answering_team(policy, about, who.team), now_ms)
    return lines_of(asked, policy, sends=bool(living(hand.state.gates)), reaches=bool(reaches))


def asks(hand: Hand) -> Rows:
    """Every ask that is seen."""
    now_ms = int(now_utc().timestamp() * 1000)
    with closing(Reader(hand.state.ledger)) as reader:
        messages, names = reader.messages(ASK), hand.sight.everything
        given = {each.signed.grant.id: short_dollars(each.signed.grant.amount_nanos) for each in reader.grants()}
        notifies = routing.notifies(hand.policy)
        return tuple(
            ask_row(
                each,
                hand.policy,
                now_ms,
                given.get(each.granted, ""),
                reached(messages.get(each.ask.id), names=names, notifies=notifies),
            )
            for each in standing(reader.asks(), hand.policy, in_force.since_ms(hand.state), now_ms)
            if hand.sight.sees(each.ask.person)
        )


def grants(hand: Hand) -> Rows:
    """Asks that wait, and every grant, as far as they are seen."""
    policy, now_ms, sight = hand.policy, int(now_utc().timestamp() * 1000), hand.sight
    with closing(Reader(hand.state.ledger)) as reader:
        rows = [
            ask_row(each, policy, now_ms) | {"by": f"asked of {each.asked_of}"}
            for each in standing(reader.asks(), policy, in_force.since_ms(hand.state), now_ms)
            if each.open(now_ms) and sight.sees(each.ask.person)
        ]
        grants_now = granted.shown(hand.state, policy, reader, now_ms).grants
        counting = {each.grant for each in grants_now if each.until_ms > now_ms}
        rows += [
            grant_row(each, policy, now_ms, counting)
            for each in reader.grants()
            if sight.sees(each.signed.grant.person)
        ]
    return tuple(rows)


def signing(hand: Hand, asked: str, key: str) -> Signing:
    """What an approver needs to sign. Raises UsageError where `asked` begins no ask, or several, that are seen."""
    with closing(Reader(hand.state.ledger)) as reader:
        ledger = reader.head().id
        found = [
            each.ask
            for each in reader.asks()
            if asked and each.ask.id.startswith(asked) and hand.sight.sees(each.ask.person)
        ]
    if asked and len(found) != 1:
        raise UsageError(
            f"{'no ask' if not found else 'more than one ask'} here begins {asked!r}: see `spendgate grant list`"
        )
    names = tuple(each.person for each in hand.policy.approvers if each.key == key)
    return Signing(found[0].code() if found else "", names, ledger, hand.policy.timezone)


def accept(hand: Hand, text: str, *, signed_here: bool) -> str:
    """Take a grant in; the line that tells of it. Raises StateError where it does not count."""
    policy, now_ms = hand.policy, int(now_utc().timestamp() * 1000)
    if hand.served:
        person = hand.sight.takes_in_for(frozenset(each.person for each in policy.approvers))
    else:  # who may write to the service's ledger takes in what others were granted, too
        person = None if signed_here or hand.state.root == SERVICE_DIRECTORY else hand.sight.person
    with port(hand.state, policy, hand.machine) as book:
        try:
            verdict = book.accept(text, person, now_ms, hand.sight.account)
        except ValueError as fault:
            raise StateError(f"the grant {fault}") from fault
    if isinstance(verdict, Refusal):
        raise StateError(f"the grant does not count: {verdict.why}: {verdict.said}")
    each = verdict.signed.grant
    more = f"{each.person} has {dollars(each.amount_nanos)} more of {each.budget}"
    return f"{more} until {shown_in(policy.timezone, each.until_ms)}, by {each.approver}: {each.reason}"


def revoke(hand: Hand, grant_id: str) -> str:
    """End a grant; the line that tells of it. Raises StateError where there is none, or it has ended."""
    with port(hand.state, hand.policy, "") as book:
        if not book.revoke(grant_id, hand.sight.account, int(now_utc().timestamp() * 1000)):
            raise StateError(f"grant {grant_id} has ended already")
    return f"grant {grant_id} has ended"
