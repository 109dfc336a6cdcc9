"""Show 2: the only way out is a company's proxy that wants a user and a password. The gate is given them; clients need none."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest

from end_to_end.canaries import CANARIES, leaks
from end_to_end.corporate import Running, company
from end_to_end.raw import trust
from end_to_end.test_bystanders import Bank
from end_to_end.test_runtimes import PYTHON
from end_to_end.world import PATIENCE_S, PRODUCT, Gate, Provider, environment, policy, started_gate, until

LOGIN = f"kiebitz:{CANARIES['key']}"
URL = "https://api.anthropic.com/v1/messages"
BODY = {"model": "claude-sonnet-4-6", "max_tokens": 20, "messages": [{"role": "user", "content": "hi"}]}


class _Plain(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        # What a proxy is shown is nobody else's.
        said = b"shown" if self.headers["proxy-authorization"] else b"plain"
        self.send_response(200)
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    """A host that is no provider."""
    running = Bank(tmp_path_factory.mktemp("bank"))
    yield running
    running.close()


@pytest.fixture(scope="module")
def plain() -> Iterator[int]:
    """The port of a host without TLS."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Plain) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory, provider: Provider, bank: Bank, plain: int) -> Iterator[Running]:
    """The company's."""
    places = {"api.anthropic.com": provider.port, "bank.example": bank.port, "plain.example": plain}
    leads = [word for name, port in places.items() for word in ("--lead", f"{name}=127.0.0.1:{port}")]
    with company(tmp_path_factory.mktemp("proxy") / "log.jsonl", "--credentials", LOGIN, *leads) as running:
        yield running


def behind(folder: Path, provider: Provider, proxy: Running, login: str) -> Iterator[Gate]:
    """A gate that goes out through it, in upstream mode."""
    trusted = ("--set", f"ssl_verify_upstream_trusted_ca={provider.ca}")
    upstream = ("--mode", f"upstream:{proxy.url}")
    with started_gate(folder, policy(folder), *trusted, *upstream, SPENDGATE_UPSTREAM_AUTH=login) as gate:
        # the last place of the line; the regular listener beside it goes out directly
        gate.port = int(re.findall(rb"=127\.0\.0\.1:(\d+)", bytes(gate.output))[-1])
        yield gate


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory, provider: Provider, proxy: Running) -> Iterator[Gate]:
    """It has the right password."""
    yield from behind(tmp_path_factory.mktemp("let-in"), provider, proxy, LOGIN)


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory, provider: Provider, proxy: Running) -> Iterator[Gate]:
    """It has a wrong one."""
    wrong = f"kiebitz:{CANARIES['header']}"
    yield from behind(tmp_path_factory.mktemp("kept-out"), provider, proxy, wrong)


def client(gate: Gate, *, h2: bool = False) -> httpx2.Client:
    """It knows the gate alone."""
    return httpx2.Client(proxy=gate.proxy, verify=trust(gate), http2=h2, timeout=PATIENCE_S, trust_env=False)


def test_a_call_arrives_and_is_metered(gate: Gate, proxy: Running) -> None:
    """The provider's answer, a settled row, and one tunnel through the proxy, with the password at once."""
    before = len(proxy.asked)
    with client(gate) as http:
        answer = http.post(URL, json=BODY, headers={"x-api-key": "k"})
    assert (answer.status_code, answer.json()["type"]) == (200, "message")
    row = gate.row(answer.headers["request-id"])
    assert (row["state"], row["output_tokens"], row["basis"]) == ("settled", 7, "reported")
    assert proxy.asked[before:] == [("CONNECT", "api.anthropic.com:443", 200)]


def test_a_stream_passes_as_it_comes(gate: Gate) -> None:
    """Its first event is there while the provider has said nothing of the rest."""
    script = {"x-standin": "events=3; interval_ms=86400000", "x-api-key": "k"}
    with client(gate) as http, http.stream("POST", URL, json={**BODY, "stream": True}, headers=script) as answer:
        assert next(answer.iter_lines()) == "event: message_start"
        named = answer.headers["request-id"]
    assert gate.row(named)["state"] in ("settled", "interrupted")


def test_what_is_no_providers_goes_that_way_too(gate: Gate, proxy: Running, bank: Bank, plain: int) -> None:
    """With its own certificate; without TLS the proxy is asked, and the host is not shown the password."""
    before, rows = len(proxy.asked), len(gate.calls())
    with httpx2.Client(proxy=gate.proxy, verify=trust(bank), timeout=PATIENCE_S, trust_env=False) as http:
        assert http.get("https://bank.example/").status_code == 200
        assert http.get("http://plain.example/").text == "plain"
    assert proxy.asked[before:] == [("CONNECT", "bank.example:443", 200), ("GET", "http://plain.example/", 200)]
    assert len(gate.calls()) == rows


def test_the_password_is_nowhere(gate: Gate) -> None:
    """In no file, no line, no answer and no process' command line."""
    found = {str(file): file.read_bytes() for file in gate.state.rglob("*") if file.is_file()}
    found["output"] = bytes(gate.output)
    found["command line"] = Path(f"/proc/{gate.process.pid}/cmdline").read_bytes()
    assert b"run" in found["command line"]
    assert leaks(found) == []


