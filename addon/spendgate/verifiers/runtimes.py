"""Runtimes: each runs a small program of ours, from `probes/`, in its own language."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from spendgate.verifiers.interface import Case, Command, Place

PROBES = Path(__file__).with_name("probes")
REFUSED = re.compile(r"^refused: (?P<why>.*)", re.MULTILINE)
"""What our programs print, and nothing else does, where the fault is one of the certificate."""


@dataclass(frozen=True, slots=True)
class Interpreted:
    """A runtime that takes our program's text."""

    name: str
    library: str
    needs: tuple[tuple[str, ...], ...]
    options: tuple[str, ...]
    program: str
    version: tuple[str, ...] = ("--version",)
    refusal: re.Pattern[str] = REFUSED
    taken: None = None

    def prepare(self, place: Place, programs: tuple[str, ...]) -> tuple[Command, ...]:
        return ()

    def ask(self, place: Place, programs: tuple[str, ...], case: Case, port: int) -> Command:
        program = str(PROBES / self.program)
        return Command((programs[0], *self.options, program, case.asked, str(port), str(place.root)), QUIET)


QUIET = {"NO_COLOR": "1", "DENO_NO_UPDATE_CHECK": "1", "PYTHONDONTWRITEBYTECODE": "1"}
ANY_FILE = ("run", "--no-config", "--no-lock", "--allow-net=127.0.0.1", "--allow-read")


@dataclass(frozen=True, slots=True)
class Go:
    """Compiled once, without a module or anything fetched."""

    name: str = "Go"
    library: str = "crypto/x509"
    needs: tuple[tuple[str, ...], ...] = (("go",),)
    version: tuple[str, ...] = ("version",)
    refusal: re.Pattern[str] = REFUSED
    taken: None = None

    def prepare(self, place: Place, programs: tuple[str, ...]) -> tuple[Command, ...]:
        variables = {
            "GOCACHE": str(place.home / "cache"),
            "GOPATH": str(place.home / "path"),
            "GOENV": "off",
            "GOFLAGS": "",
            "GOPROXY": "off",
            "GOTOOLCHAIN": "local",
        }
        built = str(place.home / "probe")
        return (Command((programs[0], "build", "-o", built, str(PROBES / "probe.go")), variables),)

    def ask(self, place: Place, programs: tuple[str, ...], case: Case, port: int) -> Command:
        return Command((str(place.home / "probe"), case.asked, str(port), str(place.root)))


@dataclass(frozen=True, slots=True)
class Java:
    """Compiled once; a runtime without its compiler is not asked."""

    name: str = "Java"
    library: str = "PKIX"
    needs: tuple[tuple[str, ...], ...] = (("java",), ("javac",))
    version: tuple[str, ...] = ("-version",)
    refusal: re.Pattern[str] = REFUSED
    taken: None = None

    def prepare(self, place: Place, programs: tuple[str, ...]) -> tuple[Command, ...]:
        return (Command((programs[1], "-d", str(place.home), str(PROBES / "Probe.java"))),)

    def ask(self, place: Place, programs: tuple[str, ...], case: Case, port: int) -> Command:
        options = ("-Xshare:auto", "-XX:-UsePerfData", "-cp", str(place.home))
        return Command((programs[0], *options, "Probe", case.asked, str(port), str(place.root)))


RUNTIMES = (
    Interpreted("Python ssl", "OpenSSL", (("python3", sys.executable),), ("-I",), "probe.py"),
    Interpreted("Node", "OpenSSL", (("node",),), (), "probe.mjs"),
    Interpreted("Bun", "BoringSSL", (("bun",),), (), "probe.mjs"),
    Interpreted("Deno", "rustls", (("deno",),), ANY_FILE, "probe.mjs"),
    Go(),
    Java(),
)
