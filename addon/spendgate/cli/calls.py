"""`spendgate calls` and `calls show ID`: one line for each call, and one call explained."""

from __future__ import annotations

from datetime import date, datetime, tzinfo
from typing import Annotated, Any

import typer

from spendgate.calibration import CALIBRATED
from spendgate.cli.desk import Asking
from spendgate.cli.desks import desk
from spendgate.cli.moments import to_the_second
from spendgate.cli.options import FormatOption, StateOption, utf8
from spendgate.cli.output import Column, Format, console, emit, emit_json, exact, note, safe, writing
from spendgate.cli.reckoning import adjustment, reckoned
from spendgate.cli.spans import nothing
from spendgate.cli.spend import SinceOption, UntilOption, WhereOption
from spendgate.errors import UsageError
from spendgate.gate.charging import UNCOUNTED
from spendgate.ledger.found_calls import CallHold
from spendgate.ledger.spending import POLICY_PRICE
from spendgate.providers.unfinished import EXPECTED_ERROR
from spendgate.window import zone_of

_SHOWN_ID = 13
_MOST = 1_000_000_000
"""More calls than any ledger has, and few enough for SQLite to count to."""
COLUMNS = (
    Column("id", "id", weight=0),
    Column("started_at", "started", weight=2),
    Column("person", "person", weight=1),
    Column("tool", "tool", weight=1),
    Column("who", "sub-agent", weight=10),
    Column("model", "model", weight=1),
    Column("path", "path", weight=9),
    Column("state", "state", weight=0),
    Column("input_tokens", "input", right=True, weight=6),
    Column("cache_read_tokens", "cache read", right=True, weight=7),
    Column("cache_write_tokens", "cache write", right=True, weight=7),
    Column("output_tokens", "output", right=True, weight=6),
    Column("cost_nanos", "cost", right=True, weight=0),
    Column("basis", "basis", weight=8),
    Column("why", "refused by", weight=3),
)
_commands = typer.Typer(help="One line for each call; `calls show ID` explains one.", invoke_without_command=True)


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(_commands, name="calls")


def _limit(word: str) -> int:
    """Read here, since what is wrong is told in one line. Raises UsageError."""
    try:
        count = int(word)
    except ValueError:
        count = 0
    if not 1 <= count <= _MOST:
        raise UsageError(f"--limit {word}: write a whole number from 1 to {_MOST}")
    return count


@_commands.callback()
def calls(
    context: typer.Context,
    since: SinceOption = None,
    until: UntilOption = None,
    where: WhereOption = None,
    limit: Annotated[int, typer.Option("--limit", parser=_limit, metavar="N", help="The newest so many.")] = 50,
    free: Annotated[
        bool, typer.Option("--free", help="Also requests that cost nothing: settings, telemetry, token counts.")
    ] = False,
    state: StateOption = None,
    fmt: FormatOption = Format.TABLE,
) -> None:
    """One line for each call, newest first. JSON and CSV hold every column of the ledger's view `calls`."""
    if context.invoked_subcommand is not None:
        _none_before(context, context.invoked_subcommand)
        return
    asking = Asking(since, until, tuple(where or ()))
    found = desk(state).calls(asking, limit, free)
    rows, zone = found.rows, zone_of(found.timezone)
    if fmt is Format.TABLE:
        today = datetime.now(zone).date()
        rows = tuple(_short(row, zone, today) for row in rows)
    emit(rows, COLUMNS, fmt, empty=nothing(asking), keys=found.columns)
    if found.note:
        note(found.note)
    if found.hidden:
        note(f"{found.hidden} free requests in this ledger are not shown (--free)")


def _none_before(context: typer.Context, command: str) -> None:
    """Options before a command of the group are those of the list, which is not made then: none may be lost in silence.

    Raises UsageError.
    """
    sources = {param.opts[0]: context.get_parameter_source(param.name or "") for param in context.command.params}
    given = [option for option, source in sources.items() if source is not None and source.name == "COMMANDLINE"]
    if given:
        raise UsageError(
            f"{', '.join(given)} before `{command}` would be lost: write options behind it, "
            f"`spendgate calls {command} ID [--state DIR] [--format {'|'.join(Format)}]`"
        )


