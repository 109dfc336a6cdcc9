"""A policy of several files on disk: the last good copy has all of them, and a change of any is noticed."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from spendgate.config import last_good
from spendgate.config.last_good import InForce, LastGood
from spendgate.config.paths import State, prepare, write_private
from spendgate.config.policies import Watch
from spendgate.errors import PolicyError

MAIN = "version: 1\nowner: ops@acme.example\ninclude: [people.yaml, payments.yaml]\nbudgets: [{name: a, limit: $5}]\n"
PEOPLE = "people: {alice: {team: payments}}\nteams: {payments: {}}\n"
TEAM = "team: payments\nbudgets: [{name: ours, limit: $2}]\n"


@pytest.fixture
def state(tmp_path: Path) -> State:
    """A prepared state directory."""
    return prepare(State(tmp_path / "state"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A policy with two included files."""
    home = tmp_path / "etc"
    home.mkdir()
    (home / "people.yaml").write_text(PEOPLE)
    (home / "payments.yaml").write_text(TEAM)
    (home / "policy.yaml").write_text(MAIN)
    return home / "policy.yaml"


def limits(found: InForce) -> dict[str, int]:
    """Every budget in force with its limit in dollars."""
    return {budget.name: budget.limit_nanos // 10**9 for budget in found.policy.budgets}


HARMS = ["missing", "bad", "a folder", "a link out of the folder", "no text", "another's name"]


def harm(kind: str, file: Path) -> str:
    """Spoil the team's file; how its fault begins."""
    team = file.with_name("payments.yaml")
    match kind:
        case "bad":
            team.write_text(TEAM.replace("limit", "limitt"))
            return f"{team}:2:11: budgets[1].limit: is missing"
        case "no text":
            team.write_bytes(b"team: \xff\n")
            return f"{team}:1:7: the text is not UTF-8"
        case "another's name":
            team.write_text(TEAM.replace("ours", "a"))
            return f"{team}:2:18: budgets[1].name: 'a' is taken, first in {file}:4"
    team.unlink()
    if kind == "a folder":
        team.mkdir()
        return f"{file}:3:24: include: payments.yaml cannot be read: it is a directory"
    if kind == "a link out of the folder":
        team.symlink_to(Path(__file__).parents[2] / "policies" / "default.yaml")
        return f"{file}:3:24: include: payments.yaml is a link that leads out"
    return f"{file}:3:24: include: payments.yaml cannot be read: No such file"


@pytest.mark.parametrize("restart", [False, True], ids=["running", "restart"])
@pytest.mark.parametrize("kind", HARMS)
def test_a_spoiled_included_file_leaves_the_last_good_policy(
    state: State, file: Path, kind: str, *, restart: bool
) -> None:
    """All of it: what the spoiled file said holds on, also after a restart; why is told with its place; mending clears it."""
    kept = LastGood(state)
    first = kept.start(file, 1000)
    begins = harm(kind, file)
    found = LastGood(state).start(file, 2000) if restart else kept.replaced(first, file, 2000)
    assert limits(found) == {"a": 5, "ours": 2}
    assert found.refused[0].startswith(begins), found.refused
    assert (found.since_ms, found.refused_ms, found.included) == (1000, 2000, ("people.yaml", "payments.yaml"))
    assert LastGood(state).policy().hash == first.policy.hash

    team = file.with_name("payments.yaml")
    shutil.rmtree(team) if team.is_dir() and not team.is_symlink() else team.unlink(missing_ok=True)
    team.write_text(TEAM.replace("$2", "$3"))
    mended = LastGood(state).replaced(found, file, 3000)
    assert (limits(mended), mended.refused) == ({"a": 5, "ours": 3}, ())


def test_without_a_good_copy_a_missing_included_file_stops_the_start(state: State, file: Path) -> None:
    """Half a policy is none, and looking first says so, too."""
    file.with_name("people.yaml").unlink()
    for start in (LastGood(state).would_start, lambda path: LastGood(state).start(path, 1000)):
        with pytest.raises(PolicyError, match=r"include: people.yaml cannot be read"):
            start(file)


def test_the_copy_is_private_and_whole(state: State, file: Path) -> None:
    """Both of its files; a copy that lacks a byte of an included file is no copy."""
    LastGood(state).start(file, 1000)
    about = state.last_good_policy.with_suffix(".json")
    assert [stat.S_IMODE(each.stat().st_mode) for each in (state.last_good_policy, about)] == [0o600, 0o600]
    about.write_text(about.read_text().replace("limit: $2", "limit: $9"))
    file.unlink()
    with pytest.raises(PolicyError):
        LastGood(state).start(file, 2000)


async def test_a_watch_notices_every_file(state: State, file: Path) -> None:
    """Changed, removed, put back, included no longer, and then of no interest; each told once."""
    kept = LastGood(state)
    watch = Watch(file, kept.start(file, 1000), kept, now_ms=lambda: 2000)
    told: asyncio.Queue[InForce] = asyncio.Queue()
    stop = asyncio.Event()
    task = asyncio.create_task(watch.run(told.put, stop))
    team = file.with_name("payments.yaml")
    team.write_text(TEAM.replace("$2", "$3"))
    assert limits(await told.get()) == {"a": 5, "ours": 3}
    team.rename(team.with_suffix(".bak"))
    gone = await told.get()
    assert (limits(gone), bool(gone.refused)) == ({"a": 5, "ours": 3}, True)
    team.with_suffix(".bak").rename(team)
    back = await told.get()
    assert (limits(back), back.refused) == ({"a": 5, "ours": 3}, ())
    file.write_text(MAIN.replace(", payments.yaml", ""))
    assert limits(await told.get()) == {"a": 5}
    team.unlink()
    file.with_name("people.yaml").write_text(PEOPLE + "# no other content, other bytes\n")
    assert limits(await told.get()) == {"a": 5}
    assert told.empty()
    stop.set()
    await task


async def test_what_is_refused_is_read_once(state: State, file: Path) -> None:
    """A file that stays missing is not told anew at each look, and one that comes is noticed though no other has changed."""
    kept = LastGood(state)
    file.with_name("people.yaml").rename(file.with_name("later.yaml"))
    file.with_name("payments.yaml").rename(file.with_name("later still.yaml"))
    file.write_text("".join(line for line in MAIN.splitlines(True) if "include" not in line))
    watch = Watch(file, kept.start(file, 1000), kept, now_ms=lambda: 2000)
    told: list[InForce] = []

    async def changed(found: InForce) -> None:
        told.append(found)

    file.write_text(MAIN)
    for _ in range(3):
        await watch.look_if_new(changed)
    assert len(told) == 1 and len(told[0].refused) == 2
    file.with_name("people.yaml").write_text(PEOPLE)
    for _ in range(3):
        await watch.look_if_new(changed)
    assert len(told) == 2 and len(told[1].refused) == 1
    file.with_name("payments.yaml").write_text(TEAM)
    await watch.look_if_new(changed)
    assert (limits(told[2]), told[2].refused) == ({"a": 5, "ours": 2}, ())


CHILD = """
import sys
from pathlib import Path
from spendgate.config.last_good import LastGood
from spendgate.config.paths import State, prepare

state, file = prepare(State(Path(sys.argv[1]))), Path(sys.argv[2])
kept = LastGood(state)
found = None
for revision in range(int(sys.argv[3]), 10**6):
    file.with_name("people.yaml").write_text(f"people: {{r{revision}: {{}}}}")
    file.write_text(f"version: 1\\nrevision: {revision}\\nowner: o@acme.example\\ninclude: people.yaml\\n")
    found = kept.replaced(found, file, 1000) if found else kept.start(file, 1000)
    assert found.policy.validity.revision == revision, found.refused
    print(revision, flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="kill -9 as POSIX has it")
def test_a_killed_gate_leaves_a_whole_copy(tmp_path: Path) -> None:
    """Whenever it is killed: the copy is one state of all files, no older than the last that took force, and decides again
    where the files are spoiled."""
    home, root = tmp_path / "etc", tmp_path / "state"
    home.mkdir()
    file, at = home / "policy.yaml", 1
    for delay_ms in (1, 3, 7, 20, 53):
        command = [sys.executable, "-c", CHILD, str(root), str(file), str(at)]
        environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "addon")}
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environ, text=True) as child:
            assert child.stdout is not None
            assert int(child.stdout.readline()) == at
            time.sleep(delay_ms / 1000)
            child.kill()
            last = int((child.stdout.read().split() or [at])[-1])
        kept = LastGood(prepare(State(root))).policy()
        revision = kept.validity.revision
        assert revision in (last, last + 1)
        assert [person.name for person in kept.roster.people] == [f"r{revision}"]
        file.write_text("spoiled")
        assert LastGood(State(root)).start(file, 2000).policy.hash == kept.hash
        at = last + 2


def test_a_copy_that_cannot_be_replaced_is_the_one_before(
    state: State, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk between its two files costs nothing: what decides on is also what a restart finds."""
    kept = LastGood(state)
    first = kept.start(file, 1000)
    written: list[Path] = []

    def full(path: Path, content: bytes) -> None:
        if written:
            raise OSError(28, "No space left on device")
        written.append(path)
        write_private(path, content)

    monkeypatch.setattr(last_good, "write_private", full)
    file.write_text(MAIN.replace("$5", "$6"))
    found = kept.replaced(first, file, 2000)
    assert (limits(found), "No space left" in found.refused[0]) == ({"a": 5, "ours": 2}, True)
    file.write_text("spoiled")
    assert limits(LastGood(state).start(file, 3000)) == {"a": 5, "ours": 2}
