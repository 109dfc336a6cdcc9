"""What happens to traffic when gate or root is stopped, is killed or hangs: it goes direct, and nothing is left to clean up."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest

from redirect.lab import PROVIDER4, Gate, Lab

pytestmark = pytest.mark.root


def test_stopping_puts_traffic_back_and_removes_the_table(laptop: Lab) -> None:
    """SIGTERM ends the gate in order, with its own exit status, and leaves no rule."""
    gate = laptop.gate()
    gate.root.terminate()

    assert gate.root.wait() == 7
    assert laptop.rules().strip() == ""
    assert laptop.ask(account=laptop.people[0])["by"] == "provider"


def test_a_killed_gate_leaves_no_rule(laptop: Lab) -> None:
    """`kill -9` of the gate: root removes the table at once and says how the gate ended."""
    gate = laptop.gate()
    os.kill(gate.pid, signal.SIGKILL)

    assert gate.root.wait() == 128 + signal.SIGKILL
    assert laptop.rules().strip() == ""
    assert laptop.ask(account=laptop.people[0])["by"] == "provider"


def test_a_hung_gate_lets_traffic_go_direct_and_captures_again_when_it_is_back(laptop: Lab) -> None:
    """SIGSTOP of the gate: no sign of life, so the rules stop acting; SIGCONT: they act again."""
    gate = laptop.gate()
    os.kill(gate.pid, signal.SIGSTOP)
    laptop.until("elements", gone=True)
    hung = laptop.ask(account=laptop.people[0])["by"]
    os.kill(gate.pid, signal.SIGCONT)
    laptop.until("elements")

    assert hung == "provider"
    assert laptop.ask(account=laptop.people[0])["by"] == "gate"


@pytest.mark.heavy
def test_a_hung_gate_is_killed_in_the_end(laptop: Lab) -> None:
    """Stopping does not wait for ever: root's patience ends, and the table is gone."""
    gate = laptop.gate()
    os.kill(gate.pid, signal.SIGSTOP)
    gate.root.terminate()
    laptop.until("elements", gone=True)
    hung = laptop.ask(account=laptop.people[0])["by"]

    assert hung == "provider"
    assert gate.root.wait() == 128 + signal.SIGKILL
    assert laptop.rules().strip() == ""


def test_a_killed_root_lets_traffic_go_direct_and_the_gate_ends(laptop: Lab) -> None:
    """`kill -9` of root: the stale table acts no more, and the gate does not stay behind unminded."""
    gate = laptop.gate()
    gate.root.kill()
    laptop.until("elements", gone=True)

    assert laptop.ask(account=laptop.people[0])["by"] == "provider"
    laptop.until_ended(gate.pid)


def test_a_start_after_a_crash_replaces_the_stale_table(laptop: Lab) -> None:
    """The next start needs no cleaning up first."""
    first = laptop.gate()
    first.root.kill()
    laptop.until("elements", gone=True)
    laptop.until_ended(first.pid)
    laptop.gate()

    assert laptop.ask(account=laptop.people[0])["by"] == "gate"
    assert laptop.rules().count("table inet spendgate") == 1


def test_removing_twice_is_removing_once(laptop: Lab) -> None:
    """`remove` works with a stale table, and again with none."""
    gate = laptop.gate()
    gate.root.kill()
    laptop.until_ended(gate.pid)
    code = "from spendgate.redirect import nftables as n; n.remove(); n.remove(); print(repr(n.show()))"

    assert laptop.python(code).communicate()[0].strip() == "''"


def test_a_gate_that_cannot_serve_has_nothing_led_to_it(laptop: Lab) -> None:
    """No certificate to show: traffic goes direct, until it can serve; then the gate is told of that lapse, once."""
    gate = laptop.gate()
    os.kill(gate.pid, signal.SIGHUP)
    laptop.until("elements", gone=True)
    assert laptop.ask(account=laptop.people[0])["by"] == "provider"

    os.kill(gate.pid, signal.SIGHUP)
    laptop.until("elements")
    assert laptop.ask(account=laptop.people[0])["by"] == "gate"
    assert "the gate had no certificate to show; traffic went direct" in _lapse(gate)


