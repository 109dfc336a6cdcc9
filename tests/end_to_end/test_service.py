"""Show 4 with real OS accounts: a gate of a service's account whose state is closed to all; a developer who is refused and asks;
an admin who answers; a laptop that is offline; an end while a call runs. And what each account sees."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from end_to_end.accounts import Account, accounts, why_not
from end_to_end.clients import CLAUDE_CODE, PROMPT, binaries, through
from end_to_end.world import PATIENCE_S, Gate, Provider, _port, _read, listens, until, upstream
from spendgate.minisign_secret import SecretKey
from spendgate.standin.script import Script

if reason := why_not():
    pytest.skip(reason, allow_module_level=True)

KEY = SecretKey.new(bytes(range(40)))
TEXT = "The herons left in spring."
COMMAND = re.compile(r"To ask for more, run: `(spendgate ask --state [^\s'\"`]+)`")
POLICY = """\
version: 1
owner: ops@acme.example
people:
  alice: {{accounts: [{dev}], team: web}}
  bob: {{accounts: [{other}]}}
  lead: {{accounts: [{admin}]}}
teams:
  web: {{}}
budgets:
  - {{name: person, per: person, limit: $0.01 per month}}
approvers:
  - {{person: lead, key: {key}, up_to: $500}}
"""
CALL = """
import json, ssl, sys, urllib.request, urllib.error
proxy, ca = sys.argv[1:3]
body = {"model": "claude-sonnet-5", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}
head = {"x-api-key": "sk-ant-api03-x", "anthropic-version": "2023-06-01", "content-type": "application/json"}
trust = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=ca))
handlers = (urllib.request.ProxyHandler({"https": proxy}), trust)
request = urllib.request.Request("https://api.anthropic.com/v1/messages", json.dumps(body).encode(), head)
try:
    with urllib.request.build_opener(*handlers).open(request, timeout=120) as answer:
        print(answer.status, answer.read().decode())
except urllib.error.HTTPError as refused:
    print(refused.code, refused.read().decode())
"""


@dataclass(slots=True)
class Installed:
    """A service, and who uses it."""

    folder: Path
    people: dict[str, Account]
    gate: Gate
    socket: Path
    ca: Path
    output: bytearray = field(default_factory=bytearray)

    def call(self, role: str) -> str:
        """One call of theirs through the gate: status and body."""
        done = self.people[role].run([sys.executable, "-c", CALL, self.gate.proxy, str(self.ca)])
        assert done.returncode == 0, done.stderr
        return done.stdout

    def says(self, role: str, *words: str) -> str:
        """The output of a command of theirs that succeeds."""
        done = self.people[role].spendgate(*words, "--state", str(self.socket))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refuses(self, role: str, *words: str) -> str:
        """What a command of theirs that fails says."""
        done = self.people[role].spendgate(*words, "--state", str(self.socket))
        assert done.returncode == 1, (done.stdout, done.stderr)
        return done.stderr

    def rows(self, role: str, *words: str) -> list[dict[str, object]]:
        """The rows of a command that lists."""
        found: list[dict[str, object]] = json.loads(self.says(role, *words, "--format", "json"))
        return found


@pytest.fixture
def common(provider: Provider) -> Iterator[Path]:
    """A folder that every account can reach, which pytest's are not; with the stand-in's certificate."""
    folder = Path(tempfile.mkdtemp(prefix="spendgate-"))
    folder.chmod(0o755)
    shutil.copy(provider.ca, folder / "provider.pem")
    (folder / "provider.pem").chmod(0o644)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def service(provider: Provider, common: Path) -> Iterator[Installed]:
    """The gate of an account of its own, its state directory closed, its socket in a folder as /run/spendgate is."""
    with accounts(common, "gate", "dev", "other", "admin", admins=("admin",)) as people:
        owner = people["gate"]
        state, run = common / "state", common / "run"
        for place, mode in ((state, 0o700), (run, 0o755)):
            place.mkdir()
            place.chmod(mode)
            shutil.chown(place, owner.name, owner.name)
        policy = common / "policy.yaml"
        names = {role: people[role].name for role in ("dev", "other", "admin")}
        policy.write_text(POLICY.format(key=KEY.public, **names))
        options = [word.replace(str(provider.ca), str(common / "provider.pem")) for word in upstream(provider)]
        command = [sys.executable, "-m", "spendgate", "run", "--policy", str(policy), "--state", str(state)]
        words = owner.words(*command, "--socket", str(run / "gate.sock"), "--port", "0", *options)
        process = subprocess.Popen(
            words, env=owner.environment(), cwd=owner.home, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        gate = Gate(state, 0, process)
        reader = threading.Thread(target=_read, args=(process, gate.output), daemon=True)
        reader.start()
        try:
            gate.port = until(lambda: _port(gate))
            until(lambda: listens(run / "gate.sock"))
            assert state.stat().st_mode & 0o777 == 0o700
            shutil.copy(gate.ca, common / "ca.pem")  # what an installation puts into the trust stores
            yield Installed(common, people, gate, run / "gate.sock", common / "ca.pem")
        finally:
            if process.poll() is None:
                gate.stop()
            reader.join(PATIENCE_S)
            assert process.stdout is not None
            process.stdout.close()


def asked(service: Installed, refusal: str) -> str:
    """The code that the command in a refusal prints, typed by the developer as it stands."""
    command = COMMAND.search(refusal)
    assert command is not None, refusal
    done = service.people["dev"].shell(f"{command[1]} 50 --for 'release week'")
    assert done.returncode == 0, done.stderr
    code = re.search(r"spendgate-ask:\S+", done.stdout)
    assert code is not None
    return code[0]


def key_of(account: Account) -> Path:
    """The approver's secret key, which is theirs alone."""
    file = account.home / "lead.key"
    file.write_bytes(KEY.file())
    file.chmod(0o600)
    shutil.chown(file, account.name)
    return file


