"""Codex's rollouts: each response once, whatever is written again, forked or replayed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reconcile.logs import AT, Line, answer, count, meta, read, record, turn, write
from spendgate.reconcile.witnesses.codex import Codex
from spendgate.reconcile.witnesses.interface import Seen
from spendgate.usage import Usage

CODEX = Codex()
DAY = Path(".codex/sessions/2026/11/22")
SPAWNED = {"source": {"subagent": {"thread_spawn": {"parent_thread_id": "t-1", "depth": 1}}}}
PARENT = (meta("t-1"), turn(), count(100, 100), count(300, 200, at_ms=AT + 9_000))


def rollout(home: Path, thread: str, *lines: Line | bytes, folder: Path = DAY) -> Path:
    return write(home / folder / f"rollout-2026-11-22T02-00-00-{thread}.jsonl", *lines)


def inputs(seen: list[Seen]) -> list[tuple[str | None, int]]:
    return sorted((each.session, each.usage.input_total) for each in seen)


def test_counts_are_made_disjoint(tmp_path: Path) -> None:
    """Input holds what was cached, output holds reasoning; the model is the turn's."""
    rollout(tmp_path, "t-1", meta("t-1"), turn("gpt-5.1-codex"), count(100, 100))
    (seen,), _ = read(CODEX, tmp_path)
    assert seen.usage == Usage(
        input_tokens=50, cache_read_tokens=50, cache_write_tokens=0, output_tokens=10, reasoning_tokens=4
    )
    assert (seen.model, seen.session, seen.response_id, seen.at_ms) == ("gpt-5.1-codex", "t-1", None, AT + 5_000)


def test_a_count_that_is_written_again_is_none(tmp_path: Path) -> None:
    """Only where the thread's total has grown."""
    rollout(
        tmp_path,
        "t-1",
        meta("t-1"),
        turn(),
        count(100, 100),
        count(100, 100),
        count(100, 100),
        count(250, 150),
        count(250, 150),
    )
    assert inputs(read(CODEX, tmp_path)[0]) == [("t-1", 100), ("t-1", 150)]


def test_a_total_that_begins_again_is_a_new_count(tmp_path: Path) -> None:
    rollout(tmp_path, "t-1", meta("t-1"), turn(), count(500, 500), count(80, 80), count(80, 80))
    assert inputs(read(CODEX, tmp_path)[0]) == [("t-1", 80), ("t-1", 500)]


@pytest.mark.parametrize("order", ["record first", "count first"])
def test_a_record_of_a_response_and_its_count_are_one(tmp_path: Path, order: str) -> None:
    """The record has the provider's id; older turns of the same thread have counts alone."""
    pair = [record("resp_2", 300, 200), count(300, 200)]
    rollout(tmp_path, "t-1", meta("t-1"), turn(), count(100, 100), *(pair if order == "record first" else pair[::-1]))
    seen, _ = read(CODEX, tmp_path)
    assert [(each.response_id, each.usage.input_total) for each in seen] == [(None, 100), ("resp_2", 200)]


def test_a_record_that_stands_in_two_files_is_one(tmp_path: Path) -> None:
    lines = (meta("t-1"), turn(), record("resp_1", 100, 100))
    rollout(tmp_path, "t-1", *lines)
    rollout(tmp_path, "t-2", meta("t-2", forked_from_id="t-1"), *lines, record("resp_2", 300, 200))
    seen, _ = read(CODEX, tmp_path)
    assert [(each.response_id, each.session) for each in seen] == [("resp_1", "t-1"), ("resp_2", "t-2")]


@pytest.mark.parametrize(
    "kind", [{"forked_from_id": "t-1"}, {"parent_thread_id": "t-1"}, SPAWNED], ids=["forked", "parent", "spawned"]
)
@pytest.mark.parametrize("times", ["kept", "of the fork"])
@pytest.mark.parametrize("parent", ["there", "older than asked for", "gone"])
def test_a_fork_replays_its_parent_and_adds_what_is_its_own(
    tmp_path: Path, kind: dict[str, object], times: str, parent: str
) -> None:
    """Its file begins with the parent's history, in old times or in those of the fork, whether the parent's is there or not."""
    forked = AT + 60_000
    stamp = {"at_ms": forked} if times == "of the fork" else {}
    first, second = count(100, 100, **stamp), count(300, 200, **(stamp or {"at_ms": AT + 9_000}))
    own = count(450, 150, at_ms=forked + 20_000)
    if parent != "gone":
        file = rollout(tmp_path, "t-1", *PARENT)
        os.utime(file, ((forked + 5_000) / 1000,) * 2 if parent == "there" else (AT / 1000,) * 2)
    rollout(
        tmp_path, "t-2", meta("t-2", at_ms=forked, **kind), meta("t-1"), turn(), first, first, second, turn(), own, own
    )

    seen, _ = read(CODEX, tmp_path, since_ms=0 if parent != "older than asked for" else forked - 1_000)

    assert inputs(seen) == [*([("t-1", 100), ("t-1", 200)] if parent == "there" else []), ("t-2", 150)]
    assert [each.sub_agent for each in seen if each.session == "t-2"] == [kind is SPAWNED]


