"""`spendgate reconcile witness`: the tools' own logs beside the ledger, and what went around the gate."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, Final

import typer

from spendgate.cli import in_force, witness_heard, witness_shown
from spendgate.cli.account import own_account
from spendgate.cli.environment import no_proxy
from spendgate.cli.lines import counted
from spendgate.cli.moments import iso
from spendgate.cli.options import FormatOption, StateOption, existing_state
from spendgate.cli.output import Format, emit, note
from spendgate.cli.reconcile import group
from spendgate.cli.spans import span
from spendgate.cli.spend import SinceOption
from spendgate.config import paths
from spendgate.errors import SpendgateError, StateError
from spendgate.ledger.named import UNRECOGNIZED, NamedCall
from spendgate.ledger.queries import Reader
from spendgate.reconcile.facts import Witnessed
from spendgate.reconcile.witnesses import trail
from spendgate.reconcile.witnesses.evidence import around
from spendgate.reconcile.witnesses.hearing import Hearing, hear
from spendgate.reconcile.witnesses.interface import Seen
from spendgate.reconcile.witnesses.matching import Heard, Matched, Pair, match
from spendgate.reconcile.witnesses.whys import Blind, Known, Reason, why
from spendgate.window import zone_of

LONGEST_CALL_MS: Final = 86_400_000
"""A request of the log may have been asked for so long before it was answered."""
_KEYS = (
    "where", "at", "tool", "witness", "kind", "session", "sub_agent", "model", "input_tokens", "cache_read_tokens",
    "cache_write_tokens", "output_tokens", "response_id", "request_id", "call", "joined_by", "why", "firm", "evidence", "remedy",
)  # fmt: skip
Row = Mapping[str, object]


def register(_: typer.Typer) -> None:
    """Add the command to the group `reconcile`, which `reconcile` adds to the application."""
    group.command("witness")(witness)


def witness(
    since: SinceOption = None,
    telemetry: Annotated[
        list[Path] | None,
        typer.Option(
            "--telemetry", metavar="FILE", help="Claude Code's OpenTelemetry events, too. May be given again."
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Also the requests that both know.")] = False,
    state: StateOption = None,
    fmt: FormatOption = Format.TABLE,
) -> None:
    """What the tools' own session logs of this account have and the ledger has not, and the other way around; exit status 1
    where a request went around the gate. Reads counts, ids and times, from the ledger's beginning on without --since.
    """
    policy = in_force.policy(paths.find(state))
    asked = span(policy, since, None, None)
    for file in telemetry or ():
        if not file.exists():
            raise StateError(f"--telemetry {file}: there is no such file")
        if not (file.is_file() or file.is_dir()):
            raise StateError(
                f"--telemetry {file}: no file and no folder: write what comes through it into a file first"
            )
    found = existing_state(state)
    with closing(Reader(found.ledger)) as reader:
        matched, known, hearings = listen(reader, found, asked.since_ms, tuple(telemetry or ()))
    zone = zone_of(policy.timezone)
    rows = [row for row in _rows(matched, known) if every or row["where"] != "both" or row["why"]]
    if fmt is Format.TABLE:
        witness_shown.show(rows, zone, witness_heard.nothing(hearings))
    else:
        emit([{**row, "at": iso(_ms(row["at"]))} for row in rows], (), fmt, keys=_KEYS)
    witness_heard.sum_up(matched, hearings)
    if matched.around:
        note(f"{counted(len(matched.around), 'request')} went around the gate: exit status 1")
        raise typer.Exit(1)


def listen(
    reader: Reader, found: paths.State, asked_ms: int | None, telemetry: tuple[Path, ...] = ()
) -> tuple[Matched, Known, tuple[Hearing, ...]]:
    """The logs of this account beside the ledger, from `asked_ms` or the ledger's beginning on, and what can tell why."""
    lines = reader.audit()
    # The trail of a merged file begins with the merge, its calls long before.
    begins = [lines[0]["at_ms"]] if lines else []
    begins += [] if (first_ms := reader.first_booked_ms()) is None else [first_ms]
    since_ms = asked_ms if asked_ms is not None else min(begins, default=0)
    hearings = hear(Path.home(), os.environ, since_ms, telemetry)
    calls = reader.named_calls(since_ms - LONGEST_CALL_MS, _far())
    blind = tuple(_blind(row) for row in reader.coverage())
    heard = Heard(frozenset(each.witness.tool for each in hearings if each.there), own_account(), since_ms)
    matched = match((seen for each in hearings for seen in each.seen), calls, heard)
    return (
        matched,
        _known(matched, hearings, calls, None if reader.sources() else lines, blind, found, since_ms),
        hearings,
    )


def witnessed(reader: Reader, found: paths.State, since_ms: int) -> tuple[Witnessed, ...]:
    """The requests of this account's logs that went around the gate, as a reconciliation takes them; what could not be read of
    them is told on stderr."""
    matched, known, hearings = listen(reader, found, since_ms)
    witness_heard.tell_unread(hearings)
    return around(matched, lambda seen: why(seen, known))


def _far() -> int:
    return time.time_ns() // 1_000_000 + LONGEST_CALL_MS


def _ms(value: object) -> int:
    return int(str(value))


