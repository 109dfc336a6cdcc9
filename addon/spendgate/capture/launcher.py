"""Runs the proxy: our own master, with only the addons that capture needs.

Loaded: Core, Proxyserver, our NextLayer and TLS, Bystanders, the canary's Responder, Detours; Credentials for upstream modes,
StripDnsHttpsRecords where DNS is seen; then the caller's, which meter. Never: what stores, replays, scripts or serves pages.
Prints nothing; raises before it is ready, and says through `ready` where it listens.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from mitmproxy import exceptions, hooks, master
from mitmproxy.addons import core, strip_dns_https_records
from mitmproxy.proxy import layers, mode_specs
from mitmproxy.utils import asyncio_utils

from spendgate.capture import frames, heads, logs, memory, options, same
from spendgate.capture.bystanders import Bystanders
from spendgate.capture.ca import Minter
from spendgate.capture.coverage import OnCoverage, Watch, ignore_coverage
from spendgate.capture.detour import Detours
from spendgate.capture.dispatch import Dispatch
from spendgate.capture.next_layer import HttpLayerFactory, NextLayer, WhoseConnection, nobodys, uncounted, unnoted
from spendgate.capture.responder import Responder
from spendgate.capture.scope import Scope
from spendgate.capture.server import Listener, Server, try_ports
from spendgate.capture.stopping import stopping
from spendgate.capture.tally import Tallying
from spendgate.capture.tls import GateTls
from spendgate.capture.way_out import Credentials, proxy_of
from spendgate.config.credentials import UPSTREAM_AUTH
from spendgate.errors import UsageError

MODES = ("regular", "transparent", "local", "upstream", "reverse", "socks5")
_WRITTEN = {"upstream": "upstream:http://HOST:PORT", "reverse": "reverse:https://HOST"}
"""The modes that lead to one host, as they are written."""
LOOPBACK = "127.0.0.1"
FILES = 65_536
"""Open files, if the hard limit allows: two for each connection that passes through."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What one run of the proxy needs. `scope` is asked for each connection, so it may change under way."""

    minter: Minter
    scope: Callable[[], Scope]
    modes: tuple[str, ...] = ("regular",)
    port: int | None = None
    """For modes that do not name their own (`regular@8081`); 0: any free one; None: each mode's default."""
    host: str = LOOPBACK
    sets: tuple[str, ...] = ()
    """mitmproxy options as `K=V`."""
    held: frozenset[tuple[str, int]] = frozenset()
    """Where the event loop has what listens already."""
    http_layer: HttpLayerFactory = layers.HttpLayer
    on_coverage: OnCoverage = ignore_coverage
    whose: WhoseConnection = nobodys
    """The process behind a client connection, by mitmproxy's id of it, where the scope has `sites`."""
    tally: Tallying = uncounted
    """What counts a connection that is not decrypted."""
    others: Callable[[str, bool], str | None] = unnoted
    """Gets each address, or name, at which a client has named a host that is no provider's."""


@dataclass(frozen=True, slots=True)
class Listening:
    """The proxy accepts connections. `notices` are for the person who started it, loud."""

    listeners: tuple[Listener, ...]
    instance: str
    """What a canary call to this gate answers (`responder.INSTANCE_HEADER`)."""
    notices: tuple[str, ...] = ()

    @property
    def address(self) -> tuple[str, int]:
        """The first address of the first listener that has one."""
        return next(address for listener in self.listeners for address in listener.addresses)