def test_a_gate_that_takes_its_time_to_end_has_nothing_led_to_it(laptop: Lab) -> None:
    """Told to end, by whomever: its loop lives on, and its listeners are closed by then."""
    gate = laptop.gate(quic=(PROVIDER4,), hold=(PROVIDER4,), lingers=True)
    os.kill(gate.pid, signal.SIGTERM)
    laptop.until("elements = { tcp", gone=True)

    assert laptop.ask(account=laptop.people[0])["by"] == "provider"
    assert gate.root.poll() is None


def test_lapses_are_told_when_they_are_over(laptop: Lab) -> None:
    """A gate that hung, and rules that somebody flushed: each once, with its reason."""
    gate = laptop.gate()
    os.kill(gate.pid, signal.SIGSTOP)
    laptop.until("elements", gone=True)
    os.kill(gate.pid, signal.SIGCONT)
    assert "no sign of life in time" in _lapse(gate)

    laptop.nft("flush ruleset")
    laptop.until("elements")
    assert "somebody had taken the rules away" in _lapse(gate)
    gate.root.terminate()
    assert gate.root.communicate()[0] == ""


def _lapse(gate: Gate) -> str:
    """The next one that the gate is told of."""
    assert gate.root.stdout is not None
    line = gate.root.stdout.readline()
    assert line.startswith("lapsed from ")
    return line


@pytest.mark.parametrize(
    "by",
    [
        "flush ruleset",
        "flush table inet spendgate",
        "flush chain inet spendgate capture; flush chain inet spendgate quic",
        "insert rule inet spendgate capture return; delete chain inet spendgate hold",
    ],
)
def test_changed_rules_come_back(laptop: Lab, by: str) -> None:
    """A firewall service that flushes and reloads does not end capture for good, neither does one that leaves our sets."""
    laptop.gate(quic=(PROVIDER4,))
    before = _without_counts(laptop.rules())
    laptop.nft(by)
    while _without_counts(laptop.rules()) != before:
        time.sleep(0.05)

    assert laptop.ask(account=laptop.people[0])["by"] == "gate"
    assert laptop.quic(PROVIDER4, laptop.people[0]) == "rejected"


def test_what_a_dry_run_prints_is_what_is_installed(laptop: Lab) -> None:
    """The ruleset as text, loaded by hand, gives the table that the product installs."""
    gate = laptop.gate()
    shown = _without_counts(laptop.rules())
    gate.root.terminate()
    gate.root.wait()
    code = "from spendgate.redirect.supervisor import *; from spendgate.redirect.ruleset import *;"
    code += f"print(ruleset(rules_of(Settings(account={laptop.gate_account!r}))))"
    laptop.nft(laptop.python(code).communicate()[0])

    assert _without_counts(laptop.rules()) == shown


def _without_counts(rules: str) -> list[str]:
    lines = [line.partition(" counter ")[0] for line in rules.splitlines()]
    return [line for line in lines if "elements" not in line]


@pytest.mark.heavy
@pytest.mark.parametrize("whom", ["gate", "root"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_how_long_new_connections_fail(
    laptop: Lab, whom: str, how: signal.Signals, record_property: pytest.RecordProperty
) -> None:
    """Measures the outage that a client sees: with a timeout of 3 s, new connections work again when it has run out."""
    gate = laptop.gate()
    asking = laptop.ask_on(PROVIDER4, laptop.people[0], seconds=9)
    time.sleep(2)
    at_s = time.monotonic()
    os.kill(gate.pid if whom == "gate" else gate.root.pid, how)
    told = [json.loads(line) for line in asking.communicate()[0].splitlines()]
    _let_go(gate)
    failed = [entry["at_s"] - at_s for entry in told if entry["by"] == "nobody"]
    record_property("failed_until_s", max(failed, default=0.0))
    print(f"{how.name} of {whom}: failed {len(failed)} of {len(told)}, the last after {max(failed, default=0.0):.2f} s")

    assert {entry["by"] for entry in told[:5]} == {"gate"}
    assert told[-1]["by"] == "provider"


def _let_go(gate: Gate) -> None:
    for pid in (gate.pid, gate.root.pid):
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass
