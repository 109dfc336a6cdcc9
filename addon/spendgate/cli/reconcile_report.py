"""`spendgate reconcile report` and `reconcile explain`: the gap with its causes, and one day of one key."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, redirect_stdout
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from msgspec import structs

from spendgate.cli import reconcile_drilled, reconcile_shown, witness
from spendgate.cli.not_captured import tell_uncounted
from spendgate.cli.options import FormatOption, StateOption, existing_state, one_of, utf8
from spendgate.cli.output import Format, emit, emit_json, money, note, writing
from spendgate.cli.reconcile import group
from spendgate.cli.statements_given import span_of, utc_day
from spendgate.config import key_map, paths
from spendgate.errors import StateError, UsageError
from spendgate.ledger.queries import Reader
from spendgate.providers.registry import PROVIDER_NAMES
from spendgate.reconcile.facts import Facts
from spendgate.reconcile.report import document, drilled, page
from spendgate.reconcile.report.tolerance import DEFAULT, Judged, Tolerance, judged
from spendgate.reconcile.run import Options, explain, reconcile
from spendgate.reconcile.sources.interface import Span
from spendgate.statement import DAY_MS


class ReportFormat(StrEnum):
    """`--format` of a report."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    HTML = "html"


FromOption = Annotated[str | None, typer.Option("--from", metavar="DAY", help="First UTC day; else 31 days back.")]
UntilOption = Annotated[
    str | None,
    typer.Option("--until", metavar="DAY", help="UTC day after the last; else today, which is never compared."),
]
ProviderOption = Annotated[
    list[str] | None, typer.Option("--provider", metavar="NAME", help="Only this provider. May be given again.")
]
ToleranceOption = Annotated[
    str | None,
    typer.Option(
        "--tolerance", metavar="PCT|$", help="How much may stay unexplained: 0.5% of what is billed in scope, or $5."
    ),
]
MapOption = Annotated[
    Path | None, typer.Option("--map", metavar="FILE", help="YAML: whose the bill's keys and users are.")
]
WitnessOption = Annotated[
    bool, typer.Option("--witness", help="Ask the session logs of this account, too, as `reconcile witness` does.")
]


def register(_: typer.Typer) -> None:
    """Add the commands to the group `reconcile`, which `reconcile` adds to the application."""
    group.command("report")(report)
    group.command("explain")(explain_)


def report(
    since: FromOption = None,
    until: UntilOption = None,
    provider: ProviderOption = None,
    tolerance: ToleranceOption = None,
    mapped: MapOption = None,
    logs: WitnessOption = False,
    fmt: Annotated[
        ReportFormat,
        typer.Option(
            "--format",
            parser=one_of(ReportFormat),
            metavar=f"[{'|'.join(ReportFormat)}]",
            help="table or html for people, json or csv for programs.",
        ),
    ] = ReportFormat.TABLE,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Where to; else standard output.")
    ] = None,
    state: StateOption = None,
) -> None:
    """Captured against billed: the gap by its causes, coverage, days. Exit status 1 where more is unexplained than is tolerated,
    or nothing could be compared."""
    allowed, asked = _tolerance(tolerance), span_of(since, until)
    known = key_map.read(mapped) if mapped else Facts()
    found = existing_state(state)
    with _reading(found) as reader:
        options = _options(asked, _imported(reader, provider))
        tell_uncounted(reader)
        result = reconcile(reader, options, _facts(reader, found, known, asked, logs=logs))
    verdict = judged(result, allowed)
    with _out(output):
        match fmt:
            case ReportFormat.JSON:
                emit_json(document.document(result, verdict))
            case ReportFormat.CSV:
                emit(document.rows(result, verdict), (), Format.CSV, keys=document.KEYS)
            case ReportFormat.HTML:
                with writing():
                    sys.stdout.write(page.page(result, verdict))
            case ReportFormat.TABLE:
                reconcile_shown.show(result, verdict)
    _judge(verdict)


