"""What a change of a policy does: every change has its sentence, and none is silent."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spendgate.config.policies import load
from spendgate.config.policy_file import parse_policy
from spendgate.fitting import model_refusal, scopes
from spendgate.policy import Policy, person_of
from spendgate.review.changes import Change, Effect
from spendgate.review.diff import diff
from spendgate.selector import Facts
from spendgate.standing import Scope

TODAY = date(2026, 11, 28)
NOW_MS = 1_795_824_000_000
MODELS = ("claude-opus-4-5", "claude-sonnet-4-5", "gpt-5", "gpt-5-pro")
OLD = """\
version: 1
owner: lead@acme.example
help: "Ask in #ai."
on_failure: allow
people:
  alice: {team: payments, groups: [senior]}
  bob: {team: payments}
  carol: {accounts: [carol, car]}
unknown_people: shared
teams: {payments: {owner: lead@acme.example}}
capture: {never: [bridge.example.com]}
budgets:
  - {name: person, per: person, limit: [$20 per day, $200 per month]}
  - {name: team, match: {team: payments}, limit: $600 per month}
models:
  - {name: frontier, except: {group: senior}, deny: ["claude-opus-*", "gpt-5-pro*"]}
"""


RAISED = "{budget: person/month, match: {person: alice}, add: $50, until: 2026-12-15, reason: release week, approved_by: cto}"


def policy(text: str) -> Policy:
    return parse_policy(text.encode())


def changes(*edits: tuple[str, str]) -> tuple[Change, ...]:
    """What these replacements in OLD change."""
    text = OLD
    for before, after in edits:
        assert before in text
        text = text.replace(before, after)
    if "mean of" in text:
        text = text.replace("per: person, limit: [4x", "per: person, at_most: $20, limit: [4x")
    return diff(policy(OLD), policy(text), TODAY, MODELS)


@pytest.mark.parametrize(
    ("edit", "effect", "text"),
    [
        (
            ("$20 per day", "$30 per day"),
            Effect.MORE,
            "everybody: $20.00 -> $30.00 per day for each person (person/day)",
        ),
        (
            ("$200 per month", "$150 per month"),
            Effect.LESS,
            "$200.00 -> $150.00 per month for each person (person/month)",
        ),
        (
            (", limit: $600 per month", ", limit: none"),
            Effect.MORE,
            "alice, bob: the limit of $600.00 per month together (team) is gone",
        ),
        (
            ("match: {team: payments}, limit", "limit"),
            Effect.LESS,
            "anybody who is not listed, carol: now under $600.00 per month",
        ),
        (("limit: $600 per month", "limit: $600 per month, action: warn"), Effect.MORE, "only warns from now on"),
        (
            ("limit: $600 per month", "limit: $600 per month, hold: ceiling"),
            Effect.LESS,
            "team: hold: expected -> ceiling",
        ),
        (("group: senior}, deny", "person: bob}, deny"), Effect.MODELS, "alice: lose claude-opus-4-5, gpt-5-pro"),
        (
            ("bob: {team: payments}", "bob: {team: payments, groups: [senior]}"),
            Effect.MODELS,
            "bob: gain claude-opus-4-5, gpt-5-pro",
        ),
        (
            ('deny: ["claude-opus-*", "gpt-5-pro*"]', 'allow: ["claude-*"]'),
            Effect.MODELS,
            "carol, anybody who is not listed: gain claude-opus-4-5, lose gpt-5",
        ),
        (
            ("never: [bridge.example.com]", "never: [b.example.com]"),
            Effect.DECRYPTS,
            "bridge.example.com may be decrypted from now on",
        ),
        (
            ("never:", "hosts: [{host: llm.acme.example, dialect: openai}], never:"),
            Effect.DECRYPTS,
            "llm.acme.example is decrypted from now on",
        ),
        (("never:", "providers: [anthropic], never:"), Effect.DECRYPTS, "providers: all that are known -> anthropic"),
        (
            ("$20 per day", "4x mean of 7d per day"),
            Effect.LESS,
            "$20.00 per day for each person (person/day) -> 4x mean of 7d per day, at most $20.00, for each person (person/day)",
        ),
        (
            (", limit: $600 per month", ", limit: $600 per month, counts: billed"),
            Effect.LESS,
            "alice, bob: team counts what imported statements have and no call",
        ),
        (
            (", limit: $600 per month", ", limit: $600 per month, counts: value"),
            Effect.LESS,
            "alice, bob: team counts subscription traffic at list price",
        ),
        (
            (", limit: $600 per month", ", limit: $600 per month, per_machine: $50"),
            Effect.LESS,
            "one machine without the fleet's ledger: the whole limit -> $50.00 of team",
        ),
        (
            ("version: 1", f"version: 1\nexceptions: [{RAISED}]"),
            Effect.MORE,
            'alice: $50.00 more in person/month until 2026-12-15 ("release week"; approved by "cto", as claimed)',
        ),
        (
            ("version: 1", "version: 1\nrates: [{name: loop, per: person, requests: 100 per minute, parallel: 8}]"),
            Effect.LESS,
            "everybody: newly held to 100 requests per minute, 8 calls at once for each person (loop)",
        ),
        (("on_failure: allow", "on_failure: refuse"), Effect.POWER, "while the gate cannot decide: allow -> refuse"),
        (("version: 1", "version: 1\nmode: observe"), Effect.POWER, "mode: enforce -> observe"),
        (("  carol: {accounts: [carol, car]}\n", ""), Effect.PEOPLE, "no longer listed: carol"),
        (("[carol, car]", "[carol, carl]"), Effect.PEOPLE, "carol: accounts: carol, car -> carol, carl"),
        (("unknown_people: shared", "unknown_people: refuse"), Effect.PEOPLE, "not listed: shared -> refuse"),
        (('"Ask in #ai."', '"Ask in #it."'), Effect.OTHER, "help: Ask in #ai. -> Ask in #it."),
        (
            ("version: 1", "version: 1\npricing: {unknown_model: {input: $1, output: $2}}"),
            Effect.MORE,
            "a model without a known price, a million input tokens: $15.00 -> $1.00",
        ),
    ],
)
def test_each_change_has_its_sentence(edit: tuple[str, str], effect: Effect, text: str) -> None:
    """The sentence names whom it is about, and the figures before and after."""
    found = changes(edit)
    assert any(change.effect is effect and text in change.text for change in found), found


FRONTIER = '{name: frontier, except: {group: senior}, deny: ["claude-opus-*", "gpt-5-pro*"]}'


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        ("except: {group: senior}", 'except: {tool: "*"}', "calls with tool *: gain claude-opus-4-5, gpt-5-pro"),
        (
            "except: {group: senior}",
            'except: {tool: "*"}',
            "alice, calls with no tool: lose claude-opus-4-5, gpt-5-pro",
        ),
        ("except: {group: senior}", "except: {provider: openai}", "calls with provider openai: gain claude-opus-4-5"),
        (
            "except: {group: senior}",
            "match: {tool: codex}",
            "calls with no tool or any other tool: gain claude",
        ),
        ("gpt-5-pro*", "acme-*", "lose acme-*"),
        ('"claude-opus-*", ', '"claude-opus-4-5", ', "gain any other claude-opus-*"),
        (
            "except: {group: senior}",
            'match: {project: "github.com/acme/*"}, except: {project: "*/shop"}',
            "calls with project */shop or github.com/acme/* and */shop",
        ),
        ('pro*"]}', 'pro*"], suggest: gpt-5}', "model rule frontier: suggest: none -> gpt-5"),
        (FRONTIER, '{name: f, allow: ["claude-*", "acme-*"]}', "model rule f is new: allow: claude-*, acme-*"),
        (FRONTIER, '{name: f, allow: ["claude-*", "acme-*"]}', "model rule frontier is gone"),
    ],
)
@pytest.mark.parametrize("missing", ["", ", missing: refuse"])
def test_a_change_of_model_rules_is_asked_of_calls(before: str, after: str, text: str, missing: str) -> None:
    """Whatever else a call has beside its person; a budget that refuses some calls altogether hides nothing."""
    old = OLD.replace("limit: $600 per month", f"per: session, limit: $600 per month{missing}")
    assert before in old
    found = diff(policy(old), policy(old.replace(before, after)), TODAY, MODELS)
    assert any(text in change.text for change in found), found
    assert not any("the order of rules alone" in change.text for change in found)


@pytest.mark.parametrize(
    ("edits", "effect", "text"),
    [
        (
            [("$20 per day, $200 per month", "$90 per hour")],
            Effect.MORE,
            "-> $90.00 per hour for each person (person)",
        ),
        ([("$20 per day, $200 per month", "$20 per week")], Effect.LESS, "-> $20.00 per week for each person (person)"),
        ([("$20 per day, $200 per month", "$20 per day")], Effect.MORE, "-> $20.00 per day for each person (person)"),
        (
            [("$20 per day", "$25 per week")],
            Effect.EITHER,
            "$200.00 per month for each person (person/month), is $25.00 per week",
        ),
        ([("per: person, limit", "per: session, limit")], Effect.EITHER, "for each session (person/day)"),
        ([("$600 per month", "$600 per month, per: session, missing: refuse")], Effect.LESS, "missing: skip -> refuse"),
        ([("$600 per month", "$600 per month, cut: true")], Effect.LESS, "team: cut: false -> true"),
        ([("$600 per month", "$600 per month, wait: 5s")], Effect.OTHER, "team: wait: 20s -> 5s"),
        ([("bob: {team: payments}", "bob: {}")], Effect.MORE, "bob: no longer under $600.00 per month together (team)"),
        (
            [("  carol: {", "  carol: {team: payments, ")],
            Effect.LESS,
            "carol: now under $600.00 per month together (team)",
        ),
        ([("  bob: {team: payments}\n", "")], Effect.MORE, "bob: no longer under $600.00"),
        (
            [("  bob: {team: payments}\n", "  bob: {team: payments}\n  dora: {team: payments}\n")],
            Effect.LESS,
            "dora: now under $600",
        ),
        (
            [("unknown_people: shared", "unknown_people: refuse")],
            Effect.LESS,
            "anybody who is not listed: refused as not listed",
        ),
        (
            [("match: {team: payments}, limit", "except: {tool: codex}, limit")],
            Effect.LESS,
            "carol, calls with no tool or any other tool: now under $600.00",
        ),
        (
            [("match: {team: payments}, limit", "match: {team: payments}, except: {tool: codex}, limit")],
            Effect.MORE,
            "alice, bob, calls with tool codex: no longer under $600.00",
        ),
        (
            [
                (
                    "name: team, match: {team: payments}, limit",
                    "name: crew, per: session, missing: refuse, except: {tool: codex}, limit",
                )
            ],
            Effect.LESS,
            "for each session (crew), except tool codex, missing: refuse",
        ),
    ],
)
def test_directions_are_shown_or_not_claimed(edits: list[tuple[str, str]], effect: Effect, text: str) -> None:
    """Between two windows only where one surely allows no more; of people by what the selectors answer."""
    found = changes(*edits)
    assert any(change.effect is effect and text in change.text for change in found), found


@pytest.mark.parametrize(
    ("was", "now", "effect", "text"),
    [
        ('match: {tool: "c*x"}', "match: {tool: cx}", Effect.MORE, "tool c*x but not cx: no longer under"),
        ('match: {tool: "*c*"}', 'match: {tool: "c*"}', Effect.MORE, "tool *c* but not c*: no longer under"),
        ('match: {tool: "c*x"}', 'match: {tool: "*c*x"}', Effect.LESS, "tool *c*x but not c*x: now under"),
        ('except: {session: "a*"}', 'except: {session: "*a"}', Effect.MORE, "session *a but not a: no longer under"),
        (
            'match: {model: "gpt-5*"}',
            "match: {model: gpt-5}",
            Effect.MORE,
            "model gpt-5* but not gpt-5: no longer under",
        ),
        (
            'match: {project: "github.com/acme/*"}',
            'match: {project: "github.com/acme/*"}, except: {project: "*/shop"}',
            Effect.MORE,
            "calls with project github.com/acme/* and */shop: no longer under",
        ),
        (
            'match: {tool: "claude-*"}, except: {tool: "*code"}',
            'match: {tool: "claude-*"}',
            Effect.LESS,
            "calls with tool claude-* and *code: now under",
        ),
    ],
)
def test_what_globs_fit_beside_each_other(was: str, now: str, effect: Effect, text: str) -> None:
    """Of two that overlap, and of one that fits all of another: no loosened limit is told without its direction."""
    old, new = (policy(OLD.replace("match: {team: payments}, limit", f"{each}, limit")) for each in (was, now))
    told = diff(old, new, TODAY, MODELS)
    assert any(change.effect is effect and text in change.text for change in told), told


@pytest.mark.parametrize(
    ("was", "now", "effect"),
    [
        ("requests: 100 per minute", "requests: 200 per hour", Effect.EITHER),
        ("requests: 100 per minute", "requests: 100 per hour", Effect.LESS),
        ("requests: 200 per hour", "requests: 3 per minute", Effect.LESS),
        ("requests: 3 per minute", "per: person, requests: 3 per minute", Effect.MORE),
    ],
)
def test_the_direction_of_a_rate(was: str, now: str, effect: Effect) -> None:
    """A quota over another length is less only where it fits into the other one."""
    old, new = (policy(f"{OLD}rates: [{{name: loop, {each}}}]\n") for each in (was, now))
    assert [change.effect for change in diff(old, new, TODAY, MODELS)] == [effect]


@pytest.mark.parametrize(
    ("before", "after", "effect", "text"),
    [
        ("never:", "providers: [anthropic], never:", Effect.MORE, "calls to every provider but anthropic pass unseen"),
        (
            "[bridge.example.com]",
            "[bridge.example.com, b.example.com]",
            Effect.MORE,
            "calls to b.example.com, as far as",
        ),
        (
            "[bridge.example.com]",
            "[b.example.com]",
            Effect.LESS,
            "calls to bridge.example.com, as far as it is captured, come",
        ),
    ],
)
def test_what_is_not_captured_is_spent_unseen(before: str, after: str, effect: Effect, text: str) -> None:
    """Money that no budget counts is more money."""
    found = changes((before, after))
    assert any(change.effect is effect and text in change.text for change in found), found


@pytest.mark.parametrize(
    ("was", "now", "texts"),
    [
        (
            "never: [api.anthropic.com]",
            "never: ['*.anthropic.com']",
            [
                "*.anthropic.com (but for api.anthropic.com) is never decrypted from now on",
                "calls to *.anthropic.com (but for api.anthropic.com), as far as it is captured, pass unseen",
            ],
        ),
        (
            "never: ['*.anthropic.com']",
            "never: [api.anthropic.com]",
            [
                "*.anthropic.com (but for api.anthropic.com) may be decrypted from now on",
                "calls to *.anthropic.com (but for api.anthropic.com), as far as it is captured, come under",
            ],
        ),
        (
            "never: ['*.anthropic.com']",
            "never: ['*.anthropic.com', api.anthropic.com]",
            ["never has the same hosts, otherwise written"],
        ),
        (
            "hosts: [{host: acme.openai.azure.com, dialect: azure}]",
            "providers: [anthropic], hosts: [{host: acme.openai.azure.com, dialect: azure}]",
            [
                "providers: all that are known -> anthropic",
                "every provider but anthropic (but for acme.openai.azure.com of capture.hosts) pass unseen",
            ],
        ),
        (
            "providers: [anthropic], hosts: [{host: acme.openai.azure.com, dialect: azure}]",
            "providers: [anthropic, azure], hosts: [{host: acme.openai.azure.com, dialect: azure}]",
            ["providers: anthropic -> ", "calls to azure (but for acme.openai.azure.com of capture.hosts) come under"],
        ),
    ],
)
def test_what_is_captured_is_told_by_hosts(was: str, now: str, texts: list[str]) -> None:
    """Of a domain its hosts are meant: what the gate does as before is not told as a change."""
    old, new = (policy(OLD.replace("never: [bridge.example.com]", each)) for each in (was, now))
    found = diff(old, new, TODAY, MODELS)
    assert len(found) == len(texts), found
    assert all(text in change.text for text, change in zip(texts, found, strict=True)), found


def test_instants_of_an_exception_and_what_people_wrote() -> None:
    """An hour that moves is seen; a reason cannot pass for a part of the sentence."""
    raised = RAISED.replace("2026-12-15", "2026-12-15T14:00:00Z")
    later = raised.replace("T14", "T18").replace("release week", "x; approved by ceo")
    old, new = (f"exceptions: [{each}]\n" for each in (raised, raised.replace("T14", "T18")))
    (found,) = diff(policy(OLD + old), policy(OLD + new), TODAY, MODELS)
    assert "until 2026-12-15T14:00:00+00:00" in found.text
    assert "until 2026-12-15T18:00:00+00:00" in found.text
    (forged,) = diff(policy(OLD), policy(f"{OLD}exceptions: [{later}]\n"), TODAY, MODELS)
    assert '("x; approved by ceo"; approved by "cto", as claimed)' in forged.text


def test_what_is_kept_for_strangers_and_machines() -> None:
    """One allowance for all strangers or one each; and which machines a group has."""
    found = changes(("unknown_people: shared", "unknown_people: each"))
    assert any(each.effect is Effect.MORE and "an allowance each" in each.text for each in found), found
    old = OLD.replace("budgets:\n", "machines: {ci: {match: [a1]}}\nbudgets:\n").replace(
        "match: {team: payments}", "match: {machine_group: ci}"
    )
    found = diff(policy(old), policy(old.replace("[a1]", "[b2]")), TODAY, MODELS)
    text = "machines of ci: gains b2; loses a1; rules about them: team"
    assert any(each.effect is Effect.EITHER and each.text == text for each in found), found


def test_all_budgets_come_or_go() -> None:
    """A file without one is a policy, too."""
    without = OLD[: OLD.index("budgets:")] + OLD[OLD.index("models:") :]
    gone = diff(policy(OLD), policy(without), TODAY, MODELS)
    assert len([change for change in gone if change.effect is Effect.MORE]) == 3
    come = diff(policy(without), policy(OLD), TODAY, MODELS)
    assert len([change for change in come if change.effect is Effect.LESS]) == 3


BEFORE = """version: 1
pricing:
  adjust:
    - {match: {provider: anthropic}, multiply: 0.85, from: 2026-10-01}
    - {match: {model: "gpt-5*"}, set: {input: $1, output: $8}}
