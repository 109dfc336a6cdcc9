"""`spendgate policy …` as a reviewer uses it, over a ledger that a real gate has written."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from pathlib import Path

import pytest
from tests.gate.world import budget, policy
from tests.replay.virtual import Scripted, play
from typer.testing import CliRunner, Result

from cli.kit import app
from spendgate.config.policy_file import parse_policy
from spendgate.errors import PolicyError, UsageError

CANDIDATE = """\
version: 1
owner: lead@acme.example
budgets:
  - {name: person, per: person, limit: $1 per day}
models:
  - {name: no-sonnet, match: {person: bob}, deny: ["claude-sonnet-*"], suggest: claude-haiku-4-5}
"""
SCRIPT = [
    *(Scripted(60_000 * number, "alice", 0.3, 500) for number in range(6)),
    Scripted(400_000, "bob", 0.2, 500, model="claude-sonnet-4-5"),
]


@pytest.fixture(scope="session")
def morning(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory with the calls of a morning, none of which was refused: played once, for whoever takes a copy."""
    made = tmp_path_factory.mktemp("morning")
    play(made, policy(budget(500)), SCRIPT)
    return made


@pytest.fixture
def state(morning: Path, tmp_path: Path) -> Path:
    """A copy of it, which is the test's own."""
    return shutil.copytree(morning, tmp_path / "state")


def spendgate(*words: str | Path, code: int = 0) -> Result:
    """Run a command; its exit status is asserted."""
    done = CliRunner().invoke(app, ["policy", *map(str, words)])
    assert done.exit_code == code, done.output
    return done


def written(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text)
    return file


def test_replay_says_whom_when_and_how_much(state: Path, tmp_path: Path) -> None:
    """Three of alice's calls and bob's one, with their costs, in words and in figures that add up."""
    file = written(tmp_path, "candidate.yaml", CANDIDATE)
    shown = spendgate("replay", file, "--state", state, "--since", "2026-01-01").stdout
    assert "7 calls from " in shown
    assert "refused: 4 (0 then); 4 of them left then, and 0 that were refused then leave" in shown
    assert "the newly refused calls cost $1.10" in shown

    told = json.loads(spendgate("replay", file, "--state", state, "--since", "2026-01-01", "--format", "json").stdout)
    assert told["policy"] == parse_policy(CANDIDATE.encode()).hash
    assert (told["calls"], told["refused"], told["newly_refused"]) == (7, 4, 4)
    assert told["cost_nanos"] + told["saved_nanos"] == told["cost_then_nanos"] == 2_000_000_000
    assert {(rule["rule"], rule["kind"], rule["calls"]) for rule in told["rules"]} == {
        ("person", "spent", 3),
        ("no-sonnet", "rule", 1),
    }
    assert [row["person"] for row in told["people"]] == ["alice", "bob"]
    assert [row["now"] for row in told["differing"]] == ["refused by person"] * 3 + ["refused by no-sonnet"]


def test_what_is_replayed_says_its_times_and_its_words(state: Path, tmp_path: Path) -> None:
    """In the policy's zone, which is named, in a table and a comment alike; no two headings are the same; `shared` is told."""
    listed = "timezone: Asia/Tokyo\npeople: {bob: {}}\n"
    told = 'notify: [{to: "slack://${SPENDGATE_SECRET_AI}", for: [alert]}]\n'
    file = written(tmp_path, "candidate.yaml", CANDIDATE.replace("day}", "day, alerts: [50%]}") + listed + told)
    for words in (("replay", file), ("review", file, file)):
        shown = spendgate(*words, "--state", state, "--since", "2026-01-01").stdout
        assert "(times of Asia/Tokyo, the policy's timezone)" in shown
        assert "shared: accounts that nobody lists" in shown.replace("\\", "")
        assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d JST", shown.rpartition("lerts, by what gives them")[2])
        assert not re.search(r"\d\d:\d\d(:[\d.]+)?Z", shown)
        assert not re.search(r"\b1 \w+s\b", shown.partition("rules that refuse")[0].lower())
        headings = [line for line in shown.splitlines() if line.startswith("**") or line.endswith(":")]
        assert len(headings) == len(set(headings)) >= 3
        assert "not allowed" in shown


