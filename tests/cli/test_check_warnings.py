"""What `policy check` says of a policy that takes force and is hardly meant, as the reviewer at the terminal reads it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.kit import app

HEAD = "version: 1\nowner: ops@acme.example\n"
PEOPLE = "people: {alice: {groups: [junior]}, bob: {}, carol: {until: 2020-01-31}}\nunknown_people: refuse\n"
TWO = "budgets:\n  - {name: a, per: person, limit: $5 per day}\n  - {name: b, per: person, limit: $9 per day}\n"
SHADOWED = "b can never be reached: a counts the same calls and is spent before"


def checked(folder: Path, text: str, name: str = "policy.yaml", *, code: int = 0) -> list[str]:
    """The lines that `check` prints of this policy."""
    (folder / name).write_text(text)
    done = CliRunner().invoke(app, ["policy", "check", str(folder / name)])
    assert done.exit_code == code, done.output
    return [line.replace(f"{folder}/", "") for line in done.output.splitlines()]


def warnings(folder: Path, text: str) -> list[str]:
    return [line.partition(": warning: ")[2] for line in checked(folder, text) if ": warning: " in line]


@pytest.mark.parametrize(
    ("rules", "names"),
    [
        pytest.param('[{name: none, deny: ["*"]}]', "none", id="alone"),
        pytest.param(
            '[{name: some, deny: ["claude-*"]}, {name: none, deny: ["*"]}]', "none", id="the one that does it"
        ),
        pytest.param(
            '[{name: juniors, match: {group: junior}, deny: ["*"]}, {name: rest, except: {group: junior}, deny: ["*"]}]',
            "juniors, rest",
            id="two together",
        ),
    ],
)
def test_nobody_is_refused_everything_in_silence(tmp_path: Path, rules: str, names: str) -> None:
    """`deny: ["*"]` leaves no model to anybody: that is no rule about models any more."""
    told = f"every call of everybody is refused: {names} denies every model that there is"
    assert told in warnings(tmp_path, f"{HEAD}{PEOPLE}models: {rules}\n")


@pytest.mark.parametrize(
    "rules",
    [
        '[{name: most, deny: ["claude-*", "gpt-*"]}]',
        '[{name: ban, match: {person: bob}, deny: ["*"]}]',
        '[{name: some, match: {tool: cursor}, deny: ["*"]}]',
        '[{name: but-haiku, except: {model: "claude-haiku-*"}, deny: ["*"]}]',
    ],
)
def test_rules_that_leave_somebody_some_model_are_not_told(tmp_path: Path, rules: str) -> None:
    """What is refused to some, to a tool alone, or leaves a model may be meant."""
    found = warnings(tmp_path, f"{HEAD}{PEOPLE}models: {rules}\n")
    assert not [line for line in found if line.startswith("every call")]


def test_a_warning_about_a_host_names_its_line(tmp_path: Path) -> None:
    """Under `never` each stands for itself; a warning about all of a provider's names the list."""
    hosts = "  hosts: [{host: llm.acme.example, dialect: openai}]\n"
    never = "  never:\n    - Api.Openai.Con\n    - '*.cursor.sh'\n    - '*.acme.example'\n"
    found = checked(tmp_path, f"{HEAD}{PEOPLE}{TWO}capture:\n{hosts}{never}")
    about = [line.split(": warning: ") for line in found if "never" in line and "reached" not in line]
    assert [
        (place, said.partition(" is ")[0].partition(" of ")[0].partition(" closes ")[0]) for place, said in about
    ] == [
        ("policy.yaml:10:3", "never names every host"),
        ("policy.yaml:11:7", "never: api.openai.con"),
        ("policy.yaml:13:7", "llm.acme.example"),
    ]


def exception(budget: str, match: str, until: str, add: str = "$20") -> str:
    head = f"exceptions:\n  - {{budget: {budget}, match: {match}, add: {add}, until: {until}, "
    return f"{head}reason: release, approved_by: cto@acme.example}}\n"


@pytest.mark.parametrize(
    "raised",
    [
        pytest.param(exception("a", "{person: bob}", "2020-01-31"), id="ended"),
        pytest.param(exception("a", "{person: carol}", "2999-01-31"), id="for nobody who is listed"),
        pytest.param(exception("a", "{person: bob}", "2999-01-31", "$1"), id="by less than what is between"),
    ],
)
def test_an_exception_that_raises_nothing_hides_no_shadow(tmp_path: Path, raised: str) -> None:
    """What makes nobody's room larger, or not larger than the other budget's, changes nothing of who is in whose shadow."""
    assert any(line.startswith(SHADOWED) for line in warnings(tmp_path, HEAD + PEOPLE + TWO + raised))