billing:
  accounts: [{provider: anthropic, account: org-1}]
  personal: count
  seats: [{name: max, match: {tool: claude-code}, price: $200 per month, included: $600 per month}]
"""


@pytest.mark.parametrize(
    ("edit", "effect", "text"),
    [
        (
            ("multiply: 0.85", "multiply: 0.8"),
            Effect.MORE,
            "calls with provider anthropic: list price x 0.85 from 2026-10-01 -> list price x 0.8 from 2026-10-01",
        ),
        (("multiply: 0.85", "multiply: 1.1"), Effect.LESS, "-> list price x 1.1 from 2026-10-01"),
        (
            ("from: 2026-10-01", "from: 2026-12-01"),
            Effect.LESS,
            "list price x 0.85 from 2026-10-01 -> list price x 0.85 from 2026-12",
        ),
        (
            ("    - {match: {provider: anthropic}, multiply: 0.85, from: 2026-10-01}\n", ""),
            Effect.LESS,
            "calls with provider anthropic: list price x 0.85 from 2026-10-01 -> list price;",
        ),
        (("output: $8", "output: $6"), Effect.MORE, "input $1 output $8 per million -> input $1 output $6 per million"),
        (("input: $1, output: $8", "input: $2, output: $8"), Effect.LESS, "calls with model gpt-5*: input $1"),
        (("input: $1, output: $8", "input: $2, output: $6"), Effect.EITHER, "input $2 output $6 per million"),
        (
            ("account: org-1}", "account: org-1}, {provider: anthropic, account: org-2}"),
            Effect.LESS,
            "anthropic org-2 is the company's",
        ),
        (
            ("account: org-1", "account: org-2"),
            Effect.MORE,
            "anthropic org-1 is personal from now on: counted as metered",
        ),
        (
            ("account: org-1}", "account: org-1}, {provider: openai, account: acme}"),
            Effect.OTHER,
            "openai: calls on other accounts than acme are personal: counted as metered",
        ),
        (("personal: count", "personal: ignore"), Effect.MORE, "counted as metered -> in no budget"),
        (("personal: count", "personal: refuse"), Effect.LESS, "counted as metered -> refused"),
        (
            ("included: $600", "included: $500"),
            Effect.OTHER,
            "seat max: $200.00 per month, $600.00 included, tool claude-code -> $200.00 per month, $500.00 included",
        ),
        (("{name: max,", "{name: team,"), Effect.OTHER, "seat team: none -> $200.00 per month"),
    ],
)
def test_each_change_of_an_agreement_has_its_sentence(edit: tuple[str, str], effect: Effect, text: str) -> None:
    """Prices widen and narrow budgets; accounts come into them and leave."""
    old = OLD.replace("version: 1\n", BEFORE)
    assert edit[0] in old
    found = diff(policy(old), policy(old.replace(*edit, 1)), TODAY, MODELS)
    assert any(change.effect is effect and text in change.text for change in found), found


PRICES = (
    "    - {match: {provider: anthropic}, multiply: 0.9, until: 2026-12-31}\n",
    "    - {match: {provider: anthropic}, multiply: 0.8, from: 2027-01-01}\n",
)


@pytest.mark.parametrize(
    ("now", "texts"),
    [
        pytest.param(PRICES[1], ["list price x 0.9 until 2026-12-31 -> list price"], id="the first goes"),
        pytest.param(PRICES[0], ["list price x 0.8 from 2027-01-01 -> list price"], id="the second goes"),
        pytest.param(
            "    - {match: {provider: anthropic}, multiply: 0.7, until: 2026-11-30}\n" + "".join(PRICES),
            ["list price -> list price x 0.7 until 2026-11-30"],
            id="one comes before them",
        ),
        pytest.param(
            PRICES[1].replace("0.8", "0.75"),
            [
                "list price x 0.9 until 2026-12-31 -> list price",
                "list price x 0.8 from 2027-01-01 -> list price x 0.75 from 2027-01-01",
            ],
            id="the first goes, and the second is another price",
        ),
    ],
)
def test_prices_are_paired_by_what_they_are_about_and_their_days(now: str, texts: list[str]) -> None:
    """Not by their places: an entry that stays as it is has no line."""
    head = OLD.replace("version: 1\n", "version: 1\npricing:\n  adjust:\nPRICES")
    was, is_ = (policy(head.replace("PRICES", each)) for each in ("".join(PRICES), now))
    found = [each.text.partition("; ")[0] for each in diff(was, is_, TODAY, MODELS) if each.where == "pricing.adjust"]
    assert sorted(found) == sorted(f"calls with provider anthropic: {text}" for text in texts)


NAMED = """version: 1
owner: lead@acme.example
people: {alice: {}}
budgets:
  - {name: mine, per: person, limit: [$20 per day, $90 per month]}
  - {name: all, limit: $500 per month}
