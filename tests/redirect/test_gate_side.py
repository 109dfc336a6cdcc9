"""What root and gate say to each other: strict about the less trusted side, and never in the gate's way."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from spendgate.attribution import Evidence, Peer
from spendgate.identity.interface import Endpoints
from spendgate.redirect import addresses, gate_side, messages
from spendgate.redirect.addresses import KEEP_S, ProviderAddresses
from spendgate.redirect.gate_side import NO_ANSWER, AskingLookup, GateSide

if not hasattr(socket, "AF_NETLINK"):
    pytest.skip("Linux only", allow_module_level=True)

ENDS = Endpoints(("192.0.2.1", 40000), ("198.51.100.2", 443))
PEER = Peer(uid=1000, account="alice", cgroup="/user.slice", evidence=Evidence.SOCKET_OWNER)
FOUND = Peer(
    uid=1000, pid=7, process="codex", process_path="/usr/bin/codex", started_ms=5, tool="codex", project="h/o/n"
)

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pulse() -> Iterator[Pair]:
    """Root's and the gate's end of the pulse."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ends[0], ends[1]:
        yield ends


@pytest.fixture
def questions() -> Iterator[Pair]:
    """The clerk's and the gate's end of the questions."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ends[0], ends[1]:
        yield ends


def test_a_question_and_its_answer_survive_the_wire() -> None:
    """What the clerk says of the process is added; what the gate found itself stays."""
    number, uid, ends = messages.question(messages.pack_question(3, 1000, ENDS))
    answered, peer = messages.answer(messages.pack_answer(3, FOUND), PEER)

    assert (number, uid, ends, answered) == (3, 1000, ENDS, 3)
    assert (peer.account, peer.cgroup, peer.uid, peer.evidence) == ("alice", "/user.slice", 1000, Evidence.SOCKET_OWNER)
    assert (peer.pid, peer.tool, peer.project, peer.started_ms) == (7, "codex", "h/o/n", 5)


@pytest.mark.parametrize(
    "packet",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff", id="not text"),
        pytest.param(b"{}", id="not a list"),
        pytest.param(b'[1, 2, "a", 3, "b"]', id="too short"),
        pytest.param(b'[1, true, "a", 3, "b", 4]', id="a bool for a number"),
        pytest.param(b'[1, 2, "a", 70000, "b", 4]', id="not a port"),
        pytest.param(b"[" * 5000, id="deep"),
    ],
)
def test_a_malformed_question_is_refused(packet: bytes) -> None:
    """Root reads nothing into what it cannot parse."""
    with pytest.raises(ValueError, match=r"."):
        messages.question(packet)


def test_addresses_are_addresses_and_few() -> None:
    """Anything else from the gate is refused, whole."""
    many = frozenset(f"192.0.{n // 256}.{n % 256}" for n in range(messages.ADDRESSES_MAX + 5))

    assert messages.addresses(messages.pack_addresses(frozenset({"192.0.2.1", "2001:db8::1"}))) == {
        "192.0.2.1",
        "2001:db8::1",
    }
    assert len(messages.addresses(messages.pack_addresses(many))) == messages.ADDRESSES_MAX
    assert len(messages.pack_addresses(many)) < messages.PACKET_BYTES_MAX
    for bad in (b'["192.0.2.1; flush ruleset"]', b'{"a": 1}', b"[" + b'"192.0.2.1",' * 2000 + b'"192.0.2.1"]', b"what"):
        with pytest.raises(ValueError, match=r"."):
            messages.addresses(bad)
    unfit = ["fe80::1%x }\nflush ruleset\n#", "2001:db8::1%eth0", "fe80::1", "ff02::1", "224.0.0.1", "::", "127.0.0.1"]
    assert messages.addresses(json.dumps([*unfit, "192.0.2.1"]).encode()) == {"192.0.2.1"}
    assert messages.held(json.dumps({"held": unfit}).encode()) == frozenset()
    held = messages.pack_held(many)
    assert len(messages.held(held) or ()) == messages.ADDRESSES_MAX
    assert len(held) < messages.PACKET_BYTES_MAX
    assert messages.held(messages.pack_addresses(many)) is None
    for bad in (b'{"a": []}', b'{"held": ["x"]}', b'{"held": "192.0.2.1"}', b"what"):
        with pytest.raises(ValueError, match=r"."):
            messages.held(bad)


def test_the_gate_asks_and_is_told(questions: Pair) -> None:
    """An answer that comes late is dropped, and the next question gets its own."""
    clerk, gate = questions

    def answer() -> None:
        number, *_ = messages.question(clerk.recv(1000))
        clerk.send(messages.pack_answer(number - 1, Peer(pid=1)))
        clerk.send(messages.pack_answer(number, FOUND))

    answering = threading.Thread(target=answer)
    answering.start()
    told = AskingLookup(gate).process(PEER, ENDS)
    answering.join()

    assert (told.pid, told.account) == (7, "alice")


def test_no_answer_leaves_the_account(questions: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clerk that hangs or has gone costs the process, not the person."""
    monkeypatch.setattr(gate_side, "_ANSWER_WITHIN_S", 0.05)
    clerk, gate = questions
    lookup = AskingLookup(gate)
    silent = lookup.process(PEER, ENDS)
    clerk.close()
    gone = lookup.process(PEER, ENDS)

    assert (silent.account, silent.pid, silent.why_unknown) == ("alice", None, NO_ANSWER)
    assert (gone.account, gone.why_unknown) == ("alice", NO_ANSWER)
    assert lookup.process(Peer(why_unknown="x"), ENDS) == Peer(why_unknown="x")


