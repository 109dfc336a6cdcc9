"""Show 2 for the installed gate: it goes out through a company's proxy, whose password systemd hands to it alone."""

from __future__ import annotations

import contextlib
import json
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from end_to_end import corporate
from service.abroad import GATE_CA, PATIENCE_S, STANDIN4, STANDIN_CA, Abroad, abroad
from service.systemd_lab import PYTHON, Machine, machine, why_not

pytestmark = [pytest.mark.root, pytest.mark.xdist_group("systemd"), pytest.mark.timeout(1800)]
LOGIN, PROXY, LOG = "kiebitz:kanarie-7f3a9c1e", f"http://{STANDIN4}:3128", "/run/abroad/proxy.jsonl"
KEPT = "/etc/credstore/SPENDGATE_UPSTREAM_AUTH"
_ASK = """
    import json, ssl, sys, urllib.error, urllib.request
    ways = {"https": "http://127.0.0.1:8080"}
    https = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=sys.argv[1]))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler(ways), https)
    body = {"model": "claude-sonnet-4-6", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}
    headers = {"x-api-key": "k", "content-type": "application/json"}
    asked = urllib.request.Request("https://api.anthropic.com/v1/messages", json.dumps(body).encode(), headers)
    try:
        answer = opener.open(asked, timeout=600)
        answer.read()  # a client that leaves before the end is charged for a call that was interrupted
        print(answer.status)
    except urllib.error.HTTPError as fault:
        print(fault.status, fault.read().decode())
"""


@pytest.fixture(scope="module", name="there")
def _there() -> Iterator[Abroad]:
    """A provider that the machine reaches, and a proxy beside it."""
    if reason := why_not():
        pytest.skip(reason)
    with contextlib.ExitStack() as stack:
        try:
            laptop = stack.enter_context(machine())
        except RuntimeError as reason:
            pytest.skip(f"no systemd of its own can be had here: {reason}")
        made = stack.enter_context(abroad(laptop))
        # systemd hands credentials over by a mount, which must reach it from where it makes it, as on a machine that has booted
        laptop.run("mount", "--make-rshared", "/", check=True)
        words = ("--host", STANDIN4, "--port", "3128", "--log", LOG, "--credentials", LOGIN)
        laptop.run(
            "systemd-run", "--quiet", "--unit=proxy", "--property=NetworkNamespacePath=/run/netns/abroad",
            PYTHON, "-c", Path(corporate.__file__).read_text(), *words, "--lead", f"api.anthropic.com={STANDIN4}:443",
            check=True,
        )  # fmt: skip
        yield made
        laptop.spendgate("service", "uninstall")
        laptop.run("systemctl", "stop", "proxy")


def _install(laptop: Machine) -> None:
    """With the stand-in's authority beside the system's, as a drop-in in /run."""
    words = ("service", "install", "--upstream", PROXY)
    shown = laptop.spendgate(*words, "--dry-run").stdout
    starts = next(line for line in shown.splitlines() if line.startswith("ExecStart="))
    text = f"[Service]\nExecStart=\n{starts} --set ssl_verify_upstream_trusted_ca={STANDIN_CA}\n"
    drop_in = "/run/systemd/system/spendgate.service.d/lab.conf"
    laptop.run("sh", "-c", f"printf '%s' \"$0\" > {drop_in}", text, check=True)
    done = laptop.spendgate(*words)
    assert done.returncode == 0, done.stderr


def _ask(laptop: Machine) -> str:
    return laptop.run(PYTHON, "-c", textwrap.dedent(_ASK), GATE_CA).stdout


def _asked(laptop: Machine) -> list[tuple[str, int]]:
    lines = laptop.run("cat", LOG).stdout.splitlines()
    rows: list[dict[str, Any]] = [json.loads(line) for line in lines]
    return [(row["target"], row["status"]) for row in rows]


def _until_up(laptop: Machine) -> None:
    end = time.monotonic() + PATIENCE_S
    while laptop.run("systemctl", "is-active", "spendgate").stdout.strip() != "active":
        assert time.monotonic() < end, laptop.run("journalctl", "-u", "spendgate", "--no-pager").stdout
        time.sleep(0.2)


def test_its_password_is_kept_by_root_alone(there: Abroad) -> None:
    """Without the file it starts and the proxy turns it away, which is told; with it the call passes and is metered."""
    laptop = there.laptop
    _install(laptop)
    _until_up(laptop)
    status, _, said = _ask(laptop).partition(" ")
    assert (status, "SPENDGATE_UPSTREAM_AUTH" in said) == ("502", True), said
    laptop.run("sh", "-c", f"umask 077; mkdir -p /etc/credstore; printf '%s' \"$0\" > {KEPT}", LOGIN, check=True)
    laptop.run("systemctl", "restart", "spendgate", check=True)
    _until_up(laptop)
    assert _ask(laptop) == "200\n"
    assert _asked(laptop) == [("api.anthropic.com:443", 407), ("api.anthropic.com:443", 200)]
    assert [row["state"] for row in there.rows()] == ["settled", "failed"]
    seen = laptop.run(
        "sh", "-c", "cat /etc/systemd/system/spendgate.service; journalctl --no-pager; cat /proc/[0-9]*/cmdline"
    )
    assert "ExecStart" in seen.stdout
    gates = [line for line in seen.stdout.splitlines() if "--credentials" not in line]
    assert LOGIN.partition(":")[2] not in "\n".join(gates)
    for account in ("nobody", "spendgate"):
        read = laptop.run("setpriv", f"--reuid={account}", "--clear-groups", "cat", KEPT)
        assert (read.returncode, read.stdout) == (1, "")
