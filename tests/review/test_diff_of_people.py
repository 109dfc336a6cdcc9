"""What a change of the roster, the mode, a last day or an exception does to limits: who gains and who loses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from fractions import Fraction

import pytest
from tests.review.test_diff import MODELS, OLD, RAISED, TODAY, policy

from spendgate.price_change import PriceChange
from spendgate.pricing import PriceBook, UnknownPrice
from spendgate.review.changes import Change, Effect
from spendgate.review.diff import diff

Told = tuple[Effect, str]
BOOK = PriceBook()
NOW = datetime(2026, 11, 28, tzinfo=UTC)


def priced(provider: str, model: str, change: PriceChange | None) -> Mapping[str, Fraction] | None:
    units = BOOK.units(provider, model, 0, at=NOW, change=change)
    return None if isinstance(units, UnknownPrice) else units


def told(old: str, *edits: tuple[str, str]) -> tuple[Change, ...]:
    new = old
    for before, after in edits:
        assert before in new
        new = new.replace(before, after)
    return diff(policy(old), policy(new), TODAY, MODELS, priced)


def has(found: tuple[Change, ...], *wanted: Told) -> bool:
    return all(any(change.effect is effect and text in change.text for change in found) for effect, text in wanted)


HANDED = (("[carol, car]", "[carol]"), ("bob: {team: payments}", "bob: {team: payments, accounts: [bob, car]}"))


def test_an_account_that_another_person_has_from_now_on() -> None:
    """It comes under that person's limits, on that person's allowance, and brings what was spent."""
    found = told(OLD, *HANDED)
    assert has(
        found,
        (Effect.LESS, "account car (carol -> bob): now under $600.00 per month together (team)"),
        (
            Effect.EITHER,
            "account car (carol -> bob): on bob's allowance of $20.00 per day for each person (person/day), was carol's; "
            "what they spent in the window that runs counts there, too",
        ),
    )
    assert not any(change.text.startswith(("bob: now", "carol: no")) for change in found)


@pytest.mark.parametrize(
    ("old", "edits", "wanted"),
    [
        (
            OLD,
            [("[carol, car]", "[carol]")],
            (Effect.EITHER, "account car (carol -> not listed): on the shared allowance of $20.00 per day"),
        ),
        (
            OLD,
            [("  carol: {", "  caroline: {")],
            (
                Effect.EITHER,
                "accounts car and carol (carol -> caroline): on caroline's allowance of $20.00 per day",
            ),
        ),
        (
            OLD,
            [("  carol: {", "  dora: {}\n  carol: {")],
            (Effect.MORE, "dora: an allowance each of $20.00 per day for each person (person/day), was one for all"),
        ),
        (
            OLD.replace("unknown_people: shared", "unknown_people: each"),
            [("  carol: {accounts: [carol, car]}\n", "")],
            (Effect.EITHER, "account car (carol -> not listed): on car's allowance of $20.00 per day"),
        ),
        (
            OLD.replace("unknown_people: shared", "unknown_people: each"),
            [("unknown_people: each", "unknown_people: shared")],
            (Effect.LESS, "anybody who is not listed: one allowance for all who are not listed of $20.00 per day"),
        ),
    ],
)
def test_whose_allowance_it_is(old: str, edits: list[tuple[str, str]], wanted: Told) -> None:
    """More only where one allowance becomes several, less where several become one."""
    assert has(told(old, *edits), wanted)


MACHINES = OLD.replace("budgets:\n", "machines: {ci: {match: [a1], owner: alice}}\nbudgets:\n")


def test_whoever_is_not_listed_becomes_the_owner_of_the_machine() -> None:
    """With that person's limits, allowance and models; elsewhere nothing changes."""
    there = "anybody who is not listed (on machines of ci): "
    found = told(MACHINES, ("unknown_people: shared", "unknown_people: owner"))
    assert has(
        found,
        (Effect.LESS, f"{there}now under $600.00 per month together (team)"),
        (Effect.EITHER, f"{there}on alice's allowance of $20.00 per day for each person (person/day), was the shared"),
        (Effect.MODELS, f"{there}gain claude-opus-4-5, gpt-5-pro"),
    )
    assert not any(change.text.startswith("anybody who is not listed:") for change in found)
    owned = MACHINES.replace("unknown_people: shared", "unknown_people: owner")
    assert has(
        told(owned, ("owner: alice", "owner: carol")),
        (Effect.MORE, f"{there}no longer under $600.00 per month together (team)"),
        (Effect.EITHER, f"{there}on carol's allowance of $20.00 per day for each person (person/day), was alice's"),
        (Effect.MODELS, f"{there}lose claude-opus-4-5, gpt-5-pro"),
        (Effect.PEOPLE, "machines of ci belong to: alice -> carol"),
    )


