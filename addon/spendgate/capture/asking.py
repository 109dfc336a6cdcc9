"""Asking the gate, with one boundary: whatever fails on the way there, the policy's `on_failure` decides, never chance."""

from __future__ import annotations

import logging

from spendgate.admission import RefusalKind, Refuse
from spendgate.gate.interface import Answered, GatePort, Intent, Refused

logger = logging.getLogger(__name__)

_REFUSE = Refuse(RefusalKind.FAILURE, rule="on_failure", reason="the gate could not decide")


async def hold(gate: GatePort, intent: Intent) -> Answered:
    """The gate's answer; where asking fails, `on_failure`'s."""
    try:
        return await gate.hold(intent)
    except Exception as fault:  # noqa: BLE001 - the boundary: mitmproxy would let the request pass
        return await failing(gate, intent, fault)


async def failing(gate: GatePort, intent: Intent, fault: Exception) -> Answered:
    """What `on_failure` says; refused where even that cannot be asked. The log gets the fault's class, never its text."""
    why = type(fault).__name__
    logger.error("call %s could not be decided: %s", intent.call_id, why)
    try:
        return await gate.failing(intent, why)
    except Exception as second:  # noqa: BLE001 - nobody is left to ask
        logger.error("on_failure could not be asked for call %s: %s", intent.call_id, type(second).__name__)
        return Refused(intent.call_id, _REFUSE, "Spendgate could not decide about this call and does not let it pass.")
