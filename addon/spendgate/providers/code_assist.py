"""The dialect `code-assist`: Gemini's in the envelope of Code Assist, as Gemini CLI (signed in) and Antigravity speak it.

The model, the project and the request stand in an outer object; the answer stands in `response`.
Source: facts/wire-formats.md 4.1, 4.2.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

from msgspec.structs import replace

from spendgate.attribution import Evidence
from spendgate.providers.ask import Ask, Claim
from spendgate.providers.base import asked_also, weighed
from spendgate.providers.client import name_of, sender
from spendgate.providers.gemini import Gemini
from spendgate.providers.gemini_answers import ANSWER, ANSWER_KEYS, Stream, answer
from spendgate.providers.gemini_asked import MARKS, REQUEST, asked_of, routed_also
from spendgate.providers.interface import Head, Headers, Reader
from spendgate.providers.jsonscan import WHOLE_BYTES_MAX, Scan, Scanner
from spendgate.providers.jsonwalk import value_of
from spendgate.providers.readers import BodyReader
from spendgate.providers.reading import Reading
from spendgate.providers.shapes import PRESENT, TEXT, WORD, Fields, Shape, items, record
from spendgate.providers.sse import Oversized

_INNER: Final = {**REQUEST, "session_id": TEXT, "sessionId": TEXT}
_INNER_SCAN: Final = Scanner(Shape(**_INNER), _INNER)
_OUTER: Final = Shape(model=TEXT, project=TEXT, user_prompt_id=TEXT, request=record(**_INNER))
_CREDITS: Final = items(record(creditType=TEXT, creditAmount=WORD))
_ENVELOPE: Final = Shape(response=record(**ANSWER), traceId=TEXT, error=PRESENT, consumedCredits=_CREDITS)
_ENVELOPE_SCAN: Final = Scanner(_ENVELOPE, (*ANSWER_KEYS, "traceId", "consumedCredits"))
_OPENING: Final = b'{"response":{'
_CONSUMED: Final = b'"consumedCredits"'
_DIGITS_MAX: Final = 12


class CodeAssist(Gemini):
    """Code Assist. Stateless."""

    name = "code-assist"

    request = Scanner(_OUTER, ("model", "project", "user_prompt_id"), marks=MARKS)

    def asking(self, head: Head, body: bytes) -> Generator[None, None, Ask]:
        """What the request asks for, in steps; the request inside a long envelope is cut out and scanned by itself."""
        scan = yield from self.request.steps(body)
        if len(body) >= WHOLE_BYTES_MAX:
            inner = yield from value_of(body, "request")
            if inner is not None:
                within = yield from _INNER_SCAN.steps(inner)
                scan = replace(scan, fields={**scan.fields, "request": within.fields})
        ask = yield from weighed(asked_also(self.asked(head, body, scan), scan.also), body)
        return asked_also(ask, (yield from routed_also(body, scan, "request")))

    def asked(self, head: Head, body: bytes, scan: Scan) -> Ask:
        """The Ask of a request with this scan."""
        outer = scan.fields
        inner = outer.get("request") or {}
        said = Ask(**sender(head))
        session = name_of(inner.get("session_id") or inner.get("sessionId") or "")
        if session is not None and said.session.value is None:
            said = replace(said, session=Claim(session, Evidence.BODY))
        account = name_of(outer.get("project") or "")
        said = replace(said, model=outer.get("model"), account=said.account or account)
        return asked_of(head, body, scan, inner, said)

    def elements(self, headers: Headers) -> Reader:
        """A reader of a streamed array."""
        return _Stream(headers, array=True)

    def events(self, ask: Ask, headers: Headers) -> Reader:
        """A reader of a stream of events."""
        return _Stream(headers)

    def document(self, ask: Ask, headers: Headers) -> Reader:
        """A reader of one JSON answer."""
        return BodyReader(headers, _ENVELOPE, _ENVELOPE_SCAN, _answer, opening=_OPENING)


def _opened(found: Fields) -> Fields:
    """The answer in an envelope."""
    inner: Fields = found.get("response") or {}
    return {**inner, "error": found.get("error")}


def _answer(reading: Reading, found: Fields) -> Reading:
    return _paid(answer(reading, _opened(found)), _credits(found))


def _credits(found: Fields) -> int:
    """The credits that a piece says it took: a plan has some, and more can be bought, which no answer tells apart."""
    amounts = [(each or {}).get("creditAmount") or "" for each in found.get("consumedCredits") or []]
    return sum([int(each) for each in amounts if each.isdecimal() and len(each) <= _DIGITS_MAX])


def _paid(reading: Reading, credits_used: int) -> Reading:
    """The Reading, flagged with the credits that it took: what one costs stands on no wire."""
    return replace(reading, flags=(*reading.flags, f"credits={credits_used}")) if credits_used else reading


class _Stream(Stream):
    """Reads a streamed answer, each piece in its envelope, with the credits that it took."""

    marks = (*Stream.marks, _CONSUMED)
    telling = (*Stream.telling, _CONSUMED)
    _used = 0

    def reading(self) -> Reading:
        """What has been read so far."""
        return _paid(super().reading(), self._used)

    def fields(self, data: bytes) -> Fields:
        """The members of one piece."""
        return self._piece(_ENVELOPE.read(data))

    def ends(self, event: Oversized) -> Fields:
        """The members of one piece that was too long to keep."""
        return self._piece(_ENVELOPE_SCAN.read_ends(event.head, event.tail, _OPENING))

    def _piece(self, found: Fields) -> Fields:
        self._used += _credits(found)
        return _opened(found)
