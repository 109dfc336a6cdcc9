"""What mitmproxy may say in our log. Its lines quote URLs, headers and raw bytes, so none is passed on as it is.

A line whose shape is known is said again in our words, with only the parts that cannot carry a secret: host names, ports,
causes from OpenSSL's and the system's own tables. Any other line is reduced to the place that logged it. Tracebacks are
reduced to types and places. Records go to the logger `spendgate.capture`; nothing of mitmproxy reaches the root logger.
"""

from __future__ import annotations

import logging
import re
import traceback
from pathlib import PurePath

HOST = r"[A-Za-z0-9_.:\[\]-]{1,255}"
_CLIENT, _SERVER = r"Client TLS handshake failed\. ", r"Server TLS handshake failed\. "
_CERTIFICATE = rf"trust the proxy's certificate for ({HOST}) "
_ADD_IT = "; `spendgate ca show` prints the one that its trust store lacks"
SHAPES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(shape), said)
    for shape, said in (
        (_CLIENT + "The client does not " + _CERTIFICATE, r"a client does not trust our certificate for \1" + _ADD_IT),
        (_CLIENT + "The client may not " + _CERTIFICATE, r"a client may not trust our certificate for \1" + _ADD_IT),
        (_CLIENT + "Client and mitmproxy cannot agree", "a client speaks no TLS version that we do"),
        (_CLIENT, "a client's TLS handshake failed"),
        (
            _SERVER + r"Certificate verify failed: ([A-Za-z0-9 ,()'-]{1,120})$",
            r"an upstream's certificate was not accepted: \1",
        ),
        (
            rf"Upstream proxy ({HOST}) refused HTTP CONNECT request: (\d{{3}})\b",
            r"the proxy \1 refused a connection: HTTP \2",
        ),
        (_SERVER + "The remote server does not speak TLS", "an upstream does not speak TLS"),
        (_SERVER + "The remote server and mitmproxy cannot agree", "an upstream speaks no TLS version that we do"),
        (_SERVER, "an upstream's TLS handshake failed"),
        (r"TLS Error: ", "a peer broke TLS off"),
        (r"No (?:D)?TLS context was provided", "no certificate for a connection that was to be decrypted"),
        (r"Transparent mode failure", "the original destination of a redirected connection is unknown"),
        (r"mitmproxy has crashed!", "the proxy core failed on one connection"),
        (r"connection handler has crashed", "the proxy core failed on one connection"),
        (r"Unhandled error in task", "a task of the proxy core failed"),
        (r"Addon error: ", "an addon failed"),
    )
)
OURS = logging.getLogger("spendgate.capture")
PLACES_MAX = 12


class Relay(logging.Handler):
    """Takes mitmproxy's records from WARNING up, and says what may be said."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            OURS.log(record.levelno, "%s", said(record))
        except Exception:  # noqa: BLE001  # a log line must not end a connection, nor be printed with its content
            OURS.error("a line of the proxy core could not be read")


def install() -> Relay:
    """Puts the relay in front of mitmproxy's loggers. Undone by `remove`."""
    relay, theirs = Relay(), logging.getLogger("mitmproxy")
    theirs.addHandler(relay)
    theirs.setLevel(logging.WARNING)
    theirs.propagate = False
    return relay


def remove(relay: Relay) -> None:
    theirs = logging.getLogger("mitmproxy")
    theirs.removeHandler(relay)
    theirs.setLevel(logging.NOTSET)
    theirs.propagate = True


def said(record: logging.LogRecord) -> str:
    """The line for our log: a known shape in our words, else the place that logged it, with where an exception came from."""
    text = record.getMessage()
    words = f"{record.name}:{record.lineno} reports a problem"
    for shape, known in SHAPES:
        if found := shape.match(text):
            words = found.expand(known)
            break
    if record.exc_info and record.exc_info[1] is not None:
        words += f" ({where(record.exc_info[1])})"
    return words


def where(error: BaseException) -> str:
    """`KeyError at meter.py:12 in request < …`, innermost first; never the message, which may quote a request."""
    frames = traceback.extract_tb(error.__traceback__)[-PLACES_MAX:]
    places = (f"{PurePath(frame.filename).name}:{frame.lineno} in {frame.name}" for frame in reversed(frames))
    return f"{type(error).__name__} at {' < '.join(places)}"
