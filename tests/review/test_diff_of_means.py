"""What `diff` must not say for sure: of limits by another mean, of other zones, of exceptions of others; and alerts that go."""

from __future__ import annotations

import pytest
from tests.review.test_diff import MODELS, TODAY, policy

from spendgate.review.changes import Effect
from spendgate.review.diff import diff

HEAD = "version: 1\nowner: a@b.example\n"
ROOM = {Effect.MORE, Effect.LESS, Effect.EITHER}
MEAN = "limit: 4x mean of 7d per day, at_most: $200"
ZONES = "timezone: America/Los_Angeles\nteams: {pay: {timezone: Europe/Berlin}}\npeople: {al: {team: pay}, bob: {team: pay}}\n"
BOB = (
    "budgets: [{name: day, per: person, limit: $20 per day}]\nexceptions: [{budget: day, match: {person: bob}, add: $5, "
    "until: 2026-12-15, reason: r, approved_by: c}]\nunknown_people: each\n"
)


def told(was: str, now: str) -> list[tuple[Effect, str]]:
    return [(each.effect, each.text) for each in diff(policy(HEAD + was), policy(HEAD + now), TODAY, MODELS)]


def budget(words: str) -> str:
    return f"budgets: [{{name: r, {words}}}]\n"


@pytest.mark.parametrize(
    ("was", "now"),
    [
        (budget(f"per: person, {MEAN}"), budget(MEAN)),
        (budget(f"per: person, match: {{tool: codex}}, {MEAN}"), budget(f"per: person, {MEAN}")),
        (budget(MEAN), budget(f"except: {{tool: codex}}, {MEAN}")),
        (budget(MEAN), budget(f"counts: value, {MEAN}")),
        (ZONES + budget("per: person, limit: $10 per day"), ZONES + budget("limit: $10 per day")),
    ],
    ids=["per", "match", "except", "counts", "zone"],
)
def test_neither_more_nor_less_can_be_shown(was: str, now: str) -> None:
    """The mean of other calls is another one, and a day of another zone lies in two."""
    assert any(effect is Effect.EITHER and "r)" in text for effect, text in told(was, now)), told(was, now)
    assert not any(effect is Effect.LESS and "->" in text for effect, text in told(was, now))


def test_the_mean_of_one_person_is_the_same_whoever_else_is_limited() -> None:
    found = told(budget(f"per: person, {MEAN}"), budget(f"per: person, except: {{person: bob}}, {MEAN}"))
    assert not any(effect is Effect.EITHER for effect, _ in found)


@pytest.mark.parametrize(
    ("was", "now", "text"),
    [
        ("people: {bob: {}, cy: {}}\n" + BOB, "people: {bob: {}}\n" + BOB, None),
        ("people: {bob: {}, cy: {}}\n" + BOB, "people: {bob: {}, cy: {until: 2026-01-01}}\n" + BOB, None),
        ("people: {bob: {}, cy: {}}\n" + BOB, "people: {bob: {}, cy: {}}\n" + BOB.replace("each", "shared"), None),
        (BOB, BOB.replace("each", "shared"), "bob: no longer $5.00 more"),
    ],
    ids=["not listed", "ended", "shared", "bob's own"],
)
def test_an_exception_is_only_theirs_whom_it_names(was: str, now: str, text: str | None) -> None:
    """Whoever is not listed and keeps the account's name is not by that the one whom it names."""
    said = [words for effect, words in told(was, now) if effect in ROOM and "$5.00 more" in words]
    assert (said == []) if text is None else (len(said) == 1 and said[0].startswith(text)), said


@pytest.mark.parametrize(
    ("was", "now", "wanted"),
    [
        ("$10 per hour, alerts: [50%, 80%]", "[$10 per hour, $100 per day]", "r/hour: told at 50%, 80% -> no share"),
        ("[$10 per hour, $100 per day], alerts: [50%]", "$10 per hour", "r/day: told at 50% -> no share"),
    ],
)
def test_thresholds_that_go_with_a_regrouped_limit_are_told(was: str, now: str, wanted: str) -> None:
    notify = "notify: [{to: 'slack://${SPENDGATE_SECRET_AI}', for: [alert]}]\n"
    found = told(notify + budget(f"limit: {was}"), notify + budget(f"limit: {now}"))
    assert any(wanted in text for _, text in found), found
