"""Whatever call the product's own rules count, refuse or enforce otherwise after a change: the diff says so, and which way."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.review.test_diff import MODELS, NOW_MS, TODAY, policy

from spendgate import lapse
from spendgate.config.believing import Latest
from spendgate.errors import PolicyError
from spendgate.fitting import enforces, model_refusal, scopes
from spendgate.policy import Policy, person_of
from spendgate.providers.registry import Registry
from spendgate.review.changes import Change, Effect
from spendgate.review.diff import diff
from spendgate.selector import Facts

BASE = """version: 1
owner: lead@acme.example
people:
  alice: {team: payments, groups: [senior]}
  bob: {team: risk}
  carol: {accounts: [carol, car]}
  dan: {team: payments, until: 2027-01-31}
unknown_people: shared
teams: {commerce: {}, payments: {parent: commerce}, risk: {}}
machines: {ci: {match: ["ci-*"], owner: alice}}
budgets:
  - {name: person, per: person, except: {machine_group: ci}, limit: [$20 per day, $200 per month]}
  - {name: commerce, match: {team: commerce}, limit: $600 per month}
  - {name: each, per: team, limit: $90 per week}
  - {name: tool, per: [person, tool], match: {model: "claude-*"}, limit: $9 per hour}
  - {name: project, per: project, match: {project: "acme/*"}, limit: $50}
models:
  - {name: frontier, except: {group: senior}, deny: ["claude-opus-*"]}
  - {name: only, match: {team: risk}, allow: ["claude-*", "gpt-5*"]}
