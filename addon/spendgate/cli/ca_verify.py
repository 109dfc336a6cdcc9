"""`spendgate ca verify`: what this machine's programs make of names that the authority may not sign for."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from spendgate.capture.ca import Authority
from spendgate.capture.ca_files import load
from spendgate.capture.organization import issuing
from spendgate.capture.scope import CANARY_HOST
from spendgate.cli.ca_org import opened
from spendgate.cli.options import FormatOption, StateOption, refuse_others
from spendgate.cli.output import Column, Format, emit, note, too_narrow
from spendgate.cli.passphrase import PassphraseOption
from spendgate.config import paths
from spendgate.errors import StateError, UsageError
from spendgate.verifiers.asking import Row, row
from spendgate.verifiers.cases import cases
from spendgate.verifiers.every import VERIFIERS
from spendgate.verifiers.interface import Answer, Case, Verdict, Verifier

AT_ONCE = 2
"""A browser and a compiler beside each other: more would only wait for the same cores."""
_TRIED = timedelta(days=1)
KEYS = ("verifier", "library", "version", "case", "asked", "signed", "allowed", "answer", "wrong", "why")
OnlyOption = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="NAME", help="Only this verifier, by its name in the table; may be repeated."),
]


RootOption = Annotated[
    Path | None,
    typer.Option(
        "--root", metavar="DIR", help="Try an organization's root, where its key is: the folder of `ca org init`."
    ),
]


def verify(
    state: StateOption = None,
    only: OnlyOption = None,
    root: RootOption = None,
    passphrase_file: PassphraseOption = None,
    fmt: FormatOption = Format.TABLE,
) -> None:
    """Show with every TLS verifier of this machine that an allowed host passes and any other name or address fails.

    Each is run against a server on loopback that shows what a thief of the authority's key could sign; none of it is ever on
    disk. Exit status 1 where a forbidden name passes, the allowed one fails, or a verifier gives no answer.
    """
    if passphrase_file is not None and root is None:
        raise UsageError("--passphrase-file belongs to --root")
    verifiers = _chosen(only or [])
    authority = _authority(paths.find(state)) if root is None else _organizations(root, passphrase_file)
    tried = cases(authority.domains, CANARY_HOST)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        rows = list(pool.map(lambda each: row(each, tried, authority, datetime.now(UTC)), verifiers))
    if fmt is Format.TABLE:
        _table(rows, tried)
    else:
        emit([_line(each, verdict) for each in rows for verdict in each.verdicts], (), fmt, keys=KEYS)
    wrong = [(each, verdict) for each in rows for verdict in each.verdicts if verdict.wrong]
    for each, verdict in wrong:
        note(_told(each.verifier, verdict))
    if all(verdict.answer is Answer.ABSENT for each in rows for verdict in each.verdicts):
        note("none of these verifiers is on this machine: nothing was shown")
        raise typer.Exit(1)
    if wrong:
        raise typer.Exit(1)


def _chosen(only: Sequence[str]) -> list[Verifier]:
    """Raises UsageError."""
    names = {verifier.name.lower(): verifier for verifier in VERIFIERS}
    for word in only:
        if word.lower() not in names:
            known = ", ".join(verifier.name for verifier in VERIFIERS)
            raise UsageError(f"--only {word!r}: no such verifier; known are {known}")
    return [names[word.lower()] for word in only] or list(VERIFIERS)


def _authority(state: paths.State) -> Authority:
    """Raises StateError: whoever may not read the key may not try what it could sign."""
    try:
        if state.ca_key.exists():
            refuse_others(state)
            return load(state.ca_key, datetime.now(UTC))
    except PermissionError as fault:
        raise StateError(f"{state.ca_key} is its owner's alone: run this as the account that runs the gate") from fault
    if state.leaves.exists():
        raise StateError(
            "no CA's key is on this device, so that nothing can be signed to try: `ca verify --root DIR` does it where the"
            " organization's root is"
        )
    raise StateError(f"{state.ca_key} is not there: `spendgate run` makes it at its next start")


def _organizations(root: Path, passphrase_file: Path | None) -> Authority:
    """An issuer of the root's for the moment. Raises SpendgateError."""
    try:
        return issuing(opened(root, passphrase_file), datetime.now(UTC), _TRIED)
    except ValueError as fault:
        raise StateError(f"{root}: {fault}") from fault


def _line(each: Row, verdict: Verdict) -> dict[str, object]:
    case = verdict.case
    return {
        "verifier": each.verifier,
        "library": each.library,
        "version": each.version,
        "case": case.name,
        "asked": case.asked,
        "signed": case.signed,
        "allowed": case.allowed,
        "answer": str(verdict.answer),
        "wrong": verdict.wrong,
        "why": verdict.why,
    }


def _table(rows: Sequence[Row], tried: Sequence[Case]) -> None:
    """A column for each case; where they do not fit beside each other, one for all that must fail."""
    who = (Column("verifier", "verifier", weight=0), Column("library", "library"), Column("version", "version"))
    lines = [
        {"verifier": each.verifier, "library": each.library, "version": each.version, "others": _others(each)}
        | {verdict.case.name: str(verdict.answer) for verdict in each.verdicts}
        for each in rows
    ]
    columns = [Column(case.name, case.name, weight=0) for case in tried]
    if too_narrow(lines, [*who[:1], *columns]):
        columns = [columns[0], Column("others", f"the {len(tried) - 1} others", weight=0, wraps=True)]
    emit(lines, [*who, *columns], Format.TABLE)


def _others(each: Row) -> str:
    """All forbidden cases in a word, or those that did not fail."""
    forbidden = [verdict for verdict in each.verdicts if not verdict.case.allowed]
    if all(verdict.answer is Answer.ABSENT for verdict in forbidden):
        return str(Answer.ABSENT)
    wrong = [f"{verdict.case.name} {verdict.answer}" for verdict in forbidden if verdict.wrong]
    return ", ".join(wrong) or "fail"


def _told(name: str, verdict: Verdict) -> str:
    case = verdict.case
    if verdict.answer is Answer.UNCLEAR:
        return f"{name} gave no answer on {case.name} ({case.asked}): {verdict.why}"
    if case.allowed:
        return f"{name} refuses the allowed host {case.asked}: {verdict.why}"
    return f"{name} lets {case.name} ({case.asked}) pass"
