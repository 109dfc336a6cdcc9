"""Purging of a running gate by `privacy.keep`: at its start and once a day, in a thread of its own, never in a call's way.

Between two transactions of some milliseconds it pauses for four times as long, so that whoever wants to write meanwhile finds the
ledger free. It goes by no clock that could be ahead (`ProviderTime.sure_ms`): one that was set ahead makes nothing old, and a
gate without traffic purges all the same. A look is no appointment that could be missed in sleep: it asks what day it is now. It
waits while another gate of the ledger has another policy in force, whose windows may be longer.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from spendgate.errors import LedgerUnavailable, SpendgateError
from spendgate.ledger import purgeable
from spendgate.ledger.purge import Purge, run
from spendgate.policy import Policy

logger = logging.getLogger(__name__)

FIRST_S: Final = 2.0
"""After the start, when the gate has done what it does first."""
LOOKS_EVERY_S: Final = 5.0
RESTS_S: Final = 60.0
"""Between looks once all of a day is done."""
_PAUSE_FACTOR: Final = 4
_PATIENCE_MS: Final = 1_000


class Purging:
    """The thread of one gate; of several gates on a ledger each does what is left."""

    def __init__(
        self,
        ledger: Path,
        gates: Path,
        policy: Policy,
        sure_ms: Callable[[], int | None],
        agreed: Callable[[], bool],
    ) -> None:
        """`sure_ms`: the time that it is at least; None: nobody but this machine has said so. `agreed`: whether all gates of the
        ledger have this policy in force."""
        self._ledger, self._gates = ledger, gates
        self._policy, self._sure_ms, self._agreed = policy, sure_ms, agreed
        self._stopping = threading.Event()
        self._done: tuple[int, int] | None = None
        """For how many days is kept, and before when all was purged."""
        self._thread = threading.Thread(target=self._run, name="purging", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def follow(self, policy: Policy) -> None:
        """Another policy is in force."""
        self._policy = policy

    def stop(self) -> None:
        """End after the transaction that runs. Waits; call it off the loop."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        wait_s = FIRST_S
        while not self._stopping.wait(wait_s):
            wait_s = LOOKS_EVERY_S
            try:
                self.look()
                wait_s = RESTS_S if self._rests else LOOKS_EVERY_S
            except LedgerUnavailable:
                pass  # the next look goes on from there
            except (SpendgateError, OSError):
                logger.exception("old calls could not be purged")

    @property
    def _rests(self) -> bool:
        return self._done is not None and self._done[0] == self._policy.privacy.keep_days

    def look(self) -> int:
        """Purge what is due: nothing where all of that day was; how many calls. Raises LedgerUnavailable, StateError."""
        keep_days, now_ms = self._policy.privacy.keep_days, self._sure_ms()
        if keep_days is None or now_ms is None:
            return 0
        due = keep_days, purgeable.before(now_ms, keep_days)
        if due == self._done or not self._agreed() or not self._ledger.exists():
            return 0  # a ledger that somebody has removed is not made anew here
        began = time.monotonic()

        def paused() -> bool:
            nonlocal began
            stopped = self._stopping.wait(_PAUSE_FACTOR * (time.monotonic() - began))
            began = time.monotonic()
            return stopped or self._policy.privacy.keep_days != keep_days

        with Purge(self._ledger, self._gates, patience_ms=_PATIENCE_MS) as purge:
            calls, _ = run(purge, keep_days, now_ms, paused=paused)
        if not paused():
            self._done = due
        return calls
