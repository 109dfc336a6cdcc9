"""A gate and the services beside it: whom they let in, and what happens where one of them is started again."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from contextlib import closing
from pathlib import Path

import pytest

if not hasattr(socket, "AF_NETLINK"):
    pytest.skip("Linux only", allow_module_level=True)

from redirect.test_gate_side import ENDS, FOUND, PEER
from spendgate.errors import StateError
from spendgate.redirect import messages
from spendgate.redirect.door import Door, check_place, connected
from spendgate.redirect.gate_side import NO_ANSWER, GateSide, Served, Side
from spendgate.redirect.lapses import Lapse, Why
from spendgate.redirect.pulse import Pulse
from spendgate.redirect.ruleset import Rules
from spendgate.redirect.service_side import ServiceSide
from spendgate.redirect.table import Table

WITHIN_S = 60


async def _taken(door: Door) -> socket.socket:
    """The gate, once it has connected."""
    while (found := door.take()) is None:
        await asyncio.sleep(0.01)
    found.setblocking(False)
    return found


async def test_a_gate_answers_the_next_service_too(tmp_path: Path) -> None:
    """Started again, it is connected to, told what QUIC is rejected to and what is held, and its pulse is answered; the gate
    does not end itself."""
    place, loop = tmp_path / "rules", asyncio.get_running_loop()
    side = ServiceSide(place, tmp_path / "questions")
    side.attend(loop)
    side.reject_quic_to(frozenset({"192.0.2.1"}))
    side.hold(frozenset({"192.0.2.2"}))
    for _ in range(2):
        with closing(Door(place, os.getuid())) as door:
            heard = await _taken(door)
        told = messages.addresses(await loop.sock_recv(heard, messages.PACKET_BYTES_MAX))
        held = messages.held(await loop.sock_recv(heard, messages.PACKET_BYTES_MAX))
        await loop.sock_sendall(heard, messages.PULSE)

        assert (told, held) == ({"192.0.2.1"}, {"192.0.2.2"})
        assert await loop.sock_recv(heard, 100) == messages.PULSE
        heard.close()


async def test_what_lapsed_is_told_once_also_where_what_redirects_was_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the other side where it knows; a new one knows nothing, and the gate remembers when it was asked last."""
    monkeypatch.setattr("spendgate.redirect.service_side.TIMEOUT_MS", 0)
    place, loop, able, told = tmp_path / "rules", asyncio.get_running_loop(), [True], list[Lapse]()
    side = ServiceSide(place, tmp_path / "questions")
    side.attend(loop, Served(lambda: able[0], told.append))
    known = Lapse(1, 2, Why.CHANGED, held=False)

    async def connection(*said: Lapse | None, held_before: bool = False) -> list[bytes]:
        with closing(Door(place, os.getuid())) as door:
            heard = await _taken(door)
        answers = []
        for each in said:
            await loop.sock_sendall(heard, messages.PULSE)
            while (answer := await loop.sock_recv(heard, 100)) not in (messages.PULSE, messages.UNABLE):
                pass  # which addresses
            answers.append(answer)
            if answers[-1] == messages.PULSE:
                await loop.sock_sendall(heard, messages.pack_acting(messages.Acts(each, held_before)))
        await loop.sock_sendall(heard, messages.PULSE)  # heard behind what was said
        await loop.sock_recv(heard, 100)
        heard.close()
        return answers

    assert await connection(None) == [messages.PULSE]
    assert [each.why for each in told] == [Why.RULES_GONE], "nothing led to it since it was up"
    told.clear()
    await connection(known, None)
    assert told == [known]
    await connection(None, None)
    assert [each.why for each in told[1:]] == [Why.RULES_GONE]
    able[0] = False
    assert await connection(None) == [messages.UNABLE]
    able[0] = True
    assert await connection(None) == [messages.PULSE]
    assert [each.why for each in told[2:]] == [Why.RULES_GONE], "one stretch, whose beginning was that"

    side.hold(frozenset({"192.0.2.2"}))
    await connection(None)
    for found, held in ((True, True), (False, False)):
        told.clear()
        await connection(None, held_before=found)
        assert [each.held for each in told] == [held], "killed, it holds on; stopped, it lets go"


