"""Gemini CLI, OpenCode, Copilot CLI, and Claude Code's telemetry: each request once, in every form that they write."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from reconcile.logs import AT, SECRET, iso, read, write
from spendgate.reconcile.witnesses.claude_telemetry import ClaudeTelemetry
from spendgate.reconcile.witnesses.copilot_cli import CopilotCli
from spendgate.reconcile.witnesses.gemini_cli import GeminiCli
from spendgate.reconcile.witnesses.interface import Seen, Told
from spendgate.reconcile.witnesses.opencode import OpenCode
from spendgate.usage import Usage

CHATS = Path(".gemini/tmp/work/chats")
OPENCODE = Path(".local/share/opencode")
COPILOT = Path(".copilot")
MESSAGE_SQL = """CREATE TABLE message
    (id TEXT PRIMARY KEY, session_id TEXT, time_created INTEGER, time_updated INTEGER, data TEXT)"""
USES_SQL = """CREATE TABLE assistant_usage_events
    (id INTEGER PRIMARY KEY, session_id TEXT, model TEXT, created_at TEXT, agent_id TEXT, input_tokens INTEGER,
    output_tokens INTEGER, cache_read_tokens INTEGER, cache_write_tokens INTEGER, reasoning_tokens INTEGER)"""


def said(message: str, output: int = 40, *, at_ms: int = AT) -> dict[str, Any]:
    tokens = {"input": 100, "output": output, "cached": 30, "thoughts": 5, "tool": 7, "total": 112 + output}
    return {
        "id": message,
        "timestamp": iso(at_ms),
        "type": "gemini",
        "content": SECRET,
        "tokens": tokens,
        "model": "gemini-2.5-flash",
    }


def chat(session: str = "g-1", **more: Any) -> dict[str, Any]:
    return {"sessionId": session, "projectHash": "ab", "startTime": iso(AT), **more}


def test_gemini_counts_are_made_disjoint(tmp_path: Path) -> None:
    """Input holds what was cached; tools' tokens are input, thoughts output."""
    write(tmp_path / CHATS / "session-1.jsonl", chat(), {"type": "user", "content": [{"text": SECRET}]}, said("m-1"))
    (seen,), told = read(GeminiCli(), tmp_path)
    assert seen.usage == Usage(input_tokens=77, cache_read_tokens=30, output_tokens=45, reasoning_tokens=5)
    assert (seen.session, seen.model, seen.response_id) == ("g-1", "gemini-2.5-flash", None)
    assert (SECRET in repr(seen), told.unreadable) == (False, 0)


def test_gemini_messages_that_are_written_again_are_one(tmp_path: Path) -> None:
    """A message grows, a change brings all of them again, a chat goes on in a second file, an older document has it, too."""
    write(
        tmp_path / CHATS / "session-1.jsonl",
        chat(),
        said("m-1", 1),
        said("m-1"),
        {"$set": {"messages": [said("m-1"), said("m-2")]}},
    )
    write(tmp_path / CHATS / "session-2.jsonl", chat(), said("m-2"))
    (tmp_path / CHATS / "session-0.json").write_text(
        json.dumps(chat(messages=[said("m-1"), said("m-2"), said("m-3")]), indent=2)
    )
    write(tmp_path / CHATS / "g-1" / "sub.jsonl", chat("g-2", kind="subagent"), said("m-1"))
    seen, _ = read(GeminiCli(), tmp_path)
    assert sorted((each.session, each.usage.output_tokens, each.sub_agent) for each in seen) == [
        ("g-1", 45, False), ("g-1", 45, False), ("g-1", 45, False), ("g-2", 45, True),
    ]  # fmt: skip


def test_gemini_files_that_are_no_chats_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path / ".gemini/tmp/work/logs.json", chat(messages=[said("m-1")]))
    write(
        tmp_path / CHATS / "broken.jsonl",
        chat(),
        b'{"id": "m-9", "tokens": {"input"\n',
        said("m-1"),
        b'{"id": "m-2", "tok',
    )
    seen, told = read(GeminiCli(), tmp_path)
    assert (len(seen), told.unreadable, told.cut_off) == (1, 1, 1)


def stored(path: Path, sql: str, table: str, *rows: tuple[Any, ...]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as db:
        db.execute(sql)
        db.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)  # noqa: S608 - our own words
        db.commit()


def step(created: int = AT, completed: int | None = AT + 2_000, **more: Any) -> dict[str, Any]:
    tokens = {"input": 60, "output": 20, "reasoning": 5, "cache": {"read": 40, "write": 3}}
    return {"role": "assistant", "modelID": "gpt-5.1", "providerID": "openai",
            "time": {"created": created, "completed": completed}, "tokens": tokens, "path": {"cwd": "/home/alice"},
            "text": SECRET, **more}  # fmt: skip