def test_replay_as_csv(state: Path, tmp_path: Path) -> None:
    """One line for each call that is decided otherwise."""
    file = written(tmp_path, "candidate.yaml", CANDIDATE)
    lines = spendgate("replay", file, "--state", state, "--since", "2026-01-01", "--format", "csv").stdout.splitlines()
    assert lines[0].startswith("at,id,person,")
    assert len(lines) == 5


def test_replay_of_nothing(state: Path, tmp_path: Path) -> None:
    """Says so."""
    file = written(tmp_path, "candidate.yaml", CANDIDATE)
    assert "no call was decided since" in spendgate("replay", file, "--state", state, "--since", "2040-01-01").stdout


def test_explain_has_every_rule_in_order(state: Path, tmp_path: Path) -> None:
    """Applied or not, with the reason, and what becomes of the call."""
    file = written(tmp_path, "candidate.yaml", CANDIDATE)
    words = ("explain", file, "--person", "bob", "--model", "claude-4.5-sonnet", "--state", state, "--format", "json")
    lines = json.loads(spendgate(*words).stdout)
    assert [line["rule"] for line in lines] == ["asked", "capture", "mode", "no-sonnet", "person", "call"]
    assert "claude-haiku-4-5 is allowed" in lines[3]["says"]
    assert lines[-1]["says"].startswith("is refused by no-sonnet")
    alice = json.loads(spendgate("explain", file, "--person", "alice", "--state", state, "--format", "json").stdout)
    assert (alice[3]["applies"], alice[3]["says"]) == ("no", "is about person bob")
    assert alice[-1]["says"] == "leaves"


def test_explain_reads_the_ledger(state: Path, tmp_path: Path) -> None:
    """What was spent at that time, in a budget that the gate kept."""
    file = written(
        tmp_path, "same.yaml", "version: 1\nowner: a@b.example\nbudgets: [{name: person, per: person, limit: $2}]\n"
    )
    lines = json.loads(spendgate("explain", file, "--person", "alice", "--state", state, "--format", "json").stdout)
    spent = next(line for line in lines if line["rule"] == "person")
    assert (spent["spent_nanos"], spent["left_nanos"]) == (1_800_000_000, 200_000_000)
    dear = ("explain", file, "--person", "alice", "--cost", "$0.30", "--state", state, "--format", "json")
    needs = "has $0.20 left; this call may need about $0.30 (an estimate). On this machine $1.80 spent of $2.00. "
    needs += f"To ask for more, run: `spendgate ask --state {state}`"
    assert json.loads(spendgate(*dear).stdout)[-1]["says"] == (
        f"is refused by person: Spendgate: budget person (alice) {needs}"
    )


RAISED = """\
version: 1
owner: lead@acme.example
budgets:
  - {name: person, per: person, limit: $1 per day}
  - {name: runaway, per: person, limit: 2x mean of 7d per day, at_most: $8}
rates:
  - {name: loop, per: person, requests: 3 per minute, parallel: 2}
  - {name: theirs, match: {person: bob}, tokens: 9000 per minute}
exceptions:
  - {budget: person, match: {person: alice}, add: $2, from: 2026-09-20, until: 2026-09-22, reason: launch, approved_by: cto}
  - {budget: person, match: {person: bob}, add: $3, until: 2026-09-22, reason: bob, approved_by: cto}
"""


