"""`spendgate policy check`: every fault of a policy at once, and what is allowed but hardly meant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from spendgate.cli.options import FormatOption
from spendgate.cli.output import Format, emit, emit_json, inert, note, writing
from spendgate.config import policies
from spendgate.config.faults import Place
from spendgate.config.known import KNOWN
from spendgate.config.places import places
from spendgate.config.policy_file import policy_schema
from spendgate.errors import PolicyError
from spendgate.notices import notices, spent_on_each
from spendgate.policy import Policy
from spendgate.pricing import PriceBook
from spendgate.review.doubts import doubts, secrets_in
from spendgate.window import local_date

FilesArgument = Annotated[
    list[Path], typer.Argument(metavar="FILE…", help="The policies to check.", show_default=False)
]
_KEYS = ("severity", "text")
_TOP = Place(1, 1)
_CREDENTIAL = (
    "this looks like a credential; a policy is read and copied by many: put ${SPENDGATE_SECRET_…} in its place"
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: `file:line:column: …`. `severity` is `fault`, `warning`, or `note`: what holds, and is no mistake."""

    severity: str
    text: str


def register(group: typer.Typer) -> None:
    """Add the command."""
    group.command("check")(check)
    group.command("schema")(schema)


def check(files: FilesArgument, fmt: FormatOption = Format.TABLE) -> None:
    """Name every fault of these policies at once, each with its place and a remedy; then what is allowed and hardly meant.

    Exit status 1 where a policy could not take force; warnings alone are 0.
    """
    found = [finding for file in files for finding in _findings(file)]
    faults = sum(finding.severity == "fault" for finding in found)
    if fmt is Format.TABLE:
        with writing():
            for finding in found:
                typer.echo(inert(finding.text))
    else:
        emit([{"severity": each.severity, "text": each.text} for each in found], (), fmt, keys=_KEYS)
    warnings = sum(finding.severity == "warning" for finding in found)
    note(f"{len(files)} checked: {faults} fault{'' if faults == 1 else 's'}, {warnings} warnings")
    if faults:
        raise typer.Exit(1)


def schema() -> None:
    """Print the JSON Schema of a policy file, so that an editor completes keys and marks faults.

    It has the keys that this version reads; what only reading can tell, such as a team that nobody declares, `policy check` says.
    """
    emit_json(policy_schema(KNOWN))


def _findings(file: Path) -> list[Finding]:
    try:
        policy = policies.load(file, KNOWN)
    except PolicyError as fault:
        return [Finding("fault", line) for line in fault.faults]
    return [
        *(Finding("warning", f"{file}:{at.line}:{at.column}: warning: {text}") for at, text in _warnings(file, policy)),
        *(Finding("note", f"{file}: note: {text}") for text in spent_on_each(policy)),
    ]


def _warnings(file: Path, policy: Policy) -> list[tuple[Place, str]]:
    data = file.read_bytes()
    where = places(data)
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    today = local_date(policy.timezone, now_ms)
    found = [
        (where.get(doubt.subject) or where.get(doubt.subject.partition(".")[0]) or _TOP, doubt.text)
        for doubt in doubts(policy, today, PriceBook().model_ids())
    ]
    # A notice about one key begins with it.
    found += [(where.get(text.partition(".")[0], _TOP), text) for text in notices(policy, now_ms)]
    found += [
        (
            Place(line, column),
            "this looks like a credential; a policy is no place for one, use ${SPENDGATE_SECRET_…} where it may",
        )
        for line, column in secrets_in(data.decode("utf-8", "replace"))
    ]
    return sorted(found, key=lambda each: each[0])