async def test_a_gate_that_ends_while_nothing_redirects_tells_since_when(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else will: what redirects has ended, and the next gate knows nothing of it. Else that side tells the next gate."""
    monkeypatch.setattr("spendgate.redirect.service_side.TIMEOUT_MS", 0)
    place, loop, told = tmp_path / "rules", asyncio.get_running_loop(), list[Lapse]()
    side = ServiceSide(place, tmp_path / "questions")
    side.attend(loop, Served(lapsed=told.append))
    with closing(Door(place, os.getuid())) as door:
        heard = await _taken(door)
    await loop.sock_recv(heard, messages.PACKET_BYTES_MAX)
    side.hold(frozenset({"192.0.2.2"}))
    heard.close()
    while side._pulse is not None:  # until it has seen that
        await asyncio.sleep(0.01)
    await side.ends()
    assert [(each.why, each.held) for each in told] == [(Why.RULES_GONE, None)]


async def test_a_gate_ends_when_nothing_is_led_to_it_any_more(tmp_path: Path) -> None:
    """Its end of the connection goes first, with nothing held; it waits for the other side, which has changed the rules by then.
    That one tells the next gate of the lapse."""
    place, loop, told = tmp_path / "rules", asyncio.get_running_loop(), list[Lapse]()
    side = ServiceSide(place, tmp_path / "questions")
    side.attend(loop, Served(lapsed=told.append))
    with closing(Door(place, os.getuid())) as door:
        heard = await _taken(door)
    await loop.sock_recv(heard, messages.PACKET_BYTES_MAX)
    ending = loop.create_task(side.ends())

    assert messages.held(await loop.sock_recv(heard, messages.PACKET_BYTES_MAX)) == frozenset()
    assert await loop.sock_recv(heard, 100) == b""
    assert not ending.done()
    heard.close()
    await ending
    assert told == []


@pytest.mark.parametrize("of_root", [False, True])
async def test_a_gate_that_ends_while_it_cannot_serve_tells_since_when(tmp_path: Path, of_root: bool) -> None:
    """At a shutdown what redirects ends with it, and the one of root's always does. Told so, it does not tell it again."""
    loop, told = asyncio.get_running_loop(), list[Lapse]()
    served = Served(lambda: False, told.append)
    side: Side
    heard, gate = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if of_root:
        heard.setblocking(False)
        side = GateSide(gate, gate, 3000)
        side.attend(loop, served)
    else:
        heard.close()
        side = ServiceSide(tmp_path / "rules", tmp_path / "questions")
        side.attend(loop, served)
        with closing(Door(tmp_path / "rules", os.getuid())) as door:
            heard = await _taken(door)
        await loop.sock_recv(heard, messages.PACKET_BYTES_MAX)
    await loop.sock_sendall(heard, messages.PULSE)
    assert await loop.sock_recv(heard, 100) == messages.UNABLE
    await asyncio.sleep(0.01)
    ending = loop.create_task(side.ends())

    said = [await loop.sock_recv(heard, messages.PACKET_BYTES_MAX) for _ in range(2 if of_root else 3)]
    heard.close()
    await ending
    gate.close()
    assert said == [*([] if of_root else [messages.TOLD]), messages.pack_held(frozenset()), b""]
    assert [each.why for each in told] == [Why.UNABLE]


async def test_a_loop_that_hangs_answers_nothing(tmp_path: Path) -> None:
    """The answer is the loop's own: a thread that still runs is no sign of life."""
    place, loop = tmp_path / "rules", asyncio.get_running_loop()
    ServiceSide(place, tmp_path / "questions").attend(loop)
    with closing(Door(place, os.getuid())) as door:
        heard = await _taken(door)
    await loop.sock_recv(heard, messages.PACKET_BYTES_MAX)
    heard.send(messages.PULSE)
    threading.Event().wait(0.3)

    with pytest.raises(BlockingIOError):
        heard.recv(100)
    assert await loop.sock_recv(heard, 100) == messages.PULSE
    heard.close()


def test_a_clerk_that_was_started_again_is_asked_again(tmp_path: Path) -> None:
    """Nobody there: the account alone is known. Then each new clerk is found at its first question."""
    place = tmp_path / "questions"
    lookup = ServiceSide(tmp_path / "rules", place).lookup
    assert lookup.process(PEER, ENDS).why_unknown == NO_ANSWER

    for _ in range(2):
        clerk = Door(place, os.getuid())

        def answer(door: Door = clerk) -> None:
            while (gate := door.take()) is None:
                threading.Event().wait(0.01)
            number, *_ = messages.question(gate.recv(1000))
            gate.send(messages.pack_answer(number, FOUND))
            gate.close()

        answering = threading.Thread(target=answer)
        answering.start()
        assert lookup.process(PEER, ENDS).pid == FOUND.pid
        answering.join()
        clerk.close()
    lookup.close()


def test_the_door_lets_one_account_in(tmp_path: Path) -> None:
    """The kernel says who is there; anybody else is turned away without a word."""
    with closing(Door(tmp_path / "door", os.getuid() + 1)) as door, connected(tmp_path / "door") as stranger:
        stranger.setblocking(True)

        assert door.take() is None
        assert stranger.recv(10) == b""


def test_a_gate_says_nothing_where_anybody_could_answer(tmp_path: Path) -> None:
    """A folder that everybody may write."""
    tmp_path.chmod(0o777)
    with closing(Door(tmp_path / "door", os.getuid())), pytest.raises(PermissionError):
        connected(tmp_path / "door")


def test_a_door_without_its_folder_is_one_error(tmp_path: Path) -> None:
    """Started by hand, without systemd."""
    with pytest.raises(StateError, match="systemd makes it"):
        check_place(tmp_path / "nowhere" / "gate.sock")


@pytest.fixture(name="applied")
def _applied(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The transactions that nft is given, in whose place nothing stands."""
    given: list[str] = []

    def apply(commands: str) -> str:
        given.append(commands)
        return "as it was"

    monkeypatch.setattr("spendgate.redirect.nftables.apply", apply)
    monkeypatch.setattr("spendgate.redirect.nftables.show", str)
    return given


def test_a_sign_of_life_that_was_not_asked_for_renews_nothing(applied: list[str]) -> None:
    """Neither does it make the rules' side start a program for each."""
    rules, gate = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with gate:
        pulse = Pulse(Table(Rules(gate=1, port=8443)), rules)
        applied.clear()
        gate.send(messages.PULSE)
        assert pulse.hear()
        assert (applied, pulse.acts) == ([], False)

        pulse.ask()
        gate.send(messages.PULSE)
        gate.send(messages.PULSE)
        assert pulse.hear()
        assert pulse.hear()
        assert (len(applied), pulse.acts) == (1, True)
        pulse.pause()
        assert not pulse.acts
        pulse.close()


def test_a_gate_that_cannot_serve_lets_the_rules_act_no_more(applied: list[str]) -> None:
    """At once, and it is asked on; when it can again they act, and it is told since when they did not."""
    rules, gate = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with gate, closing(Pulse(Table(Rules(gate=1, port=8443)), rules)) as pulse:

        def answered(answer: bytes) -> tuple[bool, bool, int]:
            applied.clear()
            pulse.ask()
            assert gate.recv(100) == messages.PULSE
            gate.send(answer)
            assert pulse.hear()
            return pulse.acts, pulse.unable, len(applied)

        assert answered(messages.PULSE) == (True, False, 1)
        assert messages.acting(gate.recv(1000)) == messages.Acts(None, held_before=False)
        assert answered(messages.UNABLE) == (False, True, 1)
        assert applied == ["flush set inet spendgate alive\n"]
        assert answered(messages.UNABLE) == (False, True, 0)
        assert answered(messages.PULSE) == (True, False, 1)
        found = messages.acting(gate.recv(1000))
        assert found is not None
        assert found.lapse is not None
        assert (found.lapse.why, found.lapse.held) == (Why.UNABLE, False)
        assert answered(messages.PULSE) == (True, False, 1)
        gate.setblocking(False)
        with pytest.raises(BlockingIOError):
            gate.recv(1000)


def test_addresses_that_could_not_be_set_are_set_at_the_next_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """nft was busy: a gate names its addresses once, and they are held all the same."""
    applied: list[str] = []
    fails = [False]

    def apply(commands: str) -> str:
        if fails[0]:
            raise StateError("nft did not answer")
        applied.append(commands)
        return "as it was"

    monkeypatch.setattr("spendgate.redirect.nftables.apply", apply)
    monkeypatch.setattr("spendgate.redirect.nftables.show", str)
    table = Table(Rules(gate=1, port=8443))
    fails[0] = True
    table.hold(frozenset({"192.0.2.7"}))
    assert not table.keep()
    fails[0] = False
    applied.clear()

    assert table.keep()
    assert any("hold4 { 192.0.2.7 }" in each for each in applied)
    applied.clear()
    assert table.keep()
    assert len(applied) == 1
