"""Where the gate of a service comes in to what redirects: a socket in a folder of the other's, for the gate's account alone.

The folder is closed to all but the gate's group, and the kernel says who has connected (SO_PEERCRED, socket(7)): two locks, since
whoever comes in keeps the rules alive.
"""

from __future__ import annotations

import os
import socket
import stat
import struct
from pathlib import Path
from typing import Final

from spendgate.errors import StateError
from spendgate.redirect.table import say

RULES: Final = Path("/run/spendgate-redirect/gate.sock")
QUESTIONS: Final = Path("/run/spendgate-clerk/gate.sock")
_UCRED: Final = struct.Struct("3i")
_WAITING: Final = 8


class Door:
    """A listening socket that lets one account in."""

    def __init__(self, place: Path, uid: int) -> None:
        """Raises StateError. What an earlier process left there is replaced."""
        self._uid = uid
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            place.unlink(missing_ok=True)
            self._listening.bind(str(place))
            place.chmod(0o660)
        except OSError as fault:
            self._listening.close()
            raise StateError(f"{place} cannot be made: {fault.strerror or fault}") from fault
        self._listening.listen(_WAITING)
        self._listening.setblocking(False)

    def fileno(self) -> int:
        """For poll(2): readable when somebody is there."""
        return self._listening.fileno()

    def close(self) -> None:
        """Let nobody in any more."""
        self._listening.close()

    def take(self) -> socket.socket | None:
        """Who is there, if it is the gate's account; anybody else is turned away, and said."""
        try:
            found, _ = self._listening.accept()
        except OSError:
            return None  # gone again
        if (uid := account_of(found)) == self._uid:
            return found
        say(f"uid {uid} is not the gate's account: turned away")
        found.close()
        return None


def connected(place: Path) -> socket.socket:
    """The gate's end. Raises OSError: nobody is there; PermissionError: not whose folder it is."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        made.setblocking(False)  # a full queue is an error, not a wait
        made.connect(str(place))
        folder = place.parent.stat()
        if folder.st_mode & stat.S_IWOTH or account_of(made) not in (0, folder.st_uid):
            raise PermissionError(f"uid {account_of(made)} answers at {place}, whose folder is uid {folder.st_uid}'s")
    except OSError:
        made.close()
        raise
    return made


def account_of(connection: socket.socket) -> int:
    """The uid at the other end, as the kernel noted it when the two were connected."""
    _, uid, _ = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return int(uid) % 2**32


def check_place(place: Path) -> None:
    """Raises StateError where no service could make its socket."""
    if not place.parent.is_dir() or not os.access(place.parent, os.W_OK):
        raise StateError(
            f"{place.parent} is not there for this account: systemd makes it (`service install --mode transparent`)"
        )
