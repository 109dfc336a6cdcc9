"""Show 2: a TLS inspector stands between the gate and the provider, and signs for it with an authority of its own."""

from __future__ import annotations

import json
import re
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from end_to_end.corporate import Running, company
from end_to_end.raw import trust, tunnel
from end_to_end.world import PATIENCE_S, PRODUCT, Gate, Provider, environment, policy, started_gate, until
from load.origin import Identity

HOST = "api.anthropic.com"
URL = f"https://{HOST}/v1/messages"
BODY = {"model": "claude-sonnet-4-6", "max_tokens": 20, "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    """The inspector's."""
    return Identity.make(tmp_path_factory.mktemp("authority"), HOST)


@pytest.fixture(scope="module")
def inspector(tmp_path_factory: pytest.TempPathFactory, provider: Provider, authority: Identity) -> Iterator[Running]:
    """It takes every connection for the provider."""
    chain = ("--chain", str(authority.chain), "--trusts", str(provider.ca))
    log = tmp_path_factory.mktemp("inspector") / "log.jsonl"
    with company(log, "--silent", *chain, "--lead", f"{HOST}=127.0.0.1:{provider.port}") as running:
        yield running


def _gate(folder: Path, inspector: Running, store: Path) -> Iterator[Gate]:
    """`store` is the system's, by the variable that stands in its place for every OpenSSL program."""
    there = ("--set", f"connect_to={HOST}=127.0.0.1:{inspector.port}")
    with started_gate(folder, policy(folder), *there, SSL_CERT_FILE=str(store)) as gate:
        yield gate


@pytest.fixture(scope="module")
def trusting(tmp_path_factory: pytest.TempPathFactory, inspector: Running, authority: Identity) -> Iterator[Gate]:
    """A gate on a machine in whose store the inspector's authority is."""
    yield from _gate(tmp_path_factory.mktemp("trusting"), inspector, authority.ca)


@pytest.fixture(scope="module")
def distrusting(tmp_path_factory: pytest.TempPathFactory, inspector: Running, provider: Provider) -> Iterator[Gate]:
    """One where only the provider's own is."""
    yield from _gate(tmp_path_factory.mktemp("distrusting"), inspector, provider.ca)


def test_with_its_authority_in_the_store_a_call_passes(trusting: Gate, authority: Identity) -> None:
    """Metered as any; the gate's client is shown a certificate of the gate's authority, and never the inspector's."""
    with httpx2.Client(proxy=trusting.proxy, verify=trust(trusting), timeout=PATIENCE_S, trust_env=False) as http:
        answer = http.post(URL, json=BODY, headers={"x-api-key": "k"})
    assert answer.status_code == 200
    row = trusting.row(answer.headers["request-id"])
    assert (row["state"], row["output_tokens"]) == ("settled", 7)
    strict = ssl.create_default_context(cafile=str(authority.ca))
    with tunnel(trusting, HOST) as plain, pytest.raises(ssl.SSLCertVerificationError):
        strict.wrap_socket(plain, server_hostname=HOST)


def test_the_proxy_itself_inspects(tmp_path: Path, authority: Identity, provider: Provider) -> None:
    """A proxy over TLS, which is also the inspector; one bundle has both authorities."""
    own = Identity.make(tmp_path / "proxy", "localhost")
    store = tmp_path / "store.pem"
    store.write_text(own.ca.read_text() + authority.ca.read_text())
    chains = ("--tls", str(own.chain), "--chain", str(authority.chain), "--trusts", str(provider.ca))
    lead = ("--lead", f"{HOST}=127.0.0.1:{provider.port}", "--credentials", "kiebitz:a:b")
    with company(tmp_path / "log.jsonl", *chains, *lead) as proxy:
        mode = ("--mode", f"upstream:https://localhost:{proxy.port}")
        variables = {"SSL_CERT_FILE": str(store), "SPENDGATE_UPSTREAM_AUTH": "kiebitz:a:b"}
        with started_gate(tmp_path, policy(tmp_path), *mode, **variables) as gate:
            gate.port = int(re.findall(rb"=127\.0\.0\.1:(\d+)", bytes(gate.output))[-1])
            with httpx2.Client(proxy=gate.proxy, verify=trust(gate), timeout=PATIENCE_S, trust_env=False) as http:
                answer = http.post(URL, json=BODY, headers={"x-api-key": "k"})
            assert answer.status_code == 200, answer.text
            assert gate.row(answer.headers["request-id"])["state"] == "settled"
        assert proxy.asked == [("CONNECT", f"{HOST}:443", 200)]


@pytest.mark.parametrize("h2", [False, True], ids=["HTTP/1.1", "HTTP/2"])
def test_without_it_the_client_is_told_what_to_do(distrusting: Gate, provider: Provider, *, h2: bool) -> None:
    """One error in the provider's shape, which is not worth another try; nothing reached the provider, nothing is charged."""
    served = len(provider.served)
    options = {"proxy": distrusting.proxy, "verify": trust(distrusting), "http2": h2, "trust_env": False}
    with httpx2.Client(timeout=PATIENCE_S, **options) as http:  # type: ignore[arg-type]
        answer = http.post(URL, json=BODY, headers={"x-api-key": "k"})
    assert (answer.status_code, answer.headers["x-should-retry"]) == (502, "false")
    said = answer.json()["error"]["message"]
    assert f"The certificate that came for {HOST} is of an authority that this machine does not trust" in said
    assert "put its CA's certificate into the system's trust store and restart the gate" in said
    assert len(provider.served) == served
    row = until(lambda: next((row for row in distrusting.calls()[-1:] if row["ended_at"]), None))
    assert (row["state"], row["cost_nanos"] or 0) == ("failed", 0)


def test_doctor_says_so(distrusting: Gate, folder: Path) -> None:
    """With the same remedy."""
    with httpx2.Client(proxy=distrusting.proxy, verify=trust(distrusting), timeout=PATIENCE_S, trust_env=False) as http:
        assert http.post(URL, json=BODY, headers={"x-api-key": "k"}).status_code == 502
    words = [*PRODUCT, "doctor", "--state", str(distrusting.state), "--format", "json"]

    def told() -> dict[str, str] | None:
        done = subprocess.run(words, env=environment(folder), capture_output=True, check=False, timeout=5 * PATIENCE_S)
        return next((each for each in json.loads(done.stdout)["checks"] if each["check"] == "gate.upstream"), None)

    finding = until(told)
    assert (finding["about"], finding["state"]) == (HOST, "finding")
    assert "an authority that this machine does not trust" in finding["says"]
    assert "system's trust store" in finding["remedy"]
