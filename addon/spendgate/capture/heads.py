"""mitmproxy's heads, made without its check of its own fields' types and asked for a name in one pass.

Each request and response compares every field with its declared type (mitmproxy 12.2.3, http.py, `MessageData`), unless Python
runs without assertions. Where a field may be one of two types, the first that does not fit raises an error which is dropped,
and which keeps the frames above it until the garbage collector comes: about 40 objects a call, and twenty-five times what
making both heads costs otherwise. The types that are checked are those that mitmproxy's own parsers fill in.

A call asks its heads for a name some twenty times, mostly for one that is not there: mitmproxy makes a Python call of each
field's spelling, and an exception of each absence. Few names are asked for, again and again; their spelling is kept. Five times
a call it asks how long a body is, by both names that say so, each by itself; most heads say it once, and plainly.
"""

from __future__ import annotations

import re
from functools import lru_cache

from mitmproxy import http
from mitmproxy.net.http import http1
from mitmproxy.net.http.http1.read import expected_http_body_size as stock_size
from mitmproxy.proxy.layers import http as layers
from mitmproxy.utils.strutils import always_bytes

_PLAIN = re.compile(rb"0|[1-9][0-9]{0,17}").fullmatch


def unchecked() -> None:
    """Leave the check out in this process, as `python -O` does. A second time changes nothing."""
    if hasattr(http.MessageData, "__post_init__"):
        http.MessageData.__post_init__ = _nothing  # type: ignore[method-assign]  # there is no other way to leave it out


def quick() -> None:
    """Look names up in one pass in this process, with what mitmproxy would find or raise. A second time changes nothing.

    A subclass would not do: mitmproxy's parsers make the heads, where none can be put in their place.
    """
    http.Headers.get_all = _get_all  # type: ignore[method-assign]  # as said
    http.Headers.get = _get  # type: ignore[method-assign, assignment]  # as said; inherited there
    http.Headers.__contains__ = _contains  # type: ignore[method-assign, assignment]  # as said; inherited there
    http1.expected_http_body_size = body_size
    layers.expected_http_body_size = body_size  # type: ignore[attr-defined]  # imported there by name


def _nothing(_message: http.MessageData) -> None:
    pass


def _get_all(self: http.Headers, name: str | bytes) -> list[str]:
    """Every value of this name, in order. Raises TypeError for a name that is no text."""
    wanted = _wanted(name)
    return [value.decode("utf-8", "surrogateescape") for key, value in self.fields if key.lower() == wanted]


@lru_cache(maxsize=256)
def _wanted(name: str | bytes) -> bytes:
    return always_bytes(name, "utf-8", "surrogateescape").lower()


def _get(self: http.Headers, key: str | bytes, default: object = None) -> object:
    """All values of this name, folded into one; `default` where there is none."""
    values = _get_all(self, key)
    return ", ".join(values) if values else default


def _contains(self: http.Headers, key: str | bytes) -> bool:
    return bool(_get_all(self, key))


def body_size(request: http.Request, response: http.Response | None = None) -> int | None:
    """As `expected_http_body_size`: how long a message's body will be, None for one in chunks, -1 for one up to the end.

    One plain length, or chunks alone, are read here; whatever else a head may say is mitmproxy's to read, or to raise for.
    """
    message = request if response is None else response
    if response is not None and (response.data.status_code != 200 or request.data.method not in (b"GET", b"POST")):
        return stock_size(request, response)
    length = coding = None
    for key, value in message.headers.fields:
        name = key.lower()
        if name == b"content-length" and length is None:
            length = value
        elif name == b"transfer-encoding" and coding is None:
            coding = value
        elif name in (b"content-length", b"transfer-encoding"):
            return stock_size(request, response)
    if coding is None and length is not None and _PLAIN(length):
        return int(length)
    if length is None and coding == b"chunked":
        return None
    return stock_size(request, response)
