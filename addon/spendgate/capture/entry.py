"""For development: `mitmdump -s addon/spendgate/capture/entry.py --set spendgate_policy=FILE --set spendgate_state=DIR`.

The meter and the gate run inside a stock mitmproxy, whose own CA, TLS, layers and thirty other addons stay as they are. Which
of the product's promises do not hold there is printed at the start; `spendgate run` is the product.

This file puts parts together as `cli` does, and is kept small: mitmproxy loads it by path and watches it alone.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from mitmproxy import addonmanager, ctx, exceptions, http
from mitmproxy.proxy import layer
from mitmproxy.proxy.layers.http import HttpLayer
from mitmproxy.tls import ClientHelloData
from mitmproxy.utils import asyncio_utils

from spendgate.attribution import Attribution, Peer
from spendgate.capture.deciding import Attribute
from spendgate.capture.flow import kill
from spendgate.capture.http_layer import metered
from spendgate.capture.meter import Meter
from spendgate.config import policies
from spendgate.config.paths import find, prepare
from spendgate.config.prices import PriceStore
from spendgate.config.trust import trusted
from spendgate.errors import SpendgateError, StateError
from spendgate.gate.gate import Gate
from spendgate.identity import system_lookup
from spendgate.identity.machine import machine_id
from spendgate.identity.people import attribute
from spendgate.identity.sessions import Sessions
from spendgate.ledger.ledger import Ledger
from spendgate.policy import Policy
from spendgate.providers.ask import Ask
from spendgate.providers.registry import Registry
from spendgate.providers.unfinished import estimate_usage

BROKEN_PROMISES = """\
Spendgate inside mitmdump is for development. These promises do not hold here:
  - mitmproxy's own CA signs for any host name; its key lies in mitmproxy's folder (promise 6)
  - mitmproxy's other addons see every prompt and answer, and its log prints URLs (promises 6 and 7)
  - what approvers have granted (`spendgate grant`) does not count
  - what does not look like HTTP is relayed as raw TCP, past the meter (promise 1)
  - browsers are decrypted like any program, on claude.ai and chatgpt.com too (`capture.browsers`)
  - the policy is read once; gaps in coverage are not counted; nobody is told of an alert
  - the ledger is not looked at from outside: one that is deleted or exchanged is a new one"""


class Development:
    """Puts the metered layer where mitmproxy puts its own, tunnels whoever is no provider, and starts and stops the gate.

    Its lifecycle hooks are not async: mitmproxy calls them synchronously when the file is reloaded.
    """

    def __init__(self) -> None:
        self._registry: Registry | None = None
        self._gate: Gate | None = None
        self._ledger: Ledger | None = None
        self._meter: Meter | None = None
        self._started = False

    def load(self, loader: addonmanager.Loader) -> None:
        loader.add_option("spendgate_policy", str, "", "The policy file; empty: the embedded default.")
        loader.add_option("spendgate_state", str, "", "The state directory; empty: as `spendgate run` finds it.")

    def configure(self, updated: set[str]) -> None:
        """A fault ends mitmdump at its start: what was to be metered must not pass unmetered."""
        if "spendgate_policy" not in updated or self._meter is not None:
            return
        try:
            self._meter = self._built()
        except SpendgateError as fault:
            raise exceptions.OptionsError(str(fault)) from fault

    def running(self) -> None:
        print(BROKEN_PROMISES, file=sys.stderr)  # noqa: T201 - said to the person who started mitmdump
        asyncio_utils.create_task(self._start(), name="spendgate gate", keep_ref=True)

    def done(self) -> None:
        """Calls still open are orphans, which the next gate resolves."""
        if self._ledger is not None:
            self._ledger.close()

    async def _start(self) -> None:
        if self._gate is not None and self._meter is not None:
            await self._gate.start()
            ctx.master.addons.add(self._meter)
            self._started = True

    def _built(self) -> Meter:
        chosen, file = ctx.options.spendgate_state, ctx.options.spendgate_policy
        state = prepare(find(Path(chosen) if chosen else None))
        if (trust := trusted()) is not None:
            raise StateError(
                f"{trust.file} says which policies this machine believes: use `spendgate run`, which looks at it"
            )
        policy = policies.load(Path(file)) if file else policies.default()
        self._registry = Registry.build(policy.capture)
        self._ledger = Ledger.open(state.ledger, state.gates, _now_ms())
        book = PriceStore(state.root / "prices").book()
        self._gate = Gate(self._ledger, book, policy, estimate=estimate_usage)
        machine = machine_id(state.root)
        return Meter(self._gate, self._registry, system_lookup(), _attribute(policy, machine), machine=machine)

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        if not self._started:
            kill(flow)

    def tls_clienthello(self, data: ClientHelloData) -> None:
        name = data.client_hello.sni
        if self._registry is None or not name or self._registry.host(name) is None:
            data.ignore_connection = True

    def next_layer(self, data: layer.NextLayer) -> None:
        # Scripts come before mitmproxy's own choice, so it is asked from here.
        ctx.master.addons.lookup["nextlayer"].next_layer(data)
        if type(data.layer) is HttpLayer:
            data.layer = metered(data.context, data.layer)


def _attribute(policy: Policy, machine: str) -> Attribute:
    sessions = Sessions()

    def attributed(peer: Peer, ask: Ask) -> Attribution:
        return attribute(peer, ask, policy, machine, now_ms=_now_ms(), sessions=sessions)

    return attributed


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


addons = [Development()]