exceptions: [{budget: mine/day, match: {person: alice}, add: $5, until: 2027-01-01, reason: r, approved_by: c}]
alerts: [{name: pace, pace: 60% by week 2, budget: mine/month}]
notify: [{to: "slack://${SPENDGATE_SECRET_AI}", for: [alert]}]
"""
KEY = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"
APPROVER = f"approvers: [{{person: alice, key: {KEY}, up_to: $5, for: {{person: alice}}}}]\n"


@pytest.mark.parametrize(
    ("edit", "more", "found"),
    [
        (("mine", "each"), "", [(Effect.OTHER, "budget mine is called each from now on")]),
        (
            ("mine", "each"),
            APPROVER,
            [
                (
                    Effect.LESS,
                    "budget mine is called each from now on: what approvers have granted of mine no longer counts",
                )
            ],
        ),
        (
            ("add: $5", "add: $9"),
            "",
            [
                (Effect.OTHER, "budget mine is called each from now on"),
                (Effect.MORE, "alice: $5.00 more in each/day until 2027-01-01"),
            ],
        ),
    ],
)
def test_a_budget_that_is_only_called_otherwise_is_told_so(
    edit: tuple[str, str], more: str, found: list[tuple[Effect, str]]
) -> None:
    """Its exceptions and alerts go with it; nobody is newly limited by it."""
    old = NAMED + more
    lines = diff(policy(old), policy(old.replace("mine", "each").replace(*edit)), TODAY, MODELS)
    assert len(lines) == len(found)
    for effect, text in found:
        assert any(each.effect is effect and each.text.startswith(text) for each in lines), lines


def test_a_budget_of_another_name_and_sum_goes_and_comes() -> None:
    """What is not alike otherwise is told in full."""
    new = NAMED.replace("name: all, limit: $500", "name: pool, limit: $400")
    texts = [each.text for each in diff(policy(NAMED), policy(new), TODAY, MODELS)]
    assert any("the limit of $500.00 per month together (all) is gone" in each for each in texts)
    assert any("newly limited to $400.00 per month together (pool)" in each for each in texts)


def test_another_order_of_prices_is_told_beside_a_changed_price() -> None:
    """Of several that fit the last one holds."""
    first, second = (
        "    - {match: {provider: anthropic}, multiply: 0.85, from: 2026-10-01}\n",
        '    - {match: {model: "gpt-5*"}, set: {input: $1, output: $8}}\n',
    )
    old = OLD.replace("version: 1\n", BEFORE)
    new = old.replace(first + second, second + first.replace("0.85", "0.84"))
    assert any("the order of price adjustments" in each.text for each in diff(policy(old), policy(new), TODAY, MODELS))


def test_a_receiver_at_another_address_is_told_beside_other_purposes() -> None:
    """The same service with another secret is somebody else."""
    one, other = (
        f'{OLD}notify: [{{to: "slack://${{SPENDGATE_SECRET_{secret}}}", for: [{words}]}}]\n'
        for secret, words in (("ONE", "alert"), ("TWO", "alert, page"))
    )
    (found,) = diff(policy(one), policy(other), TODAY, MODELS)
    assert "and addresses differ" in found.text


def test_nothing_changed() -> None:
    """Comments and layout are no change; the order of rules is one, and said."""
    assert changes(("version: 1", "# a comment\nversion: 1")) == ()
    first, second = OLD[OLD.index("  - {name: person") :].split("\n")[:2]
    assert [change.where for change in changes((f"{first}\n{second}", f"{second}\n{first}"))] == ["order"]


def test_the_gravest_come_first() -> None:
    """A reviewer reads what is decrypted before anything else."""
    found = changes(
        ('"Ask in #ai."', '"Ask."'),
        ("$20 per day", "$30 per day"),
        ("never: [bridge.example.com]", "never: [b.example.com]"),
    )
    assert [change.effect for change in found][:1] == [Effect.DECRYPTS]
    assert [change.effect for change in found] == sorted((change.effect for change in found), key=list(Effect).index)


EDITS = (
    ("$20 per day", ("$20 per day", "$25 per day", "$20 per rolling 24h", "$20 per week")),
    (
        "$600 per month}",
        ("$600 per month}", "$60 per month}", "$600 per month, wait: 5s}", "$600 per month, cut: true}", "none}"),
    ),
    ("[senior]", ("[senior]", "[junior]")),
    (
        "models:\n",
        (
            "models:\n",
            f"exceptions: [{RAISED}]\nmodels:\n",
            f"exceptions: [{RAISED.replace('$50', '$60')}]\nmodels:\n",
            f"exceptions: [{RAISED.replace('add', 'limit').replace('$50', '$600')}]\nmodels:\n",
            f"exceptions: [{RAISED.replace('cto', 'cfo')}]\nmodels:\n",
        ),
    ),
    (
        "people:\n",
        (
            "people:\n",
            "rates: [{name: loop, per: person, requests: 9 per minute}]\npeople:\n",
            "rates: [{name: loop, per: person, requests: 9 per hour}]\npeople:\n",
            "rates: [{name: loop, requests: 9 per hour, parallel: 2, wait: 3s}]\npeople:\n",
        ),
    ),
    ("shared", ("shared", "each", "refuse")),
    (
        "version: 1",
        (
            "version: 1",
            "version: 1\ntimezone: Europe/Berlin",
            "version: 1\nrefusals: strict",
            "version: 1\nweek_starts: sunday",
        ),
    ),
    ('"gpt-5-pro*"]', ('"gpt-5-pro*"]', '"gpt-5-pro*"], suggest: gpt-5', '"gpt-5*"], unresolved: allow')),
    ("{group: senior}, deny", ("{group: senior}, deny", "{person: alice}, deny")),
)


@settings(max_examples=150, deadline=None)
@given(
    st.tuples(*[st.sampled_from(words) for _, words in EDITS]),
    st.tuples(*[st.sampled_from(words) for _, words in EDITS]),
)
def test_no_change_is_silent(left: tuple[str, ...], right: tuple[str, ...]) -> None:
    """Two policies have no line between them if and only if they are the same policy."""

    def made(chosen: tuple[str, ...]) -> Policy | None:
        text = OLD
        for (before, _), after in zip(EDITS, chosen, strict=True):
            text = text.replace(before, after)
        if "senior}" in text and "[senior]" not in text:
            text = text.replace("senior}", "junior}")
        return policy(text)

    old, new = made(left), made(right)
    assert old is not None
    assert new is not None
    assert bool(diff(old, new, TODAY, MODELS)) is (old.hash != new.hash)


SELECTORS = (
    "", "match: {tool: codex}, ", 'match: {model: "claude-*"}, ', "match: {team: payments}, ", "match: {group: senior}, ",
    "except: {tool: codex}, ", "except: {group: senior, provider: openai}, ", 'except: {tool: "*"}, ',
)  # fmt: skip
PERSONS = ("", "team: payments", "groups: [senior]", "team: payments, groups: [senior]")
EDITED = st.fixed_dictionaries(
    {
        "alice": st.sampled_from(PERSONS),
        "bob": st.sampled_from(PERSONS),
        "budget": st.sampled_from(SELECTORS),
        "limit": st.sampled_from(
            ("$5 per day", "$9 per day", "$30 per week", "$90 per month", "[$5 per day, $30 per week]")
        ),
        "per": st.sampled_from(("", "per: person, ", "per: session, ", "per: [team, tool], ")),
        "rule": st.sampled_from(SELECTORS),
        "models": st.sampled_from(('deny: ["claude-opus-*"]', 'allow: ["claude-*"]', 'deny: ["acme-*", "gpt-5-pro*"]')),
    }
)
PEOPLE = ("alice", "bob", "carol")


def edited(words: dict[str, str]) -> Policy:
    people = "".join(f"  {name}: {{{words.get(name, 'team: payments, groups: [senior]')}}}\n" for name in PEOPLE)
    return policy(
        f"version: 1\nowner: lead@acme.example\npeople:\n{people}teams: {{payments: {{}}}}\n"
        f"budgets:\n  - {{name: main, {words['budget']}{words['per']}limit: {words['limit']}}}\n"
        f"models:\n  - {{name: rule, {words['rule']}{words['models']}}}\n"
    )


@settings(max_examples=200, deadline=None)
@given(
    EDITED,
    EDITED,
    st.sampled_from(PEOPLE),
    st.tuples(
        st.sampled_from((*MODELS, "acme-1", "other-1")),
        st.sampled_from((None, "codex", "claude-code")),
        st.sampled_from(("openai", "anthropic")),
    ),
)
def test_no_call_is_let_through_in_silence(
    left: dict[str, str], right: dict[str, str], person: str, call: tuple[str, str | None, str]
) -> None:
    """Whatever call the product's own rules let through anew, or no longer limit: the diff says so of that person."""
    old, new = edited(left), edited(right)
    found = diff(old, new, TODAY, MODELS)
    assert bool(found) is (old.hash != new.hash)
    facts = []
    for each in (old, new):
        who = person_of(each, person, today=TODAY)
        model, tool, provider = call
        known = {"tool": tool, "provider": provider, "machine": "m", "session": "s"}
        facts.append(Facts.of(model=model, person=who.person, team=who.team, group=who.groups, **known))
    was, now = (model_refusal(each, of) for each, of in zip((old, new), facts, strict=True))
    if was and not now:
        assert any(each.effect is Effect.MODELS and "gain" in each.text and concerns(each, person) for each in found), (
            found
        )
    if now and not was:
        assert any(each.effect is Effect.MODELS and "lose" in each.text and concerns(each, person) for each in found), (
            found
        )
    drawn = [scopes(each, of, NOW_MS, enforced=True) for each, of in zip((old, new), facts, strict=True)]
    if any(_looser(scope, drawn[1]) for scope in drawn[0]):
        more = {Effect.MORE, Effect.EITHER}
        assert any(each.effect in more and concerns(each, person) for each in found), found