def test_an_exception_that_raises_the_one_beyond_the_other_lifts_the_shadow(tmp_path: Path) -> None:
    """Then the other one is what holds whom it fits."""
    raised = exception("a", "{person: bob}", "2999-01-31")
    assert not [line for line in warnings(tmp_path, HEAD + PEOPLE + TWO + raised) if "never be reached" in line]


def test_an_exception_of_somebody_undeclared_is_told_beside_the_shadow(tmp_path: Path) -> None:
    """Where nobody is listed it may be about somebody or a slip of the pen: all others are in the shadow all the same."""
    raised = exception("a", "{person: zoe}", "2999-01-31")
    (line,) = [line for line in warnings(tmp_path, HEAD + TWO + raised) if "never be reached" in line]
    assert line == f"{SHADOWED}, but for whom the exception 'release' fits, person zoe"


@pytest.mark.parametrize(("at_least", "told"), [("$10", True), ("$9", True), ("$8", False)])
def test_a_limit_that_moves_above_a_plain_one_is_never_reached(tmp_path: Path, at_least: str, told: bool) -> None:
    """It never falls below its `at_least`: where a plain limit of the same calls is no higher it refuses nothing."""
    text = (
        "budgets:\n  - {name: day, per: person, limit: $9 per day}\n"
        f"  - {{name: moves, per: person, limit: 4x mean of 7d per day, at_least: {at_least}, at_most: $200}}\n"
    )
    found = [line for line in warnings(tmp_path, HEAD + text) if "never be reached" in line]
    why = "moves can never be reached: day counts the same calls and is spent before the $10 that it never falls below"
    assert found == ([why.replace("$10", at_least)] if told else [])


def test_limits_of_each_machine_are_one_note(tmp_path: Path) -> None:
    """One line to think about, however many budgets there are."""
    lines = [line for line in checked(tmp_path, HEAD + TWO) if ": note: " in line]
    times = "\N{MULTIPLICATION SIGN} N machines"
    assert lines == [
        f"policy.yaml: note: 2 limits hold on each machine alone, and can be spent once on each ({times}): "
        "a $5 per day, b $9 per day"
    ]
    alone = "budgets: [{name: a, per: person, limit: $5 per day}, {name: m, per: machine, limit: $2 per day}]\n"
    lines = [line for line in checked(tmp_path, HEAD + alone) if ": note: " in line]
    assert lines == [
        f"policy.yaml: note: a: $5 per day {times}; it holds on this machine, and can be spent once on each"
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("people:\n  alice: {team: payments}\n", "people"),
        ("# ours\nteam: payments\nbudgets: [{name: b, limit: $5 per day}]\n", "team"),
        ("teams: {payments: {}}\nmachines: {ci: {match: ci-*}}\n", "teams and machines"),
    ],
)
def test_a_file_that_is_only_included_is_told_to_be_one(tmp_path: Path, text: str, why: str) -> None:
    """One line that says so, and which file to check: not what it would lack as a policy."""
    (tmp_path / "whole.yaml").write_text(f"{HEAD}include: [payments.yaml]\n")
    lines = checked(tmp_path, text, "payments.yaml", code=1)
    assert len(lines) == 3
    assert lines[0].startswith(f"payments.yaml:{2 if text[0] == '#' else 1}:1: has {why} and no version: ")
    assert "a file for a policy to include, no policy; check the one that includes it" in lines[0]
    assert lines[1] == "payments.yaml: note: included by whole.yaml: spendgate policy check whole.yaml"


def test_a_policy_without_a_version_is_still_told_what_it_lacks(tmp_path: Path) -> None:
    """Anything else in it is a policy with a fault."""
    lines = checked(tmp_path, "owner: a@acme.example\npeople: {alice: {}}\n", code=1)
    assert lines[0] == "policy.yaml:1:1: version: is missing; it is required"


TOLD = "notify: [{to: 'slack://${SPENDGATE_SECRET_AI}', for: [alert]}]\n"
APPROVER = "approvers: [{person: bob, key: RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3, up_to: $50%s}]\n"


