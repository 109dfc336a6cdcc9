"""All bytes that make one policy, in one place: the file itself, every file that it includes, and its signature.

Its digest is what tells one policy from another; `state` tells one state of the files from another.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from spendgate.config.reading import read_regular, unread
from spendgate.config.yaml_nodes import BYTES_MAX
from spendgate.errors import PolicyError, SpendgateError, Why
from spendgate.minisign import FILE_BYTES_MAX, SUFFIX

SUFFIXES = (".yaml", ".yml")
_LINKS_MAX = 40


@dataclass(frozen=True, slots=True)
class Bundle:
    """The policy file's bytes, and those of each included file by its name; None for one that could not be read."""

    main: bytes
    included: tuple[tuple[str, bytes | None], ...] = ()
    signature: bytes | None = None
    """None where there is none, or where nobody asks for one."""

    @property
    def names(self) -> tuple[str, ...]:
        """The included files."""
        return tuple(name for name, _ in self.included)

    @property
    def digest(self) -> str:
        """SHA-256. Of a single file that file's own; else over all, each with its name and length, so that no bytes can pass
        from one file to another."""
        if not self.included:
            return hashlib.sha256(self.main).hexdigest()
        whole = hashlib.sha256(b"spendgate policy\0")
        for name, data in (("", self.main), *self.included):
            whole.update(f"{name}\0{'none' if data is None else len(data)}\0".encode())
            whole.update(data or b"")
        return whole.hexdigest()

    @property
    def state(self) -> str:
        """The digest, and where there is a signature, of that too: a new signature of the same files is a change to look at."""
        if self.signature is None:
            return self.digest
        return f"{self.digest} {hashlib.sha256(self.signature).hexdigest()}"

    def beside(self, name: str) -> bytes:
        """The bytes of an included file. Raises FileNotFoundError."""
        data = dict(self.included).get(name)
        if data is None:
            raise FileNotFoundError(2, "the copy does not have it")
        return data


class Gathering:
    """Reads a policy file and, as they are asked for, the files beside it."""

    def __init__(self, path: Path, *, signed: bool = False) -> None:
        """`signed`: its signature is read, too. Raises PolicyError where the file itself, or a signature, cannot be read."""
        self._path = path
        self.main = read_main(path)
        self._signature = _signature_of(path) if signed else None
        self._included: dict[str, bytes | None] = {}

    @property
    def bundle(self) -> Bundle:
        """What was read until now."""
        return Bundle(self.main, tuple(self._included.items()), self._signature)

    def beside(self, name: str) -> bytes:
        """One file of the policy's folder. Raises OSError, and ValueError for a link that leads out of the folder."""
        self._included[name] = None
        data = _beside(self._path, name)
        self._included[name] = data
        return data


@dataclass(frozen=True, slots=True)
class Fetched:
    """A policy that came from a URL, or why none did. Its faults name it by the URL."""

    url: str
    bundle: Bundle | None = None
    fault: str = ""
    """Empty without a bundle: it was not asked for yet."""


def gathered(source: Path | Fetched, *, signed: bool) -> Gathering | Held:
    """The bytes of a policy. Raises PolicyError where there are none."""
    if isinstance(source, Path):
        return Gathering(source, signed=signed)
    if source.bundle is None:
        raise PolicyError((f"{source.url}: {source.fault or 'was not fetched yet'}",), Why.UNREACHED)
    return Held(source.bundle)


class Held:
    """Bytes that were all read before."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle

    @property
    def main(self) -> bytes:
        """The policy file."""
        return self.bundle.main

    def beside(self, name: str) -> bytes:
        """An included file. Raises FileNotFoundError."""
        return self.bundle.beside(name)


def read_main(path: Path) -> bytes:
    """At most one byte more than a policy may have, so that a huge file costs nothing. Raises PolicyError."""
    try:
        return read_regular(_led(path), BYTES_MAX + 1, linked=False)
    except OSError as fault:
        raise PolicyError((unread(path, fault),)) from fault
    except ValueError as fault:
        raise PolicyError((f"{path}: cannot be read: {fault}",)) from fault


def unreadable(fault: SpendgateError) -> str:
    """In place of the digest of a policy that cannot be read: another reason is another state of the files."""
    cause = fault.__cause__
    return f"unreadable: {getattr(cause, 'strerror', None) or cause or fault}"


def _led(path: Path) -> Path:
    """Where the policy file is. Raises ValueError for a link that must not be followed.

    A gate may read more than who may change its policy's folder, and its faults quote what they find, in `status` and the log.
    So a link leads only to a file that is called as policies are, and out of its folder only where this account or the
    administrator has made it (as configuration tools do): nobody else can have a file of the system told to everyone.
    """
    if not path.is_symlink():
        return path
    found = Path(os.path.realpath(path))
    if found.is_file():
        if found.suffix not in SUFFIXES:
            raise ValueError(
                "it is a link to a file that is not called .yaml or .yml; put the policy itself in its place"
            )
        if not (_is_ours(path) or found.is_relative_to(os.path.realpath(path.parent))):
            raise ValueError(
                "it is a link out of its folder that another account has made; put the policy itself in its place"
            )
    return found


def _is_ours(link: Path) -> bool:
    """Whether each link on the way was made by root or by this account."""
    ours = (0, os.geteuid()) if hasattr(os, "geteuid") else None  # Windows has no owners of this kind
    for _ in range(_LINKS_MAX):
        if not link.is_symlink():
            return True
        if ours is not None and link.lstat().st_uid not in ours:
            return False
        link = link.parent / link.readlink()
    return False


def looked(path: Path, names: tuple[str, ...], *, signed: bool = False) -> Bundle:
    """The files as they are now, by the names that were included last. Raises PolicyError where the policy cannot be read."""
    signature = _signature_of(path) if signed else None
    return Bundle(read_main(path), tuple((name, _or_none(path, name)) for name in names), signature)


def _signature_of(path: Path) -> bytes | None:
    """What stands beside the policy as its signature; None: nothing. Raises PolicyError."""
    file = path.with_name(path.name + SUFFIX)
    try:
        return read_regular(file, FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        return None
    except OSError as fault:
        raise PolicyError((unread(file, fault),), Why.SIGNATURE) from fault


def _or_none(path: Path, name: str) -> bytes | None:
    try:
        return _beside(path, name)
    except (OSError, ValueError):
        return None


def _beside(path: Path, name: str) -> bytes:
    """A link may lead to another file of the folder or below it (as configuration tools swap files), and no further: whoever may
    change one included file in a repository must not make the gate read, and its faults quote, a file of the system, nor one of
    the folder that is no policy at all."""
    # `Path.resolve` raises RuntimeError for a link to itself on Python 3.12.
    folder = Path(os.path.realpath(path.parent, strict=True))
    found = Path(os.path.realpath(folder / name, strict=True))
    if not found.is_relative_to(folder):
        raise ValueError(
            f"{name} is a link that leads out of the policy's folder; put the file itself beside the policy"
        )
    if found.suffix not in SUFFIXES:
        raise ValueError(f"{name} is a link to a file that is not called .yaml or .yml")
    return read_regular(found, BYTES_MAX + 1, linked=False)
