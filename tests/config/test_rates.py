"""How a rate is written: counts, lengths, and what it is when little is said."""

from __future__ import annotations

import pytest

from spendgate.config.policy_file import parse_policy
from spendgate.config.rates import quota
from spendgate.flow import Limits, Sliding
from spendgate.rates import length, rate_scopes
from spendgate.selector import Facts

HEAD = "version: 1\nowner: ops@acme.example\n"


@pytest.mark.parametrize(
    ("text", "most", "length_ms"),
    [
        ("100 per minute", 100, 60_000),
        ("1 per second", 1, 1_000),
        ("5,000 per hour", 5_000, 3_600_000),
        ("1,000,000  per  5m", 1_000_000, 300_000),
        ("1000000 per 30s", 1_000_000, 30_000),
        ("7 per 24h", 7, 86_400_000),
        ("1,000,000,000,000 per 1440m", 10**12, 86_400_000),
    ],
)
def test_a_quota_is_read(text: str, most: int, length_ms: int) -> None:
    """With and without thousands separators, over words and lengths."""
    found = quota(text)
    assert (found.most, found.length_ms) == (most, length_ms)
    assert quota(f"{most} per {length(length_ms)}") == found


def test_the_contracts_own_rate_loads() -> None:
    """As it stands in the policy's contract; and each call of a person is counted for that person."""
    keys = ("per: person", "requests: 100 per minute", "tokens: 1,000,000 per minute", "parallel: 8")
    policy = parse_policy("\n    ".join([f"{HEAD}rates:\n  - name: loop", *keys]).encode())
    (scope,) = rate_scopes(policy.rate_draws, (Facts.of(person="alice", billing="metered"),), True)
    assert (scope.budget, scope.value, scope.wait_ms, scope.enforced) == ("loop", "alice", 20_000, True)
    assert scope.rate == Limits(Sliding(100, 60_000), Sliding(1_000_000, 60_000), 8)
    personal = Facts.of(person="alice", billing="personal")
    assert rate_scopes(policy.rate_draws, (personal,), True) == ()
    assert rate_scopes(policy.rate_draws, (personal,), True, personal=True) == (scope,)
    assert rate_scopes(policy.rate_draws, (Facts.of(machine="m"),), True) == ()


def test_what_is_counted_makes_a_rate_and_not_how_many() -> None:
    """Another number keeps the count; another length, attribute or kind of token begins a new one. All of it is in the hash."""
    base = "{name: a, per: person, tokens: 5 per minute, parallel: 8}"
    changed = {
        base.replace("5 per", "6 per"): True,
        base.replace("8", "9"): True,
        base.replace("8", "8, wait: 1s"): True,
        base.replace("minute", "hour"): False,
        base.replace("person", "tool"): False,
        base.replace("8", "8, cache_reads: true"): False,
        base.replace("8", "8, except: {tool: codex}"): False,
        base.replace("8", "8, match: {tool: codex}"): False,
        base.replace("8", "8, missing: shared"): False,
    }
    first = parse_policy(f"{HEAD}rates: [{base}]\n".encode())
    for text, same in changed.items():
        policy = parse_policy(f"{HEAD}rates: [{text}]\n".encode())
        assert policy.hash != first.hash
        assert (policy.rate_draws[0].counted == first.rate_draws[0].counted) is same
