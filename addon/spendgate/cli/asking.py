"""What an ask is made of: the refusal that it answers, whose allowance that was, who is to be asked."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Final

from spendgate.answerers import answering_team, owner_of
from spendgate.budget import Budget, Missing
from spendgate.cli.moments import moment
from spendgate.config import paths
from spendgate.errors import StateError, UsageError
from spendgate.ledger.grant_book import GrantBook
from spendgate.ledger.grants import Asked, Figures, GrantPort
from spendgate.ledger.messages import figures_said
from spendgate.money import NANOS_PER_DOLLAR, Money
from spendgate.policy import Policy, person_then
from spendgate.roster import PersonMatch
from spendgate.selector import Facts
from spendgate.window import day_starts_ms

_AHEAD = re.compile(r"(\d{1,4})([mhdw])", re.ASCII)
_AHEAD_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
WEEK_MS: Final = _AHEAD_MS["w"]
_SHARE: Final = 5
"""Without an amount a fifth of the limit is asked for, and no less than what the refused call lacked."""


def ask_command(state: paths.State, socket: Path | None = None) -> str:
    """What a refused person types, as it stands, in a shell that knows nothing of this gate; `socket`: where it answers them."""
    if socket is not None:
        return "spendgate ask" if socket == paths.SOCKET else f"spendgate ask --state {shlex.quote(str(socket))}"
    # Where a service is installed, a command that names nothing asks that.
    usual = paths.find(environ={}).root == state.root and not paths.SOCKET.exists()
    return "spendgate ask" if usual else f"spendgate ask --state {shlex.quote(str(state.root))}"


def amount_of(text: str | None, refused: Mapping[str, Any] | None, limit_nanos: int) -> int:
    """Nano-dollars. Raises UsageError."""
    if text is not None:
        whole = text if text.startswith("$") else f"${text}"
        try:
            nanos = Money.parse(whole).nanos
        except ValueError as fault:
            raise UsageError(f"AMOUNT: {str(fault).replace(repr(whole), repr(text))}") from fault
        if not nanos:
            raise UsageError(f"AMOUNT: {text!r} asks for nothing")
        return nanos
    lacked = 0
    if refused is not None:
        lacked = (
            refused["refused_settled_nanos"] + (refused["refused_hold_nanos"] or 0) - refused["refused_limit_nanos"]
        )
    wanted = max(lacked, limit_nanos // _SHARE, 1)
    return -(-wanted // NANOS_PER_DOLLAR) * NANOS_PER_DOLLAR


def until_of(text: str, zone: tzinfo, now: datetime) -> int:
    """An instant to come: `90m`, `8h`, `3d`, `2w`, a day (to its end in the policy's zone), an ISO instant. Raises UsageError."""
    now_ms = int(now.timestamp() * 1000)
    ahead = _AHEAD.fullmatch(text)
    if ahead:
        found = now_ms + int(ahead[1]) * _AHEAD_MS[ahead[2]]
    elif _DAY.fullmatch(text):
        try:
            found = day_starts_ms(str(zone), datetime.fromisoformat(text).date() + timedelta(days=1))
        except (ValueError, OverflowError) as fault:
            raise UsageError(f"--until {text}: {fault}") from fault
    else:
        try:
            found = moment(text, zone, now)
        except UsageError:
            raise UsageError(f"--until {text!r} is not a time; write 8h, 3d, 2026-12-04 or an ISO instant") from None
    if found <= now_ms:
        raise UsageError(f"--until {text}: that is over already")
    return found


def values_of(budget: Budget, value: str) -> dict[str, str]:
    """Whose allowance: each attribute of the budget's `per` with its value, from the allowance's key. Raises StateError."""
    parts = value.split("|") if len(budget.per) > 1 else [value] if budget.per else []
    if len(budget.per) > 1:
        parts = [part.replace("%7C", "|").replace("%25", "%") for part in parts]
    if len(parts) != len(budget.per):
        raise StateError(
            f"budget {budget.name} is kept otherwise now than when it refused: try the call again, then ask"
        )
    found = dict(zip(budget.per, parts, strict=True))
    if budget.missing is Missing.SHARED and any(part == f"(no {name})" for name, part in found.items()):
        raise StateError(
            f"budget {budget.name} refused calls that lack its {', '.join(budget.per)}: only the policy can raise that"
        )
    return found


def own_values(budget: Budget, who: PersonMatch, machine: str) -> dict[str, str]:
    """Whose allowance, of a person who was not refused. Raises UsageError where that depends on the call."""
    known = {"person": who.person, "team": who.team[0] if who.team else "", "machine": machine}
    if not all(known.get(name) for name in budget.per):
        raise UsageError(f"--budget {budget.name}: it is kept per {', '.join(budget.per)}, and has not refused you yet")
    return {name: known[name] for name in budget.per}


def asked_of(policy: Policy, budget: Budget, team: tuple[str, ...]) -> str:
    """Who answers for the budget: the owner of the one team that it is about, of the person's team where it is theirs, else the
    file's."""
    return owner_of(policy, answering_team(policy, budget, team))


def standing(found: Iterable[Asked], policy: Policy, since_ms: int, now_ms: int) -> tuple[Asked, ...]:
    """Asks, each with whether an exception answers it. `since_ms`: since when the policy is in force."""
    return tuple(
        replace(each, excepted=each.open(now_ms) and _excepted(each, policy, since_ms, now_ms)) for each in found
    )


def _excepted(asked: Asked, policy: Policy, since_ms: int, now_ms: int) -> bool:
    """Whether the policy has changed since, and now gives this person more of the budget than it refused by.

    An exception that stood in it before has answered nothing: there the limit is no higher than the refusal said.
    """
    ask = asked.ask
    budget = next((each for each in policy.budgets if each.name == ask.budget), None)
    if since_ms <= ask.at_ms or budget is None:
        return False
    who = person_then(policy, ask.person, None, ask.machine, now_ms)
    facts = Facts.of(person=ask.person, team=who.team, machine=ask.machine)
    given = [
        each
        for each in policy.exceptions
        if each.budget == ask.budget and each.holds(now_ms) and (not each.match.clauses or each.match.lets_off(facts))
    ]
    if not given or asked.figures.limit_nanos is None:
        return bool(given)
    least = max((each.limit_nanos or 0 for each in given), default=0)
    raised = max(budget.limit_nanos, least) + sum(each.add_nanos or 0 for each in given)
    return raised > asked.figures.limit_nanos


def figures_of(refused: Mapping[str, Any] | None) -> Figures:
    """What the refusal said."""
    if refused is None:
        return Figures()
    resets = refused["refused_resets_at"]
    resets_ms = int(datetime.fromisoformat(resets).timestamp() * 1000) if resets else None
    return Figures(
        refused["id"],
        refused["refused_settled_nanos"],
        refused["refused_held_nanos"],
        refused["refused_limit_nanos"],
        resets_ms,
    )


def said(figures: Figures) -> str:
    """The figures in words; empty where nothing was refused."""
    return figures_said(figures.spent_nanos, figures.held_nanos, figures.limit_nanos)


@contextmanager
def port(state: paths.State, policy: Policy, machine: str) -> Iterator[GrantPort]:
    """Where asks and grants are written: the one place that knows how. Raises StateError."""
    with GrantBook(state.ledger, policy, machine) as book:
        yield book


def now_utc() -> datetime:
    """The system's clock."""
    return datetime.now(UTC)
