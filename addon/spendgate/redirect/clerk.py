"""The process that answers one question: which process holds this connection?

It is a process of its own, so that a slow file system under some user's working directory delays answers and never the
rules' sign of life. It can read every process's open files and take on a user's rights to read that user's repository
configuration; it cannot write, connect or change a rule. As a child of root's it ends when the gate does; as a service
(`spendgate-clerk.service`, without root, with these capabilities alone) it waits for the next one.
"""

from __future__ import annotations

import select
import signal
import socket
from contextlib import closing
from pathlib import Path

from spendgate.attribution import Peer
from spendgate.identity.interface import Lookup
from spendgate.identity.linux import LinuxLookup
from spendgate.redirect import messages
from spendgate.redirect.door import Door, check_place
from spendgate.redirect.privileges import Capability, acting_as, keep
from spendgate.redirect.stop_signals import stop_signals
from spendgate.service.notify import Manager

_WAITING, _ANSWERING = "no gate is there", "a gate is answered"
_KEPT = frozenset({Capability.SYS_PTRACE, Capability.DAC_READ_SEARCH, Capability.SETUID, Capability.SETGID})


def answer_until_closed(questions: socket.socket) -> int:
    """Answer packets until the gate's end is closed; gives the exit status. Runs in its own process, as root."""
    for stopper in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(stopper, signal.SIG_IGN)  # the gate's last calls still want to be attributed
    lookup = LinuxLookup(reading_as=acting_as)
    keep(_KEPT)
    while _answered(lookup, questions):
        pass
    return 0


def answer_gates(gate: int, place: Path, manager: Manager) -> int:
    """Answer one gate of uid `gate` after the other, until stopped. Raises StateError."""
    check_place(place)
    lookup = LinuxLookup(reading_as=acting_as)
    asking: socket.socket | None = None
    with stop_signals() as signals, closing(Door(place, gate)) as door:
        manager.ready(_WAITING)
        while signals not in (ready := _ready((signals, door, asking), manager.every_s)):
            manager.alive()
            if asking is not None and asking.fileno() in ready and not _answered(lookup, asking):
                asking.close()
                asking = None
                manager.says(_WAITING)
            if door.fileno() in ready and (come := door.take()) is not None:
                if asking is not None:
                    asking.close()
                asking = come
                manager.says(_ANSWERING)
    manager.stopping()
    return 0


def _ready(watched: tuple[int | Door | socket.socket | None, ...], within_s: float | None) -> set[int]:
    poll = select.poll()
    for each in watched:
        if each is not None:
            poll.register(each, select.POLLIN)
    return {fd for fd, _ in poll.poll(None if within_s is None else within_s * 1000)}


def _answered(lookup: Lookup, questions: socket.socket) -> bool:
    """Take one packet and answer it. False: the gate has gone."""
    try:
        packet = questions.recv(messages.PACKET_BYTES_MAX)
        if not packet:
            return False
        number, uid, ends = messages.question(packet)
        peer = lookup.process(Peer(uid=uid), ends)
        questions.send(messages.pack_answer(number, peer))
    except ValueError:
        pass  # not a question: it has no answer
    except OSError:
        return False
    return True
