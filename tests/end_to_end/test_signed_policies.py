"""`spendgate run` on a machine whose trust file asks for signatures: from a file and from a URL, tampered with in every way."""

from __future__ import annotations

import json
import os
import sqlite3
import ssl
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from config.signing import KEY, STRANGER, sign
from end_to_end.world import PRODUCT, ROOT, Gate, Provider, environment, running_gate, until
from policy_server import policy_server
from spendgate.config.trust import TRUST_FILE
from spendgate.standin.script import Script

pytestmark = pytest.mark.skipif(TRUST_FILE.exists(), reason=f"this machine has a {TRUST_FILE} of its own")
POLICY = """\
version: 1
revision: {revision}
owner: platform-ai@acme.example
include: [people.yaml]
unknown_people: each
budgets: [{{name: person, per: person, limit: {limit} per day}}]
"""
CALL = {"model": "claude-sonnet-5", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}


def trust(folder: Path, more: str = "") -> dict[str, str]:
    """A trust file of this account's, and the variable that names it."""
    file = folder / "trust.yaml"
    file.write_text(f"version: 1\nkeys: [{{name: platform, key: {KEY.public}}}]\n{more}")
    file.chmod(0o644)
    return {"SPENDGATE_TRUST": str(file)}


def put(folder: Path, revision: int, limit: str = "$100") -> Path:
    """A policy with people.yaml, signed."""
    folder.mkdir(exist_ok=True)
    (folder / "people.yaml").write_text("people: {alice: {accounts: [nobody-here]}}\n")
    file = folder / "policy.yaml"
    file.write_text(POLICY.format(revision=revision, limit=limit))
    sign(file)
    return file


def status(gate: Gate, folder: Path) -> dict[str, object]:
    """What `spendgate status --format json` says of the policy."""
    command = [sys.executable, "-m", "spendgate", "status", "--state", str(gate.state), "--format", "json"]
    done = subprocess.run(command, env=environment(folder), capture_output=True, check=True, cwd=ROOT)
    return json.loads(done.stdout)["policy"]


def refused(gate: Gate, folder: Path, text: str) -> str:
    """The first fault that `status` tells, once it holds this text."""
    return until(lambda: next((fault for fault in status(gate, folder)["refused"] if text in fault), None))


def audited(state: Path) -> list[tuple[str, str]]:
    """The audit trail's words and details, of what is about policies."""
    with closing(sqlite3.connect(f"file:{state / 'ledger.db'}?mode=ro", uri=True, timeout=30)) as ledger:
        return list(ledger.execute("SELECT what, detail FROM audit WHERE what LIKE 'policy %' ORDER BY position"))


def answered(gate: Gate) -> int:
    """The status of one small call through the gate."""
    with httpx2.Client(proxy=gate.proxy, verify=ssl.create_default_context(cafile=gate.ca), timeout=60) as client:
        return client.post(
            "https://api.anthropic.com/v1/messages", json=CALL,
            headers={"x-api-key": "sk-ant-api03-x", "anthropic-version": "2023-06-01"},
        ).status_code  # fmt: skip


def not_started(folder: Path, *words: str, **variables: str) -> tuple[int, str]:
    """Exit status and stderr of a gate that does not come up."""
    command = [*PRODUCT, "run", "--state", str(folder / "state"), "--port", "0", *words]
    done = subprocess.run(
        command, env=environment(folder, **variables), capture_output=True, text=True, check=False, timeout=120
    )
    return done.returncode, done.stderr


def test_a_policy_that_is_tampered_with(provider: Provider, folder: Path) -> None:
    """Each tampering is named in `status`, in the log and in the audit trail; the last good one goes on, restarts too."""
    provider.set(Script(input=1_000, output=10))
    asks, etc = trust(folder), folder / "etc"
    file = put(etc, 42)
    signature = etc / "policy.yaml.minisig"
    with running_gate(folder, provider, file, **asks) as gate:
        first = status(gate, folder)
        assert (first["signed_by"], first["revision"]) == ("platform (0706050403020100)", 42)
        assert answered(gate) == 200
        good = {each: each.read_bytes() for each in etc.iterdir()}

        file.write_text(POLICY.format(revision=43, limit="$900"))
        assert str(signature) in refused(gate, folder, "is not what the key 0706050403020100 signed")
        sign(file, STRANGER)
        refused(gate, folder, "signed with the key 0807060504030201, which is not known here")
        signature.unlink()
        refused(gate, folder, "policy.yaml.minisig: is missing")
        put(etc, 41, "$900")
        refused(gate, folder, "41 is lower than 42")
        put(etc, 42, "$900")
        refused(gate, folder, "42 has been in force with other content")
        put(etc, 43, "$900")
        (etc / "people.yaml").write_text("people: {mallory: {accounts: [root]}}\n")
        refused(gate, folder, "people.yaml is not what was signed with this policy")
        assert status(gate, folder)["hash"] == first["hash"]
        assert answered(gate) == 200
        for each, data in good.items():
            each.write_bytes(data)
        until(lambda: True if not status(gate, folder)["refused"] else None)
        told = until(lambda: found if len(found := audited(gate.state)) >= 8 else None)
        assert b"last good one stays in force" in gate.output
    assert told[0] == ("policy in force", f"{first['hash']}, revision 42, signed by platform (0706050403020100)")
    whys = [detail.rpartition(": ")[2] for what, detail in told if what == "policy refused"]
    # Two writes of one change may be seen as two, and one of them is told as unsigned.
    assert [why for why in whys if why == "revision"] == ["revision", "revision"]
    assert whys.count("signature") >= 4

    file.write_text(POLICY.format(revision=43, limit="$900"))
    with running_gate(folder, provider, file, **asks) as gate:
        assert f"policy={first['hash']}".encode() in gate.output
        refused(gate, folder, "is not what the key")
        assert b"the last good one stays in force:" in gate.output
    about = folder / "state" / "policy" / "last-good.json"
    about.write_text(about.read_text().replace("$100", "$999"))
    code, error = not_started(folder, "--policy", str(file), **asks)
    assert (code, "is not what the key 0706050403020100 signed" in error) == (1, True)
    put(etc, 41, "$900")
    code, error = not_started(folder, "--policy", str(file), **asks)
    assert (code, "41 is lower than 42" in error) == (1, True)
    about.unlink()
    code, error = not_started(folder, "--policy", str(file), **trust(folder, "least_revision: 42\n"))
    assert (code, "41 is lower than least_revision in" in error) == (1, True)


