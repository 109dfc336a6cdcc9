"""A provider beyond a machine of the test's own: another network namespace in it, where the stand-in answers on port 443."""

from __future__ import annotations

import contextlib
import json
import subprocess
import textwrap
import time
from collections.abc import Iterator
from typing import Any

from service.systemd_lab import Machine
from spendgate.standin.server import NAMES

STANDIN4, STANDIN6 = "198.51.100.4", "2001:db8::4"
STANDIN_CA = "/run/abroad/standin-ca.pem"
GATE_CA = "/var/lib/spendgate/ca/ca-cert.pem"
PATIENCE_S = 600

_CLIENT = """
    import http.client, json, ssl, sys, time
    until = time.monotonic() + float(sys.argv[1])
    body = json.dumps({"model": "claude-sonnet-4-6", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]})
    headers = {"x-api-key": "sk-ant-api03-made-up", "content-type": "application/json"}
    while True:
        began, said = time.monotonic(), {"by": "nobody"}
        for by, trusted in (("gate", sys.argv[2]), ("provider", sys.argv[3])):
            try:
                context = ssl.create_default_context(cafile=trusted)
                wire = http.client.HTTPSConnection("api.anthropic.com", context=context, timeout=5)
                wire.request("POST", "/v1/messages", body, headers)
                said = {"by": by, "id": wire.getresponse().headers["request-id"]}
                break
            except ssl.SSLCertVerificationError:
                continue
            except OSError as error:
                said = {"by": "nobody", "why": str(error)}
        print(json.dumps({**said, "at_s": began}), flush=True)
        if time.monotonic() >= until:
            break
        time.sleep(0.05)
"""
"""Asks by the name alone; `by` is whose certificate it was shown."""

_UP = f"""
set -e
ip netns add abroad
ip link add out type veth peer name in netns abroad
ip link set out up; ip address add 198.51.100.1/24 dev out; ip address add 2001:db8::1/64 dev out nodad
ip -n abroad link set lo up; ip -n abroad link set in up
ip -n abroad address add {STANDIN4}/24 dev in; ip -n abroad address add {STANDIN6}/64 dev in nodad
mkdir -p /run/abroad /run/systemd/system/spendgate.service.d
chmod 755 /run/abroad
cp /etc/hosts /run/abroad/hosts; mount --bind /run/abroad/hosts /etc/hosts
"""
_STANDIN = (
    "systemd-run", "--quiet", "--unit=standin", "--property=NetworkNamespacePath=/run/netns/abroad",
    "{python}", "-m", "spendgate.standin", "--host", STANDIN4, "--port", "443", "--ca", STANDIN_CA,
    "--log", "/run/abroad/served.jsonl",
)  # fmt: skip


class Abroad:
    """The machine with its provider, and the clients of its accounts."""

    def __init__(self, laptop: Machine) -> None:
        self.laptop = laptop

    def install(self, *options: str) -> None:
        """The transparent service, whose gate takes the stand-in for a provider (a drop-in beside the unit, in /run)."""
        shown = self.laptop.spendgate("service", "install", "--mode", "transparent", *options, "--dry-run").stdout
        starts = next(line for line in shown.splitlines() if line.startswith("ExecStart=") and " run " in line)
        text = f"[Service]\nExecStart=\n{starts} --set ssl_verify_upstream_trusted_ca={STANDIN_CA}\n"
        drop_in = "/run/systemd/system/spendgate.service.d/lab.conf"
        self.laptop.run("sh", "-c", f"printf '%s' \"$0\" > {drop_in}", text, check=True)
        done = self.laptop.spendgate("service", "install", "--mode", "transparent", *options)
        assert done.returncode == 0, done.stderr

    def _client(self, account: str, seconds: float, folder: str) -> tuple[str, ...]:
        who = f"setpriv --reuid={account} --clear-groups"
        script = f'cd {folder} && exec {who} {self.laptop.python} -c "$0" {seconds} {GATE_CA} {STANDIN_CA}'
        return "sh", "-c", script, textwrap.dedent(_CLIENT)

    def ask(self, account: str = "nobody", *, folder: str = "/") -> dict[str, Any]:
        """What a new process of this account was told."""
        found: dict[str, Any] = json.loads(self.laptop.run(*self._client(account, 0, folder)).stdout)
        return found

    def ask_in(self, namespace: str) -> dict[str, Any]:
        """What a process of another network namespace of the machine was told."""
        asked = self.laptop.run("ip", "netns", "exec", namespace, *self._client("nobody", 0, "/"))
        found: dict[str, Any] = json.loads(asked.stdout)
        return found

    @contextlib.contextmanager
    def asking(self, account: str) -> Iterator[Iterator[dict[str, Any]]]:
        """What a process that asks again and again is told, each time on a new connection."""
        nsenter = ("nsenter", "--target", str(self.laptop.pid), "--all", "env", "PATH=/usr/bin:/bin")
        command = (*nsenter, *self._client(account, 3600, "/"))
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
            assert client.stdout is not None
            try:
                yield (json.loads(line) for line in client.stdout)
            finally:
                client.kill()
                self.laptop.run("pkill", "-KILL", "-u", account, "-f", "http.client")

    def until_captured(self, *, true: bool = True) -> float:
        """Wait until new connections are led to the gate, or no longer are; seconds it took."""
        began = time.monotonic()
        while (self.ask()["by"] == "gate") is not true:
            assert time.monotonic() - began < PATIENCE_S, self.laptop.run("nft", "list", "ruleset").stdout
        return time.monotonic() - began

    def rows(self) -> list[dict[str, Any]]:
        """The ledger's, as root is told them."""
        found: list[dict[str, Any]] = json.loads(self.laptop.spendgate("calls", "--format", "json").stdout)
        return found


@contextlib.contextmanager
def abroad(laptop: Machine) -> Iterator[Abroad]:
    """The provider is up, and gone afterwards."""
    laptop.run("bash", "-c", _UP, check=True)
    laptop.run("sh", "-c", f"echo '{STANDIN4} {' '.join(NAMES[:-1])}' >> /etc/hosts", check=True)
    laptop.run(*(word.format(python=laptop.python) for word in _STANDIN), check=True)
    until = time.monotonic() + PATIENCE_S
    while laptop.run("test", "-s", STANDIN_CA).returncode:
        assert time.monotonic() < until, "the stand-in did not come up"
        time.sleep(0.1)
    laptop.run("chmod", "644", STANDIN_CA)
    try:
        yield Abroad(laptop)
    finally:
        laptop.run("systemctl", "stop", "standin")
        laptop.run(
            "sh",
            "-c",
            "umount /etc/hosts; ip netns delete abroad; rm -r /run/abroad /run/systemd/system/spendgate.service.d",
        )
