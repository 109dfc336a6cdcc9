"""macOS' table of TCP connections, which every account may read: sysctl `net.inet.tcp.pcblist_n`, what netstat(1) asks for.

Written by hand because psutil asks each process for its files, which takes root for those of others. Layout: Apple's xnu
(`bsd/netinet/in_pcblist.c`, `in_pcb.h`, `bsd/sys/socketvar.h`, `bsd/net/ntstat.c`): a head, rows of one size, a tail like the
head; each row is records (length, kind, …) packed to 4 bytes and padded to 8. Both of Apple's processors are little-endian.
"""

from __future__ import annotations

import ctypes
import errno
import ipaddress
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from spendgate.identity.interface import Address, Endpoints, address

_NAME = b"net.inet.tcp.pcblist_n"
_TRIES = 4
_SOCKET, _INPCB, _TCPCB = 0x001, 0x010, 0x020
_HEAD_BYTES = 24
"""Of `struct xinpgen`, which is the head and the tail; no record of a row is as short."""
_RECORD = struct.Struct("<II")  # length, kind
_ENDS = struct.Struct("<16x4s24xB3x16s16s")  # both ports, foreign first; vflag; foreign and local address
_HOLDER = struct.Struct("<8xQ48xIi")  # handle, uid, pid of its last use
_PORTS = slice(16, 20)
_STATE = struct.Struct("<36xi")
_IPV4, _IPV6 = 0x1, 0x2
ESTABLISHED, SYN_SENT = 4, 2
"""States of tcp_fsm.h."""


@dataclass(frozen=True, slots=True)
class Row:
    """One connection. Without uid and pid no socket is behind it any more."""

    local: Address
    remote: Address
    uid: int | None
    """Who opened the socket; None, with a pid: a connection that the process keeps without one (Network.framework)."""
    pid: int | None
    state: int


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where rows start, how long each is, and where in it these records are. Newer systems have longer ones."""

    start: int
    row: int
    socket: int
    tcp: int


def read() -> bytes:
    """The table of this instant. Raises OSError; AttributeError where the system is not macOS."""
    sysctlbyname = ctypes.CDLL(None, use_errno=True).sysctlbyname
    for _ in range(_TRIES):
        size = ctypes.c_size_t(0)
        if sysctlbyname(_NAME, None, ctypes.byref(size), None, ctypes.c_size_t(0)) == 0:
            table = ctypes.create_string_buffer(size.value)
            if sysctlbyname(_NAME, table, ctypes.byref(size), None, ctypes.c_size_t(0)) == 0:
                return table.raw[: size.value]
        if ctypes.get_errno() != errno.ENOMEM:
            break  # else it has grown by more than the eighth that the kernel adds
    code = ctypes.get_errno()
    raise OSError(code, os.strerror(code))


def rows(table: bytes) -> Iterator[Row]:
    """All that have two ends. Raises ValueError where the table is not laid out so."""
    layout = _layout(table)
    for at in _starts(table, layout):
        found = _row(table, layout, at)
        if found is not None:
            yield found


def find(table: bytes, ends: Endpoints) -> Row | None:
    """The connection with these ends, of two the one that is still held. Raises ValueError: the table, or an address."""
    ports = struct.pack("!HH", ends.remote[1], ends.local[1])
    local, remote = (str(address(end[0])) for end in (ends.local, ends.remote))
    layout = _layout(table)
    best: Row | None = None
    for at in _starts(table, layout):
        if table[at + _PORTS.start : at + _PORTS.stop] != ports:
            continue
        found = _row(table, layout, at)
        if found is not None and (found.local[0], found.remote[0]) == (local, remote):
            best = found if best is None or found.pid is not None else best
    return best


def _layout(table: bytes) -> _Layout:
    """From the first row: all are of one size. Raises ValueError."""
    start = _length(table, 0)[0]
    if start != _HEAD_BYTES:
        raise ValueError("the table of connections has no head")
    places: dict[int, int] = {}
    at = start
    while True:
        length, kind = _length(table, at)
        if length in (0, _HEAD_BYTES) or (kind == _INPCB and places):
            break
        places.setdefault(kind, at - start)
        at += _padded(length)
    if not places:
        return _Layout(start, 0, 0, 0)
    if places.get(_INPCB) != 0 or _SOCKET not in places or _TCPCB not in places:
        raise ValueError("the table of connections has a layout that is not known")
    return _Layout(start, at - start, places[_SOCKET], places[_TCPCB])


def _starts(table: bytes, layout: _Layout) -> Iterator[int]:
    at = layout.start
    while True:
        length, kind = _length(table, at)
        if length in (0, _HEAD_BYTES):
            return
        if kind != _INPCB or at + layout.row > len(table) or _length(table, at + layout.socket)[1] != _SOCKET:
            raise ValueError("the table of connections has rows of several sizes")
        yield at
        at += layout.row


def _row(table: bytes, layout: _Layout, at: int) -> Row | None:
    ports, family, foreign, local = _ENDS.unpack_from(table, at)
    handle, uid, pid = _HOLDER.unpack_from(table, at + layout.socket)
    (state,) = _STATE.unpack_from(table, at + layout.tcp)
    theirs, ours = _text(foreign, family), _text(local, family)
    remote_port, local_port = struct.unpack("!HH", ports)
    if theirs is None or ours is None or not remote_port:
        return None
    # A row without a socket has zeros for its owner: that is nobody, never root.
    return Row((ours, local_port), (theirs, remote_port), uid if handle else None, pid or None, state)


def _text(packed: bytes, family: int) -> str | None:
    if family & _IPV4:
        return str(ipaddress.IPv4Address(packed[12:]))
    if not family & _IPV6:
        return None
    if packed[0] == 0xFE and packed[1] & 0xC0 == 0x80:
        packed = packed[:2] + b"\0\0" + packed[4:]  # the kernel keeps a link's number there
    return str(address(str(ipaddress.IPv6Address(packed))))


def _length(table: bytes, at: int) -> tuple[int, int]:
    """Length and kind of a record; 0 at the end. Raises ValueError where the table ends within it."""
    if at == len(table):
        return 0, 0  # a system without connections writes no tail
    if at + _RECORD.size > len(table):
        raise ValueError("the table of connections ends within a row")
    length, kind = _RECORD.unpack_from(table, at)
    if length < _HEAD_BYTES:
        raise ValueError("the table of connections has rows of several sizes")
    return length, kind


def _padded(length: int) -> int:
    return (length + 7) & ~7
