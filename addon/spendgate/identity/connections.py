"""The table of TCP connections, as psutil reads it on Linux and Windows."""

from __future__ import annotations

from collections.abc import Iterator

import psutil

from spendgate.identity.interface import Connection

_OPEN = (psutil.CONN_ESTABLISHED, psutil.CONN_SYN_SENT)


def connections() -> Iterator[Connection]:
    """Those with two ends, of this network namespace. Raises OSError, RuntimeError, psutil.Error."""
    for each in psutil.net_connections("tcp"):
        if each.laddr and each.raddr:
            yield Connection(
                (each.laddr[0], each.laddr[1]), (each.raddr[0], each.raddr[1]), each.pid or None, each.status in _OPEN
            )
