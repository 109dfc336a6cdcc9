"""Who is at the other end of a Unix socket: asked of the kernel, which noted it when the two were connected. Linux."""

from __future__ import annotations

import socket
import struct
from typing import Final

from spendgate.sight import Peer

_UCRED: Final = struct.Struct("3i")
_SO_PEERGROUPS: Final = 59
"""asm-generic/socket.h; Python has no name for it. Since Linux 4.13."""
_GROUPS_MAX: Final = 65_536
"""NGROUPS_MAX of Linux."""
_GID: Final = struct.Struct("I")


def peer_of(connection: socket.socket) -> Peer:
    """The peer's account and groups. Raises OSError."""
    _, uid, gid = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return Peer(uid & 0xFFFFFFFF, frozenset({gid & 0xFFFFFFFF, *_groups(connection)}))


def _groups(connection: socket.socket) -> tuple[int, ...]:
    try:
        found = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, 256 * _GID.size)
    except OSError:  # more of them, which is rare: the answer would have been cut
        found = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _GROUPS_MAX * _GID.size)
    return tuple(gid for (gid,) in _GID.iter_unpack(found))