@_commands.command()
def show(
    call: Annotated[str, typer.Argument(metavar="ID", help="The call's id, or its beginning.")],
    state: StateOption = None,
    fmt: FormatOption = Format.TABLE,
) -> None:
    """One call explained: who and how that is known, what was held, what it cost by which price, or why it was refused."""
    found = desk(state).call(utf8("ID", call))
    row, holds = found.row, found.holds
    if fmt is Format.JSON:
        emit_json({**row, "holds": [_hold(hold) for hold in holds]})
    elif fmt is Format.CSV:
        emit([row], COLUMNS, fmt)
    else:
        _explain(row, holds)


def _short(row: dict[str, Any], zone: tzinfo, today: date) -> dict[str, Any]:
    return {
        **row,
        "id": row["id"][:_SHOWN_ID],
        "started_at": to_the_second(row["started_at"], zone, today),
        "model": row["model"] or row["model_requested"],
        "why": _why(row),
        "who": _sub_agent(row),
        "basis": _basis_word(row),
    }


def _basis_word(row: dict[str, Any]) -> str | None:
    said: str | None = row["basis"]
    if said is None:
        return None
    words = (said, "calibrated" if CALIBRATED in (row["flags"] or "") else "", "price unknown" if _guessed(row) else "")
    return ", ".join(filter(None, words))


def _guessed(row: dict[str, Any]) -> bool:
    return POLICY_PRICE in (row["prices"] or "")


def _sub_agent(row: dict[str, Any]) -> str | None:
    """`review 01a220a2-c377 of main`: what the sub-agent is for, who it is, who started it; None for the main agent."""
    agent: str | None = row["agent"]
    name: str | None = row["agent_name"]
    if agent is None:
        return name
    whose = f"{agent[:_SHOWN_ID]} of {(row['parent_agent'] or 'main')[:_SHOWN_ID]}"
    return f"{name} {whose}" if name else whose


def _why(row: dict[str, Any]) -> str | None:
    if row["refused_by"]:
        return f"{row['refused_by']}: {row['refused_why']}"
    return f"would have been: {row['would_refuse_by']}" if row["would_refuse_by"] else None


def _hold(hold: CallHold) -> dict[str, object]:
    return {
        "budget": hold.budget,
        "value": hold.value,
        "window": hold.window,
        "mode": hold.mode,
        "held_nanos": hold.nanos,
        "charged_nanos": hold.charged_nanos,
    }


_SECTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("call", ("id", "state", "started_at", "booked_at", "ended_at", "duration_ms", "first_byte_ms", "waited_ms", "http_status")),
    ("who", ("person", "team", "groups", "account_os", "machine", "tool", "process", "project", "session", "evidence")),
    ("agent", ("agent", "agent_name", "parent_agent", "parent_call")),
    ("where", ("provider", "host", "path", "dialect", "api_key", "account", "billing", "request_id")),
    ("model", ("model_requested", "also_requested", "model", "basis", "prices", "flags")),
    (
        "counts",
        (
            "input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens",
            "cache_write_other_tokens", "output_tokens", "reasoning_tokens", "web_searches",
        ),
    ),
    ("money", ("estimate_nanos", "ceiling_nanos", "held_nanos", "cost_nanos", "value_nanos")),
    (
        "decision",
        (
            "refused_by", "refused_why", "refused_reason", "refused_settled_nanos", "refused_held_nanos",
            "refused_hold_nanos", "refused_limit_nanos", "refused_resets_at", "would_refuse_by", "policy_hash",
        ),
    ),
)  # fmt: skip


_CALIBRATED_BY = (
    "estimated from bytes and multiplied by what bills of its tool and model have shown: the flag names the factor and the "
    "calibration, `spendgate reconcile calibrations` how far off it was"
)
_LABELS = {"held_nanos": "held at most"}
"""What a column's own name does not say: it is the largest hold that the call ever had."""


