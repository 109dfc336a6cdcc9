"""Refusals, cuts and the gate's own errors in AWS's error shape. Source: facts/wire-formats.md 5, 14.

Measured on boto3 1.44.8, all four operations: a 400 `ServiceQuotaExceededException`, the one quota error that AWS sends so, is
asked for once in every retry mode. A 429 is asked for five times in mode legacy, whatever it says (5 to 12 s), and three times
in the others (0.4 to 4 s), but once where its code is one that the operation's model has and does not call retryable. AWS's SDK
for JavaScript retries any 429. Anthropic's SDK obeys `x-should-retry: false` beside it.
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


def bedrock_refusal(notice: Notice, tool: str | None, *, strict: bool, final: str) -> Answer:
    """A refusal as Bedrock would word it. `final`: the code of an error in the operation's model that is not retried as a 429."""
    stainless = tool in _STAINLESS
    status = 429 if strict or notice.passing or stainless else 400
    kind = final if status == 429 and not (notice.passing or stainless) else None
    answer = bedrock_error(status, notice.message, notice.request_id, kind)
    headers = (*answer.headers, ("x-should-retry", "true" if notice.passing else "false"))
    if notice.passing:
        headers = (*headers, ("retry-after", str(max(1, notice.retry_after_s or 1))))
    return Answer(status, headers, answer.body)


def bedrock_error(status: int, message: str, request_id: str, kind: str | None = None) -> Answer:
    """The gate's own error, in AWS's shape; `kind` None: the code that fits the status."""
    headers = [
        ("content-type", "application/json"),
        ("x-amzn-errortype", kind or _NAMES.get(status, "InternalServerException")),
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
