"""The answer to a request that is only a piece of a call: it goes on for nothing, or is turned away where it starts a call that
could only be refused. The call itself, another request, is decided and charged by itself.
"""

from __future__ import annotations

import logging

from msgspec.structs import replace

from spendgate.capture.flow import MeteredFlow
from spendgate.capture.passage import Passage
from spendgate.exchange import State
from spendgate.gate.interface import GatePort, Refused
from spendgate.providers.interface import Kind
from spendgate.providers.spoken import Weight

logger = logging.getLogger(__name__)


async def answer(flow: MeteredFlow, passage: Passage, weight: Weight, gate: GatePort) -> None:
    """Prepare the flow of a piece of this weight. It never waits for others' holds."""
    call = passage.call
    refused = await _spent(flow, passage, gate) if weight is Weight.LEADS else None
    if refused is None:
        call.route = replace(call.route, kind=Kind.FREE)
        return
    call.written_off(State.REFUSED)
    flow.response = passage.refused(refused)


async def _spent(flow: MeteredFlow, passage: Passage, gate: GatePort) -> Refused | None:
    try:
        return await gate.spent(passage.call.intent(flow.client_left(), flow.upstream_open, may_wait=False))
    except Exception as fault:  # noqa: BLE001 - the call that it starts is decided by itself
        logger.error("the start of a call was not checked: %s", type(fault).__name__)
        return None
