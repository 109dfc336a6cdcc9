"""Logs as no tool should write them, and as shells, editors and crashes leave them: what can be read counts, the rest is told."""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from reconcile.logs import AT, answer, count, iso, meta, read, record, turn, write
from reconcile.test_log_files import CLAUDE, PROJECT, names
from reconcile.test_other_logs import CHATS, COPILOT, MESSAGE_SQL, OPENCODE, USES_SQL, chat, message, said, step, stored
from spendgate.reconcile.witnesses import databases, files
from spendgate.reconcile.witnesses.codex import Codex
from spendgate.reconcile.witnesses.copilot_cli import CopilotCli, _key
from spendgate.reconcile.witnesses.gemini_cli import GeminiCli
from spendgate.reconcile.witnesses.interface import Told, instant_ms
from spendgate.reconcile.witnesses.opencode import OpenCode

LOG = PROJECT / "s.jsonl"
BOM = b"\xef\xbb\xbf"
NEVER = [None, "yesterday", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z"]


def test_answers_whose_ids_are_none_are_told_apart(tmp_path: Path) -> None:
    """Too long ones, and none at all; all lines of one such answer are still one."""
    long = [answer("msg_" + letter * 10_000, None, output) for letter, output in (("a", 1), ("a", 2), ("b", 3))]
    asked = [answer(None, None, output, usage={"input_tokens": given}) for given, output in ((11, 1), (11, 4), (12, 5))]
    write(tmp_path / LOG, *long, *asked)
    seen, _ = read(CLAUDE, tmp_path)
    assert [(each.response_id, each.usage.output_tokens) for each in seen] == [
        (None, 2),
        (None, 3),
        (None, 4),
        (None, 5),
    ]


@pytest.mark.parametrize("at", NEVER)
def test_counts_without_a_time_are_told(tmp_path: Path, at: str | None) -> None:
    """Of every tool: a request that is left out is not left out in silence."""
    write(tmp_path / LOG, answer() | {"timestamp": at})
    write(
        tmp_path / ".codex/sessions/r.jsonl",
        meta("t"),
        turn(),
        count(100, 100) | {"timestamp": at},
        record("resp_1", 200, 100) | {"timestamp": at},
    )
    write(tmp_path / CHATS / "a.jsonl", chat(), said("m-1") | {"timestamp": at}, said("m-2") | {"id": None})
    stored(tmp_path / OPENCODE / "opencode.db", MESSAGE_SQL, "message", message("m", "s", step(time={})))
    uses = [(1, "s", "gpt-5", at, None, 100, 5, 10, 0, 0), (2, "s", "gpt-5", iso(AT), None, None, 5, 0, 0, 0)]
    stored(tmp_path / COPILOT / "session-store.db", USES_SQL, "assistant_usage_events", *uses)
    told = {
        each.name: (seen, told.unreadable)
        for each in (CLAUDE, Codex(), GeminiCli(), OpenCode(), CopilotCli())
        for seen, told in [read(each, tmp_path)]
    }
    assert told == {
        "claude-code": ([], 1), "codex": ([], 2), "gemini-cli": ([], 2), "opencode": ([], 1), "copilot-cli": ([], 2),
    }  # fmt: skip


def test_a_time_that_has_no_date_in_every_zone_is_none() -> None:
    assert instant_ms("9999-12-31T00:00:00Z") is None
    assert instant_ms("9999-12-30T23:59:59Z") is not None


def test_a_byte_order_mark_hides_no_line(tmp_path: Path) -> None:
    """As editors and shells of Windows write it: of lines, documents and files of one message."""
    write(tmp_path / LOG, BOM + json.dumps(answer()).encode() + b"\r\n")
    write(tmp_path / CHATS / "a.json", BOM + json.dumps(chat(messages=[said("m-1")])).encode())
    write(tmp_path / OPENCODE / "storage/message/s/m.json", BOM + json.dumps(step()).encode())
    for witness in (CLAUDE, GeminiCli(), OpenCode()):
        seen, told = read(witness, tmp_path)
        assert (len(seen), told.whole) == (1, True), witness.name


@pytest.mark.parametrize("form", ["utf-16", "gzip", "zstd"])
def test_a_file_in_another_form_is_told(tmp_path: Path, form: str) -> None:
    """None of its lines is one of ours, so that it would be as if nothing stood there."""
    text = json.dumps(answer())
    packed = {"utf-16": text.encode("utf-16"), "gzip": gzip.compress(text.encode()), "zstd": b"\x28\xb5\x2f\xfd rest"}
    write(tmp_path / LOG, packed[form])
    seen, told = read(CLAUDE, tmp_path)
    assert (seen, told.encoded, told.whole) == ([], 1, False)


def test_a_file_that_is_cut_off_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last line is one that has no end, not one that is too long."""
    path = write(tmp_path / LOG, answer("msg_1", "req_1"), answer("msg_2", "req_2"))
    status = os.stat_result([*path.stat()[:6], path.stat().st_size + 20, *path.stat()[7:]])
    os.truncate(path, path.stat().st_size - 20)
    monkeypatch.setattr(files.os, "fstat", lambda _: status)  # as it was before
    found, told = names(tmp_path)
    assert (found, told.cut_off, told.too_long) == (["msg_1"], 1, 0)


def test_folders_that_lie_too_deep_are_told(tmp_path: Path) -> None:
    write(tmp_path / PROJECT / Path(*"abcdefghijklmno") / "s.jsonl", answer())
    found, told = names(tmp_path)
    assert (found, told.closed) == ([], 1)


def test_more_files_than_are_read_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "FILES_MAX", 1)
    write(tmp_path / PROJECT / "a.jsonl", answer())
    write(tmp_path / PROJECT / "b.jsonl", answer("msg_2", "req_2"))
    found, told = names(tmp_path)
    assert (len(found), told.closed) == (1, 1)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look into every folder")
def test_a_folder_whose_names_alone_may_be_read_is_told(tmp_path: Path) -> None:
    folder = write(tmp_path / LOG, answer()).parent
    folder.chmod(stat.S_IRUSR)
    try:
        found, told = names(tmp_path)
    finally:
        folder.chmod(stat.S_IRWXU)
    assert (found, told.closed) == ([], 1)


def test_a_row_that_cannot_be_read_hides_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text that is none in one row, a message that is too large in another: those behind them count."""
    monkeypatch.setattr(databases, "VALUE_BYTES_MAX", 1 << 20)
    path = tmp_path / OPENCODE / "opencode.db"
    steps = [
        message(f"msg_{number}", "ses_1", step(AT + number * 1_000, AT + number * 1_000 + 5)) for number in range(4)
    ]
    stored(path, MESSAGE_SQL, "message", *steps)
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE message SET session_id = CAST(x'fffe' AS TEXT) WHERE id = 'msg_1'")
        db.execute("UPDATE message SET data = hex(zeroblob(1048576)) WHERE id = 'msg_2'")
        db.commit()
    seen, told = read(OpenCode(), tmp_path)
    assert [(each.session, each.at_ms - AT) for each in seen] == [("ses_1", 5), (None, 1_005), ("ses_1", 3_005)]
    assert (told.too_long, told.unreadable) == (1, 0)


def test_what_a_writer_has_not_committed_is_not_read(tmp_path: Path) -> None:
    """A database without a write-ahead log has half of a long transaction in it: it is told as not read, not read as it is."""
    path = tmp_path / OPENCODE / "opencode.db"
    steps = [message(f"msg_{each}", "ses_1", step(AT + each * 1_000, AT + each * 1_000 + 5)) for each in range(500)]
    stored(path, MESSAGE_SQL, "message", *steps)
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("PRAGMA cache_size = 2")
        writer.execute("BEGIN")
        writer.execute("UPDATE message SET data = replace(data, '\"input\": 60', '\"input\": 61')")
        seen, told = read(OpenCode(), tmp_path)
        writer.execute("ROLLBACK")
    assert (61 in {each.usage.input_tokens for each in seen}, told.unreadable) == (False, 1)
    assert len(read(OpenCode(), tmp_path)[0]) == 500


def test_a_home_that_is_called_chats(tmp_path: Path) -> None:
    """What lies beside the chats is none, wherever the home is."""
    home = tmp_path / "chats"
    write(home / CHATS / "a.jsonl", chat(), said("m-1"))
    write(home / ".gemini/tmp/work/logs.json", b"[]")
    seen, told = read(GeminiCli(), home)
    assert (len(seen), told.files, told.whole) == (1, 1, True)


def test_a_message_of_many_lines_is_bounded_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line is short, their sum is not."""
    monkeypatch.setattr(files, "DOCUMENT_BYTES_MAX", 1_000)
    place = tmp_path / OPENCODE / "storage/message/s"
    write(place / "long.json", json.dumps(step()).encode() + b" \n" * 1_000)
    write(place / "short.json", step(AT + 1, AT + 2))
    seen, told = read(OpenCode(), tmp_path)
    assert ([each.at_ms for each in seen], told.too_long) == ([AT + 2], 1)


def test_records_and_rows_of_one_session_with_the_same_counts(tmp_path: Path) -> None:
    """Rows that are none of the records' are not laid beside each of them: each time is asked for where it may be."""
    events = [
        {"type": "session.usage_record", "timestamp": iso(AT + number * 3_000),
         "data": {"usage": {"model": "gpt-5", "inputTokens": 7, "outputTokens": 5, "apiCallId": f"resp_{number}"}}}
        for number in range(300)
    ]  # fmt: skip
    write(tmp_path / COPILOT / "session-state/s/events.jsonl", *events)
    times = [AT + number * 3_000 + 1_999 for number in range(300)] + [AT + 10**9 + number for number in range(300)]
    rows = [(number, "s", "gpt-5", iso(at_ms), None, 7, 5, 0, 0, 0) for number, at_ms in enumerate(times)]
    stored(tmp_path / COPILOT / "session-store.db", USES_SQL, "assistant_usage_events", *rows)
    seen, _ = read(CopilotCli(), tmp_path)
    assert [each.at_ms for each in seen if each.kind == "database"] == times[300:]
    assert len(seen) == 600
    noted = {_key(each, 0) for each in seen if each.kind == "log"}
    assert len(noted) == 300, "one list for each stretch of time"


def test_a_pipe_in_the_place_of_a_database(tmp_path: Path) -> None:
    (tmp_path / OPENCODE).mkdir(parents=True)
    os.mkfifo(tmp_path / OPENCODE / "opencode.db")
    seen, told = read(OpenCode(), tmp_path)
    assert (seen, told.links, told.closed) == ([], 0, 1)
    assert Told().whole
