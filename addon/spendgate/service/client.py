"""One question to a service, and its answer."""

from __future__ import annotations

import os
import socket
import stat
import time
from pathlib import Path
from typing import Any

import msgspec

from spendgate.errors import SpendgateError, StateError, UsageError
from spendgate.service.interface import (
    ANSWER_BYTES_MAX,
    ANSWER_S,
    LENGTH_BYTES,
    QUESTION_S,
    VERSION,
    Answer,
    Kind,
    framed,
)
from spendgate.service.peers import peer_of

_SLACK_S = 10.0
_AGAIN_S = 0.01


def asked[T](path: Path, call: str, args: dict[str, Any], answer: type[T]) -> T:
    """What the service at `path` answers. Raises StateError where there is none; and what it says: StateError, UsageError,
    SpendgateError."""
    question = msgspec.json.encode({"version": VERSION, "call": call, "args": args})
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(QUESTION_S)
            _connect(connection, path)
            _check(path, connection)
            _send(connection, framed(question))
            connection.settimeout(ANSWER_S + _SLACK_S)
            length = int.from_bytes(_exactly(connection, LENGTH_BYTES), "big")
            if length > ANSWER_BYTES_MAX:
                raise StateError(
                    f"{path} answers with more than {ANSWER_BYTES_MAX >> 20} MiB: it is no service of ours"
                )
            content = _exactly(connection, length)
    except FileNotFoundError:
        raise StateError(
            f"{path} is not there: is the gate's service running? (--state DIR: a ledger of your own)"
        ) from None
    except ConnectionRefusedError:
        raise StateError(f"nobody answers at {path}: the gate's service has stopped; start it again") from None
    except TimeoutError:
        raise StateError(f"the service at {path} does not answer in time; try again") from None
    except OSError as fault:
        raise StateError(f"the service at {path} cannot be asked: {fault.strerror or fault}") from fault
    return _value(path, content, answer)


def _connect(connection: socket.socket, path: Path) -> None:
    """Many may want to at once, and who finds no place is not made to wait by the kernel. Raises OSError."""
    until = time.monotonic() + QUESTION_S
    while True:
        try:
            return connection.connect(str(path))
        except BlockingIOError:
            if time.monotonic() > until:
                raise TimeoutError from None
            time.sleep(_AGAIN_S)


def _check(path: Path, connection: socket.socket) -> None:
    """The socket's owner answers, or root, and nobody else could have put it there. Raises StateError."""
    found, folder = path.lstat(), path.parent.stat()
    owner = peer_of(connection).uid
    if owner not in (0, found.st_uid):
        raise StateError(f"{path} belongs to uid {found.st_uid}, and uid {owner} answers there: nothing was asked")
    if folder.st_mode & (stat.S_IWOTH | stat.S_IWGRP) and folder.st_uid != os.geteuid():
        raise StateError(
            f"{path.parent} can be written by other accounts, so that anybody could answer there; nothing was asked"
        )


def _send(connection: socket.socket, content: bytes) -> None:
    """A service that turns us away may do so before it has read all."""
    try:
        connection.sendall(content)
    except BrokenPipeError:
        pass


def _exactly(connection: socket.socket, size: int) -> bytes:
    """So many bytes. Raises StateError where there are fewer."""
    parts, left = [], size
    while left:
        part = connection.recv(min(left, 1 << 20))
        if not part:
            raise StateError("the service ended in the middle of an answer; try again")
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _value[T](path: Path, content: bytes, answer: type[T]) -> T:
    try:
        found = msgspec.json.decode(content, type=Answer)
        if found.version == VERSION and found.fault is None:
            return msgspec.json.decode(found.value, type=answer)
    except msgspec.MsgspecError as fault:
        raise StateError(
            f"{path} answers what this Spendgate cannot read: install the version that the gate runs"
        ) from fault
    if found.fault is None:
        raise StateError(f"{path} speaks version {found.version}, this Spendgate {VERSION}: install the gate's version")
    match found.fault.kind:
        case Kind.USAGE:
            raise UsageError(found.fault.text)
        case Kind.STATE | Kind.BUSY:
            raise StateError(found.fault.text)
    raise SpendgateError(found.fault.text)
