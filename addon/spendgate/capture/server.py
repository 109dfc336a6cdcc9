"""The listeners: mitmproxy's Proxyserver with a long queue, a check that each listener is really up, and an orderly end.

No connection goes from the gate to itself, whatever it is called: each turn would open two more, until no file can be opened.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from mitmproxy import connection, ctx, options
from mitmproxy.addons import proxyserver
from mitmproxy.net.server_spec import ServerSpec
from mitmproxy.proxy import mode_specs
from mitmproxy.proxy.mode_servers import ProxyConnectionHandler, ServerInstance
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from spendgate.capture.connections import Waiting
from spendgate.capture.dispatch import Dispatch, InPlace
from spendgate.capture.handler import Handler
from spendgate.capture.way_out import Redirected, proxy_of
from spendgate.errors import PortTaken, StateError

BACKLOG = 4_096
"""Connections that may wait to be accepted; asyncio asks for 100. The kernel's own bound (`somaxconn`) is 4,096 on Linux."""
ITSELF = "the destination is the gate itself"
FAREWELL_S = 5.0
"""How long open connections have to end, once they are told to, before they are dropped."""

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Listener:
    """One listening mode, as it was asked for, and where it is bound. Local mode has no address."""

    mode: str
    addresses: tuple[tuple[str, int], ...]


class Server(proxyserver.Proxyserver):
    """The addon. mitmproxy looks it up by the stock name."""

    name = "proxyserver"

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # mitmproxy's
        self.closing = False
        """The gate ends its connections."""
        self._emptied = asyncio.Event()
        self._proxy: ServerSpec | None = None

    async def listen(self) -> tuple[Listener, ...]:
        """Opens every listener of the option `mode`. Raises StateError for the first that is not up: mitmproxy only logs it."""
        self._proxy = proxy_of(ctx.options.mode)
        with _unsaid():
            await self.setup_servers()
        instances = tuple(self.servers)
        for instance in instances:
            if instance.last_exception is not None or not instance.is_running:
                raise _not_listening(instance)
            _deepen(instance)
        return tuple(Listener(i.mode.full_spec, tuple((a[0], a[1]) for a in i.listen_addrs)) for i in instances)

    def client_connected(self, client: connection.Client) -> None:
        """mitmproxy's hook. Who connects to the transparent listener itself, as a web page can, was led here by no rule and has
        nowhere to go: it is closed unread. mitmproxy would fail on it, tell so, and keep it open."""
        if isinstance(client.proxy_mode, mode_specs.TransparentMode) and any(
            _same(client.sockname, own) for instance in self.servers for own in instance.listen_addrs
        ):
            client.error = ITSELF

    async def server_connect(self, data: ServerConnectionHookData) -> None:
        """mitmproxy's hook. Its own check knows four spellings; this one resolves names, where the port is one of ours."""
        super().server_connect(data)
        if data.server.address is None:
            return
        host, port = data.server.address[:2]
        ours = [own[0] for instance in self.servers for own in instance.listen_addrs if own[1] == port]
        if data.server.error or (ours and await _leads_to(host, port, ours)):
            data.server.error = ITSELF

    def waiting(self, waiting: Waiting) -> None:
        """`connections.WaitingHook`."""
        handler = self.connections.get(waiting.client.id)
        if isinstance(handler, Handler):
            handler.waits(waiting.connection, too_much=waiting.too_much)

    def part(self, client_id: str) -> None:
        """Ends this client's connection, with all that belongs to it."""
        handler = self.connections.get(client_id)
        if handler and (io := handler.transports.get(handler.client)) and io.handler:
            io.handler.cancel("its host is captured no longer")

    async def close(self) -> None:
        """Stops listening and ends what is open, so that each call is settled. Bounded by `FAREWELL_S`."""
        self.closing = True
        try:
            with _unsaid():
                await self.servers.update([])
            for handler in list(self.connections.values()):
                if (io := handler.transports.get(handler.client)) and io.handler:
                    io.handler.cancel("the gate stops")
            if self.connections:
                self._emptied.clear()
                with suppress(TimeoutError):  # what has not ended by now is an orphan, which the next gate resolves
                    await asyncio.wait_for(self._emptied.wait(), FAREWELL_S)
        finally:
            self.closing = False

    @contextmanager
    def register_connection(
        self, connection_id: tuple[object, ...] | str, handler: ProxyConnectionHandler
    ) -> Iterator[None]:
        if self._proxy:
            Redirected.put_in_place_of(handler.layer, self._proxy)
        if isinstance(handler.master.addons, Dispatch):
            handler.layer = InPlace(handler.layer, handler.master.addons)  # type: ignore[assignment]  # all that it is asked
            Handler.put_in_place_of(handler)
        try:
            with super().register_connection(connection_id, handler):
                yield
        finally:
            if not self.connections:
                self._emptied.set()


