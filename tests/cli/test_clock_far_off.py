"""The wall clock is set 31 days ahead under a running gate and between two: the whole gate in this process, dates on the wire."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import pytest

from cli.test_policy_that_ends import ask
from end_to_end.world import Provider, upstream
from spendgate.capture.options import INSECURE
from spendgate.cli.serving import serving
from spendgate.cli.wanted import Wanted
from spendgate.config import paths
from spendgate.gate.clock import Clock
from spendgate.ledger.heads_file import HeadsFile
from spendgate.ledger.queries import Reader
from spendgate.standin.script import Canned

TRUE_MS = 1_806_562_799_000
DAY_MS = 86_400_000
POLICY = "version: 1\nowner: a@acme.example\ntimezone: UTC\n"
ANSWER = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-5", "content": [],
    "stop_reason": "end_turn", "usage": {"input_tokens": 100_000, "output_tokens": 10},
}  # fmt: skip
"""Some dollars a call, so that one spends the day."""


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    """The stand-in."""
    found = Provider(tmp_path)
    yield found
    found.close()


def answers(provider: Provider, *, status: int = 200, cached: bool = False) -> None:
    """Dated with the true time; a cache's answer says how old it is."""
    headers = (("date", formatdate(TRUE_MS / 1000, usegmt=True)), *((("age", "1"),) if cached else ()))
    provider.set(canned=Canned(status, headers, json.dumps(ANSWER).encode()))


def wanted(folder: Path, provider: Provider, *more: str) -> Wanted:
    file = folder / "policy.yaml"
    file.write_text(POLICY + "budgets: [{name: person, per: person, limit: $0.40 per month}]\n")
    return Wanted(policy=file, state=paths.find(folder / "state"), port=0, sets=(*upstream(provider)[1::2], *more))


async def asked(gate: object, count: int = 1) -> list[int]:
    """The statuses of so many calls, one a second at least: dates have whole seconds."""
    found = []
    for number in range(count):
        if number:
            await asyncio.sleep(1.05)
        proxy = f"http://127.0.0.1:{gate.listening.address[1]}"  # type: ignore[attr-defined]
        found.append((await asyncio.to_thread(ask, proxy, gate.ca_cert)).status_code)  # type: ignore[attr-defined]
    return found


def trail(folder: Path) -> list[tuple[str, str]]:
    with Reader(folder / "state" / "ledger.db") as reader:
        assert list(reader.verify(None)) == []
        return [(line["what"], line["detail"]) for line in reader.audit()]


async def test_a_clock_set_ahead_refills_nothing(
    provider: Provider, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Answers that cost nothing and one that spends the month; a month later by the wall clock it is still spent."""
    wall_ms = [TRUE_MS]
    clock, rules = Clock(now_ms=lambda: wall_ms[0]), wanted(tmp_path, provider)
    async with serving(rules, clock) as gate:
        answers(provider, status=500)
        assert await asked(gate, 3) == [500, 500, 500]
        answers(provider)
        assert await asked(gate, 3) == [200, 200, 429]
        wall_ms[0] += 31 * DAY_MS
        assert await asked(gate) == [429]
        while "clock off" not in dict(trail(tmp_path)):
            await asyncio.sleep(0.1)
    wall_ms[0] += 3 * DAY_MS
    async with serving(rules, clock) as gate:  # the same boot: it knows before any answer
        assert await asked(gate) == [429]
    told = [detail for what, detail in trail(tmp_path) if what == "clock off"]
    assert [detail.split(";")[0] for detail in told] == [
        "the wall clock is 31 d ahead of the providers' dates",
        "the wall clock is 34 d ahead of the providers' dates",
    ]
    assert told[0] in capsys.readouterr().err


@pytest.mark.parametrize("how", ["not verified", "cached"])
async def test_a_date_that_proves_nothing_is_no_witness(provider: Provider, tmp_path: Path, how: str) -> None:
    """Whoever answers in a provider's place, or did some time ago, does not say what time it is."""
    answers(provider, status=500, cached=how == "cached")
    more = (INSECURE,) if how == "not verified" else ()
    async with serving(wanted(tmp_path, provider, *more), Clock(now_ms=lambda: TRUE_MS + 31 * DAY_MS)) as gate:
        assert await asked(gate, 4) == [500] * 4
    kept = HeadsFile(tmp_path / "state", lambda *_: None).read()
    assert kept is not None
    assert kept.clock is not None
    assert kept.clock.ahead_ms is None