def test_explain_says_what_moves_a_limit_and_what_flows(state: Path, tmp_path: Path) -> None:
    """Where a limit comes from, which exceptions count now and which do not, and what rates have counted."""
    file = written(tmp_path, "raised.yaml", RAISED)
    words = ("explain", file, "--person", "alice", "--cost", "$0.50", "--state", state, "--format", "json")
    lines = json.loads(spendgate(*words, "--at", "2026-09-21T15:00Z").stdout)
    said = {line["rule"]: (line["applies"], line["says"]) for line in lines}
    assert said["person: launch"] == ("yes", "adds $2.00 until 2026-09-22; approved by cto (as claimed)")
    assert said["person: bob"] == ("no", "is about person bob")
    assert "of $3.00 for alice (the limit: $2.00 of it by the exception 'launch'" in said["person"][1]
    assert "of $8.00 for alice (the limit: at_most, since 0 days of the 7 before had spend" in said["runaway"][1]
    assert said["loop"] == ("yes", "0 of 3 requests per minute, 0 of 2 calls at once used for alice")
    assert said["theirs"] == ("no", "is about person bob")
    assert said["call"] == ("yes", "leaves")
    later = {line["rule"]: line["says"] for line in json.loads(spendgate(*words, "--at", "2026-09-24T15:00Z").stdout)}
    assert later["person: launch"] == "ended on 2026-09-22; what was spent under it counts in it"
    assert later["person"].startswith("$1.00 left of $1.00 for alice")


def test_cases_of_rates_and_exceptions(tmp_path: Path) -> None:
    """What is given fills rates, too; an exception holds at its time and not after it."""
    written(tmp_path, "team.yaml", RAISED)
    day = "at: 2026-09-21T12:00"
    written(
        tmp_path,
        "team.test.yaml",
        "cases:\n"
        f"  - name: a loop\n    given: [{{spent: $0.01, ago: 30s, calls: 3}}]\n    when: {{person: alice, costs: $0.01, {day}}}\n"
        "    then: refused by loop\n"
        f"  - name: at once\n    given: [{{holds: $0.01, ago: 2h, calls: 2}}]\n    when: {{person: alice, costs: $0.01, {day}}}\n"
        "    then: refused by loop\n"
        f"  - name: tokens\n    given: [{{spent: $0.01, ago: 30s, tokens: '6,000'}}]\n"
        f"    when: {{person: bob, costs: $0.01, tokens: 3001, {day}}}\n    then: refused by theirs\n"
        f"  - name: fewer tokens\n    given: [{{spent: $0.01, ago: 30s, tokens: '6,000'}}]\n"
        f"    when: {{person: bob, costs: $0.01, tokens: 3000, {day}}}\n    then: admitted\n"
        f"  - name: raised\n    given: [{{spent: $2.50, ago: 1h}}]\n    when: {{person: alice, costs: $0.40, {day}}}\n"
        "    then: admitted\n"
        "  - name: ended\n    given: [{spent: $0.90, ago: 1h}]\n"
        "    when: {person: alice, costs: $0.40, at: 2026-09-23T12:00}\n    then: refused by person\n",
    )
    assert "6 passed" in spendgate("test", tmp_path).stderr


def test_cases_of_plans_and_of_calls_given_apart(tmp_path: Path) -> None:
    """A plan counts where the policy says so, and costs nothing; each given call frees its own place."""
    written(
        tmp_path,
        "team.yaml",
        "version: 1\nowner: lead@acme.example\n"
        "budgets:\n  - {name: paid, limit: $1 per day}\n  - {name: value, limit: $2 per day, counts: value}\n"
        "rates: [{name: loop, parallel: 1, wait: 0s}]\n",
    )
    plan = "when: {person: alice, costs: $1.50, billing: subscription}"
    written(
        tmp_path,
        "team.test.yaml",
        "cases:\n"
        f"  - name: fits\n    given: [{{spent: $0.40, ago: 2h}}, {{spent: $0.10, ago: 1h}}]\n    {plan}\n    then: admitted\n"
        f"  - name: value\n    given: [{{spent: $0.60, ago: 1h}}]\n    {plan}\n    then: refused by value\n"
        "  - name: paid\n    given: [{spent: $0.60, ago: 1h, billing: metered}, {spent: $0.90, ago: 1h, billing: subscription}]\n"
        "    when: {person: alice, costs: $0.30}\n    then: admitted\n",
    )
    assert "3 passed" in spendgate("test", tmp_path).stderr


