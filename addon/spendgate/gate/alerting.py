"""Alerts of a running gate: one of the gates of a ledger looks at what has ended, in a thread of its own.

Nothing here is in a call's way.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

import msgspec

from spendgate.errors import LedgerUnavailable, SpendgateError
from spendgate.gate.findings import Findings
from spendgate.gate.looking import Looking
from spendgate.ledger.ended_calls import EndedCalls
from spendgate.ledger.gates import GateLock
from spendgate.ledger.outbox import Outbox
from spendgate.ledger.shared_connection import SharedConnection
from spendgate.policy import Policy

logger = logging.getLogger(__name__)

LOOKS_EVERY_S: Final = 1.0
ONE: Final = "alerts.one"
"""The lock of the gate that looks, beside the gates' own."""

FINISH_S: Final = 5.0
"""How long the end of a gate waits for messages that are being sent; what is not there then is sent by the next one."""


class Carries(Protocol):
    """What is done with alerts that are written; `alerts.courier` does it."""

    def round(self, outbox: Outbox, policy: Policy, now_ms: int) -> None:
        """Say to whom new ones go, and send what is due, without waiting for it. Raises LedgerUnavailable."""
        ...

    def finish(self, patience_s: float) -> None:
        """Wait so long for what is being sent."""
        ...


class Writes(Protocol):
    """What is told by the calendar; `alerts.weekly` does it."""

    def look(self, outbox: Outbox, policy: Policy, now_ms: int) -> int:
        """Write what is due and not there; how many messages."""
        ...


class Alerting:
    """The thread of one gate that looks at what all gates of its ledger have ended, as long as no other one does."""

    def __init__(
        self,
        ledger: Path,
        gates: Path,
        policy: Policy,
        now_ms: Callable[[], int],
        courier: Carries,
        *,
        weekly: Writes | None = None,
    ) -> None:
        """`weekly` and then `courier` are called in the thread after each look."""
        self._ledger, self._gates, self._now_ms, self._courier, self._weekly = ledger, gates, now_ms, courier, weekly
        self._policy = policy
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def follow(self, policy: Policy) -> None:
        """Another policy is in force."""
        self._policy = policy

    def stop(self, patience_s: float = 2 * FINISH_S) -> None:
        """Look once more at what has ended until now, have it sent, and end. Waits; call it off the loop."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(patience_s)

    def _run(self) -> None:
        lock, shared, looking, findings = None, None, None, None
        try:
            with suppress(SpendgateError):  # now, while the file is there: that it is removed is told, too
                shared = SharedConnection(self._ledger)
            while True:
                last = self._stopping.wait(LOOKS_EVERY_S)
                try:
                    lock = lock or GateLock.take(self._gates / ONE, create=True)
                    if lock is not None:
                        shared = shared or SharedConnection(self._ledger)
                        outbox = Outbox(shared)
                        looking = looking or Looking(EndedCalls(shared))
                        findings = findings or Findings(outbox)
                        self._tell(findings)
                        looking.look(self._policy, self._now_ms(), keeps=last)
                        if self._weekly is not None and not last:
                            self._weekly.look(outbox, self._policy, self._now_ms())
                        self._courier.round(outbox, self._policy, self._now_ms())
                except LedgerUnavailable:
                    looking = None  # the next look does it, from where the ledger says
                except (SpendgateError, OSError, msgspec.MsgspecError):
                    looking = None
                    logger.exception("alerts could not be looked for")
                if last:
                    self._courier.finish(FINISH_S)
                    return
        finally:
            if shared is not None:
                shared.close()
            if lock is not None:
                lock.drop()

    def _tell(self, findings: Findings) -> None:
        """What was found is told, or again at the next look; a trail that cannot be read keeps nobody from other alerts."""
        with suppress(LedgerUnavailable):
            findings.look(self._policy, self._now_ms())
