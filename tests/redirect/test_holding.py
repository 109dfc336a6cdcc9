"""What becomes of calls to providers while the gate is gone, where the policy's `on_failure` refuses: held, and nothing else."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import pytest

from redirect.lab import OTHER4, PROVIDER4, PROVIDER6, Lab
from spendgate.policy import Mode, OnFailure, Policy
from spendgate.redirect import addresses, holding
from spendgate.redirect.addresses import Shared
from spendgate.redirect.holding import Wish, keep_naming

BOTH = (PROVIDER4, PROVIDER6)


def _rules(**words: Any) -> Policy:
    return Policy(owner="it@acme.example", **words)


def _by(laptop: Lab, host: str, account: str | None = None) -> str:
    """Who answers; nobody: refused at once."""
    said = laptop.ask(host, account=account or laptop.people[0])
    return str(said.get("why", said["by"]))


def _held(laptop: Lab) -> None:
    """Providers' addresses are refused over both families and both protocols; others and the gate's account go on."""
    for host in BOTH:
        assert "refused" in _by(laptop, host)
        assert laptop.quic(host, laptop.people[1]) == "rejected"
    assert _by(laptop, OTHER4) == "provider"
    assert laptop.quic(OTHER4, laptop.people[0]) == "provider"
    assert _by(laptop, PROVIDER4, laptop.gate_account) == "provider"


@pytest.mark.root
def test_a_killed_gate_is_held_until_one_is_back_and_stopping_lets_go(laptop: Lab) -> None:
    """`kill -9`: root ends with the gate's status and leaves the holding table; the next gate takes it up; SIGTERM ends it."""
    gate = laptop.gate(quic=BOTH, hold=BOTH)
    os.kill(gate.pid, signal.SIGKILL)
    assert gate.root.wait() == 128 + signal.SIGKILL
    assert gate.root.stderr is not None
    assert "nft delete table inet spendgate" in gate.root.stderr.read()
    _held(laptop)

    again = laptop.gate(quic=BOTH, hold=BOTH)
    assert _by(laptop, PROVIDER4) == "gate"
    again.root.terminate()
    assert again.root.wait() == 7
    assert laptop.rules().strip() == ""
    assert _by(laptop, PROVIDER4) == "provider"


@pytest.mark.root
def test_a_hung_gate_is_held_and_a_switch_while_it_runs_holds(laptop: Lab) -> None:
    """SIGSTOP under each policy, changed from one to the other while the gate runs."""
    gate = laptop.gate(quic=BOTH)
    for switch, held in ((signal.SIGUSR1, True), (signal.SIGUSR2, False)):
        os.kill(gate.pid, switch)
        laptop.until("set hold4 {\n\t\ttype ipv4_addr\n\t\telements", gone=not held)
        os.kill(gate.pid, signal.SIGSTOP)
        laptop.until("tcp timeout", gone=True)
        if held:
            _held(laptop)
        else:
            assert _by(laptop, PROVIDER4) == "provider"
        os.kill(gate.pid, signal.SIGCONT)
        laptop.until("tcp timeout")
        assert _by(laptop, PROVIDER4) == "gate"


@pytest.mark.root
def test_a_gate_that_cannot_serve_is_held_as_one_that_is_gone(laptop: Lab) -> None:
    """It has no certificate to show, and what it cannot decide is refused; also where another firewall flushes the rules."""
    gate = laptop.gate(quic=BOTH, hold=BOTH)
    os.kill(gate.pid, signal.SIGHUP)
    laptop.until("tcp timeout", gone=True)
    _held(laptop)

    os.kill(gate.pid, signal.SIGHUP)
    laptop.until("tcp timeout")
    assert _by(laptop, PROVIDER4) == "gate"


@pytest.mark.root
@pytest.mark.parametrize("by", ["flush chain inet spendgate hold", "flush table inet spendgate", "flush ruleset"])
def test_held_rules_come_back_while_the_gate_hangs(laptop: Lab, by: str) -> None:
    """A firewall that reloads lets nothing through that is held."""
    gate = laptop.gate(quic=BOTH, hold=BOTH)
    os.kill(gate.pid, signal.SIGSTOP)
    laptop.until("tcp timeout", gone=True)
    laptop.nft(by)
    laptop.until("tcp reset")

    _held(laptop)


@pytest.mark.parametrize(
    ("policy", "holds"),
    [
        pytest.param(_rules(), False, id="allow"),
        pytest.param(_rules(on_failure=OnFailure(action="refuse")), True, id="refuse"),
        pytest.param(_rules(on_failure=OnFailure(limit_nanos=10)), False, id="an amount"),
        pytest.param(_rules(on_failure=OnFailure(action="refuse"), mode=Mode(default="observe")), False, id="observed"),
    ],
)
def test_only_what_refuses_for_everybody_holds(policy: Policy, holds: bool) -> None:
    """An amount cannot be counted by a gate that is gone, and what is only observed stands in nobody's way."""
    assert holding.holding(policy).holds is holds
    assert holding.holding(policy).why


class _Side:
    def __init__(self) -> None:
        self.quic: list[frozenset[str]] = []
        self.held: list[frozenset[str]] = []

    def reject_quic_to(self, addresses: frozenset[str]) -> None:
        self.quic.append(addresses)

    def hold(self, addresses: frozenset[str]) -> None:
        self.held.append(addresses)


async def test_what_is_held_follows_the_policy_and_spares_other_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Switched on, an address that another host was reached at is not held; switched off, none is. Where no name resolves,
    nothing is said, so that what an earlier gate had held stays held."""
    found = {"a.example": {PROVIDER4: "a.example", OTHER4: "a.example"}}

    async def resolved(hosts: tuple[str, ...]) -> dict[str, str]:
        return found.get(hosts[0], {})

    monkeypatch.setattr(holding, "resolve", resolved)
    monkeypatch.setattr(holding, "LOOK_EVERY_S", 0.0)
    wish, shared, side = [Wish(("unknown.example",), True)], Shared(), _Side()
    shared.add(OTHER4, asyncio.get_running_loop().time())
    naming = asyncio.create_task(keep_naming(lambda: wish[0], shared, side))  # type: ignore[arg-type]  # what it asks of it
    for one in (Wish(("a.example",), False), Wish(("a.example",), True), Wish(("a.example",), False)):
        for _ in range(5):
            await asyncio.sleep(0)
        wish[0] = one
    for _ in range(5):
        await asyncio.sleep(0)
    naming.cancel()

    assert side.quic[-1] == shared.providers.keys() == {PROVIDER4, OTHER4}
    assert side.held == [frozenset(), {PROVIDER4}, frozenset()]


def test_other_hosts_addresses_are_forgotten_after_a_day_and_bounded() -> None:
    """The newest are kept."""
    seen = Shared()
    seen.add("192.0.2.1", 0.0)
    assert seen.current(addresses.SHARED_S - 1) == {"192.0.2.1"}
    assert seen.current(addresses.SHARED_S) == frozenset()
    for number in range(addresses.SHARED_MAX + 1):
        seen.add(f"a{number}", 1.0)
    assert len(seen.current(2.0)) == addresses.SHARED_MAX
    assert "a0" not in seen.current(2.0)