@pytest.mark.parametrize("h2", [False, True], ids=["HTTP/1.1", "HTTP/2"])
def test_a_wrong_password_is_one_clear_error(stranger: Gate, proxy: Running, *, h2: bool) -> None:
    """In the provider's shape: who refused, that it is neither tool nor provider, what to do. The proxy was asked once."""
    before = len(proxy.asked)
    with client(stranger, h2=h2) as http:
        answer = http.post(URL, json=BODY, headers={"x-api-key": "k"})
    assert (answer.status_code, answer.headers["x-should-retry"]) == (502, "false")
    said = answer.json()["error"]["message"]
    assert f"The proxy 127.0.0.1:{proxy.port} did not accept the gate's user and password (HTTP 407)" in said
    assert "Neither the tool nor the provider is at fault." in said
    assert "SPENDGATE_UPSTREAM_AUTH" in said
    assert proxy.asked[before:] == [("CONNECT", "api.anthropic.com:443", 407)]
    row = until(lambda: next((row for row in stranger.calls()[-1:] if row["ended_at"]), None))
    assert (row["state"], row["cost_nanos"] or 0) == ("failed", 0)


def test_doctor_names_the_proxy(stranger: Gate, folder: Path) -> None:
    """As a finding of the way out, not as traffic that was not read; the log has a line of it, and neither has a password."""
    with client(stranger) as http:
        assert http.post(URL, json=BODY, headers={"x-api-key": "k"}).status_code == 502
    words = [*PRODUCT, "doctor", "--state", str(stranger.state), "--format", "json"]

    def told() -> dict[str, object] | None:
        done = subprocess.run(words, env=environment(folder), capture_output=True, check=False, timeout=5 * PATIENCE_S)
        assert leaks({"doctor": done.stdout + done.stderr}) == []
        found: dict[str, object] = json.loads(done.stdout)
        checks = [each for each in json.loads(done.stdout)["checks"] if each["check"] == "gate.upstream"]
        return {**found, "upstream": checks} if checks else None

    found = until(told)
    [finding] = found["upstream"]  # type: ignore[misc]
    assert finding["about"] == "api.anthropic.com"
    assert finding["state"] == "finding"
    assert "the proxy did not accept the gate's user and password" in finding["says"]
    assert "SPENDGATE_UPSTREAM_AUTH" in finding["remedy"]
    assert all(tool["not_read"] == 0 for tool in found["coverage"])  # type: ignore[attr-defined]
    output = bytes(stranger.output)
    assert f"the proxy 127.0.0.1:{proxy_port(stranger)} refused a connection: HTTP 407".encode() in output
    state = {str(file): file.read_bytes() for file in stranger.state.rglob("*") if file.is_file()}
    assert leaks({**state, "output": output}) == []


def test_a_proxy_that_is_gone_is_told(folder: Path) -> None:
    """By its address; it may be back at the next try."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with started_gate(folder, policy(folder), "--mode", f"upstream:http://127.0.0.1:{port}") as gate:
        gate.port = int(re.findall(rb"=127\.0\.0\.1:(\d+)", bytes(gate.output))[-1])
        with client(gate) as http:
            answer = http.post(URL, json=BODY, headers={"x-api-key": "k"})
        assert (answer.status_code, answer.headers["x-should-retry"]) == (502, "true")
        assert f"The proxy 127.0.0.1:{port}, by which api.anthropic.com is reached, was not." in answer.text


def proxy_port(gate: Gate) -> int:
    """Where it goes out, by its own word."""
    return int(re.findall(rb"upstream:http://127\.0\.0\.1:(\d+)=", bytes(gate.output))[0])


def test_exec_takes_the_login_of_the_variable(folder: Path, provider: Provider, proxy: Running) -> None:
    """The command's own HTTPS_PROXY leads to the gate, and has nothing of it."""
    before = len(proxy.asked)
    say = "import os; print(sorted(os.environ.items()))"
    code = f"{say}\n{PYTHON}"
    trusted = ("--set", f"ssl_verify_upstream_trusted_ca={provider.ca}")
    state = ("--policy", str(policy(folder)), "--state", str(folder / "state"))
    variables = environment(folder, HTTPS_PROXY=proxy.url.replace("//", f"//{LOGIN}@"))
    done = subprocess.run(
        [*PRODUCT, "exec", *state, *trusted, "--", sys.executable, "-c", code],
        env=variables, capture_output=True, check=False, timeout=5 * PATIENCE_S,
    )  # fmt: skip
    assert b"Hello from the stand-in." in done.stdout, done.stderr
    assert proxy.asked[before:] == [("CONNECT", "api.anthropic.com:443", 200)]
    assert b"'HTTPS_PROXY'" in done.stdout
    found = {str(file): file.read_bytes() for file in (folder / "state").rglob("*") if file.is_file()}
    assert leaks({**found, "said": done.stdout + done.stderr}) == []


def test_a_password_on_the_command_line_is_refused(folder: Path) -> None:
    """It is not repeated, and the way to give it is named."""
    for words in (["--set", f"upstream_auth={LOGIN}"], ["--mode", f"upstream:http://{LOGIN}@proxy.example:3128"]):
        done = subprocess.run(
            [*PRODUCT, "run", "--state", str(folder / "state"), *words],
            env=environment(folder), capture_output=True, check=False, timeout=5 * PATIENCE_S,
        )  # fmt: skip
        assert done.returncode == 2, done.stderr
        assert b"SPENDGATE_UPSTREAM_AUTH" in done.stderr
        assert leaks({"said": done.stdout + done.stderr}) == []
