"""The dialect `claude-ai`: a turn of claude.ai or of Claude Desktop's chat. Its events are those of Messages, without usage.

Earlier turns are kept by the server, so a request bounds no input; what is counted is estimated from bytes, and said to be.
Source: facts/wire-formats.md 8.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec.structs import replace

from spendgate.attribution import Evidence
from spendgate.providers.anthropic import AnthropicMessages
from spendgate.providers.anthropic_answers import Stream
from spendgate.providers.ask import Ask, Claim
from spendgate.providers.client import name_of, sender
from spendgate.providers.interface import Head, Headers, Reader
from spendgate.providers.jsonscan import Scan, Scanner
from spendgate.providers.shapes import COUNT, FLAG, TEXT, Shape, record

_LIMIT: Final = Shape(overageInUse=FLAG, resetsAt=COUNT, message_limit=record(overageInUse=FLAG, resetsAt=COUNT))
_PATH: Final = re.compile(r"/api/organizations/([^/]+)/chat_conversations/([^/]+)/", re.IGNORECASE)


class ClaudeAI(AnthropicMessages):
    """A conversation of claude.ai. Stateless."""

    name = "claude-ai"

    def events(self, ask: Ask, headers: Headers) -> Reader:
        """A reader of a stream of events."""
        return _Stream(headers)

    request = Scanner(Shape(model=TEXT), ("model",))

    def asked(self, head: Head, body: bytes, scan: Scan) -> Ask:
        """The Ask of one turn; its organization and conversation stand in the path."""
        ask = Ask(
            model=scan.fields.get("model"), streamed=True, text_bytes=len(body), opaque_input=True, **sender(head)
        )
        found = _PATH.search(head.path)
        if found is None:
            return ask
        session = name_of(found[2])
        claim = Claim(session, Evidence.HEADER) if session else ask.session
        return replace(ask, account=name_of(found[1]), session=claim, continues=session, conversation=session)


class _Stream(Stream):
    """Reads a turn, and what its `message_limit` says of the plan: in the event itself or in an object of its name."""

    marks = (*Stream.marks, b'"message_limit"')

    def __init__(self, headers: Headers) -> None:
        super().__init__(headers, None)

    def event(self, data: bytes) -> bool:
        """Read `message_limit`, or an event of Messages."""
        if b"overageInUse" in data:
            found = _LIMIT.read(data)
            said = found.get("overageInUse")
            beside = found.get("message_limit") or {}
            resets = found.get("resetsAt") or beside.get("resetsAt")
            self.current = replace(
                self.current,
                overage=beside.get("overageInUse") if said is None else said,
                overage_until_ms=resets and 1000 * resets,
            )
        return super().event(data)
