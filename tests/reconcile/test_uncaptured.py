"""What a bill has and no call: out of the causes, whose it is, never more than is billed above what was captured, in versions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from reconcile.kit_explain import DAY, KEY, MODEL, NOW, USAGE, billed, calls, price, statement, times
from reconcile.scoring import _call, _said, facts_of
from reconcile.simulator.answers import answer
from reconcile.simulator.causes import ALL, Inject, mixed, month_with
from reconcile.simulator.month import Month
from reconcile.simulator.prices import PARTS
from reconcile.simulator.traffic import Size
from spendgate.ledger.compared import Running
from spendgate.ledger.statements import Imported
from spendgate.ledger.uncaptured import Uncaptured
from spendgate.reconcile import comparing
from spendgate.reconcile.bills import bill_of
from spendgate.reconcile.captured import Call
from spendgate.reconcile.facts import NO_FACTS, Facts, Key, Person, Role
from spendgate.reconcile.no_counts import nothing_missing
from spendgate.reconcile.result import Cause
from spendgate.reconcile.uncaptured import NOT_CAPTURED, cells
from spendgate.reconcile.unjoined import Row, set_off
from spendgate.reconcile.versions import Version
from spendgate.statement import DAY_MS, Billed, Line, Who

IMPORT = Imported(1, "v1", NOW, "anthropic", "anthropic", "", DAY, DAY + DAY_MS, "ab", "api", NOW, 1, ())
ONE = price(USAGE)
FACTS = Facts(keys=(Key("anthropic", KEY, fingerprints=("print",), person="alice"),))


def found(captured: Iterable[Call], lines: Sequence[Line], facts: Facts = FACTS) -> list[Uncaptured]:
    bill = bill_of([Version("v1", NOW, statement(lines))], DAY, DAY + DAY_MS, NOW, ())
    return cells(comparing.compare(captured, bill, facts, NOW, 600_000), (IMPORT,))


def ours(number: int) -> list[Call]:
    return calls(number, api_key="print")


def test_requests_that_no_call_has_with_their_person_and_key() -> None:
    (one,) = found(ours(3), billed(times(USAGE, 5), 5))
    assert one == Uncaptured(DAY, "anthropic", "alice", "print", "", MODEL, 2 * ONE, 2, ("v1",))


def test_that_nothing_is_missing_is_said_where_amounts_and_counts_can_show_it() -> None:
    """And how many lines tell no amount, of which nobody knows."""
    apart = billed(USAGE, 1)
    events = [replace(apart[0], billed_nanos=ONE), apart[0], replace(apart[0], billed=Billed.INCLUDED)]
    cannot = "do not tell both amounts and counts"
    for lines, told in (
        (apart, "nothing that is billed on its closed days is proven to be missing in the calls here"),
        (events, "is proven to be missing in the calls here; 1 line of these days tells no amount"),
        (apart[1:], cannot),
    ):
        bill = bill_of([Version("v1", NOW, statement(lines))], DAY, DAY + DAY_MS, NOW, ())
        assert told in nothing_missing(bill.days)
        assert (cannot in told) == (cannot in nothing_missing(bill.days))


def test_a_product_that_is_a_tool_is_that_tool() -> None:
    (one,) = found([], billed(USAGE, 1, product="claude_code"))
    assert (one.tool, one.nanos) == ("claude-code", ONE)


@pytest.mark.parametrize("factor", [(3, 2), (2, 3)])
def test_another_price_is_no_usage_that_is_missing(factor: tuple[int, int]) -> None:
    assert found(ours(4), billed(times(USAGE, 4), 4, factor=factor)) == []


def test_all_captured_is_nothing_and_too_much_captured_is_less_than_nothing() -> None:
    assert found(ours(4), billed(times(USAGE, 4), 4)) == []
    assert found(ours(6), billed(times(USAGE, 4), 4)) == []


def test_a_discount_is_taken_off() -> None:
    """What nothing was captured of counts as it is billed, not at list price."""
    (one,) = found([], billed(times(USAGE, 2), 2, net=(1, 2)))
    assert 0 < one.nanos <= ONE


def test_a_call_that_still_runs_is_captured() -> None:
    """It may be on the bill already; with its hold, it is in the budgets, too."""
    open_ = Running(DAY + 5, "anthropic", MODEL, "print", "alice", ONE)
    lines = billed(times(USAGE, 5), 5)
    bill = bill_of([Version("v1", NOW, statement(lines))], DAY, DAY + DAY_MS, NOW, ())
    (one,) = cells(comparing.compare(ours(3), bill, FACTS, NOW, 600_000), (IMPORT,), (open_,))
    assert one.nanos == ONE
    assert cells(comparing.compare(ours(4), bill, FACTS, NOW, 600_000), (IMPORT,), (open_,)) == []


def test_keys_elsewhere_count_and_a_gateways_do_not() -> None:
    """CI's usage is billed and captured by nobody; what a gateway is billed for, calls to it have."""
    lines = billed(USAGE, 1, key="apikey_ci")
    elsewhere = replace(FACTS, keys=(*FACTS.keys, Key("anthropic", "apikey_ci", role=Role.ELSEWHERE)))
    gateway = replace(FACTS, keys=(*FACTS.keys, Key("anthropic", "apikey_ci", role=Role.GATEWAY)))
    assert [(each.person, each.nanos) for each in found([], lines, elsewhere)] == [("", ONE)]
    assert found([], lines, gateway) == []