@pytest.mark.parametrize(
    "words",
    [("--with", "colour=red"), ("--with", "model=x"), ("--with", "group=senior"), ("--cost", "much"), ("--at", "soon")],
)
def test_explain_asked_wrongly(state: Path, tmp_path: Path, words: tuple[str, str]) -> None:
    """A usage error that names the option."""
    file = written(tmp_path, "candidate.yaml", CANDIDATE)
    done = CliRunner().invoke(app, ["policy", "explain", str(file), "--person", "a", "--state", str(state), *words])
    assert type(done.exception).__name__ == "UsageError"
    assert words[1] in str(done.exception)


def test_check_names_faults_and_doubts(tmp_path: Path) -> None:
    """Faults are findings, warnings are not; each with its place."""
    good = written(tmp_path, "good.yaml", CANDIDATE + "help: ask\n")
    doubtful = written(
        tmp_path, "doubtful.yaml", "version: 1\nowner: a@b.example\nmode: observe\nbudgets: [{name: a, limit: $1}]\n"
    )
    bad = written(tmp_path, "bad.yaml", "version: 1\nowner: a@b.example\nbudget: []\n")
    assert spendgate("check", good).stdout.startswith(
        f"{good}: note: person: $1 per day \N{MULTIPLICATION SIGN} N machines"
    )
    assert spendgate("check", doubtful).stdout.startswith(f"{doubtful}:3:1: warning: observe: no budget")
    shown = spendgate("check", good, bad, code=1).stdout
    assert f"{bad}:3:1: budget: unknown key; " in shown
    assert "did you mean budgets?" in shown
    rows = json.loads(spendgate("check", bad, doubtful, "--format", "json", code=1).stdout)
    assert [row["severity"] for row in rows] == ["fault", "warning", "note"]


def test_review_is_a_comment(state: Path, tmp_path: Path) -> None:
    """Markdown with the change and its consequences; a name is no markup."""
    old = written(
        tmp_path,
        "old.yaml",
        "version: 1\nowner: a@b.example\nbudgets: [{name: person, per: person, limit: $2 per day}]\n",
    )
    new = written(tmp_path, "new.yaml", CANDIDATE)
    shown = spendgate("review", old, new, "--state", state, "--since", "2026-01-01").stdout
    assert "**May spend less**" in shown
    assert "everybody: $2.00 -" in shown
    assert "### What it would have done" in shown
    assert "| person | refuses | spent | 3 | 1 | $0.90 |" in shown


def test_cases_pass_and_fail(tmp_path: Path) -> None:
    """The count, the failed case with its figures, and the exit status."""
    written(tmp_path, "team.yaml", CANDIDATE)
    written(
        tmp_path,
        "team.test.yaml",
        "cases:\n"
        "  - name: spent\n    given: [{spent: $0.95, ago: 1h}]\n    when: {person: alice, costs: $0.10}\n"
        "    then: refused by person\n"
        "  - name: wrong\n    when: {person: bob, model: claude-sonnet-4-5, costs: $0.10}\n    then: admitted\n",
    )
    done = spendgate("test", tmp_path, code=1)
    assert "1 passed, 1 failed" in done.stderr
    assert "wrong" in done.stdout
    assert "refused by no-sonnet" in done.stdout
    rows = json.loads(spendgate("test", tmp_path / "team.yaml", "--format", "json", code=1).stdout)
    assert [row["passed"] for row in rows] == ["yes", "no"]
    assert rows[0]["why"].startswith("budget person (alice) has $0.05 left; this call may need about $0.10")


