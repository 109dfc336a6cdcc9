"""The listener for containers takes containers' connections alone. First of the addons that meter.

A rule can lead what comes by a bridge to no loopback address, so this one listener is on every address of the machine. The rules
close its port to whoever was not led there; this is the second lock, for when they have gone.
"""

from __future__ import annotations

import ipaddress

from mitmproxy import connection
from mitmproxy.proxy import mode_specs

from spendgate.identity.containers import Range, of

NO_CONTAINER = "spendgate: no container's connection, or led here by no rule"


class Bridged:
    """The addon."""

    def __init__(self, listed: tuple[Range, ...]) -> None:
        self._listed = listed

    def client_connected(self, client: connection.Client) -> None:
        """mitmproxy's hook: a client with an error is closed before a byte of it is read."""
        mode = client.proxy_mode
        if not isinstance(mode, mode_specs.TransparentMode) or not _everywhere(mode.custom_listen_host):
            return
        led = client.sockname[1] != mode.custom_listen_port
        if not led or of(client.peername[0], self._listed) is None:
            client.error = NO_CONTAINER


def _everywhere(host: str | None) -> bool:
    return host is not None and ipaddress.ip_address(host).is_unspecified
