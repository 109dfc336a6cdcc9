"""Copilot CLI's events: a usage record for each request, with the provider's id of the response; and its database of the same.

A record stands in the events of its session, and again in those of a session made from it; the database has a row for each
request without its id, written at once with it. What `session.shutdown` sums up names no request and is not read. Input holds
what was read from and written to the cache, output holds reasoning.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from spendgate.reconcile.witnesses import databases
from spendgate.reconcile.witnesses.files import found, records
from spendgate.reconcile.witnesses.interface import Seen, Told, instant_ms, model_name, whole, word
from spendgate.usage import Usage

AT_ONCE_MS: Final = 2_000
"""How far apart a record and its row may be written."""
_NEEDLES: Final = (b'"session.usage_record"',)
_ASK: Final = databases.Question(
    "assistant_usage_events",
    "session_id, model, created_at, agent_id, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,"
    " reasoning_tokens",
)


class _Origin(Struct):
    session: str | None = field(default=None, name="sourceSessionId")


class _Use(Struct):
    """The counts of a request."""

    model: str | None = None
    inputs: int | None = field(default=None, name="inputTokens")
    outputs: int | None = field(default=None, name="outputTokens")
    reads: int | None = field(default=None, name="cacheReadTokens")
    writes: int | None = field(default=None, name="cacheWriteTokens")
    reasoning: int | None = field(default=None, name="reasoningTokens")
    response: str | None = field(default=None, name="apiCallId")
    origin: _Origin = field(default_factory=_Origin, name="accounting")
    initiator: str | None = None


class _Data(Struct):
    usage: _Use = field(default_factory=_Use)


class _Event(Struct):
    """An event."""

    type: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"null")
    timestamp: str | None = None


_EVENTS: Final = msgspec.json.Decoder(_Event)
_DATA: Final = msgspec.json.Decoder(_Data)
_Key = tuple[Any, ...]


class CopilotCli:
    """`~/.copilot`."""

    name = "copilot-cli"
    tool = "copilot-cli"
    title = "Copilot CLI: session-state and session-store.db in ~/.copilot, or in COPILOT_HOME"
    hosts = ("api.githubcopilot.com", "api.individual.githubcopilot.com", "api.business.githubcopilot.com")

    def places(self, home: Path, environ: Mapping[str, str]) -> tuple[Path, ...]:
        """Its folder."""
        return (Path(environ["COPILOT_HOME"]).absolute() if environ.get("COPILOT_HOME") else home / ".copilot",)

    def read(self, places: tuple[Path, ...], since_ms: int, told: Told) -> Iterator[Seen]:
        """Each request once: by its record, else by its row."""
        ids: set[str] = set()
        noted: dict[_Key, list[int]] = defaultdict(list)
        for place in places:
            for seen in _recorded(place, since_ms, told):
                noted[_key(seen, 0)].append(seen.at_ms)
                if seen.response_id is not None:
                    if seen.response_id in ids:
                        continue
                    ids.add(seen.response_id)
                yield seen
        for place in places:
            yield from (seen for seen in _stored(place, since_ms, told) if not _struck(noted, seen))


def _key(seen: Seen, step: int) -> _Key:
    """What a record and its row have in common, and the stretch of time that it is in, or one beside it."""
    return seen.session, seen.usage.input_total, seen.usage.output_tokens, seen.at_ms // AT_ONCE_MS + step


def _struck(noted: dict[_Key, list[int]], seen: Seen) -> bool:
    """Whether a row is that of a record, which then is no other row's."""
    for times in (noted.get(_key(seen, step), []) for step in (-1, 0, 1)):
        same = next((place for place, at_ms in enumerate(times) if abs(at_ms - seen.at_ms) <= AT_ONCE_MS), None)
        if same is not None:
            del times[same]
            return True
    return False


def _recorded(place: Path, since_ms: int, told: Told) -> Iterator[Seen]:
    for file in found(place / "session-state", ("events.jsonl",), told):
        if file.changed_ms < since_ms:
            continue
        for event in records(file.path, _NEEDLES, _EVENTS, told):
            if event.type != "session.usage_record":
                continue  # a conversation that speaks of it
            try:
                use = _DATA.decode(event.data).usage
                seen = _seen(event.timestamp, use.origin.session or file.path.parent.name, use, kind="log")
            except (msgspec.MsgspecError, ValueError):
                told.unreadable += 1
                continue
            if seen is not None and seen.at_ms >= since_ms:
                yield seen


def _stored(place: Path, since_ms: int, told: Told) -> Iterator[Seen]:
    for session, model, created, agent, *counts in databases.rows(place / "session-store.db", _ASK, (), told):
        try:
            names = ("inputTokens", "outputTokens", "cacheReadTokens", "cacheWriteTokens", "reasoningTokens")
            use = msgspec.convert({"model": model, **dict(zip(names, counts, strict=True))}, _Use)
            texts = [text if isinstance(text, str) else None for text in (created, session)]
            seen = _seen(texts[0], texts[1], use, kind="database")
        except (msgspec.MsgspecError, ValueError):
            told.unreadable += 1
            continue
        if seen is not None and seen.at_ms >= since_ms:
            yield msgspec.structs.replace(seen, sub_agent=agent is not None)


def _seen(at: str | None, session: str | None, use: _Use, *, kind: str) -> Seen | None:
    at_ms = instant_ms(at)
    cached = (use.reads or 0) + (use.writes or 0)
    if not whole(use.inputs, use.outputs, use.reads, use.writes, use.reasoning) or cached > (use.inputs or 0):
        raise ValueError("counts that do not fit each other")
    if use.inputs is None and not use.outputs:
        return None
    if at_ms is None or use.inputs is None:
        raise ValueError("a request without its time or its input")
    usage = Usage(
        input_tokens=use.inputs - cached,
        cache_read_tokens=use.reads,
        cache_write_tokens=use.writes,
        output_tokens=use.outputs,
        reasoning_tokens=use.reasoning,
    )
    return Seen(
        witness="copilot-cli",
        tool="copilot-cli",
        at_ms=at_ms,
        session=word(session),
        model=model_name(use.model),
        usage=usage,
        response_id=word(use.response),
        sub_agent=use.initiator == "sub-agent",
        kind=kind,
    )
