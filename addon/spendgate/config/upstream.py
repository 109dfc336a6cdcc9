"""How a company's proxy is written that the gate goes out through: on the command line, and in a rollout file."""

from __future__ import annotations

from urllib.parse import urlsplit

from spendgate.config.credentials import UPSTREAM_AUTH

WANTED = f"write http://HOST:PORT; USER:PASSWORD belong in /etc/credstore/{UPSTREAM_AUTH}, root's alone"


def upstream_proxy(text: str) -> str:
    """The proxy, without a last slash. Raises ValueError, which does not repeat what may be a password."""
    try:
        named = urlsplit(text)
        port, login = named.port, named.username
    except ValueError:
        port, login = None, None
    plain = text.isascii() and text.isprintable() and not set(text) & set(" \"'<>\\`$")
    if not plain or not port or login is not None or named.scheme not in ("http", "https") or not named.hostname:
        raise ValueError(WANTED)
    if named.path not in ("", "/") or named.query or named.fragment:
        raise ValueError(WANTED)
    return text.rstrip("/")
