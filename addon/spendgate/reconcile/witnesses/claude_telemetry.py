"""Claude Code's OpenTelemetry events, from a file: what `claude_code.api_request` says of each request.

Two forms are read, in one file or apart: OTLP as JSON, one export on a line, as a collector's file exporter writes it; and
what Claude Code prints with `OTEL_LOGS_EXPORTER=console`, an object over many lines. An event that was delivered twice is one
request: by its request id, else by its session and place in it. Prompts, where somebody has let them be logged, are passed
over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from spendgate.reconcile.witnesses.files import found, lines
from spendgate.reconcile.witnesses.interface import Seen, Told, instant_ms, model_name, sane_ms, whole, word
from spendgate.usage import Usage

EVENT: Final = "claude_code.api_request"
_ATTRIBUTES: Final = frozenset({
    "session.id", "event.timestamp", "event.sequence", "model", "input_tokens", "output_tokens", "cache_read_tokens",
    "cache_creation_tokens", "request_id", "query_source",
})  # fmt: skip
_PRINTED_MAX: Final = 200
"""Lines of one printed event that are looked at."""
_PAIR: Final = re.compile(rb"""\s*(["']?)([A-Za-z_.]{1,40})\1: (["']?)([^"',]{0,200})\3,?\s*""")
_NANOS_IN_MS: Final = 1_000_000


class _Value(Struct):
    text: str | None = field(default=None, name="stringValue")
    number: int | str | None = field(default=None, name="intValue")
    double: float | None = field(default=None, name="doubleValue")

    @property
    def told(self) -> str | int | float | None:
        """Some exporters write each number as a double."""
        if self.double is not None and self.double.is_integer():
            return int(self.double)
        return next((each for each in (self.text, self.number, self.double) if each is not None), None)


class _Attribute(Struct):
    key: str = ""
    value: _Value = field(default_factory=_Value)


class _Record(Struct):
    body: _Value | None = None
    name: str | None = field(default=None, name="eventName")
    at: str | int | None = field(default=None, name="timeUnixNano")
    attributes: list[_Attribute] = field(default_factory=list)


class _Scope(Struct):
    records: list[_Record] = field(default_factory=list, name="logRecords")


class _Resource(Struct):
    scopes: list[_Scope] = field(default_factory=list, name="scopeLogs")


class _Export(Struct):
    resources: list[_Resource] = field(default_factory=list, name="resourceLogs")


_EXPORTS: Final = msgspec.json.Decoder(_Export)
_Facts = dict[str, str]


class ClaudeTelemetry:
    """Files that a person names: telemetry goes where it is sent, which is no place of its own."""

    name = "claude-telemetry"
    tool = "claude-code"
    title = "Claude Code's OpenTelemetry events: OTLP as JSON, or its console exporter's output, with --telemetry FILE"
    hosts = ("api.anthropic.com",)

    def places(self, home: Path, environ: Mapping[str, str]) -> tuple[Path, ...]:
        """None by itself."""
        return ()

    def read(self, places: tuple[Path, ...], since_ms: int, told: Told) -> Iterator[Seen]:
        """Each request once."""
        noted: set[tuple[object, ...]] = set()
        for place in places:
            for file in found(place, (".json", ".jsonl", ".log", ".txt"), told):
                for facts in _events(file.path, told):
                    seen = _seen(facts, told)
                    if seen is None or seen.at_ms < since_ms:
                        continue
                    key = (seen.request_id,) if seen.request_id else _unnamed(seen, facts)
                    if key not in noted:
                        noted.add(key)
                        yield seen


def _unnamed(seen: Seen, facts: _Facts) -> tuple[object, ...]:
    """What a request without an id has again when it is delivered twice. Its place in the session alone is not enough: the count
    begins anew where a session is resumed."""
    return seen.session, facts.get("event.sequence"), seen.at_ms, seen.model, seen.usage


def _events(path: Path, told: Told) -> Iterator[_Facts]:
    """The attributes of each request, as text."""
    printed: _Facts | None = None
    left = 0
    for line, ended in lines(path, told):
        if b'"resourceLogs"' in line:
            yield from _exported(line, told, ended=ended)
        elif EVENT.encode() in line and line.lstrip().startswith(b"body:"):
            told.unreadable += printed is not None  # one that has no end
            printed, left = {}, _PRINTED_MAX
        elif printed is not None:
            left -= 1
            if line.rstrip() == b"}" or left < 0:
                told.lines += 1
                yield printed
                printed = None
            elif pair := _PAIR.fullmatch(line.rstrip(b"\r\n")):
                _note(printed, pair[2].decode(), pair[4].decode(errors="replace"))
    if printed is not None:
        told.cut_off += 1


def _exported(line: bytes, told: Told, *, ended: bool) -> Iterator[_Facts]:
    try:
        export = _EXPORTS.decode(line)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        told.unreadable += ended
        told.cut_off += not ended
        return
    for record in (record for resource in export.resources for scope in resource.scopes for record in scope.records):
        if EVENT in (record.name, record.body.text if record.body else None):
            facts: _Facts = {} if record.at is None else {"at": str(record.at)}
            for each in record.attributes:
                _note(facts, each.key, each.value.told)
            told.lines += 1
            yield facts


def _note(facts: _Facts, name: str, value: Any) -> None:  # noqa: ANN401 - what an attribute may hold
    if name in _ATTRIBUTES and value is not None:
        facts[name] = str(value)


def _seen(facts: _Facts, told: Told) -> Seen | None:
    try:
        at_ms = instant_ms(facts.get("event.timestamp")) or sane_ms(int(facts.get("at", "-1")) // _NANOS_IN_MS)
        usage = Usage(
            input_tokens=_count(facts, "input_tokens"),
            cache_read_tokens=_count(facts, "cache_read_tokens"),
            cache_write_tokens=_count(facts, "cache_creation_tokens"),
            output_tokens=_count(facts, "output_tokens"),
        )
    except ValueError:
        told.unreadable += 1
        return None
    if at_ms is None or not usage.known:
        told.unreadable += 1
        return None
    return Seen(
        witness="claude-telemetry",
        tool="claude-code",
        at_ms=at_ms,
        session=word(facts.get("session.id")),
        model=model_name(facts.get("model")),
        usage=usage,
        request_id=word(facts.get("request_id")),
        sub_agent=facts.get("query_source", "").startswith("agent"),
        kind="telemetry",
    )


def _count(facts: _Facts, name: str) -> int | None:
    text = facts.get(name)
    if text is None:
        return None
    found_in = int(text) if len(text) <= 16 else -1
    if not whole(found_in):
        raise ValueError(f"{name} is no count")
    return found_in
