"""All material of a rollout, and the list of it that `sha256sum -c` reads. Pure."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from spendgate.mdm.devcontainer import devcontainer
from spendgate.mdm.index import index
from spendgate.mdm.interface import Kind, Made
from spendgate.mdm.macos_package import macos_package
from spendgate.mdm.managers import managers
from spendgate.mdm.notice import notice
from spendgate.mdm.osquery import osquery
from spendgate.mdm.placed import pac
from spendgate.mdm.profiles import profiles
from spendgate.mdm.rollout import Rollout
from spendgate.mdm.tools import tools
from spendgate.mdm.unix import unix
from spendgate.mdm.windows import windows

KINDS: Final[tuple[Kind, ...]] = (
    profiles,
    unix,
    macos_package,
    windows,
    tools,
    pac,
    devcontainer,
    managers,
    osquery,
    notice,
)
SUMS: Final = "SHA256SUMS"


def material(rollout: Rollout) -> tuple[Made, ...]:
    """Every file, in order of path; last the sums of the others."""
    found = [each for kind in KINDS for each in kind(rollout)]
    made = sorted((index(rollout, found), *found), key=lambda each: each.path)
    sums = "".join(f"{sha256(each.content).hexdigest()}  {each.path}\n" for each in made)
    return (*made, Made(SUMS, sums.encode(), "the other files' SHA-256, for `sha256sum -c`"))


def listed(sums: str) -> frozenset[str]:
    """The paths that such a list names; none that would lead out of its folder."""
    names = (line.partition("  ")[2] for line in sums.splitlines())
    return frozenset(name for name in names if name and not name.startswith("/") and ".." not in name.split("/"))