@pytest.mark.parametrize(
    ("case", "fault"),
    [
        ("{name: a, then: admitted}", "when is missing"),
        ("{name: a, when: {person: x}, then: admitted}", "costs: is missing"),
        ("{name: a, when: {person: x, costs: $1}}", "then: is missing"),
        (
            "{name: a, when: {person: x, costs: $1}, then: refused by nobody}",
            "is no rule of this policy; it has: person, no-sonnet",
        ),
        ("{name: a, when: {person: x, costs: $1}, then: allowed}", "allowed: admitted, refused"),
        ("{name: a, when: {person: x, costs: 1x}, then: admitted}", "costs"),
        ("{name: a, when: {person: x, costs: $1, at: noon}, then: admitted}", "is not a time"),
        (
            "{name: a, when: {person: x, costs: $1}, given: [{ago: 1h}], then: admitted}",
            "exactly one of spent and holds",
        ),
        (
            "{name: a, when: {person: x, costs: $1}, given: [{spent: $1, ago: 1h, at: 2026-01-01}], then: admitted}",
            "stands beside at",
        ),
        (
            "{name: a, when: {person: x, costs: $1}, given: [{spent: $1, calls: 99999999}], then: admitted}",
            "is no number of calls",
        ),
        ("{name: a, when: {person: x, costs: $1, tokens: many}, then: admitted}", "is no number of tokens"),
        ("{name: a, when: {persn: x, costs: $1}, then: admitted}", "did you mean person?"),
        (
            "{name: a, when: {person: x, costs: $1, at: 9999-12-31}, then: admitted}",
            "is too far away; allowed: 1971 to 2999",
        ),
        ("{name: a, when: {person: x, costs: $1, at: 0001-01-01}, then: admitted}", "is too far away"),
        (
            "{name: a, when: {person: x, costs: $1}, given: [{spent: $1, every: 32d}], then: admitted}",
            "3d, … up to 31d",
        ),
        (
            "{name: a, when: {person: x, costs: $1}, given: [{spent: $1, ago: 9999d}], then: admitted}",
            "3d, … up to 3660d",
        ),
        (
            "{name: a, when: {person: x, costs: $1}, given: [{spent: $1, ago: soon}], then: admitted}",
            "is no length of time",
        ),
    ],
)
def test_a_bad_case_is_named(tmp_path: Path, case: str, fault: str) -> None:
    """With its place and what is allowed; nothing is run."""
    written(tmp_path, "team.yaml", CANDIDATE)
    file = written(tmp_path, "team.test.yaml", f"cases:\n  - {case}\n")
    done = spendgate("test", file, code=1)
    assert done.stderr.startswith(f"{file}:2:") and fault in done.stderr
    assert "0 passed, 0 failed; 1 file not run: 1 fault" in done.stderr


def test_every_fault_of_every_file_is_told_and_the_good_files_run(tmp_path: Path) -> None:
    """One bad file hides neither another one's faults nor the cases that can be run; of a bad policy its cases are read, too."""
    good = "cases: [{name: fits, when: {person: alice, costs: $0.10}, then: admitted}]\n"
    written(tmp_path, "a.yaml", CANDIDATE.replace("per: person", "per: persn"))
    written(tmp_path, "a.test.yaml", good.replace("admitted", "allowed").replace("costs: $0.10", "costs: lots"))
    written(tmp_path, "b.yaml", CANDIDATE)
    written(tmp_path, "b.test.yaml", good.replace("admitted", "refused by nobody"))
    written(tmp_path, "c.yaml", CANDIDATE)
    written(tmp_path, "c.test.yaml", good)
    written(tmp_path, "d.test.yaml", good)
    written(tmp_path, "e.yaml", CANDIDATE)

    done = spendgate("test", tmp_path, tmp_path / "e.yaml", tmp_path / "c.yaml", code=1)

    *faults, last = done.stderr.splitlines()
    assert [(line.split(":")[0].rpartition("/")[2], word in line) for line, word in zip(faults, [
        "did you mean person?", "costs", "allowed: admitted", "it has: person, no-sonnet", "No such file", "No such file",
    ], strict=True)] == [
        ("a.yaml", True), ("a.test.yaml", True), ("a.test.yaml", True), ("b.test.yaml", True), ("d.yaml", True),
        ("e.test.yaml", True),
    ]  # fmt: skip
    assert all(line.removeprefix(f"{tmp_path}/").split(":")[1].isdigit() for line in faults[:4])
    assert last == "spendgate: 1 passed, 0 failed; 4 files not run: 6 faults"


def test_the_names_of_rules_are_not_compared_with_those_of_a_policy_that_cannot_be_read(tmp_path: Path) -> None:
    """Its own fault is the one to mend first."""
    written(tmp_path, "a.yaml", CANDIDATE.replace("per: person", "per: persn"))
    case = "cases: [{name: fits, when: {person: a, costs: $1, at: 2026-06-01T10:00}, then: refused by person}]\n"
    written(tmp_path, "a.test.yaml", case)
    assert len(spendgate("test", tmp_path, code=1).stderr.splitlines()) == 2


