"""The rows of what holds nothing: refused calls, waiters whose clients left, free and unrecognized exchanges, failures."""

from __future__ import annotations

from spendgate.admission import Refuse
from spendgate.gate.asked import Asked, row, seen_row
from spendgate.gate.backlog import Backlog
from spendgate.gate.interface import Seen
from spendgate.ledger.interface import AlertRow, LedgerPort
from spendgate.policy import Policy
from spendgate.standing import Size
from spendgate.tries import Earlier

LEFT = "client left while waiting"
"""Flag of a call whose client went before it could leave."""


class Recording:
    """Writes rows through the backlog: at once where the ledger takes them, else in their order. Never raises."""

    def __init__(self, ledger: LedgerPort, backlog: Backlog) -> None:
        self._ledger = ledger
        self._backlog = backlog

    def refused(
        self, asked: Asked, refuse: Refuse, size: Size, *, now_ms: int, waited_ms: int, http_status: int,
        alerts: tuple[AlertRow, ...] = (), earlier: Earlier = (),
    ) -> None:  # fmt: skip
        """A call that may not leave, with the figures of that moment, how its client is answered, and what is told with it."""
        opened, flags = row(asked, size, earlier), asked.told
        self._backlog.write(
            lambda: self._ledger.refused(
                opened, refuse, now_ms=now_ms, waited_ms=waited_ms, http_status=http_status, flags=flags,
                alerts=alerts,
            )
        )  # fmt: skip

    def left(self, asked: Asked, size: Size, *, now_ms: int, waited_ms: int) -> None:
        """A call whose client went away while it waited."""
        opened, request_bytes = row(asked, size), asked.intent.request_bytes
        self._backlog.write(
            lambda: self._ledger.recorded(
                opened, "failed", ended_ms=now_ms, http_status=None, request_bytes=request_bytes, response_bytes=0,
                duration_ms=waited_ms, first_byte_ms=None, flags=(LEFT,),
            )
        )  # fmt: skip

    def seen(self, seen: Seen, policy: Policy) -> None:
        """An exchange that held nothing."""
        opened, end = seen_row(seen, policy), seen.end
        self._backlog.write(
            lambda: self._ledger.recorded(
                opened, seen.state.stored, ended_ms=end.ended_ms, http_status=end.http_status,
                request_bytes=seen.request_bytes, response_bytes=end.response_bytes, duration_ms=end.duration_ms,
                first_byte_ms=end.first_byte_ms, flags=seen.flags,
            )
        )  # fmt: skip
