"""What ends a program that serves: Ctrl-C, a terminal that is closed, or whoever started it. On every system as one event of
the loop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_NAMES: Final = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
"""Windows sends the first and the last (Ctrl-C, Ctrl-Break), POSIX all others; each has the ones that it knows."""
_LEFT_ALONE: Final = ("SIGHUP", "SIGBREAK")
"""What is ignored stays so: the first under `nohup`; as the other Windows' C library hands on, too, that some person logs off,
which a service ignores."""


@contextmanager
def stopping(stop: asyncio.Event) -> Iterator[None]:
    """Inside, each of them sets `stop`; afterwards they do what they did before. For the main thread.

    Loops of Windows take no handlers of signals (asyncio says `NotImplementedError`), and are woken by one of the interpreter's.
    """
    loop = asyncio.get_running_loop()
    numbers = [signal.Signals[name] for name in _NAMES if name in signal.Signals.__members__ and not _left(name)]
    try:
        for number in numbers:
            loop.add_signal_handler(number, stop.set)
    except NotImplementedError:
        with _by_the_interpreter(loop, stop, numbers):
            yield
        return
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def _left(name: str) -> bool:
    return name in _LEFT_ALONE and signal.getsignal(signal.Signals[name]) is signal.SIG_IGN


@contextmanager
def _by_the_interpreter(
    loop: asyncio.AbstractEventLoop, stop: asyncio.Event, numbers: list[signal.Signals]
) -> Iterator[None]:
    def heard(_number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(stop.set)

    before = {number: signal.signal(number, heard) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
