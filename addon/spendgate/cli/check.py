"""`spendgate policy check`: every fault of a policy at once, and what is allowed but hardly meant."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from spendgate.alerts.courier import unusable
from spendgate.alerts.routing import service
from spendgate.cli.named import known_here
from spendgate.cli.options import FormatOption, one_of
from spendgate.cli.output import Format, emit, emit_json, inert, note, writing
from spendgate.config.bundle import SUFFIXES, Bundle, Gathering
from spendgate.config.cases import SUFFIX, cases_schema
from spendgate.config.faults import Place
from spendgate.config.key_texts import described, reference
from spendgate.config.known import KNOWN
from spendgate.config.places import idle_words, places
from spendgate.config.policy_file import include_schema, parse_policy, policy_schema
from spendgate.errors import PolicyError
from spendgate.notices import notices, signable, spent_on_each
from spendgate.policy import Policy
from spendgate.review.doubts import doubts
from spendgate.review.secrets import secrets_in
from spendgate.window import local_date

FilesArgument = Annotated[
    list[Path], typer.Argument(metavar="FILE…", help="The policies to check.", show_default=False, readable=False)
]
_BESIDE_MAX = 100
_KEYS = ("severity", "text")
_TOP = Place(1, 1)
_CREDENTIAL = "this looks like a credential; a policy is no place for one, use ${SPENDGATE_SECRET_…} where it may"

_Placed = tuple[bool, str, Place, str]
"""A warning: whether it is about an included file, that file, where, and what."""


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
    note(
        f"{len(files)} checked: {faults} fault{'' if faults == 1 else 's'}, {warnings} warning{'' if warnings == 1 else 's'}"
    )
    if faults:
        raise typer.Exit(1)


class File(StrEnum):
    """Kinds of file that have a schema."""

    POLICY = "policy"
    INCLUDE = "include"
    CASES = "cases"


def schema(
    of: Annotated[
        File,
        typer.Option(
            "--for",
            parser=one_of(File),
            metavar=f"[{'|'.join(File)}]",
            help="Which kind of file: a policy, one that it includes, its cases.",
        ),
    ] = File.POLICY,
) -> None:
    """Print the JSON Schema of a policy file, so that an editor completes keys and marks faults.

    It has the keys that this version reads; what only reading can tell, such as a team that nobody declares, `policy check` says.
    """
    emit_json(described(_SCHEMAS[of](), reference()))


_SCHEMAS = {
    File.POLICY: lambda: policy_schema(KNOWN),
    File.INCLUDE: lambda: include_schema(KNOWN),
    File.CASES: cases_schema,
}


def _findings(file: Path) -> list[Finding]:
    if file.name.endswith(SUFFIX):
        of = file.with_name(f"{file.name.removesuffix(SUFFIX)}.yaml")
        return [Finding("note", f"{file}: note: cases of a policy, none itself: spendgate policy test {of}")]
    try:
        read = Gathering(file)
    except PolicyError as fault:
        return [Finding("fault", line) for line in fault.faults]
    try:
        policy = parse_policy(read.main, str(file), KNOWN, beside=read.beside)
    except PolicyError as fault:
        faults = [Finding("fault", line) for line in fault.faults]
        return [*faults, *_warnings(_secrets(file, read.bundle)), *_including(file)]
    found = [*_doubts(file, read.bundle, policy), *_secrets(file, read.bundle)]
    return [
        *_warnings(found),
        *(Finding("note", f"{file}: note: {text}") for text in (*spent_on_each(policy), *signable(policy))),
    ]


def _including(file: Path) -> Iterator[Finding]:
    """The policies beside it that include a file which takes no force by itself."""
    beside = sorted(path for path in file.parent.glob("*.y*ml") if path.suffix in SUFFIXES and path.name != file.name)
    for path in beside[:_BESIDE_MAX]:
        try:
            read = Gathering(path)
        except PolicyError:
            continue
        with suppress(PolicyError):  # whose only fault may be this file
            parse_policy(read.main, str(path), KNOWN, beside=read.beside)
        if file.name in read.bundle.names:
            yield Finding("note", f"{file}: note: included by {path.name}: spendgate policy check {path}")


def _warnings(found: list[_Placed]) -> list[Finding]:
    """In the order of the file; those of included ones follow by their names."""
    ordered = sorted(found, key=lambda each: each[:3])
    return [Finding("warning", f"{name}:{at.line}:{at.column}: warning: {text}") for _, name, at, text in ordered]


def _doubts(file: Path, bundle: Bundle, policy: Policy) -> list[_Placed]:
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    where: dict[str, tuple[bool, str, Place]] = {}
    idle: list[tuple[str, str]] = []
    for beside, name, data in _files(file, bundle):
        for subject, at in places(data).items():
            where.setdefault(subject, (beside, name, at))
        idle += idle_words(data)
    top = (False, str(file), _TOP)
    told = [(doubt.subject, doubt.text) for doubt in doubts(policy, local_date(policy.timezone, now_ms), known_here())]
    told += [*idle, *_unusable(policy)]
    # A notice about one key begins with it.
    told += [(text.partition(".")[0], text) for text in notices(policy, now_ms)]
    return [(*(where.get(subject) or where.get(subject.partition(".")[0]) or top), text) for subject, text in told]


def _unusable(policy: Policy) -> Iterator[tuple[str, str]]:
    """Receivers to which this machine can send nothing. Another one may: a fleet's gates run elsewhere than the check."""
    lacking = unusable(policy)
    entries = [("notify", entry) for entry in policy.notify]
    entries += [(f"teams.{team.name}", entry) for team in policy.roster.teams for entry in team.notify]
    for subject, name in dict.fromkeys((subject, service(entry)) for subject, entry in entries):
        if name in lacking:
            yield subject, f"nothing can be sent to {name} from this machine: it {lacking[name]}"


def _secrets(file: Path, bundle: Bundle) -> list[_Placed]:
    return [
        (beside, name, Place(line, column), _CREDENTIAL)
        for beside, name, data in _files(file, bundle)
        for line, column in secrets_in(data.decode("utf-8", "replace"))
    ]


def _files(file: Path, bundle: Bundle) -> Iterator[tuple[bool, str, bytes]]:
    """Each file of a policy that could be read: whether it is an included one, its name, its bytes."""
    yield False, str(file), bundle.main
    for name, data in bundle.included:
        if data is not None:
            yield True, str(file.with_name(name)), data
