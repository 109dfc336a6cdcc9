"""How deep members of a JSON document stand, by the tokens around them: what `jsonscan` asks where it parses nothing. Pure."""

from __future__ import annotations

import re
from typing import Final

from spendgate.errors import WireError

_NESTED_BYTES: Final = 4 * 1024
# A string that the search limit cuts short counts as a string, also when it is cut within an escape.
_TOKEN: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[{}\[\],]', re.DOTALL)
_NEXT: Final = re.compile(rb"[ \t\n\r]{0,256}+(.?)", re.DOTALL)
_GOES_ON: Final = (b",", b"}", b"]")


def members_end(document: bytes, stop: int) -> int:
    """Where the last whole top-level member that ends before `stop` ends (before its comma); 0 where there is none."""
    depth = end = 0
    for token in _TOKEN.finditer(document, 0, stop):
        text = token[0]
        if text in (b"{", b"["):
            depth += 1
        elif text in (b"}", b"]"):
            depth -= 1
        elif text == b"," and depth == 1:
            end = token.start()
    return end


def at_level(tail: bytes, keys: set[int], level: int) -> list[int]:
    """Those of the keys that stand in the `level`-th object, counted from the outermost, of the document that ends here."""
    depth, depths = 0, {}
    for token in _TOKEN.finditer(tail, min(keys, default=len(tail))):
        text = token[0]
        if text in (b"{", b"["):
            depth += 1
        elif text in (b"}", b"]"):
            depth -= 1
        elif token.start() in keys:
            depths[token.start()] = depth
    return [at for at, found in depths.items() if found - depth == level]


def nested(body: bytes, key: int) -> bool:
    """Whether the object that holds this key is seen to close before the document ends.

    Raises WireError where a second document follows: a host may read the first alone, with a key that looks nested.
    """
    depth = 0
    for token in _TOKEN.finditer(body, key, min(len(body), key + _NESTED_BYTES)):
        text = token[0]
        if text in (b"{", b"["):
            depth += 1
        elif text in (b"}", b"]"):
            depth -= 1
            if depth < 0:
                following = _NEXT.match(body, token.end())
                sign = following[1] if following else b""
                if sign.isspace():
                    return False  # not looked for further: hundreds of keys may stand before the same space
                if sign and sign not in _GOES_ON:
                    raise WireError("not a JSON object")
                return bool(sign)
    return False