def test_sub_agents_with_turns_of_the_same_size_are_apart(tmp_path: Path) -> None:
    """Sixteen of them replay one parent, each adds the same: sixteen requests and the parent's."""
    rollout(tmp_path, "t-1", *PARENT)
    for child in range(16):
        rollout(
            tmp_path, f"c-{child:02}", meta(f"c-{child:02}", at_ms=AT + 60_000, **SPAWNED), *PARENT[1:],
            count(450, 150, at_ms=AT + 90_000),
        )  # fmt: skip
    seen, _ = read(CODEX, tmp_path)
    assert [size for _, size in inputs(seen)] == [150] * 16 + [100, 200]


def test_a_sub_agent_that_begins_anew_has_all_its_own(tmp_path: Path) -> None:
    """It replays nothing: its first total is none of its parent's."""
    rollout(tmp_path, "t-1", *PARENT)
    rollout(tmp_path, "t-2", meta("t-2", at_ms=AT + 60_000, **SPAWNED), turn(), count(70, 70, at_ms=AT + 60_500))
    assert inputs(read(CODEX, tmp_path)[0]) == [("t-1", 100), ("t-1", 200), ("t-2", 70)]


def test_two_sessions_of_one_prompt_are_two(tmp_path: Path) -> None:
    """The same counts in threads that have nothing to do with each other."""
    for thread in ("t-1", "t-2"):
        rollout(tmp_path, thread, meta(thread), turn(), count(100, 100))
    assert inputs(read(CODEX, tmp_path)[0]) == [("t-1", 100), ("t-2", 100)]


def test_an_archived_copy_is_the_same_thread(tmp_path: Path) -> None:
    rollout(tmp_path, "t-1", *PARENT)
    rollout(tmp_path, "t-1", *PARENT, folder=Path(".codex/archived_sessions"))
    assert inputs(read(CODEX, tmp_path)[0]) == [("t-1", 100), ("t-1", 200)]


def test_a_fork_of_a_fork(tmp_path: Path) -> None:
    """What it has of both is counted where it was asked for."""
    rollout(tmp_path, "t-1", *PARENT)
    second = (*PARENT[1:], count(450, 150, at_ms=AT + 90_000))
    rollout(tmp_path, "t-2", meta("t-2", at_ms=AT + 60_000, forked_from_id="t-1"), *second)
    rollout(
        tmp_path,
        "t-3",
        meta("t-3", at_ms=AT + 120_000, forked_from_id="t-2"),
        *second,
        count(700, 250, at_ms=AT + 150_000),
    )
    assert inputs(read(CODEX, tmp_path)[0]) == [("t-1", 100), ("t-1", 200), ("t-2", 150), ("t-3", 250)]


def test_what_is_no_count_is_told_of_or_passed_over(tmp_path: Path) -> None:
    """Talk of counts is none; counts that do not fit each other are told of."""
    talk = {"type": "event_msg", "payload": {"type": "agent_message", "message": '"token_count"', "info": "text"}}
    odd = count(100, 100)
    odd["payload"]["info"]["last_token_usage"]["cached_input_tokens"] = 900
    empty = {"timestamp": "2026-11-22T02:00:00Z", "type": "event_msg", "payload": {"type": "token_count", "info": None}}
    rollout(tmp_path, "t-1", meta("t-1"), turn(), talk, empty, odd, count(300, 200), answer())
    seen, told = read(CODEX, tmp_path)
    assert inputs(seen) == [("t-1", 200)]
    assert told.unreadable == 1


def test_codex_home(tmp_path: Path) -> None:
    rollout(tmp_path, "t-1", *PARENT, folder=Path("elsewhere/sessions"))
    assert read(CODEX, tmp_path)[0] == []
    assert len(read(CODEX, tmp_path, environ={"CODEX_HOME": str(tmp_path / "elsewhere")})[0]) == 2
