"""Every profile that is made is one by Apple's definitions, and the check of that finds each thing that is wrong."""

from __future__ import annotations

import copy
import plistlib
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from mdm import apple
from mdm.kit import EXAMPLE, made, make, root_pem

defined = pytest.mark.skipif(not apple.SCHEMA.is_dir(), reason="Apple's definitions are not at ../shared")
CHANGES = {
    "transparent": {},
    "enforced": {"stage": "enforce"},
    "proxy": {"mode": "proxy", "port": 9000},
    "pac": {"mode": "proxy", "pac_url": "https://it.acme.example/spendgate.pac"},
    "without-cowork": {"claude_desktop_cowork": False},
}
Profile = dict[str, Any]


def profiles(out: Path) -> dict[str, Profile]:
    """Each profile by its file's name."""
    return {path.name: plistlib.loads(path.read_bytes()) for path in sorted(out.rglob("macos/profiles/*"))}


@pytest.fixture(scope="module", params=CHANGES)
def each(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Profile]:
    """The profiles of one rollout."""
    return profiles(made(tmp_path_factory.mktemp("mdm"), **CHANGES[request.param]))


@defined
def test_every_profile_is_what_apple_defines(each):
    """Types, required keys, allowed values; no key that Apple does not know."""
    assert each
    assert {name: found for name, profile in each.items() if (found := apple.faults(profile))} == {}


def test_no_two_profiles_share_an_identity(each):
    """A profile with another's UUID or identifier would replace it."""
    every = [part for profile in each.values() for part in (profile, *profile["PayloadContent"])]
    for key in ("PayloadUUID", "PayloadIdentifier"):
        assert len({part[key] for part in every}) == len(every)


def test_the_set_follows_the_mode(tmp_path):
    """The redirector is approved where the system redirects, and only there."""

    def names(folder: str, **changes: object) -> list[str]:
        (tmp_path / folder).mkdir()
        return [re.sub(r"^\d+-|\.mobileconfig$", "", name) for name in profiles(made(tmp_path / folder, **changes))]

    redirecting = ["root", "system-extension", "transparent-proxy", "background-items", "tools"]
    assert names("a") == redirecting
    assert names("b", mode="proxy") == ["root", "background-items", "tools"]
    assert names("c", mode="proxy", pac_url="https://a.example/p.pac") == ["root", "pac", "background-items", "tools"]


def test_the_root_is_the_organizations_and_nothing_else(tmp_path):
    """Byte for byte the certificate, in DER; no key."""
    pem = root_pem()
    payload = profiles(made(tmp_path, pem=pem))["1-root.mobileconfig"]["PayloadContent"][0]
    assert x509.load_der_x509_certificate(payload["PayloadContent"]) == x509.load_pem_x509_certificate(pem)


def test_a_profile_made_again_replaces_the_old_one(tmp_path):
    """Same identities after a change; other identities for another organization."""
    found = []
    for number, changes in enumerate(({}, {"stage": "enforce"}, {"identifier": "com.other.spendgate"})):
        (tmp_path / str(number)).mkdir()
        every = profiles(made(tmp_path / str(number), **changes))
        found.append({name: profile["PayloadUUID"] for name, profile in every.items()})
    assert found[0] == found[1]
    assert not {*found[0].values()} & {*found[2].values()}


def test_no_stage_makes_the_extension_irremovable(tmp_path):
    """What only a reinstalled system removes would have no kill switch."""
    for stage in ("observe", "canary", "enforce"):
        (tmp_path / stage).mkdir()
        policy = profiles(made(tmp_path / stage, stage=stage))["2-system-extension.mobileconfig"]["PayloadContent"][0]
        assert "NonRemovableSystemExtensions" not in policy
        assert ("RemovableSystemExtensions" in policy) == (stage != "enforce")


