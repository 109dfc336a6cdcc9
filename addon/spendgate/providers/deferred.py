"""The dialect `chat-deferred`: GET …/chat/deferred-completion/{request_id}, a chat that xAI works off later.

A chat with `deferred: true` is answered by `{"request_id"}` alone; under that id the whole answer is read once, within a day, and
202 without a body until it is there. Source: docs.x.ai, deferred chat completions, November 2026; not tried.
"""

from __future__ import annotations

from msgspec.structs import replace

from spendgate.providers.ask import Ask
from spendgate.providers.interface import Head, Headers, ResultReader
from spendgate.providers.openai_chat import OpenAIChat
from spendgate.providers.reading import Result
from spendgate.providers.results import NoResults, OneResult, response_key


class DeferredChat(OpenAIChat):
    """What a deferred chat has come to. Stateless."""

    name = "chat-deferred"

    def results(self, head: Head, status: int, headers: Headers) -> ResultReader:
        """A reader of the answer, which is known by the id in the path: its own is another."""
        if status >= 300:
            return NoResults()
        return _Deferred(OneResult(self.reader(Ask(), status, headers)), head.path.rstrip("/").rpartition("/")[2])


class _Deferred:
    """One answer, as the result of the request that has this id."""

    def __init__(self, inner: OneResult, request_id: str) -> None:
        self._inner = inner
        self._request_id = request_id

    def feed(self, data: bytes) -> tuple[Result, ...]:
        """Its counts stand at its end."""
        return self._inner.feed(data)

    def close(self) -> tuple[Result, ...]:
        """The answer, once it is there."""
        return tuple(
            replace(found, key=response_key(self._request_id), reading=replace(found.reading, background=True))
            for found in self._inner.close()
        )
