"""An HTTP exchange on its way through the meter: its call, its tap, and what its stream is told. No hooks here."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from mitmproxy import http
from mitmproxy.net.server_spec import ServerSpec
from msgspec.structs import replace

from spendgate.capture import refusal
from spendgate.capture.call import Call
from spendgate.capture.ends import leaver
from spendgate.capture.flow import CUT, MeteredFlow
from spendgate.capture.results import Results
from spendgate.capture.tap import Tap
from spendgate.capture.unreached import unreached
from spendgate.capture.visitor import Visitor
from spendgate.exchange import State
from spendgate.gate.interface import Refused
from spendgate.providers.decoding import Decoder
from spendgate.providers.headers import CaseInsensitive
from spendgate.providers.interface import Dialect, Head, Headers, Kind, ResultDialect
from spendgate.providers.reading import Reading
from spendgate.providers.spoken import OpenDialect, Spoken
from spendgate.providers.stream_usage import ASKED, SHOWN, Hidden, asking, hides, may_ask

TOO_LONG_STATUS = 413
UNPROCESSED = "not processed by the provider"
"""Flag of a call that was sent, and that the provider says it did nothing with."""


class Passage:
    """One exchange. It is its stream's `Watch`."""

    __slots__ = (
        "_asked_usage",
        "_begun",
        "_declared",
        "_unprocessed",
        "_unread",
        "_uploaded",
        "call",
        "claims",
        "dialect",
        "fault",
        "head",
        "instead",
        "response_bytes",
        "results",
        "spoken",
        "tap",
        "visitor",
    )

    def __init__(
        self, call: Call, head: Head, dialect: Dialect | None, visitor: Visitor, fault: Exception | None = None
    ) -> None:
        self.call = call
        self.head = head
        self.spoken: Spoken | None = dialect.spoken(head) if isinstance(dialect, OpenDialect) else None
        """The dialect as this request speaks it, where it may stay open."""
        self.dialect = self.spoken or dialect
        """None: nothing of this exchange is read."""
        self.visitor = visitor
        self.fault = fault
        """What kept this request from being routed: `on_failure` then decides."""
        self.claims: Callable[[], None] | None = None
        """Says again whose it is, where that was not wholly known when it began."""
        self.instead: http.Response | None = None
        """The answer to a request that goes nowhere, whatever its body holds."""
        self.tap: Tap | None = None
        self.results: Results | None = None
        self.response_bytes = 0
        self._declared = _length(head)
        self._unread = ""
        self._unprocessed = False
        self._asked_usage: tuple[str, ...] = ()
        self._begun = self._uploaded = 0
        visitor.open[call.call_id] = self

    @property
    def undecided(self) -> bool:
        """Whether the gate is still to be asked about it."""
        return self.call.route.kind is Kind.BILLABLE and self.call.state is State.SEEN

    def ask_usage(self, request: http.Request) -> None:
        """Have its stream report its usage, where the policy lets that be asked and the client has said nothing of it."""
        body = request.raw_content
        if not (self.call.route.asks_usage and self.call.ask.usage_unsaid and body) or not may_ask(self.head.headers):
            return
        request.raw_content = asking(body)
        if "content-length" in request.headers:
            request.headers["content-length"] = str(len(request.raw_content))
        # Out of an encoded answer nothing can be taken.
        request.headers["accept-encoding"] = "identity"
        self._asked_usage = (ASKED,)

    def upload(self, data: bytes) -> bytes:
        """Stream callable of a request that is not read: counts."""
        self.call.request_bytes += len(data)
        return data

    def begun(self, size: int) -> None:
        """It is decided on its first `size` bytes."""
        self.call.request_bytes = self._begun = size

    def upload_open(self, data: bytes) -> bytes:
        """Stream callable of a request that was decided on its beginning: counts, and shows it to the dialect."""
        self._uploaded += len(data)
        self.call.request_bytes = max(self.call.request_bytes, self._uploaded)
        if self.spoken is not None and data:
            self.spoken.upload(data)
        return data

    def download(self, data: bytes) -> bytes:
        """Stream callable of a response that is not read: counts."""
        self.response_bytes += len(data)
        return data

    def sent(self) -> bool:
        return self.call.sent()

    def oversized(self, received: int) -> http.Response | None:
        """413 in the provider's shape, as soon as the length is known to pass the bound: by its header or as it grows.

        A request that goes nowhere gets its answer at its body's first bytes.
        """
        if self.instead is not None:
            return self.instead
        bound = self.call.route.body_bytes_max
        if not self.undecided or max(received, self._declared) <= bound:
            return None
        self.call.request_bytes = received
        self.call.http_status = TOO_LONG_STATUS
        return refusal.too_long(self.dialect, bound, self.call.call_id)

    def unreached(self, fault: str, proxy: ServerSpec | None) -> http.Response | None:
        """The answer where there is no connection to the provider, and somebody in between is to be asked; None: nobody is."""
        found = unreached(fault, self.call.host, proxy)
        if found is None:
            return None
        return refusal.not_reached(self.dialect, found.message, self.call.call_id, passes=found.passes)

    def refused(self, answered: Refused) -> http.Response:
        """This refusal as its client is to hear it."""
        said, tool = refusal.notice(answered), self.call.attribution.tool
        return refusal.rendered(self.dialect, said, tool, rule=answered.refuse.rule, strict=answered.strict)

    def tapped(self, response: http.Response, cue: Callable[[Reading], None]) -> Callable[[bytes], bytes]:
        """What stands beside the response: a tap where it is billed, else a counter."""
        call = self.call
        if call.route.kind is Kind.RESULT:
            return self._results(response)
        if call.state is not State.SENT or self.dialect is None:
            return self.download
        try:
            headers = headers_of(response)
            reader = self.dialect.reader(call.ask, response.status_code, headers)
            encoding = headers.get("content-encoding")
            decoder = Decoder(encoding) if encoding else None
            plain = decoder is None or decoder.plain
            boundaries = self.dialect.boundaries(headers) if call.cut and plain else None
        except Exception as fault:  # noqa: BLE001 - the response goes on; the row says that it was not read
            self._unread = f"reader failed: {type(fault).__name__}"
            return self.download
        self.tap = Tap(reader, cue, decoder, boundaries=boundaries, watched=call.cut)
        if self._asked_usage and hides(headers):
            self.tap.hidden = Hidden()
        elif self._asked_usage and response.status_code < 300:
            self._asked_usage += (SHOWN,)
        return self.tap

    def _results(self, response: http.Response) -> Callable[[bytes], bytes]:
        """What reads results back, where this dialect gives any."""
        try:
            headers = headers_of(response)
            reader = cast(ResultDialect, self.dialect).results(self.head, response.status_code, headers)
            encoding = headers.get("content-encoding")
            self.results = Results(reader, Decoder(encoding) if encoding else None, self.call.collect)
        except Exception as fault:  # noqa: BLE001 - the response goes on; the row says that it was not read
            self.call.flags += (f"reader failed: {type(fault).__name__}",)
            return self.download
        return self.results

    def goes_nowhere(self, instead: http.Response, why: str) -> http.Response:
        """The gate gives this answer itself, asks nobody, and the row says why."""
        self.instead = instead
        self.call.route = replace(self.call.route, kind=Kind.UNRECOGNIZED)
        self.call.http_status = instead.status_code
        self.call.flags += (why,)
        return instead

    def end(self, flow: MeteredFlow) -> None:
        """The exchange is over, whole or not. The first end counts."""
        error = None
        if flow.error is not None:
            error = "cut" if flow.error.msg == CUT else _breaker(flow)
        self._unprocessed = flow.unprocessed
        self.finish(complete=flow.error is None, error=error)

    def finish(self, *, complete: bool, error: str | None) -> None:
        self.visitor.open.pop(self.call.call_id, None)
        if self.claims is not None and not self.call.ended:
            self.claims()
        if self.results is not None:
            self.call.flags += self.results.close()
            if error == "gate":
                self.results.flush()
        self.call.end(self._reading, response_bytes=self._received(), complete=complete, error=error)

    def _reading(self) -> Reading:
        if self._unprocessed:
            return Reading(free=True, flags=(UNPROCESSED,))
        reading = self.tap.close() if self.tap is not None else Reading(flags=(self._unread,) if self._unread else ())
        later = self._uploaded - self._begun
        if self._asked_usage:
            reading = replace(reading, flags=(*reading.flags, *self._asked_usage))
        if later <= 0:
            return reading
        # Its row was written when it was decided.
        return replace(reading, flags=(*reading.flags, f"request went on for {later} bytes"))

    def _received(self) -> int:
        read = self.tap or self.results
        return read.bytes if read is not None else self.response_bytes


def headers_of(message: http.Request | http.Response) -> Headers:
    """The head's fields, repeated ones joined as mitmproxy joins them. Folded once: mitmproxy's own goes through all of them,
    and lowers each name, for each that is asked for, and a request is asked for about twenty."""
    folded: dict[str, str] = {}
    for name, value in message.headers.fields:
        key, text = name.decode("utf-8", "surrogateescape").lower(), value.decode("utf-8", "surrogateescape")
        folded[key] = f"{folded[key]}, {text}" if key in folded else text
    return CaseInsensitive.folded(folded)


def _breaker(flow: MeteredFlow) -> str:
    """Who ended it, where the hook's text alone would not tell."""
    gone: Callable[[], bool] = flow.client_left()
    by_client = flow.broken_by == "client" if flow.broken_by else gone()
    return leaver() if by_client else "server"


def _length(head: Head) -> int:
    """The request's own word for its length; 0 where it gives none."""
    length = head.headers.get("content-length") or ""
    return int(length) if length.isascii() and length.isdigit() and len(length) < 19 else 0
