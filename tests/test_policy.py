"""The policy: which budgets and model rules fit a call, who is enforced, which refusal is named."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spendgate.admission import RefusalKind, Refuse, who_refuses
from spendgate.budget import Budget, Missing
from spendgate.config.policy_file import parse_policy
from spendgate.exceptions import Granted
from spendgate.fitting import enforces, model_refusal, scopes
from spendgate.model_rules import ModelRule
from spendgate.policy import Mode, Policy, person_of, today_in
from spendgate.roster import Roster, Team
from spendgate.selector import Facts, Selector
from spendgate.window import HOUR_MS, Window

NOON_MS = int(datetime.fromisoformat("2026-11-22T12:00+00:00").timestamp()) * 1000
CALL = Facts.of(
    person="alice",
    team=("payments", "commerce"),
    group=("senior", "canary"),
    machine="m1",
    tool="claude-code",
    provider="anthropic",
    model="claude-opus-4-5-20251101",
    session="s1",
    billing="metered",
)


def budget(name: str = "b", *, order: int = 0, window: str | None = None, **more: Any) -> Budget:
    """A budget of one dollar."""
    cut = Window.parse(window) if window else None
    return Budget(**{"name": name, "base_name": name, "limit_nanos": 10**9, "window": cut, "order": order, **more})


def policy(*budgets: Budget, **more: Any) -> Policy:
    """A policy with these budgets."""
    return Policy(owner="ops@acme.example", budgets=budgets, **more)


def where(**values: str | list[str]) -> Selector:
    """A selector in the file's words."""
    return Selector.of({name: [value] if isinstance(value, str) else value for name, value in values.items()})


@pytest.mark.parametrize(
    ("match", "excepted", "fits"),
    [
        pytest.param({}, {}, True, id="no selector fits all"),
        pytest.param({"person": "ALICE"}, {}, True, id="case does not count"),
        pytest.param({"person": "a*e"}, {}, True, id="glob"),
        pytest.param({"person": ["bob", "alice"]}, {}, True, id="a list means any"),
        pytest.param({"person": "alice", "tool": "codex"}, {}, False, id="all keys must fit"),
        pytest.param({"team": "commerce"}, {}, True, id="a team includes its children"),
        pytest.param({"group": "canary"}, {}, True, id="any of the groups"),
        pytest.param({"project": "*"}, {}, False, id="a missing value fits nothing"),
        pytest.param({}, {"group": "senior"}, False, id="except"),
        pytest.param({}, {"group": "senior", "tool": "codex"}, True, id="except needs all keys too"),
        pytest.param({"model": "claude-opus-4.5"}, {}, True, id="family"),
        pytest.param({"model": "*-20251101"}, {}, True, id="the name asked for"),
        pytest.param({"model": "claude-sonnet-*"}, {}, False, id="another model"),
    ],
)
def test_which_budgets_fit(match: dict[str, Any], excepted: dict[str, Any], fits: bool) -> None:
    """A budget draws on a call that its match fits and its except does not."""
    found = scopes(policy(budget(match=where(**match), excepted=where(**excepted))), CALL, NOON_MS, True)
    assert bool(found) is fits


@pytest.mark.parametrize(
    ("per", "values"),
    [
        pytest.param((), [""], id="one shared allowance"),
        pytest.param(("person",), ["alice"], id="person"),
        pytest.param(("team",), ["payments"], id="the own team, not its parents"),
        pytest.param(("group",), ["senior", "canary"], id="each group"),
        pytest.param(("model",), ["claude-opus-4-5"], id="the family"),
        pytest.param(("person", "tool"), ["alice|claude-code"], id="combination"),
        pytest.param(("group", "tool"), ["senior|claude-code", "canary|claude-code"], id="combination of several"),
        pytest.param(("project",), [], id="missing: skip"),
        pytest.param(("person", "project"), [], id="missing in a combination"),
    ],
)
def test_whose_allowance(per: tuple[str, ...], values: list[str]) -> None:
    """`per` names the allowance by the call's own values."""
    assert [scope.value for scope in scopes(policy(budget(per=per)), CALL, NOON_MS, True)] == values


def test_a_value_cannot_pass_for_a_combination() -> None:
    """Two different combinations never share an allowance, whatever a client calls its session."""
    one = Facts.of(session="a|b", tool="c")
    other = Facts.of(session="a", tool="b|c")
    rules = policy(budget(per=("session", "tool")))
    assert scopes(rules, one, NOON_MS, True)[0].value != scopes(rules, other, NOON_MS, True)[0].value


