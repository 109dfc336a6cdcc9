"""The dialect `chat-enveloped`: chat whose request or answer stands in an envelope of its host's.

Perplexity's and Z.ai's asynchronous chat, which is answered by the id of a job, and Alibaba's native generation (`input`,
`parameters`; the answer in `output`, its counts beside that). The model is read, at the top or in `request`; caps and counts of
choices are not, so such a call has no bound. Where no counts come with the answer the call is estimated, and what a job is
asked for later is not read. Sources: docs.perplexity.ai, docs.z.ai, Alibaba Model Studio's reference, November 2026; not tried.
"""

from __future__ import annotations

import json
from typing import Final

from msgspec.structs import replace

from spendgate.providers.ask import Ask
from spendgate.providers.client import sender
from spendgate.providers.interface import Answer, Head, Notice
from spendgate.providers.jsonscan import Scan, Scanner
from spendgate.providers.openai_chat import OpenAIChat
from spendgate.providers.shapes import TEXT, Shape, record

_REQUEST: Final = Shape(model=TEXT, request=record(model=TEXT))


class EnvelopedChat(OpenAIChat):
    """Chat in an envelope. Stateless."""

    name = "chat-enveloped"

    request = Scanner(_REQUEST, ("model", "request"))

    def asked(self, head: Head, body: bytes, scan: Scan) -> Ask:
        """The Ask of a request with this scan: of unknown size, for an answer of unknown length."""
        found = scan.fields
        inner = (found.get("request") or {}).get("model")
        model = inner or found.get("model")
        also = (found["model"],) if inner and found.get("model") not in (None, inner) else ()
        return Ask(model=model, also=also, text_bytes=len(body), opaque_input=True, loops=True, **sender(head))

    def refusal(self, notice: Notice, tool: str | None, *, strict: bool = False) -> Answer:
        """OpenAI's error shape, with code and message at the top, too, where Alibaba's own SDK looks for them."""
        answer = super().refusal(notice, tool, strict=strict)
        body = {**json.loads(answer.body), "code": notice.code, "message": notice.message}
        return replace(answer, body=json.dumps(body).encode())
