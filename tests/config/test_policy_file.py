"""Policy files: one bad file for each fault, all faults at once, and no text that breaks the reader."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spendgate.budget import Missing
from spendgate.config.people import Known
from spendgate.config.policies import default, load
from spendgate.config.policy_file import parse_policy
from spendgate.config.yaml_nodes import BYTES_MAX
from spendgate.errors import PolicyError
from spendgate.roster import UnknownPeople
from spendgate.standing import Hold
from spendgate.window import Unit

BAD = Path(__file__).parents[1] / "bad_policies"
POLICIES = Path(__file__).parents[2] / "policies"
KNOWN = Known(
    ("anthropic", "openai"), ("anthropic-messages", "openai"), frozenset({"api.anthropic.com"}), ("anthropic", "openai")
)
HEAD = "version: 1\nowner: ops@acme.example\n"


def faults(text: str) -> tuple[str, ...]:
    """The faults of a policy text."""
    with pytest.raises(PolicyError) as caught:
        parse_policy(text.encode(), "p.yaml", KNOWN)
    return caught.value.faults


def included(bad: Path, name: str) -> bytes:
    """What a bad file includes: in a folder of its own, else in the common one."""
    own = BAD / "included" / bad.stem.removeprefix("included_") / name
    return (own if own.exists() else BAD / "included" / name).read_bytes()


@pytest.mark.parametrize("bad", sorted(BAD.glob("*.yaml")), ids=lambda path: path.stem)
def test_each_fault_is_told_with_its_place(bad: Path) -> None:
    """A bad file is refused with file, line, column, key, what was found and what is allowed."""
    with pytest.raises(PolicyError) as caught:
        parse_policy(bad.read_bytes(), bad.name, KNOWN, beside=lambda name: included(bad, name))
    assert "\n".join(caught.value.faults) + "\n" == bad.with_suffix(".txt").read_text()


def test_each_bad_file_has_its_message_and_each_message_its_file() -> None:
    """No expectation is left over."""
    assert {path.stem for path in BAD.glob("*.yaml")} == {path.stem for path in BAD.glob("*.txt")}


def test_all_faults_are_told_at_once_in_the_order_of_the_file() -> None:
    """One look shows everything that is wrong."""
    found = faults(f"{HEAD}mode: on\nbudgets:\n  - {{name: a, limit: $x, hold: no}}\ntimezone: here\n")
    assert [line.split(": ")[1] for line in found] == ["mode", "budgets[1].limit", "budgets[1].hold", "timezone"]


def test_three_lines_are_a_policy() -> None:
    """What is left out has its default: enforced, UTC, every account a person of its own, all known providers."""
    policy = parse_policy(f"{HEAD}budgets: [{{name: all, limit: $5 per day}}]\n".encode())
    assert (policy.mode.default, policy.timezone, policy.roster.unknown) == ("enforce", "UTC", UnknownPeople.EACH)
    assert policy.capture.providers is None
    (budget,) = policy.budgets
    assert (budget.name, budget.limit_nanos, budget.hold, budget.wait_ms) == (
        "all",
        5_000_000_000,
        Hold.EXPECTED,
        20_000,
    )


WHOLE = r"""
version: 1
owner: platform-ai@acme.example
help: "Ask in #ai-budget"
mode:
  default: observe
  enforce:
    - group: canary
timezone: America/Los_Angeles
week_starts: sunday
fiscal_year_starts: february
on_failure: allow up to $10 per person
refusals: strict
capture:
  providers: [anthropic]
  hosts:
    - {host: LLM.acme.example, dialect: openai, prices: anthropic, billing: gateway}
  never: [bridge.example.com]
  browsers: count
  stream_usage: ask
people:
  alice: {email: alice@acme.example, accounts: [alice, 'ACME\alice'], team: payments, groups: [senior, canary]}
  bob: {team: payments, until: 2027-03-31}
unknown_people: refuse
teams:
  commerce: {owner: vp@acme.example, timezone: Europe/Berlin}
  payments: {parent: commerce, cost_center: "0471"}
budgets:
  - name: person
    per: person
    limit: [$20 per hour, $60 per rolling 24h, "$1,000.50 per month"]
  - {name: session, per: session, limit: $25, hold: ceiling, wait: 30s, cut: true, missing: shared}
  - {name: opus, per: [person, tool], match: {model: "claude-opus-*"}, limit: $30 per week, action: warn}
  - {name: free, match: {team: commerce}, except: {person: bob}, limit: none}
models:
  - {name: seniors, except: {group: senior}, deny: ["claude-opus-*"], suggest: claude-sonnet-4-5, unresolved: allow}
pricing:
  unknown_model: {input: $15, output: $75.5}
