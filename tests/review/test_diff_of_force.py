"""What takes no room and gives none is not told as if it did, and what a gate will refuse is told before it does."""

from __future__ import annotations

import pytest
from tests.review.test_diff import MODELS, TODAY, policy

from spendgate.review.changes import Change, Effect
from spendgate.review.diff import diff

BASE = """version: 1
owner: lead@acme.example
revision: 5
people: {alice: {team: pay}, bob: {}}
teams: {pay: {}}
budgets:
  - {name: p, per: person, limit: $20 per day}
"""
WARN = "  - {name: w, limit: $10 per day, action: warn}\n"
STAGED = "mode: {default: observe, enforce: [{team: pay}]}\n"
BOB = "  - {name: w, match: {person: bob}, limit: $10 per day}\n"
LIMIT = "rates: [{name: r, match: {person: bob}, requests: 10 per hour}]\n"
HOSTS = "capture: {hosts: [%s]}\n"
ALL, AI, ONE = (
    f"{{host: '{name}', dialect: openai}}" for name in ("*.acme.example", "*.ai.acme.example", "x.ai.acme.example")
)
ENDED = "exceptions: [{budget: p, match: {person: bob}, add: $5, until: 2026-01-01, reason: r, approved_by: c}]\n"
CHEAP = "pricing: {adjust: [{match: {provider: anthropic}, multiply: 0.1, until: 2026-01-01}]}\n"
FLEET = "fleet: {hub: 'https://h.acme.example', offline: %s}\n"
NOT_ROOM = {Effect.MORE, Effect.LESS, Effect.EITHER}


def told(was: str, now: str) -> list[tuple[Effect, str]]:
    """Between two files; the revision rises by itself where they do not say one."""
    if "revision: 5" in now:
        now = now.replace("revision: 5", "revision: 6")
    found: tuple[Change, ...] = diff(policy(was), policy(now), TODAY, MODELS)
    return [(each.effect, each.text) for each in found]


@pytest.mark.parametrize(
    ("was", "now"),
    [
        (BASE, BASE + WARN),
        (BASE + WARN, BASE),
        (BASE + WARN, BASE + WARN.replace("$10", "$30")),
        (BASE + WARN, BASE + WARN.replace("action", "except: {person: bob}, action")),
        (BASE + WARN, BASE + WARN.replace("$10 per day", "$30 per week")),
        (BASE + WARN, BASE + WARN.replace("action", "counts: value, cut: true, action")),
        (
            BASE + "mode: observe\n",
            BASE.replace("$20", "$2") + "mode: observe\nmodels: [{name: m, deny: ['claude-*']}]\n",
        ),
        (BASE + "mode: observe\n", BASE + "mode: observe\nunknown_people: refuse\n"),
        (BASE + BOB + STAGED, BASE + BOB.replace("$10", "$5") + STAGED),
        (BASE + STAGED + LIMIT, BASE + STAGED + LIMIT.replace("10 per", "5 per")),
        (BASE + STAGED + LIMIT, BASE + STAGED),
        (BASE, BASE + ENDED),
        (BASE + ENDED, BASE),
        (BASE + ENDED, BASE + ENDED.replace("$5", "$9")),
        (BASE + ENDED, BASE.replace("pay}, bob: {}", "pay}, bob: {team: pay}") + ENDED),
        (BASE, BASE + CHEAP),
        (BASE + CHEAP, BASE),
        (BASE + HOSTS % f"{ALL}, {AI}", BASE + HOSTS % ALL),
        (BASE + HOSTS % f"{ALL}, {AI}", BASE + HOSTS % f"{AI}, {ALL}"),
    ],
)
def test_what_gives_and_takes_no_room_is_told_as_such(was: str, now: str) -> None:
    """A line there is, and none that says who may spend more or less."""
    found = told(was, now)
    assert [each for each in found if not each[1].startswith("revision")]
    assert not [each for each in found if each[0] in NOT_ROOM], found


