"""The calls that run on one WebSocket connection: in lanes, each with answers of its own, and those that steer one of them.

A create may name its lane; a server that knows lanes names it in each message about it. From one that does not, all that comes is
for what was sent first. A connection without lanes has one, without a name.
"""

from __future__ import annotations

from msgspec.structs import replace

from spendgate.capture.call import Call
from spendgate.capture.socket_answers import Answers, Running
from spendgate.capture.socket_past import Past
from spendgate.capture.steers import Steers
from spendgate.providers.ask import Ask
from spendgate.providers.socket_interface import Moved, Steered


class Lanes:
    """What runs on one connection."""

    def __init__(self) -> None:
        self.past = Past()
        self._plain = Answers(self.past)
        self._named: dict[str, Answers] = {}
        """Those in which something runs."""
        self._told = False
        """Whether the server has named a lane."""
        self._steers = Steers()
        self._latest: Call | None = None
        self._steered = False
        """Whether anything was steered here, so that a response may begin of which no message of ours is left."""

    def running(self) -> list[Running]:
        """All that runs or waits for its answer."""
        return [*[each for answers in self._all() for each in answers.running()], *self._steers.running()]

    def asked(self, ask: Ask) -> Ask:
        """What a message asks for; one that steers, what its response was asked for: the next has its settings and all of its
        input, and more."""
        if ask.steers is None:
            return ask
        target = next((each.call for answers in self._all() if (each := answers.runs(ask.steers))), self._latest)
        if target is None:
            return ask  # of a response that is not of this connection: the server will know none either
        return replace(
            target.ask,
            text_bytes=ask.text_bytes,
            opaque_input=True,
            continues=ask.steers or None,
            steers=ask.steers,
            generates=True,
        )

    def sent(self, call: Call) -> None:
        """It is about to leave."""
        self._latest = call
        if call.ask.steers is not None:
            self._steered = True
            self._steers.sent(call)
        elif call.ask.lane is None:
            self._plain.sent(call)
        else:
            self._named.setdefault(call.ask.lane, Answers(self.past)).sent(call)

    def heard(self, size_bytes: int) -> None:
        """A message that moves no reading, on a connection that has one lane."""
        if (speaking := self._plain.speaking) is not None:
            speaking.received_bytes += size_bytes

    def steered(self, said: Steered, size_bytes: int) -> None:
        """What the server says of one that steers."""
        self._steers.told(said, size_bytes)

    def move(self, said: Moved, size_bytes: int) -> Running | None:
        """The call that this message is about, while it goes on; one that it ends is ended here."""
        if not self._named and not self._steered:
            return None if said.reading is None else self._plain.move(said.response_id, said.reading, size_bytes)
        self._told = self._told or said.lane is not None
        answers = self._answers(said)
        if said.reading is None:
            if (speaking := answers.speaking) is not None:
                speaking.received_bytes += size_bytes
            return None
        if self._steered:
            self._of_steers(said, answers)
        moved = answers.move(said.response_id, said.reading, size_bytes)
        self._named = {lane: each for lane, each in self._named.items() if each.running()}
        return moved

    def finish(self, *, complete: bool, error: str | None) -> None:
        """The connection is over, and all that runs."""
        for answers in self._all():
            answers.finish(complete=complete, error=error)
        self._named.clear()
        self._steers.finish(complete=complete, error=error)

    def _all(self) -> list[Answers]:
        return [self._plain, *self._named.values()]

    def _answers(self, said: Moved) -> Answers:
        if said.lane is not None:
            return self._named.get(said.lane) or Answers(self.past)
        if said.response_id is None:
            found = [] if self._told else [each for each in self._all() if each.running()]
        else:
            found = [each for each in self._all() if each.runs(said.response_id)]
            found = found or [each for each in self._all() if each.waits]
        return found[0] if found else self._plain

    def _runs(self, response_id: str) -> bool:
        return any(each.runs(response_id) for each in self._all())

    def _of_steers(self, said: Moved, answers: Answers) -> None:
        """A response of which nothing was heard may be one that the server began by itself; and an error what a server that
        knows no such message answers to it."""
        response_id = said.response_id
        if response_id is None:
            if (
                said.lane is None
            ):  # in a lane it answers a create: who knows lanes knows steers, and answers them by name
                self._steers.unheard()
            return
        if response_id in self.past or self._runs(response_id):
            return
        awaited = None if answers.first is None else answers.first.ask
        running = self._steers.begun(said.continues, awaited, self._runs)
        if running is not None:
            answers.begins(response_id, running)
            if said.lane is not None:
                self._named[said.lane] = answers
        elif awaited is None and self._latest is not None:
            # Of none that is left here: what it is counted at is metered all the same.
            self.past.counted_later(response_id, self._latest, awaited=False)
