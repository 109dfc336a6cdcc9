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
from spendgate.providers.client import name_of, sender
from spendgate.providers.interface import Ask, Claim, Head
from spendgate.providers.jsonscan import Scan, Scanner
from spendgate.providers.shapes import TEXT, Shape

_PATH: Final = re.compile(r"/api/organizations/([^/]+)/chat_conversations/([^/]+)/", re.IGNORECASE)


class ClaudeAI(AnthropicMessages):
    """A conversation of claude.ai. Stateless."""

    name = "claude-ai"

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
        return replace(ask, account=name_of(found[1]), session=claim)
