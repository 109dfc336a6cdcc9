"""The digest: what a ledger of known weeks says, by hand; its edges against sums done another way; and inert in every form."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alerts.kit import at, read
from alerts.weeks import PRICES, Weeks
from spendgate import digest_sections, digest_texts
from spendgate.alerts.digesting import gathered
from spendgate.digest import Digest, Gathered, Sums, gone_on, week_before, week_of, week_to_tell
from spendgate.digest_made import digest_of, median
from spendgate.ledger.queries import Reader
from spendgate.ledger.spending import POLICY_PRICE
from spendgate.money import NANOS_PER_DOLLAR
from spendgate.policy import Policy
from spendgate.window import Unit, Window, bounds

ZONE = "Europe/Berlin"
POLICY = """people: {alice: {team: payments}, bob: {team: cards}, carol: {}}
teams: {payments: {owner: pay@acme.example}, cards: {parent: payments}}
budgets:
  - {name: person, per: person, limit: [$1000 per month, $900 per day]}
  - {name: payments, match: {team: payments}, limit: $300 per week}
exceptions:
  - {budget: person/month, match: {person: alice}, add: $100, from: 2026-11-01, until: 2026-11-25,
     reason: release, approved_by: cto}
  - {budget: person/month, match: {person: bob}, add: $100, from: 2026-11-01, until: 2027-06-30, reason: long, approved_by: cto}
"""
MONDAY = "2026-11-23T08:00"
"""When the digest of the week 2026-11-16 is due."""


@pytest.fixture
def weeks(tmp_path: Path) -> Iterator[Weeks]:
    """Five weeks: alice at $10 a week and then $200; bob at $50; carol now and then."""
    found = Weeks(tmp_path, read(POLICY, ZONE), at("2026-10-12T00:00", ZONE))
    for day in ("10-12", "10-19", "10-26", "11-02", "11-09"):
        found.spend("alice", at(f"2026-{day}T10:00", ZONE), 10, api_key="key:1")
        found.spend("bob", at(f"2026-{day}T11:00", ZONE), 50, model="gpt-5", api_key="key:2")
    found.spend("alice", at("2026-11-16T00:00", ZONE), 150, api_key="key:1")
    found.spend("alice", at("2026-11-22T23:59:59", ZONE), 50, api_key="key:2", basis="estimated")
    found.spend("bob", at("2026-11-18T12:00", ZONE), 60, model="gpt-5", api_key="key:2")
    found.spend("carol", at("2026-11-18T12:00", ZONE), 25, model="mystery", prices=POLICY_PRICE)
    found.spend("carol", at("2026-11-23T00:00", ZONE), 800, model="gpt-5")  # of the next week
    for _ in range(3):
        found.refuse("bob", at("2026-11-19T12:00", ZONE), "person/month", 4, session="loop")
    found.refuse("bob", at("2026-11-19T13:00", ZONE), "person/month", 2, session="other")
    found.refuse("carol", at("2026-11-15T13:00", ZONE), "person/month", 2)  # of the week before
    yield found
    found.ledger.close()


def made(weeks: Weeks, *, team: str = "", policy: Policy | None = None) -> Digest:
    policy = policy or weeks.policy
    now_ms = at(MONDAY, ZONE)
    week = week_to_tell(policy, now_ms)
    with Reader(weeks.folder / "ledger.db") as reader:
        found = gathered(policy, reader, week, now_ms, prices=PRICES, machine="lt-1", team=team)
    return digest_of(found, policy, week, team=team, guess=POLICY_PRICE)


def dollars(nanos: int) -> float:
    return nanos / NANOS_PER_DOLLAR


def test_a_known_week(weeks: Weeks) -> None:
    """Every part of it, by hand; nothing of the week before or after, to the millisecond."""
    found = made(weeks)
    assert (found.first_day, found.last_day) == (date(2026, 11, 16), date(2026, 11, 22))
    assert (dollars(found.spent_nanos), dollars(found.before_nanos), found.calls, found.people) == (285, 60, 4, 3)
    spenders = [(each.person, dollars(each.spent_nanos), dollars(each.before_nanos)) for each in found.spenders]
    assert spenders == [("alice", 200, 10), ("bob", 60, 50), ("carol", 25, 0)]
    outliers = [(each.person, each.median_nanos and dollars(each.median_nanos), each.weeks) for each in found.outliers]
    assert outliers == [("alice", 10, 5), ("carol", None, 0)]
    models = [(each.model, each.share, each.before_share) for each in found.models]
    assert models == [("claude-opus-4-5", 701, 166), ("gpt-5", 210, 833), ("mystery", 87, 0)]
    assert found.guessed == (("mystery", 1, 25 * NANOS_PER_DOLLAR),)
    assert dollars(found.estimated_nanos) == 50
    assert [(each.api_key, each.people) for each in found.keys] == [("key:2", ("alice", "bob"))]
    refused = [
        (each.rule, each.why, each.people, each.calls, each.requests, dollars(each.held_back_nanos))
        for each in found.refused
    ]
    assert refused == [("person/month", "spent", 1, 4, 2, 6)]
    raised = [(each.budget, each.whom, dollars(each.used_nanos), each.ends_soon) for each in found.raised]
    assert raised == [("person/month", "person alice", 100, True), ("person/month", "person bob", 100, False)]


def test_when_budgets_end(weeks: Weeks) -> None:
    """At the pace so far: carol's $825 of $1000 in 22 days and 8 hours are gone on the 28th; alice's and bob's last, with their
    exceptions. A day's budget has no such day, and a week that has just begun has nothing yet."""
    found = made(weeks)
    (end,) = found.budgets
    assert (end.budget, end.value, end.gone_on, end.resets_on) == (
        "person/month", "carol", date(2026, 11, 28), date(2026, 12, 1),
    )  # fmt: skip
    assert (dollars(end.spent_nanos), dollars(end.limit_nanos)) == (825, 1000)
    assert found.budgets_lasting == 2


