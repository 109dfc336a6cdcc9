"""The trust file: whose signatures a policy needs on this machine, and where the policy comes from. No policy can change it.

Rules: only who may replace the whole gate may write it. So it, and every folder above it, must belong to root and be nobody
else's to write; and a file that cannot be read, or has a fault, ends the start: a gate that does not know whom to believe
believes nobody. It is read at the start; a change takes force with the next one.

`SPENDGATE_TRUST` names another file where the system has none. So whoever sets it can only ask more of a gate than nothing: what
root wrote for all always holds. It may belong to the account that runs the gate, too.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import platformdirs

from spendgate.config.faults import Faults, shown
from spendgate.config.sections import Section
from spendgate.config.whole import revision_of
from spendgate.config.yaml_nodes import read
from spendgate.errors import PolicyError, StateError
from spendgate.minisign import PublicKey

# Not platformdirs' site folder elsewhere: on Linux it follows XDG_CONFIG_DIRS, which anybody may set, and on macOS it is the
# folder of the service's state, which is not root's.
_FOLDER = (
    platformdirs.site_config_dir("Spendgate", appauthor=False, ensure_exists=False)
    if sys.platform == "win32"
    else "/etc/spendgate"
)
TRUST_FILE: Final = Path(_FOLDER) / "trust.yaml"
VARIABLE: Final = "SPENDGATE_TRUST"
BYTES_MAX = 64 * 1024
KEYS_MAX = 32
EVERY_S_DEFAULT = 15 * 60
EVERY_S_MIN, EVERY_S_MAX = 60, 24 * 3600
_LINKS_MAX = 40
_VERSION = "1"
_EVERY = re.compile(r"([1-9]\d{0,4})(s|m|h)", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_NAME = re.compile(r"[^\W_][\w .@+-]{0,63}")


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A key that may sign policies, and what it is called here."""

    name: str
    key: PublicKey


@dataclass(frozen=True, slots=True)
class Trust:
    """What the trust file says."""

    file: str
    keys: tuple[TrustedKey, ...]
    required: bool = True
    """False: a policy without a signature takes force, too; one with a wrong signature never does."""
    least_revision: int | None = None
    """No policy below it ever decides, whatever was kept or lost on this machine."""
    url: str | None = None
    every_s: int = EVERY_S_DEFAULT
    """How often the URL is asked, in seconds; each wait is a tenth shorter or longer by chance."""

    def named(self, key: PublicKey) -> str:
        """What a key is called here."""
        return next(each.name for each in self.keys if each.key == key)


def trusted(file: Path = TRUST_FILE, environ: Mapping[str, str] | None = None, *, root: int = 0) -> Trust | None:
    """What is trusted on this machine; None where nobody says anything. Raises StateError, and PolicyError with every fault.

    `root`: the uid that may own the system's file and the folders above it, beside 0, which can do as it likes anyway.
    """
    data = _read(file, (0, root))
    if data is not None:
        return parse_trust(data, str(file))
    named = (os.environ if environ is None else environ).get(VARIABLE)
    if not named:
        return None
    other = Path(named)
    if not other.is_absolute():
        raise StateError(f"{VARIABLE} is {named!r}; it must be an absolute path")
    data = _read(other, (0, root, os.geteuid() if sys.platform != "win32" else 0))
    if data is None:
        raise StateError(f"{VARIABLE} names {other}, which is not there")
    return parse_trust(data, str(other))


def parse_trust(data: bytes, file: str = "trust.yaml") -> Trust:
    """Raises PolicyError with every fault, `file:line:column: key: …`."""
    faults = Faults(file)
    node = read(data, faults)
    top = Section.of(node, "", faults) if node is not None else None
    if top is None:
        raise PolicyError(faults.lines())
    top.parsed("version", _version, required=True)
    keys = keys_of(top)
    required, least = top.flag("require_signature"), top.parsed("least_revision", revision_of)
    policy = top.section("policy")
    url: str | None = None
    every: int | None = None
    if policy is not None:
        url, every = policy.parsed("url", policy_url, required=True), policy.parsed("every", how_often)
        policy.done()
        if required is False:
            top.fault("require_signature", "false does not go with policy.url; what comes from a URL must be signed")
    top.done()
    if faults:
        raise PolicyError(faults.lines())
    return Trust(file, keys, required is not False, least, url, EVERY_S_DEFAULT if every is None else every)


