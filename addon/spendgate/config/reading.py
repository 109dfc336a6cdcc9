"""Reading a file that somebody else may replace by anything, without ever waiting for it where waiting would matter."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Final

_NOT_WAITING: Final[int] = getattr(os, "O_NONBLOCK", 0)  # Windows has none, and no pipes among its files
_NO_LINK: Final[int] = getattr(os, "O_NOFOLLOW", 0)  # nor this, nor links that anybody may make
_NO_FILE: Final = "it is a directory, pipe, device or socket; put a regular file, or a link to one, in its place"
_REMEDIES: Final = {
    errno.ENOENT: "; write its path as it is, from the folder in which the command runs",
    errno.EACCES: "; let the account that reads it read it",
}


def read_regular(path: Path, bytes_max: int, *, linked: bool = True) -> bytes:
    """The first `bytes_max` bytes of a regular file, also behind links. Raises OSError; for anything else than a file at once.

    Without `linked` the file is no link itself: for a path that was judged, and in whose place a link may have come since.
    """
    with open(path, "rb", opener=_opened if linked else _opened_itself) as file:
        return file.read(bytes_max)


def unread(path: Path, fault: OSError) -> str:
    """Why a file cannot be read, with what to do: one line that begins with its path."""
    if fault.errno == errno.ENOENT and str(path) == "-":
        return "-: cannot be read: standard input is no file; save it, and give its path"
    remedy = _REMEDIES.get(fault.errno or 0, "")
    return f"{path}: cannot be read: {fault.strerror or fault}{remedy}"


def _opened(path: str, flags: int) -> int:
    if stat.S_ISREG(Path(path).stat().st_mode):
        handle = os.open(path, flags | _NOT_WAITING)
        if stat.S_ISREG(os.fstat(handle).st_mode):
            return handle
        os.close(handle)  # a pipe took its place in between, and would have waited for a writer
    raise OSError(errno.EINVAL, _NO_FILE)


def _opened_itself(path: str, flags: int) -> int:
    return _opened(path, flags | _NO_LINK)


async def apart[T](work: Callable[[], T]) -> T:
    """What `work` gives or raises, done on a thread of its own that the program's end does not wait for.

    asyncio's own threads are joined at the end, for ever if a file system that went away holds one of them.
    """
    done: Future[T] = Future()

    def run() -> None:
        done.set_running_or_notify_cancel()
        try:
            done.set_result(work())
        except BaseException as fault:  # noqa: BLE001 - it is the caller's to judge
            done.set_exception(fault)

    threading.Thread(target=run, name="apart", daemon=True).start()
    return await asyncio.wrap_future(done)