def test_machines_of_a_group_that_something_is_kept_for_or_asks_for() -> None:
    """Also by `per`, by the mode and by a price."""
    old = MACHINES.replace("budgets:\n", "budgets:\n  - {name: each, per: machine_group, limit: $1 per day}\n")
    old = f"{old}mode: {{default: observe, enforce: [{{machine_group: ci}}]}}\n"
    assert has(told(old, ("[a1]", "[a1, b1]")), (Effect.EITHER, "gains b1; rules about them: mode, each"))


def test_whom_a_rule_names_where_nobody_is_listed() -> None:
    """An account's name is a person there; nobody else comes under the rule."""
    old = "version: 1\nowner: a@b.example\nbudgets:\n  - {name: b, match: {person: bob}, limit: $5 per day}\n"
    assert has(
        told(old, ("bob", "eve")),
        (Effect.MORE, "bob: no longer under $5.00 per day together (b)"),
        (Effect.LESS, "eve: now under $5.00 per day together (b)"),
    )
    assert [change.text[:5] for change in told(old, ("$5", "$6"))] == ["bob: "]


OBSERVING = OLD.replace("version: 1", "version: 1\nmode: {default: observe, enforce: [{group: senior}]}")


@pytest.mark.parametrize(
    ("edit", "wanted"),
    [
        (
            ("bob: {team: payments}", "bob: {team: payments, groups: [senior]}"),
            (Effect.LESS, "bob: what does not fit is refused"),
        ),
        (("[{group: senior}]", "[{person: carol}]"), (Effect.MORE, "alice: what does not fit is only recorded")),
        (("[{group: senior}]", "[{person: carol}]"), (Effect.LESS, "carol: what does not fit is refused")),
        (
            ("[{group: senior}]", "[{group: senior, tool: codex}]"),
            (Effect.MORE, "alice, calls with no tool or any other tool: what does not fit is only recorded"),
        ),
        (("default: observe, enforce: [{group: senior}]", "default: enforce"), (Effect.LESS, "bob, carol, anybody")),
    ],
)
def test_whom_the_mode_enforces(edit: tuple[str, str], wanted: Told) -> None:
    """By its own words, and by who comes into a group that it names."""
    assert has(told(OBSERVING, edit), wanted)


def test_who_moves_to_a_team_with_a_calendar_of_its_own() -> None:
    """The windows of their own allowances are cut by it from now on, as by a change of the zone."""
    old = OLD.replace("payments: {", "web: {timezone: Asia/Tokyo}, payments: {")
    found = told(old, ("bob: {team: payments}", "bob: {team: web}"))
    assert has(
        found, (Effect.EITHER, "bob: the day that runs now in budget person/day counts from 2026-11-28 00:00 JST on")
    )
    assert not any("the day that runs" in each.text for each in told(old, ("bob: {team: payments}", "bob: {}")))


