"""`spendgate policy explain`: which rules are about a call, in order, with the room that is left."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Annotated

import typer

from spendgate.cli import described, granted, in_force, purged, whole_lines
from spendgate.cli.asking import ask_command
from spendgate.cli.moments import moment, shown
from spendgate.cli.options import FormatOption, StateOption
from spendgate.cli.output import Format, emit, note
from spendgate.config import paths, policies
from spendgate.config.known import KNOWN
from spendgate.errors import UsageError
from spendgate.flow import Tokens
from spendgate.gate import billed
from spendgate.gate.clock import Clock
from spendgate.gate.past import counted, scopes_of
from spendgate.gate.terms import unlisted
from spendgate.gate.wording import ASKING
from spendgate.ledger.interface import Flowing
from spendgate.ledger.queries import Reader
from spendgate.ledger.untaken import ByBill
from spendgate.money import Beside, Money, dollars
from spendgate.policy import Policy
from spendgate.providers.registry import STATING
from spendgate.review.asked import asked
from spendgate.review.explain import NO_LEDGER, Standings, explain
from spendgate.review.lines import Line
from spendgate.window import zone_of

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
    Path | None,
    typer.Argument(metavar="FILE", help="The policy; without it the one in force.", show_default=False, readable=False),
]
_KEYS = (
    "rule", "kind", "applies", "says", "value", "spent_nanos", "held_nanos", "limit_nanos", "left_nanos", "resets_ms",
)  # fmt: skip

_THEN = "budgets count what was booked by then, at what it has cost since; rates are as of now"


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

    What is spent comes from the ledger of the state directory, also for a policy that no gate has followed yet; of a time that is
    past as of then. What rates have counted is as of now. Without a ledger nothing is known to be spent.
    """
    if not person:
        raise UsageError("--person '': write the person's name as the policy has it, or an account of theirs")
    found = paths.find(state)
    policy = policies.load(file, KNOWN) if file else in_force.named(found)
    zone, now = zone_of(policy.timezone), datetime.now(UTC)
    now_ms = int(now.timestamp() * 1000)
    at_ms = _at(at, zone, now) if at is not None else now_ms
    cost_nanos = _nanos(cost)
    said = described.said(policy, {"person": person, "model": model, "tool": tool}, attributes or [])
    call = asked(policy, said, at_ms, in_force.machine(found))
    for doubt in described.doubts(policy, call):
        note(doubt)
    with ExitStack() as open_files:
        reader = open_files.enter_context(Reader(found.ledger)) if found.ledger.exists() else None
        policy = granted.shown(found, policy, reader, at_ms) if reader else policy
        if reader is not None:
            purged.tell(
                reader, at_ms, "calls are sums by day (privacy.keep): budgets count those of that time only in part"
            )
        standings = _filled(reader, policy, at_ms, past=at_ms < now_ms) if reader else None
        clock = Clock()
        flowing = Flowing(clock.boot(), clock.boot_ms(), Tokens(1))
        flows = (lambda scopes: reader.rates(scopes, flowing, at_ms)) if reader else None
        refusal = unlisted(person) if call.who.refused else None
        lines = explain(
            policy, call.facts, at_ms, cost_nanos or 1, standings, flows=flows, unlisted=refusal, assumed=call.assumed,
            stating=STATING, asks=_asks(found),
        )  # fmt: skip
    if reader is None:
        note(NO_LEDGER)
    elif at_ms < now_ms:
        note(_THEN)
    _print((Line("asked", "asked", True, call.words(policy, cost_nanos)), *lines), fmt, zone)


def _asks(state: paths.State) -> str:
    """What the gate of this state tells a refused person to run; a service's is asked at its socket. Without one, as an installed
    gate says it."""
    if not state.ledger.exists():
        return ASKING
    served = paths.SOCKET.exists() and state.root == paths.find(environ={}).root
    return ask_command(state, paths.SOCKET if served else None)


def _filled(reader: Reader, policy: Policy, at_ms: int, *, past: bool) -> Standings:
    """The balances of the policy's budgets as a gate that follows it has them; of the past without what came later."""
    until_ms = at_ms if past else None
    budgets, of_past = counted(policy, at_ms), scopes_of(policy)
    by_bill = ByBill(billed.counted(policy, at_ms), billed.scopes_of(policy))
    return lambda scopes: reader.standings_filled(scopes, budgets, of_past, at_ms, by_bill=by_bill, until_ms=until_ms)


def _print(lines: Sequence[Line], fmt: Format, zone: tzinfo) -> None:
    applies = {True: "yes", False: "no"}
    if fmt is Format.TABLE:
        asked_about, *rules = lines
        whole_lines.say(f"asked about: {asked_about.says}")
        rows = [(line.rule, applies[line.applies], _says(line, zone)) for line in rules]
        whole_lines.show(("rule", "applies", "says"), rows)
        return
    rows_ = [
        {key: getattr(line, key) for key in _KEYS}
        | {"applies": applies[line.applies], "resets": shown(line.resets_ms, zone)}
        for line in lines
    ]
    emit(rows_, (), fmt, keys=_KEYS)


def _says(line: Line, zone: tzinfo) -> str:
    """For a person: with the figures that programs have by themselves."""
    if line.limit_nanos is None:
        return line.says
    beside = Beside.of(line.limit_nanos, line.spent_nanos or 0, line.held_nanos or 0)
    resets = f"; resets {shown(line.resets_ms, zone)}" if line.resets_ms is not None else ""
    return f"{line.says}; {dollars(beside.spent)} spent, {dollars(beside.held)} held{resets}"


def _at(at: str, zone: tzinfo, now: datetime) -> int:
    try:
        return moment(at, zone, now)
    except UsageError as fault:
        raise UsageError(f"--at: {fault}") from fault


def _nanos(cost: str | None) -> int | None:
    try:
        return Money.parse(cost).nanos if cost is not None else None
    except ValueError as fault:
        raise UsageError(f"--cost {cost}: {fault}") from fault
