"""`spendgate reconcile`: providers' statements in, and what explains the gap between them and the ledger."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from msgspec import structs

from spendgate.cli.account import own_account
from spendgate.cli.lines import counted as many
from spendgate.cli.not_captured import counted, tell_uncounted
from spendgate.cli.options import FormatOption, StateOption, existing_state
from spendgate.cli.output import Column, Format, emit, note
from spendgate.cli.statements_given import FILES, ask, read_file, shown, span_of
from spendgate.config import key_map
from spendgate.config.faults import meant
from spendgate.config.statement_file import StatementFile
from spendgate.errors import UsageError
from spendgate.ledger.queries import Reader
from spendgate.ledger.statements import Imported, StatementBook, beside, called
from spendgate.providers.registry import PROVIDER_NAMES
from spendgate.reconcile.facts import Facts
from spendgate.reconcile.remedies import CONSOLES
from spendgate.reconcile.sources.table import APIS

_BESIDE_MAX = 3
_COLUMNS = (
    Column("name", "import", weight=0),
    Column("source", "source", weight=0),
    Column("provider", "provider", weight=1),
    Column("from", "from", weight=0),
    Column("until", "until", weight=0),
    Column("lines", "lines", right=True, weight=1),
    Column("at", "taken in", weight=2),
    Column("refreshed", "refreshed", weight=3),
    Column("origin", "origin", weight=4),
)
_KEYS = (
    "name",
    "source",
    "provider",
    "subject",
    "from",
    "until",
    "lines",
    "at",
    "refreshed",
    "origin",
    "sha256",
    "notes",
)
group = typer.Typer(name="reconcile", help="Captured against billed: take in statements, explain the gap.")


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(group)


@group.command("import")
def import_(
    given: Annotated[
        str, typer.Argument(metavar="FILE|SOURCE", help="A downloaded file, or an API: see `reconcile sources`.")
    ],
    since: Annotated[
        str | None,
        typer.Option("--from", metavar="DAY", help="First UTC day that an API is asked for; else 31 days back."),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="DAY", help="UTC day after the last; else today.")
    ] = None,
    source: Annotated[str | None, typer.Option("--as", metavar="SOURCE", help="What the file is, if unclear.")] = None,
    account: Annotated[
        str,
        typer.Option(
            "--account", metavar="NAME", help="Whose, where the source must be told, or two of one kind be kept apart."
        ),
    ] = "",
    mapped: Annotated[
        Path | None, typer.Option("--map", metavar="FILE", help="YAML: whose the bill's keys and users are.")
    ] = None,
    state: StateOption = None,
) -> None:
    """Take in a statement, as a new version: what was imported before stays as it is. What it has and no call is counted."""
    known = key_map.read(mapped) if mapped else Facts()
    found = existing_state(state)
    asked = next((each for each in APIS if each.name == given), None)
    if asked is not None and source is None:
        statement = ask(asked, structs.replace(span_of(since, until), account=account), found.root / "imports")
    elif asked is not None and not Path(given).exists():
        raise UsageError(f"{given} is an API that is asked, and --as says what a file is: leave it out")
    elif since or until:
        raise UsageError("--from and --until ask an API; a file is taken for the days that it tells of")
    else:
        statement = read_file(Path(given), source)
    nameless = not statement.subject and not any(each.who.organization for each in statement.lines)
    statement = structs.replace(statement, subject=statement.subject or account)
    with StatementBook(found.ledger) as book:
        taken, new = book.take(statement, own_account(), time.time_ns() // 1_000_000)
    days = (taken.until_ms - taken.from_ms) // 86_400_000
    told = f"import {taken.name}: {many(taken.lines, 'line')} of {many(days, 'day')} from {taken.origin}"
    note(told if new else f"{told}: these very bytes are here already; nothing is added")
    for each in taken.notes:
        note(f"  {each}")
    for word in _unknown(taken):
        note(f"  {word}")
    for word in _beside(found.ledger, taken) if nameless and new else ():
        note(f"  {word}")
    note(counted(found, known, (taken.from_ms, taken.until_ms)))
    with closing(Reader(found.ledger)) as reader:
        tell_uncounted(reader)


def _unknown(taken: Imported) -> Iterator[str]:
    """What a person has typed and nobody else calls a provider: its lines would be compared with no call."""
    known = {*PROVIDER_NAMES, *CONSOLES}
    if taken.source == StatementFile.name and taken.provider not in known:
        near = meant(taken.provider, known) or "."
        yield (
            f"no calls and no other bills are of a provider {taken.provider!r}{near} No import is ever taken out; to outweigh"
            " this one, import its days once more with the same provider, account and nothing but `tax: $0`"
        )


def _beside(ledger: Path, taken: Imported) -> Iterator[str]:
    """What else of this source counts on these days, where a name alone keeps it apart: it may be the same account."""
    with closing(Reader(ledger)) as reader:
        others = beside(reader.imports(), taken.source, taken.provider, taken.subject, (taken.from_ms, taken.until_ms))
    for each in others[:_BESIDE_MAX]:
        yield f"import {each.name}, {called(each)}, is in force on some of these days, too: both count, as two accounts"
    if len(others) > _BESIDE_MAX:
        yield f"and so are {len(others) - _BESIDE_MAX} imports more (`spendgate reconcile imports`)"


@group.command("imports")
def imports(state: StateOption = None, fmt: FormatOption = Format.TABLE) -> None:
    """Every statement that was taken in, newest last."""
    with closing(Reader(existing_state(state).ledger)) as reader:
        rows = [_row(each) for each in reader.imports()]
        tell_uncounted(reader)
    emit(rows, _COLUMNS, fmt, empty="nothing was imported yet: `spendgate reconcile import FILE`", keys=_KEYS)


@group.command("sources")
def sources(fmt: FormatOption = Format.TABLE) -> None:
    """What can be imported: files by what is in them, APIs by name."""
    rows = [{"name": each.name, "kind": "API", "title": f"{each.title} in {each.variable}"} for each in APIS]
    rows += [{"name": each.name, "kind": "file", "title": each.title} for each in FILES]
    columns = (
        Column("name", "source", weight=0),
        Column("kind", "kind", weight=0),
        Column("title", "what it is", weight=0, wraps=True),
    )
    emit(rows, columns, fmt, empty="none", keys=("name", "kind", "title"))


def _row(each: Imported) -> dict[str, object]:
    return {
        "name": each.name, "source": each.source, "provider": each.provider, "subject": each.subject,
        "from": shown(each.from_ms, "%Y-%m-%d"), "until": shown(each.until_ms, "%Y-%m-%d"), "lines": each.lines,
        "at": shown(each.at_ms), "refreshed": None if each.refreshed_ms is None else shown(each.refreshed_ms),
        "origin": each.origin, "sha256": each.sha256, "notes": list(each.notes),
    }  # fmt: skip