def test_long_values_are_cut_and_stay_apart() -> None:
    """A client's session id is bounded in a balance's key; two long ones are still two."""
    rules = policy(budget(per=("session",)))
    one, other = (scopes(rules, Facts.of(session="x" * 5000 + end), NOON_MS, True)[0].value for end in "ab")
    assert len(one) == len(other) == 200
    assert one != other


def test_missing_shared_is_one_allowance() -> None:
    """`missing: shared`: all calls without the value draw on one allowance."""
    assert (
        scopes(policy(budget(per=("project",), missing=Missing.SHARED)), CALL, NOON_MS, True)[0].value == "(no project)"
    )


def test_missing_refuse_is_a_refusal_of_the_rule() -> None:
    """`missing: refuse` refuses a fitting call without the value, and no other."""
    rules = policy(budget("project", per=("project",), missing=Missing.REFUSE, match=where(tool="claude-code")))
    refused = model_refusal(rules, CALL)
    assert refused is not None
    assert (refused.kind, refused.rule) == (RefusalKind.RULE, "project")
    assert model_refusal(rules, Facts.of(tool="codex")) is None
    assert model_refusal(rules, Facts.of(tool="claude-code", project="github.com/a/b")) is None


def test_a_scope_carries_the_budgets_words() -> None:
    """Window, limit, hold and order arrive as the file has them; rolling windows start their length ago."""
    rules = policy(budget("a/day", window="day"), budget("b", window="rolling 24h", order=1), budget("c", order=2))
    day, rolling, life = scopes(rules, CALL, NOON_MS, True)
    assert (day.window, day.starts_ms, day.ends_ms) == ("2026-11-22", NOON_MS - 12 * HOUR_MS, NOON_MS + 12 * HOUR_MS)
    assert (rolling.window, rolling.starts_ms, rolling.ends_ms, rolling.rolling_ms) == (
        "rolling", NOON_MS - 24 * HOUR_MS, None, 24 * HOUR_MS,
    )  # fmt: skip
    assert (life.window, life.starts_ms, life.ends_ms, life.rolling_ms) == ("life", 0, None, None)
    assert [scope.order for scope in (day, rolling, life)] == [0, 1, 2]


def test_warn_and_observe_do_not_enforce() -> None:
    """A scope is enforced where the mode and the budget's action both say so."""
    rules = policy(budget("a"), budget("b", order=1, enforce_action=False))
    assert [scope.enforced for scope in scopes(rules, CALL, NOON_MS, True)] == [True, False]
    assert [scope.enforced for scope in scopes(rules, CALL, NOON_MS, False)] == [False, False]


def test_mode_enforces_for_those_it_names() -> None:
    """Under `default: observe` only calls that a selector fits are enforced."""
    rules = policy(mode=Mode(default="observe", enforce=(where(group="canary"),)))
    assert enforces(rules, CALL)
    assert not enforces(rules, Facts.of(person="bob"))
    assert enforces(policy(), Facts.of(person="bob"))


BERLIN = Roster(
    teams=(
        Team(name="commerce", timezone="Europe/Berlin", lineage=("commerce",), zone="Europe/Berlin"),
        Team(name="payments", parent="commerce", lineage=("payments", "commerce"), zone="Europe/Berlin"),
    )
)


@pytest.mark.parametrize(
    ("more", "zoned"),
    [
        pytest.param({"per": ("person",)}, True, id="a person of the team"),
        pytest.param({"per": ("team",)}, True, id="the team"),
        pytest.param({"match": where(team="payments")}, True, id="a budget of one team"),
        pytest.param({}, False, id="a budget of all"),
        pytest.param({"per": ("tool",)}, False, id="an allowance over teams"),
    ],
)
def test_a_teams_zone_cuts_its_own_allowances_only(more: dict[str, Any], zoned: bool) -> None:
    """One allowance has one calendar: the team's where it belongs to the team or one of its people, else the policy's."""
    (scope,) = scopes(policy(budget(window="day", **more), roster=BERLIN), CALL, NOON_MS, True)
    assert scope.starts_ms == NOON_MS - (13 if zoned else 12) * HOUR_MS