@pytest.mark.parametrize(
    ("now", "spent", "limit", "day"),
    [
        ("2026-11-16T00:00", 50, 100, None),
        ("2026-11-16T00:00", 51, 100, "2026-11-30"),
        ("2026-11-16T00:00", 100, 100, "2026-11-16"),
        ("2026-11-16T00:00", 200, 100, "2026-11-16"),
        ("2026-11-02T00:00", 10, 100, "2026-11-11"),
        ("2026-11-16T00:00", 0, 100, None),
    ],
)
def test_the_day_at_its_edge(now: str, spent: int, limit: int, day: str | None) -> None:
    """Of a month of 30 days, 15 of them over: half of the limit just lasts."""
    policy = read("")
    month = bounds(Window(Unit.MONTH), policy.calendar(), at(now))
    found = gone_on("UTC", month, spent * NANOS_PER_DOLLAR, limit * NANOS_PER_DOLLAR, at(now))
    assert (str(found) if found else None) == day


def test_a_team_hears_of_itself(weeks: Weeks) -> None:
    """And of the teams below it: nobody else's name, money, budget or exception is in it."""
    found = made(weeks, team="payments")
    assert [each.person for each in found.spenders] == ["alice", "bob"]
    assert "carol" not in digest_texts.text(found)
    only = made(weeks, team="cards")
    assert [each.person for each in only.spenders] == ["bob"]
    assert [each.whom for each in only.raised] == ["person bob"]
    assert "alice" not in digest_texts.text(only)


@pytest.mark.parametrize(
    ("now", "zone", "starts", "first"),
    [
        ("2026-11-23T07:59:59", "UTC", "monday", "2026-11-09"),
        ("2026-11-23T08:00", "UTC", "monday", "2026-11-16"),
        ("2026-11-29T23:59", "UTC", "monday", "2026-11-16"),
        ("2026-11-30T00:00", "UTC", "monday", "2026-11-16"),
        ("2026-11-22T08:00", "UTC", "sunday", "2026-11-15"),
        ("2026-10-26T08:00", "Europe/Berlin", "monday", "2026-10-19"),  # the week in which the clock goes back
        ("2026-03-30T08:00", "Europe/Berlin", "monday", "2026-03-23"),  # and forward
        ("2026-03-30T07:59", "Europe/Berlin", "monday", "2026-03-16"),
    ],
)
def test_which_week_is_due(now: str, zone: str, starts: str, first: str) -> None:
    """From 08:00 on the first day of a week on, by the wall of the file's zone, the week that has ended."""
    policy = read(f"week_starts: {starts}\n", zone)
    week = week_to_tell(policy, at(now, zone))
    assert week.key == f"week {first}"
    assert week_before(policy, week_of(policy, week.ends_ms)) == week


# -- outliers and shares against sums done another way ---------------------------------------------------------------

amounts = st.integers(0, 90).map(lambda whole: whole * NANOS_PER_DOLLAR)
people = st.sampled_from(("alice", "bob", "carol"))


