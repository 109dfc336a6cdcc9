"""A WebSocket connection whose responses no message of the client stands for (OpenAI Realtime): every message passes as it is.

Each response is metered when it is done, as a result; then the budgets are looked at: where nothing is left the client gets the
dialect's error event, and the connection ends. So a session passes its budget by at most the turn that was running.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from spendgate.capture.passage import Passage
from spendgate.capture.refusal import notice
from spendgate.capture.socket_layer import Push
from spendgate.gate.interface import GatePort, Refused
from spendgate.providers.interface import Overheard

logger = logging.getLogger(__name__)

POLICY_VIOLATION = 1008
CREATE = b'"response.create"'
"""By which a client asks for a turn; in the text of a message its quotes would be escaped."""


class Overhearing:
    """One connection, as `socket_layer.Conversation` asks for it."""

    upstream = True

    def __init__(
        self, passage: Passage, reader: Overheard, gate: GatePort, deliver: Callable[[tuple[Push, ...]], None]
    ) -> None:
        self._passage = passage
        self._reader = reader
        self._gate = gate
        self._deliver = deliver
        self._looking: asyncio.Task[None] | None = None
        self._over = False

    def from_client(self, content: bytes, text: bool) -> tuple[Push, ...] | None:
        """None: it passes as it is. A turn that a rule refuses is answered with the reason, and does not leave."""
        self._passage.upload(content)
        if CREATE not in content:
            return None
        task = asyncio.get_running_loop().create_task(self._asked(), name="overhearing")
        # mitmproxy's loop starts tasks eagerly: what the ledger says at once stands here. One that takes longer has left,
        # and what it costs is looked at when it is done.
        return task.result() if task.done() else None

    def from_server(self, content: bytes) -> None:
        """Meter what is done."""
        self._passage.download(content)
        try:
            results = self._reader.from_server(content)
            if not results:
                return
            self._passage.call.collect(results)
            if self._looking is None or self._looking.done():
                self._looking = asyncio.get_running_loop().create_task(self._look(), name="overhearing")
        except Exception as fault:  # noqa: BLE001 - the message has gone to the client
            logger.error("a turn was not metered: %s", type(fault).__name__)

    def ended(self, by_client: bool) -> None:
        self.finish(complete=True, error=None)

    def finish(self, *, complete: bool, error: str | None) -> None:
        """The connection is over."""
        if not self._over:
            self._over = True
            self._passage.finish(complete=complete, error=error)

    async def _asked(self) -> tuple[Push, ...] | None:
        """What to say to the client instead of asking for a turn; None: it passes."""
        refused, dialect = await self._refused(), self._passage.dialect
        if refused is None or dialect is None:
            return None
        return (Push(dialect.cut(notice(refused)), to_server=False),)

    async def _look(self) -> None:
        """End the connection where its budgets have nothing left, or a rule of a new policy refuses all of it.

        What passes by waiting is for the next turn to meet.
        """
        call, dialect = self._passage.call, self._passage.dialect
        refused = await self._refused()
        if refused is not None and not refused.refuse.passes and dialect is not None and not self._over:
            call.flags += (f"ended: {refused.refuse.kind.value}",)
            frame = dialect.cut(notice(refused))
            self._deliver((Push(frame, to_server=False, close=POLICY_VIOLATION),))

    async def _refused(self) -> Refused | None:
        try:
            intent = self._passage.call.intent(lambda: self._over, lambda: True, may_wait=False)
            return await self._gate.spent(intent, writes=False)
        except Exception as fault:  # noqa: BLE001 - it goes on, and the next turn is looked at again
            logger.error("a session's budgets were not looked at: %s", type(fault).__name__)
            return None
