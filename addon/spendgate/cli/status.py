"""`spendgate status`: is a gate up, which policy holds, what is left of each budget, and what could not be seen."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import typer

from spendgate.cli import alive, budget_rows, in_force, rates_shown, seats
from spendgate.cli.moments import iso, shown
from spendgate.cli.observed import LISTED, priced_by_guess, would_have_been_refused
from spendgate.cli.options import FormatOption, StateOption, existing_state
from spendgate.cli.output import Column, Format, console, emit, emit_json, safe, writing
from spendgate.cli.outside import Outside, outside
from spendgate.cli.outside import now_ms as time_of
from spendgate.cli.went_by import went_by
from spendgate.config.paths import State
from spendgate.ledger.gates import living
from spendgate.ledger.queries import Reader, Span, Spend
from spendgate.money import short_dollars
from spendgate.notices import notices
from spendgate.policy import Policy, enforces, person_of, scopes, today_in
from spendgate.roster import MachineGroup, PersonMatch
from spendgate.seats import InUse, Used
from spendgate.selector import Facts
from spendgate.standing import Scope

NOT_YET = "evaluated by `policy replay`, not delivered by this version"
_RECENT_MS = 31 * 86_400_000
_RECENT_KINDS = 200
_KINDS = ("tool", "provider", "model", "session", "project", "api_key", "account", "billing")
_SHOWN_HEAD = 12
ON_THIS_MACHINE = "on this machine"
"""Where a limit holds while no ledger is shared: another machine may spend it once more."""
_WENT_BY = (
    Column("budget", "budget"),
    Column("lacks", "calls without"),
    Column("calls", "calls", right=True),
    Column("spent_nanos", "spent", right=True),
    Column("since", "since"),
)
_COVERAGE = (
    Column("tool", "tool"),
    Column("account", "account"),
    Column("host", "host"),
    Column("reason", "not read because"),
    Column("count", "connections", right=True),
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("status")(status)


def status(state: StateOption = None, fmt: FormatOption = Format.TABLE) -> None:
    """Gate, policy, budgets of this person (spent and held told apart), rates, and connections that could not be read."""
    found = existing_state(state)
    policy = in_force.policy(found)
    now_ms = time_of(found)
    with closing(Reader(found.ledger)) as reader:
        report = _report(found, policy, reader, now_ms)
    if fmt is Format.JSON:
        emit_json(report.as_json())
    elif fmt is Format.CSV:
        emit(report.budgets, budget_rows.COLUMNS, fmt, keys=budget_rows.KEYS)
    else:
        _print(report)


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that `status` says."""

    gates: int
    silent: tuple[str, ...]
    """Ways of the gate through which nothing is captured."""
    policy: Policy
    said: in_force.InForce | None
    person: str
    budgets: tuple[dict[str, object], ...]
    rates: tuple[dict[str, object], ...]
    """Each limit of each rate that counts such calls."""
    coverage: tuple[dict[str, object], ...]
    over_nanos: int
    """The most that open calls could still cost above their holds."""
    free: int
    unrecognized: int
    would_refuse: dict[str, int]
    guessed: tuple[int, int]
    """Calls whose model no price list has, and their nano-dollars."""
    """How many calls each rule would have refused but for `observe` or `warn`."""
    ledger: dict[str, object]
    machine: str
    machine_groups: tuple[MachineGroup, ...]
    seats: tuple[tuple[InUse, Used | None], ...]
    """Each seat over everybody who was seen to use it, and this person's use."""
    notices: tuple[str, ...]
    """What the policy's own words lead to now: that it has ended, that no hub is reached, that nothing is purged."""
    outside: Outside
    """What stands about the ledger outside it."""
    went_by: tuple[dict[str, Any], ...] = ()
    """Calls that lack what a budget is kept per, and that it lets go by."""

    def as_json(self) -> dict[str, object]:
        """The report for programs."""
        said, validity = self.said, self.policy.validity
        return {
            "gate": {
                "up": self.gates > 0,
                "gates": self.gates,
                "modes": list(said.modes) if said and self.gates else [],
                "captures_nothing_through": list(self.silent),
            },
            "policy": {
                "hash": self.policy.hash,
                "source": said.source if said else None,
                "owner": self.policy.owner,
                "mode": self.policy.mode.default,
                "refused": list(said.refused) if said else [],
                "revision": validity.revision,
                "valid_until": str(validity.valid_until) if validity.valid_until else None,
                "included": list(said.included) if said else [],
                "notices": list(self.notices),
            },
            "machine": {
                "id": self.machine,
                "groups": [group.name for group in self.machine_groups],
                "owners": [group.owner for group in self.machine_groups if group.owner],
            },
            "limits_hold": ON_THIS_MACHINE,
            "alerts": {"rules": len(self.policy.alerts), "thresholds": thresholds(self.policy), "delivered": False},
            "prices": said.prices if said else None,
            "person": self.person,
            "budgets": list(self.budgets),
            "seats": [{**seats.summary(all_of), "own": seats.row(own) if own else None} for all_of, own in self.seats],
            "rates": list(self.rates),
            "open_calls_above_holds_nanos": self.over_nanos,
            "free_calls": self.free,
            "unrecognized_calls": self.unrecognized,
            "would_refuse_by": self.would_refuse,
            "price_unknown_calls": self.guessed[0],
            "price_unknown_nanos": self.guessed[1],
            "went_by": list(self.went_by),
            "coverage": list(self.coverage),
            "ledger": {**self.ledger, "findings": self.outside.rows()},
            "clock": self.outside.clock_row(),
        }


