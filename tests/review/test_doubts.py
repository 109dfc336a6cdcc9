"""What is allowed and hardly meant is said, with the rule that it is about; what is meant is not."""

from __future__ import annotations

from datetime import date

import pytest

from spendgate.config.policy_file import parse_policy
from spendgate.review.doubts import Known, doubts
from spendgate.review.secrets import secrets_in

TODAY = date(2026, 11, 28)
MODELS = ("claude-opus-4-5", "claude-sonnet-4-5", "gpt-5", "gpt-5-pro")
KNOWN = Known(
    MODELS,
    frozenset({"claude-code", "codex", "copilot", "copilot-cli", "cursor"}),
    {"cursor": ("api2.cursor.sh", "api3.cursor.sh"), "openai": ("api.openai.com",), "openrouter": ("openrouter.ai",)},
    frozenset({"openrouter"}),
    least=(3_000_000, 10_000_000),
)
HEAD = "version: 1\nowner: lead@acme.example\n"
PEOPLE = "people:\n  alice: {team: payments, groups: [senior]}\n  bob: {}\nteams: {payments: {}, empty: {}}\n"
PERSON = "  - {name: person, per: person, limit: $20 per day}\n"


def told(text: str) -> list[tuple[str, str]]:
    """Every warning: what it is about, and its words."""
    return [(doubt.subject, doubt.text) for doubt in doubts(parse_policy((HEAD + text).encode()), TODAY, KNOWN)]


