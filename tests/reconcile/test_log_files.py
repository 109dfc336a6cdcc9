"""Files of other programs, read without trust: nothing outside the folder, of another account, or without bound."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import tracemalloc
from contextlib import closing
from pathlib import Path

import pytest

from reconcile.logs import AT, answer, read, write
from reconcile.test_other_logs import MESSAGE_SQL, OPENCODE, message, step, stored
from spendgate.reconcile.witnesses import files
from spendgate.reconcile.witnesses.claude_code import ClaudeCode
from spendgate.reconcile.witnesses.interface import Told
from spendgate.reconcile.witnesses.opencode import OpenCode
from spendgate.reconcile.witnesses.table import WITNESSES

PROJECT = Path(".claude/projects/p")
CLAUDE = ClaudeCode()


def names(home: Path) -> tuple[list[str | None], Told]:
    seen, told = read(CLAUDE, home)
    return [each.response_id for each in seen], told


def test_links_are_not_followed(tmp_path: Path) -> None:
    """Neither files nor folders, out of the folder or in a circle; the folder itself may be one."""
    outside = write(tmp_path / "outside" / "x.jsonl", answer("msg_9", "req_9"))
    kept = tmp_path / "repository" / "claude"
    write(kept / "projects" / "p" / "s.jsonl", answer())
    (tmp_path / ".claude").symlink_to(kept)
    (kept / "projects" / "p" / "x.jsonl").symlink_to(outside)
    (kept / "projects" / "q").symlink_to(outside.parent)
    (kept / "projects" / "p" / "again").symlink_to(kept / "projects")

    found, told = names(tmp_path)

    assert (found, told.links, told.files) == (["msg_1"], 3, 1)


def test_files_of_another_account_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it is the folder or a file in it; not even for root, who could."""
    write(tmp_path / PROJECT / "s.jsonl", answer())
    own = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: own + 1)
    found, told = names(tmp_path)
    assert (found, told.files, told.foreign) == ([], 0, 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_that_was_put_there_by_another(tmp_path: Path) -> None:
    write(tmp_path / PROJECT / "s.jsonl", answer())
    os.chown(write(tmp_path / PROJECT / "x.jsonl", answer("msg_2", "req_2")), 12345, 12345)
    found, told = names(tmp_path)
    assert (found, told.foreign) == (["msg_1"], 1)


def test_a_pipe_or_a_device_holds_nobody_up(tmp_path: Path) -> None:
    write(tmp_path / PROJECT / "s.jsonl", answer())
    os.mkfifo(tmp_path / PROJECT / "pipe.jsonl")
    assert names(tmp_path)[0] == ["msg_1"]


def test_a_line_that_is_too_long_is_passed_over_in_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture in a line, or gigabytes without an end of line: what stands before and behind is read."""
    monkeypatch.setattr(files, "LINE_BYTES_MAX", 1 << 20)
    path = write(tmp_path / PROJECT / "s.jsonl", answer("msg_1", "req_1"))
    with path.open("ab") as file:
        file.write(b'{"usage": "')
        file.truncate(file.tell() + (1 << 30))  # a gigabyte of nothing, which takes no room
        file.seek(0, os.SEEK_END)
        file.write(b'"}\n' + json.dumps(answer("msg_2", "req_2")).encode() + b"\n")
    tracemalloc.start()
    try:
        found, told = names(tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (found, told.too_long) == (["msg_1", "msg_2"], 1)
    assert peak < 16 << 20


def test_a_last_line_that_is_being_written_is_no_fault(tmp_path: Path) -> None:
    """Cut anywhere; and one that is whole but for its end of line counts."""
    line = json.dumps(answer("msg_2", "req_2")).encode()
    for cut in range(1, len(line)):
        write(tmp_path / PROJECT / "s.jsonl", answer(), line[:cut])
        found, told = names(tmp_path)
        assert (found, told.unreadable) == (["msg_1"], 0), cut
    write(tmp_path / PROJECT / "s.jsonl", answer(), line)
    assert names(tmp_path)[0] == ["msg_1", "msg_2"]


def test_a_file_that_grows_while_it_is_read_ends(tmp_path: Path) -> None:
    """It is read to the length that it had."""
    path = write(tmp_path / PROJECT / "s.jsonl", answer())
    stop = threading.Event()

    def grow() -> None:
        with path.open("ab") as file:
            while not stop.is_set():
                file.write(json.dumps(answer("msg_2", "req_2")).encode() + b"\n")

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        found, _ = names(tmp_path)
    finally:
        stop.set()
        writer.join()
    assert set(found) <= {"msg_1", "msg_2"}


@pytest.mark.parametrize("witness", WITNESSES, ids=lambda each: each.name)
def test_garbage_is_no_crash_and_no_request(tmp_path: Path, witness: object) -> None:
    """Binary, deep nesting, surrogates and numbers that nobody writes, under every name that a witness looks for."""
    deep = b'{"usage":' + b"[" * 100_000 + b"\n"
    garbage = [os.urandom(4096), b"\0" * 4096, deep, b'"usage" \xff\xfe "token_count" "session.usage_record"\n',
               b'{"type": "assistant", "usage": 1, "message": "\\ud800"}\n', b'{"usage": 1e999999}\n'] * 3  # fmt: skip
    for name in (
        PROJECT / "s.jsonl", Path(".codex/sessions/2026/11/22/rollout-x.jsonl"), Path(".gemini/tmp/w/chats/session-1.jsonl"),
        Path(".gemini/tmp/w/chats/session-1.json"), OPENCODE / "opencode.db", OPENCODE / "storage/message/s/m.json",
        Path(".copilot/session-state/s/events.jsonl"), Path(".copilot/session-store.db"),
    ):  # fmt: skip
        write(tmp_path / name, *garbage)
    told = Told()
    places = witness.places(tmp_path, {}) or (tmp_path / PROJECT,)  # type: ignore[attr-defined]
    assert list(witness.read(places, 0, told)) == []  # type: ignore[attr-defined]
    assert told.files


def test_a_database_that_is_being_written_is_read_and_nothing_is_written(tmp_path: Path) -> None:
    """With a writer in the middle of a transaction its last whole state is read; at rest, no file appears beside it."""
    path = tmp_path / OPENCODE / "opencode.db"
    stored(path, MESSAGE_SQL, "message", message("msg_1", "ses_1", step()))
    at_rest = (path.read_bytes(), sorted(path.parent.iterdir()))
    assert len(read(OpenCode(), tmp_path)[0]) == 1
    assert (path.read_bytes(), sorted(path.parent.iterdir())) == at_rest
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute(
            "INSERT INTO message VALUES (?, ?, ?, ?, ?)", message("msg_2", "ses_2", step(AT + 5_000, AT + 6_000))
        )
        writer.execute("BEGIN IMMEDIATE")
        writer.execute(
            "INSERT INTO message VALUES (?, ?, ?, ?, ?)", message("msg_3", "ses_2", step(AT + 7_000, AT + 8_000))
        )
        before = path.read_bytes()
        assert len(read(OpenCode(), tmp_path)[0]) == 2
        writer.execute("COMMIT")
        assert len(read(OpenCode(), tmp_path)[0]) == 3
        assert path.read_bytes() == before


def test_a_database_that_would_be_asked_for_ever(tmp_path: Path) -> None:
    """A view in the place of the table is not asked; a link is not followed."""
    path = tmp_path / OPENCODE / "opencode.db"
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as db:
        db.execute("""CREATE VIEW message AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
            SELECT i AS id, i AS session_id, i AS time_created, i AS time_updated, '{}' AS data FROM n""")
        db.commit()
    (tmp_path / OPENCODE / "opencode-dev.db").symlink_to(path)
    seen, told = read(OpenCode(), tmp_path)
    assert (seen, told.links, told.unreadable) == ([], 1, 0)
