"""A command goes through the gate and still trusts what it trusted before."""

from __future__ import annotations

from pathlib import Path

import pytest

from spendgate.cli.environment import no_proxy, surroundings

HOSTS = ("api.anthropic.com", "api.openai.com")
OURS = "-----BEGIN CERTIFICATE-----\nours\n-----END CERTIFICATE-----\n"


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    """Stands for our certificate."""
    cert = tmp_path / "ca-cert.pem"
    cert.write_text(OURS)
    return cert


@pytest.fixture
def no_java(monkeypatch: pytest.MonkeyPatch) -> None:
    """No `java` on the path."""
    monkeypatch.setattr("spendgate.cli.environment.shutil.which", lambda *_args, **_kw: None)


def test_a_bundle_that_was_set_is_kept_and_added_to(ca: Path, tmp_path: Path, no_java: None) -> None:
    """A company's own SSL_CERT_FILE is still inside what replaces it; NODE_EXTRA_CA_CERTS too."""
    company = tmp_path / "company.pem"
    company.write_text("company root")

    env = surroundings(
        {"SSL_CERT_FILE": str(company), "NODE_EXTRA_CA_CERTS": str(company)},
        port=4711,
        ca_cert=ca,
        folder=tmp_path,
        hosts=HOSTS,
    ).variables

    for name in ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"):
        assert Path(env[name]).read_text() == f"company root\n{OURS}"
    assert OURS in Path(env["REQUESTS_CA_BUNDLE"]).read_text()


def test_a_folder_that_was_trusted_is_trusted(ca: Path, tmp_path: Path, no_java: None) -> None:
    """requests takes one in REQUESTS_CA_BUNDLE, whose certificates are found by their names' hash; other files there are none."""
    trusted = tmp_path / "certs"
    trusted.mkdir()
    (trusted / "company.pem").write_text("company root")
    (trusted / "0a1b2c3d.0").symlink_to("company.pem")
    (trusted / "old.pem").write_text("not trusted")

    env = surroundings(
        {"REQUESTS_CA_BUNDLE": str(trusted)}, port=4711, ca_cert=ca, folder=tmp_path, hosts=HOSTS
    ).variables

    assert Path(env["REQUESTS_CA_BUNDLE"]).read_text() == f"company root\n{OURS}"


def test_proxy_variables_name_the_gate(ca: Path, tmp_path: Path, no_java: None) -> None:
    """Upper and lower case, and Node's own switch."""
    env = surroundings({"PATH": "/bin"}, port=4711, ca_cert=ca, folder=tmp_path, hosts=HOSTS).variables

    assert {env[name] for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")} == {
        "http://127.0.0.1:4711"
    }
    assert (env["NODE_USE_ENV_PROXY"], env["PATH"]) == ("1", "/bin")
    assert "JAVA_TOOL_OPTIONS" not in env


@pytest.mark.parametrize(
    ("before", "dropped"),
    [
        pytest.param("", (), id="none"),
        pytest.param("corp.example,10.0.0.0/8", (), id="others stay"),
        pytest.param("*", ("*",), id="everything"),
        pytest.param(".anthropic.com, corp.example", (".anthropic.com",), id="parent"),
        pytest.param("api.openai.com:443", ("api.openai.com:443",), id="with port"),
        pytest.param("notapi.openai.com,xapi.anthropic.com", (), id="look-alikes stay"),
    ],
)
def test_no_proxy_never_hides_a_provider(before: str, dropped: tuple[str, ...]) -> None:
    """Entries that cover a provider go, and are told; loopback is always direct."""
    kept, gone = no_proxy(before, HOSTS)

    assert gone == dropped
    assert {"localhost", "127.0.0.1", "::1"} <= set(kept)


def test_javas_own_trust_store_is_left_alone(ca: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where JAVA_TOOL_OPTIONS names a trust store, it stays and a person is told."""
    monkeypatch.setattr("spendgate.cli.environment.shutil.which", lambda *_args, **_kw: "/usr/bin/java")
    mine = "-Djavax.net.ssl.trustStore=/corp.jks"

    found = surroundings({"JAVA_TOOL_OPTIONS": mine}, port=1, ca_cert=ca, folder=tmp_path, hosts=HOSTS)

    assert found.variables["JAVA_TOOL_OPTIONS"] == mine
    assert any("trust store" in text for text in found.notes)
