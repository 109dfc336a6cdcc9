"""Files of other programs, read without trust: one's own, regular, no links, line by line, each line bounded.

A log may be gigabytes long, be written while it is read, end in the middle of a line, or hold a line of a whole picture. Memory
is bounded by the longest line that is looked at; a file is read to the length that it had when it was opened.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from spendgate.reconcile.witnesses.interface import Told

LINE_BYTES_MAX: Final = 64 << 20
DOCUMENT_BYTES_MAX: Final = 64 << 20
DEPTH_MAX: Final = 12
FILES_MAX: Final = 1_000_000
_READ_BYTES: Final = 1 << 20
_OPEN: Final = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""Not through a link, and without waiting for the other end of a pipe."""
_BEGINNING: Final = 4
_UTF_8: Final = b"\xef\xbb\xbf"
"""What shells of Windows write before a text."""
_OTHER_FORMS: Final = (b"\xff\xfe", b"\xfe\xff", b"\x1f\x8b", b"\x28\xb5\x2f\xfd")
"""How UTF-16, gzip and zstd begin: no line of them is one of ours, so that nothing in them would be told as unread."""


class Found(Struct, frozen=True):
    """A file, and when it was last written to."""

    path: Path
    changed_ms: int


def own(status: os.stat_result) -> bool:
    """Whether it belongs to the account that asks. On Windows access lists decide."""
    return not hasattr(os, "geteuid") or status.st_uid == os.geteuid()


def found(place: Path, endings: tuple[str, ...], told: Told) -> list[Found]:
    """The files under a place with these endings, the one first that was written to first; a place may be one file.

    The place itself may be a link (people keep their settings in a repository); what is in it is followed nowhere.
    """
    try:
        top = place.stat()
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError:
        told.closed += 1
        return []
    if not own(top):
        told.foreign += 1
        return []
    if stat.S_ISREG(top.st_mode):
        return [Found(place.resolve(), _changed(top))]
    each = sorted(_walk(place, endings, told, DEPTH_MAX), key=lambda one: (one.changed_ms, str(one.path)))
    told.closed += max(len(each) - FILES_MAX, 0)
    return each[-FILES_MAX:]


def _walk(folder: Path, endings: tuple[str, ...], told: Told, depth: int) -> Iterator[Found]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        told.closed += 1
        return
    for entry in entries:
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue  # it has gone meanwhile
        except OSError:
            told.closed += 1
            continue
        if stat.S_ISLNK(status.st_mode):
            told.links += 1
        elif not own(status):
            told.foreign += 1
        elif stat.S_ISDIR(status.st_mode):
            if depth:
                yield from _walk(Path(entry.path), endings, told, depth - 1)
            else:
                told.closed += 1
        elif stat.S_ISREG(status.st_mode) and entry.name.endswith(endings):
            yield Found(Path(entry.path), _changed(status))


def _changed(status: os.stat_result) -> int:
    return status.st_mtime_ns // 1_000_000


def records[T](path: Path, needles: tuple[bytes, ...], decoder: msgspec.json.Decoder[T], told: Told) -> Iterator[T]:
    """The lines of a file that hold one of `needles`, decoded; the others are passed over undecoded."""
    for line, ended in lines(path, told):
        if not any(needle in line for needle in needles):
            continue
        try:
            record = decoder.decode(line)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            if ended:
                told.unreadable += 1
            else:
                told.cut_off += 1
            continue
        told.lines += 1
        yield record


def document(path: Path, told: Told) -> bytes | None:
    """A file that is one document over many lines: `lines` bounds each of them, this their sum. None: it is too long."""
    text = bytearray()
    for line, _ in lines(path, told):
        text += line
        if len(text) > DOCUMENT_BYTES_MAX:
            told.too_long += 1
            return None
    return bytes(text)


def lines(path: Path, told: Told) -> Iterator[tuple[bytes, bool]]:
    """Each line, and whether it has its end; one that is too long is counted and passed over."""
    try:
        descriptor = os.open(path, _OPEN)
    except OSError:
        told.closed += 1
        return
    with os.fdopen(descriptor, "rb", buffering=_READ_BYTES) as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or not own(status):
            told.foreign += 1
            return
        try:
            head = file.read(_BEGINNING)
            if head.startswith(_OTHER_FORMS):
                told.encoded += 1
                return
            told.files += 1
            mark = len(_UTF_8) if head.startswith(_UTF_8) else 0
            file.seek(mark)
            yield from _bounded(file, status.st_size - mark, told)
        except OSError:
            told.closed += 1


def _bounded(file: Any, left: int, told: Told) -> Iterator[tuple[bytes, bool]]:  # noqa: ANN401 - a buffered reader
    passing = False
    while left > 0:
        most = min(left, LINE_BYTES_MAX)
        line: bytes = file.readline(most)
        if not line:
            return
        ended = line.endswith(b"\n")
        # What is shorter and has no end stands where the file was cut off meanwhile.
        left = left - len(line) if ended or len(line) == most else 0
        begun, passing = passing, not ended and left > 0
        if passing and not begun:
            told.too_long += 1
        if not passing and not begun:
            yield line, ended
