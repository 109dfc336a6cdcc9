"""The hash lock as a CycloneDX file, checked against CycloneDX's own schema before it is written.

A package that the product needs is `required`; one that its tests alone need is `excluded`. Who needs whom is read from the
packages that are installed from the same lock; those of other systems are not installed, and have no line of what they need.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.bom_ref import BomRef
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.license import License
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).parents[2]
_PINNED = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>[^\s;]+)(?: ; (?P<marker>.+?))? \\$")
_HASH = re.compile(r"^    --hash=sha256:([0-9a-f]{64})(?: \\)?$")


@dataclass(frozen=True, slots=True)
class Pinned:
    """One package of the lock. `marker`: on which systems; "" for all. `hashes`: of each of its files."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]

    @property
    def ref(self) -> str:
        """What names it in the file."""
        return f"{self.name}@{self.version}"


def read(lock: str) -> Iterator[Pinned]:
    """Each package of the lock. Raises ValueError for a line that is neither a package's nor a hash."""
    found: dict[str, str] | None = None
    hashes: list[str] = []
    for number, line in enumerate(lock.splitlines(), 1):
        if digest := _HASH.match(line):
            hashes.append(digest[1])
        elif pinned := _PINNED.match(line):
            if found:
                yield _pinned(found, hashes)
            found, hashes = pinned.groupdict(default=""), []
        elif line.strip() and not line.lstrip().startswith("#"):
            raise ValueError(f"requirements.lock:{number}: neither a package nor a hash: {line}")
    if found:
        yield _pinned(found, hashes)


def _pinned(found: dict[str, str], hashes: list[str]) -> Pinned:
    if not hashes:
        raise ValueError(f"requirements.lock: {found['name']} has no hash; make the lock with --generate-hashes")
    return Pinned(canonicalize_name(found["name"]), found["version"], found["marker"], tuple(hashes))


def needs(name: str) -> frozenset[str]:
    """The packages that an installed one asks for, whatever the system, without its extras; none where it is not installed."""
    try:
        asked = metadata.requires(name) or ()
    except metadata.PackageNotFoundError:
        return frozenset()
    wanted = (Requirement(each) for each in asked)
    return frozenset(canonicalize_name(each.name) for each in wanted if "extra" not in str(each.marker or ""))


def reached(first: Iterable[str]) -> frozenset[str]:
    """These, and all that they need."""
    found: set[str] = set()
    due = [*first]
    while due:
        if (name := due.pop()) not in found:
            found.add(name)
            due += needs(name)
    return frozenset(found)


def bom(lock: str, project: dict[str, object], now: datetime) -> Bom:
    """The bill of what this lock pins for this `project` of pyproject.toml."""
    packages = tuple(read(lock))
    listed = project["dependencies"]
    assert isinstance(listed, list)
    direct = frozenset(canonicalize_name(Requirement(each).name) for each in listed)
    shipped = reached(direct)
    root = Component(
        name=str(project["name"]), version=str(project["version"]), type=ComponentType.APPLICATION, bom_ref="spendgate",
        licenses=[LicenseFactory().make_from_string(str(project["license"]))],
    )  # fmt: skip
    made = {each: _component(each, shipped=each.name in shipped) for each in packages}
    found = Bom(
        components=made.values(),
        serial_number=uuid5(NAMESPACE_URL, f"spendgate {lock}"),
        metadata=BomMetaData(component=root, timestamp=now),
    )
    found.register_dependency(root, [part for each, part in made.items() if each.name in direct])
    for each, part in made.items():
        wanted = needs(each.name)
        found.register_dependency(part, [other for one, other in made.items() if one.name in wanted])
    return found


def _component(each: Pinned, *, shipped: bool) -> Component:
    return Component(
        name=each.name,
        version=each.version,
        bom_ref=BomRef(each.ref),
        scope=ComponentScope.REQUIRED if shipped else ComponentScope.EXCLUDED,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest) for digest in each.hashes],
        purl=PackageURL("pypi", name=each.name, version=each.version),
        licenses=_licenses(each.name),
        properties=[Property(name="spendgate:marker", value=each.marker)] if each.marker else [],
    )


def _licenses(name: str) -> list[License]:
    """What an installed package says of its own, in SPDX's words; none where it says it in others."""
    try:
        said = metadata.metadata(name).get("License-Expression")
    except metadata.PackageNotFoundError:
        return []
    return [LicenseFactory().make_from_string(said)] if said else []


def written(found: Bom) -> str:
    """As JSON. Raises ValueError where CycloneDX's strict schema finds a fault."""
    text = JsonV1Dot6(found).output_as_string(indent=2)
    if fault := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise ValueError(f"not valid by CycloneDX 1.6: {str(fault)[:500]}")
    return text + "\n"


def main() -> None:
    """Write it to the file that is named, or to standard output."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = written(bom((ROOT / "requirements.lock").read_text(), project, datetime.now(UTC)))
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text)
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