def concerns(change: Change, person: str) -> bool:
    return person in change.text or change.text.startswith("everybody")


def _looser(scope: Scope, after: tuple[Scope, ...]) -> bool:
    """Whether the same window of the same budget has more room now, or none of it is counted."""
    same = [each for each in after if each.window == scope.window]
    return not after or any(each.limit_nanos > scope.limit_nanos for each in same)


def test_every_shipped_policy_against_every_other() -> None:
    """No pair breaks it."""
    files = sorted((Path(__file__).parents[2] / "policies").rglob("*.yaml"))
    every = [load(file) for file in files if "\nversion: 1\n" in f"\n{file.read_text()}"]
    for old in every:
        for new in every:
            assert bool(diff(old, new, TODAY, MODELS)) is (old.hash != new.hash)


ZONED = OLD.replace("version: 1", "version: 1\ntimezone: Europe/Berlin").replace(
    "{payments: {owner: lead@acme.example}}", "{payments: {owner: lead@acme.example, timezone: Asia/Tokyo}}"
)


@pytest.mark.parametrize(
    ("at", "edits", "texts"),
    [
        (
            "2026-11-28T12:00+01:00",
            ("Europe/Berlin", "America/New_York"),
            (
                "everybody but for payments, with a timezone of their own: the day that runs now in budget person/day counts"
                " from 2026-11-28 00:00 EST on, was 2026-11-27 18:00 EST: what was spent in between is not counted any more,"
                " so more is left; it ends 2026-11-29 00:00 EST, 6 h later",
            ),
        ),
        (
            "2026-11-28T03:00+01:00",  # in New York it is still the day before
            ("Europe/Berlin", "America/New_York"),
            (
                "counts from 2026-11-27 00:00 EST on, was 2026-11-27 18:00 EST: what was spent in between counts in it, too, so "
                "less is left; it ends 2026-11-28 00:00 EST, 18 h earlier",
            ),
        ),
        (
            "2026-11-28T12:00+01:00",
            ("timezone: Asia/Tokyo", "timezone: Asia/Kolkata"),
            ("team payments: the day that runs now in budget person/day counts from 2026-11-28 00:00 IST on",),
        ),
        (
            "2026-11-28T12:00+01:00",
            ("version: 1", "version: 1\nfiscal_year_starts: february"),
            ("the fiscal year begins in: january -> february",),
        ),
    ],
)
def test_calendars_that_cut_windows_elsewhere(at: str, edits: tuple[str, str], texts: tuple[str, ...]) -> None:
    """What the window that runs counts then, from the instant at which the new one takes force."""
    now_ms = int(datetime.fromisoformat(at).timestamp() * 1000)
    found = diff(policy(ZONED), policy(ZONED.replace(*edits)), TODAY, MODELS, now_ms=now_ms)
    for text in texts:
        assert any(text in change.text for change in found), found