def keys_of(top: Section) -> tuple[TrustedKey, ...]:
    """The keys that may sign, under `keys`; its faults are kept."""
    if not top.has("keys"):
        top.fault("keys", "is missing; name at least one key: {name: platform, key: RW…}")
    found: list[TrustedKey] = []
    for section in top.sections("keys"):
        name, key = (
            section.parsed("name", _name, required=True),
            section.parsed("key", PublicKey.parse, required=True),
        )
        section.done()
        if name is None or key is None:
            continue
        if any(each.name == name for each in found):
            section.fault("name", f"{shown(name)} is given twice")
        if any(each.key == key for each in found):
            section.fault("key", f"{key.name} is given twice")
        found.append(TrustedKey(name, key))
    if top.has("keys") and not found and not top.faults:
        top.fault("keys", "an empty list; name at least one key: {name: platform, key: RW…}")
    if len(found) > KEYS_MAX:
        top.fault("keys", f"{len(found)} keys; at most {KEYS_MAX}")
    return tuple(found)


def _version(text: str) -> str:
    if text != _VERSION:
        raise ValueError(f"{shown(text)} is not a version that this Spendgate reads; allowed: {_VERSION}")
    return text


def _name(text: str) -> str:
    if _NAME.fullmatch(text) is None:
        raise ValueError(f"{shown(text)} is not a name; allowed: letters, digits, blanks and . @ + - _, at most 64")
    return text


def policy_url(text: str) -> str:
    """Without user, query and fragment: the signature's and the included files' URLs are made from it."""
    try:
        found = urlsplit(text)
        plain = found.scheme == "https" and found.hostname and found.port != 0 and found.username is None
    except ValueError:
        plain = False
    if not plain or not text.isascii() or set(text) & set(" ?#\\%") or not text.endswith((".yaml", ".yml")):
        raise ValueError(
            f"{shown(text)} is not where a policy can be fetched; "
            "allowed: https://host/path/policy.yaml, without user, ?, # and %"
        )
    return text


def how_often(text: str) -> int:
    """Seconds. Raises ValueError."""
    found = _EVERY.fullmatch(text)
    length = int(found[1]) * _SECONDS[found[2]] if found else 0
    if not EVERY_S_MIN <= length <= EVERY_S_MAX:
        raise ValueError(f"{shown(text)} is not how often; allowed: 1m, 15m, 6h, … up to 24h")
    return length


def _read(file: Path, owners: tuple[int, ...]) -> bytes | None:
    """The file's bytes, once it is nobody else's to write; None where it is not there. Raises StateError."""
    try:
        handle = os.open(file, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except (FileNotFoundError, NotADirectoryError):
        for link in _links(file):  # whoever may point one elsewhere could have taken the file away by it
            _only_theirs(link, link.lstat(), owners)
            for folder in link.parents:
                _only_theirs(folder, folder.stat(), owners)
        return None
    except OSError as fault:
        raise StateError(
            f"{file}: what is trusted cannot be read: {fault.strerror}; "
            "it must be a regular file, no link, that every account may read"
        ) from fault
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise StateError(f"{file}: what is trusted must be a regular file")
        _only_theirs(file, found, owners)
        links = tuple(_links(file))
        for link in links:
            _only_theirs(link, link.lstat(), owners)
        for folder in dict.fromkeys(parent for path in (file, *links, file.resolve()) for parent in path.parents):
            _only_theirs(folder, folder.stat(), owners)
        data = os.read(handle, BYTES_MAX + 1)
    finally:
        os.close(handle)
    if len(data) > BYTES_MAX:
        raise StateError(f"{file}: what is trusted has more than {BYTES_MAX:,} bytes")
    return data


def _links(file: Path, most: int = _LINKS_MAX) -> Iterator[Path]:
    """Each link among the folders that lead to the file, and among those that lead there."""
    for folder in file.parents:
        if folder.is_symlink():
            if not most:
                raise StateError(f"{folder}: more than {_LINKS_MAX} links, one behind the other")
            yield folder
            yield from _links(folder.parent / folder.readlink() / file.name, most - 1)


def _only_theirs(path: Path, found: os.stat_result, owners: tuple[int, ...]) -> None:
    """Raises StateError. On Windows access lists decide, and the installer sets them."""
    if sys.platform == "win32":
        return
    sticky = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
    shared = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not (sticky or stat.S_ISLNK(found.st_mode))
    if found.st_uid not in owners or shared:
        raise StateError(
            f"{path} can be written by others than root, and decides whose policy is believed; "
            f"run: chown root {path}; chmod go-w {path}"
        )
