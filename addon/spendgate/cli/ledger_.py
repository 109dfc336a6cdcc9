"""`spendgate ledger`: one ledger for an admin to read, from those of many laptops."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from spendgate.cli.options import FormatOption
from spendgate.cli.output import Column, Format, emit, note
from spendgate.errors import UsageError
from spendgate.ledger.merge import merge
from spendgate.ledger.merge_one import Taking
from spendgate.ledger.queries import Reader

group = typer.Typer(name="ledger", help="Many ledgers, read as one.", no_args_is_help=True)
_COLUMNS = (
    Column("file", "file", weight=0),
    Column("outcome", "outcome", weight=0),
    Column("machine", "machine", weight=1),
    Column("calls", "new calls", right=True, weight=0),
    Column("ended", "ended since", right=True, weight=2),
    Column("imports", "statements", right=True, weight=3),
    Column("purged", "purged since", right=True, weight=3),
    Column("ledger", "ledger", weight=4),
)
_KEYS = ("file", "outcome", "machine", "calls", "ended", "imports", "purged", "ledger", "fault")


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(group)


@group.callback()
def common() -> None:
    """Many ledgers, read as one."""


@group.command("merge")
def merge_(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE…", help="Ledgers, or state directories that hold one; live ones, too.")
    ],
    into: Annotated[
        Path, typer.Option("--into", metavar="OUT", help="The merged ledger: a new file, or one of an earlier merge.")
    ],
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Take also what is not as it was written; it stays marked so.")
    ] = False,
    fmt: FormatOption = Format.TABLE,
) -> None:
    """Take every call of these ledgers into one file, once each; run it again to take what is new. Statements come with them,
    factors of estimates and counts of what is billed and not captured do not.

    Read it with `--state` of the directory, where it is named ledger.db. Exit status 1 where a ledger was left out or is marked.
    """
    if not into.absolute().parent.parent.is_dir():
        raise UsageError(f"--into {into}: {into.parent} is no directory; make it first, as by `mkdir -p {into.parent}`")
    found = []
    for taking in merge(
        into, [each / "ledger.db" if each.is_dir() else each for each in files], _now_ms(), anyway=anyway
    ):
        found.append(taking)
        if taking.is_fault:
            note(f"{taking.path}: {taking.outcome}: {taking.fault}")
    emit([_row(each) for each in found], _COLUMNS, fmt, empty="nothing was named", keys=_KEYS)
    for each in _left(into, found):
        note(each)
    if any(each.is_fault for each in found):
        raise typer.Exit(1)


def _left(into: Path, found: Sequence[Taking]) -> Iterator[str]:
    """What is not in the merged ledger though a source has it, and what there was counted without these calls."""
    if into.name != "ledger.db" and into.exists():
        yield f"commands read what is named ledger.db, by `--state` of its directory: merge into {into.parent / 'ledger.db'}"
    if any(each.left for each in found):
        yield (
            "not taken over: factors of estimates, and what is billed and not captured; "
            "`reconcile import` of the bills counts that anew here"
        )
    if any(each.calls or each.ended or each.purged for each in found):
        with closing(Reader(into)) as reader:
            if reader.uncaptured():
                yield (
                    "what is billed and not captured was counted here before these calls came: "
                    "`reconcile import` the same bills once more"
                )


def _row(each: Taking) -> dict[str, object]:
    return {
        "file": str(each.path), "outcome": each.outcome.value, "machine": each.machine, "calls": each.calls, "ended": each.ended,
        "imports": each.imports, "purged": each.purged, "ledger": each.id, "fault": each.fault,
    }  # fmt: skip


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