"""
ALL, AI, X, Y = (
    f"{{host: '{name}', dialect: openai}}"
    for name in ("*.acme.example", "*.ai.acme.example", "x.ai.acme.example", "y.ai.acme.example")
)
Y = Y.replace("openai}", "openai, billing: gateway, prices: anthropic}")
HOSTS = "capture: {hosts: [%s]}"
CAPTURED = ("a.acme.example", "b.ai.acme.example", "x.ai.acme.example", "y.ai.acme.example")
ENDED = (
    "exceptions: [{budget: commerce, match: {team: commerce}, add: $5, until: 2026-01-01, reason: r, approved_by: c}]"
)
EDITS = (
    ("bob: {team: risk}", "bob: {team: risk, groups: [senior]}"),
    ("bob: {team: risk}", "bob: {team: payments}"),
    ("bob: {team: risk}", "bob: {team: risk, accounts: [bob, x]}"),
    ("  bob: {team: risk}\n", "  bob: {team: risk}\n  eve: {team: risk, accounts: [eve, x]}\n"),
    ("  dan: {team: payments, until: 2027-01-31}\n", ""),
    ("carol: {accounts: [carol, car]}", "carol: {accounts: [carol, car, 'bob@ci-1']}"),
    ("carol: {accounts: [carol, car]}", "carol: {team: payments, accounts: [carol]}"),
    ("  carol: {", "  caroline: {"),
    ("parent: commerce", "owner: a@b.example"),
    ("risk: {}", "risk: {parent: commerce}"),
    ("until: 2027-01-31", "until: 2026-11-01"),
    ("unknown_people: shared", "unknown_people: owner"),
    ("unknown_people: shared", "unknown_people: each"),
    ("unknown_people: shared", "unknown_people: refuse"),
    ('match: ["ci-*"]', 'match: ["ci-*", "b*"]'),
    ("owner: alice}", "owner: bob}"),
    ("except: {machine_group: ci}, ", ""),
    ("except: {machine_group: ci}", "except: {machine_group: ci, tool: codex}"),
    ("$20 per day, $200", "$30 per day, $100"),
    ("per: team, limit", "per: team, except: {provider: openai}, limit"),
    ("per: team, limit", "per: group, limit"),
    ("$600 per month", "$500 per month"),
    ("per: [person, tool]", "per: [session, tool]"),
    ('model: "claude-*"', 'model: "claude-opus*"'),
    ('"acme/*"', '"acme/x*"'),
    ('"claude-opus-*"]', '"claude-opus-*", "gpt-5-pro"]'),
    ("match: {team: risk}, allow", "match: {team: risk, tool: codex}, allow"),
    ("$50}", "$50, missing: refuse}"),
    ("$50}", "$50, missing: shared}"),
    ("$90 per week}", "$90 per week, action: warn}"),
    ("$600 per month}", "$600 per month, action: warn}"),
    ("match: {team: commerce}, limit: $600", "match: {team: commerce}, limit: $700"),
    ("version: 1", "version: 1\nmode: observe"),
    ("version: 1", "version: 1\nfleet: {hub: 'https://h.acme.example', offline: refuse}"),
    ("version: 1", "version: 1\nfleet: {hub: 'https://h.acme.example', offline: allow}"),
    ("version: 1", "version: 1\nrevision: 4"),
    ("version: 1", "version: 1\nrevision: 5"),
    ("version: 1", f"version: 1\n{ENDED}"),
    ("version: 1", f"version: 1\n{ENDED.replace('2026-01-01', '2027-01-01')}"),
    ("owner: lead", f"{HOSTS % ', '.join((ALL, X, Y))}\nowner: lead"),
    ("owner: lead", f"{HOSTS % ', '.join((AI, X))}\nowner: lead"),
    ("owner: lead", f"{HOSTS % ', '.join((ALL, AI))}\nowner: lead"),
    ("owner: lead", f"{HOSTS % ', '.join((ALL, Y))}\nowner: lead"),
    ("owner: lead", f"{HOSTS % f'{AI}], never: [y.ai.acme.example'}\nowner: lead"),
    ("version: 1", "version: 1\nmode: {default: observe, enforce: [{team: payments}, {machine_group: ci}]}"),
)
CALLERS = (
    ("alice", "m"), ("bob", "m"), ("bob", "ci-1"), ("carol", "m"), ("car", "m"), ("dan", "m"), ("zed", "m"), ("zed", "ci-1"),
    ("zed", "b1"), ("eve", "m"), ("x", "m"),
)  # fmt: skip
CALLS = tuple(product(MODELS, (None, "codex"), (None, "acme/1", "acme/x1")))
UP, DOWN = frozenset({Effect.MORE, Effect.EITHER}), frozenset({Effect.LESS, Effect.EITHER})


def edited(chosen: Iterable[tuple[str, str]]) -> Policy | None:
    """BASE with those of the edits that still find their place; None: they make no policy together."""
    text = BASE
    for before, after in chosen:
        text = text.replace(before, after)
    try:
        return policy(text)
    except PolicyError:
        return None


def facts(of: Policy, caller: tuple[str, str], call: tuple[str, str | None, str | None]) -> Facts | None:
    account, machine = caller
    model, tool, project = call
    who = person_of(of, account, today=TODAY, machine=machine)
    if who.refused:
        return None
    groups = tuple(group.name for group in of.roster.machine_groups(machine))
    known = {"tool": tool, "project": project, "machine": machine, "machine_group": groups, "session": "s"}
    provider = "anthropic" if model.startswith("claude") else "openai"
    return Facts.of(model=model, provider=provider, person=who.person, team=who.team, group=who.groups, **known)


def told(found: Iterable[Change], where: str, effects: frozenset[Effect], names: set[str]) -> bool:
    """A change of machines is told as one, by the rules that ask for them."""
    near = [change for change in found if change.effect in effects and change.where.startswith((where, "machines."))]
    return any(
        change.text.startswith(("everybody", "machines of")) or any(name in change.text for name in names)
        for change in near
    )


chosen = st.lists(st.sampled_from(EDITS), max_size=4, unique=True)


SEVEN = (
    [("carol: {accounts: [carol, car]}", "carol: {accounts: [carol, car, 'bob@ci-1']}"), EDITS[3]],
    [EDITS[7], EDITS[0], EDITS[1], EDITS[-1]],
)
"""Of seven that the mode lets go six were named, and whoever is not listed was "1 more"."""


@settings(max_examples=120, deadline=None)
@given(chosen, chosen, st.sampled_from(CALLERS))
@example(*SEVEN, ("zed", "m"))
@example(
    [],
    [("unknown_people: shared", "unknown_people: refuse"), ("version: 1", "version: 1\nmode: observe")],
    ("zed", "m"),
)
def test_no_limit_changes_in_silence(
    left: list[tuple[str, str]], right: list[tuple[str, str]], caller: tuple[str, str]
) -> None:
    """By the account and the machine of every caller, for each kind of call."""
    old, new = edited(left), edited(right)
    if old is None or new is None:
        return
    found = diff(old, new, TODAY, MODELS)
    assert bool(found) is (old.hash != new.hash)
    _whole((old, new), found)
    _hosts((old, new), found)
    for call in CALLS:
        was, now = facts(old, caller, call), facts(new, caller, call)
        if was is None or now is None:
            if (was is None) is not (now is None):
                effects = UP if was is None else DOWN
                if (old if was is None else new).mode.default == "observe":
                    # Who is refused there is only recorded, where the other side may have refused what does not fit.
                    effects = UP | DOWN | {Effect.RECORDS}
                assert told(found, "unknown_people", effects, {caller[0], "not listed"}), found
            continue
        names = {caller[0], "not listed", *was.values["person"], *now.values["person"]}
        _limits((old, new), (was, now), found, names)
        refused = [model_refusal(each, of) is not None for each, of in zip((old, new), (was, now), strict=True)]
        if refused[0] is not refused[1]:
            word = "lose" if refused[1] else "gain"
            models = [change for change in found if word in change.text]
            lacking = told(found, "budgets.project", DOWN if refused[1] else UP, names | {"everybody"})
            assert told(models, "models", frozenset(Effect), names) or lacking, (caller, call, found)
        binding = [enforces(each, of) for each, of in zip((old, new), (was, now), strict=True)]
        if binding[0] is not binding[1]:
            assert told(found, "mode", DOWN if binding[1] else UP, names), (caller, call, found)


def _limits(
    policies: tuple[Policy, Policy], who: tuple[Facts, Facts], found: tuple[Change, ...], names: set[str]
) -> None:
    was, now = (
        {scope.budget: scope for scope in scopes(each, of, NOW_MS, enforced=True) if scope.enforced}
        for each, of in zip(policies, who, strict=True)
    )
    if not all(enforces(each, of) for each, of in zip(policies, who, strict=True)):
        # Of whom the mode lets go, and takes in, it is told as the mode's.
        return
    for name in was.keys() | now.keys():
        if name not in now:
            effects = UP
        elif name not in was:
            effects = DOWN
        elif was[name].limit_nanos != now[name].limit_nanos:
            effects = UP if now[name].limit_nanos > was[name].limit_nanos else DOWN
        else:
            continue
        assert told(found, f"budgets.{name.partition('/')[0]}", effects, names), (name, who, found)


def _whole(policies: tuple[Policy, Policy], found: tuple[Change, ...]) -> None:
    """What a file does as a whole: refuses everybody, nobody, or is refused by the gate itself."""
    old, new = policies
    refuses = [lapse.refusal(each, NOW_MS) is not None for each in policies]
    if refuses[0] is not refuses[1]:
        assert [change for change in found if change.where == "fleet" and change.text.startswith("everybody")], found
    if all(each.mode.default == "observe" and not each.mode.enforce for each in policies):
        assert not [change for change in found if change.effect in UP | DOWN], found
    was = old.validity.revision
    if was is not None and old.hash != new.hash:
        taken = True
        try:
            Latest(was, "of the old file", old.hash).judge(new, "of the new file")
        except ValueError:
            taken = False
        assert any("refuses this file" in change.text for change in found) is not taken, found


def _hosts(policies: tuple[Policy, Policy], found: tuple[Change, ...]) -> None:
    """Of a captured host: how its calls are read and billed, and whether at all."""
    was, now = (Registry.build(each.capture) for each in policies)
    for name in CAPTURED:
        before, after = was.host(name), now.host(name)
        if before == after:
            continue
        near = [change for change in found if change.where.startswith("capture.")]
        texts = [change.text for change in near if change.effect is not Effect.OTHER]
        assert any(
            name in text or f"*.{name.partition('.')[2]}" in text or "*.acme.example" in text for text in texts
        ), (name, found)
        if before is None or after is None:
            # Calls that come under rules, or that no rule sees any more.
            effects = (DOWN if before is None else UP) | (
                {Effect.RECORDS} if policies[0].mode.default == "observe" else set()
            )
            assert [change for change in near if change.effect in effects | {Effect.RECORDS}], (name, found)
