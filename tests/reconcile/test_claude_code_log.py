"""Claude Code's session logs: each answer once, whatever the log repeats, copies or makes up."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest

from reconcile.logs import AT, SECRET, answer, read, write
from spendgate.reconcile.witnesses.claude_code import ClaudeCode
from spendgate.usage import Usage

CLAUDE = ClaudeCode()
PROJECT = Path(".claude/projects/-home-alice-work")


def test_counts_are_disjoint_and_nothing_of_the_conversation_is_kept(tmp_path: Path) -> None:
    """The split of cache writes, searches, both ids, session and time; no text, no folder."""
    write(tmp_path / PROJECT / "s-1.jsonl", {"type": "user", "message": {"content": f'"usage" {SECRET}'}}, answer())

    (seen,), told = read(CLAUDE, tmp_path)

    assert seen.usage == Usage(
        input_tokens=10, cache_read_tokens=900, cache_write_5m_tokens=10, cache_write_1h_tokens=20, output_tokens=50,
        web_searches=1,
    )  # fmt: skip
    assert (seen.response_id, seen.request_id, seen.session, seen.at_ms) == ("msg_1", "req_1", "s-1", AT)
    assert (seen.sub_agent, seen.unfinished, seen.tool) == (False, False, "claude-code")
    assert SECRET not in repr(seen)
    assert "alice" not in repr(seen)
    assert told.unreadable == 0


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_blocks_of_one_answer_are_one_and_the_largest_output_is_right(tmp_path: Path, order: tuple[int, ...]) -> None:
    """The first lines have the placeholder that the stream began with; in whatever order they are found, 1,234 is right."""
    blocks = [answer(output=1, stop=None), answer(output=1, stop=None), answer(output=1_234)]
    write(tmp_path / PROJECT / "s-1.jsonl", *(blocks[place] for place in order))

    (seen,), _ = read(CLAUDE, tmp_path)

    assert (seen.usage.output_tokens, seen.unfinished) == (1_234, False)


def test_an_answer_that_broke_off_is_a_lower_bound(tmp_path: Path) -> None:
    """No line says that it ended."""
    write(tmp_path / PROJECT / "s-1.jsonl", answer(output=1, stop=None))
    (seen,), _ = read(CLAUDE, tmp_path)
    assert seen.unfinished


def test_a_resumed_or_forked_session_adds_what_is_new_alone(tmp_path: Path) -> None:
    """Its file begins with the old lines under its own session; in any file order each is one answer of the first session."""
    old = write(tmp_path / PROJECT / "s-1.jsonl", answer("msg_1", "req_1"), answer("msg_2", "req_2"))
    write(
        tmp_path / PROJECT / "s-2.jsonl",
        answer("msg_1", "req_1", session="s-2"),
        answer("msg_2", "req_2", session="s-2"),
        answer("msg_3", "req_3", session="s-2"),
    )
    os.utime(old, (1, 1))

    seen, _ = read(CLAUDE, tmp_path)

    assert [(each.response_id, each.session) for each in seen] == [("msg_1", "s-1"), ("msg_2", "s-1"), ("msg_3", "s-2")]


@pytest.mark.parametrize("first", ["side", "main"])
def test_a_side_chain_that_replays_an_answer_is_none(tmp_path: Path, first: str) -> None:
    """`/btw` writes the parent's answer with a request id of its own: the parent's stands."""
    lines = [answer("msg_1", "req_made_up", isSidechain=True, output=60), answer("msg_1", "req_1")]
    write(tmp_path / PROJECT / "s-1.jsonl", *(lines if first == "side" else reversed(lines)))

    (seen,), _ = read(CLAUDE, tmp_path)

    assert (seen.request_id, seen.sub_agent) == ("req_1", False)


def test_a_sub_agent_is_a_request_of_its_own(tmp_path: Path) -> None:
    """Side chains whose answers nobody else has are real, in a file of their own or not, and count once."""
    write(tmp_path / PROJECT / "s-1.jsonl", answer("msg_1", "req_1"), answer("msg_2", "req_2", isSidechain=True))
    write(tmp_path / PROJECT / "s-1" / "subagents" / "agent-1.jsonl", answer("msg_2", "req_2", isSidechain=True))

    seen, _ = read(CLAUDE, tmp_path)

    assert sorted((each.response_id, each.sub_agent) for each in seen) == [("msg_1", False), ("msg_2", True)]


def test_a_line_without_a_request_id_is_the_answer_that_has_one(tmp_path: Path) -> None:
    write(tmp_path / PROJECT / "s-1.jsonl", answer("msg_1", None, output=1), answer("msg_1", "req_1"))
    (seen,), _ = read(CLAUDE, tmp_path)
    assert (seen.request_id, seen.usage.output_tokens) == ("req_1", 50)


def test_what_claude_code_made_up_is_none(tmp_path: Path) -> None:
    """Synthetic messages and errors of the API cost nothing."""
    write(
        tmp_path / PROJECT / "s-1.jsonl",
        answer("msg_1", None, 0, model="<synthetic>"),
        answer("msg_2", "req_2", isApiErrorMessage=True),
        {"type": "summary", "usage": answer()},
    )
    seen, told = read(CLAUDE, tmp_path)
    assert (seen, told.unreadable) == ([], 0)


def test_iterations_are_what_is_billed(tmp_path: Path) -> None:
    """A compaction is not in the counts beside the list of samplings."""
    each = {"input_tokens": 5, "output_tokens": 7, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}
    usage = {"iterations": [{"type": "compaction", **each}, {"type": "message", **each}]}
    write(tmp_path / PROJECT / "s-1.jsonl", answer(usage=usage))
    (seen,), _ = read(CLAUDE, tmp_path)
    assert (seen.usage.input_tokens, seen.usage.output_tokens, seen.usage.cache_read_tokens) == (10, 14, 0)


def test_where_it_looks(tmp_path: Path) -> None:
    """Both places by default; those of CLAUDE_CONFIG_DIR alone where it is set, as a list, with or without `projects`."""
    write(tmp_path / PROJECT / "a.jsonl", answer("msg_1", "req_1"))
    write(tmp_path / ".config" / "claude" / "projects" / "p" / "b.jsonl", answer("msg_2", "req_2"))
    write(tmp_path / "one" / "projects" / "p" / "c.jsonl", answer("msg_3", "req_3"))
    write(tmp_path / "two" / "projects" / "p" / "d.jsonl", answer("msg_4", "req_4"))
    named = {"CLAUDE_CONFIG_DIR": f"{tmp_path}/one, ~/two/projects,"}

    assert {each.response_id for each in read(CLAUDE, tmp_path)[0]} == {"msg_1", "msg_2"}
    assert {each.response_id for each in read(CLAUDE, tmp_path, environ=named)[0]} == {"msg_3", "msg_4"}


def test_since_takes_the_answers_time_and_passes_over_files_that_ended_before(tmp_path: Path) -> None:
    old = write(tmp_path / PROJECT / "old.jsonl", b'not looked at: no JSON, and "usage" in it\n')
    os.utime(old, (AT / 1000 - 60, AT / 1000 - 60))
    write(tmp_path / PROJECT / "s.jsonl", answer("msg_1", "req_1", at_ms=AT - 1), answer("msg_2", "req_2"))
    seen, told = read(CLAUDE, tmp_path, since_ms=AT)
    assert ([each.response_id for each in seen], told.unreadable) == (["msg_2"], 0)


@pytest.mark.parametrize(
    "bad",
    [
        {"usage": {"output_tokens": -1}},
        {"usage": {"output_tokens": 1 << 60}},
        {"usage": {"output_tokens": "50"}},
        {"usage": {"input_tokens": 1.5}},
        {"message": [1]},
    ],
    ids=repr,
)
def test_counts_that_are_none_are_told_of(tmp_path: Path, bad: dict[str, object]) -> None:
    """The rest of the file is read on."""
    write(tmp_path / PROJECT / "s.jsonl", answer(**bad), answer("msg_2", "req_2"))
    seen, told = read(CLAUDE, tmp_path)
    assert [each.response_id for each in seen] == ["msg_2"]
    assert told.unreadable == 1


def test_text_in_the_place_of_an_id_is_no_id(tmp_path: Path) -> None:
    """A forged or broken log cannot bring a prompt or a path into a report by any field."""
    write(
        tmp_path / PROJECT / "s.jsonl",
        answer(SECRET, "req_1", session="/home/alice/secret", model="/home/alice/models/mine.gguf"),
        answer("msg_2", "x" * 500, model=SECRET),
    )
    seen, _ = read(CLAUDE, tmp_path)
    assert [(each.response_id, each.request_id, each.session, each.model) for each in seen] == [
        (None, "req_1", None, None),
        ("msg_2", None, "s-1", None),
    ]