def _report(state: State, policy: Policy, reader: Reader, now_ms: int) -> Report:
    said = in_force.told(state)
    machine = said.machine if said else "unknown"
    match = person_of(policy, own_account(), today=today_in(policy, now_ms), machine=machine)
    facts = tuple(_calls_of(policy, match, machine, reader, now_ms))
    standings = reader.standings(tuple(_scopes(policy, facts, now_ms)), now_ms)
    states = reader.states()
    head = reader.head()
    gates = living(state.gates)
    return Report(
        gates=len(gates),
        silent=tuple(way for gate in in_force.of_gates(state, gates) for way in alive.silent(gate)),
        policy=policy,
        said=said,
        person=match.person,
        budgets=tuple(budget_rows.row(standing, policy) for standing in standings),
        rates=rates_shown.rows(policy, facts, reader, now_ms),
        coverage=reader.coverage(),
        over_nanos=reader.open_above_holds(),
        free=states.get("free", 0),
        unrecognized=states.get("unrecognized", 0),
        would_refuse=reader.would_refuse(),
        guessed=reader.guessed_prices(),
        machine=machine,
        machine_groups=policy.roster.machine_groups(machine),
        seats=tuple(
            (all_of, next((each for each in people if each.person == match.person), None))
            for all_of, people in seats.of_everybody(policy, reader, now_ms)
        ),
        notices=notices(policy, now_ms),
        ledger={"id": head.id, "created_at": iso(head.created_ms), "rows": head.rows, "head": head.head},
        outside=outside(state, reader),
        went_by=went_by(policy, reader, now_ms),
    )


def thresholds(policy: Policy) -> int:
    """How many shares of budgets are to be told."""
    return sum(len(budget.alerts) for budget in policy.budgets)


def own_account() -> str:
    """The account that this process runs as, as the gate names it: asked of the system, since the environment can be set."""
    if sys.platform == "win32":
        return getpass.getuser()
    from spendgate.identity.accounts import Accounts  # noqa: PLC0415 - imports what only POSIX has

    return Accounts().name(os.getuid(), now_s=0)


def _calls_of(policy: Policy, match: PersonMatch, machine: str, reader: Reader, now_ms: int) -> Iterable[Facts]:
    """Calls of this person: none in particular, then one of each kind lately made.

    A budget kept per session, project or model has a balance only where such a call was made.
    """
    groups = tuple(group.name for group in policy.roster.machine_groups(machine))
    own: dict[str, Any] = {
        "person": match.person, "team": match.team, "group": match.groups, "machine": machine, "machine_group": groups,
    }  # fmt: skip
    kinds = reader.spend(
        _KINDS, Span(since_ms=now_ms - _RECENT_MS, where=(("person", match.person),)), ZoneInfo(policy.timezone)
    )
    yield Facts.of(model=None, **own)
    for kind in kinds[:_RECENT_KINDS]:
        yield _facts(own, kind)


def _scopes(policy: Policy, calls: Iterable[Facts], now_ms: int) -> Iterable[Scope]:
    """The balances that these calls draw on."""
    seen: set[tuple[str, str, str]] = set()
    for facts in calls:
        for scope in scopes(policy, facts, now_ms, enforces(policy, facts)):
            if not scope.tally and (key := (scope.budget, scope.value, scope.window)) not in seen:
                seen.add(key)
                yield scope