@pytest.mark.parametrize(
    ("text", "subject", "words"),
    [
        (f"mode: observe\nbudgets:\n{PERSON}", "mode", "no budget of this policy refuses anything"),
        (f"unknown_people: refuse\nbudgets:\n{PERSON}", "unknown_people", "is refused, as nobody is listed"),
        (
            f"unknown_people: refuse\npeople: {{al: {{until: 2026-01-01}}}}\nbudgets:\n{PERSON}",
            "unknown_people",
            "is refused, as every listing has ended",
        ),
        (
            "budgets:\n  - {name: plans, per: person, except: {billing: metered}, limit: $20 per day}\n"
            "  - {name: metered, per: project, match: {billing: metered}, limit: $20 per day}\n",
            "budgets",
            "every limit is about some calls only",
        ),
        (
            "budgets:\n  - {name: plans, per: person, except: {billing: metered}, limit: $20 per day}\n"
            "  - {name: metered, per: project, missing: shared, match: {billing: metered}, limit: $20 per day}\n",
            "budgets",
            "every limit hangs on project, which a client can forge",
        ),
        (
            f"budgets:\n{PERSON}models:\n  - {{name: some, allow: ['claude-sonnet-*']}}\n  - {{name: none, deny: ['*']}}\n",
            "models.some",
            "some allows claude-sonnet-*, and other rules refuse that: no model is left to anybody",
        ),
        (
            f"{PEOPLE}budgets:\n{PERSON}models:\n  - {{name: a, allow: ['gpt-5']}}\n"
            "  - {name: b, match: {group: senior}, allow: ['claude-*']}\n",
            "models.b",
            "b allows claude-*, and other rules refuse that: no model is left to alice",
        ),
        (
            f"budgets:\n{PERSON}  - {{name: c, per: person, match: {{tool: claude-cod}}, limit: $5 per day}}\n",
            "budgets.c",
            "c: no tool is known as claude-cod; did you mean claude-code?",
        ),
        (
            f"budgets:\n{PERSON}  - {{name: r, match: {{provider: 'open?outer'}}, limit: $5 per day, hold: ceiling}}\n",
            "budgets.r",
            "r: openrouter states what it bills, which no list bounds: hold: ceiling refuses every call",
        ),
        (
            f"budgets:\n{PERSON}capture:\n  providers: [cursor, openai]\n  never: [api2.cursor.sh, api3.cursor.sh]\n",
            "capture.never",
            "never names every host of cursor: those calls are not decrypted",
        ),
        (
            f"budgets:\n{PERSON}capture:\n  providers: [cursor, openai]\n  never: ['*.cursor.sh']\n",
            "capture.never",
            "never names every host of cursor: those calls are not decrypted",
        ),
        (
            f"budgets:\n{PERSON}capture:\n  never: ['*.cursor.sh']\n"
            "  hosts: [{host: llm.acme.example, dialect: openai, prices: cursor}]\n",
            "capture.never",
            "never names every host of cursor itself: its calls are decrypted at llm.acme.example alone (capture.hosts)",
        ),
        (
            f"budgets:\n{PERSON}capture: {{never: [api2.cusror.sh, bridge.example.com, api4.cursor.sh]}}\n",
            "capture.never.api2.cusror.sh",
            "never: api2.cusror.sh closes no host that is decrypted; did you mean api2.cursor.sh?",
        ),
        (
            f"budgets:\n{PERSON}capture: {{never: [cursor.sh]}}\n",
            "capture.never.cursor.sh",
            "never: cursor.sh closes no host that is decrypted; did you mean *.cursor.sh?",
        ),
        (
            f"budgets:\n{PERSON}capture: {{never: [api.openai.con]}}\n",
            "capture.never.api.openai.con",
            "never: api.openai.con closes no host that is decrypted; did you mean api.openai.com?",
        ),
        (
            f"budgets:\n{PERSON}capture: {{never: [openrouter.ia]}}\n",
            "capture.never.openrouter.ia",
            "never: openrouter.ia closes no host that is decrypted; did you mean openrouter.ai?",
        ),
        (
            "pricing: {adjust: [{match: {provider: anthropic}, multiply: 0.5, until: 2026-11-27}]}\n",
            "pricing",
            "pricing.adjust[1] ended on 2026-11-27",
        ),
        (
            "pricing: {adjust: [{match: {model: gpt-4o-*-huge}, multiply: 0.5}]}\n",
            "pricing",
            "pricing.adjust[1]: gpt-4o-*-huge fits no model that is known",
        ),
        (
            "pricing:\n  adjust:\n    - {match: {model: gpt-5, provider: openai}, multiply: 0.5, from: 2026-10-01}\n"
            "    - {match: {provider: [azure, openai]}, multiply: 0.8}\n",
            "pricing",
            "pricing.adjust[1] never holds: pricing.adjust[2] is about all of its calls and days",
        ),
        ("pricing: {adjust: [{match: {provider: openai}, multiply: 1.0}]}\n", "pricing", "multiplies by 1: list price"),
        (
            "pricing: {adjust: [{match: {billing: subscription}, multiply: 0.9}]}\n",
            "pricing",
            "is about subscription traffic alone, which costs nothing",
        ),
        (
            "billing: {accounts: [{provider: anthropic, account: org-1}]}\n",
            "billing",
            "personal calls are in no budget, and a request can claim any account",
        ),
        (
            "billing:\n  seats:\n    - {name: all, price: $20 per month}\n"
            "    - {name: max, match: {tool: claude-code}, price: $200 per month}\n",
            "billing",
            "seat max is never used: all fits all of its calls",
        ),
        (
            f"people: {{carol: {{until: 2026-01-01}}, dan: {{}}}}\nbudgets:\n{PERSON}",
            "people.carol",
            "carol ended on 2026-01-01",
        ),
        (
            f"{PEOPLE}budgets:\n  - {{name: team, match: {{team: payments}}, limit: $20 per day}}\n",
            "budgets",
            "nothing limits bob, anybody who is not listed",
        ),
        ("budgets:\n  - {name: warned, limit: $20 per day, action: warn}\n", "budgets", "nothing limits anybody"),
        (
            "budgets:\n  - {name: opus, match: {model: 'claude-opus-*'}, limit: $20 per day}\n",
            "budgets",
            "every limit is about some calls only",
        ),
        (
            "budgets:\n  - {name: session, per: session, limit: $5}\n",
            "budgets",
            "every limit hangs on session, which a client can forge",
        ),
        (
            f"{PEOPLE}budgets:\n{PERSON}  - {{name: nobody, match: {{team: empty}}, limit: $5 per day}}\n",
            "budgets.nobody",
            "no listed person fits its match",
        ),
        *(
            (
                f"{PEOPLE}budgets:\n{PERSON}models:\n  - {{name: m, except: {{{excepted}}}, deny: ['gpt-5*']}}\n",
                "models.m",
                words,
            )
            for excepted, words in (
                ("provider: '*'", "m excepts all that it matches: provider"),
                ("machine: '*'", "m excepts all that it matches: machine"),
                (
                    "billing: [metered, subscription, overage, gateway, personal]",
                    "m excepts all that it matches: billing",
                ),
                ("model: 'gpt-*'", "m denies no model by name: it excepts gpt-*"),
            )
        ),
        (
            f"{PEOPLE}budgets:\n{PERSON}rates:\n  - {{name: r, except: {{machine: '*'}}, parallel: 2}}\n",
            "rates.r",
            "r excepts all that it matches: machine",
        ),
        (
            f"{PEOPLE}budgets:\n{PERSON}mode: {{default: observe, enforce: [{{group: senior, person: bob}}]}}\n",
            "mode",
            "enforce for group senior, person bob is about nobody",
        ),
        (
            f"{PEOPLE}budgets:\n  - {{name: rest, except: {{person: alice}}, limit: $5 per day}}\n"
            "exceptions:\n  - {budget: rest, match: {person: alice}, add: $5, until: 2026-12-15, reason: x, approved_by: y}\n",
            "exceptions",
            "rest: the exception 'x' is about nobody: rest counts nobody whom it fits",
        ),
        (
            "budgets:\n  - {name: p, per: person, limit: 2x mean of 7d per day, at_most: $0}\n",
            "budgets.p",
            "p allows $0: it refuses every call that costs anything",
        ),
        (
            "pricing: {adjust: [{match: {tool: codex}, multiply: 0.5}]}\n",
            "pricing",
            "pricing.adjust[1] goes by tool, which a client can forge: whoever claims it has that price",
        ),
        (
            "pricing: {adjust: [{match: {provider: anthropic}, set: {input: $0.0001, output: $75}}]}\n",
            "pricing",
            "pricing.adjust[1]: input of $0.0001 is less than any model is listed at",
        ),
        (
            "people: {alice: {email: a@acme.example}, bob: {email: A@acme.example}}\n",
            "people.bob",
            "bob has the email of alice",
        ),
        *(
            (
                f"capture: {{hosts: [{{host: '{host}', dialect: openai}}], never: ['*.acme.example']}}\n",
                "capture.never.*.acme.example",
                f"{host} is never decrypted, since *.acme.example stands under never",
            )
            for host in ("llm.acme.example", "*.ai.acme.example")
        ),
        (
            f"{PEOPLE}budgets:\n{PERSON}  - {{name: both, match: {{person: bob, group: senior}}, limit: $5 per day}}\n",
            "budgets.both",
            "no listed person fits its match",
        ),
        (
            "budgets:\n  - {name: person, per: person, limit: [$20 per day, $15 per month]}\n",
            "budgets.person",
            "person/day can never be reached: person/month counts the same calls",
        ),
        (
            f"{PEOPLE}budgets:\n{PERSON}  - {{name: seniors, per: person, match: {{group: senior}}, limit: $100 per day}}\n",
            "budgets.seniors",
            "person counts the same calls and is spent before; where more is meant, person must except them",
        ),
        (
            "budgets:\n  - {name: person, per: person, limit: $50 per day}\n  - {name: all, limit: $20 per day}\n",
            "budgets.person",
            "person can never be reached: all counts the same calls",
        ),
        (
            "budgets:\n  - {name: person, per: person, limit: [$20 per day, $140 per week]}\n",
            "budgets.person",
            "person/week can never be reached: person/day counts the same calls and allows $140.00 at most in that time",
        ),
        (
            "budgets:\n  - {name: person, per: person, limit: [$5 per rolling 6h, $20 per rolling 24h]}\n",
            "budgets.person",
            "person/rolling-24h can never be reached: person/rolling-6h counts the same calls and allows $20.00",
        ),
        (
            f"{PEOPLE}budgets: [{{name: team, per: team, limit: $20 per day}}]\n",
            "budgets",
            "nothing limits bob, anybody who is not listed",
        ),
        (
            f"people: {{bob: {{}}}}\nbudgets:\n{PERSON}  - {{name: group, per: group, limit: $2 per day}}\n",
            "budgets.group",
            "group is about nobody: no listed person has a group",
        ),
        (
            "machines: {ci: {match: ['ci-*']}}\nbudgets: [{name: ci, per: machine_group, limit: $20 per day}]\n",
            "budgets",
            "the others are not limited",
        ),
        (
            f"budgets:\n{PERSON}rates:\n  - {{name: a, per: person, requests: 9 per minute}}\n"
            "  - {name: b, requests: 5 per 2m}\n",
            "rates.a",
            "a changes nothing: b counts the same calls and lets through no more",
        ),
        (
            f"budgets:\n{PERSON}models:\n  - {{name: a, allow: ['gpt-5']}}\n  - {{name: b, allow: ['gpt-5*', 'claude-*']}}\n",
            "models.b",
            "b changes nothing: a allows no more than it does",
        ),
        (
            f"budgets:\n{PERSON}notify: [{{to: 'pagerduty://0123456789abcdef0123456789abcdef', for: [page]}}]\n",
            "notify",
            "has a password or token in it",
        ),
        (
            f"budgets:\n{PERSON}models:\n  - {{name: wide, deny: ['claude-*']}}\n  - {{name: narrow, deny: ['claude-opus-*']}}\n",
            "models.narrow",
            "narrow changes nothing: wide denies the same already",
        ),
        (
            f"budgets:\n{PERSON}models:\n  - {{name: typo, deny: ['claude-opsu-*']}}\n",
            "models.typo",
            "claude-opsu-* fits no model that is known",
        ),
        (
            f"budgets:\n{PERSON}  - {{name: typo, match: {{model: gtp-5}}, limit: $5 per day}}\n",
            "budgets.typo",
            "gtp-5 fits no model that is known",
        ),
        (
            f"{PEOPLE}budgets:\n{PERSON}exceptions: [{{budget: person, match: {{person: bob}}, add: $5, until: 2026-11-27, "
            "reason: launch, approved_by: cto}]\n",
            "exceptions",
            "person: the exception 'launch' ended on 2026-11-27; take it out",
        ),
        (
            f"{PEOPLE}budgets:\n{PERSON}exceptions: [{{budget: person, match: {{team: empty}}, add: $5, until: 2026-12-27, "
            "reason: launch, approved_by: cto}]\n",
            "exceptions",
            "the exception 'launch' is about nobody",
        ),
        (
            f"{PEOPLE}budgets:\n{PERSON}rates: [{{name: loop, match: {{team: empty}}, parallel: 2}}]\n",
            "rates.loop",
            "loop is about nobody",
        ),
        (
            f"budgets:\n{PERSON}rates: [{{name: loop, match: {{model: gtp-5}}, parallel: 2}}]\n",
            "rates.loop",
            "gtp-5 fits no model that is known",
        ),
    ],
)
def test_it_is_said(text: str, subject: str, words: str) -> None:
    assert any(about == subject and words in said for about, said in told(text)), told(text)


