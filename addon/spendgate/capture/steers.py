"""Calls that steer a running response: the server begins another by itself, which is theirs.

Each is held when it is sent, and waits for the response that it leads to, or for the word that it leads to none. Of several that
steer the same response the first gets the one that follows; the others went into it and cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from spendgate.capture.call import Call
from spendgate.capture.socket_answers import NOTHING_BEGUN, Running, answered
from spendgate.providers.ask import Ask
from spendgate.providers.reading import Reading
from spendgate.providers.socket_interface import Steered


@dataclass(slots=True)
class _Steer:
    running: Running
    target: str
    """The response that it steers."""
    steer_id: str | None = None
    taken: bool = False
    """The server has said that it owns the input."""


class Steers:
    """Those of one connection of which no response has begun."""

    def __init__(self) -> None:
        self._waiting: list[_Steer] = []

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def running(self) -> list[Running]:
        """What is held for them."""
        return [steer.running for steer in self._waiting]

    def finish(self, *, complete: bool, error: str | None) -> None:
        """The connection is over: whether the server has begun anything of them is not known."""
        for running in self.running():
            running.end(complete=complete, error=error)
        self._waiting.clear()

    def sent(self, call: Call) -> None:
        """It has left."""
        self._waiting.append(_Steer(Running(call, Reading()), call.ask.steers or ""))

    def told(self, said: Steered, size_bytes: int) -> None:
        """What the server says of one of them."""
        steer = self._named(said)
        if steer is None:
            return
        steer.running.received_bytes += size_bytes
        steer.steer_id, steer.taken = said.steer_id, True
        if not said.begins:
            self._nothing_begun(steer)

    def _named(self, said: Steered) -> _Steer | None:
        for steer in self._waiting:
            if steer.steer_id == said.steer_id if steer.taken else steer.target == said.target:
                return steer
        return None

    def unheard(self) -> None:
        """An error: the first of which the server has said nothing may be what it is about. What begins all the same is metered
        as it ends."""
        for steer in self._waiting:
            if not steer.taken:
                self._nothing_begun(steer)
                return

    def begun(self, after: str | None, awaited: Ask | None, runs: Callable[[str], bool]) -> Running | None:
        """The one that a response is of which no call has heard; None: it is of none of them.

        `after`: the response that it goes on from, where it says so. `awaited`: the create that waits in its lane, which it may
        answer, too: it does, but for what the server has said that it goes on with.
        """
        anew = after is None and (awaited is None or awaited.continues is not None)
        for steer in self._waiting:
            if (steer.taken or awaited is None) and (steer.target == after or (anew and not runs(steer.target))):
                return self._begins(steer)
        return None

    def _begins(self, first: _Steer) -> Running:
        self._waiting.remove(first)
        for steer in [steer for steer in self._waiting if steer.target == first.target]:
            self._nothing_begun(steer)
        return first.running

    def _nothing_begun(self, steer: _Steer) -> None:
        self._waiting.remove(steer)
        answered(steer.running, NOTHING_BEGUN)
