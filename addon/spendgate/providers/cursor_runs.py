"""Which run an id belongs to, where Cursor cannot keep a stream open both ways: over HTTP/1.1 a turn is a call `RunSSE` that
holds an id alone, and `BidiAppend`s with that id that hold what is asked (facts/wire-formats.md 7.2).

The stream is the call: it lives as long as the turn, its answer holds the counts, and a refusal in it is read. So an append that
begins a run leaves here what it asks for, and the stream, which the client opens at the same time, takes it from here. Such an
append is turned away where the budgets are spent; all others cost nothing. Of polls each is a call, and the first one has the
input.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from spendgate.providers.cursor_asked import Asked, asked
from spendgate.providers.cursor_fields import AGENT, CHAT_WITH_TOOLS, Layout

KEPT_MAX: Final = 256
"""Runs that wait for their stream, or run: some hundred bytes each."""


class Run:
    """One run: what its first append asked for, and how many bytes the later ones brought."""

    __slots__ = ("_asked", "later_bytes")

    def __init__(self) -> None:
        self._asked: dict[Layout, Asked] = {}
        self.later_bytes = 0

    @property
    def begun(self) -> bool:
        """Whether its first append has come."""
        return bool(self._asked)

    def begin(self, message: bytes) -> None:
        """Its first append; a repeated one changes nothing. Which kind of stream takes it is not said: it is read as either."""
        if self._asked:
            return
        self._asked = {layout: asked(message, layout) for layout in (AGENT, CHAT_WITH_TOOLS)}

    def taken(self, layout: Layout) -> Asked | None:
        """What was asked, for the stream; None: its append has not come. Once taken it has no input left to be charged again."""
        found = self._asked.get(layout)
        if found is not None:
            self._asked[layout] = found._replace(text_bytes=0)
        return found


class Runs:
    """The latest runs by their id. Bounded."""

    def __init__(self) -> None:
        self._runs: OrderedDict[str, Run] = OrderedDict()

    def of(self, name: str) -> Run:
        """The run of this id, a new one where none is known."""
        run = self._runs.get(name)
        if run is None:
            run = self._runs[name] = Run()
            if len(self._runs) > KEPT_MAX:
                self._runs.popitem(last=False)
        else:
            self._runs.move_to_end(name)
        return run