@pytest.mark.parametrize(
    "text",
    [
        f"budgets:\n{PERSON}",
        f"{PEOPLE}budgets:\n{PERSON}  - {{name: team, match: {{team: payments}}, limit: $20 per month}}\n",
        "budgets:\n  - {name: person, per: person, limit: [$5 per hour, $20 per day, $15 per rolling 24h]}\n",
        f"budgets:\n{PERSON}  - {{name: session, per: session, limit: $5}}\n",
        f"{PEOPLE}unknown_people: each\nbudgets:\n  - {{name: p, per: person, match: {{person: '*'}}, limit: $5 per day}}\n",
        "budgets:\n  - {name: person, per: person, limit: [$20 per day, $139 per week, $600 per month]}\n",
        "budgets:\n  - {name: person, per: person, limit: [$5 per rolling 6h, $19 per rolling 24h]}\n",
        "budgets:\n  - {name: person, per: person, limit: [$5 per rolling 24h, $9 per day]}\n",
        f"{PEOPLE}budgets:\n  - {{name: person, per: person, except: {{group: senior}}, limit: $20 per day}}\n"
        "  - {name: seniors, per: person, match: {group: senior}, limit: $100 per day}\n",
        f"{PEOPLE}budgets:\n{PERSON}  - {{name: team, per: team, limit: $30 per day}}\n",
        "people: {alice: {team: payments}}\nteams: {payments: {timezone: Europe/Berlin}}\nbudgets:\n"
        "  - {name: all, limit: $20 per day}\n  - {name: person, per: person, limit: $20 per day}\n",
        f"budgets:\n{PERSON}rates:\n  - {{name: a, per: person, requests: 9 per minute}}\n"
        "  - {name: b, requests: 5 per second}\n",
        f"budgets:\n{PERSON}models:\n  - {{name: a, deny: ['claude-*'], unresolved: allow}}\n"
        "  - {name: b, deny: ['claude-opus-*']}\n",
        f"{PEOPLE}budgets:\n{PERSON}models:\n  - {{name: a, match: {{person: bob}}, deny: ['gpt-5*']}}\n"
        "  - {name: b, except: {group: senior}, deny: ['gpt-5*']}\n",
        f"{PEOPLE}budgets:\n{PERSON}exceptions: [{{budget: person, match: {{person: bob}}, add: $5, until: 2026-11-28, "
        "reason: launch, approved_by: cto}]\n",
        "budgets:\n  - {name: a, per: person, limit: $20 per day}\n"
        "  - {name: b, per: person, limit: 4x mean of 7d per day, at_most: $30}\n",
        "budgets:\n  - {name: plans, per: person, except: {billing: metered}, limit: $20 per day}\n"
        "  - {name: metered, per: person, match: {billing: metered}, limit: $20 per day}\n",
        f"{PEOPLE}budgets:\n{PERSON}models:\n  - {{name: a, allow: ['gpt-5*', 'claude-*']}}\n"
        "  - {name: b, match: {group: senior}, deny: ['gpt-5*']}\n  - {name: c, match: {tool: codex}, deny: ['*']}\n",
        f"{PEOPLE}budgets:\n{PERSON}models: [{{name: none, match: {{person: bob}}, deny: ['*']}}]\n",
        f"budgets:\n{PERSON}  - {{name: c, per: person, match: {{tool: [copilot, our-agent, 'clau*']}}, "
        "limit: $5 per day}\n",
        f"budgets:\n{PERSON}capture: {{never: [api2.cursor.sh]}}\n",
    ],
)
def test_what_is_meant_is_not_doubted(text: str) -> None:
    """Two rules beside each other are no fault: neither window holds the other, and neither rule reaches all of the other's."""
    assert told(text) == []


