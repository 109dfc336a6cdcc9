"""By which sizes a call was tried while it waited: what its row keeps beside the last one, so that each try is made again.

What a kind is known to need changes while a call waits for its turn, and with it what it would hold and what it waits for.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from spendgate.standing import Size

KEPT_MAX: Final = 16
"""So many sizes before the last one are kept, some 70 bytes each. A call that waits ten minutes may be tried by thousands; then
the first is kept, by which it had to wait, and the latest. A try by one that is not kept is taken as by the next that is."""


class Tried(Struct, frozen=True, array_like=True):
    """A size that a call was tried by before its last one: what may change of it while the call waits. Nano-dollars.

    What rests on its request alone (its bound, its guess) stays, and no decision asks for the share of its output.
    """

    upto_ms: int
    """How long after it had asked it was still tried by this size; one less where another followed in the same millisecond."""
    learned_nanos: int | None
    largest_nanos: int | None
    typical_nanos: int | None
    spread_nanos: int
    seen: int
    own_seen: int
    tokens: int | None
    cache_reads: int

    @classmethod
    def of(cls, size: Size, upto_ms: int) -> Tried:
        """What is kept of this size."""
        return cls(
            upto_ms, size.learned_nanos, size.largest_nanos, size.typical_nanos, size.spread_nanos, size.seen, size.own_seen,
            size.tokens, size.cache_reads,
        )  # fmt: skip

    def beside(self, last: Size) -> Size:
        """The size that it was, of a call whose last one is known."""
        return replace(
            last, learned_nanos=self.learned_nanos, largest_nanos=self.largest_nanos, typical_nanos=self.typical_nanos,
            spread_nanos=self.spread_nanos, seen=self.seen, own_seen=self.own_seen, tokens=self.tokens,
            cache_reads=self.cache_reads,
        )  # fmt: skip


Earlier = tuple[Tried, ...]
"""The sizes before the last one, in their order."""


def followed(earlier: Earlier, was: Size, was_ms: int, size: Size, now_ms: int) -> Earlier:
    """The earlier sizes of a call that was tried by `was` at `was_ms` and is tried by `size` now, after it had asked."""
    if was == size:
        return earlier
    if len(earlier) >= KEPT_MAX:
        earlier = (earlier[0], *earlier[2:])
    return (*earlier, Tried.of(was, min(was_ms, now_ms - 1)))


def text(last: Size, earlier: Earlier) -> str:
    """`Size.text`; of a call that was tried by other sizes before, with an array of them as one more element.

    Who knows only `Size.of_text` reads the last size from it.
    """
    return last.text if not earlier else f"{last.text[:-1]},{_encoder.encode(earlier).decode()}]"


def earlier_of(text: str) -> Earlier:
    """The earlier sizes in a row's `size`; none in one that was written before they were kept. Raises ValueError for anything
    else."""
    if not text.endswith(_SOME):  # nearly all
        return ()
    try:
        return _decoder.decode(text).earlier
    except msgspec.DecodeError as fault:
        raise ValueError(f"not the sizes that a call was tried by: {fault}") from fault


class _Kept(Size, frozen=True, array_like=True):
    """A row's `size` with all that may stand in it."""

    earlier: Earlier = ()


_SOME: Final = "]]"
_encoder, _decoder = msgspec.json.Encoder(), msgspec.json.Decoder(_Kept)
