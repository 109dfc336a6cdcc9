"""Policies from disk: the last good copy, and what a changed file does."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from watchfiles import awatch

from spendgate.config import bundle, policies
from spendgate.config.paths import State, prepare
from spendgate.config.policies import DEFAULT_NAME, InForce, LastGood, Watch, load
from spendgate.config.reading import read_regular
from spendgate.errors import LedgerBusy, PolicyError

GOOD = "version: 1\nowner: ops@acme.example\nbudgets: [{name: a, limit: $5}]\n"
BETTER = GOOD.replace("$5", "$6")
BAD = GOOD.replace("$5", "5")


@pytest.fixture
def state(tmp_path: Path) -> State:
    """A prepared state directory."""
    return prepare(State(tmp_path / "state"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A good policy file in a directory of its own."""
    path = tmp_path / "etc" / "policy.yaml"
    path.parent.mkdir()
    path.write_text(GOOD)
    return path


def limit_of(found: InForce) -> int:
    """The limit in force, in whole dollars."""
    return found.policy.budgets[0].limit_nanos // 10**9


def test_a_file_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    """A missing file, and one that is a link to itself, are told like any other fault."""
    with pytest.raises(PolicyError, match=r"none.yaml: cannot be read: No such file"):
        load(tmp_path / "none.yaml")
    (loop := tmp_path / "loop.yaml").symlink_to(loop)
    with pytest.raises(PolicyError, match=r"loop.yaml: cannot be read: Too many levels"):
        load(loop)


def put(kind: str, path: Path) -> None:
    """Something that is no regular file."""
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "directory":
            path.mkdir()
        case "socket":
            with socket.socket(socket.AF_UNIX) as bound:
                bound.bind(str(path))
        case "device":
            path.symlink_to("/dev/zero")
        case "link to a pipe":
            os.mkfifo(path.with_suffix(".pipe"))
            path.symlink_to(path.with_suffix(".pipe"))


OTHERS = ["pipe", "directory", "socket", "device", "link to a pipe"]


@pytest.mark.parametrize("kind", OTHERS)
def test_only_a_regular_file_is_read(tmp_path: Path, kind: str) -> None:
    """Anything else is refused at once, with the place and what to do."""
    put(kind, path := tmp_path / "policy.yaml")
    with pytest.raises(PolicyError, match=r"policy.yaml: cannot be read: it is a .*put a regular file"):
        load(path)


@pytest.mark.parametrize("kind", OTHERS)
async def test_a_watch_outlives_what_is_no_file(state: State, file: Path, kind: str) -> None:
    """What decided goes on, why is told, and the next file takes force."""
    async with watching(state, file) as (watch, told):
        file.unlink()
        put(kind, file)
        refused = await told.get()
        while "it is a directory, pipe" not in refused.refused[0]:  # the moment without any file may be seen too
            refused = await told.get()
        assert limit_of(watch.current) == 5
        file.rmdir() if kind == "directory" else file.unlink()
        file.write_text(BETTER)
        found = await told.get()
        assert limit_of(found if not found.refused else await told.get()) == 6


SECRET = "root:$6$c0nfidential:20000:0:99999:7:::\n"


def test_no_line_of_a_file_that_is_no_policy_is_told(state: State, file: Path, tmp_path: Path) -> None:
    """Neither at start nor later, whatever a link leads to."""
    LastGood(state).start(file, 1000)
    (shadow := tmp_path / "shadow").write_text(SECRET)
    file.unlink()
    file.symlink_to(shadow)
    found = LastGood(state).start(file, 2000)
    assert limit_of(found) == 5
    assert found.refused == (
        f"{file}: cannot be read: it is a link to a file that is not called .yaml or .yml; put the policy itself in its place",
    )
    with pytest.raises(PolicyError, match="link to a file that is not called"):
        load(file)


