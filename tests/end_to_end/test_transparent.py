"""Show 2 under Linux transparent capture: clients that know of no proxy, in a network namespace, metered by their account."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

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
def village(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Village]:
    """Everything up: names, the stand-in on port 443, the gate under an account of its own."""
    if reason := why_not():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("village")
    for part in (folder, *folder.parents[:3]):
        part.chmod(0o755)
    with lab() as laptop, _names(laptop.name), _standin(laptop, folder):
        made = Village(laptop, folder)
        _gate(made)
        yield made
        laptop.end_gates()


@contextlib.contextmanager
def _names(laptop: str) -> Iterator[None]:
    """The laptop's own /etc/hosts, which `ip netns exec` puts in place of the machine's."""
    folder = Path("/etc/netns") / laptop
    folder.mkdir(parents=True)
    file = folder / "hosts"
    file.write_text(f"127.0.0.1 localhost\n{STANDIN} {' '.join(NAMES[:-1])}\n")
    yield
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
    program = subprocess.Popen(["ip", "netns", "exec", namespace, *command], env=env, stdout=subprocess.PIPE)
    assert program.stdout is not None
    program.stdout.readline()
    yield
    program.terminate()
    program.communicate()


def _gate(village: Village) -> None:
    laptop, folder = village.laptop, village.folder
    file = policy(folder)
    command = [*PRODUCT, "run", "--mode", "transparent", "--account", laptop.gate_account]
    command += ["--policy", str(file), "--state", str(village.state)]
    command += ["--set", f"ssl_verify_upstream_trusted_ca={folder / 'standin-ca.pem'}"]
    log = (folder / "gate.log").open("wb")
    env = {**os.environ, "PYTHONPATH": str(ROOT / "addon")}
    started = laptop.inside(*command, env=env, cwd="/")
    threading.Thread(target=_copy, args=(started, log), daemon=True).start()
    until(lambda: True if b"ready" in (folder / "gate.log").read_bytes() else None)


def _copy(started: subprocess.Popen[str], log: BinaryIO) -> None:
    with log:
        while started.stderr and (line := started.stderr.readline()):
            log.write(line.encode())
            log.flush()


@pytest.mark.parametrize("client", [pytest.param(client, id=client.name) for client in CLIENTS])
def test_a_client_without_a_proxy_is_metered(village: Village, client: Client) -> None:
    """Answer unchanged, one row for each billable call with exact counts and cost, the account as the person."""
    person, ca = village.laptop.people[0], village.state / "ca" / "ca-cert.pem"
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
