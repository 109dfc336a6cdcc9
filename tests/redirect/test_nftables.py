"""The rules as text: what they say for which settings, and what never gets into them."""

from __future__ import annotations

import pytest

from spendgate.errors import UsageError
from spendgate.redirect.nftables import PAUSE, REMOVAL, Rules, quic_targets, ruleset, sign_of_life

RULES = Rules(gate=65500, port=8443)


def test_every_rule_that_acts_asks_whether_the_gate_is_alive() -> None:
    """No redirect and no reject works without a sign of life, so that a crash leaves nothing that acts."""
    acting = [line for line in ruleset(RULES).splitlines() if "redirect" in line or "reject" in line]

    assert len(acting) == 3
    assert all("@alive" in line for line in acting)


def test_the_gate_is_exempt_before_anything_else() -> None:
    """In both chains the first rule lets the gate's own account pass: it never talks to itself."""
    lines = [line.strip() for line in ruleset(RULES).splitlines()]
    after_policy = [
        lines[at + 1] for at, line in enumerate(lines) if line.startswith("type nat") or line.startswith("type filter")
    ]

    assert after_policy == ["meta skuid 65500 return"] * 2


@pytest.mark.parametrize("cgroups", [(), ("user.slice",)], ids=["everything", "cgroup"])
def test_rules_are_set_out_evenly(cgroups: tuple[str, ...]) -> None:
    """Whoever reads a dry run sees two spaces for each open brace and one between words, with cgroups and without."""
    depth = 0
    for line in ruleset(Rules(gate=65500, port=8443, cgroups=cgroups)).splitlines():
        text = line.strip()
        depth -= text == "}"
        assert line == "  " * depth + " ".join(text.split())
        depth += text.endswith("{")
    assert depth == 0


def test_only_our_table_is_named() -> None:
    """Each command of each transaction names the table `inet spendgate`, so no other table can be touched."""
    for transaction in (REMOVAL, PAUSE, sign_of_life(RULES), quic_targets(["192.0.2.1", "2001:db8::1"])):
        assert all("inet spendgate" in line for line in transaction.splitlines())
    assert ruleset(RULES).startswith(REMOVAL)
    assert ruleset(RULES).count("table inet") == 3


def test_cgroups_narrow_every_rule() -> None:
    """With cgroups named, each acting rule is for one of them, at its depth in the tree."""
    text = ruleset(Rules(gate=65500, port=8443, cgroups=("user.slice", "system.slice/ci.service")))
    acting = [line.strip() for line in text.splitlines() if "redirect" in line or "reject" in line]

    assert len(acting) == 6
    assert all(line.startswith("socket cgroupv2 level ") for line in acting)
    assert 'socket cgroupv2 level 2 "system.slice/ci.service" meta l4proto @alive tcp dport { 443 }' in text


@pytest.mark.parametrize(
    "path",
    [
        pytest.param('x" accept', id="quote"),
        pytest.param("/user.slice", id="leading slash"),
        pytest.param("", id="empty"),
        pytest.param("a\nb", id="line"),
        pytest.param("a b", id="space"),
    ],
)
def test_a_cgroup_cannot_smuggle_rules_in(path: str) -> None:
    """What is not a plain path is refused before nft sees it."""
    with pytest.raises(UsageError):
        ruleset(Rules(gate=65500, port=8443, cgroups=(path,)))


def test_ports_are_listed_once_in_order() -> None:
    """Captured ports are a set."""
    assert "tcp dport { 443, 8080 }" in ruleset(Rules(gate=1, port=2, ports=(8080, 443, 443)))


def test_a_sign_of_life_flushes_and_adds_in_one_transaction() -> None:
    """Adding alone would not renew; the timeout is the rules' own."""
    flush, add = sign_of_life(Rules(gate=1, port=2, timeout_ms=1500)).splitlines()

    assert flush == "flush set inet spendgate alive"
    assert add == "add element inet spendgate alive { tcp timeout 1500ms, udp timeout 1500ms }"


def test_quic_targets_are_parsed_addresses() -> None:
    """Only an address gets into a rule, in its canonical form and its family's set."""
    assert "quic6 { 2001:db8::1 }" in quic_targets(["2001:DB8:0::1"])
    assert quic_targets([]) == "flush set inet spendgate quic4\nflush set inet spendgate quic6\n"
    with pytest.raises(ValueError, match="does not appear"):
        quic_targets(["192.0.2.1 }; delete table ip nat"])
