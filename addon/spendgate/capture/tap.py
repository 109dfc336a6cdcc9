"""What stands beside a running response and reads a copy of it.

The very bytes that come in go to the client, whatever fails in here: they leave when mitmproxy's layers have had their turn,
in the same run of the loop (`joined`). What takes long to read is read in later turns (`unread`). The tap never writes and
never waits: it cues corrections of the hold to the loop, at the first counts, at each doubling of them, and at each doubling of
the bytes (streams that give no counts before their end).
A call that may be cut is watched closely: at each twentieth more, since a cut that comes one doubling late has spent twice
the money.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from spendgate.capture.unread import LOOP, SLICE_BYTES, Turns, Unread
from spendgate.providers.boundaries import Boundaries
from spendgate.providers.decoding import Decoder
from spendgate.providers.interface import Reader
from spendgate.providers.reading import Reading
from spendgate.providers.stream_usage import Hidden

CUE_BYTES_FIRST = 16 * 1024
WATCHED_BYTES_FIRST = 1024
_DOUBLED, _TWENTIETH = (2, 1), (21, 20)
"""How much more there must be for the next cue, as a fraction."""
LEFT = "not read to its end"
"""Flag of a response that took longer to read than the loop can give it: its counts are not final, whatever they say."""


def _nobody(_reading: Reading) -> None:
    pass


class Tap:
    """Reads one response. Also mitmproxy's stream callable, for streams that are not metered ones."""

    __slots__ = (
        "_boundaries",
        "_counted",
        "_cue",
        "_cue_bytes",
        "_decoder",
        "_failed",
        "_feed",
        "_growth",
        "_reader",
        "_unread",
        "bytes",
        "cut",
        "hidden",
    )

    def __init__(
        self,
        reader: Reader,
        cue: Callable[[Reading], None],
        decoder: Decoder | None = None,
        *,
        boundaries: Boundaries | None = None,
        watched: bool = False,
        turns: Turns = LOOP,
    ) -> None:
        """`decoder` None: the body is not encoded. `boundaries` None: no frame of our own may follow anything in this body.

        `watched`: the call may be cut.
        """
        self.bytes = 0
        """Bytes of the body passed so far, as they came."""
        self.cut: bytes | None = None
        """Set: the stream is to end after a whole event, with this frame; where nothing may be added it is broken off."""
        self.hidden: Hidden | None = None
        """Set: the client is not to see all that is read here (`providers/stream_usage`)."""
        self._reader = reader
        self._cue = cue
        self._decoder = decoder
        plain = decoder is None or decoder.plain
        self._unread = Unread(reader.feed, None if plain else decoder, turns, self._go_on)
        self._feed = reader.feed if plain else self._unread.take
        self._failed: str | None = None
        self._counted = 0
        self._cue_bytes = WATCHED_BYTES_FIRST if watched else CUE_BYTES_FIRST
        self._growth = _TWENTIETH if watched else _DOUBLED
        self._boundaries = boundaries

    def __call__(self, data: bytes) -> bytes:
        """mitmproxy's stream callable: the very bytes that it was given."""
        if data:
            self.feed(data)
        return data

    def feed(self, data: bytes) -> None:
        """Read the next bytes. Never raises."""
        self.bytes += len(data)
        if self._boundaries is not None:
            self._boundaries.passed(data)
        unread = self._unread
        if self._failed is not None or unread.left:
            return
        try:
            moved = unread.take(data) if unread.waiting or len(data) > SLICE_BYTES else self._feed(data)
            if moved or self.bytes >= self._cue_bytes:
                self._consider()
        except Exception as fault:  # noqa: BLE001 - the core drops the rest of a stream whose callable raises
            self._fail(fault)

    def whole(self, data: bytes) -> int | None:
        """How many of `data` complete the last whole event, 0 where one has just ended; None where none ends in it."""
        return self._boundaries.whole(data) if self._boundaries is not None else 0

    def ending(self) -> bytes:
        """What ends the stream at the place that was reached; empty: break it off."""
        return self._boundaries.ending(self.cut) if self._boundaries is not None and self.cut else b""

    def close(self) -> Reading:
        """What was read, whatever happened. Never raises."""
        try:
            self._unread.finish()
            reading = self._reader.close()
        except Exception as fault:  # noqa: BLE001 - a call that was sent is settled, read or not
            self._fail(fault)
            reading = Reading()
        flags = (*(self._decoder.flags if self._decoder else ()), *((self._failed,) if self._failed else ()))
        # Nobody is told any more; and what refers to itself would stay until the garbage collector comes.
        self._cue = _nobody
        self._unread.over()
        if self._unread.left:
            reading, flags = replace(reading, final=False, free=False, stated_cost_nanos=None), (*flags, LEFT)
        return replace(reading, flags=(*reading.flags, *flags)) if flags else reading

    def _go_on(self) -> None:
        """Read on in a further turn. Never raises."""
        if not self._unread.waiting:
            return
        try:
            if self._unread.turn():
                self._consider()
        except Exception as fault:  # noqa: BLE001 - the loop would only log it
            self._fail(fault)

    def _consider(self) -> None:
        """Cue where there is something new: a correction for each event would cost a transaction for each."""
        reading = self._reader.reading()
        counted = sum(part.usage.input_total + (part.usage.output_tokens or 0) for part in reading.parts)
        more, of = self._growth
        if counted and counted * of >= more * self._counted:
            self._counted = counted
        elif self.bytes >= self._cue_bytes:
            self._cue_bytes = self.bytes * more // of
        else:
            return
        self._cue(reading)

    def _fail(self, fault: Exception) -> None:
        # The class alone: a fault's text may quote the content.
        self._failed = f"reader failed: {type(fault).__name__}"
        if self._unread.waiting:
            self._unread.give_up()
