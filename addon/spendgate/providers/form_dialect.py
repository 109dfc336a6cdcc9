"""What OpenAI's dialects of uploads share: a request is a form, or JSON with the same fields."""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Final

from msgspec.structs import replace

from spendgate.providers import multipart
from spendgate.providers.ask import Ask
from spendgate.providers.base import OpenAIDialect
from spendgate.providers.interface import Head, Notice
from spendgate.providers.jsonscan import Scan
from spendgate.providers.packed import PICTURE_BYTES_A_TOKEN, PICTURE_TOKENS_MAX
from spendgate.providers.refusals import chat_cut
from spendgate.providers.shapes import Fields

_COUNT: Final = re.compile(r"[1-9][0-9]{0,2}")
_FIELDS_BYTES: Final = 1_024
"""What the fields beside its files, a prompt among them, are taken to be."""


class FormDialect(OpenAIDialect):
    """An OpenAI dialect whose requests may be forms. Stateless."""

    def asking(self, head: Head, body: bytes) -> Generator[None, None, Ask]:
        """What the request asks for, in steps. Raises WireError. What a form's file will cost does not show in its bytes."""
        kind = head.headers.get("content-type") or ""
        if not multipart.is_form(kind):
            return (yield from super().asking(head, body))
        form = yield from multipart.fields(kind, body)
        return self.uploaded(replace(self.asked(head, body, Scan(self.formed(form))), opaque_input=True), body)

    def formed(self, form: multipart.Form) -> Fields:
        """A form's fields as those of a JSON document."""
        count = form.get("n") or ""
        number = int(count) if _COUNT.fullmatch(count) else None
        return {"model": form.get("model"), "stream": form.get("stream") == "true", "n": number}

    def uploaded(self, ask: Ask, body: bytes) -> Ask:
        """`ask`, with what the form's files usually count as: pictures, of which the form is nearly all."""
        size = max(0, len(body) - _FIELDS_BYTES)
        files = max(1, body.count(b'filename="'))
        tokens = min(size * 4 // (3 * PICTURE_BYTES_A_TOKEN), files * PICTURE_TOKENS_MAX)
        return replace(ask, packed_bytes=size, packed_tokens=tokens)

    def cut(self, notice: Notice, response_id: str | None = None) -> bytes:
        """As for chat."""
        return chat_cut(notice)
