"""Results that are priced by what they have in common are priced as each would be by itself, and written as it would be."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gate.test_adjusting import adjust
from gate.world import MODEL, asyncio, budget, costing, dollars, house, policy
from spendgate.attribution import Attribution
from spendgate.contracts import Account, Billing
from spendgate.gate import collecting
from spendgate.gate.collecting import TOGETHER
from spendgate.gate.interface import Collected
from spendgate.ledger.check import check
from spendgate.policy import Policy
from spendgate.providers.ask import Ask
from spendgate.providers.interface import Kind, Route
from spendgate.providers.reading import Part, Reading, Result
from spendgate.selector import Selector
from spendgate.usage import Usage
from spendgate.window import DAY_MS, Window

AT = 1_790_000_000_000
BUDGETS = (budget(10**6), budget(10**6, "sonnet", match=Selector.of({"model": ["claude-sonnet-4-6"]})))
POLICIES = {
    "budgets": policy(*BUDGETS),
    "none": policy(),
    "adjusted": policy(*BUDGETS, adjust=(adjust("0.5"),)),
    "accounts": policy(*BUDGETS, billing=Billing(accounts=(Account(provider="anthropic", account="other"),))),
}
ROUTES = [
    Route(
        "anthropic",
        "anthropic-batches",
        Kind.RESULT,
        "/v1/messages/batches/*/results",
        billing=word,
        states_cost=states,
    )
    for word, states in ((None, False), (None, True), ("subscription", False))
]

ODD = st.sampled_from([None, 0, 999, 200_001, 3_000_000, 200_000_000])
COUNTS = st.one_of(st.integers(1, 9_999), st.integers(1, 9_999), ODD)
PARTS = st.sampled_from([None, None, 0, 7])


def mostly[T](usual: T, *others: T) -> st.SearchStrategy[T]:
    """One value at most times."""
    return st.sampled_from([usual] * 2 * len(others) + list(others))


USAGES = st.builds(
    Usage, input_tokens=COUNTS, cache_read_tokens=PARTS, cache_write_5m_tokens=PARTS, output_tokens=COUNTS,
    reasoning_tokens=PARTS, web_searches=PARTS,
)  # fmt: skip
MODELS = mostly(MODEL, "claude-sonnet-4-6", "claude-sonnet-4-5", "claude-of-tomorrow", None)
CONTEXTS = mostly({"processing": "batch"}, {"processing": "batch", "speed": "fast"}, {"service_tier": "priority"}, {})
SAMPLINGS = st.builds(
    Part, USAGES, mostly(None, "claude-sonnet-4-6"), CONTEXTS, mostly(None, "us"), mostly({}, {"storage_searches": 1})
)
SAID: list[dict[str, Any]] = [
    {"flags": ("a flag",)}, {"output_bytes": 40}, {"account": "acme"}, {"request_id": "req_1"}, {"stated_cost_nanos": 77},
    {"free": True}, {"final": False}, {"overage": True}, {"background": True}, {"parts": ()},
]  # fmt: skip
"""What a reading may say besides."""
READINGS = st.builds(
    lambda parts, model, name, said: replace(
        Reading(parts, model, final=True, ended=True, response_id=name), **said
    ),
    st.one_of(st.tuples(SAMPLINGS), st.tuples(SAMPLINGS), st.tuples(SAMPLINGS), st.tuples(SAMPLINGS, SAMPLINGS)),
    MODELS, st.sampled_from([None, "msg_1", "msg_2", "not a name"]), mostly({}, *SAID),
)  # fmt: skip
NAMES = st.integers(0, 40)
"""Few, so that some stand twice."""
FOUND = st.lists(
    st.builds(lambda name, reading: Result(f"batch b {name}", reading), NAMES, READINGS), min_size=8, max_size=30
)


def written(folder: Path, rules: Policy, route: Route, results: list[Result]) -> dict[str, Any]:
    """The ledger after these results, but for the order in which they were written."""

    async def run() -> None:
        async with house(folder, rules) as place:
            who, ask = Attribution(person="alice", machine="lt-1", team="web"), Ask(api_key="k")
            for at_ms, some in enumerate((results[:15], results[15:], results[::2]), AT):
                place.gate.collect(Collected(at_ms, "api.anthropic.com", route, ask, who, tuple(some), 200))

    folder.mkdir()
    asyncio.run(run())
    with closing(sqlite3.connect(folder / "ledger.db")) as conn:
        assert check(conn) == ()
        columns = [name for _, name, *_ in conn.execute("PRAGMA table_info(call_rows)") if name != "seq"]
        rows = conn.execute(f"SELECT {', '.join(columns)} FROM call_rows ORDER BY id").fetchall()  # noqa: S608 - the ledger's own names
        sums = conn.execute(
            "SELECT budget, value, window, settled, held, open_calls FROM balances ORDER BY 1, 2, 3"
        ).fetchall()
    found = [dict(zip(columns, each, strict=True)) for each in rows]
    # The first row that is written of a balance says its mark.
    return {"rows": [{**row, "holds": [hold[:6] for hold in json.loads(row["holds"])]} for row in found], "sums": sums}


def alike_and_apart(folder: Path, rules: Policy, route: Route, results: list[Result]) -> int:
    """Assert that the ledger is the same where each result is priced by itself, every column of every row and every balance; how
    many rows it has."""
    found = written(folder / "alike", rules, route, results)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(collecting, "alike", lambda *_: None)
        assert found == written(folder / "apart", rules, route, results)
    return len(found["rows"])


@pytest.mark.parametrize("rules", POLICIES.values(), ids=POLICIES)
@settings(max_examples=12, deadline=None)
@given(results=FOUND, route=st.sampled_from(ROUTES))
def test_they_are_written_as_if_each_were_priced_apart(rules, route, results):
    """Whatever models, tiers and counts come together, and some of them twice."""
    with TemporaryDirectory() as folder:  # each ledger has a reserve of 8 MB
        alike_and_apart(Path(folder), rules, route, results)


BASE = Part(Usage(input_tokens=50, output_tokens=60), context={"processing": "batch"})
VARIED: list[dict[str, Any]] = [
    *SAID,
    {"model": "claude-haiku-4-5"},
    {"parts": (replace(BASE, geo="us"),)},
    {"parts": (replace(BASE, model="claude-haiku-4-5"),)},
    {"parts": (replace(BASE, context={}),)},
    {"parts": (replace(BASE, units={"storage_searches": 2}),)},
    {"parts": (replace(BASE, usage=Usage(input_tokens=50)),)},
    {"parts": (replace(BASE, usage=Usage(output_tokens=60)),)},
    {"parts": (replace(BASE, usage=Usage(input_tokens=50, output_tokens=0)),), "output_bytes": 40},
    {"parts": (replace(BASE, usage=Usage(input_tokens=0, output_tokens=0)),)},
    {"parts": (replace(BASE, usage=Usage(input_tokens=200_000_000, output_tokens=60)),)},
    {"parts": (replace(BASE, usage=Usage(input_tokens=50, output_tokens=60, web_searches=20_000)),)},
    {"parts": (BASE, BASE)},
    {"response_id": "not a name"},
    {"response_id": None},
]  # fmt: skip
"""Each unlike a plain one in one way."""


@pytest.mark.parametrize("rules", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize("route", ROUTES, ids=["plain", "states its cost", "a plan"])
@pytest.mark.parametrize("model", [MODEL, "claude-sonnet-4-6"], ids=["no batch price", "batch price"])
def test_what_is_not_alike_is_priced_apart(tmp_path: Path, rules: Policy, route: Route, model: str) -> None:
    """After a plain one, so that what it is like is known; and between others."""
    plain = Reading((BASE,), model, response_id="msg_1", final=True, ended=True)
    some = [plain] + [each for said in VARIED for each in (replace(plain, **said), plain)]
    results = [Result(f"batch b {number}", reading) for number, reading in enumerate(some)]
    assert alike_and_apart(tmp_path, rules, route, results) == len(results) - 1  # one is free


MIDNIGHT = AT - AT % DAY_MS + DAY_MS
ONE, TWO = (
    sum(dollars(0.001 * number) for number in range(*some))
    for some in ((1, TOGETHER + 1), (TOGETHER + 1, 2 * TOGETHER + 1))
)
"""What a first and a second transaction's results cost."""


