"""`spendgate me`: everything that is kept about whoever asks, until when, and what of it anybody else sees."""

from __future__ import annotations

from typing import Any

import typer

from spendgate.cli.desks import desk
from spendgate.cli.lines import say, value
from spendgate.cli.options import FormatOption, StateOption
from spendgate.cli.output import Column, Format, emit, emit_json, writing

COLUMNS = (
    Column("table", "kept in", weight=0),
    Column("rows", "rows", right=True, weight=0),
    Column("first_at", "from", weight=2),
    Column("last_at", "to", weight=2),
    Column("until", "kept", weight=1, wraps=True),
    Column("what", "what it is", weight=1, wraps=True),
)
_KEYS = tuple(column.key for column in COLUMNS)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("me")(me)


def me(state: StateOption = None, fmt: FormatOption = Format.TABLE) -> None:
    """Everything that is kept about you, for how long, and what the company sees. `--format json` has the rows themselves.

    You are the account that runs this, with a service too; there is no way to ask for another.
    """
    found = desk(state).me(rows=fmt is Format.JSON)
    if fmt is Format.JSON:
        emit_json(found)
    elif fmt is Format.CSV:
        emit(found["kept"], COLUMNS, fmt, keys=_KEYS)
    else:
        _print(found)


@writing()
def _print(found: dict[str, Any]) -> None:
    privacy, sees = found["policy"]["privacy"], found["company_sees"]
    about = [*(f"team {team}" for team in found["team"][:1]), *(f"group {group}" for group in found["groups"])]
    say("account", f"{found['account']}, which counts for {', '.join([found['person'], *about])}")
    if found["email"]:
        say("", f"{found['email']} (policy)")
    days = privacy["keep_days"]
    kept = f"kept for {days} days, then sums by day" if days else "kept for good"
    said = f"{kept}; project: {privacy['project']}; process: {privacy['process']}; in {value(found['state'])}"
    say("rows", said)
    say("", "never kept: prompts, answers, keys, tokens, home folders")
    leaves = "; what leaves it:" if sees["receivers"] else "; nothing else leaves it"
    say("others", f"{sees['note']}{leaves}")
    for each in sees["receivers"]:
        say("", f"{each['who']}: {each['what']}; {each['when']}")
    owner = f"uid {found['state_owner_uid']} (its owner) and administrators"
    say("", f"on this machine {owner} can read the state directory")
    say("")
    emit(found["kept"], COLUMNS, Format.TABLE)
    say("")
    say("", "`spendgate me --format json` has every row; `spendgate calls` and `spend` show them as tables.", indent=0)