def message(name: str, session: str, data: object) -> tuple[Any, ...]:
    return name, session, AT, AT + 2_000, data if isinstance(data, str) else json.dumps(data)


def test_opencode_rows_and_files(tmp_path: Path) -> None:
    """Reasoning is output; a fork's copies, an older file of the same and a person's messages count nothing."""
    rest = [("msg_5", step(tokens={})), ("msg_6", "no JSON"), ("msg_7", step(tokens={"input": "many"}))]
    third = message("msg_3", "ses_2", step(AT + 9_000, AT + 9_500))
    stored(
        tmp_path / OPENCODE / "opencode.db", MESSAGE_SQL, "message",
        message("msg_1", "ses_1", step()), message("msg_2", "ses_2", step()), third,
        message("msg_4", "ses_1", {"role": "user", "text": SECRET}), *(message(name, "ses_1", data) for name, data in rest),
    )  # fmt: skip
    write(tmp_path / OPENCODE / "storage/message/ses_1/msg_1.json", {**step(), "sessionID": "ses_1"})
    write(tmp_path / OPENCODE / "storage/message/ses_0/msg_0.json", {**step(AT - 5, None), "sessionID": "ses_0"})
    seen, told = read(OpenCode(), tmp_path)
    assert [(each.session, each.at_ms, each.unfinished, each.kind) for each in seen] == [
        ("ses_1", AT + 2_000, False, "database"), ("ses_2", AT + 9_500, False, "database"), ("ses_0", AT - 5, True, "log"),
    ]  # fmt: skip
    assert seen[0].usage == Usage(
        input_tokens=60, cache_read_tokens=40, cache_write_tokens=3, output_tokens=25, reasoning_tokens=5
    )
    assert (told.unreadable, SECRET in repr(seen)) == (1, False)


def used(response: str | None, *, at_ms: int = AT, session: str = "c-1", inputs: int = 100) -> dict[str, Any]:
    usage = {"model": "gpt-5.1", "inputTokens": inputs, "outputTokens": 20, "cacheReadTokens": 30, "cacheWriteTokens": 0,
             "reasoningTokens": 5, "apiCallId": response, "accounting": {"sourceSessionId": session, "sequence": 1}}  # fmt: skip
    return {"type": "session.usage_record", "timestamp": iso(at_ms), "data": {"usage": usage}}


def test_copilot_records_and_rows(tmp_path: Path) -> None:
    """A record and its row are one, a fork's copy is one, a row without a record stands alone, sums are nothing."""
    shutdown = {"type": "session.shutdown", "data": {"modelMetrics": {"gpt-5.1": {"usage": {"inputTokens": 900}}}}}
    talk = {"type": "user.message", "data": {"content": '"session.usage_record"', "usage": SECRET}}
    write(
        tmp_path / COPILOT / "session-state/c-1/events.jsonl",
        talk,
        used("resp_1"),
        used("resp_2", at_ms=AT + 9_000),
        shutdown,
    )
    write(tmp_path / COPILOT / "session-state/c-2/events.jsonl", used("resp_1"), shutdown)
    rows = [(at_ms, agent) for at_ms, agent in ((AT + 1, None), (AT + 9_000, None), (AT - 60_000, "a-1"))]
    stored(
        tmp_path / COPILOT / "session-store.db", USES_SQL, "assistant_usage_events",
        *((place, "c-1", "gpt-5.1", iso(at_ms), agent, 100, 20, 30, 0, 5) for place, (at_ms, agent) in enumerate(rows)),
        (9, "c-1", "gpt-5.1", iso(AT), None, 10, 20, 30, 0, 5),
    )  # fmt: skip
    seen, told = read(CopilotCli(), tmp_path)
    assert [(each.response_id, each.kind, each.sub_agent) for each in seen] == [
        ("resp_1", "log", False), ("resp_2", "log", False), (None, "database", True),
    ]  # fmt: skip
    assert seen[0].usage == Usage(
        input_tokens=70, cache_read_tokens=30, cache_write_tokens=0, output_tokens=20, reasoning_tokens=5
    )
    assert told.unreadable == 1, "more was cached than was input"


def event(request: str | None, sequence: int, **more: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "session.id": "s-1", "event.timestamp": iso(AT), "event.sequence": sequence, "model": "claude-opus-4-8",
        "input_tokens": "10", "output_tokens": 50, "cache_read_tokens": 900, "cache_creation_tokens": 30, "prompt": SECRET,
        **more,
    }  # fmt: skip
    if request:
        values["request_id"] = request
    each = [
        {"key": key, "value": {"stringValue" if isinstance(value, str) else "intValue": value}}
        for key, value in values.items()
    ]
    return {"timeUnixNano": str(AT * 1_000_000), "body": {"stringValue": "claude_code.api_request"}, "attributes": each}