@example(
    [("carol", "m1", 22 * NANOS_PER_DOLLAR)],
    [{}, {}, {}, *({"carol": each * NANOS_PER_DOLLAR} for each in (2, 1, 3, 3, 3))],
)
@given(
    st.lists(st.tuples(people, st.sampled_from(("m1", "m2", None)), amounts), max_size=12),
    st.lists(st.dictionaries(people, amounts, max_size=3), min_size=8, max_size=8),
)
def test_outliers_by_brute_force(calls: list[tuple[str, str | None, int]], earlier: list[dict[str, int]]) -> None:
    """By counting how many of the own weeks are below and above, in place of sorting for a median."""
    policy = read("")
    sums = tuple(Sums(person, None, model, calls=1, cost_nanos=cost) for person, model, cost in calls)
    found = digest_of(
        Gathered(sums, (), tuple(earlier), (), (), (), PRICES, "m"), policy, week_of(policy, 0), guess="?"
    )
    spent = {name: sum(cost for person, _, cost in calls if person == name) for name in ("alice", "bob", "carol")}
    past = sum(1 for week in earlier if sum(week.values()))
    expected = set()
    for name, nanos in spent.items():
        own = [week[name] for week in earlier if week.get(name)]
        if not own and past >= 3 and nanos >= 20 * NANOS_PER_DOLLAR:
            expected.add(name)
        if len(own) >= 3:
            halves = [
                next(x for x in own if sum(o < x for o in own) <= rank < sum(o <= x for o in own))
                for rank in {(len(own) - 1) // 2, len(own) // 2}
            ]
            middle = sum(halves) // len(halves)
            if nanos >= 3 * middle and nanos - middle >= 20 * NANOS_PER_DOLLAR:
                expected.add(name)
    assert {each.person for each in found.outliers} == expected
    assert sum(each.share for each in found.models) <= 1000
    assert found.spent_nanos == sum(spent.values())


@pytest.mark.parametrize(("spent", "told"), [(29.99, False), (30, True), (31, True)])
def test_an_outlier_at_its_edge(spent: float, told: bool) -> None:
    """Three times $10, which is also $20 more."""
    policy, usual = read(""), {"alice": 10 * NANOS_PER_DOLLAR}
    sums = (Sums("alice", None, "m", calls=1, cost_nanos=round(spent * NANOS_PER_DOLLAR)),)
    found = digest_of(Gathered(sums, (), (usual,) * 3, (), (), (), PRICES, "m"), policy, week_of(policy, 0), guess="?")
    assert bool(found.outliers) is told
    assert not digest_of(
        Gathered(sums, (), (usual,) * 2, (), (), (), PRICES, "m"), policy, week_of(policy, 0), guess="?"
    ).outliers


def test_a_wild_week_moves_no_median() -> None:
    """Which a mean would be moved by."""
    assert median([1, 2, 3, 1000]) == 2
    assert median([5]) == 5


# -- inert -----------------------------------------------------------------------------------------------------------

NASTY = "<img src=x onerror=alert(1)> | [a](http://evil.example) `x` @everyone \x1b[31m www.evil.example *b*"


def test_names_of_others_are_inert(tmp_path: Path) -> None:
    """A client chooses its model's name, and whose key it is: no tag, link, mention or escape comes through in any form."""
    weeks = Weeks(tmp_path, read("", ZONE), at("2026-10-12T00:00", ZONE))
    weeks.spend("alice", at("2026-11-18T12:00", ZONE), 25, model=NASTY, prices=POLICY_PRICE, api_key=NASTY)
    weeks.spend("bob", at("2026-11-18T12:00", ZONE), 25, model=NASTY, api_key=NASTY)
    found = made(weeks)
    weeks.ledger.close()
    html, page, plain = digest_texts.html(found), digest_texts.markdown(found), digest_texts.text(found, aligned=True)
    assert set(re.findall(r"<\s*/?\s*(\w+)", html)) == {"h2", "h3", "p", "table", "tr", "th", "td"}
    assert "\\<img" in page and "\\[a\\]" in page and "@\u200beveryone" in page and "http:\u200b//" in page
    assert not any("\x1b" in each for each in (html, page, plain))
    rows = [line for line in page.splitlines() if line.startswith("| ") and "img" in line]
    assert rows and all(len(re.findall(r"(?<!\\)\|", row)) in (4, 6) for row in rows)


def test_every_form_has_every_part(weeks: Weeks) -> None:
    """On a terminal, in a chat, in Markdown and in mail."""
    found = made(weeks)
    for shown in (digest_texts.text(found, aligned=True), digest_texts.text(found), digest_texts.html(found)):
        for words in (
            "AI spend, 2026-11-16 to 2026-11-22 (Europe/Berlin)",
            "$285.00 spent, 375% more than the week before ($60.00), in 4 calls of 3 people; refusals held back $6.00",
            "Top 5 spenders", "1900% more than the week before ($10.00)", "Outliers", "$10.00 a week (median of 5)",
            "nothing in the 8 weeks before", "Models", "+53.5 points", "-62.3 points", "Exceptions and grants", "release (cto)",
            "2026-11-25 !", "Refusals", "4 calls of 1 person", "$6.00 held back", "Keys used by more than one person",
            "alice, bob", "45 days old: stale", "No list prices mystery: 1 call, $25.00", "$50.00 of it is estimated", "policy ",
        ):  # fmt: skip
            assert words in shown, words
    assert "### Top 5 spenders" in digest_texts.markdown(found)
    assert json.loads(json.dumps(digest_sections.headline(found))).startswith("$285.00")


def test_an_empty_week() -> None:
    """Says so, and no part of it fails."""
    policy = read("")
    found = digest_of(Gathered((), (), ({},) * 8, (), (), (), PRICES, "m"), policy, week_of(policy, 0), guess="?")
    assert "Nobody spent anything." in digest_texts.text(found)
    assert digest_sections.headline(found) == "$0.00 spent, as the week before, in 0 calls of 0 people"
    assert "Nobody spent anything." in digest_texts.html(found)
