"""`spendgate policy explain`, `test` and `diff` as a newcomer reads them: the same answer as the gate's, whole, at any width."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.gate.world import budget, policy
from tests.replay.virtual import START_MS, Scripted, play, refused_live
from typer.testing import CliRunner, Result

from cli.kit import app
from spendgate.cli import in_force
from spendgate.config import paths, policies
from spendgate.config.policy_file import parse_policy
from spendgate.errors import UsageError

RULE = "person-allowance-of-every-developer-of-the-house"
POLICY = f"""\
version: 1
owner: lead@acme.example
capture: {{hosts: [{{host: llm.acme.example, dialect: openai, prices: anthropic, billing: gateway}}]}}
people:
  alice: {{team: payments, groups: [senior]}}
  bob: {{team: payments}}
teams: {{payments: {{}}}}
machines: {{laptops: {{match: ["lap*"]}}}}
budgets:
  - {{name: {RULE}, per: person, match: {{billing: [metered, overage]}}, limit: $20 per day}}
  - {{name: run, per: session, limit: $30}}
  - {{name: machine, per: machine, limit: $50 per day}}
models:
  - {{name: frontier-models-are-for-seniors-only, except: {{group: senior}}, deny: ["claude-opus-*"], suggest: claude-sonnet-4-5}}
