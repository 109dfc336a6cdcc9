"""Modes whose port may be another than the one asked for: those of TCP alone, at an address that is written as a number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mitmproxy.proxy import mode_specs

from spendgate.capture.launcher import LOOPBACK

_MODES: Final = (mode_specs.RegularMode, mode_specs.UpstreamMode, mode_specs.Socks5Mode)
_NUMERIC: Final = frozenset("0123456789abcdefABCDEF.:")


@dataclass(frozen=True, slots=True)
class Movable:
    """Such a mode, and where it is to listen: at loopback unless somebody says otherwise."""

    name: str
    data: str
    host: str
    port: int

    def at(self, port: int) -> str:
        """As it is written for this port."""
        return f"{self.name}{f':{self.data}' if self.data else ''}@{self.host}:{port}"


def movable(text: str) -> Movable | None:
    """The mode; None: its port is not moved, or it is none, which is told when it is opened."""
    try:
        mode = mode_specs.ProxyMode.parse(text)
    except ValueError:
        return None
    host, port = mode.listen_host(LOOPBACK), mode.listen_port()
    if not isinstance(mode, _MODES) or not host or not set(host) <= _NUMERIC or not port:
        return None
    return Movable(mode.type_name, mode.data, host, port)
