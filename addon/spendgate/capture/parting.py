"""An exchange whose connection was decrypted under an earlier policy, for a host that is a provider's no longer."""

from __future__ import annotations

import logging

from mitmproxy import ctx, http

from spendgate.attribution import NOBODY
from spendgate.capture import asked
from spendgate.capture.boundary import safely
from spendgate.capture.call import Call
from spendgate.capture.deciding import Attribute
from spendgate.capture.flow import kill
from spendgate.capture.visitor import Visitor
from spendgate.providers.interface import Kind, Route
from spendgate.providers.reading import Reading

logger = logging.getLogger(__name__)

ROUTE = Route(provider="unknown", dialect="unknown", kind=Kind.UNRECOGNIZED, path="*")


def part(flow: http.HTTPFlow, call: Call, visitor: Visitor | None, attribute: Attribute) -> None:
    """It goes nowhere, and its client connects anew, past all this. `call` becomes its row.

    The connection ends with it, unless others still run there: then what comes after those ends it.
    """
    call.flags = (asked.LEFT_BEHIND,)
    try:
        call.attribution = attribute(visitor.peer if visitor else NOBODY, call.ask)
    except Exception as fault:  # noqa: BLE001 - it costs nothing, and has its row
        logger.error("an exchange could not be attributed: %s", type(fault).__name__)
    kill(flow)
    safely(lambda: call.end(Reading, complete=False, error="gate"))
    server = ctx.master.addons.lookup.get("proxyserver")
    if server is not None and not (visitor and visitor.open):
        server.part(flow.client_conn.id)
