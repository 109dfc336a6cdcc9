"""Command-line clients, each by its own options for a root, a name and a way to it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass

from spendgate.verifiers.interface import Case, Command, Place

type Words = tuple[str, ...]
PATIENCE = "10"


@dataclass(frozen=True, slots=True)
class Tool:
    """One program, one run for each name."""

    name: str
    library: str
    needs: tuple[tuple[str, ...], ...]
    words: Callable[[Place, Case, int], Words]
    refusal: re.Pattern[str]
    version: tuple[str, ...] = ("--version",)
    taken: re.Pattern[str] | None = None
    by_proxy: bool = False
    """It is sent the way that it would take through a proxy, having no option that connects it elsewhere."""

    def prepare(self, place: Place, programs: Words) -> tuple[Command, ...]:
        return ()

    def ask(self, place: Place, programs: Words, case: Case, port: int) -> Command:
        variables = {
            "https_proxy": f"http://127.0.0.1:{port}",
            "SSL_CERT_FILE": str(place.root),
            "UV_HTTP_RETRIES": "0",
        }
        return Command((programs[0], *self.words(place, case, port)), variables if self.by_proxy else {})


def _openssl(place: Place, case: Case, port: int) -> Words:
    checked = ("-verify_ip", case.asked) if _is_address(case.asked) else ("-verify_hostname", case.asked)
    named = () if _is_address(case.asked) else ("-servername", case.asked)
    where = ("s_client", "-connect", f"127.0.0.1:{port}", "-brief")
    return (*where, *named, *checked, "-CAfile", str(place.root), "-verify_return_error")


def _curl(place: Place, case: Case, port: int) -> Words:
    way = ("--noproxy", "*", "--connect-to", f"::127.0.0.1:{port}")
    return ("-q", "-sS", "--globoff", "--max-time", PATIENCE, *way, "--cacert", str(place.root), case.url)


def _wget(place: Place, case: Case, port: int) -> Words:
    root = f"--ca-certificate={place.root}"
    return ("--no-config", "--no-hsts", "-nv", "-O-", "--tries=1", f"--timeout={PATIENCE}", root, case.url)


def _gnutls(place: Place, case: Case, port: int) -> Words:
    named = () if _is_address(case.asked) else (f"--sni-hostname={case.asked}",)
    return (f"--x509cafile={place.root}", f"--port={port}", *named, f"--verify-hostname={case.asked}", "127.0.0.1")


def _uv(place: Place, case: Case, port: int) -> Words:
    """Its list of Pythons from this name: not one that it can read, so that status 0 is not to be had."""
    return ("python", "list", "--only-downloads", "--no-config", "--no-cache", "--python-downloads-json-url", case.url)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


RUSTLS = re.compile(r"cause: (?P<why>invalid peer certificate: .*|Invalid Server Name)")
"""Its second refuses an address of six before it says a word."""
TOOLS = (
    Tool("openssl", "", (("openssl",),), _openssl, re.compile(r"verify error:num=(?P<why>.*)"), ("version",)),
    Tool("curl", "", (("curl",),), _curl, re.compile(r"curl: \((?:60|51)\) (?P<why>.*)")),
    Tool("wget", "", (("wget",),), _wget, re.compile(r"ERROR: (?P<why>.*certificate.*)"), by_proxy=True),
    Tool("gnutls-cli", "GnuTLS", (("gnutls-cli",),), _gnutls, re.compile(r"Status: (?P<why>.*NOT trusted.*)")),
    Tool("uv", "rustls", (("uv",),), _uv, RUSTLS, taken=re.compile("Unable to parse the JSON"), by_proxy=True),
)