def test_no_window_moves_of_those_whom_the_budget_does_not_count() -> None:
    """A budget of a team with a zone of its own keeps its days, whatever the file's zone is; and so do budgets of others."""
    zoned = OLD.replace("payments: {", "payments: {timezone: Europe/Berlin, ").replace(
        "version: 1", "version: 1\ntimezone: UTC"
    )
    old = zoned.replace(
        "models:", "  - {name: t, per: person, match: {team: payments}, limit: $9 per day}\n"
        "  - {name: c, per: person, match: {person: carol}, limit: $9 per day}\nmodels:"
    )  # fmt: skip
    for edit, budget in ((("timezone: UTC", "timezone: Asia/Tokyo"), "t"), (("Europe/Berlin", "Asia/Tokyo"), "c")):
        runs = [change.text for change in told(old, edit) if "that runs now in" in change.text]
        assert runs
        assert not any(re.search(rf"budgets? .*\b{budget}\b(,| and| counts)", text) for text in runs), runs


STRICT = OBSERVING.replace("unknown_people: shared", "unknown_people: refuse")


@pytest.mark.parametrize(
    ("enforced", "edit", "wanted"),
    [
        (
            "{group: senior}",
            ("groups: [senior]", "groups: [senior], until: 2026-01-01"),
            (Effect.MORE, "alice: as not listed each call is only recorded"),
        ),
        (
            "{group: senior}",
            ("bob: {", "bob: {until: 2026-01-01, "),
            (Effect.RECORDS, "bob: as not listed each call"),
        ),
        (
            "{group: senior}, {tool: codex}",
            ("bob: {", "bob: {until: 2026-01-01, "),
            (Effect.LESS, "bob: as not listed refused from now on, where the mode enforces that, else only recorded"),
        ),
        (
            "{group: senior}, {tool: codex}",
            ("groups: [senior]", "groups: [senior], until: 2026-01-01"),
            (
                Effect.EITHER,
                "alice: as not listed refused from now on, where the mode enforces that, else only recorded",
            ),
        ),
        (
            "{provider: '*'}",
            ("bob: {", "bob: {until: 2026-01-01, "),
            (Effect.LESS, "bob: refused as not listed from now on"),
        ),
    ],
)
def test_who_is_refused_as_not_listed_as_far_as_the_mode_enforces_it(
    enforced: str, edit: tuple[str, str], wanted: Told
) -> None:
    """Whoever leaves the list leaves the groups by which the mode chose their calls, too."""
    assert has(told(STRICT.replace("{group: senior}]}", f"{enforced}]}}"), edit), wanted)


KEEPS = OLD.replace("version: 1", "version: 1\nvalid_until: 2027-03-31")
REFUSES = KEEPS.replace("2027-03-31", "2027-03-31\nexpired: refuse")


@pytest.mark.parametrize(
    ("old", "edit", "wanted"),
    [
        (
            OLD,
            ("version: 1", "version: 1\nvalid_until: 2027-03-31"),
            (Effect.POWER, "the file's last day: none -> 2027-03-31 (after it the policy goes on"),
        ),
        (
            KEEPS,
            ("2027-03-31", "2027-03-31\nexpired: refuse"),
            (Effect.LESS, "-> 2027-03-31 (after it every call is refused)"),
        ),
        (
            REFUSES,
            ("\nexpired: refuse", ""),
            (Effect.MORE, "everybody: the file's last day: 2027-03-31 (after it every call is refused) -> "),
        ),
        (REFUSES, ("2027-03-31", "2027-05-31"), (Effect.MORE, "-> 2027-05-31")),
        (REFUSES, ("2027-03-31", "2026-05-31"), (Effect.LESS, "; that day is over on 2026-11-28")),
        (REFUSES, ("valid_until: 2027-03-31\nexpired: refuse\n", ""), (Effect.MORE, "-> none")),
    ],
)
def test_the_last_day_of_a_file(old: str, edit: tuple[str, str], wanted: Told) -> None:
    """In plain words, with what happens after it: where calls are refused then, an earlier day is less."""
    assert has(told(old, edit), wanted)


GRANTED = f"{OLD}exceptions: [{RAISED}]\n"


