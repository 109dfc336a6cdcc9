"""Rules that can never act are told, with what makes them so; a rule that may act, however seldom, is not."""

from __future__ import annotations

from datetime import date

import pytest

from spendgate.config.policy_file import parse_policy
from spendgate.review.doubts import Known, doubts

TODAY = date(2026, 11, 28)
OWN = {
    "anthropic": ("claude-opus-4-5", "claude-haiku-4-5"),
    "openai": ("gpt-5", "gpt-5-pro", "gpt-4o-2024-08-06", "gpt-oss-120b"),
}
KNOWN = Known(
    (
        *OWN["anthropic"],
        *OWN["openai"],
        "anthropic/claude-opus-4.5",
        "openai/gpt-oss-120b",
        "us.anthropic.claude-haiku-4-5",
        "auto",
    ),
    frozenset({"claude-code", "codex", "cursor"}),
    {"anthropic": ("api.anthropic.com",), "openai": ("api.openai.com",), "groq": ("api.groq.com",)},
    frozenset(),
    OWN,
    (3_000_000, 10_000_000),
)
HEAD = "version: 1\nowner: lead@acme.example\n"
PERSON = "  - {name: person, per: person, limit: $20 per day}\n"
ACCOUNTS = "billing: {accounts: [{provider: anthropic, account: org-1}], personal: %s}\n"
GATEWAY = "capture: {hosts: [{host: llm.acme.example, dialect: openai, billing: gateway}]}\n"


def told(text: str, budgets: str = "") -> list[tuple[str, str]]:
    """Every warning: what it is about, and its words."""
    whole = f"{HEAD}{text}budgets:\n{PERSON}{budgets}"
    return [(each.subject, each.text) for each in doubts(parse_policy(whole.encode()), TODAY, KNOWN)]


def budget(words: str, limit: str = "$5 per day") -> str:
    return f"  - {{name: b, per: person, limit: {limit}, {words}}}\n"


@pytest.mark.parametrize(
    ("text", "rule", "words"),
    [
        pytest.param(
            "",
            budget("match: {billing: subscription}"),
            "b is about no call: a subscription's calls cost nothing; counts: value counts them at list price",
            id="a plan's calls, which cost nothing",
        ),
        pytest.param(
            "capture: {providers: [anthropic]}\n",
            budget("match: {provider: open*}"),
            "b is about no call: open* is not decrypted, since capture.providers does not name it",
            id="a provider that is not decrypted",
        ),
        pytest.param(
            "capture: {never: [api.groq.com]}\n",
            budget("match: {provider: groq}"),
            "b is about no call: groq is not decrypted, since capture.never names every host of it",
            id="a provider all of whose hosts are never decrypted",
        ),
        pytest.param(
            "capture: {providers: [anthropic], never: ['*.acme.example'], "
            "hosts: [{host: llm.acme.example, dialect: openai, prices: groq}]}\n",
            budget("match: {provider: groq}"),
            "b is about no call: groq is not decrypted, since capture.providers does not name it",
            id="a host of one's own that is never decrypted, either",
        ),
        pytest.param(
            "models: [{name: no-opus, deny: ['claude-opus*', gpt-5-pro]}]\n",
            budget("match: {model: ['claude-opus-4-*', gpt-5-pro]}"),
            "b counts no call: every model that it is about is refused by no-opus",
            id="models denied to everybody",
        ),
        pytest.param(
            "models: [{name: only, allow: ['claude-haiku*']}]\n",
            budget("match: {model: 'gpt-5*', tool: codex}"),
            "b counts no call: every model that it is about is refused by only",
            id="models not among those allowed to everybody",
        ),
        pytest.param(
            ACCOUNTS % "refuse",
            budget("match: {billing: personal}"),
            "b is about no call: personal calls are refused before (billing.personal: refuse)",
            id="personal calls, which are refused",
        ),
        pytest.param(
            ACCOUNTS % "ignore",
            budget("match: {billing: personal}"),
            "b is about no call: personal calls are in no budget and no rate (billing.personal: ignore)",
            id="personal calls, which count nowhere",
        ),
        pytest.param(
            "",
            budget("match: {billing: [personal, gateway]}"),
            "b is about no call: no host under capture.hosts has billing: gateway; "
            "none is personal where billing.accounts lists none of the company's own",
            id="two words that no call has",
        ),
        pytest.param(
            "",
            budget("match: {tool: codex}, except: {tool: 'cod*'}"),
            "b excepts all that it matches: tool",
            id="all excepted",
        ),
        pytest.param(
            "",
            budget("action: warn, cut: true, wait: 30s", "$30 per week"),
            "b: cut and wait change nothing where action: warn lets every call go",
            id="words about refusing, where nothing is refused",
        ),
    ],
)
def test_a_budget_that_never_acts(text: str, rule: str, words: str) -> None:
    assert ("budgets.b", words) in told(text, rule)