_ANY = 1
"""Nano-dollars: the `refused_hold_nanos` of a call of whose cost nothing was known where no other would have fitted either."""


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """The row without what would puzzle: an estimate, learned from calls that were billed more than they showed, above the most
    that the call can cost; and a hold that stands for any."""
    estimate, ceiling = row.get("estimate_nanos"), row.get("ceiling_nanos")
    if estimate is not None and ceiling is not None:
        row = {**row, "estimate_nanos": min(estimate, ceiling)}
    return {**row, "refused_hold_nanos": None} if row.get("refused_hold_nanos") == _ANY else row


@writing()
def _explain(row: dict[str, Any], holds: tuple[CallHold, ...]) -> None:
    out = console()
    lines = [*_priced(row), *_basis(row)]
    if row["agent"] is not None and row["parent_agent"] is None:
        row = {**row, "parent_agent": "the main agent of this session"}
    row = _told(row)
    for title, names in _SECTIONS:
        known = [(name, row[name]) for name in names if row.get(name) not in (None, "", "[]")]
        if known:
            out.print(f"[bold]{title}[/]")
        for name, value in known:
            label = _LABELS.get(name) or name.removesuffix("_nanos").removesuffix("_tokens").replace("_", " ")
            out.print(f"  {label:18} {exact(value) if name.endswith('_nanos') else safe(value)}")
    if lines:
        out.print("[bold]price[/]")
    for line in lines:
        out.print(f"  {line}")
    if holds:
        last = "held now" if row["state"] == "open" else "held when it ended, and what that became"
        out.print(f"[bold]budgets[/]  {last}")
    for hold in holds:
        charged = "running" if hold.charged_nanos is None else f"charged {exact(hold.charged_nanos)}"
        whose = safe(f"{hold.value or 'all'} {hold.window}")
        out.print(f"  {safe(hold.budget):18} {whose}: held {exact(hold.nanos)} ({hold.mode}), {charged}")


def _basis(row: dict[str, Any]) -> list[str]:
    """What a person must know of how far to trust the number."""
    adjusted = adjustment(row.get("prices") or "") if row.get("cost_nanos") else None
    lines = [f"{exact(row['cost_nanos'])} by the policy's {safe(adjusted)}: what budgets count"] if adjusted else []
    if "orphan" in (row.get("flags") or ""):
        return [*lines, _orphan(row)]
    if row["basis"] == "estimated" and UNCOUNTED not in (row.get("flags") or ""):
        return [*lines, _CALIBRATED_BY if CALIBRATED in (row.get("flags") or "") else EXPECTED_ERROR]
    if lines:
        return lines
    if row["basis"] == "reported" and row.get("cost_nanos") and row["cost_nanos"] != row.get("value_nanos"):
        return [f"the provider states what it bills, {exact(row['cost_nanos'])}, which goes before the list price"]
    return []


def _orphan(row: dict[str, Any]) -> str:
    """By what a call was charged whose gate ended first: see `ledger.orphans`."""
    cost: int = row["cost_nanos"] or 0
    if row["state"] == "failed":
        return "its gate died before the call had left: nothing is charged"
    if not cost:
        by = "nothing was held for it, and nothing is charged"
    elif row["basis"] == "ceiling":
        by = "charged the most that it could cost"
    elif cost == row["held_nanos"]:
        by = "charged what was held for it"
    elif cost == row["estimate_nanos"]:
        by = "charged what it was expected to cost"
    else:
        by = "charged what such calls usually cost"
    return f"its gate died before the answer ended; {by}"


def _priced(row: dict[str, Any]) -> list[str]:
    """Counts times prices, line by line, where today's price list gives the same sum; else where the sum came from."""
    if not row.get("prices") or row.get("value_nanos") is None or not row.get("booked_at"):
        return []
    found = reckoned(row)
    if found is None and _guessed(row):
        return [f"{exact(row['value_nanos'])} by the policy's `pricing.unknown_model`: no price list has this model"]
    if found is None:
        return [
            f"{exact(row['value_nanos'])} does not follow from today's price list; it came from {safe(row['prices'])}"
        ]
    if not found:
        return ["nothing was counted, so it cost nothing"]
    width = max(len(line.name) for line in found)
    lines = [
        f"{line.name:{width}} {line.count:>12,} x {exact(line.per_million_nanos)} per million = {exact(line.nanos)}"
        for line in found
    ]
    return [*lines, f"{'sum, rounded once':{width}} {exact(row['value_nanos'])}"]
