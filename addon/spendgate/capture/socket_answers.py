"""Which call of one lane of a WebSocket connection a message of the server is about: creates by their order, then by response id.

No create may be settled with another's counts. So an id that has ended is remembered, and an error, which names no response,
ends a running one at once only where no create behind it can be meant; else when no word of that one can follow any more.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from spendgate.capture.call import Call
from spendgate.capture.socket_past import Past
from spendgate.providers.reading import Reading

NOTHING_BEGUN = Reading(free=True, final=True, ended=True)
"""What a create has cost that was answered by an error alone."""
_NOT_SEEN = Reading(ended=True)
"""What is known of a create of which no answer was seen."""


@dataclass(slots=True)
class Running:
    """An admitted call and what was last read of it."""

    call: Call
    reading: Reading
    counted: int = 0
    failed: Reading | None = None
    """An error came while it ran: how it ends, unless its own last word still comes."""
    doubted: bool = False
    """That error may have been the answer to this one instead, which waited behind."""
    received_bytes: int = 0
    """The server's messages about it."""

    def end(self, *, complete: bool = True, error: str | None = None, counts_later: bool = False) -> None:
        self.call.end(
            lambda: self.reading,
            response_bytes=self.received_bytes,
            complete=complete,
            error=error,
            counts_later=counts_later,
        )

    def end_failed(self) -> None:
        """As the error said that came while it ran."""
        self.reading = self.failed or self.reading
        self.end()


class Answers:
    """The calls of one lane that run, those without an id in the order in which they were sent."""

    def __init__(self, past: Past | None = None) -> None:
        """`past`: what is over on this connection, where it has several lanes."""
        self._unnamed: deque[Running] = deque()
        self._named: dict[str, Running] = {}
        self._past = Past() if past is None else past
        self.speaking: Running | None = None
        """What a message is of that moves no reading: they run one at a time, in order."""

    @property
    def waits(self) -> bool:
        """Whether a create has had no answer yet."""
        return bool(self._unnamed)

    def takes(self, response_id: str) -> bool:
        """Whether this response answers one of ours, of which the first to wait has not heard yet, or has."""
        return response_id in self._named or (self.waits and response_id not in self._past)

    @property
    def first(self) -> Call | None:
        """The create that has waited longest for its answer."""
        return self._unnamed[0].call if self._unnamed else None

    def runs(self, response_id: str) -> Running | None:
        """What runs under this id."""
        return self._named.get(response_id)

    def begins(self, response_id: str, running: Running) -> None:
        """A response that no create asked for: it is this one's from here on."""
        self._named[response_id] = running
        heard(running)
        self._turn()

    def running(self) -> list[Running]:
        return [*self._named.values(), *self._unnamed]

    def sent(self, call: Call) -> None:
        self._unnamed.append(Running(call, Reading()))
        self._turn()

    def finish(self, *, complete: bool, error: str | None) -> None:
        """The connection is over, and all that runs."""
        for running in self.running():
            if running.failed is None:
                running.end(complete=complete, error=error)
            else:
                running.end_failed()
        self._unnamed.clear()
        self._named.clear()
        self._turn()

    def move(self, response_id: str | None, reading: Reading, size_bytes: int) -> Running | None:
        """The call that this reading, of a message of so many bytes, is of, while it goes on; one that it ends is ended here."""
        moved = self._move(response_id, reading, size_bytes)
        self._turn()
        return moved

    def _turn(self) -> None:
        self.speaking = next(iter(self._named.values()), self._unnamed[0] if self._unnamed else None)

    def _move(self, response_id: str | None, reading: Reading, size_bytes: int) -> Running | None:
        if response_id is None:
            return self._move_unnamed(reading, size_bytes)
        running = self._named.get(response_id) or self._name(response_id)
        if running is None:
            self._past.late(response_id, reading)
            return None
        running.received_bytes += size_bytes
        running.reading = reading
        if not (reading.final or reading.ended):
            return running
        if running.failed is not None and (reading.free or not reading.final):
            self._trust()
        self._over(response_id, running)
        return None

    def _name(self, response_id: str) -> Running | None:
        """The create that a response answers of which nothing has been heard; None: it is over, or answers none of ours."""
        if response_id in self._past:
            return None
        for name, failed in list(self._named.items()):
            # Responses run one at a time: with a new one there, nothing more comes of the one that failed.
            if failed.failed is not None:
                failed.reading = failed.failed
                self._over(name, failed)
                self._trust()
        # One that the error may have answered gives way to what was sent after the error.
        while len(self._unnamed) > 1 and self._unnamed[0].doubted and not self._unnamed[-1].doubted:
            answered(self._unnamed.popleft(), _NOT_SEEN)
        if not self._unnamed:
            self._past.add(response_id)
            return None
        # Creates are answered in order; from its first event on a response goes by its id.
        running = self._named[response_id] = self._unnamed.popleft()
        heard(running)
        return running

    def _move_unnamed(self, reading: Reading, size_bytes: int) -> Running | None:
        """An error, or a response of a host that gives it no id."""
        running = self._named.get(reading.response_id or "")
        if running is not None:
            running.received_bytes += size_bytes
            self._error(running, reading)
            return None
        if not self._unnamed:
            return None
        self._unnamed[0].received_bytes += size_bytes
        if reading.response_id is not None:
            reading = NOTHING_BEGUN
        if reading.final or reading.ended:
            answered(self._unnamed.popleft(), reading)
            return None
        running = self._unnamed[0]
        heard(running)
        running.reading = reading
        return running

    def _error(self, running: Running, reading: Reading) -> None:
        """An error while this one runs. With no create behind that it could answer, it ends this one, at once; with one, it
        seems to be how this one ends, and a second error answers the create behind it."""
        if not self._unnamed and running.failed is None:
            self._fail(running, reading)
        elif running.failed is None:
            running.failed = reading
        elif self._unnamed:
            answered(self._unnamed.popleft(), NOTHING_BEGUN)
        for behind in self._unnamed:
            behind.doubted = True

    def _fail(self, running: Running, reading: Reading) -> None:
        """It ends as the error says, so that its hold is free; should it be counted after all, that is a correction."""
        name = reading.response_id or ""
        running.reading = reading
        self._past.counted_later(name, running.call, awaited=True)
        self._over(name, running, counts_later=True)

    def _over(self, response_id: str, running: Running, *, counts_later: bool = False) -> None:
        running.end(counts_later=counts_later)
        self._named.pop(response_id, None)
        self._past.add(response_id)

    def _trust(self) -> None:
        """The error was about the response that ran: those behind it are still to be answered."""
        for running in self._unnamed:
            running.doubted = False


def heard(running: Running) -> None:
    """The first word of its answer is here."""
    if running.call.first_byte_ms is None:
        running.call.replied(200)


def answered(running: Running, reading: Reading) -> None:
    """This is its whole answer."""
    heard(running)
    running.reading = reading
    running.end()