@pytest.mark.parametrize(
    ("text", "subject", "words"),
    [
        ("rates: [{name: r, match: {billing: gateway}, parallel: 2}]\n", "rates.r", "r is about no call"),
        (
            "models: [{name: m, match: {billing: personal}, deny: [gpt-5]}]\n",
            "models.m",
            "none is personal where billing.accounts lists none",
        ),
        (
            "models: [{name: m, deny: [gpt-5]}]\nrates: [{name: r, match: {model: gpt-5}, parallel: 2}]\n",
            "rates.r",
            "r counts no call: every model that it is about is refused by m",
        ),
        (
            "capture: {providers: [anthropic]}\nmodels: [{name: m, match: {provider: openai}, deny: ['gpt-*']}]\n",
            "models.m",
            "m is about no call: openai is not decrypted",
        ),
        (
            "models: [{name: m, match: {tool: [codex, cursor]}, except: {tool: 'c*'}, deny: [gpt-5]}]\n",
            "models.m",
            "m excepts all that it matches: tool",
        ),
        (
            "billing:\n  seats:\n    - {name: all, match: {tool: 'claude-*'}, price: $20 per month}\n"
            "    - {name: max, match: {tool: claude-code}, price: $200 per month}\n",
            "billing",
            "seat max is never used: all fits all of its calls",
        ),
    ],
)
def test_another_rule_that_never_acts(text: str, subject: str, words: str) -> None:
    assert any(about == subject and words in said for about, said in told(text)), told(text)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", budget("match: {billing: subscription}, counts: value")),
        ("", budget("match: {billing: [subscription, metered]}")),
        ("", budget("match: {billing: overage}")),
        (GATEWAY, budget("match: {billing: gateway}")),
        (ACCOUNTS % "count", budget("match: {billing: personal}")),
        (
            "mode: {default: observe, enforce: [{provider: openai}]}\n" + ACCOUNTS % "refuse",
            budget("match: {billing: personal}"),
        ),
        ("rates: [{name: r, match: {billing: subscription}, parallel: 2}]\n", ""),
        ("models: [{name: m, match: {billing: subscription}, deny: [gpt-5]}]\n", ""),
        ("capture: {providers: [anthropic]}\n", budget("match: {provider: [openai, anthropic]}")),
        (
            "capture: {providers: [anthropic], hosts: [{host: llm.acme.example, dialect: openai}]}\n",
            budget("match: {provider: openai}"),
        ),
        ("capture: {providers: [anthropic]}\n", budget("match: {provider: openai}, counts: billed")),
        (
            "capture: {never: [api.groq.com], hosts: [{host: llm.acme.example, dialect: openai, prices: groq}]}\n",
            budget("match: {provider: groq}"),
        ),
        ("models: [{name: m, deny: [gpt-5], unresolved: allow}]\n", budget("match: {model: gpt-5}")),
        ("models: [{name: m, deny: [gpt-5-pro]}]\n", budget("match: {model: 'gpt-5*'}")),
        ("models: [{name: m, deny: [gpt-5], except: {machine: ci-1}}]\n", budget("match: {model: gpt-5}")),
        (
            "mode: {default: observe, enforce: [{machine: ci-1}]}\nmodels: [{name: m, deny: [gpt-5]}]\n",
            budget("match: {model: gpt-5}"),
        ),
        ("models: [{name: m, allow: ['claude-*', auto]}]\n", budget("match: {model: gpt-5}")),
        ("models: [{name: m, allow: ['claude-*']}]\n", budget("match: {model: 'anthropic/claude*', provider: groq}")),
        ("", budget("match: {tool: 'cod*'}, except: {tool: codex}")),
        ("", budget("match: {tool: codex}, except: {tool: codex, provider: openai}")),
        ("", budget("match: {api_key: 'key:9f86d081884c'}, except: {api_key: 'key:*'}")),
        ("", budget("cut: true, wait: 30s")),
        ("", budget("action: warn, hold: ceiling, match: {model: gpt-5}")),
        (
            "billing:\n  seats:\n    - {name: max, match: {tool: claude-code}, price: $200 per month}\n"
            "    - {name: all, match: {tool: 'claude-*'}, price: $20 per month}\n",
            "",
        ),
    ],
)
def test_what_may_act_is_not_doubted(text: str, rule: str) -> None:
    """Seldom is not never."""
    found = [
        said
        for about, said in told(text, rule)
        if about.partition(".")[0] not in ("billing", "capture") or "seat" in said
    ]
    assert not [said for said in found if "can never be reached" not in said], found


