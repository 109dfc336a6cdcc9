"""`spendgate reconcile calibrate` and `reconcile calibrations`: what bills teach the estimates, and what is in force."""

from __future__ import annotations

import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from msgspec import structs

from spendgate.calibration import ONE_PPM
from spendgate.cli import factors_file, in_force
from spendgate.cli.account import own_account
from spendgate.cli.factors_file import IN_FORCE
from spendgate.cli.not_captured import people_of
from spendgate.cli.options import FormatOption, StateOption, existing_state
from spendgate.cli.output import Column, Format, emit, note
from spendgate.cli.reconcile import group
from spendgate.cli.statements_given import span_of
from spendgate.config import key_map, paths
from spendgate.errors import StateError, UsageError
from spendgate.ledger.calibrations import Calibration
from spendgate.ledger.queries import Reader
from spendgate.ledger.statements import StatementBook
from spendgate.model_names import family
from spendgate.reconcile.calibrate import CALLS_LEAST, DAYS_LEAST, USER_DAYS_LEAST, Learned, Lesson, Verdict, learn
from spendgate.reconcile.facts import Facts
from spendgate.reconcile.run import Options
from spendgate.statement import DAY_MS

_COLUMNS = (
    Column("tool", "tool", weight=0),
    Column("model", "model", weight=0),
    Column("factor_shown", "factor", right=True, weight=0),
    Column("now_shown", "now", right=True, weight=1),
    Column("middle_half", "middle half", right=True, weight=4),
    Column("before", "off before", right=True, weight=0),
    Column("after", "off after", right=True, weight=0),
    Column("user_days", "user-days", right=True, weight=2),
    Column("days", "days", right=True, weight=3),
    Column("calls", "calls", right=True, weight=2),
    Column("verdict", "is", weight=0),
)
_KEYS = (
    "tool", "model", "verdict", "factor_ppm", "median_ppm", "now_ppm", "before_ppm", "after_ppm", "spread_low_ppm",
    "spread_high_ppm", "user_days", "days", "calls", "from", "until", "estimated_nanos", "billed_nanos",
)  # fmt: skip
_PAST_COLUMNS = (
    Column("name", "calibration", weight=0),
    Column("tool", "tool", weight=0),
    Column("model", "model", weight=0),
    Column("factor_shown", "factor", right=True, weight=0),
    Column("before", "off before", right=True, weight=1),
    Column("after", "off after", right=True, weight=1),
    Column("calls", "calls", right=True, weight=2),
    Column("at", "since", weight=1),
    Column("who", "by", weight=3),
    Column("state", "state", weight=0),
)
_PAST_KEYS = (
    "name", "tool", "model", "state", "factor_ppm", "before_ppm", "after_ppm", "user_days", "calls", "from", "until",
    "imports", "at", "who",
)  # fmt: skip


def register(_: typer.Typer) -> None:
    """Add the commands to the group `reconcile`, which `reconcile` adds to the application."""
    group.command("calibrate")(calibrate)
    group.command("calibrations")(calibrations)


def calibrate(
    since: Annotated[
        str | None, typer.Option("--from", metavar="DAY", help="First UTC day; else 31 days back.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="DAY", help="UTC day after the last; else today.")
    ] = None,
    mapped: Annotated[
        Path | None, typer.Option("--map", metavar="FILE", help="YAML: whose the bill's keys and users are.")
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="Put what is better in force; else it is only shown.")] = False,
    forget: Annotated[
        str | None, typer.Option("--forget", metavar="TOOL=MODEL", help="Take this factor back, in place of learning.")
    ] = None,
    take: Annotated[
        Path | None,
        typer.Option(
            "--take", metavar="FILE", help="Take over those in force elsewhere: `calibrations --format json`."
        ),
    ] = None,
    state: StateOption = None,
    fmt: FormatOption = Format.TABLE,
) -> None:
    """How far estimates are off the imported bills, by tool and model, and by what factor they would be nearer."""
    found, asked = existing_state(state), span_of(since, until)
    if forget is not None or take is not None:
        if take is not None:
            _take(found, take)
        if forget is not None:
            _forget(found, forget)
        return
    facts = people_of(in_force.policy(found), key_map.read(mapped) if mapped else Facts())
    with closing(Reader(found.ledger)) as reader:
        if not reader.imports():
            raise StateError("nothing was imported yet: `spendgate reconcile import FILE`")
        taught, imports = learn(reader, Options(asked.from_ms, asked.until_ms, _now_ms()), facts)
    empty = "no estimated call of a user-day that a bill tells whole"
    emit([_row(each) for each in taught.learned], _COLUMNS, fmt, empty=empty, keys=_KEYS)
    _explain(taught)
    better = [each for each in taught.learned if each.verdict is Verdict.LEARNED]
    if write and better:
        with StatementBook(found.ledger) as book:
            made = book.calibrate([_calibration(each, imports) for each in better], own_account(), _now_ms())
        note(f"calibration {made[0].name}: {len(made)} in force; what has been settled stays as it was charged")
    elif better:
        note("nothing is written: --write puts what is better in force")


