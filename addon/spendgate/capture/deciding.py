"""May a request leave: what it asks, whose it is, what the gate says, and what then becomes of its flow.

Nothing here raises: a fault before the hold is the policy's `on_failure` to decide.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from mitmproxy import http
from msgspec.structs import replace

from spendgate.attribution import Attribution, Peer
from spendgate.capture import asked, asking, handshake, pieces, refusal
from spendgate.capture.call import Call, Clock
from spendgate.capture.flow import MeteredFlow, kill
from spendgate.capture.passage import Passage
from spendgate.exchange import State
from spendgate.gate.interface import Admitted, Answered, GatePort, Gone, Refused
from spendgate.providers.ask import Ask
from spendgate.providers.spoken import Weight

logger = logging.getLogger(__name__)

SWITCHING = 101
Attribute = Callable[[Peer, Ask], Attribution]


class Deciding:
    """Decides about requests that bill, and repeats final refusals from memory."""

    def __init__(self, gate: GatePort, clock: Clock, attribute: Attribute, host: handshake.Host) -> None:
        """`attribute` says who a call is of, by the policy that is in force when it is called. `host`: where the calls of a
        WebSocket are opened."""
        self._gate = gate
        self._clock = clock
        self._attribute = attribute
        self._host = host
        self._breaker = refusal.Breaker()

    def forget(self) -> None:
        """Another policy is in force: no refusal is repeated."""
        self._breaker.clear()

    async def decide(self, flow: MeteredFlow, passage: Passage, begun: bytes | None = None) -> None:
        """May it leave? `begun`: the beginning of a request that stays open; None: it is here whole."""
        call = passage.call
        try:
            if passage.fault is not None:
                raise passage.fault
            if begun is not None and passage.spoken is not None:
                await asked.told(passage.spoken, begun, flow.client_left())
            call.ask = await asked.ask_of(flow.request, passage.head, passage.dialect, call.route, begun)
            if call.ask.prices is not None:
                call.route = replace(call.route, prices=call.ask.prices)
            call.attribution = self._attribute(await passage.visitor.known(), call.ask)
            call.answers = lambda refused: passage.refused(refused).status_code
            if call.ended:
                kill(flow)  # its client left meanwhile, and its row is written: a hold now would never end
                return
            if call.route.websocket:
                call.answers = lambda refused: (
                    SWITCHING
                    if handshake.turns(passage, strict=refused.strict)
                    else passage.refused(refused).status_code
                )
                await self._handshake(flow, passage)
                return
            if passage.spoken is not None and passage.spoken.weight is not Weight.CALL:
                await pieces.answer(flow, passage, passage.spoken.weight, self._gate)
                return
            answered = await self._ask(flow, passage)
        except Exception as fault:  # noqa: BLE001 - the boundary
            if call.ended:
                kill(flow)
                return
            answered = await asking.failing(self._gate, call.intent(flow.client_left(), flow.upstream_open), fault)
        self._act(flow, passage, answered)

    async def _ask(self, flow: MeteredFlow, passage: Passage) -> Answered:
        call, now_ms = passage.call, self._clock.now_ms()
        # A hash of the body costs what a hold does, so it is made only where it can meet another.
        key = None if self._breaker.idle else _key(flow, call)
        repeated = self._breaker.answer(key, now_ms) if key else None
        if repeated is not None:
            return repeated
        call.asking = True
        try:
            intent = call.intent(
                flow.client_left(), flow.upstream_open, repeats=self._breaker.answered(key) if key else 0
            )
            answered = await asking.hold(self._gate, intent)
        finally:
            call.asking = False
        if isinstance(answered, Refused):
            self._breaker.refused(key or _key(flow, call), answered, now_ms)
        return answered

    def _act(self, flow: MeteredFlow, passage: Passage, answered: Answered) -> None:
        call = passage.call
        if isinstance(answered, Admitted):
            call.admitted(answered)
            passage.ask_usage(flow.request)
            if flow.client_left()():
                kill(flow)  # the stream then ends in `error`, and nothing was sent
            elif answered.cut and call.ask.streamed and not signs(flow.request, "accept-encoding"):
                # A frame of ours can follow only plain text; nothing can be added to a compressed body.
                flow.request.headers["accept-encoding"] = "identity"
        elif isinstance(answered, Gone):
            call.written_off(State.FAILED)
            kill(flow)
        else:
            call.written_off(State.REFUSED)
            flow.response = passage.refused(answered)

    async def _handshake(self, flow: MeteredFlow, passage: Passage) -> None:
        """Holds nothing and waits for nothing; refused only where every call on it would be."""
        call = passage.call
        try:
            # One that is answered here with 101 is not refused: its creates are.
            writes = not handshake.hears_frames_only(passage)
            refused = await self._gate.spent(
                call.intent(flow.client_left(), flow.upstream_open, may_wait=False), writes=writes
            )
        except Exception as fault:  # noqa: BLE001 - each create on it is decided by itself
            logger.error("a handshake was not checked: %s", type(fault).__name__)
            refused = None
        handshake.answer(flow, passage, refused, self._gate, self._host)


def _key(flow: MeteredFlow, call: Call) -> refusal.Repeated:
    body = flow.first.body if flow.first is not None else flow.request.raw_content or b""
    return refusal.Repeated.of(call.attribution, call.ask, call.host, call.route.path, body)


def signs(request: http.Request, name: str) -> bool:
    """Whether this header is part of a request's AWS signature (`SignedHeaders=`), so that it may not be changed."""
    signed = request.headers.get("authorization", "").lower().partition("signedheaders=")[2].partition(",")[0]
    return name in signed.strip().split(";")
