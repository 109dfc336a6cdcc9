"""Revisions: an older state of a policy's files never comes back, not in a running gate and not by a restart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from spendgate.config.last_good import InForce, LastGood
from spendgate.config.paths import State, prepare
from spendgate.errors import PolicyError


def text(revision: int | None, limit: int = 5, more: str = "") -> str:
    """A policy of one budget; the limit tells which one decides."""
    line = "" if revision is None else f"revision: {revision}\n"
    return f"version: 1\nowner: ops@acme.example\n{line}budgets: [{{name: a, limit: ${limit}}}]\n{more}"


@pytest.fixture
def state(tmp_path: Path) -> State:
    """A prepared state directory."""
    return prepare(State(tmp_path / "state"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Revision 42, in a folder of its own."""
    path = tmp_path / "etc" / "policy.yaml"
    path.parent.mkdir()
    path.write_text(text(42))
    return path


def decides(found: InForce) -> int:
    """The limit in force, in dollars."""
    return found.policy.budgets[0].limit_nanos // 10**9


CHANGES = [
    pytest.param(text(43, 6), 6, "", id="higher"),
    pytest.param(text(42), 5, "", id="the same"),
    pytest.param(text(42, more="# reviewed again\n"), 5, "", id="the same, other layout"),
    pytest.param(text(41, 6), 5, "3:11: revision: 41 is lower than 42, which has been in force; allowed: 43 or more", id="lower"),
    pytest.param(text(41), 5, "3:11: revision: 41 is lower than 42", id="lower, same rules"),
    pytest.param(text(42, 6), 5, "3:11: revision: 42 has been in force with other content", id="same number, other content"),
    pytest.param(text(None, 6), 5, "1:1: revision: is missing, and 42 has been in force", id="none"),
]  # fmt: skip


@pytest.mark.parametrize("restart", [False, True], ids=["running", "restart"])
@pytest.mark.parametrize(("then", "limit", "fault"), CHANGES)
def test_which_revision_may_follow(
    state: State, file: Path, then: str, limit: int, fault: str, *, restart: bool
) -> None:
    """Only a higher one, or the same content; at start as in a running gate, and looking first says the same."""
    first = LastGood(state).start(file, 1000)
    file.write_text(then)
    kept = LastGood(state)
    assert decides(InForce(kept.would_start(file), 0, "")) == limit
    found = kept.start(file, 2000) if restart else kept.replaced(first, file, 2000)
    assert decides(found) == limit
    assert [line.startswith(f"{file}:{fault}") for line in found.refused] == ([True] if fault else [])
    assert decides(LastGood(state).start(file, 3000)) == limit


def test_a_file_that_never_had_one_changes_freely(state: State, file: Path) -> None:
    """Without revisions a policy is what its file says; the first number binds from then on."""
    file.write_text(text(None, 5))
    found = LastGood(state).start(file, 1000)
    for revision, limit in ((None, 6), (7, 8)):
        file.write_text(text(revision, limit))
        found = LastGood(state).replaced(found, file, 2000)
        assert (decides(found), found.refused) == (limit, ())
    file.write_text(text(None, 9))
    assert decides(LastGood(state).replaced(found, file, 3000)) == 8


def test_a_damaged_copy_does_not_forget_the_revision(state: State, file: Path) -> None:
    """With no copy to fall back on an older file ends the start; the very bytes, and a newer file, do not."""
    LastGood(state).start(file, 1000)
    about = state.last_good_policy.with_suffix(".json")
    about.write_text(about.read_text().replace("limit", "limits"))
    for refused in (text(41), text(42, 6), text(None)):
        file.write_text(refused)
        with pytest.raises(PolicyError, match="revision"):
            LastGood(state).start(file, 2000)
    file.write_text(text(42))
    assert decides(LastGood(state).start(file, 2000)) == 5
    file.write_text(text(43, 6))
    assert decides(LastGood(state).start(file, 3000)) == 6


def test_another_path_begins_anew(state: State, file: Path) -> None:
    """Which file it is, says the command line; revisions count the changes of one file."""
    LastGood(state).start(file, 1000)
    other = file.with_name("other.yaml")
    other.write_text(text(1, 6))
    assert decides(LastGood(state).start(other, 2000)) == 6


def test_what_could_not_take_force_may_be_taken_back(state: State, file: Path) -> None:
    """A newer file was kept but another part of the gate failed: the one that decides on may stand in the file again."""
    first = LastGood(state).start(file, 1000)
    file.write_text(text(43, 6))
    LastGood(state).replaced(first, file, 2000)
    file.write_text(text(42))
    found = LastGood(state).replaced(first, file, 3000)
    assert (decides(found), found.refused) == (5, ())


@pytest.mark.parametrize("harm", ["[]", '{"revision": "43"}', '{"source": 7, "included": []}', "\x00", ""])
def test_whatever_stands_beside_the_copy_breaks_nothing(state: State, file: Path, harm: str) -> None:
    """A damaged note is no note."""
    LastGood(state).start(file, 1000)
    state.last_good_policy.with_suffix(".json").write_text(harm)
    assert decides(LastGood(state).start(file, 2000)) == 5


def test_a_copy_of_an_earlier_version_counts(state: State, file: Path) -> None:
    """Before revisions and includes the note had source, time and digest alone."""
    LastGood(state).start(file, 1000)
    about = state.last_good_policy.with_suffix(".json")
    told = json.loads(about.read_text())
    about.write_text(json.dumps({key: told[key] for key in ("source", "since_ms", "sha256")}))
    file.write_text("bad")
    found = LastGood(state).start(file, 2000)
    assert (decides(found), bool(found.refused)) == (5, True)


def test_two_gates_on_one_state_agree(state: State, file: Path) -> None:
    """Each follows by itself what has been in force in it; the slower one is not kept from what the other has taken."""
    first, second = LastGood(state), LastGood(state)
    one, two = first.start(file, 1000), second.start(file, 1000)
    file.write_text(text(43, 6))
    one = first.replaced(one, file, 2000)
    file.write_text(text(42))
    one = first.replaced(one, file, 3000)
    assert (decides(one), bool(one.refused)) == (6, True)
    file.write_text(text(44, 7))
    one, two = first.replaced(one, file, 4000), second.replaced(two, file, 4000)
    assert (decides(one), decides(two), one.refused, two.refused) == (7, 7, (), ())