def test_people_by_e_mail() -> None:
    lines = billed(USAGE, 1, key=None, who=Who(email="a.smith@acme.example"))
    facts = Facts(people=(Person("alice", ("A.Smith@acme.example",)),))
    assert [each.person for each in found([], lines, facts)] == ["alice"]
    assert [each.person for each in found([], lines, NO_FACTS)] == [""]


@given(st.integers(0, 6), st.integers(0, 6), st.integers(1, 4), st.integers(1, 4))
@settings(max_examples=80, deadline=None)
def test_calls_and_what_is_missing_are_no_more_than_the_larger_of_bill_and_ledger(
    here: int, there: int, up: int, down: int
) -> None:
    lines = billed(times(USAGE, there), there, factor=(up, down)) if there else []
    captured, net = here * ONE, sum(line.billed_nanos or 0 for line in lines)
    missing = sum(each.nanos for each in found(ours(here), lines))
    assert captured + missing <= max(captured, net)
    assert missing >= 0


def test_a_bill_that_has_changed_counts_as_it_is_now() -> None:
    """Not as its version before, which may be nearer to what was captured."""
    older = Version("v1", NOW - DAY_MS, statement(billed(times(USAGE, 3), 3), refreshed=NOW - DAY_MS))
    newer = Version("v2", NOW, statement(billed(times(USAGE, 9), 9)))
    bill = bill_of([older, newer], DAY, DAY + DAY_MS, NOW, ())
    told = comparing.compare(ours(3), bill, FACTS, NOW, 600_000)
    plain = replace(bill, days=tuple(replace(each, before=(), had_before=False) for each in bill.days))
    (one,) = cells(comparing.compare(ours(3), plain, FACTS, NOW, 600_000), (IMPORT,))
    assert sum(each.nanos for each in cells(told, (IMPORT,))) < one.nanos == 6 * ONE


OTHER: Final = "claude-sonnet-4-5"
MAPPED = Facts(
    keys=(Key("anthropic", "of_bob", person="bob"), Key("anthropic", "of_alice", person="alice"),
          Key("anthropic", "ci", role=Role.ELSEWHERE)),
)  # fmt: skip


def keyless(number: int, **changes: object) -> list[Call]:
    """Calls of a login, of alice's unless it is said otherwise: no key is seen on them."""
    return calls(number, api_key="", **changes)


def of_keys(**requests: int) -> list[Line]:
    """So many requests of each of these keys."""
    return [line for key, number in requests.items() for line in billed(times(USAGE, number), number, key=key)]


