"""`billing.accounts` and `billing.personal` in the gate: whose account a call is on, known beforehand or from its answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gate.test_adjusting import inside, served, unstating
from gate.world import budget, costing, dollars, end, house, policy, replace
from spendgate.contracts import Account, Billing
from spendgate.gate.accounts import FLAG, KEPT_MAX, OWN, Accounts
from spendgate.gate.interface import Admitted, Refused
from spendgate.policy import Mode, Policy
from spendgate.providers.reading import Reading
from spendgate.selector import Selector
from spendgate.standing import Hold

KEY = "sk-ant-api03:0123456789ab"


def rules(personal: str, **words: Any) -> Policy:
    """The company's one account at Anthropic, and what becomes of others."""
    own = (Account(provider="anthropic", account="Org-1"),)
    billing = Billing.model_validate({"accounts": own, "personal": personal})
    return policy(*words.pop("budgets", (budget(10),)), billing=billing, **words)


def told(account: str | None, cost: float = 0.1) -> Reading:
    """An answer that names its account."""
    return replace(costing(cost), account=account, request_id="req_1")


async def test_a_personal_call_is_counts_and_times_alone(tmp_path: Path) -> None:
    """Under `ignore`: in no budget, without cost or value, without what could tell what it was about."""
    async with house(tmp_path, rules("ignore", budgets=(budget(0.001),))) as place:
        call = unstating(account="me", api_key=KEY, agent="a1")
        row = await served(place, call, told("me"))
    assert (row["billing"], row["state"], row["cost_nanos"], row["value_nanos"]) == ("personal", "settled", 0, 0)
    assert row["input_tokens"] == dollars(0.1) // 5_000
    assert (row["person"], row["tool"], row["model"]) == ("alice", "claude-code", "claude-opus-4-5")
    left_out = ("project", "session", "api_key", "account", "agent", "request_id")
    assert [row[name] for name in left_out] == [None] * len(left_out)


@pytest.mark.parametrize("account", ["org-1", "ORG-1", None])
async def test_the_companys_own_and_what_nobody_knows_are_metered(tmp_path: Path, account: str | None) -> None:
    """Accounts compare without case; an account that nobody knows is never personal."""
    async with house(tmp_path, rules("ignore")) as place:
        row = await served(place, unstating(account=account), told(account))
    assert (row["billing"], row["cost_nanos"], row["flags"]) == ("metered", dollars(0.1), "")


async def test_other_providers_have_no_personal_accounts(tmp_path: Path) -> None:
    """Only where the policy lists some."""
    call = unstating(account="me")
    call = replace(call, route=replace(call.route, provider="openai", prices="anthropic"))
    gateway = replace(unstating(account="me"), route=replace(call.route, provider="anthropic", billing="gateway"))
    async with house(tmp_path, rules("refuse")) as place:
        rows = [await served(place, each, told("me")) for each in (call, gateway)]
    assert [row["cost_nanos"] for row in rows] == [dollars(0.1)] * 2


async def test_counted_ones_are_as_metered(tmp_path: Path) -> None:
    """Under `count`: held, charged, and told apart by `billing: personal`; a plan of somebody's own still costs nothing."""
    apart = budget(1, "apart", match=Selector.of({"billing": ["personal"]}))
    async with house(tmp_path, rules("count", budgets=(budget(10), apart))) as place:
        row = await served(place, unstating(account="me"), told("me"))
        plan = await served(place, unstating(account="me", billing="subscription"), told("me"))
        terms = place.gate._asked(unstating(account="me")).terms
        standings = place.ledger.standings(terms.scopes(place.time.wall_ms), place.time.wall_ms, {})
    assert (row["billing"], row["cost_nanos"]) == ("personal", dollars(0.1))
    assert [each.settled_nanos for each in standings] == [dollars(0.1), dollars(0.1)]
    assert (plan["billing"], plan["cost_nanos"], plan["value_nanos"]) == ("subscription", 0, dollars(0.1))


async def test_refused_ones_name_the_rule(tmp_path: Path) -> None:
    """Under `refuse`: by rule, whatever the money; under `observe` it is recorded, leaves and counts."""
    async with house(inside(tmp_path, "a"), rules("refuse")) as place:
        answer = await place.gate.hold(unstating(account="me"))
        own = await place.gate.hold(unstating(account="org-1"))
        (row,) = place.rows.calls("state = 'refused'")
    assert isinstance(answer, Refused)
    assert isinstance(own, Admitted)
    assert (row["refused_by"], row["refused_why"]) == ("billing.personal", "rule")
    assert "the anthropic account me is not the company's" in answer.message
    async with house(inside(tmp_path, "b"), rules("refuse", mode=Mode(default="observe"))) as place:
        row = await served(place, unstating(account="me"), told("me"))
    assert (row["would_refuse_by"], row["cost_nanos"]) == ("billing.personal", dollars(0.1))


