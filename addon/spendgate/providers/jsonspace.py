"""Space between the signs of a JSON document: any amount of it may stand there, and a search in steps sees only so far.

A search looks `REACH_BYTES` beyond the end of each step. What is sought begins before that end: names of some letters, and space.
So where it goes on beyond the reach, so much space stands within it.
"""

from __future__ import annotations

import re
from typing import Final

REACH_BYTES: Final = 512
_FAR_BYTES: Final = 128
"""No encoder writes so much around a colon."""
FAR: Final = rb"(?:\s{%d}|\s*+:\s{%d})" % (_FAR_BYTES, _FAR_BYTES)
"""A pattern for it behind a string, before or behind a colon."""
_FAR: Final = re.compile(rb"\s{%d}" % _FAR_BYTES)
_SPACE: Final = re.compile(rb"\s*+")
_SPACE_BYTES: Final = 8 * 1024
"""More is taken for JSON's own, whatever it stands between."""
_AROUND: Final = {b'"': b":,}]", b":": b'"[{n'}
"""What may follow such space, by what it stands behind, where it is JSON's and not a text's."""


def is_far(body: bytes, stop: int) -> bool:
    """Whether so much of JSON's own space stands where a step ends that what begins before it may not be seen whole."""
    run = _FAR.search(body, stop, stop + REACH_BYTES)
    if run is None:
        return False
    before = body[max(0, run.start() - _SPACE_BYTES) : run.start()].rstrip()[-1:]
    rest = _SPACE.match(body, run.end(), run.end() + _SPACE_BYTES)
    sign = body[rest.end() : rest.end() + 1] if rest else b""
    return not before or (before in _AROUND and sign.strip() in _AROUND[before])
