"""`spendgate policy test`: the cases that stand beside a policy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from spendgate.cli.options import FormatOption
from spendgate.cli.output import Column, Format, emit, note
from spendgate.config import policies
from spendgate.config.cases import SUFFIX, load_cases, policy_of
from spendgate.config.known import KNOWN
from spendgate.errors import UsageError
from spendgate.review.cases import Verdict, judge

PathsArgument = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="PATH…",
        help=f"Files of cases, policies with cases beside them ({SUFFIX}), or folders; else this folder.",
        show_default=False,
    ),
]
_COLUMNS = (
    Column("passed", "passed", weight=0),
    Column("name", "case", weight=0),
    Column("expected", "expected", weight=1),
    Column("found", "found", weight=1),
    Column("why", "why", weight=2),
    Column("place", "where", weight=3),
)


def register(group: typer.Typer) -> None:
    """Add the command."""
    group.command("test")(test)


def test(paths: PathsArgument = None, fmt: FormatOption = Format.TABLE) -> None:
    """Run the cases beside policies: given past spend, when this call, then admitted or refused by that rule.

    A table shows the cases that failed. Exit status 1 where one did.
    """
    verdicts = [verdict for file in _files(paths or [Path()]) for verdict in _judged(file)]
    failed = [verdict for verdict in verdicts if not verdict.passed]
    rows = [_row(verdict) for verdict in (verdicts if fmt is not Format.TABLE else failed)]
    if rows or fmt is not Format.TABLE:
        emit(rows, _COLUMNS, fmt, keys=[column.key for column in _COLUMNS])
    note(f"{len(verdicts) - len(failed)} passed, {len(failed)} failed")
    if failed:
        raise typer.Exit(1)


def _files(paths: list[Path]) -> Iterator[Path]:
    """The files of cases that these paths mean. Raises UsageError for one that means none."""
    for path in paths:
        if path.is_dir():
            found = sorted(path.rglob(f"*{SUFFIX}"))
            if not found:
                raise UsageError(f"{path}: holds no file of cases; they are called NAME{SUFFIX} beside NAME.yaml")
            yield from found
        elif path.name.endswith(SUFFIX):
            yield path
        else:
            yield path.with_name(path.name.removesuffix(".yaml") + SUFFIX)


def _judged(file: Path) -> Iterator[Verdict]:
    policy = policies.load(policy_of(file), KNOWN)
    for case in load_cases(file, policy).cases:
        yield judge(policy, case)


def _row(verdict: Verdict) -> dict[str, object]:
    return {
        "passed": "yes" if verdict.passed else "no",
        "name": verdict.case.name,
        "expected": str(verdict.case.then),
        "found": str(verdict.found),
        "why": verdict.why,
        "place": verdict.case.place,
    }