exceptions:
  - {{budget: {RULE}, match: {{person: alice}}, add: $30, until: 2026-12-15, reason: week of the migration, approved_by: cto}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "policy.yaml"
    found.write_text(POLICY)
    return found


def ran(*words: str | Path, columns: int | None = None, code: int = 0) -> Result:
    """Run `spendgate policy …`, on a terminal of this width."""
    env = {"COLUMNS": str(columns)} if columns else {"COLUMNS": ""}
    done = CliRunner(env=env).invoke(app, ["policy", *map(str, words)])
    assert done.exit_code == code, done.output
    return done


def explained(file: Path, *words: str, person: str = "bob") -> dict[str, dict[str, object]]:
    """Its lines by rule, of a machine on which no gate has run."""
    asked = ("explain", file, "--person", person, "--state", file.parent / "none", "--format", "json", *words)
    return {line["rule"]: line for line in json.loads(ran(*asked).stdout)}


def fault(file: Path, *words: str) -> str:
    """Why it does not answer."""
    done = CliRunner().invoke(app, ["policy", "explain", str(file), "--person", "bob", *words])
    assert isinstance(done.exception, UsageError), done.output
    return str(done.exception)


def moment(ms: int) -> str:
    """As `--at` reads it."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat()


def case(file: Path, when: str, then: str = "admitted") -> dict[str, object]:
    """What `policy test` makes of one call."""
    beside = file.with_name("policy.test.yaml")
    beside.write_text(f"cases:\n  - {{name: it, when: {{{when}}}, then: {then}}}\n")
    done = CliRunner().invoke(app, ["policy", "test", str(file), "--format", "json"])
    (row,) = json.loads(done.stdout)
    return dict(row)


@pytest.mark.parametrize(
    ("cost", "rule"), [("$21", RULE), ("$31", "run"), ("$4", None)], ids=["billing", "session", "fits"]
)
def test_explain_and_test_agree_on_what_nobody_says(file: Path, cost: str, rule: str | None) -> None:
    """A call of which neither billing, machine nor session is said has them all the same."""
    end = str(explained(file, "--model", "claude-sonnet-4-5", "--cost", cost)["call"]["says"])
    assert end.startswith(f"is refused by {rule}: ") if rule else end == "leaves"
    found = case(file, f"person: bob, model: claude-sonnet-4-5, costs: {cost}")["found"]
    assert found == (f"refused by {rule}" if rule else "admitted")


def test_the_gate_agrees(file: Path, tmp_path: Path) -> None:
    """A second call of bob's, when the first has spent his day: the ledger's row, `explain` and `test` name the same rule."""
    state = tmp_path / "state"
    state.mkdir()
    first, second = (
        Scripted(ms, "bob", 20.5, 500, session=name, model="claude-sonnet-4-5") for ms, name in ((0, "a"), (9_000, "b"))
    )
    play(state, parse_policy(POLICY.encode()), [first, second])
    ((by, *_),) = refused_live(state).values()
    assert by == RULE
    words = ("explain", file, "--person", "bob", "--model", "claude-sonnet-4-5", "--state", state, "--format", "json")
    end = json.loads(ran(*words, "--at", moment(START_MS + 9_000)).stdout)[-1]["says"]
    assert end.startswith(
        f"is refused by {RULE}: Spendgate: budget {RULE} (bob) is spent. On this machine $20.50 spent of $20.00."
    )


def test_what_is_assumed_is_said(file: Path) -> None:
    """And what is said is not."""
    asked = str(explained(file, "--model", "claude-sonnet-4-5")["asked"]["says"])
    for words in (
        "bob (team payments)", "provider anthropic (the maker of its model)", "billing metered (assumed)",
        "machine laptop (assumed; machine group laptops)", "a session of its own (assumed)", "costs next to nothing",
    ):  # fmt: skip
        assert words in asked, asked
    said = str(explained(file, "--with", "billing=overage", "--cost", "$1", "--tool", "codex")["asked"]["says"])
    assert "billing overage;" in said and "costs $1.00" in said and "tool codex" in said
    assert "billing metered (assumed)" in str(case(file, "person: bob, costs: $1")["call"])


def test_personal_is_metered_where_no_account_is_listed(file: Path) -> None:
    """As for the gate and for cases: with no account of a provider listed, none of that provider is personal."""
    words = ("--model", "claude-sonnet-4-5", "--with", "billing=personal", "--cost", "$21")
    assert str(explained(file, *words)["call"]["says"]).startswith(f"is refused by {RULE}")
    assert case(file, "person: bob, model: claude-sonnet-4-5, billing: personal, costs: $21")["found"] == (
        f"refused by {RULE}"
    )


def test_a_rule_about_something_of_which_nothing_is_said_says_so(file: Path) -> None:
    file.write_text(POLICY + "rates: [{name: loop, match: {tool: codex}, requests: 9 per minute}]\n")
    assert explained(file)["loop"]["says"] == "is about tool codex; of this call no tool is said"
    assert explained(file, "--tool", "cursor")["loop"]["says"] == "is about tool codex"


@pytest.mark.parametrize("columns", [40, 80, 120, None])
def test_nothing_that_decides_is_cut(file: Path, columns: int | None) -> None:
    """Rules, whether they apply, reasons, figures: at every width no word is lost, and no line is too long."""
    words = (
        "explain",
        file,
        "--person",
        "bob",
        "--model",
        "claude-opus-4-5",
        "--cost",
        "$21",
        "--state",
        file.parent / "n",
    )
    printed = ran(*words, columns=columns).stdout
    assert "…" not in printed and " \n" not in printed
    assert columns is None or max(map(len, printed.splitlines())) <= columns
    # A name longer than its column goes on in the next line.
    flat = re.sub(r"\s", "", printed) if columns is None else printed
    lines = {line["rule"]: line for line in explained(file, "--model", "claude-opus-4-5", "--cost", "$21").values()}
    for line in lines.values():
        if columns is None:
            assert re.sub(r"\s", "", str(line["says"])) in flat, line["says"]
        else:
            missing = [word for word in str(line["says"]).split() if len(word) < columns // 3 and word not in printed]
            assert not missing, missing
    assert "applies" in printed and "yes" in printed and "resets" in printed


def test_piped_output_has_each_rule_on_a_line_of_its_own(file: Path) -> None:
    """A program that looks for a rule finds all that is said of it."""
    printed = ran("explain", file, "--person", "alice", "--state", file.parent / "none").stdout
    (line,) = [each for each in printed.splitlines() if each.startswith(f"{RULE} ")]
    assert "yes" in line and "$50.00 left of $50.00 for alice" in line and "$0.00 spent" in line and "resets " in line


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--with", "colour=red"), "allowed: machine, provider, session, api_key, account, project, billing"),
        (("--with", "sesion=s1"), "did you mean session?"),
        (("--with", "billing=meterd"), "did you mean metered?"),
        (("--with", "provider=anthropc"), "did you mean anthropic?"),
        (("--with", "provider=llm.acme.example"), "provider=anthropic and --with billing=gateway"),
        (("--with", "host=llm.acme.example"), "provider=anthropic and --with billing=gateway"),
        (("--with", "session=a", "--with", "session=b"), "session is given twice"),
        (("--tool", "code*"), "is a pattern; a call has one tool"),
    ],
)
def test_what_no_call_can_have_is_refused(file: Path, words: tuple[str, ...], says: str) -> None:
    """With the words that are accepted alone."""
    said = fault(file, *words)
    assert says in said
    assert "team" not in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--tool", "claud-code"), "tool claud-code is not known by name; did you mean claude-code?"),
        (
            ("--model", "claude-sonet-4-5"),
            "model claude-sonet-4-5 is in no price list; did you mean claude-sonnet-4-5?",
        ),
        (("--with", "machine=ci-7"), "machine ci-7 is in no machine group of the policy"),
    ],
)
def test_what_could_be_real_is_noted(file: Path, words: tuple[str, ...], says: str) -> None:
    done = ran("explain", file, "--person", "bob", "--state", file.parent / "none", *words)
    assert f"spendgate: {says}" in done.stderr


def test_a_person_whom_nobody_lists_is_noted(file: Path) -> None:
    done = ran("explain", file, "--person", "alise", "--state", file.parent / "none")
    assert "spendgate: person alise is not listed: one of unknown_people: shared; did you mean alice?" in done.stderr
    assert "not listed" not in ran("explain", file, "--person", "bob", "--state", file.parent / "none").stderr


NEEDS = f"budget {RULE} (bob) has $0.10 left; this call may need about $0.20 (an estimate)"


def test_what_does_not_fit_is_told_as_the_gate_tells_it(file: Path, tmp_path: Path) -> None:
    """What is left and what is needed: a budget of which something is left is not called spent."""
    state = tmp_path / "state"
    state.mkdir()
    play(state, parse_policy(POLICY.encode()), [Scripted(0, "bob", 19.9, 500, session="a", model="claude-sonnet-4-5")])
    words = ("explain", file, "--person", "bob", "--model", "claude-sonnet-4-5", "--state", state, "--format", "json")
    at = ("--at", moment(START_MS + 9_000), "--cost", "$0.20")
    (call,) = [line for line in json.loads(ran(*words, *at).stdout) if line["rule"] == "call"]
    assert call["says"].startswith(
        f"is refused by {RULE}: Spendgate: {NEEDS}. On this machine $19.90 spent of $20.00. It resets "
    )

    beside = file.with_name("policy.test.yaml")
    beside.write_text(
        "cases:\n  - name: it\n    given: [{spent: $19.90, ago: 1h}]\n"
        "    when: {person: bob, model: claude-sonnet-4-5, costs: $0.20}\n    then: admitted\n"
    )
    (row,) = json.loads(ran("test", file, "--format", "json", code=1).stdout)
    assert row["why"].startswith(f"{NEEDS}. $19.90 spent of $20.00. It resets ")


@pytest.mark.parametrize("columns", [40, 80, None])
def test_a_failed_case_is_shown_whole(file: Path, columns: int | None) -> None:
    beside = file.with_name("policy.test.yaml")
    beside.write_text(
        "cases:\n  - name: what is left of a long day is enough\n    given: [{spent: $19.90, ago: 1h}]\n"
        "    when: {person: bob, model: claude-sonnet-4-5, costs: $0.20}\n    then: admitted\n"
    )
    printed = ran("test", file, code=1, columns=columns).stdout
    flat = re.sub(r"\s", "", printed)
    for words in ("what is left of a long day is enough", "expected  admitted", f"found  refused by {RULE}", NEEDS):
        assert re.sub(r"\s", "", words) in flat, printed
    assert "…" not in printed


def test_without_a_file_the_policy_in_force_is_named(tmp_path: Path) -> None:
    """By its path, or as the one that is built in."""
    state = tmp_path / "state"
    (state / "policy").mkdir(parents=True)
    done = ran("explain", "--person", "bob", "--state", state)
    assert "spendgate: the policy: " in done.stderr and "built in" in done.stderr.splitlines()[0]

    file = tmp_path / "policy.yaml"
    file.write_text(POLICY)
    found = paths.find(state)
    current = policies.LastGood(found).start(file, 0)
    in_force.tell(
        found, in_force.InForce(current.policy.hash, str(file), 0, (), None, "lap-1", "", ()),
    )  # fmt: skip
    done = ran("explain", "--person", "bob", "--state", state)
    assert f"spendgate: the policy: {file}, in force" in done.stderr.splitlines()[0]
    assert "machine lap-1 (this one, assumed" in done.stdout


def test_replay_names_the_policy_in_force(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    play(state, policy(budget(500)), [Scripted(0, "alice", 0.3, 500)])
    done = ran("replay", "--state", state, "--since", "2026-01-01")
    assert "spendgate: the policy: " in done.stderr.splitlines()[0]


def diffed(tmp_path: Path, old: str, new: str, columns: int | None = None) -> str:
    (tmp_path / "old.yaml").write_text(old)
    (tmp_path / "new.yaml").write_text(new)
    return ran("diff", tmp_path / "old.yaml", tmp_path / "new.yaml", columns=columns).stdout


MACHINES = """\
version: 1
owner: lead@acme.example
machines:
  platform: {match: [platform-1, platform-14, "old-*"]}
  ci: {match: ["ci-*"]}
budgets:
  - {name: platform, match: {machine_group: platform}, limit: $5 per day}
"""


def test_machines_are_told_by_what_a_group_gains_and_loses(tmp_path: Path) -> None:
    """Each machine once: one that moves is not told as lost here and gained there, one that another pattern has is not lost."""
    moved = MACHINES.replace('platform-14, "old-*"', '"old-*"').replace('["ci-*"]', '["ci-*", platform-14]')
    printed = diffed(tmp_path, MACHINES, moved)
    assert printed.count("platform-14") == 1
    assert "machine platform-14: moves from platform to ci; rules about them: platform" in printed
    kept = MACHINES.replace('platform-1, platform-14, "old-*"', '"platform-*"')
    printed = diffed(tmp_path, MACHINES, kept)
    assert "machines of platform: gains platform-*; loses old-*" in printed
    assert "platform-14" not in printed
    fewer = MACHINES.replace('"old-*"', '"old-1*"')
    assert "machines of platform: loses old-* but for old-1*; rules" in diffed(tmp_path, MACHINES, fewer)
    same = MACHINES.replace("platform-1, platform-14", "platform-14, platform-1")
    assert "machines of platform: written otherwise, the same machines" in diffed(tmp_path, MACHINES, same)


def test_a_person_with_two_accounts_is_told_once(tmp_path: Path) -> None:
    """Who gains or loses models is never counted by account."""
    old = "version: 1\nowner: lead@acme.example\n"
    rules = "teams: {agency: {}}\nmodels: [{name: m, match: {team: agency}, deny: ['gpt-5-pro*']}]\n"
    people = (
        "unknown_people: refuse\npeople:\n  platform-14: {team: agency, accounts: [platform-14, 'ACME\\platform-14']}\n"
    )
    printed = diffed(tmp_path, old, old + people + rules)
    (line,) = [each for each in printed.splitlines() if "lose gpt-5-pro" in each]
    assert line.startswith("  accounts platform-14 and acme\\platform-14 (not listed -> platform-14): lose gpt-5-pro")


def test_an_allow_list_is_told_without_a_count_of_all_other_models(tmp_path: Path) -> None:
    """How many models the price list has says nothing to a reader; that every one is refused does."""
    old = "version: 1\nowner: lead@acme.example\n"
    printed = diffed(tmp_path, old, old + "models: [{name: m, allow: ['claude-haiku-*']}]\n")
    (line,) = [each for each in printed.splitlines() if ": lose " in each]
    assert "lose every model that no rule names, " in line and "any other model" not in line
    assert "routers and aliases (such as auto)" in line


@pytest.mark.parametrize("columns", [60, 80])
def test_lines_of_a_diff_keep_to_the_terminal(tmp_path: Path, columns: int) -> None:
    printed = diffed(tmp_path, POLICY, POLICY.replace("$20 per day", "$30 per day").replace("bob:", "carol:"), columns)
    assert max(map(len, printed.splitlines())) <= columns
    assert "…" not in printed
    assert max(map(len, diffed(tmp_path, POLICY, POLICY.replace("$20 per day", "$30 per day")).splitlines())) > 120


ZONED = (
    "version: 1\nowner: lead@acme.example\ntimezone: ZONE\nteams: {away: {timezone: Asia/Tokyo}}\npeople: {ann: {team: away}}\n"
    "budgets:\n  - {name: day, per: person, limit: $20 per day}\n  - {name: month, limit: $200 per month}\n"
    "  - {name: slides, limit: $10 per rolling 2h}\n"
)


def test_another_timezone_says_what_it_does_to_spending(tmp_path: Path) -> None:
    """By how much windows move, and of which budgets those that run now are cut anew."""
    printed = diffed(tmp_path, ZONED.replace("ZONE", "Asia/Tokyo"), ZONED.replace("ZONE", "Asia/Kolkata"))
    assert "timezone: Asia/Tokyo -> Asia/Kolkata: days, weeks and all other windows of the calendar" in printed
    assert "begin and end 3 h 30 min later" in printed
    assert (
        "everybody but for away, with a timezone of their own: the day that runs now in budget day counts from"
        in printed
    )
    assert "everybody: the month that runs now in budget month" in printed
    assert "budget slides" not in printed
    back = diffed(tmp_path, ZONED.replace("ZONE", "Asia/Kolkata"), ZONED.replace("ZONE", "Asia/Tokyo"))
    assert "begin and end 3 h 30 min earlier" in back


def case_faults(file: Path, when: str) -> str:
    """Why a file of cases is not run."""
    file.with_name("policy.test.yaml").write_text(f"cases:\n  - {{name: it, when: {{{when}}}, then: admitted}}\n")
    return " ".join(ran("test", file, code=1).stderr.split())


def test_a_host_is_told_which_provider_its_calls_have(file: Path) -> None:
    """In a case and in a selector: that of its prices, which a rule may name though no such provider's own hosts are read."""
    for when in (
        "person: bob, costs: $1, host: llm.acme.example",
        "person: bob, costs: $1, provider: llm.acme.example",
    ):
        assert "'llm.acme.example' is a host; of its calls say provider: anthropic and billing: gateway" in case_faults(
            file, when
        )
    hosts = POLICY.replace("prices: anthropic", "prices: databricks")
    by_provider = hosts + "rates: [{name: gateway, match: {provider: databricks}, requests: 1 per hour}]\n"
    file.write_text(by_provider)
    assert ran("check", file).exit_code == 0
    assert (
        case(file, "person: bob, model: house-7b, costs: $1, provider: databricks, billing: gateway")["passed"] == "yes"
    )
    file.write_text(by_provider.replace("provider: databricks}", "host: llm.acme.example}"))
    assert "no rule asks for a host" in ran("check", file, code=1).stdout
    file.write_text(by_provider.replace("provider: databricks}", "provider: databrix}"))
    said = ran("check", file, code=1).stdout
    assert "zhipuai, databricks; did you mean databricks?" in said and "…" not in said


def test_a_rule_that_hangs_on_what_is_assumed_says_so(file: Path) -> None:
    """A reader must see that another billing word, machine or provider would come under it."""
    more = (
        "rates:\n  - {name: beyond, match: {billing: overage}, requests: 9 per minute}\n"
        "  - {name: house, match: {provider: openai}, requests: 9 per minute}\n"
        "  - {name: others, except: {machine_group: laptops}, requests: 9 per minute}\n"
    )
    file.write_text(POLICY + more)
    said = {rule: line["says"] for rule, line in explained(file, "--model", "claude-sonnet-4-5").items()}
    assert said["beyond"] == "is about billing overage; of this call billing metered is assumed"
    assert said["house"] == "is about provider openai; of this call provider anthropic is assumed"
    assert said["others"] == "excepts machine_group laptops; of this call machine laptop is assumed"
    told = {rule: line["says"] for rule, line in explained(file, "--with", "billing=metered").items()}
    assert told["beyond"] == "is about billing overage"


def test_an_account_that_is_not_said_is_taken_as_the_companys_and_that_is_said(file: Path) -> None:
    """Where another one would be personal: what becomes of those stands beside it."""
    file.write_text(f"{POLICY}billing: {{accounts: [{{provider: anthropic, account: org-1}}], personal: refuse}}\n")
    lines = explained(file, "--model", "claude-sonnet-4-5")
    assert lines["billing.accounts"]["says"] == (
        "no account is said: it is taken as the company's; of anthropic any other account than org-1 is personal: refused"
    )
    assert "billing.accounts" not in explained(file, "--model", "claude-sonnet-4-5", "--with", "account=org-1")
    assert "billing.accounts" not in explained(file, "--model", "gpt-5")
