"""Turning a call away: its row with the figures of that moment, what is told before it, and the words that its client gets."""

from __future__ import annotations

from collections import deque
from statistics import median_low
from typing import Final

from msgspec.structs import replace

from spendgate.admission import Refuse
from spendgate.gate import wording
from spendgate.gate.asked import Asked
from spendgate.gate.clock import Clock
from spendgate.gate.first_threshold import BeforeRefusal
from spendgate.gate.interface import Refused
from spendgate.gate.recording import Recording
from spendgate.standing import Size
from spendgate.tries import Earlier

_RETRY_MS: Final = (1_000, 60_000)
_DURATIONS_KEPT: Final = 64


class Refusing:
    """How one gate refuses."""

    def __init__(self, rows: Recording, clock: Clock, asks: str) -> None:
        """`asks` is the command by which a refused person asks for more; empty: there is none."""
        self._rows = rows
        self._clock = clock
        self._asks = asks
        self._before_refusal = BeforeRefusal()
        self._durations: deque[int] = deque(maxlen=_DURATIONS_KEPT)

    def refused(self, asked: Asked, refuse: Refuse, size: Size, waited_ms: int, earlier: Earlier = ()) -> Refused:
        """Write the row and word the answer; `earlier`: by what sizes it was tried before."""
        if refuse.passes and refuse.retry_after_ms is None:
            refuse = replace(refuse, retry_after_ms=self._retry_ms())
        refused = self.worded(asked, refuse)
        now_ms, status = self._clock.now_ms(), asked.intent.answers(refused)
        alerts = self._before_refusal.of(asked, refuse, now_ms)
        self._rows.refused(
            asked, refuse, size, now_ms=now_ms, waited_ms=waited_ms, http_status=status, alerts=alerts, earlier=earlier
        )
        return refused

    def worded(self, asked: Asked, refuse: Refuse) -> Refused:
        """The answer alone, without a row."""
        policy = asked.terms.policy
        message = wording.message(refuse, timezone=policy.timezone, help_text=policy.help, asks=self._asks)
        return Refused(asked.intent.call_id, refuse, message, strict=policy.refusals == "strict")

    def took(self, duration_ms: int) -> None:
        """A call has ended after so long: by the latest ones a client is told when to try again."""
        self._durations.append(duration_ms)

    def _retry_ms(self) -> int:
        """When others' holds are likely to have moved: what half of the latest calls took."""
        low, high = _RETRY_MS
        return min(high, max(low, median_low(self._durations) if self._durations else low))