def test_a_pattern_of_one_letter_is_no_pattern_of_many() -> None:
    """`?` is one letter: it does not make `*` needless, the other way round it does."""
    rules = "  - {name: one, deny: ['claude-opus-4-?']}\n  - {name: more, deny: ['claude-opus-*']}\n"
    text = f"budgets:\n{PERSON}models:\n{rules}"
    assert told(text) == [("models.one", "one changes nothing: more denies the same already")]


@pytest.mark.parametrize(
    "secret",
    [
        "sk-" + "ant-api03-abcdefghijklmnopqrstuvwxyz",
        "xoxb-" + "1234567890-abcdefghij",
        "AKIA" + "ABCDEFGHIJKLMNOP",
        "glpat-" + "abcdefghij1234567890",
        "eyJ" + "hbGciOiJIUzI1NiJ9.eyJ" + "zdWIiOiIxMjM0In0.c2ln",
        "hf_" + "abcdefghijklmnopqrstuvwxyz",
        "ghp_" + "a" * 36,
        "https://hooks.slack.com/services/" + "T0000/B0000/abcdefgh",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
    ],
)
def test_a_secret_is_found_where_it_stands(secret: str) -> None:
    assert secrets_in(f"version: 1\nhelp: {secret}\n") == ((2, 7 if not secret.startswith("https") else 15),)