@pytest.mark.parametrize(
    ("was", "now", "effect", "text"),
    [
        (
            BASE + WARN,
            BASE + WARN.replace("$10 per day, action: warn", "$30 per day"),
            Effect.LESS,
            "refuses from now on; was $10.00",
        ),
        (
            BASE + WARN.replace(", action: warn", ""),
            BASE + WARN.replace("$10", "$5"),
            Effect.MORE,
            "only warns from now on; was $10.00",
        ),
        (
            BASE + WARN.replace("action: warn", "match: {person: bob}"),
            BASE + WARN.replace("action", "match: {team: pay}, action"),
            Effect.MORE,
            "bob: $10.00 per day together (w) only warns from now on; was $10.00 per day together (w), match person bob -> "
            "team pay; warned of: alice",
        ),
        (
            BASE,
            BASE + WARN,
            Effect.RECORDS,
            "everybody: newly warned beyond $10.00 per day together (w), which only warns",
        ),
        (
            BASE + FLEET % "allow",
            BASE + FLEET % "refuse",
            Effect.LESS,
            "everybody: every call is refused while no hub is reached",
        ),
        (BASE + FLEET % "refuse", BASE, Effect.MORE, "everybody: calls are no longer refused while no hub is reached"),
        (
            BASE + FLEET % "refuse",
            BASE + (FLEET % "refuse").replace("h.acme", "i.acme"),
            Effect.POWER,
            "hub https://h.acme.example",
        ),
        (
            BASE,
            BASE.replace("revision: 5\n", ""),
            Effect.POWER,
            "revision: 5 -> none: a gate that has had 5 in force refuses",
        ),
        (
            BASE,
            BASE.replace("revision: 5", "revision: 4"),
            Effect.POWER,
            "revision: 5 -> 4: a gate that has had 5 in force refuses",
        ),
        (
            BASE + "unknown_people: refuse\n",
            BASE + "unknown_people: refuse\nmode: {default: observe, enforce: [{team: pay}]}\n",
            Effect.MORE,
            "anybody who is not listed: as not listed each call is only recorded from now on",
        ),
        (
            BASE.replace("per: person", "per: [person, project], missing: refuse"),
            BASE.replace("per: person", "per: [person], missing: refuse"),
            Effect.EITHER,
            "not comparable",
        ),
        (
            BASE + "rates: [{name: r, per: [person, project], missing: refuse, requests: 20 per hour}]\n",
            BASE + "rates: [{name: r, per: [person], missing: refuse, requests: 20 per hour}]\n",
            Effect.EITHER,
            "not comparable",
        ),
        (BASE.replace("per: person", "per: session"), BASE, Effect.EITHER, "not comparable"),
        (
            BASE + HOSTS % ONE,
            BASE + HOSTS % ONE.replace("openai}", "openai, billing: gateway}"),
            Effect.EITHER,
            "calls to x.ai.acme.example are billed: what its calls show -> gateway",
        ),
        (
            BASE + HOSTS % AI,
            BASE + HOSTS % f"{AI}, {ONE.replace('openai}', 'openai, billing: gateway, prices: deepseek}')}",
            Effect.EITHER,
            "calls to x.ai.acme.example cost what the list of deepseek says",
        ),
        (
            BASE + HOSTS % AI,
            BASE + HOSTS % f"{AI}, {ONE}",
            Effect.LESS,
            "x.ai.acme.example of a program that is not known come under",
        ),
        (
            BASE + HOSTS % f"{AI}, {ONE}",
            BASE + HOSTS % AI,
            Effect.MORE,
            "x.ai.acme.example of a program that is not known pass unseen",
        ),
        (
            BASE + HOSTS % ALL,
            BASE + HOSTS % ONE,
            Effect.MORE,
            "calls to *.acme.example (but for what x.ai.acme.example says) pass unseen",
        ),
        (
            BASE + HOSTS % ALL,
            BASE + HOSTS % AI,
            Effect.MORE,
            "calls to *.acme.example (but for what *.ai.acme.example says) pass unseen",
        ),
        (
            BASE + HOSTS % AI,
            BASE + HOSTS % ALL,
            Effect.LESS,
            "calls to *.acme.example (but for what *.ai.acme.example says) come under",
        ),
        (
            BASE,
            BASE.replace("per day", "per day, wait: 5m"),
            Effect.OTHER,
            "wait: 20s -> 5m",
        ),
    ],
)
def test_what_a_change_does_is_told_by_what_holds(was: str, now: str, effect: Effect, text: str) -> None:
    """By the line that reads a host, by what the mode refuses, by which calls a rule refuses for what they lack."""
    found = told(was, now)
    assert any(each[0] is effect and text in each[1] for each in found), found