def test_from_the_refusal_to_the_next_call(provider: Provider, service: Installed) -> None:
    """Three accounts: the developer is refused and asks, the admin answers by the ask's id, the next call is admitted; and
    each sees their own."""
    provider.set(Script(text=TEXT, input=100_000, output=10))
    assert service.call("dev").startswith("200")
    refused = service.call("dev")
    assert refused.startswith("429")
    assert (
        service.people["dev"].run(["ls", str(service.gate.state)]).returncode != 0
    )  # the ledger is the service's alone
    asked(service, refused)
    (waiting,) = service.rows("admin", "grant", "list")
    assert (waiting["person"], waiting["amount_nanos"], waiting["reason"]) == ("alice", 50_000_000_000, "release week")
    key = key_of(service.people["admin"])
    words = ("grant", str(waiting["id"]), "--key", str(key), "--reason", "release week")
    done = service.people["admin"].spendgate(*words, "--state", str(service.socket))
    assert (done.returncode, "alice has $50.00 more of person until" in done.stderr) == (0, True), done.stderr
    until(lambda: True if service.call("dev").startswith("200") else None)
    (row,) = service.rows("dev", "grant", "list")
    assert (row["status"], row["by"]) == ("granted", "lead")
    _sees_only_its_own(service)


def _sees_only_its_own(service: Installed) -> None:
    """After calls of two persons; names of the one are in nothing that the other is shown."""
    service.call("other")
    refused = service.call("other")
    assert refused.startswith("429")
    for role, person, stranger in (("dev", "alice", "bob"), ("other", "bob", "alice")):
        assert {row["person"] for row in service.rows(role, "calls", "--free")} == {person}
        shown = service.says(role, "status", "--format", "json") + service.says(role, "spend", "--by", "person,api_key")
        assert (person in shown, stranger in shown) == (True, False)
        _me_is_about(service, role, stranger)
    service.says("other", "ask", "5", "--for", f"pairing with alice ({service.people['dev'].name})")
    _me_is_about(service, "dev", "bob")
    assert "is for root and the group spendgate-admin" in service.refuses("dev", "audit", "list")
    (foreign,) = {str(row["id"]) for row in service.rows("other", "calls") if row["state"] == "settled"}
    assert "no call begins with" in service.refuses("dev", "calls", "show", foreign)
    assert {row["person"] for row in service.rows("admin", "calls")} == {"alice", "bob"}
    assert foreign in service.says("admin", "calls", "show", foreign, "--format", "json")
    assert "holds" in service.says("admin", "audit", "verify")
    assert "grant" in {row["what"] for row in service.rows("admin", "audit", "list")}