class Gatehouse(master.Master):
    """mitmproxy's master without its log events, which would format every line and send it round all addons."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(options.Options())
        self._legacy_log_events.uninstall()
        self.addons = Dispatch(self)
        self.responder, self.detours, self.server = Responder(), Detours(), Server()
        watch = Watch()
        self.addons.add(
            core.Core(),
            self.server,
            *([Credentials()] if proxy_of(settings.modes) else ()),
            Bystanders(settings.scope, watch, settings.on_coverage, self.responder),
            NextLayer(
                settings.scope,
                watch,
                settings.on_coverage,
                settings.http_layer,
                whose=settings.whose,
                tally=settings.tally,
                others=settings.others,
            ),
            GateTls(settings.minter),
            self.detours,
            self.responder,
            *_optional(settings.modes),
        )


async def serve(
    settings: Settings,
    addons: Sequence[object],
    ready: Callable[[Listening], None],
    stop: asyncio.Event | None = None,
) -> None:
    """Runs until `stop` is set, or SIGINT or SIGTERM comes; then ends open connections and returns.

    Raises UsageError: a mode or option that is not ours; StateError: a listener that cannot be opened, with what to do.
    """
    stop = stop or asyncio.Event()
    with stopping(stop):
        async with running(settings, addons) as listening:
            ready(listening)
            await stop.wait()


@asynccontextmanager
async def running(settings: Settings, addons: Sequence[object]) -> AsyncIterator[Listening]:
    """The proxy as a context: it listens inside. Raises as `serve`."""
    _check_modes(settings)
    raise_file_limit()
    memory.keep()
    heads.unchecked()
    heads.quick()
    same.quick()
    frames.unspelled()
    relay = logs.install()
    try:
        house = Gatehouse(settings)
        with (
            asyncio_utils.install_exception_handler(house._asyncio_exception_handler),
            asyncio_utils.set_eager_task_factory(),
        ):
            _configure(house, settings, addons)
            try:
                yield await _open(house)
            finally:
                await house.server.close()
                house.responder.stop()
                await house.addons.trigger_event(hooks.DoneHook())
    finally:
        logs.remove(relay)


def check(settings: Settings) -> None:
    """Raises what `running` would for these modes, options and ports; opens and writes nothing. Needs a running event loop.

    What happens later can still stop a start: a port that is taken meanwhile.
    """
    _check_modes(settings)
    house = Gatehouse(settings)
    _configure(house, settings, ())
    try_ports(house.options, settings.held)


def raise_file_limit() -> None:
    """Lets this process open as many files as its hard limit allows, up to `FILES`. Windows bounds sockets by memory alone."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - POSIX alone has it

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(hard, FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _check_modes(settings: Settings) -> None:
    for text in settings.modes:
        name = text.partition("@")[0].partition(":")[0]
        if name not in MODES:
            raise UsageError(f"--mode {text}: only {', '.join(MODES)} are captured and metered")
        if name in _WRITTEN and not text.partition("@")[0].partition(":")[2].rpartition("//")[2]:
            raise UsageError(f"--mode {text}: names no host; write --mode {_WRITTEN[name]}")
        try:
            mode = mode_specs.ProxyMode.parse(text)
        except ValueError as fault:
            if name == "upstream":  # it may hold a password
                raise UsageError(
                    f"--mode upstream: write --mode {_WRITTEN[name]}; user and password come from {UPSTREAM_AUTH}"
                ) from None
            raise UsageError(f"--mode {text}: {fault}") from fault
        if isinstance(mode, mode_specs.ReverseMode) and (
            mode.scheme not in ("http", "https") or not settings.scope().names(mode.address[0].lower())
        ):
            raise UsageError(
                f"--mode {text}: a reverse proxy is for http or https hosts of the policy's `capture` only"
            )


def _optional(modes: tuple[str, ...]) -> Iterator[object]:
    if any(mode.startswith("local") for mode in modes):
        yield strip_dns_https_records.StripDnsHttpsRecords()


def _configure(house: Gatehouse, settings: Settings, addons: Sequence[object]) -> None:
    house.addons.add(*addons)
    try:
        house.options.update(**options.FIXED)
        options.apply(house.options, settings.sets)
        house.options.update(mode=_placed(settings), listen_host=settings.host, listen_port=settings.port)
    except exceptions.OptionsError as fault:
        raise UsageError(str(fault)) from fault


def _placed(settings: Settings) -> list[str]:
    """The modes, each with a free port of its own where any port will do and there are several: mitmproxy takes two zeros for
    the same address. A single one is given its port as it binds, since one that is looked for first may be taken meanwhile.
    """
    anywhere = [mode for mode in settings.modes if "@" not in mode and not mode.startswith("local")]
    if settings.port != 0 or len(anywhere) < 2:
        return list(settings.modes)
    return [f"{mode}@{_free_port(settings.host)}" if mode in anywhere else mode for mode in settings.modes]


def _free_port(host: str) -> int:
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as found:
        port: int = found.getsockname()[1]
        return port


async def _open(house: Gatehouse) -> Listening:
    await house.responder.start()
    listeners = await house.server.listen()
    await house.addons.trigger_event(hooks.RunningHook())
    insecure = ("ssl_insecure: providers are not verified",) if house.options.ssl_insecure else ()
    return Listening(listeners, house.responder.instance, house.detours.notices + insecure)
