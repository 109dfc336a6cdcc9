"""OpenCode's messages: rows of its database, or, before that, a file each. One of the assistant's is one request.

A session that is forked has its messages again under new ids: what has the same model, beginning, end and counts is one
request. Counts are disjoint, reasoning beside output. Nothing in it names the provider's response, and the small requests
that title a session are not in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from spendgate.reconcile.witnesses import databases
from spendgate.reconcile.witnesses.files import document, found
from spendgate.reconcile.witnesses.interface import Seen, Told, model_name, sane_ms, whole, word
from spendgate.usage import Usage

_JSON: Final = "CASE WHEN json_valid(data) THEN data ELSE '{}' END"
_FIELDS: Final = (
    "$.role", "$.modelID", "$.time.created", "$.time.completed", "$.tokens.input", "$.tokens.output", "$.tokens.reasoning",
    "$.tokens.cache.read", "$.tokens.cache.write",
)  # fmt: skip
# The database picks the fields, so that no text of a message is ever read into this process.
_ASK: Final = databases.Question(
    "message",
    f"session_id, {', '.join(f"json_extract({_JSON}, '{name}')" for name in _FIELDS)}",
    "time_updated >= ?",
)


class _Cache(Struct):
    read: int = 0
    write: int = 0


class _Tokens(Struct):
    input: int = 0
    output: int = 0
    reasoning: int = 0
    cache: _Cache = field(default_factory=_Cache)


class _Time(Struct):
    created: int | None = None
    completed: int | None = None


class _Message(Struct):
    """A file of the older storage."""

    role: str | None = None
    session: str | None = field(default=None, name="sessionID")
    model: str | None = field(default=None, name="modelID")
    time: _Time = field(default_factory=_Time)
    tokens: _Tokens = field(default_factory=_Tokens)


_MESSAGES: Final = msgspec.json.Decoder(_Message)


class OpenCode:
    """`opencode*.db` and `storage/message`."""

    name = "opencode"
    tool = "opencode"
    title = "OpenCode: ~/.local/share/opencode (XDG_DATA_HOME), its database and its older files"
    hosts = ("api.openai.com", "api.anthropic.com", "opencode.ai")

    def places(self, home: Path, environ: Mapping[str, str]) -> tuple[Path, ...]:
        """Its data folder."""
        named = environ.get("XDG_DATA_HOME", "")
        return ((Path(named) if Path(named).is_absolute() else home / ".local" / "share") / "opencode",)

    def read(self, places: tuple[Path, ...], since_ms: int, told: Told) -> Iterator[Seen]:
        """Each request once."""
        told_before: set[tuple[Any, ...]] = set()
        for place in places:
            for seen, key in (*_stored(place, since_ms, told), *_filed(place, since_ms, told)):
                if key not in told_before and seen.at_ms >= since_ms:
                    told_before.add(key)
                    yield seen


_Keyed = tuple[Seen, tuple[Any, ...]]


def _stored(place: Path, since_ms: int, told: Told) -> Iterator[_Keyed]:
    for path in sorted(place.glob("opencode*.db")):
        for session, role, model, created, completed, *counts in databases.rows(path, _ASK, (since_ms,), told):
            if role != "assistant":
                continue
            inputs, outputs, reasoning, reads, writes = (count or 0 for count in counts)
            message = {
                "sessionID": session,
                "modelID": model,
                "time": {"created": created, "completed": completed},
                "tokens": {
                    "input": inputs,
                    "output": outputs,
                    "reasoning": reasoning,
                    "cache": {"read": reads, "write": writes},
                },
            }
            try:
                found_in = _keyed(msgspec.convert(message, _Message), "database")
            except (msgspec.MsgspecError, ValueError):
                told.unreadable += 1
                continue
            if found_in is not None:
                yield found_in


def _filed(place: Path, since_ms: int, told: Told) -> Iterator[_Keyed]:
    for file in found(place / "storage" / "message", (".json",), told):
        if file.changed_ms < since_ms:
            continue
        text = document(file.path, told)
        if text is None:
            continue
        try:
            message = _MESSAGES.decode(text)
            found_in = _keyed(message, "log") if message.role == "assistant" else None
        except (msgspec.MsgspecError, ValueError, RecursionError):
            told.unreadable += 1
            continue
        if found_in is not None:
            told.lines += 1
            yield found_in


def _keyed(message: _Message, kind: str) -> _Keyed | None:
    """A request, and what makes it the same one; None: it has used nothing yet. Raises ValueError."""
    tokens, time = message.tokens, message.time
    counts = (tokens.input, tokens.output, tokens.reasoning, tokens.cache.read, tokens.cache.write)
    if not whole(*counts):
        raise ValueError("a count that no provider gives")
    at_ms = sane_ms(time.completed if time.completed is not None else time.created)
    if not any(counts):
        return None
    if at_ms is None:
        raise ValueError("counts without a time")
    usage = Usage(
        input_tokens=tokens.input,
        cache_read_tokens=tokens.cache.read,
        cache_write_tokens=tokens.cache.write,
        output_tokens=tokens.output + tokens.reasoning,
        reasoning_tokens=tokens.reasoning,
    )
    model = model_name(message.model)
    seen = Seen("opencode", "opencode", at_ms, word(message.session), model, usage, kind=kind)
    return msgspec.structs.replace(seen, unfinished=time.completed is None), (model, time.created, at_ms, counts)
