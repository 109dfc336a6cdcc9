"""A WebSocket connection of which the server may begin responses by itself (OpenAI Realtime, when it hears the end of speech).

A client's `response.create` is a call of its own, as on every socket (`socket.Creates`), and so is its commit of what is to be
written down, by the model that does so. A message that names such a model is asked about, and kept from the server where that
model may do nothing. What nobody asked for is metered when it is done, as a result, and counts in rates then. After each, and
when a server tells of another model, the budgets and rules of all models of the session are looked at: where nothing is left
the client gets the dialect's error event, and the connection ends. So a session of speech passes a budget by at most what was
running.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from msgspec.structs import replace

from spendgate.capture.call import Call
from spendgate.capture.passage import Passage
from spendgate.capture.refusal import notice
from spendgate.capture.socket import POLICY_VIOLATION, Creates
from spendgate.capture.socket_answers import Answers
from spendgate.capture.socket_layer import Push
from spendgate.gate.interface import GatePort, Refused
from spendgate.providers.ask import Ask
from spendgate.providers.reading import Reading
from spendgate.providers.socket_interface import Heard, OverheardDialect

logger = logging.getLogger(__name__)

_NOTHING_DONE = Reading(free=True, final=True, ended=True)
"""Of a turn that ended in an error, or without any counts."""
_NOT_COUNTED = Reading(ended=True)
"""Of what was heard and written down, without any counts."""


class Overhearing(Creates):
    """One connection, as `socket_layer.Conversation` asks for it."""

    def __init__(
        self,
        passage: Passage,
        dialect: OverheardDialect,
        gate: GatePort,
        *,
        open_call: Callable[[Ask, int], Call],
        deliver: Callable[[tuple[Push, ...]], None],
    ) -> None:
        self._passage = passage
        self._heard = dialect.overheard(passage.head)
        self._looking: asyncio.Task[None] | None = None
        self._due = False
        """Whether something has changed since it was last looked."""
        self._models = self._heard.models
        self._answers = Answers()
        self._written = Answers()
        """The calls that write down what was heard."""
        super().__init__(
            gate,
            dialect,
            self._heard,
            open_call=open_call,
            deliver=deliver,
            ended=lambda: passage.finish(complete=True, error=None),
            upstream=True,
            answers=self._answers,
        )

    def from_client(self, content: bytes, text: bool) -> tuple[Push, ...] | None:
        """None: it passes as it is."""
        self._passage.upload(content)
        return super().from_client(content, text)

    def from_server(self, content: bytes) -> None:
        """Meter what is done."""
        self._passage.download(content)
        try:
            heard = self._heard.from_server(content)
            named, self._models = self._models, self._heard.models
            if self._moved(heard, len(content)) or named != self._models:
                self._due = True
                if self._looking is None or self._looking.done():
                    self._looking = asyncio.get_running_loop().create_task(self._look(), name="overhearing")
        except Exception as fault:  # noqa: BLE001 - the message has gone to the client
            logger.error("a turn was not metered: %s", type(fault).__name__)

    def finish(self, *, complete: bool, error: str | None) -> None:
        """The connection is over, and all that runs on it."""
        if not self._over:
            self._written.finish(complete=complete, error=error)
        super().finish(complete=complete, error=error)

    async def _answer(self, ask: Ask, push: Push, fault: Exception | None) -> tuple[Push, ...]:
        if not ask.announces:
            return await super()._answer(ask, push, fault)
        call = self._open_call(ask, len(push.content))
        refused = await self._gate.spent(call.intent(lambda: self._over, lambda: True, may_wait=False))
        if refused is not None:
            return self._refuse(call, refused, push)
        self._heard.passed(ask)
        return (push,)

    def _answers_to(self, call: Call) -> Answers:
        return self._written if call.ask.transcribes else self._answers

    def _moved(self, heard: Heard, size: int) -> bool:
        """Whether something was metered."""
        results = heard.results
        answers = self._written if heard.transcribes else self._answers
        if heard.begun is not None:
            answers.move(heard.begun, Reading(response_id=heard.begun), size)
        elif heard.failed and heard.over is None and answers.waits:
            answers.move(None, _NOTHING_DONE, size)
        elif heard.over is not None and answers.takes(heard.over):
            without = _NOT_COUNTED if heard.transcribes and not heard.failed else _NOTHING_DONE
            answers.move(heard.over, results[0].reading if results else without, size)
            return bool(results)
        if results:
            self._passage.call.collect(results)
        return bool(results)

    async def _look(self) -> None:
        """End the connection where the budgets of a model of its have nothing left, or a rule refuses all of it.

        What passes by waiting is for the next turn to meet.
        """
        call, dialect = self._passage.call, self._passage.dialect
        while self._due and not self._over:
            self._due = False
            refused = await self._refused()
            if refused is not None and not refused.refuse.passes and dialect is not None and not self._over:
                call.flags += (f"ended: {refused.refuse.kind.value}",)
                frame = dialect.cut(notice(refused))
                self._deliver((Push(frame, to_server=False, close=POLICY_VIOLATION),))
                return

    async def _refused(self) -> Refused | None:
        try:
            intent = self._passage.call.intent(lambda: self._over, lambda: True, may_wait=False)
            return await self._gate.spent(replace(intent, ask=_of_all(intent.ask, self._models)), writes=False)
        except Exception as fault:  # noqa: BLE001 - it goes on, and the next turn is looked at again
            logger.error("a session's budgets were not looked at: %s", type(fault).__name__)
            return None


def _of_all(ask: Ask, models: tuple[str, ...]) -> Ask:
    """What a handshake asks, of all models that its session has now."""
    if ask.model is None and ask.transcribes and models:
        ask = replace(ask, model=models[0])  # it named none
    return replace(ask, also=tuple([name for name in models if name != ask.model]))


class Turned:
    """The conversation of a handshake that was accepted only to say, in the protocol, why nothing may be asked here.

    The libraries of such connections lose the body of a handshake that is refused.
    """

    upstream = False

    def __init__(self, passage: Passage, frame: bytes) -> None:
        self.first: tuple[Push, ...] = (Push(frame, to_server=False, close=POLICY_VIOLATION),)
        self._passage = passage

    def from_client(self, content: bytes, text: bool) -> tuple[Push, ...]:
        """Nothing of it goes anywhere."""
        return ()

    def from_server(self, content: bytes) -> None:
        """There is none."""

    def ended(self, by_client: bool) -> None:
        self.finish(complete=True, error=None)

    def finish(self, *, complete: bool, error: str | None) -> None:
        """The connection is over; its row was written when it was refused."""
        self._passage.finish(complete=complete, error=error)