@pytest.mark.parametrize(
    ("changed", "priced", "charged"),
    [
        pytest.param({}, 1, [ONE + TWO], id="the same moment"),
        pytest.param({"at_ms": MIDNIGHT - 1}, 1, [ONE + TWO], id="the same second"),
        pytest.param({"at_ms": MIDNIGHT}, 2, [ONE, TWO], id="the next day"),
        pytest.param({"ask": Ask(api_key="other")}, 2, [ONE + TWO], id="another key"),
        pytest.param({"attribution": Attribution("bob", "lt-1")}, 2, [ONE, TWO], id="another person"),
        pytest.param({"host": "other.example"}, 2, [ONE + TWO], id="another host"),
        pytest.param({"http_status": 206}, 2, [ONE + TWO], id="another status"),
        pytest.param({"policy": policy(budget(10**6, "later"))}, 2, [ONE, ONE + TWO], id="another policy"),
    ],
)
async def test_a_batch_is_priced_once_for_who_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any], priced: int, charged: list[int]
) -> None:
    """And not for each result: that is what makes it cheap. What is read in another second, by somebody else or under another
    policy is priced anew; all is written as of when and by whom it was read, and charged so."""
    times = 0
    in_full = collecting.charging.settled

    def counting(*of: Any) -> Any:
        nonlocal times
        times += 1
        return in_full(*of)

    monkeypatch.setattr(collecting.charging, "settled", counting)
    results = tuple(Result(f"batch b {number}", costing(0.001 * number)) for number in range(1, 2 * TOGETHER + 1))
    found = Collected(MIDNIGHT - 900, "api.anthropic.com", ROUTES[0], Ask(), Attribution("alice", "lt-1"), (), 200)
    later = replace(found, **{name: value for name, value in changed.items() if name != "policy"})
    async with house(tmp_path, policy(budget(10**6, window=Window.parse("day")))) as place:
        place.gate.collect(replace(found, results=results[:TOGETHER]))
        if "policy" in changed:
            await place.gate.set_policy(changed["policy"])
        place.gate.collect(replace(later, results=results[TOGETHER:]))
        with closing(sqlite3.connect(place.rows.path)) as conn:
            assert check(conn) == ()
            rows = conn.execute(
                "SELECT person, api_key, host, http_status, started_ms, booked_ms, ended_ms FROM call_rows"
            )
            assert rows.fetchall() == [
                (each.attribution.person, each.ask.api_key, each.host, each.http_status, *[each.at_ms] * 3)
                for each in (found, later) for _ in range(TOGETHER)
            ]  # fmt: skip
            sums = conn.execute("SELECT settled FROM balances WHERE budget <> '' ORDER BY settled").fetchall()
    assert ([nanos for (nanos,) in sums], times) == (charged, priced)
