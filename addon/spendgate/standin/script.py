"""What the stand-in answers, as values: counts, text, timing, framing, faults.

A request chooses its own script by the header `x-standin: output=2000; chunk=1; encoding=gzip,br`; the keys are the fields of
`Script`. Keys that it leaves out come from the server's own script, so that a client that cannot send the header (Claude
Code, Codex) is scripted from outside. A wrong key is answered with 400, never ignored.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from spendgate.usage import Usage

HEADER = "x-standin"


@dataclass(frozen=True, slots=True)
class Script:
    """One answer. Counts in tokens and disjoint as in `usage.Usage`, sizes in bytes, times in milliseconds."""

    input: int = 12
    cache_read: int = 0
    write_5m: int = 0
    write_1h: int = 0
    write: int = 0
    output: int = 7
    reasoning: int = 0
    searches: int = 0
    usage: bool = True
    """False: the answer reports no counts at all."""
    cost: str = ""
    """Dollars that the answer says it cost, as OpenRouter does (`0.0076509169`); empty: it says nothing."""
    ticks: int = 0
    """The same as xAI says it, in ten-billionths of a dollar; 0: it says nothing."""
    model: str = ""
    """The model that claims to have answered; empty: the one asked for."""
    tier: str = ""
    """The service tier that the answer names; empty: `standard` or `default`."""
    text: str = "Hello from the stand-in."
    tool: str = ""
    """A tool that the answer calls, once in a conversation, where the request offers it and holds `when`; empty: none."""
    arguments: str = "{}"
    """JSON of what the tool is called with."""
    when: str = ""
    size: int = 0
    """Bytes of generated filler in place of `text`; a bomb where `encoding` is set."""
    token_bytes: int = 0
    """Bytes of generated filler for each output token in place of `text`, as a real answer grows with its tokens."""
    events: int = 3
    """How many deltas a stream cuts its text into."""
    interval_ms: int = 0
    """Between two events of a stream."""
    delay_ms: int = 0
    """Before the first byte of the head."""
    chunk: int = 0
    """Bytes in each write of the body; 0: one write for each event."""
    encoding: str = ""
    """Content-encodings in the order they are applied: `gzip`, `deflate`, `br`, `zstd`, `gzip,br`."""
    status: int = 200
    """400 and more: an error in the provider's shape."""
    error: str = "api_error"
    """The error's type, where `status` says that it is one."""
    break_after: int = -1
    """Breaks the connection off after this many bytes of the body; -1: never."""

    def reading(self, header: str) -> Script:
        """This script with what the header says in its place. Raises ValueError naming the key that is wrong."""
        changes: dict[str, int | str | bool] = {}
        for item in filter(None, (part.strip() for part in header.split(";"))):
            key, _, value = item.partition("=")
            kind = _KINDS.get(key)
            if kind is None:
                raise ValueError(f"{HEADER}: unknown key {key!r}; allowed: {', '.join(sorted(_KINDS))}")
            changes[key] = _typed(key, value, kind)
        return replace(self, **changes)  # type: ignore[arg-type]  # _typed gave each field its own type

    def counts(self) -> Usage | None:
        """What the answer uses, whether it reports that or not; None for an error."""
        if self.status >= 400:
            return None
        return Usage(
            input_tokens=self.input,
            cache_read_tokens=self.cache_read,
            cache_write_5m_tokens=self.write_5m,
            cache_write_1h_tokens=self.write_1h,
            cache_write_tokens=self.write,
            output_tokens=self.output,
            reasoning_tokens=self.reasoning,
            web_searches=self.searches,
        )


_KINDS = {field.name: type(field.default) for field in fields(Script)}


def _typed(key: str, value: str, kind: type) -> int | str | bool:
    if kind is bool:
        if value not in ("yes", "no"):
            raise ValueError(f"{HEADER}: {key} must be yes or no, not {value!r}")
        return value == "yes"
    if kind is int:
        return int(value)
    return value


@dataclass(frozen=True, slots=True)
class Canned:
    """One fixed answer to every billable request: how a refusal shape is tried on a real client."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    frame: bytes | None = None
    """A WebSocket message that answers each `response.create`; None: the handshake itself is answered with `status`."""
