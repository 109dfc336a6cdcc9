"""`spendgate status`: is a gate up, which policy holds, what is left of each budget, and what could not be seen."""

from __future__ import annotations

import getpass
import os
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import typer

from spendgate.cli import alive, in_force
from spendgate.cli.moments import iso, shown
from spendgate.cli.observed import LISTED, priced_by_guess, would_have_been_refused
from spendgate.cli.options import FormatOption, StateOption, existing_state
from spendgate.cli.output import Column, Format, console, emit, emit_json, safe, writing
from spendgate.config.paths import State
from spendgate.ledger.gates import living
from spendgate.ledger.queries import Reader, Span, Spend
from spendgate.money import Beside, dollars, short_dollars
from spendgate.policy import Policy, enforces, person_of, scopes, today_in
from spendgate.roster import PersonMatch
from spendgate.selector import Facts
from spendgate.standing import Scope, Standing

NOT_YET = "evaluated by `policy replay`, not delivered by this version"
_RECENT_MS = 31 * 86_400_000
_RECENT_KINDS = 200
_KINDS = ("tool", "provider", "model", "session", "project", "api_key", "account", "billing")
_BUDGETS = (
    Column("budget", "budget", weight=0),
    Column("value", "for", weight=0),
    Column("spent", "spent", right=True, weight=0),
    Column("held", "held", right=True, weight=0),
    Column("limit", "limit", right=True, weight=0),
    Column("left", "left", right=True, weight=2),
    Column("used", "used", right=True, weight=3),
    Column("resets", "resets", weight=1),
    Column("mode", "mode", weight=4),
)
_BUDGET_KEYS = (
    "budget", "value", "window", "spent_nanos", "held_nanos", "limit_nanos", "left_nanos", "used", "open_calls", "resets",
    "resets_ms", "hold", "mode",
)  # fmt: skip
"""What `_budget` gives, in its order: the header of CSV also where no budget applies."""
_SHOWN_HEAD = 12
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
    """Gate, policy, budgets of this person (spent and held told apart), and connections that could not be read."""
    found = existing_state(state)
    policy = in_force.policy(found)
    now_ms = time.time_ns() // 1_000_000
    with closing(Reader(found.ledger)) as reader:
        report = _report(found, policy, reader, now_ms)
    if fmt is Format.JSON:
        emit_json(report.as_json())
    elif fmt is Format.CSV:
        emit(report.budgets, _BUDGETS, fmt, keys=_BUDGET_KEYS)
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

    def as_json(self) -> dict[str, object]:
        """The report for programs."""
        said = self.said
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
            },
            "alerts": {"rules": len(self.policy.alerts), "thresholds": thresholds(self.policy), "delivered": False},
            "prices": said.prices if said else None,
            "person": self.person,
            "budgets": list(self.budgets),
            "open_calls_above_holds_nanos": self.over_nanos,
            "free_calls": self.free,
            "unrecognized_calls": self.unrecognized,
            "would_refuse_by": self.would_refuse,
            "price_unknown_calls": self.guessed[0],
            "price_unknown_nanos": self.guessed[1],
            "coverage": list(self.coverage),
            "ledger": self.ledger,
        }


