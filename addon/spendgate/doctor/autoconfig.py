"""A PAC file, or its discovery (WPAD), that this account's desktop or variables name. The gate does not read it, and says so.

Where they are kept: GNOME's settings `org.gnome.system.proxy` (`mode` auto, `autoconfig-url`), as gsettings(1) prints them; KDE's
`kioslaverc`, whose `ProxyType` is 2 for a file and 3 for discovery; the variable `auto_proxy`, which Chromium reads. An empty
address means discovery.
"""

from __future__ import annotations

import configparser
import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from spendgate.doctor.interface import Check, State

DISCOVERED: Final = "WPAD, which any network can answer"
_INTERNET_SETTINGS: Final = r"HKCU\Software\Microsoft\Windows\CurrentVersion\Internet Settings"
_SCHEMA: Final = "org.gnome.system.proxy"
_PATIENCE_S: Final = 5.0
_KDE: Final = {"2": False, "3": True}
"""ProxyType to whether it is discovered; 0 none, 1 by hand, 4 by variables."""
_FILE_BYTES_MAX: Final = 1 << 20
Setting = Callable[[str], str]
"""One of GNOME's settings, as gsettings prints it; empty where there is none."""


@dataclass(frozen=True, slots=True)
class AutoConfig:
    """Who names it, and its address without what a password or token may be in."""

    by: str
    where: str


def configured(environ: Mapping[str, str], home: Path, setting: Setting | None = None) -> tuple[AutoConfig, ...]:
    """All that are in force for this account."""
    return tuple(_found(environ, home, setting or _gsettings))


def checks(found: tuple[AutoConfig, ...], *, upstream: bool) -> Iterator[Check]:
    """What is made of them. `upstream`: the gate goes out through a proxy. No finding: it may be the file that leads here."""
    way = "through the proxy that it was given" if upstream else "directly"
    for each in found:
        says = f"programs that go by it take their proxy from {each.where}, which is not read here; the gate goes out {way}"
        yield Check("environment.pac", each.by, State.UNSEEN, says, _LEAD if upstream else f"{_OUT}; {_LEAD}")


_LEAD: Final = (
    "unless it is that of `spendgate mdm make`, lead programs to the gate by HTTPS_PROXY, or by that one in its place"
)
_OUT: Final = (
    'where it gives a proxy for a provider\'s host (addon/README.md, "Behind a PAC file", tells how to ask it), start the gate'
    " with `--mode upstream:http://HOST:PORT`"
)


def _found(environ: Mapping[str, str], home: Path, setting: Setting) -> Iterator[AutoConfig]:
    if "auto_proxy" in environ:
        yield AutoConfig("auto_proxy", _plain(environ["auto_proxy"]))
    if _text(setting("mode")) == "auto":
        yield AutoConfig("GNOME's settings", _plain(_text(setting("autoconfig-url"))))
    yield from _of_system(platform.system())
    folder = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    yield from _kde(_read(folder / "kioslaverc"))


def _kde(text: str) -> Iterator[AutoConfig]:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(f"[top]\n{text}")  # KDE has keys before the first group
        kept = parser["Proxy Settings"]
    except (configparser.Error, KeyError):
        return
    discovered = _KDE.get(kept.get("ProxyType", ""))
    if discovered is not None:
        yield AutoConfig("KDE's settings", _plain("" if discovered else kept.get("Proxy Config Script", "")))


def _gsettings(key: str) -> str:
    return _printed("gsettings", "get", _SCHEMA, key)


def _of_system(name: str) -> Iterator[AutoConfig]:
    """macOS' network settings; on Windows this account's."""
    if name == "Darwin":
        yield from macos(_printed("scutil", "--proxy"))
    elif name == "Windows":
        yield from windows(_printed("reg", "query", _INTERNET_SETTINGS, "/v", "AutoConfigURL"))


def macos(printed: str) -> Iterator[AutoConfig]:
    """What `scutil --proxy` prints: a dictionary, a line for each key. Pure."""
    kept = dict(re.findall(r"^\s*(ProxyAuto\w+) : (.*)$", printed, re.MULTILINE))
    if kept.get("ProxyAutoConfigEnable") == "1":
        yield AutoConfig("macOS' network settings", _plain(kept.get("ProxyAutoConfigURLString", "")))
    if kept.get("ProxyAutoDiscoveryEnable") == "1":
        yield AutoConfig("macOS' network settings", DISCOVERED)


def windows(printed: str) -> Iterator[AutoConfig]:
    """What `reg query … /v AutoConfigURL` prints: name, type and value on a line. That discovery is on stands elsewhere. Pure."""
    found = re.search(r"^\s+AutoConfigURL\s+REG_\w+\s+(\S.*?)\s*$", printed, re.MULTILINE)
    if found:
        yield AutoConfig("Windows' Internet settings", _plain(found[1]))


def _printed(*words: str) -> str:
    """What a program of the system prints; empty where it is not here or fails."""
    program = shutil.which(words[0])
    if program is None:
        return ""
    try:
        done = subprocess.run(  # noqa: S603 - words of ours, and a program that PATH names
            [program, *words[1:]], capture_output=True, text=True, errors="replace", timeout=_PATIENCE_S, check=False
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _text(printed: str) -> str:
    """A text of GNOME's, without its quotes."""
    return printed.strip().strip("'\"")


def _plain(address: str) -> str:
    """Scheme, host and path; what cannot be parsed is not shown."""
    if not address:
        return DISCOVERED
    try:
        parsed = urlsplit(address if "://" in address else f"file://{address}")
        port = f":{parsed.port}" if parsed.port else ""
    except ValueError:
        return "an address that is none"
    return f"{parsed.scheme}://{parsed.hostname or ''}{port}{parsed.path}"


def _read(file: Path) -> str:
    try:
        return file.read_text() if file.stat().st_size <= _FILE_BYTES_MAX else ""
    except (OSError, ValueError):
        return ""
