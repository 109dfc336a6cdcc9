"""A laptop under transparent capture in a network namespace, and the stand-in where its providers would be.

The gate is `spendgate run --mode transparent` itself; its clients have no proxy, and trust its certificate where it lies.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from end_to_end.world import PATIENCE_S, PRODUCT, ROOT, calls, policy, until
from redirect.lab import Lab, lab
from spendgate.standin.server import NAMES

STANDIN = "198.51.100.4"
TEXT = "The canal froze twice in 1963, and the herons left."
CLIENT = """
    import http.client, json, os, ssl, sys
    trusted, then, port = sys.argv[1:]
    body = json.dumps({"model": "claude-sonnet-4-6", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]})
    wire = http.client.HTTPSConnection("api.anthropic.com", int(port), context=ssl.create_default_context(cafile=trusted))
    wire.request("POST", "/v1/messages", body, {"x-api-key": "sk-ant-api03-made-up", "content-type": "application/json"})
    if then == "gone":
        os._exit(0)
    answer = wire.getresponse()
    answer.read()
    print(answer.headers["request-id"])
"""


@dataclass(frozen=True, slots=True)
class Village:
    """Everything up."""

    laptop: Lab
    folder: Path

    @property
    def provider(self) -> str:
        """The provider's namespace."""
        return self.laptop.name.replace("sgl", "sgp")

    @property
    def state(self) -> Path:
        """The gate's state directory."""
        return self.folder / "state"

    @property
    def socket(self) -> Path:
        """Where the gate answers other accounts."""
        return self.folder / "run" / "gate.sock"

    @property
    def ca(self) -> Path:
        """The certificate that clients must trust, where the gate keeps it."""
        return self.state / "ca" / "ca-cert.pem"

    def served(self) -> list[dict[str, Any]]:
        """What the stand-in's log says so far."""
        lines = (self.folder / "served.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def ended(self, before: set[object]) -> list[dict[str, Any]]:
        """The rows that were not there before, once there are some and all have ended."""

        def look() -> list[dict[str, Any]] | None:
            rows = [row for row in calls(self.state) if row["id"] not in before]
            return rows if rows and all(row["ended_at"] for row in rows) else None

        return until(look)

    def ids(self) -> set[object]:
        """Of the rows that are there."""
        return {row["id"] for row in calls(self.state)}

    def ask(self, account: str | None, *, before: str = "", gone: bool = False, port: int = 443) -> dict[str, Any]:
        """One call by a new process of `account` (None: root); its row. `before`: what the client is run under. `gone`: the
        process ends as soon as it has written its request."""
        rows = self.ids()
        who = ("setpriv", f"--reuid={account}", "--clear-groups") if account else ()
        then = "gone" if gone else "reads"
        shell = f'{before} python3 -c "$0" {self.ca} {then} {port}; exit $?'
        asked = self.laptop.inside(*who, "sh", "-c", shell, textwrap.dedent(CLIENT), cwd="/")
        out, err = asked.communicate(timeout=PATIENCE_S)
        assert asked.returncode == 0, out + err
        (row,) = self.ended(rows)
        assert gone or row["request_id"] == out.strip()
        return row


Beyond = Callable[[Village], contextlib.AbstractContextManager[object]]


def _nothing(made: Village) -> contextlib.AbstractContextManager[object]:
    return contextlib.nullcontext()


@contextlib.contextmanager
def village(*more: str, beyond: Beyond = _nothing, **variables: str) -> Iterator[Village]:
    """Everything up: names, the stand-in on port 443, the gate under an account of its own, with these words and variables.

    `beyond`: what else is there in the provider's namespace, before the gate starts.
    """
    # Not pytest's own folder: that is closed to other accounts, and the gate and the clients run under some.
    with tempfile.TemporaryDirectory(prefix="village-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with lab() as laptop, names(laptop.name), _standin(laptop, folder):
            made = Village(laptop, folder)
            with beyond(made), _gate(made, more, variables):
                yield made


@contextlib.contextmanager
def names(laptop: str) -> Iterator[None]:
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
def _gate(made: Village, more: tuple[str, ...], variables: dict[str, str]) -> Iterator[None]:
    laptop, folder = made.laptop, made.folder
    command = [*PRODUCT, "run", "--mode", "transparent", "--account", laptop.gate_account]
    command += ["--policy", str(policy(folder)), "--state", str(made.state), "--socket", str(made.socket)]
    command += ["--set", f"ssl_verify_upstream_trusted_ca={folder / 'standin-ca.pem'}"]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "addon"), **variables}
    started = laptop.inside(*command, *more, env=env, cwd="/")
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