def test_a_link_that_comes_after_the_file_was_judged_is_not_followed(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may write to the folder may change it at any moment, also between the judgement and the reading."""
    (shadow := tmp_path / "shadow").write_text(SECRET)
    judged = bundle._led

    def swapped(path: Path) -> Path:
        found = judged(path)
        file.unlink()
        file.symlink_to(shadow)
        return found

    monkeypatch.setattr(bundle, "_led", swapped)
    with pytest.raises(PolicyError, match="cannot be read") as told:
        load(file)
    assert "c0nfidential" not in str(told.value)


def test_a_link_of_ones_own_leads_to_a_policy_anywhere(file: Path, tmp_path: Path) -> None:
    """As configuration tools put files in their place."""
    (store := tmp_path / "store" / "v2.yaml").parent.mkdir()
    store.write_text(BETTER)
    file.unlink()
    file.symlink_to(store)
    assert load(file).budgets[0].limit_nanos == 6 * 10**9


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a link to somebody else")
def test_another_accounts_link_stays_in_its_folder(file: Path, tmp_path: Path) -> None:
    """Also where one of ours leads to it; within the folder it is followed."""
    (elsewhere := tmp_path / "keys.yaml").write_text("password: c0nfidential\n")
    file.unlink()
    file.symlink_to(elsewhere)
    os.lchown(file, 12345, 12345)
    (ours := tmp_path / "own" / "ours.yaml").parent.mkdir()
    ours.symlink_to(file)
    for path in (file, ours):
        with pytest.raises(PolicyError, match="link out of its folder that another account has made") as raised:
            load(path)
        assert "c0nfidential" not in str(raised.value)
    file.with_name("v2.yaml").write_text(BETTER)
    file.unlink()
    file.symlink_to("v2.yaml")
    os.lchown(file, 12345, 12345)
    assert load(file).budgets[0].limit_nanos == 6 * 10**9


async def test_the_present_reason_is_told(state: State, file: Path, tmp_path: Path) -> None:
    """A file that is gone, then a folder, then a link to something else: each is said, once."""
    (shadow := tmp_path / "shadow").write_text(SECRET)
    told: list[InForce] = []

    async def changed(found: InForce) -> None:
        told.append(found)

    last_good = LastGood(state)
    watch = Watch(file, last_good.start(file, 1000), last_good, now_ms=lambda: 2000)
    file.unlink()
    await watch.look_if_new(changed)
    await watch.look_if_new(changed)
    file.mkdir()
    await watch.look_if_new(changed)
    file.rmdir()
    file.symlink_to(shadow)
    await watch.look_if_new(changed)
    file.unlink()
    file.write_text(GOOD)
    await watch.look_if_new(changed)
    reasons = [found.refused[0].partition("cannot be read: ")[2][:12] if found.refused else "" for found in told]
    assert reasons == ["No such file", "it is a dire", "it is a link", ""]


def test_a_good_file_takes_force_and_is_kept_privately(state: State, file: Path) -> None:
    """The copy is the file's own text, readable by nobody else."""
    found = LastGood(state).start(file, 1000)
    assert (limit_of(found), found.since_ms, found.refused) == (5, 1000, ())
    assert state.last_good_policy.read_text() == GOOD
    assert stat.S_IMODE(state.last_good_policy.stat().st_mode) == 0o600


def test_a_bad_file_at_start_leaves_the_last_good_one_in_force(state: State, file: Path) -> None:
    """With a good copy of the same file a bad one is refused, with since when and why."""
    LastGood(state).start(file, 1000)
    file.write_text(BAD)
    found = LastGood(state).start(file, 2000)
    assert (limit_of(found), found.since_ms, found.refused_ms) == (5, 1000, 2000)
    assert found.refused[0].startswith(f"{file}:3:28: budgets[1].limit: '5' is not an amount")


def test_a_file_that_is_gone_leaves_the_last_good_one_in_force(state: State, file: Path) -> None:
    """Taking the file away does not take the policy away."""
    LastGood(state).start(file, 1000)
    file.unlink()
    assert limit_of(LastGood(state).start(file, 2000)) == 5


def test_without_a_good_copy_a_bad_file_stops_the_start(state: State, file: Path) -> None:
    """Nothing is captured without a valid policy."""
    file.write_text(BAD)
    with pytest.raises(PolicyError):
        LastGood(state).start(file, 1000)


@pytest.mark.parametrize("harm", ["another source", "edited", "cut", "no json"])
def test_a_copy_that_is_not_that_files_is_no_copy(state: State, file: Path, harm: str) -> None:
    """A copy of another file, or one that does not fit its digest, never takes force."""
    LastGood(state).start(file, 1000)
    other = file.with_name("other.yaml")
    other.write_text(BAD)
    file.write_text(BAD)
    about = state.last_good_policy.with_suffix(".json")
    if harm == "edited":
        about.write_text(about.read_text().replace("$5", "$6"))
    elif harm == "cut":
        about.write_text(about.read_text().replace("limit: $5", "limit"))
    elif harm == "no json":
        state.last_good_policy.with_suffix(".json").write_text("{")
    with pytest.raises(PolicyError):
        LastGood(state).start(other if harm == "another source" else file, 2000)


def test_the_same_policy_stays_in_force_since_it_was_first_seen(state: State, file: Path) -> None:
    """A restart does not change since when a policy holds; another policy does."""
    LastGood(state).start(file, 1000)
    assert LastGood(state).start(file, 2000).since_ms == 1000
    file.write_text(BETTER)
    assert LastGood(state).start(file, 3000).since_ms == 3000


def test_the_default_needs_no_file_and_is_not_kept(state: State) -> None:
    """Without a file the embedded default holds."""
    found = LastGood(state).start(None, 1000)
    assert (found.source, found.policy.budgets[0].base_name) == (DEFAULT_NAME, "person")
    assert not state.last_good_policy.exists()


def test_a_replaced_file_takes_force_or_is_refused(state: State, file: Path) -> None:
    """A good change replaces the policy, a bad one is told and changes nothing, and mending it clears the refusal."""
    kept = LastGood(state)
    first = kept.start(file, 1000)
    file.write_text(BAD)
    refused = kept.replaced(first, file, 2000)
    assert (limit_of(refused), bool(refused.refused), refused.since_ms) == (5, True, 1000)
    assert state.last_good_policy.read_text() == GOOD
    file.write_text(BETTER)
    mended = kept.replaced(refused, file, 3000)
    assert (limit_of(mended), mended.refused, mended.since_ms) == (6, (), 3000)


def test_a_policy_that_cannot_be_kept_does_not_take_force(state: State, file: Path) -> None:
    """Where the copy cannot be written, the one in force stays, and the reason is told."""
    kept = LastGood(state)
    first = kept.start(file, 1000)
    state.last_good_policy.unlink()
    state.last_good_policy.mkdir()
    file.write_text(BETTER)
    found = kept.replaced(first, file, 2000)
    assert limit_of(found) == 5
    assert "cannot keep the policy" in found.refused[0]


@asynccontextmanager
async def watching(state: State, file: Path) -> AsyncIterator[tuple[Watch, asyncio.Queue[InForce]]]:
    """A running watch and what it tells."""
    kept = LastGood(state)
    watch = Watch(file, kept.start(file, 1000), kept, now_ms=lambda: 2000)
    told: asyncio.Queue[InForce] = asyncio.Queue()
    stop = asyncio.Event()
    task = asyncio.create_task(watch.run(told.put, stop))
    try:
        yield watch, told
    finally:
        stop.set()
        await task


async def test_no_end_waits_for_a_watch_that_reads(state: State, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system may hang where no check helps: what a watch reads, it reads on threads that end with the program."""
    outlive: list[bool] = []

    def read(path: Path, bytes_max: int, **how: bool) -> bytes:
        outlive.append(not threading.current_thread().daemon)
        return read_regular(path, bytes_max, **how)

    async with watching(state, file) as (_, told):
        monkeypatch.setattr(bundle, "read_regular", read)
        file.write_text(BETTER)
        assert limit_of(await told.get()) == 6
    assert len(outlive) >= 2 and not any(outlive)


async def test_a_change_is_told_whichever_way_an_editor_makes_it(state: State, file: Path) -> None:
    """Written in place, replaced by a rename, made bad, taken away: each is told once, and the gate is never without a policy."""
    async with watching(state, file) as (watch, told):
        beside = file.with_name(".policy.yaml.swp")
        beside.write_text(BETTER)
        beside.rename(file)
        assert limit_of(await told.get()) == 6
        file.write_text(BAD)
        assert (await told.get()).refused
        file.unlink()
        assert "cannot be read" in (await told.get()).refused[0]
        file.write_text(GOOD)
        assert (limit_of(await told.get()), watch.current.refused) == (5, ())
        assert told.empty()


async def test_a_watch_survives_the_loss_of_the_directory(state: State, file: Path) -> None:
    """The directory may go and come back, as on a mount; the policy that comes back takes force."""
    async with watching(state, file) as (_, told):
        aside = file.parent.rename(file.parent.with_name("aside"))
        assert "cannot be read" in (await told.get()).refused[0]
        aside.rename(file.parent)
        file.write_text(BETTER)
        found = await told.get()
        assert limit_of(found if not found.refused else await told.get()) == 6


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
async def test_a_watch_survives_a_name_that_is_no_text(
    state: State, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody's file beside the policy, as in a shared folder; the library that watches raises for it."""
    raised = asyncio.Event()

    async def heard(*where: Path, **how: Any) -> AsyncIterator[object]:
        try:
            async for change in awatch(*where, **how):
                yield change
        except Exception:
            raised.set()
            raise

    monkeypatch.setattr(policies, "awatch", heard)
    async with watching(state, file) as (_, told):
        while not raised.is_set():
            Path(os.fsdecode(os.fsencode(file.parent) + b"/caf\xe9")).touch()
            await asyncio.sleep(0.02)
        file.write_text(BETTER)
        assert limit_of(await told.get()) == 6


@pytest.mark.parametrize(
    "fault", [LedgerBusy("another process is writing"), KeyError("sk-secret")], ids=["busy", "defect"]
)
async def test_a_change_that_cannot_take_force_is_told_and_tried_again(
    state: State, file: Path, fault: Exception
) -> None:
    """One failure ends nothing: the old policy stays, why is told once, and the file takes force as soon as it can."""
    kept = LastGood(state)
    watch = Watch(file, kept.start(file, 1000), kept, now_ms=lambda: 2000)
    told, failures = list[InForce](), iter([fault] * 2)

    async def changed(found: InForce) -> None:
        if not found.refused and (failed := next(failures, None)):
            raise failed
        told.append(found)

    file.write_text(BETTER)
    for _ in range(2):
        await watch.look_if_new(changed)
        assert limit_of(watch.current) == 5
    assert [(limit_of(each), each.refused_ms) for each in told] == [(5, 2000)]
    assert "is tried again" in told[0].refused[0]
    assert "sk-secret" not in told[0].refused[0]
    await watch.look_if_new(changed)
    assert [(limit_of(each), each.refused) for each in told[1:]] == [(6, ())]
    await watch.look_if_new(changed)
    assert len(told) == 2


async def test_a_change_taken_back_before_it_took_force_is_forgotten(state: State, file: Path) -> None:
    """Where the file is again what decides, its failure is no longer told."""
    kept = LastGood(state)
    watch = Watch(file, kept.start(file, 1000), kept, now_ms=lambda: 2000)
    told: list[InForce] = []

    async def changed(found: InForce) -> None:
        told.append(found)
        if limit_of(found) == 6:
            raise LedgerBusy("another process is writing")

    file.write_text(BETTER)
    await watch.look_if_new(changed)
    file.write_text(GOOD)
    await watch.look_if_new(changed)
    assert [(limit_of(each), bool(each.refused)) for each in told] == [(6, False), (5, True), (5, False)]


async def test_a_watch_goes_on_after_a_change_that_failed(state: State, file: Path) -> None:
    """The running watch tries the file again by itself."""
    kept = LastGood(state)
    watch = Watch(file, kept.start(file, 1000), kept, now_ms=lambda: 2000)
    told: asyncio.Queue[InForce] = asyncio.Queue()
    stop, failures = asyncio.Event(), iter([LedgerBusy("another process is writing")])

    async def changed(found: InForce) -> None:
        if not found.refused and (failed := next(failures, None)):
            raise failed
        told.put_nowait(found)

    task = asyncio.create_task(watch.run(changed, stop))
    file.write_text(BETTER)
    first, then = [await told.get() for _ in range(2)]
    assert (limit_of(first), bool(first.refused)) == (5, True)
    assert (limit_of(then), then.refused) == (6, ())
    stop.set()
    await task


def test_a_linked_policy_is_read_where_it_points(state: State, file: Path, tmp_path: Path) -> None:
    """Configuration tools swap links; the path that was given names the policy."""
    link = tmp_path / "link.yaml"
    link.symlink_to(file)
    assert limit_of(LastGood(state).start(link, 1000)) == 5
