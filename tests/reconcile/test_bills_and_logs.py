"""Bills beside logs: what money alone, counts alone and names alone show, and what is said where they do not."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from reconcile.kit_explain import (
    DAY,
    MODEL,
    NOON,
    NOW,
    USAGE,
    billed,
    by_cause,
    calls,
    only,
    price,
    run,
    statement,
    times,
)
from spendgate.reconcile.facts import NO_FACTS, Facts, Key, Role, Witnessed
from spendgate.reconcile.result import Cause, Confidence
from spendgate.reconcile.run import Options, Version, compare
from spendgate.statement import DAY_MS, Line, Statement, Who
from spendgate.usage import NO_USAGE

ONE = price(USAGE)


def _money(lines: list[Line]) -> list[Line]:
    """As a cost file has it, without counts."""
    return [replace(each, usage=NO_USAGE, requests=None) for each in lines if each.billed_nanos is not None]


def _counts(lines: list[Line], **who: str) -> list[Line]:
    """As a usage file has it, without money and requests."""
    return [
        replace(each, who=Who(**who) if who else each.who, requests=None) for each in lines if each.usage != NO_USAGE
    ]


def test_whole_calls_that_counts_show_to_be_missing_need_no_count_of_requests() -> None:
    """More tokens of every class that calls have: use that the ledger has not. More of one class alone is not shown to be a call,
    and neither is a price."""
    lines = [*_money(billed(times(USAGE, 4), 4)), *_counts(billed(times(USAGE, 4), 4))]
    found = only(run(calls(3), lines), Cause.UNCAPTURED)
    assert (found.nanos, found.requests, found.confidence) == (ONE, None, Confidence.RESIDUAL)
    longer = replace(times(USAGE, 3), output_tokens=5_000)
    lines = [*_money(billed(longer, 3)), *_counts(billed(longer, 3))]
    assert by_cause(run(calls(3), lines)) == {}
    assert Cause.UNCAPTURED not in by_cause(run(calls(3), _money(billed(times(USAGE, 4), 4))))


def test_a_key_that_one_file_names_and_the_other_has_by_id_is_one_key() -> None:
    """The Console's usage file has names alone. Then a day that is alike to the token joins it to a fingerprint, too."""
    priced = [replace(each, who=Who("org", "ws", "apikey_01A", "ci")) for each in _money(billed(times(USAGE, 3), 3))]
    lines = [*priced, *_counts(billed(times(USAGE, 3), 3), workspace="ws", key_name="ci")]
    result = run(calls(3, api_key="print"), lines)
    assert (result.findings, result.unexplained_nanos) == ((), 0)
    assert [each.name for each in result.coverage if each.what == "key"] == ["anthropic apikey_01A"]
    result = run(calls(2, api_key="print"), lines)
    (told,) = (each for each in result.notes if "not told apart" in each)
    assert '`- {key: "apikey_01A", provider: anthropic, fingerprints: ["print"]}`' in told
    other = [replace(each, who=replace(each.who, key="apikey_01B")) for each in priced]
    result = run(calls(3, api_key="print"), [*lines, *other])
    assert any("several keys of the bill have the name 'ci'" in each for each in result.notes)


def test_a_map_that_lacks_keys_of_calls_tells_no_other_key_for_strange() -> None:
    """Bob's key alone is listed, and alice's calls are there with another: the key that nobody lists may be hers, unless the map
    is said to be complete."""
    mine = [*calls(3, api_key="of_alice"), *calls(2, api_key="of_bob", person="bob", response_id=None)]
    lines = _money([*billed(times(USAGE, 3), 3, key="apikey_01A"), *billed(times(USAGE, 2), 2, key="apikey_01B")])
    bobs = Key("anthropic", "apikey_01B", ("of_bob",), "bob")
    result = run(mine, lines, Facts(keys=(bobs,)))
    assert (by_cause(result), result.unexplained_nanos) == ({}, 0)
    assert any("`--map FILE` says which" in each for each in result.notes)
    complete = by_cause(run(mine, lines, Facts(keys=(bobs,), complete=True)))
    assert complete[Cause.SCOPE_KEY] == 3 * ONE