def test_check_looks_for_credentials_in_every_file_also_beside_faults(tmp_path: Path) -> None:
    """An included file is copied as widely; and a fault elsewhere must not hide a key that is to be withdrawn."""
    key = "sk-" + "ant-api03-abcdefghijklmnop"
    file = written(tmp_path, "policy.yaml", f"version: 1\nowner: a@b.example\ninclude: [people.yaml]\nhelp: {key}\n")
    written(tmp_path, "people.yaml", f"people:\n  alice: {{accounts: ['{key}']}}\n")

    good = spendgate("check", file).stdout
    file.write_text(file.read_text() + "zz: 1\n")
    bad = spendgate("check", file, code=1).stdout

    for said in (good, bad):
        assert f"{file}:4:7: warning: this looks like a credential" in said
        assert f"{tmp_path / 'people.yaml'}:2:23: warning: this looks like a credential" in said
    assert "unknown key" in bad and key not in good


def test_a_doubt_about_an_included_rule_stands_at_it(tmp_path: Path) -> None:
    """In the file in which it is to be changed."""
    main = "version: 1\nowner: a@b.example\ninclude: [payments.yaml]\nteams: {payments: {}}\npeople: {alice: {team: payments}}\n"
    file = written(tmp_path, "policy.yaml", main + "budgets: [{name: person, per: person, limit: $5 per day}]\n")
    team = written(
        tmp_path, "payments.yaml", "team: payments\nbudgets:\n  - {name: ours, per: person, limit: $9 per day}\n"
    )
    assert f"{team}:3:12: warning: ours can never be reached" in spendgate("check", file).stdout


ALERTING = """\
version: 1
owner: lead@acme.example
budgets:
  - {name: person, per: person, limit: $1 per day, alerts: [50%, 80%]}
alerts:
  - {name: burn, burn: $0.60 in 1h, per: person, severity: page}
notify:
  - {to: "slack://${SPENDGATE_SECRET_AI}", for: [alert]}
  - {to: "pagerduty://${SPENDGATE_SECRET_PD}", for: [page]}
"""


def test_replay_says_which_alerts_fire_when_and_for_whom(state: Path, tmp_path: Path) -> None:
    """Of the calls that the candidate admits: alice's three of $0.30, and bob's one, which reaches no mark."""
    file = written(tmp_path, "alerting.yaml", ALERTING)
    told = json.loads(spendgate("replay", file, "--state", state, "--since", "2026-01-01", "--format", "json").stdout)
    assert told["refused"] == 3
    assert [(row["rule"], row["value"], row["told"], row["spent_nanos"]) for row in told["alerts"]] == [
        ("person 50%", "alice", ["alice", "slack"], 600_000_000),
        ("burn", "alice", ["alice", "pagerduty"], 600_000_000),
        ("person 80%", "alice", ["alice", "slack"], 900_000_000),
    ]
    assert [(row["rule"], row["times"]) for row in told["alert_rules"]] == [
        ("burn", 1),
        ("person 50%", 1),
        ("person 80%", 1),
    ]
    shown = spendgate("replay", file, "--state", state, "--since", "2026-01-01").stdout
    assert "alerts: 3\n" in shown
    assert "person of alice: $0.90 of $1.00" in " ".join(shown.split())
    assert "SPENDGATE_SECRET" not in shown + json.dumps(told)


def test_the_command_of_an_alert_shows_its_calls(state: Path, tmp_path: Path) -> None:
    """As it stands, against the ledger that the alert came from."""
    file = written(tmp_path, "alerting.yaml", ALERTING)
    told = json.loads(spendgate("replay", file, "--state", state, "--since", "2026-01-01", "--format", "json").stdout)
    for row in told["alerts"]:
        words = shlex.split(row["command"])[1:]
        done = CliRunner().invoke(app, [*words, "--state", str(state), "--format", "json"])
        calls = json.loads(done.stdout)
        assert {call["person"] for call in calls} == {"alice"}
        assert sum(call["cost_nanos"] for call in calls) >= row["spent_nanos"]


