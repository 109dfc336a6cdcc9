"""What `reconcile import` is given, made a statement: a file by what is in it, an API by its name, and the days to ask it for."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from msgspec import structs

from spendgate.cli.output import note
from spendgate.config.credentials import api_key
from spendgate.config.statement_file import StatementFile
from spendgate.errors import StateError, UsageError
from spendgate.providers.client import fingerprint
from spendgate.reconcile.fetching import Way, fetch
from spendgate.reconcile.sources.interface import ApiSource, FileSource, Span
from spendgate.reconcile.sources.table import APIS
from spendgate.reconcile.sources.table import FILES as DOWNLOADED
from spendgate.statement import Statement

HEAD_BYTES = 64 << 10
FILE_BYTES_MAX = 2 << 30
FILES: tuple[FileSource, ...] = (*DOWNLOADED, StatementFile())


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
    told = (
        f"{said.origin} was written at {shown(written_ms)}: what it has of later is not told, and such a day stays open"
    )
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
    if data.lstrip()[:1] == b"{" and b'"has_more"' in data:  # as all of them page, the field stands behind the rows
        names = ", ".join(each.name for each in APIS)
        raise StateError(
            f"{path.name}: a page that an API answered is not read, since nothing says whether it is all of them: ask it by"
            f" `spendgate reconcile import NAME` ({names}), or download the CSV from the provider's console"
        )
    raise StateError(f"{path.name}: no statement that is known (`spendgate reconcile sources`); name it with --as")


def ask(source: ApiSource, span: Span, folder: Path) -> Statement:
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


def shown(ms: int, form: str = "%Y-%m-%dT%H:%M:%SZ") -> str:
    """A moment in UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime(form)
