"""`response.steer`: what is said to a response that runs on a WebSocket, so that the server begins another with it by itself.

The server answers `response.steer.accepted`: it owns the input. Then the steered response ends (`incomplete`, for `steered`, or
as it would have), and the next one's `response.created` is the moment at which the input counts. Or it says
`response.steer.failed`, at any time before that, or `response.steer.pending`: the input goes with the next `response.create`.
Source: openai-python 3.54, types/responses/response_steer_event.py and its answers.
"""

from __future__ import annotations

from typing import Final

import msgspec

from spendgate.providers.interface import Notice
from spendgate.providers.refusals import openai_code
from spendgate.providers.shapes import TEXT, Fields, Shape, record
from spendgate.providers.socket_interface import Steered

STEER: Final = "response.steer"
STEER_REQUEST: Final = Shape(previous_response_id=TEXT)
STEERED: Final = record(id=TEXT, previous_response_id=TEXT)
"""Of a server's message, its `steer`."""
_ANSWERS: Final = {f"{STEER}.accepted": True, f"{STEER}.pending": False, f"{STEER}.failed": False}
"""Whether a response may begin by itself then."""


class _Steer(msgspec.Struct):
    """What is given back, as it came."""

    input: msgspec.Raw = msgspec.Raw(b'""')
    previous_response_id: msgspec.Raw = msgspec.Raw(b'""')


def steered(found: Fields) -> Steered | None:
    """What a server's message with these fields (`type`, `steer`) says of one that steers."""
    begins = _ANSWERS.get(found.get("type") or "")
    if begins is None:
        return None
    steer = found.get("steer") or {}
    return Steered(steer.get("previous_response_id") or "", steer.get("id"), begins)


def steer_failed(notice: Notice, message: bytes, lane: str | None) -> bytes:
    """`response.steer.failed` for this message. Clients are told to take codes that they do not know."""
    try:
        steer = msgspec.json.decode(message, type=_Steer)
    except ValueError:
        steer = _Steer()  # what cannot be read is not given back
    error = {"type": "invalid_request_error", "code": openai_code(notice), "message": notice.message}
    way = {} if lane is None else {"stream_id": lane}
    return msgspec.json.encode({"type": f"{STEER}.failed", "sequence_number": 0, "error": error, "steer": steer, **way})
