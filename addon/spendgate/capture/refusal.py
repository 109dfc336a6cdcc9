"""From the gate's Refused to an answer in the provider's own shape, and the breaker that answers a client which repeats itself.

The breaker keeps a client that ignores a refusal from costing a ledger row for each repeat. It never decides anything
new: it repeats an answer to the same request, for a second at a time, and not past the instant when the budget resets.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import ceil

from mitmproxy import http

from spendgate.attribution import Attribution
from spendgate.gate.interface import Refused
from spendgate.providers.ask import Ask
from spendgate.providers.interface import Answer, Dialect, Notice

logger = logging.getLogger(__name__)

MARKER = "x-spendgate"
"""Response header of every answer that the gate gave itself."""
REPEATS_FREE = 3
"""So many refusals of one request get their own decision and row before the breaker answers."""
REPEATS_WITHIN_MS = 10_000
ANSWERED_FOR_MS = 1_000
REQUESTS_KEPT_MAX = 1_024


def notice(refused: Refused) -> Notice:
    """What a dialect needs to say it. `spent`, `unbounded` and model rules are final; others' holds and rates pass."""
    refuse, passing = refused.refuse, refused.refuse.passes
    retry_after_s = max(1, ceil((refuse.retry_after_ms or 0) / 1000)) if passing else None
    resets_at = None if refuse.resets_ms is None else datetime.fromtimestamp(refuse.resets_ms / 1000, UTC)
    return Notice(refused.message, refuse.kind.value, passing, retry_after_s, resets_at, refused.call_id)


def rendered(
    dialect: Dialect | None, said: Notice, tool: str | None, *, rule: str, strict: bool = False
) -> http.Response:
    """The answer in the dialect's shape, with a marker that names the rule and nothing else. Never raises.

    Where the dialect fails, and without one, a plain 429: what was refused stays refused.
    """
    try:
        answer = dialect.refusal(said, tool, strict=strict) if dialect is not None else _plain(429, said.message)
    except Exception as fault:  # noqa: BLE001 - mitmproxy would let the request pass
        logger.error("a refusal could not be put into its dialect: %s", type(fault).__name__)
        answer = _plain(429, said.message)
    return _response(answer, rule)


def too_long(dialect: Dialect | None, bytes_max: int, request_id: str) -> http.Response:
    """413 in the dialect's shape, for a request that is longer than what is read here."""
    message = f"The request is longer than {bytes_max} bytes, the most that Spendgate reads of one."
    answer = _plain(413, message) if dialect is None else dialect.error(413, message, request_id)
    return _response(answer, "request-length")


def not_reached(dialect: Dialect | None, message: str, request_id: str, *, passes: bool) -> http.Response:
    """502 in the dialect's shape, for what somebody on the way to the provider keeps from it. Unless it passes by itself,
    asking again is no use."""
    answer = _plain(502, message) if dialect is None else dialect.error(502, message, request_id)
    response = _response(answer, "not-reached")
    response.headers["x-should-retry"] = "true" if passes else "false"
    return response


def misdirected() -> http.Response:
    """421, for a request that names another provider than its connection does. No dialect: it is not known whose it would be."""
    return _response(_plain(421, "The request names another provider than the connection that it came on."), "provider")


def of_a_page() -> http.Response:
    """403, for a web page of elsewhere that found the reverse listener. Nothing that it may read: no `access-control` field."""
    return _response(_plain(403, "This port is for tools of this machine, not for web pages."), "web-page")


def ambiguous() -> http.Response:
    """400, for a request with a field that others may read as two."""
    return _response(_plain(400, "A header field of the request holds a line break or a NUL."), "request-fields")


def _response(answer: Answer, rule: str) -> http.Response:
    headers = [(name.encode(), value.encode("latin-1", "replace")) for name, value in answer.headers]
    response = http.Response.make(answer.status, answer.body, http.Headers(headers))
    response.headers[MARKER] = f"refused; rule={_token(rule)}"
    return response


def _plain(status: int, message: str) -> Answer:
    body = json.dumps({"error": {"message": message}}).encode()
    return Answer(status, (("content-type", "application/json"), ("x-should-retry", "false")), body)


def _token(rule: str) -> str:
    """A policy's rule name as a header may carry it."""
    return "".join(char if char.isascii() and (char.isalnum() or char in "-_./") else "_" for char in rule)[:80]


@dataclass(frozen=True, slots=True)
class Repeated:
    """What makes two requests the same to the breaker: all that a policy may look at, and every byte of the body."""

    person: str
    tool: str | None
    session: str | None
    host: str
    path: str
    model: str | None
    project: str | None
    api_key: str | None
    billing: str
    account: str | None
    body_hash: bytes

    @classmethod
    def of(cls, attribution: Attribution, ask: Ask, host: str, path: str, body: bytes) -> Repeated:
        """`body` as it came; of it only a hash is kept, which never leaves memory."""
        who, digest = attribution, hashlib.blake2b(body, digest_size=16).digest()
        claimed = (ask.model, who.project, ask.api_key, ask.billing, ask.account)
        return cls(who.person, who.tool, who.session, host, path, *claimed, digest)


@dataclass(frozen=True, slots=True)
class _Series:
    refused: Refused
    since_ms: int
    times: int = 1
    answered: int = 0
    until_ms: int = 0


class Breaker:
    """Refusals of late that stay for a known time, bounded. Times are milliseconds of a clock that the caller reads."""

    def __init__(self) -> None:
        self._series: OrderedDict[Repeated, _Series] = OrderedDict()

    @property
    def idle(self) -> bool:
        """Nobody was refused of late: no request needs a key."""
        return not self._series

    def answer(self, key: Repeated, now_ms: int) -> Refused | None:
        """The last refusal, for a request that has just been refused often enough; None: ask the gate."""
        series = self._series.get(key)
        if series is None or not series.since_ms <= now_ms < series.until_ms:
            return None
        self._series[key] = replace(series, answered=series.answered + 1)
        return series.refused

    def answered(self, key: Repeated) -> int:
        """How many repeats were answered since the request was last decided; the count starts again."""
        series = self._series.get(key)
        if series is None:
            return 0
        self._series[key] = replace(series, answered=0)
        return series.answered

    def refused(self, key: Repeated, refused: Refused, now_ms: int) -> None:
        """The gate has decided to refuse this request. One that passes when some other call ends is decided each time."""
        refuse = refused.refuse
        if refuse.passes and not (refuse.rate and refuse.resets_ms is not None):
            return
        before = self._series.pop(key, None)
        series = _Series(refused, now_ms)
        if before is not None and now_ms - before.since_ms < REPEATS_WITHIN_MS:
            series = replace(series, since_ms=before.since_ms, times=before.times + 1)
        if series.times >= REPEATS_FREE:
            resets_ms = refused.refuse.resets_ms
            until_ms = now_ms + ANSWERED_FOR_MS
            # The series goes on for as long as the client does; only a pause ends it.
            series = replace(
                series, since_ms=now_ms, until_ms=until_ms if resets_ms is None else min(until_ms, resets_ms)
            )
        self._series[key] = series
        if len(self._series) > REQUESTS_KEPT_MAX:
            self._series.popitem(last=False)

    def clear(self) -> None:
        """The policy has changed: every request is decided anew."""
        self._series.clear()
