"""The heads of requests on a connection without TLS: whom each names, and how long its body is. Pure; no mitmproxy.

Servers are lenient, each in its own way, and a client may choose its server's: so whatever some server takes for a request is
one here, all hosts that a head may mean are told, and a head that two readers could take for different requests is not `sure`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from spendgate.capture.scope import folded

HEAD_BYTES_MAX: Final = 65_536
"""Of one head, and of one line of a chunked body. Most servers take less."""
PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What begins HTTP/2 without TLS (RFC 9113, 3.4), at once or after an upgrade."""

_EMPTY_LINES = re.compile(rb"(?:\r?\n)*")
_BLANK = re.compile(rb"[ \t\r\n\v\f]*")
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}"
_SPACE = rb"[ \t\r\v\f]"
_BEGUN = re.compile(_TOKEN + rb"(?:" + _SPACE + rb"[^\n\0]*)?\Z")
"""A first line that has not ended, and may become a request's."""
_TARGET = re.compile(_TOKEN + _SPACE + rb"+(?:[/*]|[Hh][Tt][Tt][Pp])|(?i:CONNECT)" + _SPACE)
_METHOD = re.compile(rb"[A-Z]{0,32}(?:[ \t]|\Z)")
_REQUEST = re.compile(_TOKEN + _SPACE + rb"[^\n\0]*" + _SPACE + rb"[Hh][Tt][Tt][Pp]/[^ \t]*[ \t\r\v\f]*\n")
_VERSIONLESS = re.compile(rb"[A-Z]{1,32}" + _SPACE + rb"+(?:[/*]|[Hh][Tt][Tt][Pp][Ss]?:)[^\n\0]*\n")
"""HTTP/0.9, which some servers take with fields and a body, too (llhttp does, and so Node and uvicorn)."""
_END = re.compile(rb"\n\r?\n")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\r\n\0]*)")
_HOST = re.compile(rb"(?im)^[ \t]*host[ \t]*:([^\n]*)")
_ABSOLUTE = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*:[/\\]*([^/?#\\]*)")
_NAME = re.compile(rb"[A-Za-z0-9_.-]+")
_OLD = re.compile(rb"(?i)http/1\.0[ \t]*\r?\Z")


class Other(Enum):
    """What begins here is no request."""

    NO_HTTP = "no HTTP"
    HTTP2 = "HTTP/2"


@dataclass(frozen=True, slots=True)
class Head:
    """One request's head."""

    size_bytes: int
    """To the end of the empty line, with what was blank before it."""
    hosts: tuple[str, ...]
    """Whom it may be for, folded and without ports: by its target, and by every Host."""
    body_bytes: int | None = 0
    """None: its body is chunked."""
    sure: bool = True
    """Whether every reader takes it for the same request. Else nothing here holds but `hosts`."""


def read_head(data: bytes) -> Head | Other | None:
    """What begins here. None: more bytes are needed to tell; that ends after `HEAD_BYTES_MAX`."""
    start = _end_of(_BLANK, data, 0)
    rest = data[start:]
    full = len(data) >= HEAD_BYTES_MAX
    if not rest or PREFACE.startswith(rest):
        return _too_long(data) if full else None
    if rest.startswith(PREFACE):
        return Other.HTTP2
    if b"\n" not in rest:
        if _BEGUN.match(rest) is None:
            return Other.NO_HTTP
        return None if not full else _too_long(data) if likely(data) else Other.NO_HTTP
    if _REQUEST.match(rest) is None and _VERSIONLESS.match(rest) is None:
        return Other.NO_HTTP
    end = _END.search(rest)
    if end is None:
        return _too_long(data) if full else None
    sure = start == _end_of(_EMPTY_LINES, data, 0)
    return _whole(start + end.end(), rest[: end.start()], sure=sure)


def likely(data: bytes) -> bool:
    """Whether this beginning has what a request's target begins with: then it waits until it is told what it is."""
    return _TARGET.match(data, _end_of(_BLANK, data, 0)) is not None


def may_be(data: bytes) -> bool:
    """Whether it is that, or so far a usual method or nothing."""
    return likely(data) or _METHOD.match(data, _end_of(_BLANK, data, 0)) is not None


def named(data: bytes) -> tuple[str, ...]:
    """Whom a head may be for, whole or not."""
    request, *_ = data.lstrip().split(b"\n", 1)
    parts = request.split(maxsplit=2)
    found = _HOST.findall(data)
    if len(parts) > 1:
        found.append(parts[1] if parts[0].upper() == b"CONNECT" else authority(parts[1]))
    return tuple(name for value in found for name in names_in(value))


def authority(target: bytes) -> bytes:
    """The authority of a target that is a whole URL; else nothing."""
    absolute = _ABSOLUTE.match(target)
    return absolute[1] if absolute else b""


def names_in(value: bytes) -> Iterator[str]:
    """Every name that stands in a host field or an authority, with a user and a port or without."""
    return (folded(name.decode("ascii")) for name in _NAME.findall(value))


def _whole(size_bytes: int, head: bytes, *, sure: bool) -> Head:
    request, *lines = (line.removesuffix(b"\r") for line in head.split(b"\n"))
    hosts = named(head)
    fields = [_FIELD.fullmatch(line) for line in lines]
    body = _body([(each[1].lower(), each[2].strip(b" \t")) for each in fields if each], old=bool(_OLD.search(request)))
    if not sure or None in fields or b"\r" in request or body is False:
        return Head(size_bytes, hosts, sure=False)
    return Head(size_bytes, hosts, body if body is not True else None)


def _body(fields: list[tuple[bytes, bytes]], *, old: bool) -> int | bool:
    """Bytes; True: chunked; False: it can be taken in two ways."""
    lengths = [value for name, value in fields if name == b"content-length"]
    codings = [value for name, value in fields if name == b"transfer-encoding"]
    if codings:
        return codings[0].lower() == b"chunked" and len(codings) == 1 and not lengths and not old
    if not lengths:
        return 0
    return int(lengths[0]) if len(lengths) == 1 and re.fullmatch(rb"[0-9]{1,18}", lengths[0]) else False


def _too_long(data: bytes) -> Head:
    return Head(len(data), named(data), sure=False)


def _end_of(pattern: re.Pattern[bytes], data: bytes, at: int) -> int:
    found = pattern.match(data, at)
    return found.end() if found else at
