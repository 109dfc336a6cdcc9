"""`--mode auto` of `run` and `service install`: transparent where this machine and whoever asks can do it, else regular."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Final

from spendgate.cli.transparent import ACCOUNT, TRANSPARENT
from spendgate.errors import UsageError
from spendgate.redirect import nftables

AUTO: Final = "auto"
REGULAR: Final = "regular"


@dataclass(frozen=True, slots=True)
class Chosen:
    """A mode, and why, in words that follow "since"."""

    mode: str
    why: str


def chosen(*, linux: bool, root: bool, no_rules: str, account: str | None) -> Chosen:
    """By what is here. `no_rules`: why nft sets none (`nftables.lacking`); `account`: the gate's, None where there is none of its
    name. Pure."""
    if not linux:
        return Chosen(REGULAR, "only Linux is captured by rules of this program; a variable or setting names the proxy")
    if not root:
        return Chosen(REGULAR, "firewall rules need root; a variable or setting names the proxy")
    if no_rules:
        return Chosen(REGULAR, f"{no_rules}; a variable or setting names the proxy")
    if account is None:
        return Chosen(REGULAR, "the gate's account is not here (mdm/README.md, Linux, by hand)")
    return Chosen(TRANSPARENT, f"root and nftables are here, and the account {account}")


def for_service(*, elsewhere: bool) -> Chosen:
    """What `service install --mode auto` means here, for root, whose installation makes the account.

    Raises UsageError where the files are for another machine (`elsewhere`), of which nothing is known."""
    if elsewhere:
        raise UsageError("--mode auto looks at this machine, and --root is for another: choose regular or transparent")
    linux = sys.platform == "linux"
    # What `--dry-run` shows to others is what root would get, as far as can be seen without being root.
    no_rules = nftables.lacking(ask=os.geteuid() == 0) if linux else ""
    return chosen(linux=linux, root=True, no_rules=no_rules, account=ACCOUNT)


def here(modes: tuple[str, ...], account: str) -> Chosen | None:
    """What `auto` means on this machine; None where it is not asked for. Raises UsageError beside another mode."""
    if not any(each.partition("@")[0] == AUTO for each in modes):
        return None
    if modes != (AUTO,):
        raise UsageError("--mode auto chooses one way by itself: give it alone, without @PORT")
    if sys.platform == "win32":
        return chosen(linux=False, root=False, no_rules="", account=None)
    linux, root = sys.platform == "linux", os.geteuid() == 0
    no_rules = nftables.lacking(ask=True) if linux and root else ""
    return chosen(linux=linux, root=root, no_rules=no_rules, account=_known(account))


def _known(account: str) -> str | None:
    import pwd  # noqa: PLC0415 - Windows has none

    try:
        return pwd.getpwnam(account).pw_name
    except KeyError:
        return None