@pytest.mark.parametrize(
    ("edits", "effect"),
    [
        ([("add: $50", "add: $40")], Effect.LESS),
        ([("add: $50", "add: $60")], Effect.MORE),
        ([("2026-12-15", "2026-12-10")], Effect.LESS),
        ([("add: $50", "add: $60"), ("2026-12-15", "2026-12-10")], Effect.EITHER),
        ([("2026-12-15", "2026-12-20, once: true")], Effect.EITHER),
        ([("add: $50", "limit: $240")], Effect.LESS),
        ([("add: $50", "limit: $260")], Effect.MORE),
        ([("add: $50", "limit: $250")], Effect.OTHER),
        ([("release week", "launch")], Effect.OTHER),
        ([("cto", "cfo")], Effect.OTHER),
    ],
)
def test_what_an_exception_is_worth(edits: list[tuple[str, str]], effect: Effect) -> None:
    """The month is $200: $50 more are a limit of $250; what is higher and shorter is not comparable."""
    (found,) = told(GRANTED, *edits)
    assert found.effect is effect


def test_another_reason_for_one_window_is_another_window() -> None:
    """The ledger keeps by the reason which window that was."""
    once = GRANTED.replace("until:", "once: true, until:")
    assert [change.effect for change in told(once, ("release week", "launch"))] == [Effect.MORE, Effect.LESS]


TOKYO = ("version: 1", "version: 1\ntimezone: Asia/Tokyo")
IN_VAIN = RAISED.replace("person/month", "team").replace("alice", "carol")


def test_another_zone_has_other_instants_of_the_same_days() -> None:
    """Sides that read alike are told by their instants; nothing of an exception whose budget does not count the person."""
    found = [change.text for change in told(GRANTED, TOKYO) if change.where == "exceptions.person/month"]
    until = "$50.00 more in person/month until 2026-12-16T00:00:00+0"
    assert [text.startswith(f"alice: {until}0:00 (") and f" -> {until}9:00 (" in text for text in found] == [True]
    assert not any("exceptions" in change.where for change in told(f"{OLD}exceptions: [{IN_VAIN}]\n", TOKYO))
    listed = told(OLD, ("models:\n", f"exceptions: [{IN_VAIN}]\nmodels:\n"))
    assert [(each.effect, each.text[:12]) for each in listed] == [(Effect.OTHER, "nobody: $50.")]


def test_who_comes_under_an_exception_that_stays() -> None:
    """By the roster alone."""
    old = GRANTED.replace("match: {person: alice}", "match: {group: senior}")
    found = told(old, ("bob: {team: payments}", "bob: {team: payments, groups: [senior]}"))
    assert has(found, (Effect.MORE, "bob: from now on $50.00 more in person/month until 2026-12-15"))


def prices(*entries: str) -> str:
    return f"{OLD}pricing: {{adjust: [{', '.join(entries)}]}}\n"


HALF = "{match: {provider: anthropic}, multiply: 0.5}"


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        (
            OLD,
            prices("{match: {provider: anthropic}, set: {input: $0.001, output: $0.001}}"),
            (Effect.MORE, "list price -> input $0.001"),
        ),
        (
            OLD,
            prices('{match: {model: "gpt-5*"}, set: {input: $1000, output: $1000}}'),
            (Effect.LESS, "list price -> input $1000"),
        ),
        (
            prices(HALF),
            prices("{match: {provider: anthropic}, set: {input: $1}}"),
            (Effect.EITHER, "list price x 0.5 -> input $1"),
        ),
        (
            prices(HALF),
            prices(HALF, '{match: {provider: anthropic, model: "claude-opus-*"}, multiply: 0.9}'),
            (Effect.LESS, "list price -> list price x 0.9"),
        ),
        (
            prices(HALF),
            prices('{match: {provider: anthropic, model: "claude-opus-*"}, multiply: 0.9}', HALF),
            (Effect.OTHER, "another entry holds for all of them"),
        ),
    ],
)
def test_the_direction_of_a_price(old: str, new: str, wanted: Told) -> None:
    """Of the price that holds: beside the list, and beside an entry that held before."""
    assert has(diff(policy(old), policy(new), TODAY, MODELS, priced), wanted)