@pytest.mark.parametrize(
    ("text", "subject", "words"),
    [
        (
            "models: [{name: m, deny: ['anthropic/claude-opus*']}]\n",
            "models.m",
            "m: anthropic/claude-opus* fits no call to anthropic itself, whose models are named without 'anthropic/'; "
            "write claude-opus*, which fits every spelling",
        ),
        (
            "models: [{name: m, deny: ['anthropic/*']}]\n",
            "models.m",
            "m: anthropic/* fits no call to anthropic itself, whose models are named without 'anthropic/'; "
            "write match: {provider: anthropic}",
        ),
        (
            "rates: [{name: r, match: {model: 'openai/gpt-5*'}, parallel: 2}]\n",
            "rates.r",
            "r: openai/gpt-5* fits no call to openai itself, whose models are named without 'openai/'; "
            "write gpt-5*, which fits every spelling",
        ),
        (
            "mode: {default: observe, enforce: [{model: anthropic.claude-opus-4-5}]}\n",
            "mode",
            "mode: anthropic.claude-opus-4-5 fits no call to anthropic itself, whose models are named without 'anthropic.'; "
            "write claude-opus-4-5, which fits every spelling",
        ),
        (
            "models: [{name: m, allow: ['anthropic/claude-opus*', 'gpt-5*']}]\n",
            "models.m",
            "m: anthropic/claude-opus* allows no model: of an allow list the family decides, without vendor, date and version: "
            "claude-opus-4-5",
        ),
        (
            "models: [{name: m, allow: [gpt-4o-2024-08-06]}]\n",
            "models.m",
            "m: gpt-4o-2024-08-06 allows no model: of an allow list the family decides, without vendor, date and version: gpt-4o",
        ),
    ],
)
def test_a_pattern_of_one_spelling(text: str, subject: str, words: str) -> None:
    assert (subject, words) in told(text)


@pytest.mark.parametrize(
    "text",
    [
        "models: [{name: m, deny: ['claude-opus*', gpt-4o-2024-08-06, 'us.anthropic.claude-haiku*']}]\n",
        "models: [{name: m, deny: ['anthropic/claude-opus*', 'claude-opus*']}]\n",
        "models: [{name: m, match: {provider: groq}, deny: ['anthropic/claude-opus*']}]\n",
        "models: [{name: m, match: {provider: groq}, except: {model: 'anthropic/claude-opus*'}, deny: ['gpt-5*']}]\n",
        "models: [{name: m, deny: [openai/gpt-oss-120b]}]\n",
        "models: [{name: m, allow: ['claude-*', gpt-4o]}]\n",
    ],
)
def test_a_spelling_that_is_meant(text: str) -> None:
    assert told(text) == []


