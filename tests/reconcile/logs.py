"""Session logs that nobody has ever had: invented lines in the shapes of Claude Code and Codex."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from spendgate.reconcile.witnesses.interface import Seen, Told, Witness

AT = 1_795_312_800_000
"""2026-11-22T02:00:00Z"""
SECRET = "the herons of /home/alice left in spring"
Line = dict[str, Any]


def iso(at_ms: int) -> str:
    """As the logs write it."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def write(path: Path, *lines: Line | bytes) -> Path:
    """A log of these lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines))
    return path


def read(
    witness: Witness, home: Path, *, since_ms: int = 0, environ: Mapping[str, str] | None = None
) -> tuple[list[Seen], Told]:
    """What a witness says of a home."""
    told = Told()
    return list(witness.read(witness.places(home, environ or {}), since_ms, told)), told


def answer(
    message: str | None = "msg_1", request: str | None = "req_1", output: int = 50, *, at_ms: int = AT, session: str = "s-1",
    stop: str | None = "end_turn", **more: Any,
) -> Line:  # fmt: skip
    """A line of an answer of Claude's."""
    usage = {"input_tokens": 10, "cache_creation_input_tokens": 30, "cache_read_input_tokens": 900, "output_tokens": output,
             "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20}, "iterations": [],
             "server_tool_use": {"web_search_requests": 1}, "service_tier": "standard"}  # fmt: skip
    usage.update(more.pop("usage", {}))
    return {
        "type": "assistant", "timestamp": iso(at_ms), "sessionId": session, "requestId": request, "isSidechain": False,
        "cwd": "/home/alice/work", "uuid": "u", "message": {
            "id": message, "model": more.pop("model", "claude-opus-4-8"), "role": "assistant", "stop_reason": stop,
            "content": [{"type": "text", "text": SECRET}], "usage": usage}, **more,
    }  # fmt: skip


def meta(thread: str, *, at_ms: int = AT, **more: Any) -> Line:
    """The head of a rollout of Codex'."""
    payload = {"id": thread, "timestamp": iso(at_ms), "cwd": "/home/alice", "source": "cli", **more}
    return {"timestamp": iso(at_ms), "type": "session_meta", "payload": payload}


def turn(model: str = "gpt-5.1", *, at_ms: int = AT) -> Line:
    """What begins a turn."""
    return {"timestamp": iso(at_ms), "type": "turn_context", "payload": {"model": model, "cwd": "/home/alice"}}


def counts(total: int, output: int = 10) -> dict[str, int]:
    """A usage of Codex': of `total` input, half cached."""
    return {"input_tokens": total, "cached_input_tokens": total // 2, "cache_write_input_tokens": 0,
            "output_tokens": output, "reasoning_output_tokens": 4, "total_tokens": total + output}  # fmt: skip


def count(total: int, last: int, *, at_ms: int = AT + 5_000, output: int = 10, total_output: int = 10) -> Line:
    """A count of a turn."""
    info = {"total_token_usage": counts(total, total_output), "last_token_usage": counts(last, output)}
    payload = {"type": "token_count", "info": info, "rate_limits": None}
    return {"timestamp": iso(at_ms), "type": "event_msg", "payload": payload}


def record(response: str, total: int, last: int, *, at_ms: int = AT + 5_000) -> Line:
    """A record of a response."""
    payload = {"response_id": response, "usage": counts(last), "thread_token_usage": counts(total), "thread_id": "t"}
    return {"timestamp": iso(at_ms), "type": "token_usage_record", "payload": payload}