def export(*events: dict[str, Any]) -> dict[str, Any]:
    other = {
        "body": {"stringValue": "claude_code.user_prompt"},
        "attributes": [{"key": "prompt", "value": {"stringValue": SECRET}}],
    }
    return {"resourceLogs": [{"resource": {}, "scopeLogs": [{"scope": {}, "logRecords": [other, *events]}]}]}


def heard(*files: Path) -> tuple[list[Seen], Told]:
    told = Told()
    return list(ClaudeTelemetry().read(files, 0, told)), told


def test_exported_events(tmp_path: Path) -> None:
    """Counts as numbers or text; what was delivered twice is one; without a request id session and place tell."""
    again = export(event("req_1", 1), event(None, 2), event(None, 3))
    file = write(
        tmp_path / "otlp.json", export(event("req_1", 1), event(None, 2)), again,
        export(event("req_9", 4, input_tokens="-3")), b'{"resourceLogs": [\n', b'{"resourceLogs": [',
    )  # fmt: skip
    seen, told = heard(file)
    assert [(each.request_id, each.session, each.kind) for each in seen] == [
        ("req_1", "s-1", "telemetry"), (None, "s-1", "telemetry"), (None, "s-1", "telemetry"),
    ]  # fmt: skip
    assert seen[0].usage == Usage(input_tokens=10, cache_read_tokens=900, cache_write_tokens=30, output_tokens=50)
    assert (told.unreadable, told.cut_off, SECRET in repr(seen)) == (2, 1, False)


def test_events_without_a_request_s_id_are_told_apart(tmp_path: Path) -> None:
    """Without a session or a place, too, and where a session that was resumed counts its places anew; one that was delivered
    twice is one."""
    unnamed = [
        event(None, 1),
        event(None, 1, **{"event.timestamp": iso(AT + 60_000)}),
        event(None, 1, input_tokens="11"),
    ]
    for each in (event(None, 1, input_tokens="12"), event(None, 1, input_tokens="13")):
        each["attributes"] = [one for one in each["attributes"] if one["key"] not in ("session.id", "event.sequence")]
        unnamed.append(each)
    seen, told = heard(write(tmp_path / "otlp.json", export(*unnamed), export(*reversed(unnamed))))
    assert sorted((each.at_ms - AT, each.usage.input_tokens) for each in seen) == [
        (0, 10), (0, 11), (0, 12), (0, 13), (60_000, 10),
    ]  # fmt: skip
    assert told.whole


def test_counts_that_an_exporter_wrote_as_doubles(tmp_path: Path) -> None:
    """Whole ones are counts; half a token is none."""
    each = event("req_1", 1)
    half = event("req_2", 2)
    each["attributes"] += [{"key": "output_tokens", "value": {"doubleValue": 51.0}}]
    half["attributes"] += [{"key": "output_tokens", "value": {"doubleValue": 0.5}}]
    (seen,), told = heard(write(tmp_path / "otlp.json", export(each, half)))
    assert (seen.request_id, seen.usage.output_tokens, told.unreadable) == ("req_1", 51, 1)


def test_a_printed_event_that_the_next_one_breaks_off_is_told(tmp_path: Path) -> None:
    begun = "{\n  body: 'claude_code.api_request',\n  attributes: {\n    input_tokens: 1,\n    output_tokens: 2,\n"
    rest = f"    'event.timestamp': '{iso(AT)}',\n  }}\n}}\n"
    (tmp_path / "out.log").write_text(begun + begun + rest)
    seen, told = heard(tmp_path / "out.log")
    assert (len(seen), told.unreadable) == (1, 1)


@pytest.mark.parametrize("quote", ['"', "'"])
def test_printed_events(tmp_path: Path, quote: str) -> None:
    """The console exporter's output, in either runtime's quotes, between whatever else the program has printed."""
    pairs = {"session.id": "s-1", "event.timestamp": iso(AT), "model": "claude-opus-4-8", "request_id": "req_1"}
    text = [f"    {quote}{name}{quote}: {quote}{value}{quote}," for name, value in pairs.items()]
    body = f"  body: {quote}claude_code.api_request{quote},"
    numbers = ["    input_tokens: 10,", f"    output_tokens: {quote}50{quote},", f"    prompt: {quote}{SECRET}{quote},"]
    lines = ["The herons.", "{", "  resource: {", "  },", body, "  attributes: {", *text, *numbers, "  },", "}", "more"]
    (tmp_path / "out.log").write_text("\n".join([*lines, body, "  attributes: {"]))
    (seen,), told = heard(tmp_path / "out.log")
    assert (seen.request_id, seen.session, seen.at_ms, seen.usage.input_tokens, seen.usage.output_tokens) == (
        "req_1", "s-1", AT, 10, 50,
    )  # fmt: skip
    assert (told.cut_off, SECRET in repr(seen)) == (1, False)
