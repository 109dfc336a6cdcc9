"""Why a server could not be asked, in words that say what to look at. Nothing of what a peer wrote is in them. Pure."""

from __future__ import annotations

import socket
import ssl

import httpx2


def unfetched(fault: BaseException) -> str:
    """By the first cause below `fault` that says something: what httpx2 raises itself is one kind for all of them."""
    seen: BaseException | None = fault
    while seen is not None:
        if (words := _words(seen)) is not None:
            return words
        seen = seen.__cause__ or seen.__context__
    return type(fault).__name__


def _words(fault: BaseException) -> str | None:
    match fault:
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted ({fault.verify_message})"
        case ssl.SSLError():
            return "it does not speak TLS as it must"
        case socket.gaierror():
            return "its name does not resolve"
        case ConnectionRefusedError():
            return "nothing listens there (connection refused)"
        case httpx2.ProxyError():
            return "the upstream proxy does not let it through"
        case httpx2.RemoteProtocolError() | ConnectionResetError():
            return "the connection ended without a whole answer"
        case httpx2.TimeoutException():
            return "no answer in time"
        case _:
            return None
