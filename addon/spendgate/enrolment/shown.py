"""The certificate that an office shows in TLS: its own, from files that somebody renews while it answers.

The files are looked at by their dates (of what a link leads to, since renewals exchange links). New ones are loaded beside those
in use: both have to be there, to fit each other and to hold now, or the last good one goes on being shown. Connections that are
open keep the one that they began with.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509

LOOKS_EVERY_S = 2.0
Stamp = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """One certificate with its chain and key, ready to be shown."""

    tls: ssl.SSLContext
    since: datetime
    until: datetime
    """The leaf's, in UTC."""
    pem: bytes
    """The certificate's file, to tell another one by."""


@dataclass(frozen=True, slots=True)
class Files:
    """Where it lies: PEM, the leaf first, its chain behind; `key` where that is a file of its own."""

    certificate: Path
    key: Path | None = None

    def stamp(self) -> Stamp:
        """What tells one content from the next; None for a file that is not there."""
        return tuple(_stamp(each) for each in (self.certificate, self.key) if each is not None)

    def load(self, *, ask: bool = False) -> Shown:
        """What lies there. `ask`: the passphrase of a locked key, at the terminal. Raises ValueError, with what is wrong."""
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            tls.load_cert_chain(self.certificate, self.key, None if ask else _nobody)
            pem = self.certificate.read_bytes()
            leaf = x509.load_pem_x509_certificates(pem)[0]
        except (OSError, ValueError) as fault:  # ssl.SSLError is an OSError: half of a file, another's key, no PEM
            why = (fault.strerror if isinstance(fault, OSError) else None) or fault
            raise ValueError(f"{self.certificate}: is no certificate with its key: {why}") from None
        return Shown(tls, leaf.not_valid_before_utc, leaf.not_valid_after_utc, pem)


@dataclass(slots=True)
class Following:
    """What is shown, and what was last seen of the files. `told`: where lines go."""

    files: Files
    shown: Shown
    seen: Stamp
    told: Callable[[str], None]
    ended: bool = False
    """Whether it was told that what is shown has ended."""

    def look(self, now: datetime) -> Shown | None:
        """Another one that is to be shown from now on; None: the same. Each thing is said once."""
        before = self.files.stamp()
        found = self._judged(now) if before != self.seen else None
        if self.files.stamp() != before:
            return None  # it is being written: the next look has the whole
        self.seen = before
        if isinstance(found, Shown):
            self.shown, self.ended = found, False
            self.told(f"{self.files.certificate}: renewed, and shown from now on; holds until {_day(found.until)}")
            return found
        if found is not None:
            self.told(f"{found}; the one before goes on being shown, until {_day(self.shown.until)}")
        if now >= self.shown.until and not self.ended:
            self.ended = True
            self.told(
                f"{self.files.certificate}: what is shown has ended on {_day(self.shown.until)}: laptops refuse it"
            )
        return None

    def _judged(self, now: datetime) -> Shown | str | None:
        """What lies there now, where it is another; or why it is not taken."""
        try:
            found = self.files.load()
        except ValueError as fault:
            return str(fault)
        if not found.since <= now < found.until:
            return f"{self.files.certificate}: holds from {_day(found.since)} until {_day(found.until)}, not now"
        return found if found.pem != self.shown.pem else None


async def follow(following: Following, show: Callable[[ssl.SSLContext], None], now: Callable[[], datetime]) -> None:
    """Until cancelled: `show` gets each that is to be shown from then on."""
    while True:
        await asyncio.sleep(LOOKS_EVERY_S)
        if found := following.look(now()):
            show(found.tls)


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d}"


def _nobody() -> bytes:
    """Nobody sits at a running office: a locked key is refused, where OpenSSL would ask the terminal and wait."""
    return b""
