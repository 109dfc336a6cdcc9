"""Show 2: the whole list of what somebody may tamper with, walked. Each is caught and named where a person looks; and its
owner hears of it, so that no budget has room again without that. The gate runs here, by a clock that the test steps."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path

import pytest
from typer.testing import CliRunner

from alerts.receiving import Endpoint, endpoint
from cli.kit import app
from cli.test_clock_far_off import ANSWER
from cli.test_policy_that_ends import ask
from config.signing import KEY, sign
from end_to_end.world import PATIENCE_S, Provider, upstream
from small_disk import fill_up, mounted
from spendgate.cli import in_force
from spendgate.cli.account import own_account
from spendgate.cli.granted import LOOK_EVERY_S
from spendgate.cli.serving import Serving, serving
from spendgate.cli.wanted import Wanted
from spendgate.config import paths
from spendgate.config.trust import TRUST_FILE
from spendgate.gate.clock import Clock
from spendgate.grant_texts import COMMENT, Grant, SignedGrant
from spendgate.ledger.queries import Reader
from spendgate.minisign_secret import SecretKey
from spendgate.standin.script import Canned

pytestmark = pytest.mark.skipif(TRUST_FILE.exists(), reason=f"this machine has a {TRUST_FILE} of its own")
DAY_MS = 86_400_000
OTHER = SecretKey.new(bytes(range(1, 41)))
ME = own_account()
POLICY = """\
version: 1
revision: {revision}
owner: lead@acme.example
timezone: UTC
people: {{{me}: {{}}, lead: {{accounts: [nobody-here]}}}}
budgets: [{{name: person, per: person, limit: {limit} per month}}]
approvers: [{{person: lead, key: {key}, up_to: $500}}]
notify: [{{to: "{to}", for: [page, alert]}}]
"""


@dataclass
class Box:
    """One laptop: its state, its policy, its clock, and the owner's hook."""

    folder: Path
    provider: Provider
    hook: Endpoint
    ahead_ms: int = 0
    """How far its wall clock is ahead."""
    later_ms: int = 0
    """How much more time has passed by its boot clock."""
    said: str = ""
    """What the last command said."""
    kept: str = ""
    readers: list[sqlite3.Connection] = field(default_factory=list)

    @property
    def state(self) -> paths.State:
        return paths.State(self.folder / "state")

    @property
    def policy(self) -> Path:
        return self.folder / "policy.yaml"

    def put(self, revision: int, limit: str) -> None:
        """A signed policy."""
        text = POLICY.format(revision=revision, limit=limit, key=KEY.public, me=ME, to=self.hook.to)
        self.policy.write_text(text)
        sign(self.policy)

    def clock(self) -> Clock:
        real = Clock()
        return Clock(
            now_ms=lambda: real.now_ms() + self.ahead_ms + self.later_ms, boot_ms=lambda: real.boot_ms() + self.later_ms
        )

    def wanted(self) -> Wanted:
        return Wanted(policy=self.policy, state=self.state, port=0, sets=tuple(upstream(self.provider)[1::2]))

    def answers(self) -> None:
        """The provider's, dated with the true time, each of which spends the budget."""
        at = formatdate((time.time_ns() // 1_000_000 + self.later_ms) / 1000, usegmt=True)
        self.provider.set(canned=Canned(200, (("date", at),), json.dumps(ANSWER).encode()))

    def edit(self, *statements: str) -> None:
        """By SQL, with the triggers taken off."""
        with closing(sqlite3.connect(self.state.ledger, isolation_level=None, timeout=30)) as conn:
            for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                conn.execute(f"DROP TRIGGER {name}")
            for statement in statements:
                conn.execute(statement)

    def run(self, *words: str) -> str:
        """What a command says, whatever becomes of it."""
        done = CliRunner().invoke(app, [*words, "--state", str(self.state.root)])
        self.said = f"{done.output}{done.exception or ''}"
        return self.said

    def grant(self, *, person: str = ME, dollars: int = 0, key: SecretKey = KEY) -> str:
        """One that the approver has signed for this ledger; it adds next to nothing where nobody says how much."""
        now_ms = time.time_ns() // 1_000_000
        with Reader(self.state.ledger) as reader:
            ledger = reader.head().id
        told = in_force.told(self.state)
        assert told is not None
        # This provider's answers have the date of the first, and once the wall clock is not believed windows go by it.
        from_ms = now_ms - 60_000
        made = Grant(
            id=secrets.token_hex(4), ask=secrets.token_hex(4), ledger=ledger, machine=told.machine, person=person,
            budget="person", values={"person": person}, amount_nanos=dollars * 10**9 or 1_000, from_ms=from_ms,
            until_ms=now_ms + DAY_MS, issued_ms=now_ms, reason="a test", approver="lead",
        )  # fmt: skip
        return SignedGrant(made, key.sign(made.data(), COMMENT)).text()

    def heard(self, word: str) -> bool:
        """Whether the owner has."""
        return any(f"{word}: " in each["message"] for each in self.hook.heard)


def flip(file: Path, at: int) -> None:
    """One bit of a file."""
    data = bytearray(file.read_bytes())
    data[at] ^= 1
    file.write_bytes(data)


def refused(box: Box) -> str:
    """What `status` says of the newer policy file."""
    told = in_force.told(box.state)
    return "\n".join(told.refused) if told else ""


def verified(box: Box) -> str:
    return box.run("audit", "verify")


def status(box: Box) -> str:
    return box.run("status")


def said(box: Box) -> str:
    return box.said


def trail(box: Box) -> str:
    with Reader(box.state.ledger) as reader:
        return "\n".join(f"{line['what']}: {line['detail']}" for line in reader.audit())


def flip_policy(box: Box) -> None:
    flip(box.policy, box.policy.read_bytes().index(b"$0.20") + 1)  # $1.20


def flip_signature(box: Box) -> None:
    """The file is written again, since a gate looks at its signature when it has changed."""
    signature = box.policy.with_name("policy.yaml.minisig")
    flip(signature, signature.read_bytes().index(b"\n") + 60)
    os.utime(box.policy)


def put_older(box: Box) -> None:
    box.put(1, "$900")


def flip_audit(box: Box) -> None:
    box.edit("UPDATE audit SET detail = replace(detail, 'gate 1', 'gate 2') WHERE what = 'gate started'")


def flip_call(box: Box) -> None:
    box.edit("UPDATE call_rows SET cost_nanos = 0, holds = NULL", "UPDATE sums SET settled = 0")


def rename(box: Box) -> None:
    box.edit("UPDATE windows SET value = 'x' WHERE budget <> ''")


def delete(box: Box) -> None:
    for path in box.state.root.glob("ledger.db*"):
        path.unlink()


def set_ahead(box: Box) -> None:
    box.ahead_ms = 31 * DAY_MS


def fill(box: Box) -> None:
    """What an account may that shares the disk; a reader that goes on keeps the gate from writing over its old log."""
    if not box.readers:
        box.readers.append(
            sqlite3.connect(
                f"{box.state.ledger.as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
            )
        )
        box.readers[0].execute("BEGIN").execute("SELECT count(*) FROM call_rows").fetchone()
    with (box.state.root / "ballast").open("ab", buffering=0) as file:
        fill_up(file)


def make_room(box: Box) -> None:
    """The disk is as it was."""
    (box.state.root / "ballast").unlink()
    box.readers.pop().close()


def take(text: Callable[[Box], str]) -> Callable[[Box], None]:
    """Take a grant in."""
    return lambda box: str(box.run("grant", "accept", text(box))) and None


def twice(box: Box) -> None:
    text = box.grant()
    assert "more of person" in box.run("grant", "accept", text)
    box.run("grant", "accept", text)


def into_another(box: Box) -> None:
    """The old ledger's grant, when a new one has come in its place."""
    box.kept = box.grant(dollars=5)
    delete(box)


@dataclass(frozen=True)
class Case:
    """One row of the list."""

    tamper: Callable[[Box], None]
    where: Callable[[Box], str]
    """Where it is named."""
    names: str
    alert: str = ""
    """What the owner hears; empty: nothing of the budget has changed, and whoever looks is told."""
    too: str = ""
    """What they hear as well."""
    runs: bool = True
    """Under a running gate, else between two."""
    then: Callable[[Box], object] = lambda _: None
    """More tampering, once the gate runs again."""


LIST = {
    "a flipped byte in the policy": Case(flip_policy, refused, "is not what the key", "policy refused"),
    "a flipped byte in the signature": Case(flip_signature, refused, "policy.yaml.minisig", "policy refused"),
    "an older signed policy": Case(put_older, refused, "1 is lower than 2", "policy refused"),
    "a flipped byte in the audit log": Case(flip_audit, verified, "first fault: audit line", runs=False),
    "a settled call": Case(flip_call, verified, "first fault: link", "ledger altered", runs=False),
    "a balance under another name": Case(rename, verified, "had another name", "balance altered", runs=False),
    "the ledger deleted": Case(delete, status, "ledger new: ", "ledger new", runs=False),
    "the ledger deleted under a gate": Case(delete, status, "ledger.db is gone", "ledger gone"),
    "the clock 31 days ahead": Case(set_ahead, trail, "31 d ahead of the providers' dates", "clock off"),
    "the disk filled": Case(fill, trail, "gate failed: ", "gate failed"),
    "a grant for somebody else": Case(
        take(lambda box: box.grant(person="bob")), said, "for somebody else", "grant refused"
    ),
    "a grant twice": Case(twice, said, "twice: this ledger has taken it in already", "grant refused"),
    "a grant above the limit": Case(
        take(lambda box: box.grant(dollars=501)), said, "above the approver's limit", "grant refused"
    ),
    "a grant that nobody signed": Case(take(lambda box: box.grant(key=OTHER)), said, "bad signature", "grant refused"),
    "a grant into a new ledger": Case(
        into_another,
        said,
        "for another ledger",
        "ledger new",
        "grant refused",
        runs=False,
        then=take(lambda box: box.kept),
    ),
}


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Box]:
    """With a trust file that asks for signatures."""
    trust = tmp_path / "trust.yaml"
    trust.write_text(f"version: 1\nkeys: [{{name: platform, key: {KEY.public}}}]\n")
    trust.chmod(0o644)
    monkeypatch.setenv("SPENDGATE_TRUST", str(trust))
    provider = Provider(tmp_path)
    with ExitStack() as world:
        world.callback(provider.close)
        if "the disk filled" in request.node.name:
            world.enter_context(mounted(tmp_path / "state", 24))
        found = Box(tmp_path, provider, world.enter_context(endpoint()))
        found.put(2, "$0.20")
        found.answers()
        yield found


async def asked(gate: Serving, count: int = 1) -> list[int]:
    """The statuses of so many calls, a second and more between two: dates have whole seconds."""
    found = []
    for number in range(count):
        if number:
            await asyncio.sleep(1.05)
        proxy = f"http://127.0.0.1:{gate.listening.address[1]}"
        found.append((await asyncio.to_thread(ask, proxy, gate.ca_cert)).status_code)
    return found


@pytest.mark.parametrize("name", LIST)
async def test_the_list(box: Box, name: str) -> None:
    """Spend the budget, tamper, look."""
    case = LIST[name]
    async with serving(box.wanted(), box.clock()) as gate:
        box.provider.set(canned=Canned(500, _dated(), b""))
        assert await asked(gate, 3) == [500, 500, 500]
        box.answers()
        assert await asked(gate, 2) == [200, 429]
        if case.runs:
            await asyncio.to_thread(case.tamper, box)
            await _caught(box, case, gate)
    if not case.runs:
        case.tamper(box)
        async with serving(box.wanted(), box.clock()) as gate:
            await asyncio.to_thread(case.then, box)
            await _caught(box, case, gate)


async def test_a_grant_does_not_end_by_a_clock_that_is_ahead(box: Box) -> None:
    """Neither under a running gate nor at the start of the next one: it ends by the time that windows go by, and for good."""
    async with serving(box.wanted(), box.clock()) as gate:
        box.provider.set(canned=Canned(500, _dated(), b""))
        assert await asked(gate, 3) == [500, 500, 500]
        box.answers()
        assert await asked(gate, 2) == [200, 429]
        text = box.grant(dollars=5)
        assert "more of person" in await asyncio.to_thread(box.run, "grant", "accept", text)
        while (await asked(gate))[0] != 200:  # the gate takes it up within a second
            await asyncio.sleep(0.1)
        set_ahead(box)
        await asyncio.sleep(3 * LOOK_EVERY_S)
        assert await asked(gate) == [200]
    async with serving(box.wanted(), box.clock()) as gate:
        await asyncio.sleep(3 * LOOK_EVERY_S)
        assert await asked(gate) == [200]
    assert "ended: " not in trail(box)


def _dated() -> tuple[tuple[str, str], ...]:
    return (("date", formatdate(time.time_ns() // 1_000_000_000, usegmt=True)),)


async def _caught(box: Box, case: Case, gate: Serving) -> None:
    """Named; and a budget that has room again is one whose owner has heard."""
    (status_code,) = await asked(gate)
    if case.alert in {"ledger altered", "balance altered"}:
        box.later_ms += 61_000  # every balance and the newest calls are compared a minute after the start
    if case.alert == "gate failed":
        for _ in range(6):  # again and again: the gate has a reserve, and its log has room that it may write over
            case.tamper(box)
            assert await asked(gate) == [429]
            await asyncio.sleep(1.1)  # until then a repeated refusal is answered from memory
        await asyncio.sleep(2.5)  # so that the gate has seen it
        make_room(box)
    async with asyncio.timeout(PATIENCE_S):
        while case.names not in await asyncio.to_thread(case.where, box):  # `status` has a loop of its own
            await asyncio.sleep(0.05)
        while not all(box.heard(word) for word in (case.alert, case.too) if word):
            await asyncio.sleep(0.05)
    assert status_code == 429 or case.alert in {"ledger new", "ledger altered", "balance altered"}
