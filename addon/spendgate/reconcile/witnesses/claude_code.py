"""Claude Code's session logs: one line for each block of an answer, each with the whole answer's id and its counts so far.

So one answer stands on two to five lines, of which the first has the output count that the stream began with: the largest is
right. A session that is resumed or forked begins with a copy of the old lines in a file of its own; `/btw` writes the
parent's answer again as a side chain with a request id that the provider never gave. A response id is one answer in all files
together; under it, each request id that is not of a side chain is one request. Sub-agents are side chains, too, whose answers
have ids of their own. Messages that Claude Code made up itself (`<synthetic>`, `isApiErrorMessage`) cost nothing and are
none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct, field

from spendgate.reconcile.witnesses.files import found, records
from spendgate.reconcile.witnesses.interface import Seen, Told, instant_ms, model_name, whole, word
from spendgate.usage import Usage

MADE_UP: Final = "<synthetic>"
ITERATIONS_MAX: Final = 1024
"""As many samplings of one answer as the gate itself looks at."""
_NEEDLES: Final = (b'"usage"',)


class _Split(Struct):
    """`cache_creation`."""

    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class _Tools(Struct):
    """`server_tool_use`."""

    web_search_requests: int | None = None


class _Counts(Struct):
    """`usage`, and each of its `iterations`."""

    input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation: _Split | None = None
    server_tool_use: _Tools | None = None
    iterations: list[_Counts] | None = None


class _Message(Struct):
    """The answer, without its content."""

    id: str | None = None
    model: str | None = None
    usage: _Counts | None = None
    stop_reason: str | None = None


class _Line(Struct):
    """A line, without the rest."""

    type: str | None = None
    message: msgspec.Raw = msgspec.Raw(b"null")
    request_id: str | None = field(default=None, name="requestId")
    session_id: str | None = field(default=None, name="sessionId")
    timestamp: str | None = None
    side: bool | None = field(default=None, name="isSidechain")
    error: bool | None = field(default=None, name="isApiErrorMessage")


_LINES: Final = msgspec.json.Decoder(_Line)
_MESSAGES: Final = msgspec.json.Decoder(_Message | None)
_Key = tuple[str | None, str | None]
_NAME_MAX: Final = 128
_NO_TIME: Final = "an answer without a time"


class ClaudeCode:
    """`~/.claude/projects` and what `CLAUDE_CONFIG_DIR` names in its place."""

    name = "claude-code"
    tool = "claude-code"
    title = "Claude Code: ~/.claude/projects, ~/.config/claude/projects, or those of CLAUDE_CONFIG_DIR"
    hosts = ("api.anthropic.com",)

    def places(self, home: Path, environ: Mapping[str, str]) -> tuple[Path, ...]:
        """The folder `projects` of each configuration."""
        named = [part.strip() for part in environ.get("CLAUDE_CONFIG_DIR", "").split(",") if part.strip()]
        roots = [_absolute(part, home) for part in named] or [home / ".claude", _config(home, environ) / "claude"]
        return tuple(dict.fromkeys(root if root.name == "projects" else root / "projects" for root in roots))

    def read(self, places: tuple[Path, ...], since_ms: int, told: Told) -> Iterator[Seen]:
        """Each answer once."""
        best: dict[_Key, Seen] = {}
        for place in places:
            for file in found(place, (".jsonl",), told):
                if file.changed_ms >= since_ms:
                    for line in records(file.path, _NEEDLES, _LINES, told):
                        _keep(best, line, told)
        yield from (seen for seen in _answers(best) if seen.at_ms >= since_ms)


def _config(home: Path, environ: Mapping[str, str]) -> Path:
    named = environ.get("XDG_CONFIG_HOME", "")
    return Path(named) if Path(named).is_absolute() else home / ".config"


def _absolute(text: str, home: Path) -> Path:
    return home / text[2:] if text.startswith("~/") else Path(text).absolute()


def _keep(best: dict[_Key, Seen], line: _Line, told: Told) -> None:
    """Take a line, where it is an answer and says more of it than was known."""
    if line.type != "assistant" or line.error:
        return
    try:
        message = _MESSAGES.decode(line.message)
        seen = None if message is None else _seen(line, message)
    except (msgspec.MsgspecError, ValueError):
        told.unreadable += 1
        return
    if seen is None:
        return
    key = _key(seen, line, message)
    before = best.get(key)
    if before is None:
        best[key] = seen
    elif _size(seen) > _size(before) or (before.unfinished and not seen.unfinished and _size(seen) == _size(before)):
        # The session that it was first found in: a copy has another, or the same.
        best[key] = msgspec.structs.replace(seen, session=before.session or seen.session)


def _key(seen: Seen, line: _Line, message: _Message) -> _Key:
    """What is the same in all lines of an answer. Ids that are none by their characters still tell one from another; an answer
    without any is known by its session and what it was asked with."""
    response, request = _short(message.id), _short(line.request_id)
    if response is None and request is None:
        used = seen.usage
        return f"{seen.session} {seen.model} {used.input_total} {used.cache_read_tokens} {used.writes}", None
    return response, None if seen.sub_agent and response is not None else request


def _short(name: str | None) -> str | None:
    """What stands for a name in memory, however long it is."""
    if not name:
        return None
    return name if len(name) <= _NAME_MAX else hashlib.sha256(name.encode()).hexdigest()


def _size(seen: Seen) -> tuple[int, int]:
    return seen.usage.output_tokens or 0, seen.usage.input_total


def _seen(line: _Line, message: _Message) -> Seen | None:
    """An answer with its counts; None where the line is none. Raises ValueError for counts that are none."""
    at_ms = instant_ms(line.timestamp)
    if message.usage is None or message.model == MADE_UP:
        return None
    request_id, response_id = word(line.request_id), word(message.id)
    usage = _usage(message.usage)
    if request_id is None and response_id is None and usage.nothing:
        return None
    if at_ms is None:
        raise ValueError(_NO_TIME)
    return Seen(
        witness="claude-code",
        tool="claude-code",
        at_ms=at_ms,
        session=word(line.session_id),
        model=model_name(message.model),
        usage=usage,
        response_id=response_id,
        request_id=request_id,
        sub_agent=bool(line.side),
        unfinished=message.stop_reason is None,
    )


def _usage(counts: _Counts) -> Usage:
    """What is billed: the sum of the samplings where they are listed, since the counts beside them leave some out."""
    if counts.iterations:
        total = Usage()
        for each in counts.iterations[:ITERATIONS_MAX]:
            total += _one(each)
        return total
    return _one(counts)


def _one(counts: _Counts) -> Usage:
    split = counts.cache_creation
    five, hour = (None, None) if split is None else (split.ephemeral_5m_input_tokens, split.ephemeral_1h_input_tokens)
    writes = counts.cache_creation_input_tokens if five is None and hour is None else None
    searches = None if counts.server_tool_use is None else counts.server_tool_use.web_search_requests
    if not whole(
        counts.input_tokens, counts.cache_read_input_tokens, five, hour, writes, counts.output_tokens, searches
    ):
        raise ValueError("a count that no provider gives")
    return Usage(
        input_tokens=counts.input_tokens,
        cache_read_tokens=counts.cache_read_input_tokens,
        cache_write_5m_tokens=five,
        cache_write_1h_tokens=hour,
        cache_write_tokens=writes,
        output_tokens=counts.output_tokens,
        web_searches=searches,
    )


def _answers(best: dict[_Key, Seen]) -> Iterator[Seen]:
    """One for each request: a side chain, or a line without a request id, tells of the same one as the line that names it."""
    named = {response for response, request in best if request is not None}
    for (response, request), seen in best.items():
        if request is not None or response is None or response not in named:
            yield seen
