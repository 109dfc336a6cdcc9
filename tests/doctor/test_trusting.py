"""By which of its variables and stores a program trusts, in which order, and what mends it."""

from __future__ import annotations

import pytest

from spendgate.doctor.interface import Material, Store, Tool
from spendgate.doctor.known import TOOLS
from spendgate.doctor.trusting import trusts
from spendgate.runtimes import ADDING, REPLACING

BY_NAME = {tool.name: tool for tool in TOOLS}
CA = "/state/ca/ca-cert.pem"
NOWHERE = dict.fromkeys(Store, False)


def has(stores: dict[Store, bool] | None = None, **variables: tuple[str, bool | None]) -> Material:
    """Each variable with its value, and whether what it names has our certificate (None: it cannot be read)."""
    named = {name: value for name, (value, _) in variables.items()}
    return Material(CA, named, {name: held for name, (_, held) in variables.items()}, {**NOWHERE, **(stores or {})})


@pytest.mark.parametrize(
    ("tool", "material", "why"),
    [
        pytest.param("claude-code", has(NODE_EXTRA_CA_CERTS=("/x", True)), ADDING, id="what adds"),
        pytest.param("claude-code", has({Store.SYSTEM: True}), "the system's store", id="the store by itself"),
        pytest.param("claude-code", has(SSL_CERT_FILE=("/x", True)), "SSL_CERT_FILE", id="what replaces"),
        pytest.param(
            "claude-code",
            has(NODE_EXTRA_CA_CERTS=("/x", True), SSL_CERT_FILE=("/y", False)),
            ADDING,
            id="what adds stands beside what replaces",
        ),
        pytest.param(
            "codex",
            has(CODEX_CA_CERTIFICATE=("/x", True), SSL_CERT_FILE=("/y", False)),
            "CODEX_CA_CERTIFICATE",
            id="Codex adds its own",
        ),
        pytest.param(
            "gemini-cli",
            has({Store.SYSTEM: True}, NODE_USE_SYSTEM_CA=("1", None)),
            "system's",
            id="a store switched on",
        ),
        pytest.param("java", has({Store.JAVA: True}), "Java's store", id="a store of its own"),
        pytest.param("cursor", has({Store.BROWSER: True}), "NSS", id="a browser's store"),
    ],
)
def test_trusted(tool: str, material: Material, why: str) -> None:
    """It says by what."""
    found = trusts(BY_NAME[tool], material)
    assert (found.yes, found.remedy) == (True, "")
    assert why in found.why


@pytest.mark.parametrize(
    ("tool", "material", "why", "remedy"),
    [
        pytest.param(
            "codex",
            has({Store.SYSTEM: True}, SSL_CERT_FILE=("/corp.pem", False)),
            "SSL_CERT_FILE names /corp.pem, which has not our certificate",
            f"append {CA}",
            id="a variable goes before the store",
        ),
        pytest.param(
            "curl",
            has({Store.SYSTEM: True}, CURL_CA_BUNDLE=("/gone.pem", None)),
            "/gone.pem, which cannot be read",
            f"the system's certificates and {CA}",
            id="a file that is gone",
        ),
        pytest.param(
            "curl",
            has({Store.SYSTEM: True}, CURL_CA_BUNDLE=("/y", False), SSL_CERT_FILE=("/x", True)),
            "CURL_CA_BUNDLE",
            f"append {CA}",
            id="the first decides against the second",
        ),
        pytest.param("codex", has(), "the system's store has not", "`spendgate ca trust --state /state`", id="nowhere"),
        pytest.param(
            "claude-code",
            has({Store.SYSTEM: True}, CLAUDE_CODE_CERT_STORE=("bundled", None)),
            f"{ADDING} is not set",
            f"set {ADDING}={CA}",
            id="a store switched off",
        ),
        pytest.param(
            "gemini-cli", has({Store.SYSTEM: True}), f"{ADDING} is not set", f"set {ADDING}={CA}", id="no store is read"
        ),
        pytest.param(
            "gemini-cli",
            has(NODE_EXTRA_CA_CERTS=("/corp.pem", False)),
            f"{ADDING} names /corp.pem",
            f"append {CA}",
            id="what adds, without ours",
        ),
        pytest.param("aider", has({Store.SYSTEM: True}), "SSL_CERT_FILE is not set", "let SSL_CERT_FILE", id="bundled"),
    ],
)
def test_not_trusted(tool: str, material: Material, why: str, remedy: str) -> None:
    """It says by what not, and the remedy names the variable or the command."""
    found = trusts(BY_NAME[tool], material)
    assert found.yes is False
    assert why in found.why
    assert remedy in found.remedy


@pytest.mark.parametrize("tool", TOOLS, ids=[tool.name for tool in TOOLS])
def test_variables_are_those_that_are_set(tool: Tool) -> None:
    """What `exec` and an MDM set is what is looked at; Java's options aside, which hold more than a file."""
    assert {*tool.replacing} - {"JAVA_TOOL_OPTIONS"} <= {*REPLACING}
    assert tool.adding in ("", ADDING, *REPLACING)
    assert bool(tool.switch[0]) <= (Store.SYSTEM in tool.stores)


@pytest.mark.parametrize(
    ("tool", "material", "yes", "words"),
    [
        pytest.param(
            "claude-code", has(NODE_EXTRA_CA_CERTS=("/x", True)), True, "NODE_EXTRA_CA_CERTS", id="a variable adds"
        ),
        pytest.param(
            "git", has({Store.SYSTEM: True}, GIT_SSL_CAINFO=("/x", False)), False, "GIT_SSL_CAINFO", id="replaces"
        ),
        pytest.param(
            "claude-code", has({Store.SYSTEM: True}), None, "measured on Linux alone", id="by the store alone"
        ),
        pytest.param("codex", has(), False, "has not our certificate", id="by nothing"),
    ],
)
def test_where_programs_were_never_measured(tool: str, material: Material, yes: bool | None, words: str) -> None:
    """Variables mean what they mean everywhere; what a program takes from the store of another system is not known."""
    found = trusts(BY_NAME[tool], material, "push it with the MDM")
    assert found.yes is yes
    assert words in found.why
    assert "spendgate ca trust" not in found.remedy
    if words == "has not our certificate":
        assert found.remedy == "push it with the MDM"