@pytest.mark.parametrize("personal", ["ignore", "count", "refuse"])
async def test_an_account_that_only_the_answer_names_is_known_from_then_on(tmp_path: Path, personal: str) -> None:
    """The first call with a key has left: `ignore` takes its charge back at its end, the others count and flag it."""
    async with house(tmp_path, rules(personal)) as place:
        first = await served(place, unstating(api_key=KEY), told("me"))
        second = await place.gate.hold(unstating(api_key=KEY))
        other = await served(place, unstating(api_key="sk-ant-api03:ba9876543210"), told("org-1"))
        later = next((row for row in place.rows.calls() if row["state"] in ("open", "refused")), None)
    assert FLAG in first["flags"]
    assert first["cost_nanos"] == (0 if personal == "ignore" else dollars(0.1))
    assert first["value_nanos"] == (0 if personal == "ignore" else dollars(0.1))
    assert isinstance(second, Refused) is (personal == "refuse")
    assert later is not None
    assert later["billing"] == "personal"
    assert other["cost_nanos"] == dollars(0.1)


async def test_an_account_that_a_request_claims_frees_nobody(tmp_path: Path) -> None:
    """Whoever claims another account to be left out of budgets pays all the same where the answer names the company's."""
    async with house(tmp_path, rules("ignore")) as place:
        call = unstating(account="somebody-else")
        assert isinstance(await place.gate.hold(call), Admitted)
        place.gate.sent(call.call_id)
        place.gate.settle(call.call_id, told("org-1"), end())
        (row,) = place.rows.calls()
        scopes = place.gate._asked(unstating()).terms.scopes(place.time.wall_ms)
        (standing,) = place.ledger.standings(scopes, place.time.wall_ms, {})
    assert OWN in row["flags"]
    assert (row["cost_nanos"], standing.settled_nanos) == (dollars(0.1), dollars(0.1))


async def test_a_claim_beside_a_key_frees_no_call_from_its_hold(tmp_path: Path) -> None:
    """A spent `hold: ceiling` budget stays spent, whatever account a header names: before and after an answer told of the key."""
    cap = budget(1, "cap", hold=Hold.CEILING)
    async with house(tmp_path, rules("ignore", budgets=(cap,))) as place:
        claims: dict[str, Any] = {"account": "whatever", "account_claimed": True}
        first = await served(place, unstating(api_key=KEY, **claims), told("org-1", 1.0))
        answers = [await place.gate.hold(unstating(**claims, **key)) for key in ({"api_key": KEY}, {})]
    assert (first["billing"], first["cost_nanos"]) == ("metered", dollars(1))
    assert first["held_nanos"] > 0
    assert [type(answer) for answer in answers] == [Refused, Refused]


async def test_a_claim_is_nothing_where_the_answer_is_silent(tmp_path: Path) -> None:
    """The key's own account is known: a call that claims another one and is cut short costs what it cost."""
    async with house(tmp_path, rules("ignore")) as place:
        await served(place, unstating(api_key=KEY), told("org-1"))
        row = await served(place, unstating(api_key=KEY, account="whatever", account_claimed=True), told(None))
    assert (row["billing"], row["cost_nanos"]) == ("metered", dollars(0.1))


async def test_a_key_of_two_accounts_stays_the_companys(tmp_path: Path) -> None:
    """Its calls on the other account are held, and given back at their end; the next one is held again."""
    async with house(tmp_path, rules("ignore")) as place:
        await served(place, unstating(api_key=KEY), told("org-1"))
        other = await served(place, unstating(api_key=KEY, account="me", account_claimed=True), told("me"))
        own = await served(place, unstating(api_key=KEY), told("org-1"))
    assert [(row["held_nanos"] > 0, row["cost_nanos"]) for row in (other, own)] == [(True, 0), (True, dollars(0.1))]


async def test_a_personal_key_does_not_pass_by_claiming_the_companys_account(tmp_path: Path) -> None:
    """The first call leaves and is flagged; from then on its key is known, whatever it claims."""
    claims: dict[str, Any] = {"account": "org-1", "account_claimed": True}
    async with house(tmp_path, rules("refuse")) as place:
        first = await served(place, unstating(api_key=KEY, **claims), told("me"))
        second = await place.gate.hold(unstating(api_key=KEY, **claims))
    assert FLAG in first["flags"]
    assert isinstance(second, Refused)
    assert second.refuse.rule == "billing.personal"


def test_what_is_remembered_of_keys_is_bounded() -> None:
    """The keys least lately seen are forgotten; no key, no account, another provider: nothing is kept."""
    seen, billing = Accounts(), rules("ignore").billing
    for number in range(KEPT_MAX + 1):
        seen.saw(unstating(api_key=f"key:{number}"), Reading(account="me"), billing)
    assert seen.known(unstating(api_key="key:0"), billing).ask.account is None
    assert seen.known(unstating(api_key=f"key:{KEPT_MAX}"), billing).ask.account == "me"
    assert seen.known(unstating(api_key=f"key:{KEPT_MAX}", account="own"), billing).ask.account == "own"
    claim = unstating(api_key=f"key:{KEPT_MAX}", account="org-1", account_claimed=True)
    assert seen.known(claim, billing).ask.account == "me"
    assert seen.known(unstating(api_key=f"key:{KEPT_MAX}"), Billing()).ask.account is None
