"""Shapes in which a refusal could be said, as tried on real clients: what a provider would send, without any gate."""

from __future__ import annotations

import json
from dataclasses import dataclass

from end_to_end.agent import Agent
from end_to_end.agents import (
    AI_SDK,
    AIDER,
    CLINE,
    CONTINUE,
    DROID,
    GPTME,
    KILO,
    LANGCHAIN_GOOGLE,
    MINI,
    OPENCODE,
    PI,
    QWEN_CODE,
    SMOLAGENTS,
    STRANDS,
    VIBE,
)
from end_to_end.clients import CLAUDE_CODE, CODEX_HTTP, CODEX_WEBSOCKET, Client
from spendgate.standin.script import Canned

WORD = "kiebitz"
"""Stands in the message, so that it is seen when a client shows it."""
MESSAGE = f"Budget person/day is spent: $5.00 of $5.00 used ({WORD}). Ask in #ai-budget"
STOP = (("x-should-retry", "false"),)
PROMO = (("x-codex-promo-message", MESSAGE),)
RESETS: dict[str, object] = {"plan_type": "team", "resets_at": 4_102_444_800}


@dataclass(frozen=True, slots=True)
class Shape:
    """One shape, for one client."""

    client: Client | Agent
    name: str
    canned: Canned


def _anthropic(status: int, kind: str, *headers: tuple[str, str]) -> Canned:
    body = {"type": "error", "error": {"type": kind, "message": MESSAGE}, "request_id": "req_refused"}
    return Canned(status, headers, json.dumps(body).encode())


def _openai(status: int, kind: str, *headers: tuple[str, str], frame: bool = False, resets: bool = False) -> Canned:
    error = {"message": MESSAGE, "type": kind, "param": None, "code": kind, **(RESETS if resets else {})}
    message = {"type": "error", "status": status, "error": error, "headers": dict(headers)}
    return Canned(
        status, headers, json.dumps({"error": error}).encode(), json.dumps(message).encode() if frame else None
    )


def _failed(code: str) -> Canned:
    response: dict[str, object] = {
        "id": "resp_refused",
        "object": "response",
        "status": "failed",
        "output": [],
        "usage": None,
    }
    event = {"type": "response.failed", "response": {**response, "error": {"code": code, "message": MESSAGE}}}
    return Canned(200, (), b"", json.dumps(event).encode())


def _claude(name: str, canned: Canned) -> Shape:
    return Shape(CLAUDE_CODE, name, canned)


def _http(name: str, canned: Canned) -> Shape:
    return Shape(CODEX_HTTP, name, canned)


def _frame(name: str, canned: Canned) -> Shape:
    return Shape(CODEX_WEBSOCKET, name, canned)


def _tried(agent: Agent, *statuses: int) -> tuple[Shape, ...]:
    """An agent with the statuses of a refusal; each says not to retry."""
    google = agent is LANGCHAIN_GOOGLE
    return tuple(
        Shape(agent, f"{status} {KINDS[status]}, x-should-retry: false", _google(status) if google else _plain(status))
        for status in statuses
    )


def _plain(status: int) -> Canned:
    return _openai(status, KINDS[status], *STOP)


def _google(status: int) -> Canned:
    error = {"code": status, "message": MESSAGE, "status": "RESOURCE_EXHAUSTED"}
    return Canned(status, STOP, json.dumps({"error": error}).encode())


KINDS = {
    400: "invalid_request_error",
    401: "invalid_api_key",
    402: "insufficient_quota",
    403: "permission_error",
    404: "not_found_error",
    429: "insufficient_quota",
}
USUAL = (429, 402, 400, 403)
SHAPES = (
    _claude("429 billing_error, x-should-retry: false", _anthropic(429, "billing_error", *STOP)),
    _claude("429 rate_limit_error, x-should-retry: false", _anthropic(429, "rate_limit_error", *STOP)),
    _claude(
        "429 billing_error, the same, retry-after: 3600",
        _anthropic(429, "billing_error", *STOP, ("retry-after", "3600")),
    ),
    _claude("429 rate_limit_error alone", _anthropic(429, "rate_limit_error")),
    _claude("400 invalid_request_error", _anthropic(400, "invalid_request_error")),
    _claude("402 billing_error, x-should-retry: false", _anthropic(402, "billing_error", *STOP)),
    _claude("403 permission_error, x-should-retry: false", _anthropic(403, "permission_error", *STOP)),
    _http(
        "429 usage_limit_reached, x-codex-promo-message",
        _openai(429, "usage_limit_reached", *STOP, *PROMO, resets=True),
    ),
    _http("429 usage_limit_reached", _openai(429, "usage_limit_reached", *STOP, resets=True)),
    _http("429 insufficient_quota", _openai(429, "insufficient_quota", *STOP)),
    _http("429 rate_limit_error", _openai(429, "rate_limit_error", *STOP)),
    _http("429 rate_limit_error, retry-after: 3600", _openai(429, "rate_limit_error", ("retry-after", "3600"))),
    _http("400 invalid_request_error", _openai(400, "invalid_request_error")),
    _http("402 insufficient_quota", _openai(402, "insufficient_quota", *STOP)),
    _frame(
        "frame 429 usage_limit_reached, promo", _openai(429, "usage_limit_reached", *PROMO, frame=True, resets=True)
    ),
    _frame("frame 429 insufficient_quota", _openai(429, "insufficient_quota", frame=True)),
    _frame("frame 400 invalid_request_error", _openai(400, "invalid_request_error", frame=True)),
    _frame("response.failed, invalid_prompt", _failed("invalid_prompt")),
    _frame("response.failed, insufficient_quota", _failed("insufficient_quota")),
    _frame("handshake 429 usage_limit_reached, promo", _openai(429, "usage_limit_reached", *PROMO, resets=True)),
    _frame("handshake 429, retry-after: 3600", _openai(429, "rate_limit_error", ("retry-after", "3600"))),
    *(
        shape
        for agent in (OPENCODE, QWEN_CODE, PI, CLINE, KILO, CONTINUE, GPTME, VIBE)
        for shape in _tried(agent, *USUAL)
    ),
    *(shape for agent in (AIDER, MINI, DROID) for shape in _tried(agent, *USUAL, 401, 404)),
    *(shape for agent in (AI_SDK, LANGCHAIN_GOOGLE, SMOLAGENTS, STRANDS) for shape in _tried(agent, *USUAL)),
)
