"""The dialect `openai-realtime`: WebSocket …/realtime, speech and text both ways.

A turn is begun by a client's `response.create`, which is a call like any other, or, with the server's own detection of speech, by
silence: no message of a client stands for that one, so that nothing can be held for it, and it is metered when it is done.
What is heard is written down by a model of its own, where the session names one, once it is committed: by a client's
`input_audio_buffer.commit`, a call of that model, or by silence. Source: facts/wire-formats.md 2.1.
"""

from __future__ import annotations

from collections.abc import Generator

from msgspec.structs import replace

from spendgate.providers.ask import Ask
from spendgate.providers.base import OpenAIDialect
from spendgate.providers.interface import Head, Headers, Notice, Reader
from spendgate.providers.jsonscan import Scan, Scanner
from spendgate.providers.openai_realtime_asked import asked_of, hears_only, model_of
from spendgate.providers.openai_realtime_session import RealtimeSession
from spendgate.providers.readers import FreeReader
from spendgate.providers.refusals import openai_error_frame
from spendgate.providers.shapes import TEXT, Shape


class OpenAIRealtime(OpenAIDialect):
    """OpenAI Realtime. Stateless."""

    name = "openai-realtime"

    request = Scanner(Shape(model=TEXT), ("model",))

    def ask(self, head: Head, body: bytes) -> Ask:
        """What a handshake asks for: whatever the session will be. Its query names the model."""
        return self.asked(head, body, self.request.read(body) if body else Scan({}))

    def asking(self, head: Head, body: bytes) -> Generator[None, None, Ask]:
        """The same in steps."""
        scan = (yield from self.request.steps(body)) if body else Scan({})
        return self.asked(head, body, scan)

    def asked(self, head: Head, body: bytes, scan: Scan) -> Ask:
        """The Ask of a handshake."""
        model = model_of(head) or scan.fields.get("model")
        # A session for transcription alone is named its model later; that one is asked about then.
        return replace(asked_of(head, model, body), transcribes=model is None and hears_only(head))

    def events(self, ask: Ask, headers: Headers) -> Reader:
        """Nothing is answered outside of a socket."""
        return FreeReader(headers)

    def document(self, ask: Ask, headers: Headers) -> Reader:
        """As for events."""
        return FreeReader(headers)

    def cut(self, notice: Notice, response_id: str | None = None) -> bytes:
        """The error event, as a message."""
        return openai_error_frame(notice)

    cut_frame = cut

    def refusal_frame(self, notice: Notice, tool: str | None, *, strict: bool = False) -> bytes:
        """The same."""
        return openai_error_frame(notice)

    def overheard(self, head: Head) -> RealtimeSession:
        """A reader of one connection; `head` is its handshake's."""
        return RealtimeSession(head)
