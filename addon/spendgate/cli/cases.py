"""`spendgate policy test`: the cases that stand beside a policy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from spendgate.cli import whole_lines
from spendgate.cli.named import TOOLS
from spendgate.cli.options import FormatOption
from spendgate.cli.output import Format, emit, inert, note
from spendgate.config import policies
from spendgate.config.cases import SUFFIX, load_cases, policy_of
from spendgate.config.known import KNOWN
from spendgate.errors import PolicyError, UsageError
from spendgate.providers.registry import STATING
from spendgate.review.cases import Verdict, judge

PathsArgument = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="PATH…",
        help=f"Files of cases, policies with cases beside them ({SUFFIX}), or folders; else this folder.",
        show_default=False,
    ),
]
_KEYS = ("passed", "name", "expected", "found", "why", "call", "place")


def register(group: typer.Typer) -> None:
    """Add the command."""
    group.command("test")(test)


def test(paths: PathsArgument = None, fmt: FormatOption = Format.TABLE) -> None:
    """Run the cases beside policies: given past spend, when this call, then admitted or refused by that rule.

    For people the cases that failed are shown; faults of cases and policies stand on stderr, each with its place. Exit status 1
    where a case failed or a file has a fault.
    """
    verdicts: list[Verdict] = []
    unread: list[PolicyError] = []
    for file in tuple(dict.fromkeys(_files(paths or [Path()]))):
        try:
            verdicts += _judged(file)
        except PolicyError as fault:
            unread.append(fault)
    failed = [verdict for verdict in verdicts if not verdict.passed]
    if fmt is Format.TABLE:
        for verdict in failed:
            _show(verdict)
    else:
        emit([_row(verdict) for verdict in verdicts], (), fmt, keys=_KEYS)
    faults = [line for each in unread for line in each.faults]
    for line in faults:
        typer.echo(inert(line), err=True)
    note(f"{len(verdicts) - len(failed)} passed, {len(failed)} failed{_not_run(len(unread), len(faults))}")
    if failed or faults:
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
        elif path.suffix == ".yaml":
            yield path.with_name(path.stem + SUFFIX)
        else:
            raise UsageError(f"{path}: is no folder, no policy NAME.yaml and no file of cases NAME{SUFFIX}")


def _judged(file: Path) -> list[Verdict]:
    """What came of the cases of one file. Raises PolicyError with every fault of it and of its policy."""
    try:
        policy = policies.load(policy_of(file), KNOWN)
    except PolicyError as fault:
        raise PolicyError((*fault.faults, *_faults_of_cases(file))) from fault
    return [judge(policy, case, STATING) for case in load_cases(file, policy, TOOLS).cases]


def _faults_of_cases(file: Path) -> tuple[str, ...]:
    """Those that can be told without a policy."""
    try:
        load_cases(file, None, TOOLS)
    except PolicyError as fault:
        return fault.faults
    return ()


def _not_run(files: int, faults: int) -> str:
    if not files:
        return ""
    return f"; {files} {'file' if files == 1 else 'files'} not run: {faults} {'fault' if faults == 1 else 'faults'}"


def _show(verdict: Verdict) -> None:
    """A case that failed: its place, as editors open it, and below what came of it."""
    row = _row(verdict)
    whole_lines.say(f"{row['place']}: failed: {row['name']}")
    for key in ("expected", "found", "why", "call"):
        if row[key]:
            whole_lines.say(f"{key:8}  {row[key]}", 2)


def _row(verdict: Verdict) -> dict[str, str]:
    return {
        "passed": "yes" if verdict.passed else "no",
        "name": verdict.case.name,
        "expected": str(verdict.case.then),
        "found": str(verdict.found),
        "why": verdict.why,
        "call": verdict.call,
        "place": verdict.case.place,
    }