@defined
def test_the_example_of_the_documentation_makes_valid_profiles(tmp_path):
    """What mdm/README.md tells people to try."""
    done = make(EXAMPLE, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert len(profiles(tmp_path / "out")) == 5
    for profile in profiles(tmp_path / "out").values():
        assert apple.faults(profile) == []


def _set(path: str, value: object) -> Callable[[Profile], None]:
    def change(profile: Profile) -> None:
        *steps, last = [int(step) if step.isdigit() else step for step in path.split("/")]
        target: Any = profile
        for step in steps:
            target = target[step]
        if value is DROPPED:
            del target[last]
        else:
            target[last] = value

    return change


DROPPED = object()
PROXY, EXTENSION, ROOT, ITEMS, TOOLS = (
    f"{number}-{name}.mobileconfig"
    for number, name in (
        (3, "transparent-proxy"),
        (2, "system-extension"),
        (1, "root"),
        (4, "background-items"),
        (5, "tools"),
    )
)
MUTATIONS = [
    (ROOT, "PayloadType", "Profile", "is not among"),
    (ROOT, "PayloadType", DROPPED, "is missing"),
    (ROOT, "PayloadVersion", 2, "is not among"),
    (ROOT, "PayloadVersion", True, "bool, not <integer>"),
    (ROOT, "PayloadVersion", "1", "str, not <integer>"),
    (ROOT, "PayloadScope", "Everybody", "is not among"),
    (ROOT, "PayloadRemovalDisallowed", 1, "int, not <boolean>"),
    (ROOT, "Colour", "green", "unknown key"),
    (ROOT, "PayloadUUID", "42", "PayloadUUID: '42'"),
    (ROOT, "RemovalDate", "tomorrow", "str, not <date>"),
    (ROOT, "PayloadContent/0/PayloadUUID", DROPPED, "is missing"),
    (ROOT, "PayloadContent/0/PayloadContent", "MIIB", "str, not <data>"),
    (ROOT, "PayloadContent/0/PayloadContent", DROPPED, "is missing"),
    (ROOT, "PayloadContent/0/PayloadType", "com.apple.security.roots", "is not defined"),
    (EXTENSION, "PayloadContent/0/AllowedSystemExtensions", ["x"], "list, not <dictionary>"),
    (EXTENSION, "PayloadContent/0/AllowedSystemExtensions/S8XHQB96PW", "x", "str, not <array>"),
    (EXTENSION, "PayloadContent/0/AllowedSystemExtensions/S8XHQB96PW/0", 7, "int, not <string>"),
    (EXTENSION, "PayloadContent/0/AllowedSystemExtension", {}, "unknown key"),
    (PROXY, "PayloadContent/0/VPNType", "Transparent", "is not among"),
    (PROXY, "PayloadContent/0/VPNSubType", DROPPED, "TransparentProxy needs it"),
    (PROXY, "PayloadContent/0/UserDefinedName", DROPPED, "is missing"),
    (PROXY, "PayloadContent/0/TransparentProxy", DROPPED, "a system extension needs it"),
    (PROXY, "PayloadContent/0/TransparentProxy/ProviderDesignatedRequirement", DROPPED, "a system extension needs it"),
    (PROXY, "PayloadContent/0/TransparentProxy/ProviderType", "app", "is not among"),
    (PROXY, "PayloadContent/0/TransparentProxy/Order", "first", "str, not <integer>"),
    (PROXY, "PayloadContent/0/TransparentProxy/Hosts", [], "unknown key"),
    (ITEMS, "PayloadContent/0/Rules", DROPPED, "is missing"),
    (ITEMS, "PayloadContent/0/Rules/0/RuleType", "Path", "is not among"),
    (ITEMS, "PayloadContent/0/Rules/0/RuleValue", DROPPED, "is missing"),
    (ITEMS, "PayloadContent/0/Rules/0", "all", "str, not <dictionary>"),
    (TOOLS, "PayloadContent/0/PayloadContent/com.openai.codex/Forced/0/mcx_preference_settings", DROPPED, "is missing"),
    (TOOLS, "PayloadContent/0/PayloadContent/com.openai.codex/Always", [], "unknown key"),
]  # fmt: skip


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Profile]:
    """Valid profiles, to be spoilt."""
    return profiles(made(tmp_path_factory.mktemp("mdm")))


@defined
@pytest.mark.parametrize(("file", "path", "value", "told"), MUTATIONS)
def test_the_check_finds_each_fault(good, file, path, value, told):
    """Without this the check could pass whatever is made."""
    profile = copy.deepcopy(good[file])
    _set(path, value)(profile)
    found = apple.faults(profile)
    assert len(found) >= 1
    assert any(told in each for each in found), found


@defined
def test_the_check_finds_an_identity_twice(good):
    """Of two payloads with one UUID macOS keeps one."""
    profile = copy.deepcopy(good[ROOT])
    profile["PayloadContent"][0]["PayloadUUID"] = profile["PayloadUUID"]
    assert any("twice" in each for each in apple.faults(profile))
    profile["RemovalDate"] = datetime(2030, 1, 1)
    assert not any("RemovalDate" in each for each in apple.faults(profile))
