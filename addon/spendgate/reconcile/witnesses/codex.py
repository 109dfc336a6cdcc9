"""Codex's rollouts: what each turn counted, and, in newer ones, a record of each response with its id.

`token_count` has no id, is written again for the same turn, and a rollout that was forked, or that a sub-agent writes, begins
with the history of its parent, with the old times or with those of the fork. So a count is a request only where the thread's
total has grown, only behind the totals that the parent had before, and once for each thread and total, in whatever files it
stands. A `token_usage_record` names the response: it is the same request as the `token_count` with the same total, and counts
once in all files. Input holds what was read from and written to the cache; output holds reasoning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct, field

from spendgate.reconcile.witnesses.codex_shapes import (
    KINDS,
    LINES,
    PAYLOADS,
    SOURCES,
    Counts,
    Info,
    Line,
    Payload,
    Source,
    SubAgent,
    Vector,
)
from spendgate.reconcile.witnesses.files import Found, found, records
from spendgate.reconcile.witnesses.interface import Seen, Told, instant_ms, model_name, whole, word
from spendgate.usage import Usage

BURST_MS: Final = 1_000
"""Of a thread whose parent's rollout is gone: what was written this soon after its beginning is the parent's."""
ANCESTORS_MAX: Final = 64
_NEEDLES: Final = (b'"token_count"', b'"token_usage_record"', b'"session_meta"', b'"turn_context"')


class _Event(Struct):
    """One count, as it stands in its rollout."""

    at_ms: int
    total: Vector
    counts: Counts
    model: str | None
    response_id: str | None = None


class _Rollout(Struct):
    """One file."""

    thread: str | None = None
    parent: str | None = None
    began_ms: int = 0
    sub_agent: bool = False
    events: list[_Event] = field(default_factory=list)
    totals: set[Vector] = field(default_factory=set)
    """Every total that was told, whether it was counted or not."""
    mark: int = 0
    model: str | None = None


_READ: Final = frozenset({"event_msg", "token_usage_record", "session_meta", "turn_context"})


class Codex:
    """`$CODEX_HOME/sessions` and `archived_sessions`."""

    name = "codex"
    tool = "codex"
    title = "Codex: ~/.codex/sessions and archived_sessions, or those of CODEX_HOME"
    hosts = ("api.openai.com", "chatgpt.com")

    def places(self, home: Path, environ: Mapping[str, str]) -> tuple[Path, ...]:
        """Both folders."""
        root = Path(environ["CODEX_HOME"]).absolute() if environ.get("CODEX_HOME") else home / ".codex"
        return root / "sessions", root / "archived_sessions"

    def read(self, places: tuple[Path, ...], since_ms: int, told: Told) -> Iterator[Seen]:
        """Each response once."""
        files = [file for place in places for file in found(place, (".jsonl",), told)]
        rollouts = [_read(file, told) for file in files if file.changed_ms >= since_ms]
        totals: dict[str, set[Vector]] = {}
        for each in rollouts:
            totals.setdefault(each.thread or "", set()).update(each.totals)
        _add_parents(rollouts, totals, [file for file in files if file.changed_ms < since_ms], told)
        yield from (seen for seen in _requests(rollouts, totals) if seen.at_ms >= since_ms)


def _read(file: Found, told: Told) -> _Rollout:
    into = _Rollout()
    for line in records(file.path, _NEEDLES, LINES, told):
        if line.type not in _READ:
            continue
        try:
            # What a person or a command has said may speak of token_count, too.
            if line.type != "event_msg" or KINDS.decode(line.payload).type == "token_count":
                _take(into, line, PAYLOADS.decode(line.payload))
        except (msgspec.MsgspecError, ValueError):
            told.unreadable += 1
    return into


def _take(into: _Rollout, line: Line, payload: Payload) -> None:
    at_ms = instant_ms(line.timestamp)
    if line.type == "session_meta":
        if into.thread is None:  # those behind it are copies of its ancestors'
            into.thread, into.began_ms = word(payload.id), at_ms or 0
            spawned = _spawned(payload)
            into.parent = word(payload.forked_from_id) or word(payload.parent_thread_id) or spawned
            into.sub_agent = spawned is not None or bytes(payload.thread_source) == b'"subagent"'
    elif line.type == "turn_context":
        into.model = model_name(payload.model) or into.model
    elif line.type == "token_usage_record" and payload.usage is not None:
        _record(into, _told(at_ms), payload, payload.usage)
    elif payload.type == "token_count" and payload.info is not None:
        _count(into, _told(at_ms), payload.info)


def _told(at_ms: int | None) -> int:
    if at_ms is None:
        raise ValueError("counts without a time")
    return at_ms


def _spawned(payload: Payload) -> str | None:
    """The thread that has started this sub-agent."""
    try:
        source = SOURCES.decode(payload.source)
    except msgspec.MsgspecError:
        return None
    found_in = source.subagent if isinstance(source, Source) else None
    spawn = found_in.thread_spawn if isinstance(found_in, SubAgent) else None
    return None if spawn is None else word(spawn.parent_thread_id)


def _record(into: _Rollout, at_ms: int, payload: Payload, usage: Counts) -> None:
    total = (payload.thread_token_usage or usage).vector()
    event = _Event(at_ms, total, _checked(usage), into.model, word(payload.response_id))
    if into.events and into.events[-1].total == total and into.events[-1].response_id is None:
        into.events[-1] = event  # the count of the same response, written first
    else:
        into.events.append(event)
    into.totals.add(total)
    into.mark = max(into.mark, (payload.thread_token_usage or usage).size)


def _count(into: _Rollout, at_ms: int, info: Info) -> None:
    total, last = info.total, info.last
    if total is None:
        return
    vector = _checked(total).vector()
    restarted = last is not None and last.vector() == vector and total.size < into.mark
    if (total.size > into.mark or restarted) and vector not in into.totals and last is not None and last.size:
        into.events.append(_Event(at_ms, vector, _checked(last), into.model))
        into.mark = total.size
    into.totals.add(vector)


def _checked(counts: Counts) -> Counts:
    """Raises ValueError for what no provider gives."""
    if (
        not whole(*counts.vector())
        or counts.cached_input_tokens + counts.cache_write_input_tokens > counts.input_tokens
    ):
        raise ValueError("counts that do not fit each other")
    return counts


def _add_parents(rollouts: list[_Rollout], totals: dict[str, set[Vector]], old: list[Found], told: Told) -> None:
    """The totals of parents whose rollouts are too old to be read for themselves; their files have the thread in their names."""
    wanted = {each.parent for each in rollouts if each.parent} - totals.keys()
    for _ in range(ANCESTORS_MAX):
        grown: set[str] = set()
        for file in old:
            thread = next((name for name in wanted if file.path.stem.endswith(name)), None)
            if thread is not None:
                parent = _read(file, told)
                totals.setdefault(thread, set()).update(parent.totals)
                grown |= {parent.parent} if parent.parent else set()
        wanted = grown - totals.keys()
        if not wanted:
            return


def _requests(rollouts: list[_Rollout], totals: dict[str, set[Vector]]) -> Iterator[Seen]:
    ids: set[str] = set()
    counted: set[tuple[str | None, Vector]] = set()
    # Whole threads first: what a fork has of its parent is the parent's.
    for each in sorted(rollouts, key=lambda one: (one.parent is not None, one.began_ms)):
        for event in _own(each, totals):
            if event.response_id is not None:
                if event.response_id in ids:
                    continue
                ids.add(event.response_id)
            elif each.thread is not None:
                if (each.thread, event.total) in counted:
                    continue
                counted.add((each.thread, event.total))
            yield _seen(each, event)


def _own(rollout: _Rollout, totals: dict[str, set[Vector]]) -> Iterator[_Event]:
    """The events of a rollout behind those that it has from its parent. Records of responses name themselves."""
    parents = totals.get(rollout.parent) if rollout.parent else None
    begun = rollout.parent is None
    for event in rollout.events:
        if not begun:
            copied = event.total in parents if parents is not None else event.at_ms <= rollout.began_ms + BURST_MS
            begun = not copied
        if begun or event.response_id is not None:
            yield event


def _seen(rollout: _Rollout, event: _Event) -> Seen:
    counts = event.counts
    return Seen(
        witness="codex",
        tool="codex",
        at_ms=event.at_ms,
        session=rollout.thread,
        model=event.model,
        usage=Usage(
            input_tokens=counts.input_tokens - counts.cached_input_tokens - counts.cache_write_input_tokens,
            cache_read_tokens=counts.cached_input_tokens,
            cache_write_tokens=counts.cache_write_input_tokens,
            output_tokens=counts.output_tokens,
            reasoning_tokens=counts.reasoning_output_tokens,
        ),
        response_id=event.response_id,
        sub_agent=rollout.sub_agent,
    )