def test_words_of_a_policy_are_no_secrets() -> None:
    assert (
        secrets_in(
            "api_key: sk-proj:9f86d081884c\nto: slack://${SPENDGATE_SECRET_AI}\nname: task-runner-for-sk\n"
            "project: github.com/acme/task-management-platform-2\nhelp: ask helpdesk-assistant-platform-team1\n"
        )
        == ()
    )


@pytest.mark.parametrize(
    "text",
    [
        "pricing:\n  adjust:\n    - {match: {provider: openai}, multiply: 0.8}\n"
        "    - {match: {provider: openai, model: gpt-5}, multiply: 0.5}\n",
        "pricing:\n  adjust:\n    - {match: {provider: openai}, multiply: 0.8, until: 2026-12-31}\n"
        "    - {match: {provider: openai}, multiply: 0.7, from: 2027-01-01}\n",
        "pricing: {adjust: [{match: {model: acme-large}, set: {input: $1, output: $8}, until: 2026-11-28}]}\n",
        "billing:\n  accounts: [{provider: anthropic, account: org-1}]\n  personal: refuse\n"
        "  seats:\n    - {name: max, match: {tool: claude-code}, price: $200 per month}\n"
        "    - {name: rest, price: $20 per month}\n",
    ],
    ids=["general before particular", "one after the other", "a model of one's own, on its last day", "seats"],
)
def test_agreements_that_are_meant_are_not_doubted(text: str) -> None:
    """Nothing is said of what a reviewer would write."""
    assert [subject for subject, _ in told(f"{text}budgets:\n{PERSON}")] == []


@pytest.mark.parametrize(
    ("other", "limited"),
    [
        ("match: {machine_group: ci}", True),
        ("match: {machine_group: ci}, except: {model: gpt-5}", False),
        ("match: {machine_group: ci, tool: cursor}", False),
        ("match: {machine_group: ci}, action: warn", False),
    ],
)
def test_what_one_budget_excepts_another_one_may_limit(other: str, *, limited: bool) -> None:
    """People beside build machines are limited wherever they are, if the other budget is about all that the first excepts."""
    text = (
        "machines: {ci: {match: ['ci-*']}}\nbudgets:\n"
        "  - {name: person, per: person, except: {machine_group: ci}, limit: $20 per day}\n"
        f"  - {{name: ci, per: machine, {other}, limit: $20 per day}}\n"
    )
    assert any("are not limited" in words for _, words in told(text)) is not limited
