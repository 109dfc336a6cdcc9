"""Google's error shape: refusals, cuts and the gate's own errors, such that Gemini CLI shows them and stops.

Gemini CLI ends at once, with the text of `error.message`, on a 429 whose ErrorInfo says `QUOTA_EXHAUSTED` of the domain
`cloudcode-pa.googleapis.com`; any other 429 it asks for ten times. Source: facts/wire-formats.md 4.4, 14, read from its code.
"""

from __future__ import annotations

import json
from typing import Final

from spendgate.providers.interface import Answer, Notice
from spendgate.providers.refusals import refusal_status

_STATUSES: Final[dict[int, str]] = {
    400: "INVALID_ARGUMENT",
    402: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}
_DOMAIN: Final = "cloudcode-pa.googleapis.com"
_GOOGLE: Final = "type.googleapis.com/google.rpc."


def google_refusal(notice: Notice, tool: str | None, *, strict: bool, others: int = 429) -> Answer:
    """A refusal as Google's APIs would word it; `others` as in `refusal_status`."""
    status = refusal_status(notice, tool, strict=strict, others=others)
    retry = "true" if notice.passing else "false"
    headers = [*_headers(notice.request_id), ("x-should-retry", retry)]
    if notice.passing:
        headers.append(("retry-after", str(_wait_s(notice))))
    return Answer(status, tuple(headers), _body(status, notice.message, _details(notice)))


def google_error(status: int, message: str, request_id: str) -> Answer:
    """The gate's own error (413, 503), in Google's shape."""
    return Answer(status, _headers(request_id), _body(status, message, []))


def google_cut(notice: Notice) -> bytes:
    """Ends a stream of events: the SDKs raise on a top-level `error`."""
    return b"data: " + _body(429, notice.message, _details(notice)) + b"\n\n"


def _details(notice: Notice) -> list[dict[str, object]]:
    reason = "RATE_LIMIT_EXCEEDED" if notice.passing else "QUOTA_EXHAUSTED"
    info: dict[str, object] = {"@type": f"{_GOOGLE}ErrorInfo", "reason": reason, "domain": _DOMAIN}
    if not notice.passing:
        # No RetryInfo: with one, Gemini CLI adds a sentence of its own about when to try again.
        return [info]
    return [info, {"@type": f"{_GOOGLE}RetryInfo", "retryDelay": f"{_wait_s(notice)}s"}]


def _wait_s(notice: Notice) -> int:
    return max(1, notice.retry_after_s or 1)


def _headers(request_id: str) -> tuple[tuple[str, str], ...]:
    plain = (("content-type", "application/json; charset=UTF-8"),)
    return (*plain, ("x-request-id", request_id)) if request_id else plain


def _body(status: int, message: str, details: list[dict[str, object]]) -> bytes:
    error: dict[str, object] = {
        "code": status,
        "message": message,
        "status": _STATUSES.get(status, "UNKNOWN" if status >= 500 else "FAILED_PRECONDITION"),
    }
    if details:
        error["details"] = details
    return json.dumps({"error": error}, separators=(",", ":")).encode()
