"""What ends a program that serves, on loops that take handlers of signals and on those that do not."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import pytest

from spendgate.capture import stopping as module
from spendgate.capture.stopping import stopping


@pytest.mark.parametrize("takes_handlers", [True, False])
@pytest.mark.parametrize("number", [each for each in signal.Signals if each.name in ("SIGINT", "SIGTERM", "SIGHUP")])
def test_a_signal_stops_and_afterwards_does_what_it_did(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals, takes_handlers: bool
) -> None:
    """Also while the loop waits for nothing else; whoever handled it before gets the next one."""
    heard: list[int] = []
    before = signal.signal(number, lambda got, _: heard.append(got))

    def not_there(*_: object) -> None:
        raise NotImplementedError

    async def until_stopped() -> None:
        if not takes_handlers:
            monkeypatch.setattr(asyncio.get_running_loop(), "add_signal_handler", not_there)
        stop = asyncio.Event()
        with stopping(stop):
            asyncio.get_running_loop().call_later(0.01, os.kill, os.getpid(), number)
            await stop.wait()
        assert heard == []

    try:
        asyncio.run(until_stopped())
        if not takes_handlers:
            os.kill(os.getpid(), number)
            assert heard == [number]
    finally:
        signal.signal(number, before)


@pytest.mark.skipif(sys.platform == "win32", reason="it has no terminals that hang up")
async def test_under_nohup_it_goes_on() -> None:
    """The terminal is closed, and whoever started it wanted it to stay."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        stop = asyncio.Event()
        with stopping(stop):
            os.kill(os.getpid(), signal.SIGHUP)
            await asyncio.sleep(0)
        assert not stop.is_set()
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.skipif(sys.platform == "win32", reason="there the signal is not another's")
@pytest.mark.parametrize("ignored", [True, False])
async def test_a_service_goes_on_when_a_person_logs_off(monkeypatch: pytest.MonkeyPatch, ignored: bool) -> None:
    """What it ignores stays ignored; elsewhere it is Ctrl-Break, which ends a gate. SIGUSR1 stands for what Windows alone has."""
    monkeypatch.setattr(module, "_NAMES", ("SIGTERM", "SIGUSR1"))
    monkeypatch.setattr(module, "_LEFT_ALONE", ("SIGUSR1",))
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        with stopping(asyncio.Event()):
            assert (signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN) is ignored
    finally:
        signal.signal(signal.SIGUSR1, before)