def _facts(own: Mapping[str, Any], kind: Spend) -> Facts:
    named = {name: value for name, value in zip(_KINDS, kind.key, strict=True) if name != "model"}
    return Facts.of(model=None, **own, **named).answered_by(kind.key[_KINDS.index("model")])


def _about(report: Report) -> Iterable[str]:
    """Which state of the policy's files it is, and until when it holds."""
    validity, included = report.policy.validity, report.said.included if report.said else ()
    if validity.revision is not None:
        yield f"revision {validity.revision}"
    if included:
        yield f"with {', '.join(included)}"
    if validity.valid_until is not None:
        then = "then calls are refused" if validity.expired == "refuse" else "then it is kept"
        yield f"valid until {validity.valid_until}, {then}"


def _about_ledger(report: Report) -> Iterable[str]:
    """What is wrong with it, and what stands in it that a person should know."""
    for line in report.outside.warnings():
        yield f"[red]{safe(line)}[/]"
    for line in (priced_by_guess(*report.guessed), would_have_been_refused(report.would_refuse)):
        if line:
            yield safe(line)


@writing()
def _print(report: Report) -> None:
    out, said, zone = console(), report.said, ZoneInfo(report.policy.timezone)
    up = f"up ({', '.join(said.modes)})" if report.gates and said else "not running"
    if report.gates > 1:
        up += f", {report.gates} gates on this ledger"
    out.print(f"gate      {up}")
    for way in report.silent:
        out.print(f"          [red]captures nothing through {safe(way)}:[/] a canary call there was not answered")
    source = said.source if said else "not started yet"
    out.print(
        f"policy    {safe(source)}  {report.policy.hash}  {report.policy.mode.default}  owner {safe(report.policy.owner)}"
    )
    for line in _about(report):
        out.print(f"          {safe(line)}")
    for notice in report.notices:
        out.print(f"          [yellow]{safe(notice)}[/]")
    since = safe(shown(said.refused_ms, zone)) if said else ""
    for fault in said.refused if said else ():
        out.print(f"          [yellow]refused since {since}:[/] {safe(fault)}")
    if report.policy.alerts or thresholds(report.policy):
        out.print(
            f"alerts    {len(report.policy.alerts)} rules, {thresholds(report.policy)} thresholds: {safe(NOT_YET)}"
        )
    out.print(f"person    {safe(report.person)}")
    groups = ", ".join(f"{each.name} of {each.owner}" if each.owner else each.name for each in report.machine_groups)
    out.print(f"machine   {safe(report.machine)}{f'  {safe(groups)}' if groups else ''}")
    out.print(f"prices    {safe(said.prices if said else 'bundled')}")
    listed = f" ({LISTED})" if report.unrecognized else ""
    counts = f"{report.free} free, {report.unrecognized} unrecognized{listed}"
    out.print(f"ledger    {report.ledger['rows']} ended calls, {counts}")
    out.print(f"          id {report.ledger['id']}  head {str(report.ledger['head'])[:_SHOWN_HEAD]}")
    for line in _about_ledger(report):
        out.print(f"          {line}")
    out.print()
    _print_limits(report)
    if report.seats:
        _print_seats(report)
    if report.over_nanos:
        out.print(f"\nopen calls could still cost {short_dollars(report.over_nanos)} above what they hold")
    if report.went_by:
        out.print("\nwent by (missing: skip):")
        emit([{**row, "since": shown(row["since_ms"], zone)} for row in report.went_by], _WENT_BY, Format.TABLE)
    if report.coverage:
        out.print("\nnot seen:")
        emit(report.coverage, _COVERAGE, Format.TABLE)


def _print_seats(report: Report) -> None:
    out = console()
    out.print("\nseats:")
    for all_of, _ in report.seats:
        out.print(safe(seats.line(all_of)))
    if mine := [seats.shown(own) for _, own in report.seats if own is not None]:
        emit(mine, seats.COLUMNS, Format.TABLE)


def _print_limits(report: Report) -> None:
    """Budgets and rates, each under what it is."""
    out = console()
    if report.budgets:
        out.print(f"limits, {ON_THIS_MACHINE}:")
    budgets = [budget_rows.beside(budget) for budget in report.budgets]
    emit(budgets, budget_rows.COLUMNS, Format.TABLE, empty="no budget applies to this person")
    for remark in (line for budget in report.budgets for line in budget_rows.remarks(budget)):
        out.print(f"  {safe(remark)}")
    if report.rates:
        out.print()
        emit(report.rates, rates_shown.COLUMNS, Format.TABLE)