def calibrations(state: StateOption = None, fmt: FormatOption = Format.TABLE) -> None:
    """Every factor that was put in force, newest last."""
    with closing(Reader(existing_state(state).ledger)) as reader:
        every = reader.calibrations()
    newest = {(each.tool, each.model): each for each in every}
    rows = [
        _past(each, in_force=newest[each.tool, each.model] is each and each.factor_ppm != ONE_PPM) for each in every
    ]
    emit(rows, _PAST_COLUMNS, fmt, empty="no estimate is calibrated: `spendgate reconcile calibrate`", keys=_PAST_KEYS)


def _forget(found: paths.State, text: str) -> None:
    tool, equals, model = text.partition("=")
    with closing(Reader(found.ledger)) as reader:
        known = {(each.tool, each.model): each for each in reader.calibrations()}
    was = known.get((tool, family(model)))
    if not equals or was is None or was.factor_ppm == ONE_PPM:
        names = ", ".join(f"{a}={b}" for (a, b), each in sorted(known.items()) if each.factor_ppm != ONE_PPM)
        raise UsageError(f"--forget {text}: no such factor is in force; there are: {names or 'none'}")
    back = structs.replace(was, factor_ppm=ONE_PPM, before_ppm=None, after_ppm=None)
    with StatementBook(found.ledger) as book:
        book.calibrate([back], own_account(), _now_ms())
    note(f"estimates of {tool} and {was.model} stand as they are from here on")


def _take(found: paths.State, file: Path) -> None:
    """Put in force what another ledger has in force, and this one has not. Raises StateError."""
    given = factors_file.read(file)
    with closing(Reader(found.ledger)) as reader:
        here = {(each.tool, each.model): each.factor_ppm for each in reader.calibrations()}
    new = [each for each in given if here.get((each.tool, each.model)) != each.factor_ppm]
    if not new:
        note(f"{file}: nothing is in force there that is not in force here")
        return
    with StatementBook(found.ledger) as book:
        made = book.calibrate(new, own_account(), _now_ms())
    for each in made:
        note(f"calibration {each.name}: {each.tool}, {each.model}: {_times(each.factor_ppm)}, from {file.name}")


def _explain(taught: Lesson) -> None:
    if taught.learned:
        note(
            "off: what every user-day is off by, none made up for by another, over what is billed; after: on days that the "
            "factor was not learned from"
        )
    if any(each.verdict is Verdict.TOO_LITTLE for each in taught.learned):
        note(f"too little: under {USER_DAYS_LEAST} user-days, {DAYS_LEAST} days or {CALLS_LEAST} calls")
    for each in taught.learned:
        if each.median_ppm is not None and each.factor_ppm != each.median_ppm:
            note(f"{each.tool}, {each.model}: billed is x{each.median_ppm / ONE_PPM:.2f}; no factor goes so far")
    for why, count in taught.left_out:
        note(f"left out: {count} user-day{'s' if count > 1 else ''}: {why}")


def _calibration(each: Learned, imports: tuple[str, ...]) -> Calibration:
    if each.factor_ppm is None:
        raise ValueError("a verdict of `better` has a factor")
    return Calibration(
        each.tool, each.model, each.factor_ppm, each.before_ppm, each.after_ppm, len(each.days), each.calls, each.dates[0],
        each.dates[-1] + DAY_MS, imports,
    )  # fmt: skip


def _row(each: Learned) -> dict[str, object]:
    low, high = each.spread_ppm or (None, None)
    return {
        "tool": each.tool, "model": each.model, "verdict": each.verdict.value, "factor_ppm": each.factor_ppm,
        "median_ppm": each.median_ppm, "now_ppm": each.now_ppm, "before_ppm": each.before_ppm, "after_ppm": each.after_ppm,
        "spread_low_ppm": low, "spread_high_ppm": high, "user_days": len(each.days), "days": len(each.dates),
        "calls": each.calls, "from": _day(each.dates[0]), "until": _day(each.dates[-1] + DAY_MS),
        "estimated_nanos": round(sum(day.estimated for day in each.days)), "billed_nanos": sum(day.billed for day in each.days),
        "factor_shown": _times(each.factor_ppm), "now_shown": _times(each.now_ppm), "before": _percent(each.before_ppm),
        "after": _percent(each.after_ppm), "middle_half": f"{_times(low)}-{_times(high)}" if low is not None else "",
    }  # fmt: skip


def _past(each: Calibration, *, in_force: bool) -> dict[str, object]:
    return {
        "name": each.name, "tool": each.tool, "model": each.model, "state": IN_FORCE if in_force else "replaced",
        "factor_ppm": each.factor_ppm, "before_ppm": each.before_ppm, "after_ppm": each.after_ppm,
        "user_days": each.user_days, "calls": each.calls, "from": _day(each.from_ms), "until": _day(each.until_ms),
        "imports": list(each.imports), "at": _day(each.at_ms, "%Y-%m-%dT%H:%M:%SZ"), "who": each.who,
        "factor_shown": _times(each.factor_ppm), "before": _percent(each.before_ppm), "after": _percent(each.after_ppm),
    }  # fmt: skip


def _times(ppm: int | None) -> str:
    return "" if ppm is None else f"x{ppm / ONE_PPM:.2f}"


def _percent(ppm: int | None) -> str:
    return "" if ppm is None else f"{ppm / 10_000:.1f}%"


def _day(ms: int, form: str = "%Y-%m-%d") -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime(form)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
