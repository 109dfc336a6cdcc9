"""The rules as text: what they say for which settings, and what never gets into them."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from spendgate.errors import UsageError
from spendgate.redirect.listed import held, held_back, holds_now, shape
from spendgate.redirect.ruleset import LET_GO, LOOK, PAUSE, REMOVAL, Rules, quic_targets, ruleset, sign_of_life

RULES = Rules(gate=65500, port=8443)


def test_every_rule_that_acts_asks_whether_the_gate_is_alive() -> None:
    """No redirect and no reject works without a sign of life, so that a crash leaves nothing that acts; but for what is held,
    which acts without one alone, on addresses that somebody has named for it."""
    lines = [line.strip() for line in ruleset(RULES).splitlines()]
    acting = [line for line in lines if ("redirect" in line or "reject" in line) and "@hold" not in line]
    holding = lines[lines.index("chain hold {") :]

    assert len(acting) == 5
    assert sum("@hold" in line for line in lines) == 4
    assert holding.index("meta l4proto @alive return") < min(n for n, line in enumerate(holding) if "reject" in line)
    assert all("@alive" in line for line in acting)


def test_the_gate_is_exempt_before_anything_else() -> None:
    """In each chain the first rule lets the gate's own account pass: it never talks to itself."""
    lines = [line.strip() for line in ruleset(RULES).splitlines()]
    after_policy = [
        lines[at + 1] for at, line in enumerate(lines) if line.startswith("type nat") or line.startswith("type filter")
    ]

    assert after_policy == ["meta skuid 65500 return"] * 3


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
    for transaction in (REMOVAL, PAUSE, LET_GO, LOOK, sign_of_life(RULES), quic_targets(["192.0.2.1", "2001:db8::1"])):
        assert all("inet spendgate" in line for line in transaction.splitlines())
    assert ruleset(RULES).startswith(REMOVAL)
    assert ruleset(RULES).count("table inet") == 3


HELD = """table inet spendgate {
\tset alive {
\t\ttype inet_proto
\t\tflags timeout
\t}

\tset quic4 {
\t\ttype ipv4_addr
\t\telements = { 192.0.2.9 }
\t}

\tset hold4 {
\t\ttype ipv4_addr
\t\telements = { 192.0.2.1, 192.0.2.2,
\t\t\t     192.0.2.3 }
\t}

\tset hold6 {
\t\ttype ipv6_addr
\t\telements = { 2001:db8::1 }
\t}

\tchain hold {
\t\tip daddr @hold4 tcp dport 443 counter packets 3 bytes 180 reject with tcp reset
\t\tip6 daddr @hold6 tcp dport 443 counter packets 2 bytes 160 reject with tcp reset
\t}
}
"""
"""As nft 1.0.6 prints it, without a sign of life."""
ALIVE = HELD.replace("flags timeout\n", "flags timeout\n\t\telements = { tcp timeout 3s expires 2s984ms }\n")


def test_what_is_held_is_read_from_what_nft_prints() -> None:
    """Which addresses, whether they are refused now, and how often they were."""
    assert held(HELD) == {"192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1"}
    assert (holds_now(HELD), holds_now(ALIVE), holds_now("")) == (True, False, False)
    assert held_back(HELD) == 5


def test_a_group_that_has_gone_is_no_change_of_the_rules() -> None:
    """nft then prints its number; without this the rules for the other groups would be put back for ever, and fail."""
    rule = "socket cgroupv2 level 2 {} meta l4proto @alive tcp dport 443 counter redirect to :8443\n"

    assert shape(rule.format('"user.slice/a"')) == shape(rule.format("4711"))
    assert shape(rule.format("4711")) != shape(rule.format("4711").replace("443", "80"))
    assert shape("size 10 # count 3\n") == shape("size 10\n")


def test_cgroups_narrow_every_rule() -> None:
    """With cgroups named, each acting rule is for one of them, at its depth in the tree."""
    text = ruleset(Rules(gate=65500, port=8443, cgroups=("user.slice", "system.slice/ci.service")))
    acting = [line.strip() for line in text.splitlines() if "redirect" in line or "reject" in line]

    assert len(acting) == 18
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


def test_every_port_of_a_providers_address_is_led_and_held() -> None:
    """A provider at another port than 443 is captured, for accounts and containers, and held, where its address is known."""
    text = ruleset(Rules(gate=1, port=2, containers=(IPv4Network("172.16.0.0/12"),)))

    assert "meta l4proto @alive meta l4proto tcp ip daddr @quic4 counter redirect to :2\n" in text
    assert "meta l4proto @alive meta l4proto tcp ip6 daddr @quic6 counter redirect to :2\n" in text
    assert "type != local meta l4proto tcp ip daddr @quic4 counter redirect to :3\n" in text
    assert text.count("ip daddr @hold4 meta l4proto tcp counter reject with tcp reset\n") == 2


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
    with pytest.raises(ValueError, match="a scope"):
        quic_targets(["fe80::1%x }\nflush ruleset\n#"])
