"""The proxies that this process's variables name, and whether a canary call through them reaches the gate."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from spendgate.capture.health import call_canary
from spendgate.runtimes import PROXY

VARIABLES = (*(name for name in PROXY if name.upper() == "HTTPS_PROXY"), "ALL_PROXY", "all_proxy")
"""By which programs find a proxy for `https`, those that most programs ask first."""
_JAVA = re.compile(r"-Dhttps\.proxy(Host|Port)=(\S+)")
_MODES = {"http": "regular", "socks5": "socks5", "socks5h": "socks5"}
_PORTS = {"http": 80, "socks5": 1080, "socks5h": 1080}


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where a variable leads. `mode` empty: a kind of proxy that no gate is."""

    variable: str
    mode: str
    host: str
    port: int

    @property
    def where(self) -> str:
        """Without what a password may be in."""
        return f"{self.host}:{self.port}" if self.host else "no address"


def proxies(environ: Mapping[str, str]) -> tuple[Proxy, ...]:
    """Those that are set, in the order of `VARIABLES`."""
    return tuple(_proxy(name, environ[name]) for name in VARIABLES if environ.get(name))


def java(options: str) -> Proxy | None:
    """The proxy that Java's options name."""
    named = dict(_JAVA.findall(options))
    if not named.get("Host"):
        return None
    port = named.get("Port", "443")
    return Proxy("JAVA_TOOL_OPTIONS", "regular", named["Host"], int(port) if port.isdecimal() else 0)


async def answered(proxy: Proxy, pem: str, timeout_s: float) -> str | None:
    """The instance of the gate that answers through it; None: none does."""
    if not proxy.mode or not 0 < proxy.port < 65536:
        return None
    return await call_canary(proxy.mode, (proxy.host, proxy.port), pem, timeout_s)


def _proxy(name: str, value: str) -> Proxy:
    try:
        parsed = urlsplit(value if "://" in value else f"http://{value}")
        kind, host, port = parsed.scheme, parsed.hostname or "", parsed.port
    except ValueError:
        return Proxy(name, "", "", 0)
    return Proxy(name, _MODES.get(kind, "") if host else "", host, port or _PORTS.get(kind, 443))
