"""The root process that answers one question: which process holds this connection?

It is a process of its own, so that a slow file system under some user's working directory delays answers and never the
rules' sign of life. It can read every process's open files and take on a user's rights to read that user's repository
configuration; it cannot write, connect or change a rule. It ends when the gate does.
"""

from __future__ import annotations

import signal
import socket

from spendgate.attribution import Peer
from spendgate.identity.linux import LinuxLookup
from spendgate.redirect import messages
from spendgate.redirect.privileges import Capability, acting_as, keep

_KEPT = frozenset({Capability.SYS_PTRACE, Capability.DAC_READ_SEARCH, Capability.SETUID, Capability.SETGID})


def answer_until_closed(questions: socket.socket) -> int:
    """Answer packets until the gate's end is closed; gives the exit status. Runs in its own process, as root."""
    for stopper in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(stopper, signal.SIG_IGN)  # the gate's last calls still want to be attributed
    lookup = LinuxLookup(reading_as=acting_as)
    keep(_KEPT)
    while packet := questions.recv(messages.PACKET_BYTES_MAX):
        try:
            number, uid, ends = messages.question(packet)
        except ValueError:
            continue
        peer = lookup.process(Peer(uid=uid), ends)
        try:
            questions.send(messages.pack_answer(number, peer))
        except OSError:
            break  # the gate has gone
    return 0