def _me_is_about(service: Installed, role: str, stranger: str) -> None:
    """What an account is shown of itself has neither the other person nor the other account."""
    about = service.says(role, "me", "--format", "json")
    accounts_of = {each: service.people[each].name for each in ("dev", "other")}
    own = accounts_of.pop(role)
    assert (own in about, [name for name in (stranger, *accounts_of.values()) if name in about]) == (True, [])


def test_doctor_of_each_account(provider: Provider, service: Installed) -> None:
    """Through the socket each tries the ways itself, from its own account, and is told its own tools' calls and no other's."""
    provider.set(Script(text=TEXT, input=10, output=10))
    assert service.call("dev").startswith("200")
    found = {role: _doctor(service, role) for role in ("dev", "other")}
    captured = {}
    for role, each in found.items():
        states = {check["check"]: check["state"] for check in each["checks"]}
        assert (states["way"], states["environment.proxy"], states["gate"]) == ("fine", "fine", "fine")
        assert states["gate.deliveries"] == "not seen"  # admins' to see
        [python] = [tool for tool in each["tools"] if tool["tool"] == "python"]
        assert (python["trusted"], python["captured"], python["shown_by"]) == (True, True, "its own call")
        captured[role] = [tool["captured"] for tool in each["coverage"]]
    assert captured == {"dev": [1], "other": []}
    assert {row["state"] for row in service.rows("admin", "calls", "--free")} == {"settled"}  # no canary among them


def _doctor(service: Installed, role: str) -> dict[str, Any]:
    variables = {"HTTPS_PROXY": service.gate.proxy, "SSL_CERT_FILE": str(service.ca)}
    words = ("doctor", "--state", str(service.socket), "--format", "json")
    done = service.people[role].run([sys.executable, "-m", "spendgate", *words], **variables)
    assert done.returncode in (0, 1), done.stderr  # this machine's other tools may lack what the test does not set
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.clients
def test_claude_code_of_the_developers_account(provider: Provider, service: Installed) -> None:
    """What a person reads in the real Claude Code under their own account, types, and gets back."""
    programs = binaries()
    provider.set(Script(text=TEXT, input=100_000, output=10))
    assert service.call("dev").startswith("200")
    dev, admin = service.people["dev"], service.people["admin"]
    surroundings = through({"ANTHROPIC_API_KEY": "sk-ant-api03-made-up"}, service.gate.proxy, service.ca)

    def claude() -> subprocess.CompletedProcess[str]:
        path = f"{programs}:{os.environ['PATH']}"
        return dev.run(
            [str(programs / CLAUDE_CODE.command[0]), *CLAUDE_CODE.command[1:], PROMPT], **surroundings, PATH=path
        )

    refused = claude()
    code = asked(service, refused.stdout + refused.stderr)
    words = ("grant", code, "--key", str(key_of(admin)), "--reason", "release week")
    done = admin.spendgate(*words, "--state", str(service.socket))
    assert done.returncode == 0, done.stderr
    admitted = claude()
    assert (admitted.returncode, TEXT in admitted.stdout) == (0, True), (admitted.stdout, admitted.stderr)


