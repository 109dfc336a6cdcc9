"""What a gate tells systemd that started it: that it is ready, that its loop lives, that it stops. sd_notify(3), nothing else.

The watchdog is answered on the event loop that carries the traffic: a loop that hangs is a gate that hangs, and systemd starts
another one.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Protocol


class Told(Protocol):
    """A service manager, as a gate talks to it."""

    def ready(self, status: str, /) -> None:
        """The gate accepts connections; `status` is one line."""

    def stopping(self) -> None:
        """It has begun to end."""

    async def keep_telling(self) -> None:
        """That its loop lives, until cancelled."""


@dataclass(frozen=True, slots=True)
class Manager:
    """Where systemd listens, and how often it wants to hear; nowhere and never where it did not start us."""

    address: str = ""
    every_s: float | None = None

    @classmethod
    def of(cls, environ: MutableMapping[str, str], pid: int) -> Manager:
        """Taken out of the environment: what this process starts must not speak for it."""
        address = environ.pop("NOTIFY_SOCKET", "")
        within, whose = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
        watched = within.isdecimal() and int(within) > 0 and whose in ("", str(pid))
        return cls(address, int(within) / 3_000_000 if watched else None)

    def ready(self, status: str) -> None:
        """It accepts connections; `status` is one line for `systemctl status`."""
        self._tell(f"READY=1\nSTATUS={status}")

    def says(self, status: str) -> None:
        """Another line for `systemctl status`."""
        self._tell(f"STATUS={status}")

    def alive(self) -> None:
        """It is not hung."""
        if self.every_s is not None:
            self._tell("WATCHDOG=1")

    def stopping(self) -> None:
        """It has begun to end."""
        self._tell("STOPPING=1")

    async def keep_telling(self) -> None:
        """Say that the loop lives, until cancelled; returns where nobody wants to hear."""
        while self.address and self.every_s is not None:
            self.alive()
            await asyncio.sleep(self.every_s)

    def _tell(self, text: str) -> None:
        if not self.address:
            return
        name = f"\0{self.address[1:]}" if self.address.startswith("@") else self.address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.setblocking(False)  # a manager that does not read must not hold up calls
            told.sendto(text.encode(), name)
