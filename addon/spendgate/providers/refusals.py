"""Refusals, cuts and the gate's own errors in each provider's error shape, such that a tool shows them and stops.

Which status a tool shows and does not retry differs; `_READABLE` is the table, from facts/wire-formats.md 1b, 2.3, 3, 14 and 20.
It is used only for final refusals under `refusals: readable`; `strict` and passing refusals are 429 always. Every final refusal
carries `x-should-retry: false`, which the official SDKs obey, and no `retry-after`: Codex, Cline and OpenCode wait it out in
silence, up to days. A passing one carries its true, short wait.

Measured with these shapes, over HTTP: Claude Code 2.1.197 (429) and Codex 0.169.0 (429 `usage_limit_reached`) send one request
and print the whole message; Codex prints a 400's raw body too, which is why it needs no other status than 429.
"""

from __future__ import annotations

import json
from typing import Final

from spendgate.providers.interface import Answer, Notice

_READABLE: Final[dict[str, int]] = {
    # Both retry every 429, whatever its headers; a 402 is shown.
    "opencode": 402,
    "cline": 402,
    # VS Code shows message and code of a 402 whose code is not one of GitHub's own.
    "copilot": 402,
    # With an account Copilot CLI asks again after a 429 for over a minute and then shows words of its own; a 403 becomes a login.
    "copilot-cli": 402,
    # The AI SDK ignores x-should-retry; a 403 is shown at once.
    "ai-sdk": 403,
    # Measured (scripts/client-table): these ask again after every 429, in silence for longer than 10 s, and show a 402 at once.
    "qwen-code": 402,
    "pi": 402,
    "continue": 402,
    "kilo": 402,
    "smolagents": 402,
    "gptme": 402,
    "mistral-vibe": 402,
    "langchain-google-genai": 402,
    # Says "Exec failed" of every status, at once but for a 429, which it retries in silence.
    "droid": 402,
    # LiteLLM, inside it, retries all but a 400.
    "aider": 400,
    # Asks ten times after everything but LiteLLM's errors for 401 and 404, and that for 401 talks of the API key.
    "mini-swe-agent": 404,
}
_COPILOT: Final = ("copilot", "copilot-cli")
_ANTHROPIC_TYPES: Final[dict[int, str]] = {
    400: "invalid_request_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
}
_OPENAI_CODES: Final[dict[str, str]] = {
    "spent": "project_spend_limit_exceeded",
    "held": "rate_limit_exceeded",
    "rule": "not_allowed_by_policy",
    "unbounded": "not_allowed_by_policy",
    "failure": "gate_failure",
}
_HEADER_TEXT_MAX: Final = 512


def refusal_status(notice: Notice, tool: str | None, *, strict: bool, others: int = 429) -> int:
    """The HTTP status that makes this tool show the refusal and stop; `others`: what tools get that are not in the table."""
    return 429 if strict or notice.passing else _READABLE.get(tool or "", others)


def anthropic_refusal(notice: Notice, tool: str | None, *, strict: bool) -> Answer:
    """A refusal as Anthropic's own API would word it."""
    status = refusal_status(notice, tool, strict=strict)
    code = _OPENAI_CODES.get(notice.code, notice.code) if tool in _COPILOT else None
    body = _anthropic_body(status, notice.message, notice.request_id, code)
    return Answer(status, _headers(notice, "request-id"), body)


def openai_refusal(notice: Notice, tool: str | None, *, strict: bool) -> Answer:
    """A refusal as OpenAI's own API would word it."""
    status = refusal_status(notice, tool, strict=strict)
    headers = _headers(notice, "x-request-id")
    if tool == "codex" and status == 429 and not notice.passing:
        # Codex 0.169.0 hides the text of a 429, except of this type, to whose sentence it adds this header's text.
        headers = (*headers, ("x-codex-promo-message", _promo(notice.message)))
    return Answer(status, headers, _json({"error": _openai_error(notice, tool, status)}))


def anthropic_error(status: int, message: str, request_id: str) -> Answer:
    """The gate's own error (413, 503), in Anthropic's shape."""
    headers = _plain_headers("request-id", request_id)
    return Answer(status, headers, _anthropic_body(status, message, request_id))


def openai_error(status: int, message: str, request_id: str) -> Answer:
    """The gate's own error (413, 503), in OpenAI's shape."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    body = _json({"error": {"message": message, "type": kind, "param": None, "code": None}})
    return Answer(status, _plain_headers("x-request-id", request_id), body)


def zed_refusal(notice: Notice, *, strict: bool) -> Answer:
    """A refusal as Zed's own backend would word it (facts/wire-formats.md 14)."""
    status = 429 if strict or notice.passing else 403
    return Answer(status, _headers(notice, "x-request-id"), _zed_body("budget_exceeded", notice.message))


def zed_error(status: int, message: str, request_id: str) -> Answer:
    """The gate's own error (413, 503), in Zed's shape."""
    return Answer(status, _plain_headers("x-request-id", request_id), _zed_body("gate_failure", message))


