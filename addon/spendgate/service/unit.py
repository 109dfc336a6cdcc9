"""The systemd unit of a gate and the accounts it needs, as text made from a description. Pure.

The unit's words are in `unit_text`, the units beside it, which redirect, in `redirect_units`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from spendgate.errors import UsageError
from spendgate.service.redirect_units import CLERK, REDIRECT, clerk_unit, redirect_unit
from spendgate.service.unit_text import HANDED_OVER, TEXT

UNIT: Final = "spendgate.service"
BESIDE: Final = (REDIRECT, CLERK)
"""The units of transparent capture, beside the gate's."""
MARK: Final = "# Made by `spendgate service install`, which overwrites what is changed here."
_PLAIN: Final = re.compile(r"[A-Za-z0-9_@.,:/=+-]+")
_MADE: Final = re.compile(r"^Made=(.*)$", re.MULTILINE)
_LIB, _RUN = PurePosixPath("/var/lib"), PurePosixPath("/run")

HIDDEN: Final = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108 - named, not used
"""Folders that are empty for the gate: ProtectHome and PrivateTmp."""


@dataclass(frozen=True, slots=True)
class Description:
    """What is to be installed."""

    program: tuple[str, ...]
    """What starts Spendgate, before its own words: absolute."""
    state: PurePosixPath
    """Under /var/lib: systemd makes it for the account."""
    socket: PurePosixPath
    """Under /run, likewise."""
    account: str = "spendgate"
    admins: str = "spendgate-admin"
    """The group whose members see everything."""
    policy: PurePosixPath | None = None
    port: int = 8080
    upstream: str | None = None
    """The proxy that the gate goes out through, as `http://HOST:PORT`; None: it goes directly."""
    credentials: tuple[str, ...] = ()
    """What systemd hands over from its store (/etc/credstore), where it is there."""
    redirect_port: int | None = None
    """Where redirected connections come in; None: none are redirected, the proxy is all there is."""
    containers: tuple[str, ...] = ()
    """Ranges of containers that are led to the gate, too, as `RANGE[=ACCOUNT]`."""
    backs_off: bool = True
    """Whether this systemd can wait longer after each failure (254 and later); an older one waits 5 s each time."""
    made: tuple[str, ...] = ()
    """What the installation made beside its files, and so takes away with it: `user:NAME`, `group:NAME`, `folder:PATH`."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A directory that systemd makes, with its mode."""

    path: PurePosixPath
    mode: int
    owner: str


@dataclass(frozen=True, slots=True)
class File:
    """A file that the installation writes, root's."""

    path: PurePosixPath
    text: str
    mode: int = 0o644


def folders(wanted: Description) -> tuple[Folder, ...]:
    """State and sockets; those of the units beside it are of accounts that systemd makes while they run."""
    own = Folder(wanted.state, 0o711, wanted.account), Folder(wanted.socket.parent, 0o755, wanted.account)
    beside = (
        Folder(_RUN / name.removesuffix(".service"), 0o750, f"its unit's, group {wanted.account}") for name in BESIDE
    )
    return own if wanted.redirect_port is None else (*own, *beside)


def units(wanted: Description) -> tuple[str, ...]:
    """The units that are installed, the gate's first."""
    return (UNIT,) if wanted.redirect_port is None else (UNIT, *BESIDE)


def files(wanted: Description, *, packaged: bool = False) -> tuple[File, ...]:
    """The accounts' list and the units; in a package they are the distributor's, in /usr/lib, else the administrator's."""
    top = PurePosixPath("/usr/lib" if packaged else "/etc")
    texts = {UNIT: unit, REDIRECT: _redirect, CLERK: _clerk}
    return (
        File(top / "sysusers.d" / "spendgate.conf", sysusers(wanted)),
        *(File(top / "systemd" / "system" / name, texts[name](wanted)) for name in units(wanted)),
    )


def _redirect(wanted: Description) -> str:
    words = (*wanted.program, "service", "redirect", "--account", wanted.account, "--port", str(wanted.redirect_port))
    return redirect_unit(MARK, _line((*words, *_containers(wanted))), wanted.account, _backoff(wanted))


def _containers(wanted: Description) -> tuple[str, ...]:
    return tuple(word for each in wanted.containers for word in ("--containers", each))


def _clerk(wanted: Description) -> str:
    words = (*wanted.program, "service", "clerk", "--account", wanted.account)
    return clerk_unit(MARK, _line(words), wanted.account, _backoff(wanted))


def sysusers(wanted: Description) -> str:
    """What sysusers.d(5) reads: a system account without shell, home and password, and the admins' group."""
    return (
        f"{MARK}\n"
        f'u {wanted.account} - "Spendgate gate" - /usr/sbin/nologin\n'
        f"g {wanted.admins} -\n"
    )  # fmt: skip


def command(wanted: Description) -> tuple[str, ...]:
    """What the unit starts."""
    policy = ("--policy", str(wanted.policy)) if wanted.policy else ()
    proxy = f"upstream:{wanted.upstream}" if wanted.upstream else "regular"
    modes: tuple[str, ...] = ("--port", str(wanted.port))
    if wanted.upstream:
        modes = ("--mode", proxy, *modes)
    if wanted.redirect_port is not None:
        at = str(wanted.redirect_port)
        modes = (
            "--mode",
            "transparent",
            "--port",
            at,
            "--redirected",
            *_containers(wanted),
            "--mode",
            f"{proxy}@{wanted.port}",
        )
    return (*wanted.program, "run", "--state", str(wanted.state), *policy, *modes)


def unit(wanted: Description) -> str:
    """The whole unit file. Raises UsageError for a path that it cannot hold."""
    state, run = wanted.state.relative_to(_LIB), wanted.socket.parent.relative_to(_RUN)
    return TEXT.format(
        mark=MARK,
        made=" ".join(wanted.made),
        beside="" if wanted.redirect_port is None else f"Wants={' '.join(BESIDE)}\n",
        command=_line(command(wanted)),
        account=wanted.account,
        credentials="".join(HANDED_OVER.format(name=name) for name in wanted.credentials),
        state=state,
        run=run,
        backoff=_backoff(wanted),
    )


def _line(words: tuple[str, ...]) -> str:
    return " ".join(_word(word) for word in words)


def _backoff(wanted: Description) -> str:
    return "RestartSec=1\nRestartSteps=6\nRestartMaxDelaySec=60" if wanted.backs_off else "RestartSec=5"


def made_by(text: str) -> tuple[str, ...] | None:
    """What the installation that wrote this unit had made; None: it is not ours."""
    found = _MADE.search(text)
    return tuple(found[1].split()) if MARK in text and found else None


def hidden(path: PurePosixPath) -> str:
    """The folder, empty for the gate, that this path is in; empty text where it can see it."""
    return next((folder for folder in HIDDEN if path.is_relative_to(folder)), "")


def _word(text: str) -> str:
    """One word of ExecStart: neither a specifier nor a variable, whatever its letters."""
    if any(ord(letter) < 32 for letter in text):
        raise UsageError(f"{text!r}: a path with control characters cannot stand in a unit")
    if _PLAIN.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'
