"""What OpenAI's dialects of uploads share: a request is a form, or JSON with the same fields."""

from __future__ import annotations

from collections.abc import Generator

from msgspec.structs import replace

from spendgate.providers import multipart
from spendgate.providers.base import OpenAIDialect
from spendgate.providers.interface import Ask, Head, Notice
from spendgate.providers.jsonscan import Scan
from spendgate.providers.refusals import chat_cut


class FormDialect(OpenAIDialect):
    """An OpenAI dialect whose requests may be forms. Stateless."""

    def asking(self, head: Head, body: bytes) -> Generator[None, None, Ask]:
        """What the request asks for, in steps. Raises WireError. What a form's file will cost does not show in its bytes."""
        kind = head.headers.get("content-type") or ""
        if not multipart.is_form(kind):
            return (yield from super().asking(head, body))
        form = yield from multipart.fields(kind, body)
        asked = {"model": form.get("model"), "stream": form.get("stream") == "true"}
        return replace(self.asked(head, body, Scan(asked)), opaque_input=True)

    def cut(self, notice: Notice, response_id: str | None = None) -> bytes:
        """As for chat."""
        return chat_cut(notice)
