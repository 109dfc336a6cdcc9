"""`spendgate policy explain`: which rules are about a call, in order, with the room that is left."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from spendgate.admission import Refuse
from spendgate.cli import granted, in_force
from spendgate.cli.moments import moment, shown
from spendgate.cli.options import FormatOption, StateOption
from spendgate.cli.output import Column, Format, emit, note
from spendgate.config import paths, policies
from spendgate.config.known import KNOWN
from spendgate.errors import UsageError
from spendgate.flow import Tokens
from spendgate.gate.clock import Clock
from spendgate.gate.terms import unlisted
from spendgate.ledger.interface import Flowing
from spendgate.ledger.queries import Reader
from spendgate.money import Money
from spendgate.policy import Policy, person_then
from spendgate.review.cases import OF_THE_ROSTER
from spendgate.review.explain import NO_LEDGER, explain
from spendgate.selector import ATTRIBUTES, Facts

PersonOption = Annotated[str, typer.Option("--person", metavar="P", help="A person of the policy, or an OS account.")]
ModelOption = Annotated[str | None, typer.Option("--model", metavar="M", help="The model asked for, in any spelling.")]
ToolOption = Annotated[str | None, typer.Option("--tool", metavar="T", help="claude-code, codex, cursor, …")]
AttributeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--with", metavar="ATTR=VALUE", help="Anything else that it has: session=…, project=…. May be given again."
    ),
]
AtOption = Annotated[str | None, typer.Option("--at", metavar="T", help="When; else now.")]
CostOption = Annotated[
    str | None, typer.Option("--cost", metavar="AMOUNT", help="What it costs; else next to nothing.")
]
FileArgument = Annotated[
    Path | None, typer.Argument(metavar="FILE", help="The policy; without it the one in force.", show_default=False)
]
_COLUMNS = (
    Column("rule", "rule", weight=0),
    Column("applies", "applies", weight=0),
    Column("says", "says", weight=0),
    Column("spent_nanos", "spent", right=True, weight=1),
    Column("held_nanos", "held", right=True, weight=1),
    Column("resets", "resets", weight=2),
)
_KEYS = (
    "rule", "kind", "applies", "says", "value", "spent_nanos", "held_nanos", "limit_nanos", "left_nanos", "resets_ms",
)  # fmt: skip


def register(group: typer.Typer) -> None:
    """Add the command."""
    group.command("explain")(explain_)


def explain_(
    person: PersonOption,
    model: ModelOption = None,
    tool: ToolOption = None,
    attributes: AttributeOption = None,
    at: AtOption = None,
    cost: CostOption = None,
    file: FileArgument = None,
    state: StateOption = None,
    fmt: FormatOption = Format.TABLE,
) -> None:
    """Show every rule about a call, in the order in which they decide, and what would become of it.

    What is spent, and what rates have counted, comes from the ledger of the state directory, as of now; without one nothing is
    known to be spent.
    """
    if not person:
        raise UsageError("--person '': write the person's name as the policy has it, or an account of theirs")
    found = paths.find(state)
    policy = policies.load(file, KNOWN) if file else in_force.policy(found)
    zone, now = ZoneInfo(policy.timezone), datetime.now(UTC)
    at_ms = _at(at, zone, now) if at is not None else int(now.timestamp() * 1000)
    facts, refusal = _facts(policy, person, model, tool, attributes or [], at_ms)
    with ExitStack() as open_files:
        reader = open_files.enter_context(Reader(found.ledger)) if found.ledger.exists() else None
        policy = granted.shown(found, policy, reader, at_ms) if reader else policy
        standings = (lambda scopes: reader.standings(scopes, at_ms)) if reader else None
        clock = Clock()
        flowing = Flowing(clock.boot(), clock.boot_ms(), Tokens(1))
        flows = (lambda scopes: reader.rates(scopes, flowing, at_ms)) if reader else None
        lines = explain(policy, facts, at_ms, _nanos(cost), standings, flows=flows, unlisted=refusal)
    if reader is None:
        note(NO_LEDGER)
    rows = [
        {key: getattr(line, key) for key in _KEYS}
        | {"applies": "yes" if line.applies else "no", "resets": shown(line.resets_ms, zone)}
        for line in lines
    ]
    emit(rows, _COLUMNS, fmt, keys=_KEYS)


def _at(at: str, zone: ZoneInfo, now: datetime) -> int:
    try:
        return moment(at, zone, now)
    except UsageError as fault:
        raise UsageError(f"--at: {fault}") from fault


def _nanos(cost: str | None) -> int:
    try:
        return Money.parse(cost).nanos if cost is not None else 1
    except ValueError as fault:
        raise UsageError(f"--cost {cost}: {fault}") from fault


def _facts(
    policy: Policy, person: str, model: str | None, tool: str | None, attributes: list[str], at_ms: int
) -> tuple[Facts, Refuse | None]:
    """The call, and the refusal of an account that nobody lists where the policy refuses those.

    Raises UsageError for an attribute that calls do not have, or do not say."""
    values: dict[str, str] = {}
    for text in attributes:
        name, equals, value = text.partition("=")
        if not equals or not value or name not in ATTRIBUTES:
            raise UsageError(f"--with {text}: write ATTR=VALUE; attributes are: {', '.join(ATTRIBUTES)}")
        if name in OF_THE_ROSTER:
            raise UsageError(
                f"--with {text}: no call says its {name}; it is that of its {OF_THE_ROSTER[name]}, by the policy"
            )
        if name in ("person", "model", "tool"):
            raise UsageError(f"--with {text}: {name} has an option of its own, --{name}")
        values[name] = value
    who = person_then(policy, person, person, values.get("machine", ""), at_ms)
    machines = tuple(group.name for group in policy.roster.machine_groups(values.get("machine", "")))
    known = {
        "person": who.person, "team": who.team, "group": who.groups, "machine_group": machines, "tool": tool, **values,
    }  # fmt: skip
    return Facts.of(model=model, **known), unlisted(person) if who.refused else None
