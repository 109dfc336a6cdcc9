"""What `doctor` says of calls that are refused while no gate answers."""

from __future__ import annotations

import pytest

from redirect.test_ruleset import ALIVE, HELD
from spendgate.cli.doctor_system import held, refused_quic
from spendgate.cli.going_around import told
from spendgate.doctor.around import Process
from spendgate.doctor.interface import Routes, State


@pytest.mark.parametrize(
    ("table", "wanted", "state", "words"),
    [
        pytest.param(HELD, True, State.FINDING, "refused at 4 addresses: no gate answers", id="held"),
        pytest.param(ALIVE, True, State.FINE, "calls to 4 addresses of providers are refused", id="would be"),
        pytest.param("", True, State.FINDING, "no provider's address is known", id="nothing to hold"),
        pytest.param("", False, None, "", id="not wanted"),
    ],
)
def test_what_is_held_is_told(table: str, wanted: bool, state: State | None, words: str) -> None:
    """That it is, why, and what ends it; also that it would not be, though the policy says so."""
    [*found] = held(table, wanted=wanted)

    assert [each.state for each in found] == ([state] if state else [])
    assert all(words in each.says and each.name == "hold" for each in found)
    assert all(each.remedy for each in found if each.state is State.FINDING)
    if table == HELD:
        assert "`spendgate service stop`" in found[0].remedy
        assert "5 packets" in found[0].says


def test_a_gate_that_takes_nothing_is_not_to_be_started() -> None:
    """It is up, and what is held waits for its certificates."""
    why = "no traffic is led to the gate, since none of its organization's certificates holds"
    [found] = held(HELD, wanted=True, not_led=why)
    assert f"refused at 4 addresses: {why}" in found.says
    assert found.remedy.startswith("install the certificates")


@pytest.mark.parametrize(
    ("account", "transparent", "words"),
    [
        pytest.param("alice", True, "older than the rules", id="from before"),
        pytest.param("spendgate", True, "nothing else is to run as spendgate", id="under the exempt account"),
        pytest.param("alice", False, "HTTPS_PROXY=http://127.0.0.1:8080", id="past its variables"),
        pytest.param("spendgate", False, "HTTPS_PROXY=http://127.0.0.1:8080", id="where no account is exempt"),
    ],
)
def test_what_goes_around_is_told_what_mends_it(account: str, transparent: bool, words: str) -> None:
    """By why it can: to start it again mends nothing of an account that no rule leads."""
    one = Process(7, account, "/usr/bin/node", "codex", False, ("api.openai.com",), ("192.0.2.1",))
    found = told(one, Routes(transparent=transparent, listener="127.0.0.1:8080"), "spendgate")
    assert words in found.remedy
    assert f"process 7 of {account}, /usr/bin/node (codex)" in found.says


_RULE = "\t\tip daddr @quic4 udp dport 443 counter packets 7 bytes 9 reject\n"


@pytest.mark.parametrize(
    ("table", "state", "words"),
    [
        pytest.param(HELD + _RULE, State.FINE, "refused to 1 address of providers that are known, 7 packets", id="one"),
        pytest.param(
            HELD.replace("\t\telements = { 192.0.2.9 }\n", "") + _RULE,
            State.FINDING,
            "QUIC is refused to none",
            id="none",
        ),
        pytest.param(HELD, State.FINDING, "no rule refuses QUIC", id="no rule"),
    ],
)
def test_quic_is_refused_where_an_address_is_known(table: str, state: State, words: str) -> None:
    """A rule over an empty set refuses nothing."""
    found = refused_quic(table)
    assert (found.state, words in found.says) == (state, True)
    assert bool(found.remedy) == (state is State.FINDING)
