"""A policy that ends under a running gate, by a clock that the test steps: the same parts as `spendgate run`, in this process."""

from __future__ import annotations

import asyncio
import sqlite3
import ssl
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from end_to_end.world import Provider, upstream
from spendgate.cli.serving import serving
from spendgate.cli.wanted import Wanted
from spendgate.config import paths
from spendgate.gate.clock import Clock
from spendgate.standin.script import Script

CALL = {"model": "claude-sonnet-5", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    """The stand-in."""
    found = Provider(tmp_path)
    yield found
    found.close()


def ask(proxy: str, ca: Path) -> httpx2.Response:
    """One small call through the gate."""
    with httpx2.Client(proxy=proxy, verify=ssl.create_default_context(cafile=ca), timeout=60) as client:
        return client.post(
            "https://api.anthropic.com/v1/messages", json=CALL,
            headers={"x-api-key": "sk-ant-api03-x", "anthropic-version": "2023-06-01"},
        )  # fmt: skip


def audited(state: Path) -> list[str]:
    """The words of the audit trail."""
    with closing(sqlite3.connect(f"file:{state / 'ledger.db'}?mode=ro", uri=True, timeout=30)) as ledger:
        return [what for (what,) in ledger.execute("SELECT what FROM audit ORDER BY position")]


@pytest.mark.parametrize("expired", ["keep", "refuse"])
async def test_a_policy_that_ends_while_the_gate_runs(
    provider: Provider, tmp_path: Path, capsys: pytest.CaptureFixture[str], expired: str
) -> None:
    """One second before midnight in the policy's zone, and at midnight."""
    provider.set(Script(input=1_000, output=10))
    wall_ms = [1_806_562_799_000]  # 2027-03-31T23:59:59-07:00
    file = tmp_path / "policy.yaml"
    file.write_text(
        "version: 1\nowner: platform-ai@acme.example\ntimezone: America/Los_Angeles\n"
        f"valid_until: 2027-03-31\nexpired: {expired}\nbudgets: [{{name: person, per: person, limit: $10 per day}}]\n"
    )
    wanted = Wanted(policy=file, state=paths.find(tmp_path / "state"), port=0, sets=tuple(upstream(provider)[1::2]))
    async with serving(wanted, Clock(now_ms=lambda: wall_ms[0])) as gate:
        proxy = f"http://127.0.0.1:{gate.listening.address[1]}"
        before = await asyncio.to_thread(ask, proxy, gate.ca_cert)
        wall_ms[0] += 1_000
        after = await asyncio.to_thread(ask, proxy, gate.ca_cert)
        while "policy ended" not in await asyncio.to_thread(audited, tmp_path / "state"):
            await asyncio.sleep(0.1)
    assert (before.status_code, after.status_code) == (200, 200 if expired == "keep" else 429)
    said = capsys.readouterr().err
    assert f"ended on 2027-03-31: {'it stays in force' if expired == 'keep' else 'calls are refused'}" in said
    if expired == "refuse":
        assert (
            "the policy ended on 2027-03-31 and refuses calls since; platform-ai@acme.example answers for it"
            in after.text
        )
