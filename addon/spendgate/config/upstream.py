"""How a company's proxy is written that the gate goes out through: on the command line, and in a rollout file."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from spendgate.config.credentials import UPSTREAM_AUTH

_PROXY: Final = re.compile(r"(?i:https?)://[A-Za-z0-9.:\[\]-]+/?")
"""It stands in units, scripts and commands to copy: nothing that a shell or Markdown could take for its own."""
WANTED = f"write http://HOST:PORT; USER:PASSWORD belong in /etc/credstore/{UPSTREAM_AUTH}, root's alone"


def upstream_proxy(text: str) -> str:
    """The proxy, without a last slash. Raises ValueError, which does not repeat what may be a password."""
    try:
        named = urlsplit(text if _PROXY.fullmatch(text) else "")
        port = named.port
    except ValueError:
        raise ValueError(WANTED) from None
    if not port or not named.hostname:
        raise ValueError(WANTED)
    return text.rstrip("/")