def _zed_body(code: str, message: str) -> bytes:
    return _json({"code": code, "message": message})


def detail_refusal(notice: Notice) -> Answer:
    """A refusal as ChatGPT's own backend would word it (facts/wire-formats.md 9)."""
    return Answer(429, _headers(notice, "x-request-id"), _json({"detail": notice.message}))


def detail_error(status: int, message: str, request_id: str) -> Answer:
    """The gate's own error (413, 503), in ChatGPT's shape."""
    return Answer(status, _plain_headers("x-request-id", request_id), _json({"detail": message}))


def detail_cut(notice: Notice) -> bytes:
    """Ends a conversation's stream."""
    return b"data: " + _json({"error": notice.message}) + b"\n\ndata: [DONE]\n\n"


def anthropic_cut(notice: Notice) -> bytes:
    """Ends a Messages stream."""
    return b"event: error\ndata: " + _anthropic_body(429, notice.message, notice.request_id) + b"\n\n"


def openai_error_frame(notice: Notice) -> bytes:
    """The `error` event of OpenAI's sockets, as a message."""
    return _json({"type": "error", "event_id": None, "error": _openai_error(notice, None, 429)})


def chat_cut(notice: Notice) -> bytes:
    """Ends a Chat Completions stream: the SDKs raise on a top-level `error`."""
    return b"data: " + _json({"error": _openai_error(notice, None, 429)}) + b"\n\n"


def responses_cut(notice: Notice, response_id: str | None) -> bytes:
    """Ends a Responses stream. `insufficient_quota` is the one code that Codex does not retry."""
    return b"event: response.failed\ndata: " + responses_failed(notice, response_id) + b"\n\n"


def responses_failed(notice: Notice, response_id: str | None) -> bytes:
    """The `response.failed` event, as a stream's data or a WebSocket message."""
    error = {"code": "insufficient_quota", "message": notice.message}
    response = {"id": response_id or "", "object": "response", "status": "failed", "error": error, "output": []}
    return _json({"type": "response.failed", "sequence_number": 0, "response": response})


def responses_frame(notice: Notice, tool: str | None, *, strict: bool = False) -> bytes:
    """The WebSocket message that refuses one `response.create`; Codex treats it as it would the HTTP status in it."""
    status = refusal_status(notice, tool, strict=strict)
    frame: dict[str, object] = {"type": "error", "status": status, "error": _openai_error(notice, tool, status)}
    if tool in _COPILOT and not notice.passing:
        # Of the codes that its socket knows, the one whose message is shown.
        frame["error"] = {"code": "rate_limited", "message": notice.message}
    if notice.passing:
        # Codex 0.169.0 waits so long and asks again; without it, it ends with "exceeded retry limit" and hides the text.
        frame["headers"] = {"retry-after": str(_wait_s(notice))}
    elif tool == "codex" and status == 429:
        frame["headers"] = {"x-codex-promo-message": _promo(notice.message)}
    return _json(frame)


def openai_code(notice: Notice) -> str:
    """Why, in OpenAI's words where it has some."""
    return "rate_limit_exceeded" if notice.passing else _OPENAI_CODES.get(notice.code, notice.code)


def _openai_error(notice: Notice, tool: str | None, status: int) -> dict[str, object]:
    code = openai_code(notice)
    kind = "requests" if notice.passing else "invalid_request_error" if status == 400 else "insufficient_quota"
    error: dict[str, object] = {"message": notice.message, "type": kind, "param": None, "code": code}
    if tool == "codex" and status == 429 and not notice.passing:
        error["type"] = "usage_limit_reached"
        if notice.resets_at is not None:
            error["resets_at"] = int(notice.resets_at.timestamp())
    return error


def _anthropic_body(status: int, message: str, request_id: str, code: str | None = None) -> bytes:
    error = {"type": _ANTHROPIC_TYPES.get(status, "api_error"), "message": message}
    if code is not None:
        error["code"] = code
    return _json({"type": "error", "error": error, "request_id": request_id})


def _headers(notice: Notice, id_header: str) -> tuple[tuple[str, str], ...]:
    headers = _plain_headers(id_header, notice.request_id)
    if not notice.passing:
        return (*headers, ("x-should-retry", "false"))
    return (*headers, ("x-should-retry", "true"), ("retry-after", str(_wait_s(notice))))


def _wait_s(notice: Notice) -> int:
    return max(1, notice.retry_after_s or 1)


def _plain_headers(id_header: str, request_id: str) -> tuple[tuple[str, str], ...]:
    return (
        (("content-type", "application/json"), (id_header, request_id))
        if request_id
        else (("content-type", "application/json"),)
    )


def _promo(message: str) -> str:
    """One line of ASCII, fit for a header, as the middle of Codex's sentence: it goes on with ", or try again at …"."""
    return " ".join(message.encode("ascii", "replace").decode().split())[:_HEADER_TEXT_MAX].rstrip(". ")


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