def test_what_a_machine_with_a_trust_file_does_not_start_with(folder: Path) -> None:
    """No policy, an unsigned one, a trust file that others may write or with a fault: nothing is captured, one line says why."""
    asks, file = trust(folder), put(folder / "etc", 1)
    code, error = not_started(folder, **asks)
    assert (code, "policies/default.yaml: has no signature" in error) == (1, True)
    (folder / "etc" / "policy.yaml.minisig").unlink()
    code, error = not_started(folder, "--policy", str(file), **asks)
    assert (code, "policy.yaml.minisig: is missing; " in error) == (1, True)
    trust(folder, "require_signatures: true\n")
    code, error = not_started(folder, "--policy", str(file), **asks)
    assert (code, "trust.yaml:3:1: require_signatures: unknown key" in error) == (1, True)
    (folder / "trust.yaml").chmod(0o666)
    code, error = not_started(folder, "--policy", str(file), **asks)
    assert (code, "trust.yaml can be written by others than root" in error) == (1, True)
    assert not (folder / "state").exists()


def test_a_policy_from_a_url(provider: Provider, folder: Path) -> None:
    """Over TLS by the system's trust store; the server down at a restart leaves the copy, and `--policy` has no say."""
    provider.set(Script(input=1_000, output=10))
    put(folder / "etc", 42)
    with policy_server(folder) as server:
        server.give(folder / "etc")
        asks = trust(folder, f"policy: {{url: '{server.url}', every: 1m}}\n") | {"SSL_CERT_FILE": str(server.ca)}
        code, error = not_started(folder, "--policy", str(folder / "etc" / "policy.yaml"), **asks)
        assert (code, f"says that the policy comes from {server.url}; leave it out" in error) == (2, True)
        code, error = not_started(folder, SPENDGATE_TRUST=asks["SPENDGATE_TRUST"])
        assert (code, f"{server.url}: cannot be fetched: its certificate is not trusted" in error) == (1, True)
        with running_gate(folder, provider, None, **asks) as gate:
            first = status(gate, folder)
            assert (first["source"], first["revision"], first["included"]) == (server.url, 42, ["people.yaml"])
            assert answered(gate) == 200
        put(folder / "etc", 43, "$0.0001")
        server.give(folder / "etc")
        with running_gate(folder, provider, None, **asks) as gate:
            assert f"policy={first['hash']}".encode() in gate.output
            until(lambda: True if status(gate, folder)["revision"] == 43 else None)
            assert until(lambda: True if answered(gate) == 429 else None)
    with running_gate(folder, provider, None, **asks) as gate:
        assert f"{server.url}: cannot be fetched" in refused(gate, folder, "cannot be fetched")
        assert status(gate, folder)["revision"] == 43
        assert audited(gate.state)[-1][1].endswith("stays in force; 1 fault: not fetched")


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_the_systems_own_file(provider: Provider, folder: Path) -> None:
    """Where root's file is, no variable leads to another: in a mount namespace that has one."""
    etc = folder / "system-etc"
    etc.mkdir()
    (etc / "trust.yaml").write_text(f"version: 1\nkeys: [{{name: root-says, key: {STRANGER.public}}}]\n")
    file = put(folder / "etc", 42)
    command = (
        f"mkdir -p {TRUST_FILE.parent} 2>/dev/null; mount --bind {etc} {TRUST_FILE.parent} && "
        f"exec {' '.join(PRODUCT)} policy verify {file}"
    )
    made = TRUST_FILE.parent.exists()
    try:
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", command],
            env=environment(folder, **trust(folder)), capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
    finally:
        if not made and TRUST_FILE.parent.exists():
            TRUST_FILE.parent.rmdir()
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no mount namespaces here: {done.stderr.strip()}")
    assert done.returncode == 1
    assert "0706050403020100, which is not known here; allowed: 0807060504030201" in done.stderr