def explain_(
    day: Annotated[str, typer.Option("--day", metavar="DAY", help="The UTC day.")],
    key: Annotated[
        str, typer.Option("--key", metavar="NAME", help="The key, user or account, as the report names it.")
    ],
    provider: ProviderOption = None,
    mapped: MapOption = None,
    logs: WitnessOption = False,
    fmt: FormatOption = Format.TABLE,
    state: StateOption = None,
) -> None:
    """One day of one key: its causes, the lines of its bill, its calls."""
    asked = _one_day(day)
    known = key_map.read(mapped) if mapped else Facts()
    found = existing_state(state)
    # Calls over midnight, revisions and prices are told from the days around it, so that these are compared as well.
    around = Span(asked.from_ms - 31 * DAY_MS, asked.until_ms + 31 * DAY_MS)
    with _reading(found) as reader:
        facts = _facts(reader, found, known, around, logs=logs)
        try:
            drill = explain(
                reader, _options(around, _imported(reader, provider)), asked.from_ms, utf8("--key", key), facts
            )
        except ValueError as fault:
            raise StateError(f"{day}: {fault}") from fault
    verdict = judged(drill.result)
    match fmt:
        case Format.JSON:
            emit_json(drilled.drilled(drill, verdict))
        case Format.CSV:
            emit(drilled.rows(drill, verdict), (), Format.CSV, keys=drilled.KEYS)
        case Format.TABLE:
            reconcile_drilled.show(drill, verdict, key)


def _one_day(day: str) -> Span:
    begin = int(utc_day("--day", day).timestamp() * 1000)
    return Span(begin, begin + DAY_MS)


def _tolerance(text: str | None) -> Tolerance:
    try:
        return DEFAULT if text is None else Tolerance.parse(text)
    except ValueError as fault:
        raise UsageError(f"--tolerance: {fault}") from fault


def _imported(reader: Reader, providers: list[str] | None) -> tuple[str, ...]:
    """Raises UsageError for one that neither we nor any import knows, which would make a page of zeros."""
    known = {each.provider for each in reader.imports()}
    for name in providers or ():
        if name not in known and name not in PROVIDER_NAMES:
            raise UsageError(f"--provider {name}: no import is of it; there are imports of {', '.join(sorted(known))}")
    return tuple(providers or ())


def _options(asked: Span, providers: tuple[str, ...]) -> Options:
    return Options(asked.from_ms, asked.until_ms, time.time_ns() // 1_000_000, providers)


@contextmanager
def _reading(found: paths.State) -> Iterator[Reader]:
    with closing(Reader(found.ledger)) as reader:
        if not reader.imports():
            raise StateError("nothing was imported yet: `spendgate reconcile import FILE`")
        yield reader


def _facts(reader: Reader, found: paths.State, known: Facts, asked: Span, *, logs: bool) -> Facts:
    """What the map says, and what the logs of this account have that the ledger has not."""
    if not logs:
        return known
    return structs.replace(known, witnessed=(*known.witnessed, *witness.witnessed(reader, found, asked.from_ms)))


@contextmanager
def _out(path: Path | None) -> Iterator[None]:
    if path is None:
        yield
        return
    try:
        with path.open("w", encoding="utf-8", newline="") as out, redirect_stdout(out):
            yield
    except OSError as fault:
        raise StateError(f"{path} cannot be written: {fault.strerror}") from fault


def _judge(verdict: Judged) -> None:
    """Say how it ends, and end so."""
    if not verdict.compared:
        note(
            "nothing could be compared: no closed day has both a statement of what calls cost and a provider's word that its data"
            " reach over it"
        )
        raise typer.Exit(1)
    told = f"{money(verdict.off_nanos)} unexplained, by day and key without signs; tolerance {verdict.told}"
    note(f"{told}: {'over' if verdict.over else 'within'}")
    if verdict.over:
        raise typer.Exit(1)