def _report(state: State, policy: Policy, reader: Reader, now_ms: int) -> Report:
    said = in_force.told(state)
    machine = said.machine if said else "unknown"
    match = person_of(policy, own_account(), today=today_in(policy, now_ms), machine=machine)
    standings = reader.standings(tuple(_scopes(policy, match, machine, reader, now_ms)), now_ms)
    states = reader.states()
    head = reader.head()
    gates = living(state.gates)
    return Report(
        gates=len(gates),
        silent=tuple(way for gate in in_force.of_gates(state, gates) for way in alive.silent(gate)),
        policy=policy,
        said=said,
        person=match.person,
        budgets=tuple(_budget(standing, policy) for standing in standings),
        coverage=reader.coverage(),
        over_nanos=reader.open_above_holds(),
        free=states.get("free", 0),
        unrecognized=states.get("unrecognized", 0),
        would_refuse=reader.would_refuse(),
        guessed=reader.guessed_prices(),
        ledger={"id": head.id, "created_at": iso(head.created_ms), "rows": head.rows, "head": head.head},
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


def _scopes(policy: Policy, match: PersonMatch, machine: str, reader: Reader, now_ms: int) -> Iterable[Scope]:
    """The balances that this person draws on: those of the person alone, then those of the kinds of calls lately made.

    A budget kept per session, project or model has a balance only where such a call was made.
    """
    own: dict[str, Any] = {"person": match.person, "team": match.team, "group": match.groups, "machine": machine}
    kinds = reader.spend(
        _KINDS, Span(since_ms=now_ms - _RECENT_MS, where=(("person", match.person),)), ZoneInfo(policy.timezone)
    )
    seen: set[tuple[str, str, str]] = set()
    for facts in (Facts.of(model=None, **own), *(_facts(own, kind) for kind in kinds[:_RECENT_KINDS])):
        for scope in scopes(policy, facts, now_ms, enforces(policy, facts)):
            if (key := (scope.budget, scope.value, scope.window)) not in seen:
                seen.add(key)
                yield scope


def _facts(own: Mapping[str, Any], kind: Spend) -> Facts:
    named = {name: value for name, value in zip(_KINDS, kind.key, strict=True) if name != "model"}
    return Facts.of(model=None, **own, **named).answered_by(kind.key[_KINDS.index("model")])


def _budget(standing: Standing, policy: Policy) -> dict[str, object]:
    scope = standing.scope
    left = scope.limit_nanos - standing.settled_nanos - standing.held_nanos
    percent = 100 * standing.settled_nanos // scope.limit_nanos if scope.limit_nanos else 100
    zone = ZoneInfo(policy.timezone)
    slides = f"slides, {_length(scope.rolling_ms)}" if scope.rolling_ms else "never"
    return {
        "budget": scope.budget,
        "value": scope.value.replace("|", ", ") or "all",
        "window": scope.window,
        "spent_nanos": standing.settled_nanos,
        "held_nanos": standing.held_nanos,
        "limit_nanos": scope.limit_nanos,
        "left_nanos": left,
        "used": f"{percent}%",
        "open_calls": standing.open_calls,
        "resets": shown(scope.ends_ms, zone) or slides,
        "resets_ms": scope.ends_ms,
        "hold": scope.hold.value,
        "mode": "enforced" if scope.enforced else "observed",
    }


def _shown(budget: Mapping[str, Any]) -> dict[str, object]:
    """A row for people, whose figures add up as they are printed."""
    beside = Beside.of(budget["limit_nanos"], budget["spent_nanos"], budget["held_nanos"])
    amounts = {"spent": beside.spent, "held": beside.held, "limit": beside.limit, "left": beside.left}
    return {**budget, **{name: dollars(nanos) for name, nanos in amounts.items()}}


def _length(ms: int) -> str:
    """A rolling window as the policy writes it: `7d`, `24h`, `30m`."""
    minutes = ms // 60_000
    if minutes % 1440 == 0 and minutes > 1440:
        return f"{minutes // 1440}d"
    return f"{minutes // 60}h" if minutes % 60 == 0 else f"{minutes}m"


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
    since = safe(shown(said.refused_ms, zone)) if said else ""
    for fault in said.refused if said else ():
        out.print(f"          [yellow]refused since {since}:[/] {safe(fault)}")
    if report.policy.alerts or thresholds(report.policy):
        out.print(
            f"alerts    {len(report.policy.alerts)} rules, {thresholds(report.policy)} thresholds: {safe(NOT_YET)}"
        )
    out.print(f"person    {safe(report.person)}")
    out.print(f"prices    {safe(said.prices if said else 'bundled')}")
    listed = f" ({LISTED})" if report.unrecognized else ""
    counts = f"{report.free} free, {report.unrecognized} unrecognized{listed}"
    out.print(f"ledger    {report.ledger['rows']} ended calls, {counts}")
    out.print(f"          id {report.ledger['id']}  head {str(report.ledger['head'])[:_SHOWN_HEAD]}")
    for line in (priced_by_guess(*report.guessed), would_have_been_refused(report.would_refuse)):
        if line:
            out.print(f"          {safe(line)}")
    out.print()
    emit(
        [_shown(budget) for budget in report.budgets], _BUDGETS, Format.TABLE, empty="no budget applies to this person"
    )
    if report.over_nanos:
        out.print(f"\nopen calls could still cost {short_dollars(report.over_nanos)} above what they hold")
    if report.coverage:
        out.print("\nnot seen:")
        emit(report.coverage, _COVERAGE, Format.TABLE)
