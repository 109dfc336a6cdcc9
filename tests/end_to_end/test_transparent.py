"""Show 2 under Linux transparent capture: clients that know of no proxy, in a network namespace, metered by their account."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from end_to_end.clients import CLIENTS, PROMPT, Client, binaries
from end_to_end.world import PATIENCE_S, PRODUCT, ROOT, calls, listed_nanos, policy, until
from redirect.lab import Lab, lab, why_not
from spendgate.standin.server import NAMES
from spendgate.usage import Usage

pytestmark = [pytest.mark.root, pytest.mark.clients]
STANDIN = "198.51.100.4"
TEXT = "The canal froze twice in 1963, and the herons left."


@dataclass(frozen=True, slots=True)
class Village:
    """A laptop under transparent capture, and the stand-in where its providers would be."""

    laptop: Lab
    folder: Path

    @property
    def state(self) -> Path:
        """The gate's state directory."""
        return self.folder / "state"

    def served(self) -> list[dict[str, Any]]:
        """What the stand-in's log says so far."""
        lines = (self.folder / "served.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def village() -> Iterator[Village]:
    """Everything up: names, the stand-in on port 443, the gate under an account of its own."""
    if reason := why_not():
        pytest.skip(reason)
    # Not pytest's own folder: that is closed to other accounts, and the gate and the clients run under some.
    with tempfile.TemporaryDirectory(prefix="village-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with lab() as laptop, _names(laptop.name), _standin(laptop, folder):
            made = Village(laptop, folder)
            with _gate(made):
                yield made


@contextlib.contextmanager
def _names(laptop: str) -> Iterator[None]:
    """The laptop's own /etc/hosts, which `ip netns exec` puts in place of the machine's."""
    folder = Path("/etc/netns") / laptop
    folder.mkdir(parents=True)
    file = folder / "hosts"
    file.write_text(f"127.0.0.1 localhost\n{STANDIN} {' '.join(NAMES[:-1])}\n")
    try:
        yield
    finally:
        file.unlink()
        folder.rmdir()


@contextlib.contextmanager
def _standin(laptop: Lab, folder: Path) -> Iterator[None]:
    """The stand-in, as a program, in the provider's namespace."""
    namespace = laptop.name.replace("sgl", "sgp")
    link = laptop.name.replace("sgl", "w")
    subprocess.run(["ip", "-n", namespace, "address", "add", f"{STANDIN}/24", "dev", link], check=True)
    command = [sys.executable, "-m", "spendgate.standin", "--host", STANDIN, "--port", "443"]
    command += ["--ca", str(folder / "standin-ca.pem"), "--log", str(folder / "served.jsonl")]
    command += ["--script", f"input=2311; cache_read=917; output=53; text={TEXT}"]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "addon")}
    with subprocess.Popen(["ip", "netns", "exec", namespace, *command], env=env, stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        program.stdout.readline()
        try:
            yield
        finally:
            program.terminate()


@contextlib.contextmanager
def _gate(village: Village) -> Iterator[None]:
    laptop, folder = village.laptop, village.folder
    command = [*PRODUCT, "run", "--mode", "transparent", "--account", laptop.gate_account]
    command += ["--policy", str(policy(folder)), "--state", str(village.state)]
    command += ["--set", f"ssl_verify_upstream_trusted_ca={folder / 'standin-ca.pem'}"]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "addon")}
    started = laptop.inside(*command, env=env, cwd="/")
    log = folder / "gate.log"
    reader = threading.Thread(target=_copy, args=(started, log), daemon=True)
    reader.start()
    try:
        until(lambda: True if log.exists() and b"\nready" in b"\n" + log.read_bytes() else None)
        yield
    finally:
        started.terminate()
        started.wait(PATIENCE_S)
        reader.join(PATIENCE_S)


def _copy(started: subprocess.Popen[str], log: Path) -> None:
    """Keep what the gate says; its pipe must not fill up."""
    with log.open("w", buffering=1) as file:
        while started.stderr and (line := started.stderr.readline()):
            file.write(line)


@pytest.mark.parametrize("client", [pytest.param(client, id=client.name) for client in CLIENTS])
def test_a_client_without_a_proxy_is_metered(village: Village, client: Client) -> None:
    """Answer unchanged, one row for each billable call with exact counts and cost, the account as the person."""
    person, ca = village.laptop.people[0], village.folder / "trusted.pem"
    # The state directory is the gate's alone; an admin hands the certificate to the trust stores, as root.
    ca.write_bytes((village.state / "ca" / "ca-cert.pem").read_bytes())
    home = Path(f"/home/{person}")
    trust = dict.fromkeys(("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "CODEX_CA_CERTIFICATE"), str(ca))
    keys = {"ANTHROPIC_API_KEY": "sk-ant-api03-made-up", "OPENAI_API_KEY": "sk-made-up", "CODEX_API_KEY": "sk-made-up"}
    env = {"HOME": str(home), "PATH": f"{binaries()}:{os.environ['PATH']}", "TERM": "dumb", **trust, **keys}
    rows_before, served_before = {row["id"] for row in calls(village.state)}, len(village.served())

    asked = village.laptop.inside(
        "setpriv",
        f"--reuid={person}",
        "--clear-groups",
        *client.command,
        PROMPT,
        env=env,
        cwd=home,
        stdin=subprocess.DEVNULL,
    )
    out, err = asked.communicate(timeout=PATIENCE_S)

    assert asked.returncode == 0, out + err
    assert TEXT in out
    served = {one["response_id"]: one for one in village.served()[served_before:] if one["billable"]}
    rows = until(lambda: _ended(village.state, rows_before) or None)
    billed = {row["response_id"]: row for row in rows if row["state"] not in ("free", "unrecognized")}
    assert served
    assert billed.keys() == served.keys()
    for response_id, row in billed.items():
        told = served[response_id]
        usage = Usage(**told["usage"])
        assert (row["person"], row["tool"], row["state"]) == (person, client.tool, "settled")
        assert (row["input_tokens"], row["output_tokens"]) == (usage.input_tokens, usage.output_tokens)
        assert row["cost_nanos"] == listed_nanos(row["provider"], told["model"], usage, row["booked_at"])


def _ended(state: Path, before: set[object]) -> list[dict[str, Any]]:
    rows = [row for row in calls(state) if row["id"] not in before]
    return rows if all(row["ended_at"] for row in rows) else []