@pytest.mark.parametrize(
    ("whose", "told"),
    [
        pytest.param("", False, id="anybody's"),
        pytest.param(", for: {person: alice}", False, id="somebody's whom both count"),
        pytest.param(", for: {person: carol}", True, id="of somebody whose listing has ended"),
    ],
)
def test_a_budget_beyond_one_that_approvers_may_raise_is_reached(tmp_path: Path, whose: str, *, told: bool) -> None:
    """A grant adds to the nearer limit, and again in the next window: nobody can say that the farther one is out of reach."""
    found = warnings(tmp_path, HEAD + PEOPLE + TWO + APPROVER % whose)
    assert any(SHADOWED in line for line in found) is told


def test_a_grant_for_others_lifts_no_shadow(tmp_path: Path) -> None:
    """Bob's room may be raised; the second budget is about juniors, of whom he is none."""
    text = TWO.replace("name: b, per: person,", "name: b, per: person, match: {group: junior},")
    found = warnings(tmp_path, HEAD + PEOPLE + text + APPROVER % ", for: {person: bob}")
    assert any(SHADOWED in line for line in found)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        pytest.param("action: warn, alerts: [50%, 100%]", False, id="half of it is within reach"),
        pytest.param("action: warn, alerts: [60%]", True, id="no part that it tells of is"),
        pytest.param("action: warn", True, id="it tells of none"),
        pytest.param("alerts: [50%]", True, id="it would refuse, and never does"),
    ],
)
def test_a_budget_that_only_warns_is_for_the_alerts_within_reach(tmp_path: Path, words: str, *, told: bool) -> None:
    text = TWO.replace("limit: $9 per day", f"limit: $9 per day, {words}")
    assert any(SHADOWED in line for line in warnings(tmp_path, HEAD + PEOPLE + text + TOLD)) is told


@pytest.mark.parametrize(
    ("alerts", "told"), [("", True), ("alerts: [{name: p, pace: 10% by week 2, budget: b}]\n", False)]
)
def test_a_budget_that_only_warns_may_be_there_for_a_pace(tmp_path: Path, alerts: str, *, told: bool) -> None:
    text = "budgets:\n  - {name: a, limit: $5 per day}\n  - {name: b, limit: $900 per month, action: warn}\n"
    found = warnings(tmp_path, HEAD + text + alerts + TOLD)
    assert any("b can never be reached" in line for line in found) is told


def test_what_a_rule_cannot_do_is_said_where_it_stands(tmp_path: Path) -> None:
    """Each with its line, in the order of the file; the words of a budget without a limit, too."""
    text = (
        "models:\n  - {name: m, deny: ['anthropic/claude-opus*']}\nbudgets:\n"
        "  - {name: person, per: person, limit: $20 per day}\n"
        "  - {name: a, match: {tool: 'cursor|codex'}, limit: $5 per day}\n"
        "  - {name: b, match: {billing: subscription}, limit: $5 per day}\n"
        "  - {name: c, limit: none, cut: true, wait: 30s}\n"
        "pricing: {unknown_model: {input: $0.0001, output: $1}}\n"
    )
    found = checked(tmp_path, HEAD + text)
    assert [line for line in found if "warning" in line] == [
        "policy.yaml:4:12: warning: m: anthropic/claude-opus* fits no call to anthropic itself, whose models are named without "
        "'anthropic/'; write claude-opus*, which fits every spelling",
        "policy.yaml:7:12: warning: a: cursor|codex is one value, and no tool is called so; a list means any of them: "
        "[cursor, codex]",
        "policy.yaml:8:12: warning: b is about no call: a subscription's calls cost nothing; counts: value counts them "
        "at list price",
        "policy.yaml:9:12: warning: c: cut and wait change nothing where limit: none refuses nothing",
        "policy.yaml:10:1: warning: pricing.unknown_model: input of $0.0001 is less than any model is listed at ($0.003 and "
        "more): a model whose price nobody knows would be the cheapest",
        "spendgate: 1 checked: 0 faults, 5 warnings",
    ]


def test_a_file_of_cases_is_no_faulty_policy() -> None:
    """`policy check policies/examples/*.yaml` named every line of the cases as a fault."""
    cases = sorted((Path(__file__).parents[2] / "policies" / "examples").glob("*.test.yaml"))[0]
    done = CliRunner().invoke(app, ["policy", "check", str(cases)])
    assert done.exit_code == 0
    policy = cases.with_name(cases.name.replace(".test.yaml", ".yaml"))
    assert f"cases of a policy, none itself: spendgate policy test {policy}" in done.stdout.replace("\n", " ")
    assert policy.exists()
