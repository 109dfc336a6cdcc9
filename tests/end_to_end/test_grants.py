"""Show 4: from the refusal that real Claude Code shows, by the command in it, to the next call admitted. The approver sits at
another account without ledger, policy or network; what goes between the two is text."""

from __future__ import annotations

import getpass
import re
import sqlite3
import ssl
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import anthropic
import httpx2
import pytest

from end_to_end.clients import CLAUDE_CODE, PROMPT, Run, run, surroundings
from end_to_end.world import PRODUCT, Gate, Provider, environment, running_gate, until, upstream
from spendgate.minisign_secret import SecretKey
from spendgate.standin.script import Script

KEY = SecretKey.new(bytes(range(40)))
TEXT = "The herons left in spring."
CALL = {"model": "claude-sonnet-5", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}
COMMAND = re.compile(r"To ask for more, run: `(spendgate ask(?: --state [^\s'\"`]+)?)`")
POLICY = f"""\
version: 1
owner: ops@acme.example
people:
  {getpass.getuser()}: {{}}
  lead: {{accounts: [nobody-here]}}
budgets:
  - {{name: person, per: person, limit: $0.01 per month}}
approvers:
  - {{person: lead, key: {KEY.public}, up_to: $500}}
"""


def put(folder: Path) -> Path:
    """The policy."""
    file = folder / "policy.yaml"
    file.write_text(POLICY)
    return file


def granted(folder: Path, code: str, *words: str) -> str:
    """What the approver's own account makes of the code: a grant to be mailed."""
    (desk := folder / "approver").mkdir(exist_ok=True)
    key = desk / "lead.key"
    key.write_bytes(KEY.file())
    command = [*PRODUCT, "grant", code, "--key", str(key), "--by", "lead", "--reason", "release week", *words]
    done = subprocess.run(command, env=environment(desk), capture_output=True, text=True, check=True, cwd=desk)
    return done.stdout.strip()


def shell(folder: Path, command: str) -> str:
    """A command as the developer types it."""
    done = subprocess.run(command, shell=True, env=environment(folder), capture_output=True, text=True, check=True)  # noqa: S602 - it must work as it stands
    return done.stdout


def audited(state: Path) -> list[str]:
    """What the audit trail says of asks and grants."""
    with closing(sqlite3.connect(f"file:{state / 'ledger.db'}?mode=ro", uri=True, timeout=30)) as ledger:
        return [
            detail for (detail,) in ledger.execute("SELECT detail FROM audit WHERE what = 'grant' ORDER BY position")
        ]


def client(gate: Gate) -> anthropic.Anthropic:
    """The official SDK, through the gate, trying once."""
    http = httpx2.Client(proxy=gate.proxy, verify=ssl.create_default_context(cafile=gate.ca))
    return anthropic.Anthropic(api_key="sk-ant-api03-x", http_client=http, max_retries=0)


def test_a_running_gate_admits_the_next_call(provider: Provider, folder: Path) -> None:
    """The command in the refusal works as it stands; the grant takes effect in the gate that runs, and after a restart."""
    provider.set(Script(input=100_000, output=10))  # $0.2001
    with running_gate(folder, provider, put(folder)) as gate, client(gate) as sdk:
        sdk.messages.create(**CALL)
        with pytest.raises(anthropic.RateLimitError) as refused:
            sdk.messages.create(**CALL)
        command = COMMAND.search(str(refused.value))
        assert command is not None
        asked = shell(folder, f"{command[1]} 5 --for 'release week'")
        code = re.search(r"spendgate-ask:\S+", asked)
        assert code is not None
        text = granted(folder, code[0])
        letter = folder / "letter.txt"
        letter.write_text(f"Hi,\n\nhere it is:\n\n{text}\n\nBest,\nlead\n")
        words = [*PRODUCT, "grant", "accept", str(letter), "--state", str(gate.state)]
        accepting = subprocess.Popen(words, env=environment(folder), stderr=subprocess.PIPE)
        while b"more of person until " not in gate.output:  # so often that repeats are answered from memory
            _goes(sdk)
        sdk.messages.create(**CALL)  # the very next one is not
        said = accepting.communicate()[1].decode()
        assert (accepting.returncode, "has $5.00 more of person until" in said) == (0, True), said
    with running_gate(folder, provider, put(folder)) as gate, client(gate) as sdk:
        until(lambda: True if not _goes(sdk) else None)
        with pytest.raises(anthropic.RateLimitError, match=r"\$5\.00 more until .* by lead: release week"):
            sdk.messages.create(**CALL)
    assert [line.split()[1] for line in audited(folder / "state")][-1:] == ["taken"]


def _goes(sdk: anthropic.Anthropic) -> bool:
    """Whether a call is let through."""
    try:
        sdk.messages.create(**CALL)
    except anthropic.RateLimitError:
        return False
    return True


@pytest.mark.clients
def test_claude_code_from_refusal_to_the_next_call(provider: Provider, folder: Path) -> None:
    """What a person reads in Claude Code, types, mails, and gets back."""
    provider.set(Script(text=TEXT, input=100_000, output=10))
    file = put(folder)
    with running_gate(folder, provider, file) as gate, client(gate) as sdk:
        sdk.messages.create(**CALL)
    refused = _claude(provider, folder, file)
    assert TEXT not in refused.text
    command = COMMAND.search(refused.text)
    assert command is not None, refused.text
    code = re.search(r"spendgate-ask:\S+", shell(folder, f"{command[1]} --for 'release week'"))
    assert code is not None
    text = granted(folder, code[0], "--amount", "50")
    shell(folder, f"{sys.executable} -m spendgate grant accept {text} --state {folder / 'state'}")

    done = _claude(provider, folder, file)

    assert done.status == 0, done.text
    assert TEXT in done.stdout


def _claude(provider: Provider, folder: Path, file: Path) -> Run:
    command = [*PRODUCT, "exec", "--policy", str(file), "--state", str(folder / "state"), *upstream(provider)]
    before = dict.fromkeys(("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"), str(provider.ca))
    return run([*command, "--", *CLAUDE_CODE.command, PROMPT], surroundings(folder, before))