def test_words_tell_what_a_balance_counts() -> None:
    """Another limit leaves a budget's words; another window, selector or zone changes them."""

    def words(found: Policy) -> str:
        return scopes(found, CALL, NOON_MS, True)[0].words

    day = words(policy(budget(window="day")))
    assert day == words(policy(budget(window="day", limit_nanos=5, wait_ms=0)))
    others = {
        words(policy(budget(window="month"))),
        words(policy(budget(window="day", match=where(tool="claude-code")))),
        words(policy(budget(window="day"), timezone="Europe/Berlin")),
        words(policy(budget(window="day", per=("person",)))),
    }
    assert day not in others
    assert len(others) == 4


@given(
    st.lists(st.integers(0, 40 * 24), min_size=1, max_size=12), st.sampled_from(["hour", "day", "rolling 24h", None])
)
def test_what_is_remembered_changes_no_scope(hours: list[int], window: str | None) -> None:
    """Scopes that a policy made before are those that a fresh policy makes."""
    kept = policy(budget(window=window, per=("person",)), timezone="America/Los_Angeles")
    for hour in hours:
        fresh = policy(budget(window=window, per=("person",)), timezone="America/Los_Angeles")
        at_ms = NOON_MS + hour * HOUR_MS
        assert scopes(kept, CALL, at_ms, True) == scopes(fresh, CALL, at_ms, True)


def rule(**more: Any) -> Policy:
    """A policy with one model rule."""
    return policy(models=(ModelRule(**{"name": "m", "order": 0, **more}),))


@pytest.mark.parametrize(
    ("words", "model", "refused"),
    [
        pytest.param({"deny": ("claude-opus-*",)}, "claude-opus-4-5-20251101", True, id="denied by name"),
        pytest.param({"deny": ("claude-opus-4-5",)}, "us.anthropic.claude-opus-4-5-20251101-v1:0", True, id="denied by family"),
        pytest.param({"deny": ("claude-opus-*",)}, "claude-sonnet-4-5", False, id="not denied"),
        pytest.param({"allow": ("claude-sonnet-*",)}, "anthropic/claude-sonnet-4.5", False, id="allowed by family"),
        pytest.param({"allow": ("claude-sonnet-*",)}, "gpt-5", True, id="not allowed"),
        pytest.param({"allow": ("anthropic/*",)}, "anthropic/claude-opus-4.5", True, id="only the family allows"),
        pytest.param({"deny": ("claude-opus-*",)}, "auto", True, id="a router may become it"),
        pytest.param({"deny": ("claude-opus-*",), "unresolved": "allow"}, "auto", False, id="unresolved: allow"),
        pytest.param({"deny": ("gpt-5*",)}, "claude-opus-latest", False, id="an alias that cannot become it"),
        pytest.param({"deny": ("claude-opus-4-5",)}, "opus", True, id="a short name may become it"),
        pytest.param({"allow": ("claude-*",)}, "claude-opus-latest", False, id="whatever it becomes is allowed"),
        pytest.param({"allow": ("claude-opus-4-5",)}, "opus", True, id="it may become another"),
        pytest.param({"allow": ("gpt-5",), "unresolved": "allow"}, "opus", True, id="it cannot become an allowed one"),
        pytest.param({"deny": ("claude-opus-*",)}, None, True, id="no model said"),
        pytest.param({"deny": ("claude-opus-*",)}, "@preset/mine", True, id="a preset may hold it"),
        pytest.param({"allow": ("gpt-5-mini",)}, "@preset/gpt-5-mini", True, id="a preset that is called like an allowed one"),
        pytest.param({"allow": ("@preset/mine",)}, "@preset/mine", False, id="an allowed preset"),
        pytest.param({"deny": ("x",), "match": where(group="junior")}, "x", False, id="not its people"),
        pytest.param({"deny": ("x",), "excepted": where(group="senior")}, "x", False, id="excepted"),
    ],
)  # fmt: skip
def test_model_rules(words: dict[str, Any], model: str | None, refused: bool) -> None:
    """Deny if either name fits, allow if the family fits; an alias counts as what it may become."""
    found = model_refusal(rule(**words), CALL.answered_by(model))
    assert (found is not None) is refused
    assert found is None or (found.kind, found.rule) == (RefusalKind.RULE, "m")


