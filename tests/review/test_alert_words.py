"""What a reviewer reads of alerts, receivers and approvers: what is hardly meant, and what a change does."""

from __future__ import annotations

from datetime import date

import pytest

from spendgate.config.policy_file import parse_policy
from spendgate.review.diff import Effect, diff
from spendgate.review.doubts import Known, doubts

TODAY = date(2026, 11, 28)
KEY = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"
OTHER_KEY = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFOz"
HEAD = "version: 1\nowner: lead@acme.example\n"
NOTIFY = 'notify: [{to: "slack://${SPENDGATE_SECRET_AI}", for: [alert, page]}]\n'
PEOPLE = "people: {alice: {team: payments}, bob: {until: 2026-01-01}}\nteams: {payments: {}, empty: {}}\n"
PERSON = "budgets: [{name: person, per: person, limit: $20 per day, alerts: [50%]}]\n"


def told(text: str) -> dict[str, str]:
    """Every warning by what it is about."""
    return {each.subject: each.text for each in doubts(parse_policy((HEAD + text).encode()), TODAY, Known())}


@pytest.mark.parametrize(
    ("text", "subject", "words"),
    [
        (f"{NOTIFY}alerts: [{{name: s, spike: 3x over 7d}}]\n", "alerts.s", "has no minimum"),
        (f"{NOTIFY}alerts: [{{name: s, share: 80%, match: {{model: gpt-5}}}}]\n", "alerts.s", "has no minimum_calls"),
        (f"{NOTIFY}{PEOPLE}alerts: [{{name: s, burn: $5 in 1h, match: {{team: empty}}}}]\n", "alerts.s", "is about nobody"),
        ("alerts: [{name: s, burn: $5 in 1h, severity: notice}]\n", "alerts.s", "is told to nobody"),
        (NOTIFY, "notify", "nothing is told: the file has no alerts"),
        (f"{NOTIFY}budgets: [{{name: b, limit: $5 per day}}]\n", "notify", "nothing is told but who asks for more"),
        (f"{PEOPLE}approvers: [{{person: alice, key: {KEY}, up_to: $5}}]\n", "approvers", "an ask reaches nobody by itself"),
        (f"{NOTIFY}{PERSON.replace('50%', '120%')}", "budgets.person", "120% is hardly reached"),
        ('notify: [{to: "mailto://lead:hunter2@acme.example", for: [alert]}]\n' + PERSON, "notify", "mailto has a password"),
    ],
)  # fmt: skip
def test_what_is_hardly_meant(text: str, subject: str, words: str) -> None:
    """Each warning stands with the rule or key that it is about."""
    assert words in told(text)[subject]


def test_approvers_who_cannot() -> None:
    """One who has left, one for nobody."""
    text = (
        f"{PEOPLE}approvers:\n  - {{person: bob, key: {KEY}, up_to: $5}}\n"
        f"  - {{person: alice, key: {OTHER_KEY}, up_to: $5, for: {{team: empty}}}}\n"
    )
    found = [each.text for each in doubts(parse_policy((HEAD + text).encode()), TODAY, Known())]
    assert "bob may approve, and their listing has ended" in found
    assert "alice may approve for nobody: no listed person fits for" in found


def test_a_digest_alone_is_something() -> None:
    """A file without alerts may be for the week's digest alone."""
    assert "notify" not in told('notify: [{to: "slack://${SPENDGATE_SECRET_S}", for: [digest]}]\n')


def test_what_is_meant_is_not_doubted() -> None:
    """A password that is a secret's name, a notice that a person gets."""
    text = (
        'notify: [{to: "mailto://lead:${SPENDGATE_SECRET_M}@acme.example", for: [alert]}]\n'
        f"{PERSON}alerts: [{{name: s, burn: $5 in 1h, per: session, severity: notice}}]\n"
    )
    assert told(text) == {}


OLD = f"""\
{HEAD}people: {{alice: {{}}, lead: {{}}}}
teams: {{payments: {{owner: p@acme.example}}}}
{NOTIFY}{PERSON}approvers: [{{person: lead, key: {KEY}, up_to: $500, for: {{person: alice}}}}]
alerts:
  - {{name: burn, burn: $15 in 1h, per: session, severity: page}}
  - {{name: late, spend: $50 outside mon-fri 07:00-20:00, per: person}}
"""


@pytest.mark.parametrize(
    ("edit", "where", "text"),
    [
        (("[50%]", "[50%, 80%]"), "budgets.person", "person: told at 50% -> 50%, 80% of its limit"),
        (("[50%]", "[90%]"), "budgets.person", "person: told at 50% -> 90% of its limit"),
        (
            ("$15 in 1h", "$25 in 90m"),
            "alerts.burn",
            "alert burn: $15.00 in 1h for each session, page -> $25.00 in 90m for each session, page",
        ),
        (
            ("  - {name: burn, burn: $15 in 1h, per: session, severity: page}\n", ""),
            "alerts.burn",
            "alert burn: no longer told of: $15.00 in 1h for each session, page",
        ),
        (
            ("name: late", "name: after"),
            "alerts.after",
            "alert after: told of from now on: $50.00 outside mon-fri 07:00-20:00 for each person, alert",
        ),
        (("SECRET_AI", "SECRET_BI"), "notify", "notify: slack for alert, page -> slack for alert, page, and addresses differ"),
        (("alert, page]", "alert, page, digest]"), "notify", "notify: slack for alert, page -> slack for alert, page, digest"),
        (
            ("{owner: p@acme.example}", "{owner: p@acme.example, notify: [{to: 'discord://a/b', for: page}]}"),
            "teams.payments.notify",
            "teams.payments.notify: nobody -> discord for page",
        ),
        (
            ("up_to: $500", "up_to: $900"),
            "approvers",
            f"lead: up to $500.00 for person alice with {KEY} -> up to $900.00 for person alice with {KEY}",
        ),
        (
            ("GFO3", "GFOz"),
            "approvers",
            f"lead: up to $500.00 for person alice with {KEY} -> "
            f"up to $500.00 for person alice with {OTHER_KEY}",
        ),
    ],
)  # fmt: skip
def test_each_change_has_its_sentence(edit: tuple[str, str], where: str, text: str) -> None:
    """Who is told what, and who may grant how much; an address is never shown."""
    assert edit[0] in OLD
    old, new = (parse_policy(each.encode()) for each in (OLD, OLD.replace(*edit)))
    changes = diff(old, new, TODAY, ())
    assert {change.effect for change in changes} == {Effect.POWER if where == "approvers" else Effect.TELLS}
    assert (where, text) in {(change.where, change.text) for change in changes}
    assert not any("SPENDGATE_SECRET" in change.text or "://" in change.text for change in changes)


def test_an_order_is_a_change_too() -> None:
    """None is silent."""
    first = "  - {name: burn, burn: $15 in 1h, per: session, severity: page}\n"
    old, new = (parse_policy(each.encode()) for each in (OLD, OLD.replace(first, "") + first))
    assert [change.text for change in diff(old, new, TODAY, Known())] == ["the order of alerts alone"]