@pytest.mark.parametrize(
    ("captured", "lines", "facts", "left"),
    [
        (keyless(5), of_keys(a=5), NO_FACTS, []),
        (keyless(7), of_keys(a=5), NO_FACTS, []),
        (keyless(3), of_keys(a=4, b=8), NO_FACTS, [3, 6]),
        (keyless(3, model=OTHER), of_keys(a=4), NO_FACTS, [4]),
        (keyless(3, billing="gateway"), of_keys(a=4), NO_FACTS, [4]),
        (keyless(3, billing="subscription", cost_nanos=0), of_keys(a=4), NO_FACTS, [4]),
        (keyless(3), of_keys(ci=4), MAPPED, [4]),
        (keyless(3), of_keys(of_bob=4), MAPPED, [4]),
        (keyless(3), of_keys(of_bob=4, of_alice=2, unheard_of=5), MAPPED, [4, 4]),
        ([*calls(1, api_key="a"), *keyless(2)], of_keys(a=3, b=1), NO_FACTS, [1]),
        ([*calls(2, api_key="a"), *keyless(1)], of_keys(a=5, b=1), NO_FACTS, [3]),
        ([*keyless(4), *calls(2, api_key="print", person="bob")], [*of_keys(b=9), *billed(times(USAGE, 3), 3, key="")],
         FACTS, [8]),
    ],
    ids=["as much", "more", "by size", "another model", "a gateway's", "a plan's", "a key elsewhere", "another person's",
         "one's own first", "a seen key last", "a seen key's own", "above the lines without a key"],
)  # fmt: skip
def test_calls_without_a_key_are_on_the_bill_under_some_key(
    captured: list[Call], lines: list[Line], facts: Facts, left: list[int]
) -> None:
    """Nothing joins them to it, and one dollar counts once all the same. Another model, person or a key that is known to be
    elsewhere is another dollar."""
    assert sorted(each.nanos for each in found(captured, lines, facts)) == [each * ONE for each in left]


def test_a_person_of_no_bill_is_set_off_against_users_whom_nobody_knows() -> None:
    lines = [*billed(times(USAGE, 4), 4, key=None, who=Who(email="a.smith@acme.example")),
             *billed(times(USAGE, 4), 4, key=None, who=Who(email="bob@acme.example"))]  # fmt: skip
    mine = [*calls(2), *calls(1, person="bob", api_key="k", response_id=None)]
    made = found(mine, lines, NO_FACTS)
    assert {each.person: each.nanos for each in made} == {"": 2 * ONE, "bob": 3 * ONE}


def test_a_call_without_a_key_that_still_runs_is_set_off_too() -> None:
    bill = bill_of([Version("v1", NOW, statement(of_keys(a=4)))], DAY, DAY + DAY_MS, NOW, ())
    told = comparing.compare(keyless(1), bill, NO_FACTS, NOW, 600_000)
    open_ = Running(DAY + 5, "anthropic", MODEL, "", "alice", ONE)
    (one,) = cells(told, (IMPORT,), [open_])
    assert (one.nanos, one.requests) == (2 * ONE, None)


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=4), st.integers(0, 20), st.integers(0, 4), st.integers(0, 4),
    st.integers(1, 7),
)  # fmt: skip
@settings(max_examples=80, deadline=None)
def test_calls_of_no_known_key_and_what_is_missing_are_no_more_than_the_larger_of_bill_and_ledger(
    billed_requests: list[int], unknown: int, gateway: int, plan: int, cut: int
) -> None:
    """Whatever a provider's keys of a day and model are: to the nano-dollar, also where nothing divides evenly."""
    lines = of_keys(**{f"key_{at}": each for at, each in enumerate(billed_requests) if each})
    net = sum(line.billed_nanos or 0 for line in lines)
    mine = keyless(unknown, cost_nanos=ONE - cut)
    beside = [*keyless(gateway, billing="gateway"), *keyless(plan, billing="subscription")]
    missing = sum(each.nanos for each in found([*mine, *beside], lines, NO_FACTS))
    assert missing == max(0, net - unknown * (ONE - cut))


def taken_back(key: str | None, requests: int, who: Who | None = None) -> list[Line]:
    """A correction: lines of tokens that are below zero."""
    lines = billed(times(USAGE, requests), None, key=key, who=who)[1:]
    return [replace(each, billed_nanos=-(each.billed_nanos or 0), list_nanos=-(each.list_nanos or 0)) for each in lines]


@pytest.mark.parametrize(
    ("captured", "lines", "facts", "left"),
    [
        (keyless(6), [*of_keys(k0=8, k1=2), *taken_back("k2", 4)], NO_FACTS, 0),
        (keyless(2), [*of_keys(k0=8, k1=2), *taken_back("k2", 4)], NO_FACTS, 4),
        ([], [*of_keys(ci=4), *taken_back("k2", 3)], MAPPED, 1),
        ([], [*of_keys(of_bob=4), *taken_back("of_alice", 3)], MAPPED, 4),
        ([], [*of_keys(of_bob=4, k0=2), *taken_back("of_alice", 3)], MAPPED, 4),
        ([], [*of_keys(of_bob=4), *taken_back("of_bob", 3)], MAPPED, 1),
        (calls(2, api_key="k0"), [*of_keys(k0=8), *taken_back("k2", 4)], NO_FACTS, 2),
    ],
    ids=["no more than is billed", "beside calls", "also of what is proven", "another person's", "of nobody known",
         "its own key's", "beside a seen key"],
)  # fmt: skip
def test_what_a_bill_takes_back_under_one_key_is_no_use_of_another(
    captured: list[Call], lines: list[Line], facts: Facts, left: int
) -> None:
    """The bill is what it comes to. A correction of one person's key is not another person's."""
    assert sum(each.nanos for each in found(captured, lines, facts)) == left * ONE