def test_a_host_that_another_line_reads_on_is_neither_gained_nor_lost() -> None:
    """In both directions: below a wildcard it is decrypted already."""
    for was, now in ((AI, f"{AI}, {ONE}"), (f"{AI}, {ONE}", AI), (ALL, f"{ALL}, {AI}")):
        found = told(BASE + HOSTS % was, BASE + HOSTS % now)
        assert not any("decrypted from now on" in text or "no longer decrypted" in text for _, text in found), found


def test_the_same_revision_with_other_content_is_refused_by_a_gate() -> None:
    """As the gate says it, before it does."""
    (line,) = [
        each.text
        for each in diff(policy(BASE), policy(BASE.replace("$20", "$30")), TODAY, MODELS)
        if each.where == "revision"
    ]
    assert (
        line
        == "revision: 5 -> 5: a gate that has had 5 in force refuses this file and keeps the policy it has; allowed: 6 or more"
    )


TEAMS = BASE + "  - {name: all, limit: $100 per day}\n" + STAGED
"""alice is enforced, bob and whoever is not listed are observed."""
LOST = "gpt-5, a model that is not known beforehand (auto)"
OTHERS = "bob, anybody who is not listed"


@pytest.mark.parametrize(
    ("now", "found"),
    [
        pytest.param(
            TEAMS.replace("$20", "$40"),
            {
                (Effect.MORE, "alice: $20.00 -> $40.00 per day for each person (p)"),
                (Effect.RECORDS, f"{OTHERS}: $20.00 -> $40.00 per day for each person (p)"),
            },
            id="a limit of everybody's",
        ),
        pytest.param(
            TEAMS.replace("$100", "$50"),
            {
                (Effect.LESS, "alice: $100.00 -> $50.00 per day together (all)"),
                (Effect.RECORDS, f"{OTHERS}: $100.00 -> $50.00 per day together (all)"),
            },
            id="a limit that they share",
        ),
        pytest.param(
            TEAMS.replace("$20", "$40").replace(STAGED, "mode: enforce\n"),
            {
                (Effect.POWER, "mode: observe, enforced for team pay -> enforce"),
                (Effect.LESS, f"{OTHERS}: what does not fit is refused from now on"),
                (Effect.MORE, "alice: $20.00 -> $40.00 per day for each person (p)"),
                (Effect.RECORDS, f"{OTHERS}: $20.00 -> $40.00 per day for each person (p)"),
            },
            id="and everybody is enforced from now on",
        ),
        pytest.param(
            TEAMS + "models: [{name: m, deny: [gpt-5]}]\nrates: [{name: r, per: person, parallel: 2}]\n",
            {
                (Effect.MODELS, f"alice: lose {LOST}"),
                (Effect.RECORDS, f"{OTHERS}: lose {LOST}"),
                (Effect.LESS, "alice: newly held to 2 calls at once for each person (r)"),
                (Effect.RECORDS, f"{OTHERS}: newly held to 2 calls at once for each person (r)"),
                (Effect.OTHER, "model rule m is new: deny: gpt-5"),
            },
            id="models and rates",
        ),
        pytest.param(
            TEAMS.replace("$100 per day", "$100 per day, wait: 5m"),
            {(Effect.OTHER, "all: wait: 20s -> 5m")},
            id="what is about nobody is told once",
        ),
    ],
)
def test_one_limit_is_told_apart_of_those_whom_the_mode_enforces(now: str, found: set[tuple[Effect, str]]) -> None:
    """Nobody stands under more and less for one change, and who is only observed under neither."""
    lines = [each for each in told(TEAMS, now) if not each[1].startswith("revision")]
    assert len(lines) == len(set(lines))
    assert set(lines) == found