def test_a_laptop_that_is_offline(provider: Provider, service: Installed) -> None:
    """The approver has no ledger, policy or socket, and the developer's commands no network at all: text goes between them."""
    provider.set(Script(text=TEXT, input=100_000, output=10))
    service.call("dev")
    code = asked(service, service.call("dev"))
    admin, dev = service.people["admin"], service.people["dev"]
    words = ("grant", code, "--key", str(key_of(admin)), "--by", "lead", "--reason", "release week")
    signed = admin.spendgate(*words, "--state", str(admin.home / "nothing"))
    assert signed.returncode == 0, signed.stderr
    # No network: a namespace without any interface that is up. The socket is a file.
    offline = [
        "unshare",
        "--net",
        *dev.words(sys.executable, "-m", "spendgate", "grant", "accept", signed.stdout.strip()),
    ]
    offline += ["--state", str(service.socket)]
    taken = subprocess.run(offline, env=dev.environment(), cwd=dev.home, capture_output=True, text=True, check=False)
    assert (taken.returncode, "has $50.00 more of person" in taken.stderr) == (0, True), taken.stderr
    until(lambda: True if service.call("dev").startswith("200") else None)
    again = service.refuses("dev", "grant", "accept", signed.stdout.strip())
    assert "twice: this ledger has taken it in already" in again
    assert "for somebody else: it is for alice, and you are bob" in service.refuses(
        "other", "grant", "accept", signed.stdout.strip()
    )


def test_a_grant_that_ends_while_a_call_runs(provider: Provider, service: Installed) -> None:
    """The call that was admitted under it ends as it would have, and is counted; the next one is refused."""
    provider.set(Script(text=TEXT, input=100_000, output=10))
    service.call("dev")
    code = asked(service, service.call("dev"))
    key = key_of(service.people["admin"])
    ends = datetime.now(UTC) + timedelta(seconds=20)
    service.says("admin", "grant", code, "--key", str(key), "--reason", "some seconds", "--until", ends.isoformat())
    until(lambda: b"more of person until " in service.gate.output or None)
    provider.set(Script(text=TEXT, input=100_000, output=10, delay_ms=22_000))
    answers: list[str] = []
    running = threading.Thread(target=lambda: answers.append(service.call("dev")))
    running.start()
    until(lambda: answers or _open(service) or None)
    if datetime.now(UTC) >= ends:
        pytest.skip("this machine is too busy now to begin a call within 20 seconds of its grant")
    assert _open(service)
    running.join(2 * PATIENCE_S)
    assert datetime.now(UTC) > ends
    assert answers[0].startswith("200")
    until(lambda: True if service.call("dev").startswith("429") else None)
    ended = [row for row in service.rows("dev", "calls") if row["state"] == "settled"]
    assert len(ended) == 2
    (grant,) = service.rows("dev", "grant", "list")
    assert str(grant["status"]).startswith("ended")
    assert "holds" in service.says("admin", "audit", "verify")


def _open(service: Installed) -> list[dict[str, object]]:
    """The developer's calls under way."""
    return [row for row in service.rows("dev", "calls") if row["state"] == "open"]


def test_hostile_clients_meet_another_process(provider: Provider, service: Installed) -> None:
    """Hundreds of half-open connections leave the gate and other accounts alone; what answers is started again where it is
    killed, and ends with a gate that is."""
    answering = until(lambda: _answering(service.gate.state))
    assert answering != service.gate.process.pid
    enemies = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(300)]
    with contextlib.ExitStack() as open_sockets:
        for each in enemies:
            open_sockets.enter_context(each).connect(str(service.socket))  # as root
        assert service.call("dev").startswith("200")
        assert [row["person"] for row in service.rows("dev", "spend")] == ["alice"]
    os.kill(answering, signal.SIGKILL)
    until(lambda: True if _answering(service.gate.state) not in (None, answering) else None)
    until(
        lambda: (
            True if service.people["dev"].spendgate("status", "--state", str(service.socket)).returncode == 0 else None
        )
    )
    gate = _gate(service.gate.state)
    assert gate is not None
    os.kill(gate, signal.SIGKILL)
    until(lambda: True if _answering(service.gate.state) is None else None)
    assert "gate's service" in service.refuses("dev", "status")


def _answering(state: Path) -> int | None:
    return _running("answer", state)


def _gate(state: Path) -> int | None:
    return _running("run", state)


def _running(command: str, state: Path) -> int | None:
    """The process of this command on this state directory."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[1:4] == [b"-m", b"spendgate", command.encode()] and os.fsencode(state) in words:
            return int(folder.name)
    return None
