"""mitmproxy's heads, made without its check of its own fields' types.

Each request and response compares every field with its declared type (mitmproxy 12.2.3, http.py, `MessageData`), unless Python
runs without assertions. Where a field may be one of two types, the first that does not fit raises an error which is dropped,
and which keeps the frames above it until the garbage collector comes: about 40 objects a call, and twenty-five times what
making both heads costs otherwise. The types that are checked are those that mitmproxy's own parsers fill in.
"""

from __future__ import annotations

from mitmproxy import http


def unchecked() -> None:
    """Leave the check out in this process, as `python -O` does. A second time changes nothing."""
    if hasattr(http.MessageData, "__post_init__"):
        http.MessageData.__post_init__ = _nothing  # type: ignore[method-assign]  # there is no other way to leave it out


def _nothing(_message: http.MessageData) -> None:
    pass
