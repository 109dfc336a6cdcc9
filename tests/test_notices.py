"""What a reader of a policy is told besides its faults."""

from __future__ import annotations

import pytest

from spendgate.config.policy_file import parse_policy
from spendgate.notices import notices, spent_on_each

HEAD = "version: 1\nowner: ops@acme.example\n"
BEFORE, AFTER = 1_806_000_000_000, 1_807_000_000_000  # 2027-03-25 and 2027-04-05


@pytest.mark.parametrize(
    ("text", "now_ms", "told"),
    [
        pytest.param("", AFTER, (), id="nothing to tell"),
        pytest.param("valid_until: 2027-03-31\n", BEFORE, (), id="it holds"),
        pytest.param(
            "valid_until: 2027-03-31\n", AFTER,
            ("the policy ended on 2027-03-31: it stays in force (expired: keep); ops@acme.example answers for it",), id="keep",
        ),
        pytest.param(
            "valid_until: 2027-03-31\nexpired: refuse\n", AFTER,
            ("the policy ended on 2027-03-31: calls are refused; ops@acme.example answers for it",), id="refuse",
        ),
        pytest.param(
            "fleet: {hub: https://spend.acme.example/}\n", BEFORE,
            ("fleet.hub https://spend.acme.example: no hub is reached by this version; nothing is leased, so each machine "
             "enforces alone",), id="hub",
        ),
        pytest.param(
            "fleet: {hub: https://spend.acme.example, offline: refuse}\n", BEFORE,
            ("fleet.hub https://spend.acme.example: no hub is reached by this version; calls are refused (offline: refuse)",),
            id="hub, refuse",
        ),
        pytest.param("privacy: {keep: 400 days}\n", BEFORE, (), id="keep rows"),
    ],
)  # fmt: skip
def test_what_is_told(text: str, now_ms: int, told: tuple[str, ...]) -> None:
    """Each sentence as `status` prints it."""
    assert notices(parse_policy((HEAD + text).encode()), now_ms) == told


@pytest.mark.parametrize(
    ("rule", "limit"),
    [
        pytest.param("limit: '$2,000 per month'", "$2,000 per month", id="shared"),
        pytest.param("limit: $0.0005 per rolling 24h", "$0.0005 per rolling 24h", id="rolling, small"),
        pytest.param("per: person, limit: $20.50 per day", "$20.50 per day", id="a person has several machines"),
        pytest.param("limit: $25", "$25", id="for life"),
        pytest.param("match: {machine: 'ci-*'}, limit: $25", "$25", id="machines by a glob"),
        pytest.param("match: {machine: [a, b]}, limit: $25", "$25", id="two machines"),
        pytest.param("match: {machine: a}, limit: $25", None, id="one machine"),
        pytest.param("per: machine, limit: $25", None, id="per machine"),
        pytest.param("per: [person, machine], limit: $25", None, id="per person and machine"),
        pytest.param("per: session, limit: $25", None, id="per session"),
        pytest.param("limit: none", None, id="no limit"),
        pytest.param(
            "limit: 4x mean of 7d per day, at_least: $5, at_most: $20.50",
            "(4x mean of 7d per day, at least $5, at most $20.50)",
            id="by the mean",
        ),
    ],
)
def test_where_a_limit_can_be_spent_again(rule: str, limit: str | None) -> None:
    """Once on each machine, unless its values live on one."""
    said = spent_on_each(parse_policy(f"{HEAD}budgets: [{{name: a, {rule}}}]\n".encode()))
    times = "\N{MULTIPLICATION SIGN} N machines; it holds on this machine, and can be spent once on each"
    assert said == ((f"a: {limit} {times}",) if limit else ())


def test_what_waits_for_the_hub_is_said() -> None:
    """A share of one machine is told beside the limit that holds in its place."""
    [said] = spent_on_each(parse_policy(f"{HEAD}budgets: [{{name: a, limit: $25, per_machine: $5}}]\n".encode()))
    assert said.endswith("can be spent once on each (its per_machine of $5 holds once there is a hub)")