async def _leads_to(host: str, port: int, listening: list[str]) -> bool:
    """Whether this name or address is, or may be, one at which we listen. A name that does not resolve leads nowhere."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return any(_is_ours(_plain_ip(entry[4][0]), _plain_ip(own)) for entry in found for own in listening)


def _is_ours(address: _Address, listening: _Address) -> bool:
    """Whether a connection to `address` reaches `listening`. The wildcard address listens everywhere, and leads to loopback."""
    if listening.is_unspecified:
        return address.is_unspecified or _is_local(address)
    return address == listening or (address.is_unspecified and listening.is_loopback)


def _same(one: tuple[object, ...], other: tuple[object, ...]) -> bool:
    """Whether two socket addresses are one; of IPv6's, flow and scope do not count."""
    return one[:2] == other[:2]


def _is_local(address: _Address) -> bool:
    """Whether it is this machine's: only those can be bound."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((str(address), 0))
        except OSError:
            return False
    return True


def _plain_ip(text: str | int) -> _Address:
    address = ipaddress.ip_address(str(text))
    return (address.ipv4_mapped or address) if address.version == 6 else address


@contextmanager
def _unsaid() -> Iterator[None]:
    """Drops what mitmproxy logs of a listener that does not open, and then of its end: `listen` raises it."""
    theirs = logging.getLogger(proxyserver.__name__)
    before, theirs.disabled = theirs.disabled, True
    try:
        yield
    finally:
        theirs.disabled = before


def try_ports(asked: options.Options, held: frozenset[tuple[str, int]] = frozenset()) -> None:
    """Binds the address of each listener of the option `mode` for a moment, but for those that are held already.

    Raises StateError for the first that is taken.

    It does not listen: whoever connected in that moment would pass a gate that cannot meter yet.
    """
    for text in asked.mode:
        mode = mode_specs.ProxyMode.parse(text)
        host, port = mode.listen_host(asked.listen_host), mode.listen_port(asked.listen_port)
        if port is None or (host, port) in held:
            continue  # local mode has no address
        try:
            _bind_once(host, port)
        except socket.gaierror:
            continue  # a name that this family does not have; the listener itself knows all
        except OSError as fault:
            raise _unbound(mode, host, port, fault) from fault


def _bind_once(host: str, port: int) -> None:
    """With asyncio's own settings: a port that was just left is free, and `::` does not mean IPv4."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as trial:
        if os.name == "posix":
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if trial.family == socket.AF_INET6:
            trial.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        trial.bind((host, port))


def _not_listening(instance: ServerInstance[mode_specs.ProxyMode]) -> StateError:
    fault, mode = instance.last_exception, instance.mode
    if not isinstance(fault, OSError) or fault.errno is None:
        return StateError(f"--mode {mode.full_spec} did not start: {fault or 'no reason given'}")
    host, port = mode.listen_host(ctx.options.listen_host), mode.listen_port(ctx.options.listen_port)
    return _unbound(mode, host, port, fault)


def _unbound(mode: mode_specs.ProxyMode, host: str, port: int | None, fault: OSError) -> StateError:
    own = mode.custom_listen_port is not None and not isinstance(mode, mode_specs.TransparentMode)
    another = (
        f"choose another with --mode {mode.full_spec.rpartition('@')[0]}@PORT" if own else "choose another with --port"
    )
    why = os.strerror(fault.errno) if fault.errno is not None else str(fault)
    said = f"port {port} of {host} cannot be listened on: {why}"
    if fault.errno == errno.EADDRINUSE and port:
        return PortTaken(port, said, another, host)
    return StateError(f"{said}; {another}")


def _deepen(instance: ServerInstance[mode_specs.ProxyMode]) -> None:
    """Lengthens the queue of connections that wait to be accepted, by listening once more on the same socket."""
    for server in getattr(instance, "_servers", ()):
        for listening in getattr(server, "sockets", ()):
            with socket.socket(fileno=socket.dup(listening.fileno())) as twin:
                if twin.type == socket.SOCK_STREAM:
                    twin.listen(BACKLOG)
