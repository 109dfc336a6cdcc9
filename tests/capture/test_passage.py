"""A message's head as the dialects read it."""

from __future__ import annotations

import pytest
from mitmproxy import http

from spendgate.capture.passage import headers_of

_FIELDS = (
    (b"Content-Type", b"text/event-stream"),
    (b"X-Api-Key", b"sk-ant-one"),
    (b"x-api-key", b"sk-ant-two"),
    (b"Session-Id", b"\xff\xe2\x82\xac"),
    (b"EMPTY", b""),
)


@pytest.mark.parametrize("name", ["content-type", "X-API-Key", "session-id", "empty", "missing"])
@pytest.mark.parametrize("reply", [False, True], ids=["request", "response"])
def test_a_folded_head_says_what_mitmproxys_own_says(name: str, reply: bool) -> None:
    """In any case of the name, for repeated fields, bytes that are no text, and fields that are not there."""
    headers = http.Headers(_FIELDS)
    message = http.Response.make(200, b"", headers) if reply else http.Request.make("GET", "https://a/", b"", headers)
    assert headers_of(message).get(name, "none") == message.headers.get(name, "none")
