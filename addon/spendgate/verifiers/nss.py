"""What keeps its trust in an NSS database: NSS itself, and Chromium, whose own verifier takes its anchors there on Linux.

The database is a new one in the verifier's folder, made with certutil; the account's own is not touched.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass

from spendgate.verifiers.interface import Case, Command, Place
from spendgate.verifiers.site import WORD

TSTCLNT = ("tstclnt", "/usr/lib64/nss/unsupported-tools/tstclnt", "/usr/lib/nss/unsupported-tools/tstclnt")
"""On PATH where Debian puts it; Fedora has it out of the way."""
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge")
LINUX_ONLY = () if sys.platform == "linux" else (("store of its own but on Linux",),)
"""A program that is never found, and so what is missing: elsewhere browsers take their anchors from the system's store, which
a trial must not change."""


def _database(place: Place) -> str:
    return f"sql:{place.home / '.pki' / 'nssdb'}"


def _made(place: Place, certutil: str) -> tuple[Command, ...]:
    """The runs that make a database which trusts the root for servers."""
    folder = place.home / ".pki" / "nssdb"
    folder.mkdir(parents=True)
    where = ("-d", _database(place))
    added = ("-n", "root", "-t", "C,,", "-i", str(place.root))
    return Command((certutil, "-N", *where, "--empty-password")), Command((certutil, "-A", *where, *added))


@dataclass(frozen=True, slots=True)
class Nss:
    """NSS's own client for tests: what Firefox verifies with."""

    name: str = "NSS"
    library: str = "NSS"
    needs: tuple[tuple[str, ...], ...] = (("certutil",), TSTCLNT)
    version: tuple[str, ...] = ()
    refusal: re.Pattern[str] = re.compile(r"authentication of server cert failed: (?P<why>.*)")
    taken: None = None

    def prepare(self, place: Place, programs: tuple[str, ...]) -> tuple[Command, ...]:
        return _made(place, programs[0])

    def ask(self, place: Place, programs: tuple[str, ...], case: Case, port: int) -> Command:
        where = ("-h", "127.0.0.1", "-p", str(port), "-a", case.asked)
        return Command((programs[1], *where, "-d", _database(place), "-Q", "-V", "tls1.2:"))


@dataclass(frozen=True, slots=True)
class Chromium:
    """Without a window, in a profile of its own, with nothing but our server as its way out."""

    name: str = "Chromium"
    library: str = "its own"
    needs: tuple[tuple[str, ...], ...] = (CHROMIUM, ("certutil",), *LINUX_ONLY)
    version: tuple[str, ...] = ("--version",)
    refusal: re.Pattern[str] = re.compile(r"(?P<why>net::ERR_(?:CERT|SSL)_\w+)")
    taken: re.Pattern[str] = re.compile(WORD)

    def prepare(self, place: Place, programs: tuple[str, ...]) -> tuple[Command, ...]:
        return _made(place, programs[1])

    def ask(self, place: Place, programs: tuple[str, ...], case: Case, port: int) -> Command:
        root = ("--no-sandbox",) if hasattr(os, "geteuid") and os.geteuid() == 0 else ()  # which refuses to be root's
        quiet = ("--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")
        still = (
            "--disable-component-update",
            "--no-default-browser-check",
            f"--user-data-dir={place.home / 'profile'}",
        )
        way = f"--proxy-server=http://127.0.0.1:{port}"
        return Command((programs[0], *root, *quiet, *still, way, "--dump-dom", case.url))


BROWSERS = (Nss(), Chromium())
