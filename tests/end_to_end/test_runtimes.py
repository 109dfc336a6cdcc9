"""`exec` gives each runtime its proxy and its trust: programs that know nothing of a gate reach the provider through it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from end_to_end.world import PRODUCT, Provider, calls, environment, policy, upstream
from spendgate.standin.tunnel import Tunnel

URL = "https://api.anthropic.com/v1/messages"
BODY = json.dumps({"model": "claude-sonnet-5", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]})
PYTHON = f"""
import urllib.request
request = urllib.request.Request({URL!r}, {BODY.encode()!r}, {{"content-type": "application/json", "x-api-key": "k"}})
print(urllib.request.urlopen(request).read().decode())
"""
JAVA = f"""
import java.net.URI;
import java.net.http.*;
public class Call {{
  public static void main(String[] a) throws Exception {{
    var request = HttpRequest.newBuilder(URI.create("{URL}")).header("x-api-key", "k")
        .POST(HttpRequest.BodyPublishers.ofString({json.dumps(BODY)})).build();
    System.out.println(HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).body());
  }}
}}
"""
NODE = f"""
fetch({URL!r}, {{method: "POST", headers: {{"x-api-key": "k"}}, body: {BODY!r}}})
  .then(answer => answer.text()).then(console.log)
"""


def command(runtime: str, folder: Path) -> list[str]:
    """A program of this runtime that makes one call, or a skip with the reason."""
    program = {"python": sys.executable, "curl": "curl", "java": "java", "node": "node"}[runtime]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    if runtime == "node":
        version = subprocess.run(
            [program, "-p", "process.versions.node"], capture_output=True, text=True, check=True
        ).stdout
        if tuple(map(int, version.split(".")[:2])) < (22, 21):
            pytest.skip(f"node {version.strip()} has no NODE_USE_ENV_PROXY (22.21 and later)")
        return [program, "-e", NODE]
    if runtime == "java":
        (folder / "Call.java").write_text(JAVA)
        return [program, str(folder / "Call.java")]
    if runtime == "curl":
        return [program, "-sS", URL, "-H", "x-api-key: k", "-H", "content-type: application/json", "-d", BODY]
    return [program, "-c", PYTHON]


def _exec(folder: Path) -> list[str]:
    """`spendgate exec` under a policy, over a state in this folder."""
    return [*PRODUCT, "exec", "--policy", str(policy(folder)), "--state", str(folder / "state")]


@pytest.mark.parametrize("runtime", ["python", "curl", "java", "node"])
def test_a_runtime_goes_through_the_gate(runtime: str, provider: Provider, folder: Path) -> None:
    """The answer is the provider's, and there is one settled row."""
    words = command(runtime, folder)
    state = folder / "state"
    done = subprocess.run(
        [*_exec(folder), *upstream(provider), "--", *words],
        env=environment(folder, **{name: os.environ[name] for name in ("JAVA_HOME",) if name in os.environ}),
        capture_output=True,
        text=True,
        check=False,
    )

    assert "stand-in" in done.stdout, done.stderr
    assert [(row["state"], row["output_tokens"]) for row in calls(state)] == [("settled", 7)]
    assert "1 billable call" in done.stderr


def test_exec_prints_only_what_the_command_printed(folder: Path) -> None:
    """stdout is the command's alone; its status is ours; nothing is said where nothing was spent but the bill, and that nobody
    came."""
    done = subprocess.run(
        [*_exec(folder), "--", sys.executable, "-c", "print('mine'); raise SystemExit(9)"],
        env=environment(folder), capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.stdout, done.returncode) == ("mine\n", 9)
    bill, nobody = done.stderr.splitlines()
    assert bill == "spendgate: 0 billable calls, $0.00"
    assert nobody.startswith("spendgate: no connection came to the gate: ")
    assert not list((folder / "state").rglob("*key*"))


@contextlib.contextmanager
def _tunnel(provider: Provider) -> Iterator[tuple[Tunnel, int]]:
    """A company's proxy, and its port."""
    tunnel = Tunnel(frozenset(provider.NAMES), provider.port)
    port = provider.run(tunnel.start())
    try:
        yield tunnel, port
    finally:
        provider.run(tunnel.stop())


def test_a_proxy_that_stood_before_stays_in_the_way(provider: Provider, folder: Path) -> None:
    """Where HTTPS_PROXY is set, the gate itself goes through that proxy, and the call is metered all the same."""
    with _tunnel(provider) as (tunnel, port):
        trust = ["--set", f"ssl_verify_upstream_trusted_ca={provider.ca}"]

        done = subprocess.run(
            [*_exec(folder), *trust, "--", *command("curl", folder)],
            env=environment(folder, HTTPS_PROXY=f"http://127.0.0.1:{port}"),
            capture_output=True, text=True, check=False,
        )  # fmt: skip

        assert "stand-in" in done.stdout, done.stderr
        assert tunnel.asked == {"api.anthropic.com": 1}
    assert [row["state"] for row in calls(folder / "state")] == ["settled"]