def test_a_witness_beside_a_bill_without_counts_names_the_file_that_has_them() -> None:
    seen = Witnessed("anthropic", NOON, "Claude Code's session log", response_id="msg_9", model=MODEL, usage=USAGE)
    said = [Version("v1", NOW, statement(_money(billed(times(USAGE, 4), 4)), source="anthropic-cost-csv"))]
    for facts, number in ((Facts(witnessed=(seen,)), 1), (NO_FACTS, 0)):
        notes = compare(calls(3), said, facts, Options(DAY, DAY + DAY_MS, NOW)).notes
        told = [each for each in notes if "Import the usage file of the same days, too (`anthropic-usage-csv`)" in each]
        assert len(told) == number
    result = run(calls(3), billed(times(USAGE, 4), 4), Facts(witnessed=(seen,)))
    assert not any("in no cause" in each for each in result.notes), "counts are there"


def test_a_gateway_whose_key_nobody_names_is_told_and_its_own_keys_are_none_of_the_bills() -> None:
    """What laptops sent to it is billed under some key, which only `--map` can say. The key that laptops ask the gateway with
    stands on no bill of the provider's."""
    mine = [*calls(3, api_key="print"), *calls(4, api_key="sk-gw", billing="gateway", cost_nanos=0, response_id=None)]
    lines = [*billed(times(USAGE, 3), 3, key="apikey_01A"), *billed(times(USAGE, 4), 4, key="apikey_gw")]
    result = run(mine, lines)
    told = "4 calls went to a gateway, and no key of the bill is said to be the gateway's own"
    assert sum(told in each for each in result.notes) == 1
    assert not any("not told apart" in each for each in result.notes)
    named = run(mine, lines, Facts(keys=(Key("anthropic", "apikey_gw", role=Role.GATEWAY),)))
    assert not any("went to a gateway" in each for each in named.notes)
    assert by_cause(named) == {Cause.GATEWAY_LEG: 4 * ONE}


@pytest.mark.parametrize("bills", ["cache_write_5m_tokens", "cache_write_1h_tokens"])
def test_a_gateway_that_does_not_tell_how_long_a_cache_is_kept_has_the_bills_requests_all_the_same(bills: str) -> None:
    """As LiteLLM's rows without the split have it."""
    used = replace(USAGE, **{"cache_write_5m_tokens": 0, bills: 400})
    told = replace(USAGE, cache_write_5m_tokens=None, cache_write_tokens=400)
    row = Line(NOON, NOON + 1, "litellm", MODEL, usage=told, requests=1, billed_nanos=ONE, response_id="msg_9")
    own = Statement("litellm", "litellm", "", DAY, DAY + DAY_MS, "cd" * 32, "log.json", NOW, (row,))
    said = [Version("v1", NOW, statement(billed(used, 1))), Version("v2", NOW + 1, own)]
    result = compare([], said, NO_FACTS, Options(DAY, DAY + DAY_MS, NOW))
    assert by_cause(result) == {Cause.GATEWAY_LEG: result.gap_nanos}


@pytest.mark.parametrize(("logged", "notes"), [(4, 0), (3, 1), (0, 1)], ids=["as much", "less", "nothing of the day"])
def test_a_gateways_log_that_is_lower_than_its_keys_bill_is_told(logged: int, notes: int) -> None:
    """What went by its key and is not in its log is nothing that laptops sent to it."""
    facts = Facts(keys=(Key("anthropic", "apikey_gw", role=Role.GATEWAY),))
    rows = [
        Line(NOON + at, NOON + at + 1, "litellm", MODEL, "anthropic", usage=USAGE, requests=1, billed_nanos=ONE,
             response_id=f"msg_{at}", amount="1 USD")
        for at in range(logged)
    ]  # fmt: skip
    own = Statement("litellm", "litellm", "", DAY, DAY + DAY_MS, "cd" * 32, "log.json", NOW, tuple(rows))
    bill = statement(billed(times(USAGE, 4), 4, key="apikey_gw"))
    result = compare(calls(4, billing="gateway", cost_nanos=0), [Version("v1", NOW, bill), Version("v2", NOW + 1, own)], facts,
                     Options(DAY, DAY + DAY_MS, NOW))  # fmt: skip
    told = [each for each in result.notes if "the gateway's own key (apikey_gw) is billed $0.10" in each]
    assert len(told) == notes
    assert {each.cause for each in result.findings} == {Cause.GATEWAY_LEG}