@given(st.lists(st.integers(-5, 9), min_size=1, max_size=4), st.integers(0, 20), st.integers(1, 7))
@settings(max_examples=80, deadline=None)
def test_what_counts_is_never_more_than_the_bill_above_the_ledger_also_where_lines_are_below_zero(
    requests: list[int], unknown: int, cut: int
) -> None:
    """Of one day, provider and model, where nothing says that anything is another person's."""
    lines = of_keys(**{f"key_{at}": each for at, each in enumerate(requests) if each > 0})
    for at, each in enumerate(requests):
        lines += taken_back(f"key_{at}", -each) if each < 0 else []
    net = sum(line.billed_nanos or 0 for line in lines)
    made = found(keyless(unknown, cost_nanos=ONE - cut), lines, NO_FACTS)
    assert all(each.nanos > 0 for each in made)
    assert sum(each.nanos for each in made) <= max(0, net - unknown * (ONE - cut))


@given(
    st.lists(st.tuples(st.sampled_from(["", "alice", "bob"]), st.booleans(), st.integers(0, 10**12)), max_size=7),
    st.dictionaries(st.sampled_from(["", "alice", "carol"]), st.integers(0, 10**12)),
)
def test_what_is_set_off_is_off_the_rows_exactly(rows: list[tuple[str, bool, int]], unjoined: dict[str, int]) -> None:
    made = [Row(*row) for row in rows]
    set_off(unjoined, made)
    assert all(0 <= row.nanos <= before for row, (_, _, before) in zip(made, rows, strict=True))
    whose = {
        "alice": {"alice", ""}, "carol": {""}, "": {"", "alice", "bob"},
    }  # fmt: skip
    left = sum(row.nanos for row in made)
    for person, reached in whose.items():  # nothing of anybody's calls is left over beside a row that they reach
        if all(nanos == 0 for other, nanos in unjoined.items() if other != person):
            before = sum(nanos for who, _, nanos in rows if who in reached)
            assert sum(nanos for *_, nanos in rows) - left == min(before, unjoined.get(person, 0))


def _missing(month: Month) -> list[Uncaptured]:
    """What no call of a simulated month has."""
    rows = sorted((each.row for each in month.requests if each.row is not None), key=lambda row: row.started_ms)
    versions = [Version(f"v{at}", month.now_ms - 1_000 + at, said) for at, said in enumerate(_said(month))]
    bill = bill_of(versions, month.from_ms, month.until_ms, month.now_ms, ())
    bill = replace(bill, days=tuple(replace(each, before=(), had_before=False) for each in bill.days))
    return cells(
        comparing.compare([_call(row) for row in rows], bill, facts_of(month.known), month.now_ms, 600_000), ()
    )


@pytest.mark.parametrize(("cause", "inject"), ALL, ids=[inject.__name__ for _, inject in ALL])
def test_of_every_cause_alone_exactly_what_was_not_captured_is_counted(cause: Cause, inject: Inject) -> None:
    """To the nano-dollar where the simulator hid calls or billed what no laptop made; nothing for all other causes."""
    month = month_with(3, Size(people=12, days=14, calls=20, plain=True), [inject])
    injected = sum(parts // PARTS for name, parts in answer(month).causes.items() if name in NOT_CAPTURED)
    assert (injected > 0) == (cause in NOT_CAPTURED)
    assert sum(each.nanos for each in _missing(month)) == injected


def test_of_a_mixture_no_more_than_is_missing() -> None:
    """All causes at once: what the cap takes off is captured elsewhere in the same cell."""
    month = mixed(3, Size(people=12, days=14, calls=20))
    injected = sum(parts // PARTS for name, parts in answer(month).causes.items() if name in NOT_CAPTURED)
    found = sum(each.nanos for each in _missing(month))
    assert 0.9 * injected < found < 1.05 * injected
