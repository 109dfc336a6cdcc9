"""What the bills of clouds share: words of a SKU's name, token units, rows of other services, parts of one export, compression.

A cloud's bill is of everything that was bought there. Rows about models become lines; what is left out is counted and told with
its money, so that nobody takes silence for zero.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from io import BytesIO
from typing import Final

from spendgate.errors import StatementError
from spendgate.money import dollars
from spendgate.reconcile.sources.reading import Row, decimal, shown
from spendgate.statement import Axes, Line, TokenClass
from spendgate.usage import Usage

UNPACKED_BYTES_MAX: Final = 2 << 30
GZIP: Final = b"\x1f\x8b"
_TOLD_MAX: Final = 8
_WORD_MAX: Final = 40
_SPLIT: Final = re.compile(r"(?<=[a-z])(?=[A-Z])|[^A-Za-z0-9.]+")
_NEAR: Final = Decimal("0.000001")
_INPUT: Final = frozenset({"input", "inp", "inpt", "prompt"})
_OUTPUT: Final = frozenset({"output", "outp", "outpt", "opt", "completion", "response"})
_CACHED: Final = frozenset({"cache", "cached", "caching", "cchd", "cd", "cach", "ch"})
_TIERS: Final = {
    "batch": "batch", "flex": "flex", "priority": "priority", "pp": "priority", "provisioned": "provisioned",
    "reserved": "reserved",
}  # fmt: skip
_GLOBAL: Final = frozenset({"global", "glbl", "gl"})
_LONG: Final = frozenset({"long", "lctx", "longco"})
MODEL: Final = re.compile(
    r"claude|gpt|gemini|gemma|\bo[134]\b|\bo[134]-|llama|mistral|mixtral|codestral|ministral|magistral|pixtral|devstral|nova"
    r"|titan|deepseek|grok|cohere|command-?r|jamba|qwen|kimi|\bphi-?\d|glm-|embedding|imagen|veo\b|lyria|whisper",
    re.IGNORECASE,
)
"""A word that only a model has. Of services that sell other things, too, a row is about a model by this."""


def words_of(name: str) -> tuple[str, ...]:
    """A SKU's name in lower-case words: `CacheReadInputTokenCount_Global-Units` is cache, read, input, token, count, …"""
    return tuple(word.lower() for word in _SPLIT.split(name) if word)


def class_of(words: Iterable[str]) -> TokenClass | None:
    """The class of tokens that a SKU's words name. A cached input that is not called written is read."""
    found = frozenset(words)
    written = found & {"write", "writes", "creation", "write1h", "write5m"}
    if found & _CACHED and "storage" not in found:
        if not written:
            return TokenClass.CACHE_READ if found & (_INPUT | {"read", "token", "tokens"}) else None
        if "1h" in found or "write1h" in found:
            return TokenClass.CACHE_WRITE_1H
        return TokenClass.CACHE_WRITE_5M if found & {"5m", "write5m"} else TokenClass.CACHE_WRITE
    if "storage" in found:
        return None
    if found & _OUTPUT:
        return TokenClass.OUTPUT
    return TokenClass.INPUT if found & _INPUT else None


def axes_of(words: Iterable[str], region: str | None) -> Axes:
    """Tier, place and length of context that a SKU's words name; the region where they name no place."""
    found = frozenset(words)
    tier = next((name for word, name in _TIERS.items() if word in found), None)
    return Axes(
        tier=tier or ("standard" if "standard" in found else None),
        geo="global" if found & _GLOBAL else region or None,
        context="long" if found & _LONG else None,
    )


def tokens(quantity: Decimal, per: int) -> int | None:
    """So many units of `per` tokens in whole tokens; None where they are none, by more than a float's last digits."""
    exact = quantity * per
    whole = int(exact.to_integral_value())
    return whole if whole >= 0 and abs(exact - whole) <= _NEAR * max(1, whole) else None


def amount_of(cell: object) -> Decimal | None:
    """How much was used; None: an empty cell, which is not nothing."""
    return None if cell is None or cell == "" else decimal(cell)


def uncounted(line: Line) -> tuple[str, ...]:
    """A note on a line of tokens that does not say how many."""
    if line.token_class is None or line.usage.known:
        return ()
    if line.quantity is None:
        return ("of tokens without a quantity: how many they are is not told",)
    return (f"in {plain_word(line.unit or 'no unit')}: how many tokens that is, is not told",)


def one_class(token_class: TokenClass, count: int) -> Usage:
    """A count of one class."""
    return Usage(**{token_class.value: count})


def again(row: Row) -> bool:
    """Whether it is the header once more: the parts of an export, put together by `cat`, each begin with it."""
    return all(cell.strip("\ufeff ") == name for name, cell in row.items())


def plain_word(found: str) -> str:
    """A word of a file for a note: as it is, where it is short and holds nothing that a terminal would act on."""
    return found if found.isprintable() and len(found) <= _WORD_MAX else shown(found)


class LeftOut:
    """Rows that are about no model, by service, with what they cost."""

    def __init__(self) -> None:
        self._rows = 0
        self._nanos: Counter[str] = Counter()

    def add(self, service: str, nanos: int) -> None:
        """One more."""
        self._rows += 1
        self._nanos[plain_word(service)] += nanos

    def told(self) -> tuple[str, ...]:
        """One line for the report; () where nothing was left out."""
        if not self._rows:
            return ()
        most = sorted(self._nanos.items(), key=lambda pair: (-abs(pair[1]), pair[0]))
        shown = ", ".join(f"{name} {dollars(nanos)}" for name, nanos in most[:_TOLD_MAX])
        more = f" and {len(most) - _TOLD_MAX} services more" if len(most) > _TOLD_MAX else ""
        total = dollars(sum(self._nanos.values()))
        return (f"{self._rows:,} rows of {total} are about no model and left out: {shown}{more}",)


def head_of(head: bytes) -> bytes:
    """What a file begins with, unpacked where it is compressed. Never raises."""
    if not head.startswith(GZIP):
        return head
    try:
        return zlib.decompressobj(wbits=31).decompress(head, 1 << 16)
    except zlib.error:
        return b""


def unpacked(data: bytes, origin: str) -> bytes:
    """The file, unpacked where it is compressed, of one member or several. Raises StatementError: cut off, too long."""
    if not data.startswith(GZIP):
        return data
    try:
        with gzip.open(BytesIO(data)) as file:
            found = file.read(UNPACKED_BYTES_MAX + 1)
    except EOFError as fault:
        raise StatementError(f"{origin}: the compressed data end too early; was it cut off?") from fault
    except (zlib.error, gzip.BadGzipFile) as fault:
        raise StatementError(f"{origin}: cannot be unpacked: {fault}") from fault
    if len(found) > UNPACKED_BYTES_MAX:
        raise StatementError(f"{origin}: more than {UNPACKED_BYTES_MAX >> 30} GB unpacked; split it by month")
    return found