def test_what_a_cut_window_counts_is_what_the_ledger_counts() -> None:
    """The beginnings that are told are those of the scopes on which calls then draw."""
    now_ms = int(datetime.fromisoformat("2026-11-28T12:00+01:00").timestamp() * 1000)
    changed = policy(ZONED.replace("Europe/Berlin", "America/New_York"))
    (day,) = [
        scope.starts_ms
        for scope in scopes(changed, Facts.of(person="carol"), now_ms, enforced=True)
        if scope.budget == "person/day"
    ]
    told = [change.text for change in diff(policy(ZONED), changed, TODAY, MODELS, now_ms=now_ms)]
    start = datetime.fromtimestamp(day / 1000, UTC).astimezone(ZoneInfo("America/New_York"))
    assert any(f"budget person/day counts from {start:%Y-%m-%d %H:%M %Z} on" in text for text in told)


def test_patterns_that_overlap_beside_many_others() -> None:
    """What two of them fit is asked about, however many there are that nothing else fits."""
    many = ", ".join(f"a{number}-*" for number in range(120))
    text = OLD.replace(
        "match: {team: payments}, limit",
        f'match: {{tool: ["claude-*", "{many.replace(", ", chr(34) + ", " + chr(34))}"]}}, limit',
    )
    found = diff(
        policy(text), policy(text.replace("]}, limit", ']}, except: {tool: "*-code"}, limit', 1)), TODAY, MODELS
    )
    assert any(each.effect is Effect.MORE and "claude-* and *-code" in each.text for each in found), found