@pytest.mark.parametrize(
    ("match", "words"),
    [
        (
            "tool: 'cursor|codex'",
            "cursor|codex is one value, and no tool is called so; a list means any of them: [cursor, codex]",
        ),
        (
            "tool: 'cursor,codex'",
            "cursor,codex is one value, and no tool is called so; a list means any of them: [cursor, codex]",
        ),
        (
            "person: 'alice, bob'",
            "alice, bob is one value, and no person is called so; a list means any of them: [alice, bob]",
        ),
        (
            "api_key: sk-proj-abcdef",
            "no key is known as sk-proj-abcdef: a key is known by its public prefix, a colon and the first 12 hex digits of its "
            "SHA-256, such as sk-proj:9f86d081884c",
        ),
        (
            "api_key: 'sk-proj:9f86d081884c5'",
            "sk-proj:9f86d081884c5 has 13 digits behind sk-proj, and no key is known so; a key is known by its public prefix, a "
            "colon and the first 12 hex digits of its SHA-256, such as sk-proj:9f86d081884c",
        ),
        (
            "api_key: sk-proj-0123456789abcdefghij",
            "a key stands where its fingerprint is meant; did you mean sk-proj:94ef11c05501?",
        ),
        (
            "project: 'https://u:secret@github.com/a/b'",
            "no project is called https://github.com/a/b: one is host/owner/name; did you mean github.com/a/b?",
        ),
        (
            "project: 'git@github.com:a/b.git'",
            "no project is called git@github.com:a/b.git: one is host/owner/name; did you mean github.com/a/b?",
        ),
        ("project: shop", "no project is called shop: one is host/owner/name; did you mean */shop?"),
        (
            "project: github.com/acme",
            "no project is called github.com/acme: one is host/owner/name; did you mean github.com/acme/*?",
        ),
        (
            "project: acme/shop",
            "acme/shop is shop on a host called acme: a project is host/owner/name, such as github.com/acme/shop",
        ),
        (
            "machine: build host",
            "no machine is called build host: an id has letters, digits and . : _ - alone, at most 64; `spendgate status` prints "
            "this machine's",
        ),
    ],
)
def test_a_value_that_no_call_has(match: str, words: str) -> None:
    assert told("", budget(f"match: {{{match}}}")) == [("budgets.b", f"b: {words}")]


@pytest.mark.parametrize(
    "match",
    [
        "tool: [cursor, our-agent]",
        "api_key: [sk-proj:9f86d081884c, 'SK-ANT-api03:9F86D081884C', 'sk-ant-*', '*', several keys]",
        "project: [github.com/Acme/shop, 'acme/*', '*/shop', nas/~/tool, 'git.acme.example/*', '[::1]/a/b']",
        "machine: ['ci-*', C02XK1ZYJGH5, lt_0412.acme]",
        "person: alice",
        "session: 'a|b'",
    ],
)
def test_a_value_that_some_call_may_have(match: str) -> None:
    assert told("", budget(f"match: {{{match}}}")) == []


@pytest.mark.parametrize(
    ("selectors", "claimed"),
    [
        ("{tool: claude-code}", "tool"),
        ("{person: alice, project: github.com/a/b}", "project"),
        ("{group: canary}, {tool: codex, group: canary}", ""),
        ("{machine: ci-1}", ""),
        ("{model: gpt-5}", ""),
    ],
)
def test_whom_the_mode_takes_in_by_a_claim(selectors: str, claimed: str) -> None:
    """Whoever claims another tool is not enforced; another selector that takes these in, too, mends it."""
    found = told(f"people: {{alice: {{groups: [canary]}}}}\nmode: {{default: observe, enforce: [{selectors}]}}\n")
    words = f"enforce goes by {claimed}, which a client can forge: whoever claims another is only recorded"
    assert found == ([("mode", words)] if claimed else [])


@pytest.mark.parametrize(
    ("price", "words"),
    [
        (
            "{input: $0.0001, output: $1}",
            "pricing.unknown_model: input of $0.0001 is less than any model is listed at ($0.003 and more): a model whose price "
            "nobody knows would be the cheapest",
        ),
        ("{input: $0.01, output: $0.01}", ""),
    ],
)
def test_an_unknown_model_that_costs_next_to_nothing(price: str, words: str) -> None:
    assert told(f"pricing: {{unknown_model: {price}}}\n") == ([("pricing", words)] if words else [])