async def test_the_pulse_is_answered_from_attend_on(pulse: Pair, questions: Pair) -> None:
    """Not before: traffic comes only when the gate listens."""
    root, gate = pulse
    side = GateSide(gate, questions[1], timeout_ms=3000)
    root.send(messages.PULSE)
    root.setblocking(False)
    await asyncio.sleep(0.05)
    with pytest.raises(BlockingIOError):
        root.recv(100)
    loop = asyncio.get_running_loop()
    side.attend(loop)

    assert await loop.sock_recv(root, 100) == messages.PULSE
    loop.remove_reader(gate.fileno())


async def test_a_gate_without_root_ends_itself_after_the_timeout(pulse: Pair, questions: Pair) -> None:
    """It serves until the rules have stopped acting, then asks itself to stop in order."""
    root, gate = pulse
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    GateSide(gate, questions[1], timeout_ms=50).attend(loop)
    root.close()

    await stopped.wait()
    loop.remove_signal_handler(signal.SIGTERM)


def test_quic_targets_never_block_the_gate(pulse: Pair, questions: Pair) -> None:
    """While root is stopped its socket fills up; the gate goes on."""
    side = GateSide(pulse[1], questions[1], timeout_ms=3000)
    many = frozenset(f"192.0.2.{n}" for n in range(256))
    for _ in range(1000):
        side.reject_quic_to(many)

    assert messages.addresses(pulse[0].recv(messages.PACKET_BYTES_MAX)) == many


def test_provider_addresses_are_kept_for_an_hour_and_bounded() -> None:
    """An address seen again is young again; of too many the oldest go."""
    known = ProviderAddresses()

    assert known.add(["192.0.2.1", "192.0.2.2"], 0.0)
    assert not known.add(["192.0.2.1"], KEEP_S - 1)
    assert known.current(KEEP_S) == {"192.0.2.1"}
    known.add((f"10.0.{n // 256}.{n % 256}" for n in range(messages.ADDRESSES_MAX)), KEEP_S)
    assert len(known.current(KEEP_S)) == messages.ADDRESSES_MAX
    assert "192.0.2.1" not in known.current(KEEP_S)


async def test_names_are_resolved() -> None:
    """Every address of every name; a name that does not resolve, or to what no rule may name, costs the others nothing."""
    names = ("192.0.2.1", "2001:db8::1", "does-not-exist.invalid", "fe80::1%lo", "127.0.0.1")
    assert await addresses.resolve(names) == {"192.0.2.1": "192.0.2.1", "2001:db8::1": "2001:db8::1"}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another account")
def test_acting_as_a_person_is_given_back(tmp_path: Path) -> None:
    """Inside, root cannot read what the person cannot; afterwards it is root again."""
    code = f"""
import os
from spendgate.redirect.privileges import acting_as
with acting_as(60001):
    inside = (os.geteuid(), os.access({str(tmp_path)!r}, os.R_OK, effective_ids=True))
print(inside, os.geteuid(), os.getegid())
"""
    addon = str(Path(__file__).parents[2] / "addon")
    tmp_path.chmod(0o700)
    said = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": addon}, capture_output=True, text=True, check=True
    )

    assert said.stdout.strip() == "(60001, False) 0 0"


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root to give capabilities")
def test_acting_as_a_person_lays_down_a_services_capabilities(tmp_path: Path) -> None:
    """Not root, with the clerk's capabilities: inside it reads what the person may, no more; before and after it reads all."""
    code = f"""
import os
from spendgate.redirect.privileges import acting_as
def reads():
    try:
        return os.listdir({str(tmp_path)!r}) == []
    except PermissionError:
        return False
before = reads()
with acting_as(60001):
    inside = (os.geteuid(), reads())
print(before, inside, reads(), os.geteuid(), os.getgroups())
"""
    tmp_path.chmod(0o700)
    able = "-all,+sys_ptrace,+dac_read_search,+setuid,+setgid"
    words = [
        "setpriv",
        "--reuid=60002",
        "--regid=60002",
        "--clear-groups",
        f"--inh-caps={able}",
        f"--ambient-caps={able}",
    ]
    said = subprocess.run(
        [*words, sys.executable, "-c", code],
        env={"PYTHONPATH": str(Path(__file__).parents[2] / "addon")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (said.stdout.strip(), said.stderr) == ("True (60001, False) True 60002 []", "")
