"""A WebSocket connection as the gate sees it: each `response.create` is a call of its own, held, sent and settled by response id.

A create that may leave at once passes in the same step. One that must wait is kept, and what the client says after it stays
behind it, in order; pings and the server's messages go on meanwhile. A refused one is answered with the dialect's error frame.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from functools import partial

from spendgate.capture import asking
from spendgate.capture.asked import in_steps
from spendgate.capture.call import Call
from spendgate.capture.ends import leaver
from spendgate.capture.refusal import notice
from spendgate.capture.socket_answers import Answers, Running
from spendgate.capture.socket_lanes import Lanes
from spendgate.capture.socket_layer import MESSAGE_BYTES_MAX, Push
from spendgate.exchange import State
from spendgate.gate.interface import Admitted, GatePort, Gone, Refused
from spendgate.providers.ask import Ask
from spendgate.providers.reading import Reading
from spendgate.providers.socket_interface import Overheard, OverheardDialect, SocketDialect, SocketReader, Steered

logger = logging.getLogger(__name__)

KEPT_MESSAGES_MAX = 1_024
"""Messages kept behind a create that waits, beside `MESSAGE_BYTES_MAX` for their bytes."""
TRY_AGAIN = 1012
"""Close code (RFC 6455 registry, "service restart"): the client connects anew, then to the provider."""
POLICY_VIOLATION = 1008
TOO_BIG = 1009
INTERNAL_ERROR = 1011


class Creates:
    """What a client says on one connection: its creates are asked about, and wait."""

    first: tuple[Push, ...] = ()

    def __init__(
        self,
        gate: GatePort,
        dialect: SocketDialect | OverheardDialect,
        reader: SocketReader | Overheard,
        *,
        open_call: Callable[[Ask, int], Call],
        deliver: Callable[[tuple[Push, ...]], None],
        ended: Callable[[], None],
        upstream: bool,
        answers: Answers | Lanes,
    ) -> None:
        """`open_call` makes an attributed Call for an ask of so many bytes. `upstream` False: the handshake was refused, and
        each create gets the reason, for as long as it stands. `answers`: what runs on this connection."""
        self.upstream = upstream
        self._gate = gate
        self._dialect = dialect
        self._asks = reader
        self._open_call = open_call
        self._deliver = deliver
        self._ended = ended
        self._over = False
        self._waiting: asyncio.Task[tuple[Push, ...] | None] | None = None
        self._kept: deque[Push] = deque()
        self._kept_bytes = 0
        self._running = answers

    def from_client(self, content: bytes, text: bool) -> tuple[Push, ...] | None:
        """None: pass it. Else what to send now instead."""
        push = Push(content, to_server=True, text=text)
        if self._waiting is not None:
            return self._keep(push)
        task = asyncio.get_running_loop().create_task(self._decide(push))
        # mitmproxy's loop starts tasks eagerly: a short message that need not wait has been decided here.
        if task.done():
            return task.result()
        self._waiting = task
        task.add_done_callback(partial(self._decided, push))
        return ()

    def ended(self, by_client: bool) -> None:
        self.finish(complete=False, error=leaver() if by_client else "server")

    def finish(self, *, complete: bool, error: str | None) -> None:
        """The connection is over: what still runs is interrupted, what waits takes no hold."""
        if self._over:
            return
        self._over = True
        self._kept.clear()
        self._running.finish(complete=complete, error=error)
        self._ended()

    # a create

    async def _decide(self, push: Push) -> tuple[Push, ...] | None:
        """What to send instead of this message; None: it passes."""
        ask: Ask | None = Ask()
        fault: Exception | None = None
        try:
            ask = await in_steps(self._asks.from_client(push.content))
        except Exception as raised:  # noqa: BLE001 - what cannot be read is decided by `on_failure`, not passed
            fault = raised
        if ask is None:
            return None if self.upstream else ()
        try:
            return await self._answer(ask, push, fault)
        except Exception as raised:  # noqa: BLE001 - nothing may pass undecided, and nothing may wait for ever
            logger.error("a WebSocket call could not be answered: %s", type(raised).__name__)
            return (Push(b"", to_server=False, close=INTERNAL_ERROR),)

    async def _answer(self, ask: Ask, push: Push, fault: Exception | None) -> tuple[Push, ...]:
        call = self._open_call(ask, len(push.content))
        # What steers is worth nothing when the response is over that it was for, whose own hold may be what it would wait for.
        intent = call.intent(lambda: self._over, lambda: self.upstream, may_wait=ask.steers is None)
        if fault is not None:
            answered = await asking.failing(self._gate, intent, fault)
        elif self.upstream:
            answered = await asking.hold(self._gate, intent)
        else:
            refused = await self._gate.spent(intent)
            if refused is None:
                # What was refused at the handshake has money again: no answer of ours would be true any more.
                call.end(Reading, complete=False, error="gate")
                return (Push(b"", to_server=False, close=TRY_AGAIN),)
            answered = refused
        pushes = self._act(call, answered, push)
        if call.state is State.HELD and not self._send(call):
            await call.noted()
            call.sent()
        return pushes

    def _send(self, call: Call) -> bool:
        """An admitted call is about to leave. False: the ledger does not say so yet."""
        written = call.sent()
        self._answers_to(call).sent(call)
        return written

    def _answers_to(self, call: Call) -> Answers | Lanes:
        """Among which the answer to this call will be."""
        return self._running

    def _act(self, call: Call, answered: Admitted | Refused | Gone, push: Push) -> tuple[Push, ...]:
        if isinstance(answered, Refused):
            return self._refuse(call, answered, push)
        if isinstance(answered, Gone):
            call.written_off(State.FAILED)
            return ()
        call.admitted(answered)
        if self._over:
            call.end(Reading, complete=False, error="client")
            return ()
        return (push,)

    def _refuse(self, call: Call, refused: Refused, push: Push) -> tuple[Push, ...]:
        """What the client gets in place of what it asked for."""
        call.written_off(State.REFUSED)
        return (Push(self._refusal(call, refused, push), to_server=False),)

    def _refusal(self, call: Call, refused: Refused, push: Push) -> bytes:
        return self._dialect.refusal_frame(notice(refused), call.attribution.tool, strict=refused.strict)

    def _keep(self, push: Push) -> tuple[Push, ...]:
        self._kept_bytes += len(push.content)
        if len(self._kept) >= KEPT_MESSAGES_MAX or self._kept_bytes > MESSAGE_BYTES_MAX:
            return (Push(b"", to_server=False, close=TOO_BIG),)
        self._kept.append(push)
        return ()

    def _decided(self, push: Push, task: asyncio.Task[tuple[Push, ...] | None]) -> None:
        """A message has been decided after a wait: deliver, then what was kept behind it, up to the next one that waits."""
        self._waiting = None
        if task.cancelled() or self._over:
            return
        decided = task.result()
        pushes = [push] if decided is None else [*decided]
        while self._kept and self._waiting is None:
            kept = self._kept.popleft()
            self._kept_bytes -= len(kept.content)
            instead = self.from_client(kept.content, kept.text)
            pushes.extend((kept,) if instead is None else instead)
        self._deliver(tuple(pushes))


class Talk(Creates):
    """One connection's conversation, as `socket_layer.Conversation` asks for it."""

    def __init__(
        self,
        gate: GatePort,
        dialect: SocketDialect,
        reader: SocketReader,
        *,
        open_call: Callable[[Ask, int], Call],
        deliver: Callable[[tuple[Push, ...]], None],
        ended: Callable[[], None],
        upstream: bool,
    ) -> None:
        self._lanes = Lanes()
        super().__init__(
            gate, dialect, reader, open_call=open_call, deliver=deliver, ended=ended, upstream=upstream, answers=self._lanes
        )  # fmt: skip
        self._reader = reader
        self._socket = dialect

    def from_server(self, content: bytes) -> None:
        """Move the counts of the response that this message is about."""
        try:
            said = self._reader.from_server(content)
            if said is None:
                self._lanes.heard(len(content))
            elif isinstance(said, Steered):
                self._lanes.steered(said, len(content))
            elif (running := self._lanes.move(said, len(content))) is not None:
                self._progress(running)
        except Exception as fault:  # noqa: BLE001 - the message has gone to the client; a fault here must not end the rest
            for running in self._lanes.running():
                running.reading = Reading(flags=(f"reader failed: {type(fault).__name__}",))

    async def _answer(self, ask: Ask, push: Push, fault: Exception | None) -> tuple[Push, ...]:
        return await super()._answer(self._lanes.asked(ask), push, fault)

    def _refusal(self, call: Call, refused: Refused, push: Push) -> bytes:
        if call.ask.steers is None:
            return super()._refusal(call, refused, push)
        return self._socket.steer_refused(notice(refused), push.content, call.ask.lane)

    def _progress(self, running: Running) -> None:
        counted = sum(part.usage.input_total + (part.usage.output_tokens or 0) for part in running.reading.parts)
        if not counted or counted < 2 * running.counted:
            return
        running.counted = counted
        said = self._gate.progress(running.call.call_id, running.reading)
        if said is not None and running.call.cut:
            running.end(complete=False, error="cut")
            frame = self._dialect.cut_frame(said, running.reading.response_id)
            self._deliver((Push(frame, to_server=False, close=POLICY_VIOLATION),))