def test_a_review_has_the_alerts(state: Path, tmp_path: Path) -> None:
    """The comment says who begins to be told, and how often that would have been."""
    old, new = written(tmp_path, "old.yaml", CANDIDATE), written(tmp_path, "new.yaml", ALERTING)
    comment = spendgate("review", old, new, "--state", state, "--since", "2026-01-01").stdout
    assert "**Who is told**" in comment
    assert "| burn | page | 1 | alice, pagerduty |" in comment


READERS = {
    "check": ("check", "FILE"),
    "explain": ("explain", "FILE", "--person", "a"),
    "diff from": ("diff", "FILE", "good.yaml"),
    "diff to": ("diff", "good.yaml", "FILE"),
    "test": ("test", "FILE"),
    "replay": ("replay", "FILE", "--state", "state"),
    "review": ("review", "good.yaml", "FILE", "--state", "state"),
}


@pytest.mark.parametrize("words", READERS.values(), ids=READERS)
def test_whatever_is_no_policy_is_told_in_one_line_with_its_place(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """A missing file, a folder, a pipe, standard input, bytes that are no text, and one that is too long. Exit status 1."""
    monkeypatch.chdir(tmp_path)
    Path("good.yaml").write_text(CANDIDATE)
    Path("folder.yaml").mkdir()
    os.mkfifo("pipe.yaml")
    Path("bytes.yaml").write_bytes(b"version: \xe0\x9f\n" * 99)
    Path("long.yaml").write_bytes(b"a: b\n" * 2_000_000)
    expected = {
        "none.yaml": "none.yaml: cannot be read: No such file or directory; write its path as it is",
        "pipe.yaml": "pipe.yaml: cannot be read: it is a directory, pipe, device or socket; put a regular file",
        "bytes.yaml": "bytes.yaml:1:10: the text is not UTF-8: byte 0xe0; save the file as UTF-8",
        "long.yaml": "long.yaml:1:1: the file is too long; at most 1,048,576 bytes are read",
    }
    if words[0] != "test":
        expected["folder.yaml"] = "folder.yaml: cannot be read: it is a directory"
        expected["-"] = "-: cannot be read: standard input is no file; save it, and give its path"
    for name, line in expected.items():
        asked = [word.replace("FILE", name) for word in words]
        said = spendgate(*asked, code=1).output if words[0] in ("check", "test") else failed(asked)
        assert [each for each in said.splitlines() if each.startswith(line)], f"{name}: {said}"


def failed(words: list[str]) -> str:
    """The lines of the faults for which a command ends."""
    done = CliRunner().invoke(app, ["policy", *words])
    assert isinstance(done.exception, PolicyError)
    return "\n".join(done.exception.faults)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs an account that may be kept out of a file")
def test_a_file_that_may_not_be_read_says_who_must_let_it(tmp_path: Path) -> None:
    file = written(tmp_path, "mine.yaml", CANDIDATE)
    file.chmod(0)
    assert (
        "cannot be read: Permission denied; let the account that reads it read it"
        in spendgate("check", file, code=1).stdout
    )


def test_diff_tells_the_faults_of_both_files(tmp_path: Path) -> None:
    old = written(tmp_path, "old.yaml", CANDIDATE.replace("per: person", "per: persn"))
    new = written(tmp_path, "new.yaml", CANDIDATE.replace("per day", "per dya"))
    said = failed(["diff", str(old), str(new)])
    assert "did you mean person?" in said and "did you mean day?" in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("explain", "--person", ""), "--person ''"),
        (("explain", "--person", "a", "--at", "noon"), "--at: 'noon' is not a time"),
        (("explain", "--person", "a", "--at", "9999-12-31"), "is too far away, allowed are 1971 to 2999"),
        (("explain", "--person", "a", "--at", "0001-01-01"), "is too far away"),
        (("explain", "--person", "a", "--cost", ""), "--cost"),
        (("replay", "--since", "9999-12-31"), "--since: '9999-12-31' is too far away"),
        (("replay", "--until", "0001-01-01"), "--until: '0001-01-01' is too far away"),
        (("test", "policy.yml"), "is no folder, no policy NAME.yaml and no file of cases NAME.test.yaml"),
        (("test", "no-folder"), "is no folder, no policy NAME.yaml"),
    ],
)
def test_wrong_usage_names_the_option_and_what_is_allowed(
    state: Path, tmp_path: Path, words: tuple[str, ...], says: str
) -> None:
    more = [] if words[0] == "test" else [str(written(tmp_path, "p.yaml", CANDIDATE)), "--state", str(state)]
    done = CliRunner().invoke(app, ["policy", *words, *more])
    assert isinstance(done.exception, UsageError) and says in str(done.exception)


