"""`scripts/sbom`: every package of the lock with its hashes, valid by CycloneDX's own strict schema."""

from __future__ import annotations

import json
import re
import tomllib
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements.lock").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NOW = datetime(2026, 11, 29, tzinfo=UTC)


@pytest.fixture(scope="module", name="part")
def _part() -> ModuleType:
    """The script's own part."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "scripts"))
        return import_module("parts.sbom")


@pytest.fixture(scope="module")
def text(part: ModuleType) -> str:
    """As it is written."""
    return part.written(part.bom(LOCK, PROJECT, NOW))


@pytest.fixture(scope="module")
def found(text: str) -> dict[str, Any]:
    """As it is read."""
    return json.loads(text)


def test_it_is_valid(text: str) -> None:
    """And the validator finds what is not."""
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(text) is None
    assert validator.validate_str(text.replace('"scope": "required"', '"scope": "perhaps"')) is not None


def test_every_line_of_the_lock_is_in_it(found: dict[str, Any]) -> None:
    """Names, versions, each hash, and on which systems; nothing else."""
    listed = {f"{each['name']}=={each['version']}": each for each in found["components"]}
    assert {*listed} == {*re.findall(r"^([\w.-]+==[^\s;]+)", LOCK, re.M)}
    hashes = sorted(digest["content"] for each in listed.values() for digest in each["hashes"])
    assert hashes == sorted(re.findall(r"sha256:(\w+)", LOCK))
    markers = [each["properties"][0]["value"] for each in listed.values() if "properties" in each]
    assert sorted(markers) == sorted(re.findall(r"^[\w.-]+==\S+ ; (.+?) \\$", LOCK, re.M))


def test_what_ships_is_told_from_what_tests_need(found: dict[str, Any]) -> None:
    """By who needs whom."""
    scopes = {each["name"]: each["scope"] for each in found["components"]}
    assert {scopes[name] for name in ("mitmproxy", "mitmproxy-macos", "pydantic-core", "cryptography", "h11")} == {
        "required"
    }
    assert {scopes[name] for name in ("pytest", "ruff", "mypy", "boto3", "cyclonedx-python-lib")} == {"excluded"}
    needed = {each["ref"]: each.get("dependsOn", []) for each in found["dependencies"]}
    assert len({ref.partition("@")[0] for ref in needed["spendgate"]}) == len(PROJECT["dependencies"])
    assert any(ref.startswith("h2@") for refs in needed.values() for ref in refs)


def test_the_same_lock_makes_the_same_file(part: ModuleType, text: str) -> None:
    """But for its time; and it names no host of a registry."""
    blocks = re.findall(r"^[\w.-]+==.*?(?=^[\w.-]+==|\Z)", LOCK, re.M | re.S)
    few = "".join(block for block in blocks if block.startswith(("h11==", "h2==", "hpack==")))
    assert part.written(part.bom(few, PROJECT, NOW)) == part.written(part.bom(few, PROJECT, NOW))
    assert "://" not in re.sub(r'"\$schema": "[^"]+"', "", text)


@pytest.mark.parametrize(
    ("lock", "said"),
    [
        ("h11==0.16.0\n", "1: neither a package nor a hash"),
        ("h11==0.16.0 \\\n", "h11 has no hash"),
        ("-e .\n", "1: neither"),
    ],
)
def test_a_lock_without_hashes_is_refused(part: ModuleType, lock: str, said: str) -> None:
    """What is not held to a file is no material that anybody could name."""
    with pytest.raises(ValueError, match=re.escape(said)):
        list(part.read(lock))


def test_the_extra_for_tokens_has_a_lock_of_its_own() -> None:
    """With hashes and no registry's address; laptops, which get the other lock, have none of it."""
    lock = (ROOT / "mdm" / "pkcs11.lock").read_text()
    (wanted,) = PROJECT["optional-dependencies"]["pkcs11"]
    version = re.search(r"^python-pkcs11==(\d+)\.(\d+)", lock, re.M)
    assert version is not None
    assert wanted == f"python-pkcs11>={version[1]}.{version[2]},<{version[1]}.{int(version[2]) + 1}"
    assert re.fullmatch(r"(?:[\w.-]+==[\w.]+ \\\n(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)+", lock)
    assert "pkcs11" not in LOCK
