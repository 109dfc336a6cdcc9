"""The only code that touches the firewall: it gives nft(8) what `ruleset` says, and asks for the table as the kernel holds it."""

from __future__ import annotations

import shutil
import subprocess

from spendgate.errors import StateError
from spendgate.redirect.listed import held
from spendgate.redirect.ruleset import ABSENT, REMOVAL, TABLE, Rules, hold_targets, ruleset

_NFT_TIMEOUT_S = 10
_PATH = "/usr/sbin:/sbin:/usr/bin:/bin:/usr/local/sbin"


def lacking(*, ask: bool) -> str:
    """Why no rules can be set here; empty: they can. `ask`: whether the program is run for it, which needs root. A container's
    root may have it and set nothing, and so has a kernel without nftables."""
    if shutil.which("nft", path=_PATH) is None:
        return "nftables (`nft`) is not here"
    try:
        done = _nft("list", "tables") if ask else None
    except (StateError, OSError) as fault:
        return f"nft sets no rules here ({fault})"
    return f"nft sets no rules here ({_words(done)})" if done is not None and done.returncode else ""


def install(rules: Rules) -> frozenset[str]:
    """Put the table in place, inert until the first sign of life; what an older one held stays held, and is given.

    Raises StateError.
    """
    still = held(show())
    apply(ruleset(rules) + hold_targets(still))
    return still


def remove() -> None:
    """Take the table away, also one that a crash left behind; nothing happens where there is none. Raises StateError."""
    apply(REMOVAL)


def show() -> str:
    """The table as the kernel holds it; empty where there is none. Raises StateError."""
    done = _nft("list", "table", *TABLE.split())
    if done.returncode and ABSENT not in done.stderr:
        raise StateError(_refused(done))
    return done.stdout


def apply(commands: str) -> str:
    """One transaction; what its `list` commands print. Raises StateError with nft's own words."""
    done = _nft("-s", "-t", "-f", "-", stdin=commands)
    if done.returncode:
        raise StateError(_refused(done))
    return done.stdout


def _nft(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    program = shutil.which("nft", path=_PATH)
    if program is None:
        raise StateError("transparent capture needs the program nft: install the package `nftables`")
    try:
        return subprocess.run(  # noqa: S603  fixed program, arguments from this file
            [program, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=_NFT_TIMEOUT_S,
            check=False,
            env={},
        )
    except subprocess.TimeoutExpired:
        raise StateError(f"nft did not answer within {_NFT_TIMEOUT_S} s") from None


def _refused(done: subprocess.CompletedProcess[str]) -> str:
    words = _words(done)
    hint = ": start it as root" if "Operation not permitted" in words else ""
    return f"nft refused the rules of table {TABLE}: {words}{hint}"


def _words(done: subprocess.CompletedProcess[str]) -> str:
    said = done.stderr.strip().splitlines()
    return said[0].removeprefix("/dev/stdin:") if said else f"exit status {done.returncode}"
