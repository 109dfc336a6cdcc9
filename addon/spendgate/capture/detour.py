"""`--set connect_to=HOST=ADDR:PORT`: for development and tests, connections meant for HOST go elsewhere (curl's `--connect-to`).

The name that is asked for, verified and metered stays HOST. Who starts the gate with it prints `notices`, since a detour in
earnest would send people's keys to another server.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mitmproxy import addonmanager, ctx, exceptions
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from spendgate.capture.scope import folded


@dataclass(frozen=True, slots=True)
class Detour:
    host: str
    address: tuple[str, int]


def read_detour(text: str) -> Detour:
    """`HOST=ADDR:PORT` or `HOST=[V6]:PORT`. Raises ValueError."""
    host, _, address = text.partition("=")
    place, _, port = address.rpartition(":")
    if not host or not place or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise ValueError(f"connect_to={text}: expected HOST=ADDR:PORT")
    return Detour(folded(host), (place.strip("[]"), int(port)))


class Detours:
    """The addon."""

    def __init__(self) -> None:
        self._addresses: dict[str, tuple[str, int]] = {}
        self._meant: dict[str, tuple[str, int]] = {}
        """Where connections that are being opened were meant to go, by mitmproxy's connection id."""

    @property
    def notices(self) -> tuple[str, ...]:
        """What must be said aloud: one line for each detour."""
        return tuple(
            f"connect_to: {host} goes to {address[0]}:{address[1]}" for host, address in self._addresses.items()
        )

    def load(self, loader: addonmanager.Loader) -> None:
        loader.add_option("connect_to", Sequence[str], [], "Connect to ADDR:PORT instead of HOST. Form: HOST=ADDR:PORT")

    def configure(self, updated: set[str]) -> None:
        if "connect_to" in updated:
            try:
                detours = [read_detour(text) for text in ctx.options.connect_to]
            except ValueError as fault:
                raise exceptions.OptionsError(str(fault)) from fault
            self._addresses = {detour.host: detour.address for detour in detours}

    def server_connect(self, data: ServerConnectionHookData) -> None:
        """mitmproxy's hook. In transparent modes only an address is known, which may be given as HOST too."""
        address = data.server.address
        if address and (elsewhere := self._addresses.get(folded(address[0]))):
            self._meant[data.server.id] = address
            data.server.address = elsewhere

    def server_connected(self, data: ServerConnectionHookData) -> None:
        """The connection is there: from here on it goes by its true name again."""
        if meant := self._meant.pop(data.server.id, None):
            # mitmproxy forbids a new address on an open connection, lest it be mistaken for a reconnect; this is none
            object.__setattr__(data.server, "address", meant)

    def server_connect_error(self, data: ServerConnectionHookData) -> None:
        self.server_connected(data)
