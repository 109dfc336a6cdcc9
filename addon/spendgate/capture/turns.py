"""Whose process is looked for next, beside the loop: accounts take turns, so that one with many connections keeps nobody waiting.

A look-up takes some 10 ms, and a call waits 2 s for its own. First come, first served, a hundred short-lived processes a second
of one account would have everybody's calls leave without a tool.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, Protocol

from spendgate.attribution import Peer

WAITING_MAX: Final = 128
"""Of one account: so many are looked up within the time that a call waits."""
_AT_ONCE: Final = 2
Look = Callable[[], Peer]


class Beside(Protocol):
    """Where look-ups run."""

    def submit(self, uid: int | None, look: Look, /) -> Future[Peer] | None:
        """Later, on a thread; None: too many of this account wait."""
        ...


class Turns:
    """The threads, and what waits for them."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="spendgate-identity")
        self._waiting: OrderedDict[int | None, deque[tuple[Future[Peer], Look]]] = OrderedDict()
        self._lock = threading.Lock()

    def submit(self, uid: int | None, look: Look, /) -> Future[Peer] | None:
        """As `Beside` says."""
        future: Future[Peer] = Future()
        with self._lock:
            queue = self._waiting.setdefault(uid, deque())
            if len(queue) >= WAITING_MAX:
                return None
            queue.append((future, look))
        self._pool.submit(self._next)
        return future

    def _next(self) -> None:
        """One look-up of the account whose turn it is; there are as many of these as look-ups that wait."""
        with self._lock:
            uid, queue = self._waiting.popitem(last=False)
            future, look = queue.popleft()
            if queue:
                self._waiting[uid] = queue
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(look())
        except BaseException as fault:  # noqa: BLE001 - whoever waits for it is told
            future.set_exception(fault)

    def shutdown(self) -> None:
        """Nothing more is looked for."""
        self._pool.shutdown(wait=False, cancel_futures=True)
