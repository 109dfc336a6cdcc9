"""The map of keys and people: read whole, or refused with every fault at its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spendgate.config import key_map
from spendgate.errors import StateError, StatementError
from spendgate.reconcile.facts import Facts, Key, Person, Role

WHOLE = b"""\
map: 1
complete: true
keys:
  - {key: apikey_1, provider: anthropic, person: alice, name: laptop, hint: sk-ant-...AbCd,
     fingerprints: ['sk-ant-api03:0123456789ab', 'key:ABCDEF012345+xai:000000000000']}
  - {key: apikey_2, provider: anthropic, role: elsewhere}
  - {key: apikey_2, provider: openai, role: gateway}
workspaces:
  - {workspace: wrkspc_ci, role: elsewhere}
people:
  - {person: alice, emails: [alice@acme.example], users: [user_1]}
gateway_hosts: [llm.acme.example]
"""


def faults(text: str) -> list[str]:
    """Why nothing of it is taken."""
    with pytest.raises(StatementError) as fault:
        key_map.parse(text.encode(), "keys.yaml")
    return list(fault.value.faults)


def test_all_of_it_is_read() -> None:
    assert key_map.parse(WHOLE, "keys.yaml") == Facts(
        keys=(
            Key(
                "anthropic",
                "apikey_1",
                ("sk-ant-api03:0123456789ab", "key:abcdef012345+xai:000000000000"),
                "alice",
                "laptop",
                "sk-ant-...AbCd",
                Role.FLEET,
            ),
            Key("anthropic", "apikey_2", role=Role.ELSEWHERE),
            Key("openai", "apikey_2", role=Role.GATEWAY),
        ),
        people=(Person("alice", ("alice@acme.example",), ("user_1",)),),
        complete=True,
        workspaces=(("wrkspc_ci", Role.ELSEWHERE),),
        gateway_hosts=("llm.acme.example",),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "keys.yaml:1:1: the file is empty"),
        ("map: 2\n", "keys.yaml:1:6: map: "),
        ("map: 1\nkeys:\n  - {key: k, provider: p, fingerprints: [5f3a9c]}\n",
         "keys.yaml:3:42: keys[1].fingerprints[1]: no key is known as 5f3a9c: a key is known by its public prefix"),
        ("map: 1\nkeys:\n  - {key: k, provider: p, fingerprints: ['sk-ant-api03:*']}\n",
         "keys.yaml:3:42: keys[1].fingerprints[1]: sk-ant-api03:* is no whole fingerprint"),
        ("keys: []\n", "keys.yaml:1:1: map: is missing"),
        ("map: 1\ncomplete: true\n", "keys.yaml:2:11: complete: of no keys at all"),
        ("map: 1\nkeys:\n  - {key: k}\n", "keys.yaml:3:5: keys[1].provider: is missing"),
        ("map: 1\nkeys:\n  - {key: k, provider: p, role: fleeet}\n", "keys.yaml:3:33: keys[1].role: 'fleeet'"),
        ("map: 1\nkeys:\n  - {key: k, provider: p}\n  - {key: k, provider: p}\n",
         "keys.yaml:4:11: keys[2].key: 'k' of p stands twice"),
        ("map: 1\nkeys:\n  - {key: k, provider: p, fingerprints: ['key:0123456789ab']}\n"
         "  - {key: l, provider: q, fingerprints: ['key:0123456789ab']}\n"
         "  - {key: m, provider: p, fingerprints: ['key:0123456789AB']}\n",
         "keys.yaml:5:41: keys[3].fingerprints: 'key:0123456789ab' belongs to 'k' already"),
        ("map: 1\nworkspaces:\n  - {workspace: w}\n", "keys.yaml:3:5: workspaces[1].role: is missing"),
        ("map: 1\npeople:\n  - {person: a, emails: [x]}\n  - {person: b, emails: [x]}\n",
         "keys.yaml:4:25: people[2].emails: 'x' belongs to 'a' already"),
        ("map: 1\nkey: x\n", "keys.yaml:2:1: key: unknown key"),
        ("map: 1\nkeys: {a: b}\n", "keys.yaml:2:7: keys: found keys with values"),
        ("map: 1\nkeys: &a []\n", "keys.yaml:2:7:"),
    ],
)  # fmt: skip
def test_each_fault_is_told_at_its_place(text: str, told: str) -> None:
    assert faults(text)[0].startswith(told), faults(text)


@given(
    st.one_of(
        st.binary(max_size=300),
        st.builds(lambda at, more: WHOLE[:at] + more, st.integers(0, 400), st.binary(max_size=20)),
    )
)
def test_whatever_a_file_holds_it_is_read_or_refused(data: bytes) -> None:
    try:
        assert isinstance(key_map.parse(data, "keys.yaml"), Facts)
    except StatementError as fault:
        assert all(each.startswith("keys.yaml:") for each in fault.faults)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StateError, match=r"--map .*none.yaml: No such file"):
        key_map.read(tmp_path / "none.yaml")


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    (tmp_path / "keys.yaml").write_bytes(b"map: 1\n" + b"# more\n" * 200_000)
    with pytest.raises(StatementError):
        key_map.read(tmp_path / "keys.yaml")
