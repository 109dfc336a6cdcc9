"""Tables of connections as xnu writes them: the structures of Apple's headers (pack(4)), filled as `in_pcblist.c` and
`ntstat.c` fill them. Transcribed, not measured on a Mac."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from ctypes import LittleEndianStructure, c_char, c_int16, c_int32, c_ubyte, c_uint16, c_uint32, c_uint64, sizeof
from dataclasses import dataclass
from typing import ClassVar

import psutil

from spendgate.identity.interface import Address


class Packed(LittleEndianStructure):
    """As `#pragma pack(4)` has it."""

    _pack_ = 4


class Head(Packed):
    """`struct xinpgen`."""

    _fields_: ClassVar = [("length", c_uint32), ("count", c_uint32), ("generation", c_uint64), ("sockets", c_uint64)]


class Hops(Packed):
    """`inp_depend6`."""

    _fields_: ClassVar = [("hlim", c_ubyte), ("cksum", c_int32), ("ifindex", c_uint16), ("hops", c_int16)]


class Ends(Packed):
    """`struct xinpcb_n`. Addresses are unions of `in6_addr` and of three words before an `in_addr`."""

    _fields_: ClassVar = [
        ("length", c_uint32), ("kind", c_uint32), ("inpp", c_uint64), ("fport", c_ubyte * 2), ("lport", c_ubyte * 2),
        ("ppcb", c_uint64), ("gencnt", c_uint64), ("flags", c_int32), ("flow", c_uint32), ("vflag", c_ubyte),
        ("ttl", c_ubyte), ("protocol", c_ubyte), ("foreign", c_uint32 * 4), ("local", c_uint32 * 4), ("tos", c_ubyte),
        ("hops", Hops), ("flowhash", c_uint32), ("flags2", c_uint32),
    ]  # fmt: skip


class Holder(Packed):
    """`struct xsocket_n` up to macOS 12."""

    _fields_: ClassVar = [
        ("length", c_uint32), ("kind", c_uint32), ("so", c_uint64), ("type", c_int16), ("options", c_uint32),
        ("linger", c_int16), ("state", c_int16), ("pcb", c_uint64), ("protocol", c_int32), ("family", c_int32),
        ("qlen", c_int16), ("incqlen", c_int16), ("qlimit", c_int16), ("timeo", c_int16), ("error", c_uint16),
        ("pgid", c_int32), ("oobmark", c_uint32), ("uid", c_uint32), ("last_pid", c_int32), ("e_pid", c_int32),
    ]  # fmt: skip


class NewerHolder(Packed):
    """The same from macOS 13 on."""

    _fields_: ClassVar = [
        *Holder._fields_,
        ("gencnt", c_uint64), ("so_flags", c_uint32), ("flags1", c_uint32), ("usecount", c_int32), ("retaincnt", c_int32),
        ("filter", c_uint32),
    ]  # fmt: skip


class Buffer(Packed):
    """`struct xsockbuf_n`."""

    _fields_: ClassVar = [
        ("length", c_uint32), ("kind", c_uint32), ("cc", c_uint32), ("hiwat", c_uint32), ("mbcnt", c_uint32),
        ("mbmax", c_uint32), ("lowat", c_int32), ("flags", c_int16), ("timeo", c_int16),
    ]  # fmt: skip


class Statistics(Packed):
    """`struct xsockstat_n`."""

    _fields_: ClassVar = [("length", c_uint32), ("kind", c_uint32), ("classes", c_uint64 * 16)]


class Protocol(Packed):
    """`struct xtcpcb_n`: its first fields, and as many bytes as it has."""

    _fields_: ClassVar = [
        ("length", c_uint32), ("kind", c_uint32), ("segq", c_uint64), ("dupacks", c_int32), ("timer", c_int32 * 4),
        ("state", c_int32), ("rest", c_char * 164),
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """A connection to be written. `so` 0: no socket is behind it."""

    local: Address
    remote: Address
    uid: int = 0
    pid: int = 0
    so: int = 0xFEED
    vflag: int | None = None
    state: int = 4


def live() -> bytes:
    """This system's connections over IPv4, each with the account that its process runs under."""
    lines = []
    for each in psutil.net_connections("tcp4"):
        if each.raddr and each.pid:
            try:
                lines.append(Line(each.laddr, each.raddr, psutil.Process(each.pid).uids().effective, each.pid))
            except psutil.NoSuchProcess:
                continue  # it ended meanwhile
    return table(lines)


def table(lines: Iterable[Line], holder: type[Packed] = NewerHolder, count: int | None = None) -> bytes:
    """`count`: what head and tail say of the number of lines."""
    lines = list(lines)
    head = bytes(Head(24, len(lines) if count is None else count, 7, 7))
    return head + b"".join(_row(each, holder) for each in lines) + head


def _row(line: Line, holder: type[Packed]) -> bytes:
    six = ":" in line.local[0]
    ends = Ends(length=sizeof(Ends), kind=0x10, vflag=line.vflag or (2 if six else 1))
    ends.fport[:], ends.lport[:] = line.remote[1].to_bytes(2, "big"), line.local[1].to_bytes(2, "big")
    for field, (address, _) in ((ends.foreign, line.remote), (ends.local, line.local)):
        packed = ipaddress.ip_address(address).packed.rjust(16, b"\0")
        field[:] = [int.from_bytes(packed[at : at + 4], "little") for at in range(0, 16, 4)]
    who = holder(
        length=sizeof(holder), kind=1, so=line.so, uid=line.uid, last_pid=line.pid, e_pid=99, family=socket.AF_INET
    )
    records = (
        ends,
        who,
        Buffer(sizeof(Buffer), 2),
        Buffer(sizeof(Buffer), 4),
        Statistics(sizeof(Statistics), 8),
        Protocol(length=sizeof(Protocol), kind=0x20, state=line.state),
    )
    return b"".join(bytes(each).ljust((sizeof(each) + 7) & ~7, b"\0") for each in records)
