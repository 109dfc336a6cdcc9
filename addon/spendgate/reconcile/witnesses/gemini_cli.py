"""Gemini CLI's chats: a line for each message, written again when it changes; before 2026 one document for each chat.

A message is known by its session and id, and its last, largest counts are right. Input holds what was read from the cache;
thoughts and the tokens of tools stand beside output and input. Nothing in it names the provider's response.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct, field

from spendgate.reconcile.witnesses.files import Found, document, found, lines
from spendgate.reconcile.witnesses.interface import Seen, Told, instant_ms, model_name, whole, word
from spendgate.usage import Usage


class _Tokens(Struct):
    """Counts of a message."""

    input: int = 0
    output: int = 0
    cached: int = 0
    thoughts: int = 0
    tool: int = 0


class _Message(Struct):
    """A message, without its content."""

    id: str | None = None
    timestamp: str | None = None
    type: str | None = None
    tokens: _Tokens | None = None
    model: str | None = None


class _Set(Struct):
    """A change of the chat, which may bring all its messages again."""

    messages: list[_Message] = field(default_factory=list)


class _Line(_Message):
    """A line: the chat's head, a message, or a change. A document has the head and all messages."""

    session: str | None = field(default=None, name="sessionId")
    kind: str | None = None
    messages: list[_Message] = field(default_factory=list)
    change: _Set | None = field(default=None, name="$set")


_LINES: Final = msgspec.json.Decoder(_Line)


class GeminiCli:
    """`~/.gemini/tmp/*/chats`."""

    name = "gemini-cli"
    tool = "gemini-cli"
    title = "Gemini CLI: the chats in ~/.gemini/tmp, or in that of GEMINI_CLI_HOME"
    hosts = ("generativelanguage.googleapis.com", "cloudcode-pa.googleapis.com")

    def places(self, home: Path, environ: Mapping[str, str]) -> tuple[Path, ...]:
        """The folder of all projects."""
        root = Path(environ["GEMINI_CLI_HOME"]).absolute() if environ.get("GEMINI_CLI_HOME") else home
        return (root / ".gemini" / "tmp",)

    def read(self, places: tuple[Path, ...], since_ms: int, told: Told) -> Iterator[Seen]:
        """Each message once."""
        best: dict[tuple[str | None, str], Seen] = {}
        for place in places:
            for file in found(place, (".jsonl", ".json"), told):
                if file.changed_ms >= since_ms and "chats" in file.path.parts[len(place.parts) :]:
                    for key, seen in _messages(file, told):
                        before = best.get(key)
                        if before is None or _size(seen) >= _size(before):
                            best[key] = seen
        yield from (seen for seen in best.values() if seen.at_ms >= since_ms)


def _size(seen: Seen) -> int:
    return (seen.usage.output_tokens or 0) + seen.usage.input_total


def _messages(file: Found, told: Told) -> Iterator[tuple[tuple[str | None, str], Seen]]:
    session, sub_agent = None, False
    whole_file = file.path.suffix == ".json"
    for line in _documents(file, told) if whole_file else _lines(file, told):
        session = word(line.session) or session
        sub_agent = line.kind == "subagent" if line.kind else sub_agent
        for message in (line, *line.messages, *(line.change.messages if line.change else ())):
            if message.type != "gemini" or message.tokens is None:
                continue
            try:
                seen = _seen(message, message.tokens, session, sub_agent=sub_agent)
            except ValueError:
                told.unreadable += 1
                continue
            if seen is not None and message.id is not None:
                yield (session, message.id), seen


def _lines(file: Found, told: Told) -> Iterator[_Line]:
    for data, ended in lines(file.path, told):
        if not data.strip():
            continue
        try:
            line = _LINES.decode(data)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            told.unreadable += ended
            told.cut_off += not ended
            continue
        told.lines += line.tokens is not None
        yield line


def _documents(file: Found, told: Told) -> Iterator[_Line]:
    text = document(file.path, told)
    if text is None:
        return
    try:
        found_in = _LINES.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        told.unreadable += bool(text.strip())
        return
    told.lines += sum(each.tokens is not None for each in found_in.messages)
    yield found_in


def _seen(message: _Message, tokens: _Tokens, session: str | None, *, sub_agent: bool) -> Seen | None:
    at_ms = instant_ms(message.timestamp)
    if (
        not whole(tokens.input, tokens.output, tokens.cached, tokens.thoughts, tokens.tool)
        or tokens.cached > tokens.input
    ):
        raise ValueError("counts that do not fit each other")
    usage = Usage(
        input_tokens=tokens.input - tokens.cached + tokens.tool,
        cache_read_tokens=tokens.cached,
        output_tokens=tokens.output + tokens.thoughts,
        reasoning_tokens=tokens.thoughts,
    )
    if usage.nothing:
        return None
    if at_ms is None or message.id is None:
        raise ValueError("counts without a time or an id")
    return Seen("gemini-cli", "gemini-cli", at_ms, session, model_name(message.model), usage, sub_agent=sub_agent)