def _blind(row: Mapping[str, object]) -> Blind:
    return Blind(
        str(row["tool"]),
        str(row["host"]),
        str(row["reason"]),
        _ms(row["count"]),
        _ms(row["first_ms"]),
        _ms(row["last_ms"]),
    )


def _known(
    matched: Matched,
    hearings: Sequence[Hearing],
    calls: Sequence[NamedCall],
    lines: Sequence[Mapping[str, object]] | None,
    blind: tuple[Blind, ...],
    found: paths.State,
    since_ms: int,
) -> Known:
    """What can tell why; other ledgers are looked at where there is something to be told. `lines`: this laptop's own trail; None:
    the ledger is a merged one, and has none."""
    began: dict[str, int] = {}
    for seen in sorted((seen for each in hearings for seen in each.seen), key=lambda one: one.at_ms):
        if seen.session is not None:
            began.setdefault(seen.session, seen.at_ms)
    signs: dict[int, int] = {}
    for call in calls:
        signs[call.gate] = max(signs.get(call.gate, 0), call.ended_ms or call.booked_ms)
    unknown: dict[str, list[int]] = {}
    for call in calls:
        if call.state == UNRECOGNIZED and call.session is not None:
            unknown.setdefault(call.session, []).append(call.booked_ms)
    value = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
    return Known(
        merged=lines is None,
        runs=trail.runs(lines or (), signs),
        failures=trail.failures(lines or ()),
        blind=blind,
        began=began,
        metered=Counter(call.session for call in calls if call.session is not None and call.state != UNRECOGNIZED),
        unknown={session: tuple(times) for session, times in unknown.items()},
        elsewhere=_elsewhere(found, since_ms) if matched.around else {},
        hidden={each.witness.tool: no_proxy(value, each.witness.hosts)[1] for each in hearings},
    )


def _elsewhere(found: paths.State, since_ms: int) -> dict[str, str]:
    """Ids that the other ledgers have which this account may read: its own, the service's, that of SPENDGATE_STATE."""
    ids: dict[str, str] = {}
    for whose, other in _others():
        try:
            if other.ledger.exists() and not other.ledger.samefile(found.ledger):
                with closing(Reader(other.ledger)) as reader:
                    for call in reader.named_calls(since_ms - LONGEST_CALL_MS, _far()):
                        ids.update({name: whose for name in (call.response_id, call.request_id) if name})
        except (SpendgateError, OSError):
            continue  # not ours to read, or none that this Spendgate knows: it proves nothing
    return ids


def _others() -> Iterator[tuple[str, paths.State]]:
    yield "the service", paths.State(paths.SERVICE_DIRECTORY)
    try:
        if os.environ.get(paths.VARIABLE):
            yield "SPENDGATE_STATE", paths.find(None)
        yield "this account", paths.find(None, environ={**os.environ, paths.VARIABLE: ""}, service=False)
    except StateError:
        return  # variables that name no place


def _rows(matched: Matched, known: Known) -> list[Row]:
    rows: list[Row] = [
        {**_seen(seen), **_reason(why(seen, known)), "where": "log", "call": None} for seen in matched.around
    ]
    rows += [_called(call) for call in matched.ledger_only]
    rows += [_paired(pair) for pair in matched.both]
    return [{**dict.fromkeys(_KEYS), **row} for row in sorted(rows, key=lambda row: _ms(row["at"]))]


def _seen(seen: Seen) -> dict[str, object]:
    return {
        "at": seen.at_ms, "tool": seen.tool, "witness": seen.witness, "kind": seen.kind, "session": seen.session,
        "sub_agent": seen.sub_agent, "model": seen.model, "input_tokens": seen.usage.input_tokens,
        "cache_read_tokens": seen.usage.cache_read_tokens, "cache_write_tokens": seen.usage.writes,
        "output_tokens": seen.usage.output_tokens, "response_id": seen.response_id, "request_id": seen.request_id,
        "id": seen.response_id or seen.request_id,
    }  # fmt: skip


def _paired(pair: Pair) -> Row:
    ledger = pair.call.usage
    odd = {
        "why": "other counts",
        "evidence": f"the ledger has {ledger.input_total:,} in and {ledger.output_tokens or 0:,} out of it ({pair.call.basis})",
        "remedy": f"`spendgate calls show {pair.call.id}`",
    }
    return {
        **_seen(pair.seen), "where": "both", "call": pair.call.id, "joined_by": pair.how.value, "why": None,
        **(odd if pair.differs else {}),
    }  # fmt: skip


def _reason(reason: Reason) -> dict[str, object]:
    return {
        "why": reason.why.value, "firm": reason.firm.value, "evidence": reason.evidence, "remedy": reason.remedy,
    }  # fmt: skip


def _called(call: NamedCall) -> dict[str, object]:
    return {
        "where": "ledger", "at": call.booked_ms, "tool": call.tool, "session": call.session,
        "model": call.models[0] if call.models else None, "input_tokens": call.usage.input_tokens,
        "cache_read_tokens": call.usage.cache_read_tokens, "cache_write_tokens": call.usage.writes,
        "output_tokens": call.usage.output_tokens, "response_id": call.response_id, "request_id": call.request_id,
        "id": call.response_id or call.request_id, "call": call.id,
        "why": "not in its log", "evidence": "the log was removed or is not written, or the tool does not log such requests",
    }  # fmt: skip
