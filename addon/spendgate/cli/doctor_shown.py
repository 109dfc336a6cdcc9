"""What `doctor` found, for programs and for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from spendgate import __version__
from spendgate.cli.account import own_account
from spendgate.cli.examining import Examined, ToolFound
from spendgate.cli.lines import counted, say, value
from spendgate.cli.moments import iso
from spendgate.cli.output import Column, Format, console, emit, inert, writing
from spendgate.doctor.interface import Check, State

VERSION: Final = 1
"""Of the document: a script that knows this one goes on working while it is this."""
_TOOLS = (
    Column("tool", "tool", weight=0),
    Column("version", "version", weight=2),
    Column("trusted", "trusts", weight=0),
    Column("way", "captured", weight=0, wraps=True),
    Column("last", "last call", weight=1),
    Column("how", "shown by", weight=3),
    Column("path", "where", weight=4),
)
_MARKS = {State.FINDING: "x", State.UNSEEN: "?", State.FINE: "-"}


def row(check: Check) -> dict[str, object]:
    """One check for programs."""
    return {
        "check": check.name, "about": check.about, "state": check.state.value, "says": check.says, "remedy": check.remedy
    }  # fmt: skip


def document(found: Examined) -> dict[str, object]:
    """The whole for programs: stable within its version, to which keys may be added."""
    report = found.report
    return {
        "version": VERSION,
        "spendgate": __version__,
        "at": iso(int(found.at.timestamp() * 1000)),
        "account": own_account(),
        "machine": report.machine if report else None,
        "fine": not found.findings,
        "findings": len(found.findings),
        "not_seen": sum(1 for each in found.checks if each.state is State.UNSEEN),
        "checks": [row(each) for each in found.checks],
        "tools": [_tool(each) for each in found.tools],
        "coverage": [each.row() for each in report.tools] if report else [],
        "around": [
            {
                "pid": each.pid, "account": each.account, "program": each.program, "tool": each.tool or None,
                "hosts": list(each.hosts), "addresses": list(each.addresses),
            }
            for each in found.around
        ],
        "stores": {store.value: has for store, has in found.stores.items()},
    }  # fmt: skip


def _tool(found: ToolFound) -> dict[str, object]:
    return {
        "tool": found.one.tool.name,
        "path": found.one.path,
        "version": found.one.version or None,
        "trusted": found.trusted.yes,
        "trusted_by": found.trusted.why,
        "captured": found.reached.yes,
        "way": found.reached.why,
        "shown_by": "its own call" if found.asked else "what is known of it",
        "last_call_at": None if found.last_ms is None else iso(found.last_ms),
    }


@writing()
def print_examined(found: Examined) -> None:
    """For people: what is wrong first, then what could not be seen, then the rest."""
    for state in (State.FINDING, State.UNSEEN, State.FINE):
        _print_checks([each for each in found.checks if each.state is state and not _in_table(each)], state)
    if found.tools:
        console().print()
        emit([_shown(each) for each in found.tools], _TOOLS, Format.TABLE)
    unseen = sum(1 for each in found.checks if each.state is State.UNSEEN)
    verdict = counted(len(found.findings), "finding") if found.findings else "all fine"
    console().print()
    say("", verdict + (f", {unseen} not seen" if unseen else ""), indent=0)


def _in_table(check: Check) -> bool:
    """A tool that is fine has its line below."""
    return check.state is State.FINE and check.name.startswith("tool.")


def _print_checks(checks: Sequence[Check], state: State) -> None:
    style = {State.FINDING: "red", State.UNSEEN: "yellow"}.get(state, "")
    for check in _together(checks):
        say(_MARKS[state], value(check.about), check.says, style=style, indent=2)
        if check.remedy:
            say("", inert(check.remedy), indent=4)


def _together(checks: Sequence[Check]) -> list[Check]:
    """What is said of several, once."""
    found: dict[tuple[str, str], list[str]] = {}
    for each in checks:
        found.setdefault((each.says, each.remedy), []).append(each.about)
    return [
        Check("", ", ".join(dict.fromkeys(about)), checks[0].state, says, remedy)
        for (says, remedy), about in found.items()
    ]


def _shown(found: ToolFound) -> dict[str, object]:
    words = {True: "yes", False: "no", None: "not known"}
    return {
        "tool": found.one.tool.name,
        "version": found.one.version,
        "trusted": words[found.trusted.yes],
        "way": found.reached.why if found.reached.yes else words[found.reached.yes],
        "last": "never seen" if found.last_ms is None else iso(found.last_ms)[:16].replace("T", " ") + " UTC",
        "how": "its own call" if found.asked else "what is known of it",
        "path": found.one.path,
    }
