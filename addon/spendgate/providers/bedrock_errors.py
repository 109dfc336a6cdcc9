"""Refusals, cuts and the gate's own errors in AWS's error shape. Source: facts/wire-formats.md 5, 14.

The AWS SDKs retry a 429 (JavaScript: any; botocore: by its code); boto3 1.44.8 was seen not to retry a 400
`ServiceQuotaExceededException`, the one quota error that AWS sends so, and to send a 429 three to five times. Anthropic's SDK
obeys `x-should-retry: false` beside a 429.
"""

from __future__ import annotations

import json
from typing import Final

from spendgate.providers.eventstream import frame
from spendgate.providers.interface import Answer, Notice

_STAINLESS: Final = frozenset({"claude-code", "anthropic-sdk"})
_NAMES: Final = {
    400: "ServiceQuotaExceededException",
    413: "ValidationException",
    429: "ThrottlingException",
    503: "ServiceUnavailableException",
}


def bedrock_refusal(notice: Notice, tool: str | None, *, strict: bool) -> Answer:
    """A refusal as Bedrock would word it."""
    status = 429 if strict or notice.passing or tool in _STAINLESS else 400
    answer = bedrock_error(status, notice.message, notice.request_id)
    headers = (*answer.headers, ("x-should-retry", "true" if notice.passing else "false"))
    if notice.passing:
        headers = (*headers, ("retry-after", str(max(1, notice.retry_after_s or 1))))
    return Answer(status, headers, answer.body)


def bedrock_error(status: int, message: str, request_id: str) -> Answer:
    """The gate's own error, in AWS's shape."""
    headers = [
        ("content-type", "application/json"),
        ("x-amzn-errortype", _NAMES.get(status, "InternalServerException")),
    ]
    if request_id:
        headers.append(("x-amzn-requestid", request_id))
    return Answer(status, tuple(headers), _json({"message": message}))


def bedrock_cut(notice: Notice) -> bytes:
    """Ends an event stream: `validationException` stands in both operations' models, and boto3 raises it with the message."""
    headers = {
        ":exception-type": "validationException",
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return frame(headers, _json({"message": notice.message}))


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