def test_review_without_a_ledger_has_its_first_half(tmp_path: Path) -> None:
    """A pull request is reviewed where no gate has ever run; that nothing was replayed is said."""
    old = written(tmp_path, "old.yaml", "version: 1\nowner: a@b.example\nbudgets: [{name: all, limit: $2 per day}]\n")
    new = written(tmp_path, "new.yaml", old.read_text().replace("$2", "$3"))
    shown = spendgate("review", old, new, "--state", tmp_path / "nothing").stdout
    assert "**May spend more**" in shown
    assert shown.splitlines()[-1].startswith("There is no ledger in ")
    assert shown.rstrip().endswith("nothing: no call was replayed.")


FORGED = "x~~y~~ $z$ &commat;eve @eve https://evil.example www.evil.example _a_ [a](b) <b> `c` #1"


def test_a_review_has_no_markup_of_others(state: Path, tmp_path: Path) -> None:
    """What somebody wrote into a policy is neither struck out, nor a formula, a mention, a link or an entity; amounts stay."""
    old = written(tmp_path, "old.yaml", CANDIDATE)
    new = written(tmp_path, "new.yaml", f"{CANDIDATE}help: '{FORGED}'\n")
    shown = spendgate("review", old, new, "--state", state, "--since", "2026-01-01").stdout
    (line,) = [each for each in shown.splitlines() if "evil" in each]
    for markup in ("~~y~~", "$z$", "&commat;", "@eve", "https://", "www.", "_a_", "[a](b)", "<b>", "`c`", "#1"):
        assert markup in FORGED
        assert re.search(rf"(?<!\\){re.escape(markup)}", line) is None, markup
    assert re.sub(r"\\(?=[^\w\s])|\\(?=_)", "", line).replace("\u200b", "") == f"- help: none -> {FORGED}"


def test_less_captured_is_told_by_review_and_replay(state: Path, tmp_path: Path) -> None:
    """Calls that a candidate does not decrypt are neither held nor counted: how many there were, and what they cost."""
    old = written(tmp_path, "old.yaml", CANDIDATE)
    new = written(tmp_path, "new.yaml", f"{CANDIDATE}capture: {{providers: [openai]}}\n")
    unseen = "7 calls ($2.00 then) would pass unseen"
    assert unseen in spendgate("replay", new, "--state", state, "--since", "2026-01-01").stdout
    comment = spendgate("review", old, new, "--state", state, "--since", "2026-01-01").stdout
    assert unseen in comment
    assert "every provider but openai pass unseen from now on" in comment
    told = json.loads(spendgate("replay", new, "--state", state, "--since", "2026-01-01", "--format", "json").stdout)
    assert (told["calls"], told["not_captured"], told["not_captured_nanos"]) == (0, 7, 2_000_000_000)


def test_json_has_every_model(tmp_path: Path) -> None:
    """Where the sentence has how many there are."""
    old = written(tmp_path, "old.yaml", CANDIDATE)
    new = written(
        tmp_path, "new.yaml", CANDIDATE.replace("claude-sonnet-*", "*").replace(", suggest: claude-haiku-4-5", "")
    )
    (row,) = [each for each in json.loads(spendgate("diff", old, new, "--format", "json").stdout) if "lose" in each]
    assert row["effect"] == "models"
    assert len(row["lose"]) > 100 and "gpt-5" in row["lose"] and "claude-sonnet-4-5" not in row["lose"]
    assert "models of *" in row["text"]