def test_an_alias_holds_in_every_model_budget_it_may_become() -> None:
    """A hold counts where the alias may become the model; the charge only where the answering model fits."""
    rules = policy(
        budget("opus", match=where(model="claude-opus-*")), budget("gpt", order=1, match=where(model="gpt-*"))
    )
    assert [scope.budget for scope in scopes(rules, CALL.answered_by("auto"), NOON_MS, True)] == ["opus", "gpt"]
    assert [scope.budget for scope in scopes(rules, CALL.answered_by("opus"), NOON_MS, True)] == ["opus"]
    assert [scope.budget for scope in scopes(rules, CALL.answered_by("gpt-5"), NOON_MS, True)] == ["gpt"]


def refuse(kind: RefusalKind, rule_name: str, resets_ms: int | None = None) -> Refuse:
    """A refusal without figures."""
    return Refuse(kind, rule_name, "why", resets_ms=resets_ms)


@pytest.mark.parametrize(
    ("refusals", "named"),
    [
        pytest.param([refuse(RefusalKind.SPENT, "day", 5), refuse(RefusalKind.RULE, "m")], "m", id="a model rule first"),
        pytest.param([refuse(RefusalKind.SPENT, "day", 5), refuse(RefusalKind.SPENT, "month", 9)], "month", id="latest reset"),
        pytest.param([refuse(RefusalKind.SPENT, "month", 9), refuse(RefusalKind.SPENT, "life")], "life", id="never resets"),
        pytest.param([refuse(RefusalKind.SPENT, "a", 5), refuse(RefusalKind.SPENT, "b", 5)], "a", id="order of the file"),
        pytest.param([refuse(RefusalKind.HELD, "month", 9), refuse(RefusalKind.SPENT, "day", 5)], "day", id="held passes sooner"),
    ],
)  # fmt: skip
def test_which_refusal_is_named(refusals: list[Refuse], named: str) -> None:
    """The refusal that lasts longest is named and the others are counted."""
    found = who_refuses(refusals)
    assert (found.rule, found.others) == (named, len(refusals) - 1)


def test_people_are_found_through_the_policy() -> None:
    """`person_of` asks the roster on the day in the policy's zone."""
    rules = policy(timezone="Pacific/Auckland")
    assert today_in(rules, NOON_MS).isoformat() == "2026-11-23"
    assert person_of(rules, "Alice", today=today_in(rules, NOON_MS)).person == "alice"


def test_facts_know_only_the_policys_attributes() -> None:
    """A misspelled attribute is an error of the program, not a call without a value."""
    with pytest.raises(TypeError, match="persn"):
        Facts.of(persn="alice")


BY_SESSION = {
    "a budget's per": 'budgets: [{name: b, per: session, limit: "$1"}]',
    "a budget's match": 'budgets: [{name: b, match: {session: "s*"}, limit: "$1"}]',
    "a budget's except": 'budgets: [{name: b, except: {session: s1}, limit: "$1"}]',
    "where it is enforced": "mode: {default: observe, enforce: [{session: s1}]}",
    "a model rule": 'models: [{name: m, match: {session: s1}, deny: ["gpt-*"]}]',
    "a rate": "rates: [{name: r, per: [person, session], requests: 1 per minute}]",
    "an exception": """
budgets: [{name: b, limit: "$1 per day"}]
exceptions: [{budget: b, match: {session: s1}, add: $1, until: 2027-06-30, reason: r, approved_by: a}]""",
    "an adjusted price": "pricing: {adjust: [{match: {session: s1}, multiply: 0.85}]}",
    "an alert": "alerts: [{name: a, burn: $12 in 1h, per: session, severity: notice}]",
}


@pytest.mark.parametrize("text", BY_SESSION.values(), ids=BY_SESSION)
def test_what_goes_by_sessions_is_found_wherever_it_stands(text: str) -> None:
    assert parse_policy(f"version: 1\nowner: ops@acme.example\n{text}".encode()).by_session


def test_what_was_granted_may_go_by_sessions_too() -> None:
    """And a policy without any such rule does not."""
    plain = policy(budget(per=("person",), match=where(tool="claude-code")))
    granted = Granted(
        budget="b", match=where(session="s1"), add_nanos=1, until_ms=NOON_MS, reason="r", approved_by="a", grant="g", told="",
    )  # fmt: skip
    assert not plain.by_session
    assert plain.granting((granted,)).by_session