"""


def test_every_key_arrives() -> None:
    """Every supported key of the file is a value of the policy."""
    policy = parse_policy(WHOLE.encode(), known=KNOWN)
    assert [selector.as_data() for selector in policy.mode.enforce] == [{"group": ["canary"]}]
    assert (policy.help, policy.week_starts, policy.fiscal_month) == ("Ask in #ai-budget", 6, 2)
    assert (policy.on_failure.action, policy.on_failure.limit_nanos) == ("allow", 10_000_000_000)
    assert policy.capture.hosts[0].model_dump() == {
        "host": "llm.acme.example", "dialect": "openai", "prices": "anthropic", "billing": "gateway",
    }  # fmt: skip
    alice, bob = policy.roster.people
    assert (alice.accounts, alice.groups, bob.accounts, bob.until) == (
        ("alice", "ACME\\alice"), ("senior", "canary"), ("bob",), date(2027, 3, 31),
    )  # fmt: skip
    payments = policy.roster.team_by_name["payments"]
    assert (payments.lineage, payments.zone, payments.cost_center) == (
        ("payments", "commerce"),
        "Europe/Berlin",
        "0471",
    )
    assert [(budget.name, budget.limit_nanos, budget.order) for budget in policy.budgets] == [
        ("person/hour", 20_000_000_000, 0),
        ("person/rolling-24h", 60_000_000_000, 1),
        ("person/month", 1_000_500_000_000, 2),
        ("session", 25_000_000_000, 3),
        ("opus", 30_000_000_000, 4),
    ]
    session, opus = policy.budgets[3:]
    assert (session.window, session.hold, session.wait_ms, session.cut, session.missing) == (
        None, Hold.CEILING, 30_000, True, Missing.SHARED,
    )  # fmt: skip
    assert (opus.per, opus.enforce_action, opus.window and opus.window.unit) == (("person", "tool"), False, Unit.WEEK)
    assert policy.unlimited == ("free",)
    assert (policy.models[0].suggest, policy.models[0].unresolved) == ("claude-sonnet-4-5", "allow")
    assert (policy.unknown_model.input_nanos, policy.unknown_model.output_nanos) == (15_000_000_000, 75_500_000_000)


def test_yaml_never_types_a_value() -> None:
    """Octals, sexagesimals, booleans and dates of YAML are the text that was written."""
    policy = parse_policy(
        f"{HEAD}help: 12:30:00\nteams:\n  0471: {{cost_center: 0o17}}\n  no: {{owner: 2026-01-01}}\n".encode()
    )
    assert policy.help == "12:30:00"
    assert [(team.name, team.cost_center, team.owner) for team in policy.roster.teams] == [
        ("0471", "0o17", None), ("no", None, "2026-01-01"),
    ]  # fmt: skip


def test_a_comment_with_a_space_is_a_comment() -> None:
    """`limit: $5 # for all` is a limit and a comment."""
    assert (
        parse_policy(f"{HEAD}budgets:\n  - name: a # the one\n    limit: $5   ## five\n".encode()).budgets[0].name
        == "a"
    )


def test_a_file_too_large_is_not_read() -> None:
    """Size is bounded, and the bound is named."""
    with pytest.raises(PolicyError, match="at most 1,048,576"):
        parse_policy(b"#" * (BYTES_MAX + 1))


def test_faults_are_bounded() -> None:
    """After a hundred faults only their number is told."""
    found = faults(HEAD + "".join(f"k{number}: x\n" for number in range(150)))
    assert len(found) == 101
    assert found[-1] == "p.yaml: and 50 more"


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.one_of(st.text(max_size=300), st.text(alphabet="&*!|>[]{}:,-?#'\"% \n\tab$1<~", max_size=200)))
def test_any_text_is_a_policy_or_refused(text: str) -> None:
    """Whatever a file holds, the reader gives a policy or faults."""
    try:
        parse_policy(text.encode("utf-8", "surrogatepass"))
    except PolicyError as fault:
        assert fault.faults


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.data())
def test_any_edit_of_a_good_file_is_a_policy_or_refused(data: st.DataObject) -> None:
    """One changed stretch of a whole policy never breaks the reader."""
    start = data.draw(st.integers(0, len(WHOLE)))
    end = data.draw(st.integers(start, min(len(WHOLE), start + 12)))
    put = data.draw(st.text(alphabet="&*!|>[]{}:,-?#'\"% \n\tab$1<~/", max_size=8))
    try:
        parse_policy((WHOLE[:start] + put + WHOLE[end:]).encode(), known=KNOWN)
    except PolicyError as fault:
        assert fault.faults


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_policy_or_refused(data: bytes) -> None:
    """Bytes that are no text are refused as that."""
    try:
        parse_policy(data)
    except PolicyError as fault:
        assert fault.faults


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "{a: " * 100_000, "? " * 50_000, "- " * 50_000], ids=["[", "{", "?", "-"]
)
def test_depth_is_bounded(text: str) -> None:
    """However deep a file nests, it is refused and the stack stands."""
    assert faults(text)


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(POLICIES.glob("examples/*.yaml")) if not path.name.endswith(".test.yaml")],
    ids=lambda path: path.stem,
)
def test_the_examples_load(path: Path) -> None:
    """Each example takes force as it stands."""
    assert load(path).budgets


def test_the_default_is_enforced_and_bounded() -> None:
    """What runs without a policy enforces a limit on each person in each of its windows."""
    policy = default()
    assert policy.mode.default == "enforce"
    assert [budget.name for budget in policy.budgets] == ["person/hour", "person/day", "person/month"]


def test_content_decides_the_hash() -> None:
    """Comments, order of keys and layout do not change the hash; an amount does."""
    one = parse_policy(f"{HEAD}budgets: [{{name: a, limit: $5}}]\n".encode())
    same = parse_policy(
        b"# other layout\nowner: ops@acme.example\nversion: 1\nbudgets:\n  - limit: $5.00\n    name: a\n"
    )
    other = parse_policy(f"{HEAD}budgets: [{{name: a, limit: $6}}]\n".encode())
    assert one.hash == same.hash != other.hash
