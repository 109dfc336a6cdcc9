"""The dialect `windsurf`: `GetChatMessage`, a Connect stream. How many tokens an answer used is not known to be on the wire, so
every call is an estimate. Source: facts/wire-formats.md 11 (one capture of February 2026).
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from spendgate.attribution import Evidence
from spendgate.errors import WireError
from spendgate.providers.ask import Ask, Claim
from spendgate.providers.client import fingerprint, sender
from spendgate.providers.connect_calls import ConnectCall, ConnectDialect, no_details
from spendgate.providers.cursor_answers import TextReader
from spendgate.providers.interface import Head, Headers, Reader
from spendgate.providers.protobuf import Bytes, count, inside, word
from spendgate.providers.readers import FreeReader
from spendgate.providers.shapes import cap
from spendgate.providers.spoken import Spoken

_API_KEY: Final = (1, 3)
_MAX_TOKENS: Final = (8, 2)
_TRAJECTORY: Final = (16,)
_MODEL: Final = (21,)
_SESSION: Final = (22,)
_KEY_BYTES_MAX: Final = 512


class Windsurf(ConnectDialect):
    """Windsurf's dialect. Stateless."""

    name = "windsurf"

    def spoken(self, head: Head) -> Spoken:
        """The dialect as this request speaks it."""
        return WindsurfCall(head, streams=True, details=no_details)


class WindsurfCall(ConnectCall):
    """One `GetChatMessage`."""

    name = "windsurf"

    def ask(self, head: Head, body: bytes) -> Ask:
        """What is asked. Raises WireError."""
        message, whole = self.message(body)
        model = word(message, _MODEL, whole=whole)
        session = word(message, _SESSION, whole=whole) or word(message, _TRAJECTORY, whole=whole)
        ask = Ask(
            model=model,
            streamed=True,
            text_bytes=len(message),
            opaque_input=True,
            output_tokens_max=cap(count(message, _MAX_TOKENS)) if whole else None,
            cache_ttl="write",
        )
        ask = replace(ask, **sender(head))
        claimed = Claim(session, Evidence.BODY) if session else ask.session
        return replace(ask, session=claimed, api_key=_key(message, whole) or ask.api_key)

    def reader(self, ask: Ask, status: int, headers: Headers) -> Reader:
        """A reader of the response's text."""
        return FreeReader(headers) if status >= 300 else TextReader(headers, lambda: self.input_bytes)


def _key(message: Bytes, whole: bool) -> str | None:
    try:
        found = [value for value in inside(message, _API_KEY, whole=whole) if not isinstance(value, int)]
    except WireError:
        return None
    return (
        fingerprint(bytes(found[-1]).decode("utf-8", "replace"))
        if found and 0 < len(found[-1]) <= _KEY_BYTES_MAX
        else None
    )
