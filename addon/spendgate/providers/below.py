"""Hosts by name or below a domain: `llm.acme.example`, or `*.ai.acme.example` for every name under it, not the domain itself."""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Final

WILD: Final = "*."
_NAME: Final = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9-]{1,63}")


def canonical(host: str) -> str:
    """A host's name as it is looked up: in lower case, without the root's dot."""
    return host.lower().rstrip(".")


def within(host: str, names: Container[str]) -> str | None:
    """By which of the names this host is one of them: its own, else the closest domain's. `host` is in lower case.

    A client says what it wants in its hello: only what is spelled as a host is below a domain, so that it gets no certificate for
    `*.acme.example` by asking for that.
    """
    if host in names:
        return None if host.startswith(WILD) else host
    if _NAME.fullmatch(host) is None:
        return None
    below = host
    while "." in below:
        below = below.partition(".")[2]
        if WILD + below in names:
            return WILD + below
    return None