def test_whose_calls_have_another_price_by_their_team() -> None:
    """An entry stays as it is, and somebody joins the team that it is about."""
    old = prices("{match: {team: payments}, multiply: 0.5}")
    assert has(
        told(old, ("  carol: {", "  carol: {team: payments, ")), (Effect.MORE, "carol: some calls: list price -> x 0.5")
    )


EACH = """\
version: 1
owner: lead@acme.example
unknown_people: each
people: {alice: {team: pay}, carol: {}}
teams: {pay: {}}
budgets:
  - {name: z, per: person, limit: $99 per day}
"""
NOT_LISTED = "anybody who is not listed"
ANY = 'match: {person: "*"}'


@pytest.mark.parametrize(
    ("rule", "now", "wanted"),
    [
        (
            f"  - {{name: b, per: person, {ANY}, limit: $10 per week}}",
            "match: {person: alice}",
            (Effect.MORE, f"{NOT_LISTED}, carol: no longer under $10.00 per week for each person (b)"),
        ),
        (
            "  - {name: b, per: person, except: {person: \"*\"}, limit: $10 per week}",
            "except: {person: alice}",
            (Effect.LESS, f"{NOT_LISTED}, carol: now under $10.00 per week for each person (b)"),
        ),
        (
            f"  - {{name: b, per: team, {ANY}, limit: $10 per week, missing: refuse}}",
            "match: {person: alice}",
            (Effect.MORE, f"{NOT_LISTED}, carol: no longer under $10.00 per week for each team (b)"),
        ),
        (
            f'models:\n  - {{name: m, {ANY}, deny: ["claude-opus-*"]}}',
            "match: {person: alice}",
            (Effect.MODELS, f"carol, {NOT_LISTED}: gain claude-opus-4-5"),
        ),
        (
            f"rates:\n  - {{name: r, per: person, {ANY}, requests: 3 per minute}}",
            "match: {person: alice}",
            (Effect.MORE, f"{NOT_LISTED}, carol: no longer under 3 requests per minute for each person (r)"),
        ),
    ],
)  # fmt: skip
def test_a_star_is_about_whoever_is_not_listed(rule: str, now: str, wanted: Told) -> None:
    """Also where they keep their accounts' names: what another text no longer means of them is told of them."""
    was = 'except: {person: "*"}' if "except" in rule else ANY
    assert has(told(f"{EACH}{rule}\n", (was, now)), wanted)


def test_a_star_is_printed_as_whom_it_means() -> None:
    """No person is called `*`."""
    rule = f"  - {{name: b, per: person, {ANY}, except: {{person: carol}}, limit: $10 per week}}\n"
    for each in ("each", "shared"):
        old = EACH.replace(": each", f": {each}")
        found = told(old, ("per day}\n", f"per day}}\n{rule}"))
        assert has(found, (Effect.LESS, f"alice, {NOT_LISTED}: newly limited to $10.00 per week")), found


def test_who_is_listed_no_more_and_keeps_the_name_is_under_what_names_it() -> None:
    """Under `each` the account's name is the person's."""
    people = EACH.replace("carol: {}", "carol: {}, cate: {}")
    old = f"{people}  - {{name: b, match: {{person: ca*}}, limit: $10 per week}}\n"
    assert not any("(b)" in change.text for change in told(old, (", carol: {}", "")))


def test_whoever_is_not_listed_is_nobody_whom_the_mode_names() -> None:
    """Under `each` all that is refused to alice is only recorded of them."""
    old = f"{EACH}mode: {{default: observe, enforce: [{{person: alice}}]}}\n"
    assert has(
        told(old, ("$99", "$5")), (Effect.LESS, "alice: $99.00"), (Effect.RECORDS, f"carol, {NOT_LISTED}: $99.00")
    )
