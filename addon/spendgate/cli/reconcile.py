"""`spendgate reconcile`: providers' statements in, and what explains the gap between them and the ledger."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer
from msgspec import structs

from spendgate.cli.account import own_account
from spendgate.cli.lines import counted as many
from spendgate.cli.not_captured import counted
from spendgate.cli.options import FormatOption, StateOption, existing_state
from spendgate.cli.output import Column, Format, emit, note
from spendgate.config import key_map
from spendgate.config.credentials import api_key
from spendgate.config.faults import meant
from spendgate.config.statement_file import StatementFile
from spendgate.errors import StateError, UsageError
from spendgate.ledger.queries import Reader
from spendgate.ledger.statements import Imported, StatementBook, beside, called
from spendgate.providers.client import fingerprint
from spendgate.providers.registry import PROVIDER_NAMES
from spendgate.reconcile.facts import Facts
from spendgate.reconcile.fetching import Way, fetch
from spendgate.reconcile.remedies import CONSOLES
from spendgate.reconcile.sources.interface import ApiSource, FileSource, Span
from spendgate.reconcile.sources.table import APIS
from spendgate.reconcile.sources.table import FILES as DOWNLOADED
from spendgate.statement import Statement

HEAD_BYTES = 64 << 10
FILE_BYTES_MAX = 2 << 30
_BESIDE_MAX = 3
FILES: tuple[FileSource, ...] = (*DOWNLOADED, StatementFile())
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
        statement = _ask(asked, structs.replace(span_of(since, until), account=account), found.root / "imports")
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


def read_file(path: Path, named: str | None) -> Statement:
    """A downloaded file. Raises StatementError, StateError, UsageError."""
    try:
        written_ms = path.stat().st_mtime_ns // 1_000_000
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)  # a pipe has no size to look at before
        if len(data) > FILE_BYTES_MAX:
            raise StateError(f"{path}: more than {FILE_BYTES_MAX >> 30} GB; split it by month")
    except OSError as fault:
        names = ", ".join(each.name for each in APIS)
        raise StateError(f"{path}: {fault.strerror}; it is no file, and the APIs are: {names}") from fault
    said = _file_source(path, data, named).read(data, path.name)
    return said if said.source == StatementFile.name or said.refreshed_ms is not None else _as_old_as(said, written_ms)


def _as_old_as(said: Statement, written_ms: int) -> Statement:
    """A download knows of nothing after it was written: a day that was not over by then stays open."""
    late = written_ms < said.until_ms
    told = f"{said.origin} was written at {_shown(written_ms)}: what it has of later is not told, and such a day stays open"
    return structs.replace(said, refreshed_ms=written_ms, notes=(*said.notes, told) if late else said.notes)


def _file_source(path: Path, data: bytes, named: str | None) -> FileSource:
    if named is not None:
        for each in FILES:
            if each.name == named:
                return each
        raise UsageError(f"--as {named}: no such source; there are: {', '.join(each.name for each in FILES)}")
    for each in FILES:
        if each.recognises(data[:HEAD_BYTES]):
            return each
    if not data.strip():
        raise StateError(f"{path.name}: the file is empty; download it again")
    if data.startswith(b"PAR1"):
        raise StateError(
            f"{path.name}: Parquet is not read; choose CSV where the export is set up, or convert it, by "
            "`duckdb -c \"COPY (FROM 'export.parquet') TO 'export.json' (FORMAT json)\"`, for LangSmith and Google"
        )
    raise StateError(f"{path.name}: no statement that is known (`spendgate reconcile sources`); name it with --as")


def _ask(source: ApiSource, span: Span, folder: Path) -> Statement:
    try:
        given = api_key(source.variable, os.environ)
    except StateError as fault:
        raise StateError(f"{source.name}: {fault}; it is: {source.title}") from fault
    whose = f"-{quote(span.account, safe='')}" if span.account else ""
    # Pages that another credential was given are not this one's: it may be of another organization.
    asker = fingerprint(given).rpartition(":")[2]
    kept = folder / f"{source.name}{whose}-{asker}-{span.from_ms}-{span.until_ms}"
    return fetch(source, span, given, kept, replace(Way(), told=note))


def span_of(since: str | None, until: str | None) -> Span:
    """Whole UTC days. Raises UsageError."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    last = today if until is None else utc_day("--until", until)
    first = last - timedelta(days=31) if since is None else utc_day("--from", since)
    if first >= last:
        raise UsageError(f"--from {first:%Y-%m-%d} is not before --until {last:%Y-%m-%d}")
    return Span(int(first.timestamp() * 1000), int(last.timestamp() * 1000))


def utc_day(option: str, text: str) -> datetime:
    """The beginning of the day that an option names. Raises UsageError."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise UsageError(f"{option} {text}: write a UTC day, as 2026-11-20") from None


def _row(each: Imported) -> dict[str, object]:
    return {
        "name": each.name, "source": each.source, "provider": each.provider, "subject": each.subject,
        "from": _shown(each.from_ms, "%Y-%m-%d"), "until": _shown(each.until_ms, "%Y-%m-%d"), "lines": each.lines,
        "at": _shown(each.at_ms), "refreshed": None if each.refreshed_ms is None else _shown(each.refreshed_ms),
        "origin": each.origin, "sha256": each.sha256, "notes": list(each.notes),
    }  # fmt: skip


def _shown(ms: int, form: str = "%Y-%m-%dT%H:%M:%SZ") -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime(form)
