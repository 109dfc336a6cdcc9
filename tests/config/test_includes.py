"""Included files: one policy of several files, faults in the file they stand in, and a team's rules that can only narrow."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spendgate.config.bundle import Bundle
from spendgate.config.includes import BYTES_MAX_ALL, FILES_MAX
from spendgate.config.policy_file import parse_policy
from spendgate.config.sources import load
from spendgate.errors import PolicyError
from spendgate.fitting import model_refusal, scopes
from spendgate.policy import Policy
from spendgate.rates import rate_scopes
from spendgate.selector import Facts

MAIN = """\
version: 1
owner: ops@acme.example
include: [people.yaml, payments.yaml]
teams: {commerce: {}, search: {}}
budgets:
  - {name: person, per: person, limit: $60 per day}
models: [{name: no-pro, deny: ["gpt-5-pro*"]}]
rates: [{name: loop, per: person, requests: 100 per minute}]
"""
PEOPLE = """\
teams: {payments: {parent: commerce}, payments-eu: {parent: payments}}
people: {alice: {team: payments, groups: [senior]}, bob: {team: search}, carol: {team: payments-eu}, dan: {team: commerce}}
machines: {ci: {match: ["ci-*"]}}
"""
TEAM = """\
team: payments
budgets:
  - {name: ours, limit: $20 per day}
  - {name: europe, match: {team: payments-eu, model: "claude-opus-*"}, except: {group: senior}, limit: $5 per day}
models: [{name: small, allow: ["claude-haiku-*"]}]
"""


def folder(tmp_path: Path, **files: str) -> Path:
    """A folder with a policy and what it includes; the path of the policy."""
    home = tmp_path / "etc"
    home.mkdir(exist_ok=True)
    for name, text in {"policy": MAIN, "people": PEOPLE, "payments": TEAM, **files}.items():
        (home / f"{name}.yaml").write_text(text)
    return home / "policy.yaml"


def parsed(main: str = MAIN, **files: str) -> Policy:
    """The policy of these texts."""
    texts = {"people": PEOPLE, "payments": TEAM, **files}
    return parse_policy(main.encode(), beside=lambda name: texts[name.removesuffix(".yaml")].encode())


def faults(main: str = MAIN, **files: str) -> tuple[str, ...]:
    """The faults of these texts."""
    with pytest.raises(PolicyError) as caught:
        parsed(main, **files)
    return caught.value.faults


def test_several_files_are_one_policy(tmp_path: Path) -> None:
    """People, teams and machines of all files; the team's rules behind the policy's own, in their order."""
    policy = load(folder(tmp_path))
    assert [person.name for person in policy.roster.people] == ["alice", "bob", "carol", "dan"]
    assert policy.roster.team_by_name["payments-eu"].lineage == ("payments-eu", "payments", "commerce")
    assert [group.name for group in policy.roster.machines] == ["ci"]
    assert [(budget.name, budget.order) for budget in policy.budgets] == [("person", 0), ("ours", 1), ("europe", 2)]
    assert [(rule.name, rule.order) for rule in policy.models] == [("no-pro", 0), ("small", 1)]
    assert policy.budgets[1].match.as_data() == {"team": ["payments"]}
    assert policy.budgets[2].match.as_data() == {"team": ["payments-eu"], "model": ["claude-opus-*"]}


def test_where_it_stands_does_not_change_what_a_policy_says() -> None:
    """The hash is that of one file with the same content; a change in any file is another hash."""
    apart = "version: 1\nowner: ops@acme.example\ninclude: [people.yaml]\nteams: {commerce: {}, search: {}}\n"
    whole = (
        apart.replace("include: [people.yaml]\n", "")
        .replace("teams: {", "teams: {")
        .replace("search: {}}", "search: {}, payments: {parent: commerce}, payments-eu: {parent: payments}}")
    )
    whole += "".join(PEOPLE.splitlines(True)[1:])
    assert parsed(apart).hash == parsed(whole).hash != parsed(apart, people=PEOPLE.replace("senior", "junior")).hash


def test_the_policy_itself_may_raise_what_a_team_has_narrowed() -> None:
    """An exception of the policy's own is of any budget, also of one in a team's file; in that file it is a fault."""
    raised = (
        "exceptions: [{budget: ours, match: {person: alice}, add: $5, until: 2026-12-31, reason: r, approved_by: a}]\n"
    )
    assert parsed(MAIN + raised).exceptions[0].budget == "ours"
    assert any("exceptions: unknown key" in fault for fault in faults(payments=TEAM + raised))


def test_a_team_file_without_people_listed_is_still_bound() -> None:
    """A rule without `match` is bound, too, and so is every limit of a list."""
    found = parsed(
        MAIN.replace("payments.yaml", "search.yaml"),
        search="team: search\nbudgets: [{name: a, per: person, limit: [$1 per hour, $5 per day]}]\n",
    )
    assert [each.match.as_data() for each in found.budgets[1:]] == [{"team": ["search"]}] * 2


def test_all_faults_of_all_files_are_told_at_once() -> None:
    """Those of the policy first, then each included file's, with its own path, line and column."""
    found = faults(
        MAIN.replace("$60", "60"),
        people=PEOPLE.replace("payments-eu}", "payments-us}"),
        payments=TEAM.replace("$20", "20").replace("senior", "senor"),
    )
    assert [line.partition(": ")[0] for line in found] == [
        "policy.yaml:6:40", "people.yaml:2:88", "payments.yaml:3:25", "payments.yaml:4:88",
    ]  # fmt: skip
    assert "did you mean payments-eu?" in found[1]
    assert "did you mean senior?" in found[3]


def test_faults_are_bounded_over_all_files() -> None:
    """A hundred in all, however many files there are."""
    found = faults(
        people="".join(f"k{number}: x\n" for number in range(90)), payments="".join(f"k{n}: x\n" for n in range(90))
    )
    assert (len(found), found[-1]) == (101, "policy.yaml: and 80 more")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param("\ufeffteams: {x: {}}\n", None, id="BOM"),
        pytest.param("teams:\r\n  x: {}\r\n", None, id="CRLF"),
        pytest.param("teams: {yes: {}, 1:30: {}, 0o17: {}, 2027-03-31: {}}\n", "'1:30' is not a name", id="scalars"),
        pytest.param("teams: {x: ~}\n", "no value", id="null"),
        pytest.param("teams: &t {x: {}}\n", "anchor &t", id="anchor"),
        pytest.param("teams: {<<: {x: {}}}\n", "merge <<", id="merge"),
        pytest.param("teams: !!set {x: {}}\n", "tag ", id="tag"),
        pytest.param("teams:\n\tx: {}\n", "a tab in the text", id="tab"),
        pytest.param("teams: {x: {}, x: {}}\n", "is given twice, first in line 1", id="duplicate key"),
        pytest.param("teams: {x: {}}\nteams: {y: {}}\n", "is given twice, first in line 1", id="duplicate section"),
        pytest.param("teams: {x: {}}\n---\nteams: {y: {}}\n", "a second document", id="second document"),
        pytest.param("", "the file is empty", id="empty"),
        pytest.param("people: [alice]\n", "allowed: keys with values", id="list for names"),
        pytest.param("[" * 5000, "nested more than", id="depth"),
    ],
)  # fmt: skip
def test_yamls_traps_in_an_included_file(text: str, fault: str | None) -> None:
    """The same rules hold in every file, and its faults carry its own name."""
    main = "version: 1\nowner: ops@acme.example\ninclude: [people.yaml]\n"
    if fault is None:
        assert parsed(main, people=text).roster.teams[0].name == "x"
    else:
        assert any(line.startswith("people.yaml:") and fault in line for line in faults(main, people=text))


def test_size_and_number_are_bounded() -> None:
    """Together the files have an end, too, and no file beyond the number is even read."""
    huge = "#" * 1_000_000
    main = "version: 1\nowner: ops@acme.example\ninclude: [a.yaml, b.yaml, c.yaml]\n"
    (fault,) = [line for line in faults(main, a=huge, b=huge, c=huge) if "at most" in line]
    assert fault == f"policy.yaml:3:27: include: c.yaml is too much: at most {BYTES_MAX_ALL:,} bytes are read in all"
    many = main.replace("a.yaml, b.yaml, c.yaml", ", ".join(f"f{n}.yaml" for n in range(FILES_MAX + 1)))
    assert faults(many) == (
        f"policy.yaml:3:10: include: {FILES_MAX + 1} files are named; at most {FILES_MAX} are included",
    )


@pytest.mark.parametrize(
    ("team", "name"),
    [("payments", "payments"), ("Data Platform", "data-platform"), ("a@b+c", "a.b.c"), ("\u6570\u636e", "team")],
)
def test_a_teams_file_has_its_name(team: str, name: str) -> None:
    """As far as every file system has its letters."""
    main = f"version: 1\nowner: o@acme.example\nteams: {{{team}: {{}}}}\ninclude: {name}.yaml\n"
    rules = f"team: {team}\nbudgets: [{{name: a, limit: $5}}]\n"
    assert parse_policy(main.encode(), beside=lambda _: rules.encode()).budgets[0].match.as_data() == {"team": [team]}


# -- what may be read ------------------------------------------------------------------------------------------------


def test_a_link_within_the_folder_is_followed_and_no_other(tmp_path: Path) -> None:
    """As configuration tools swap files; what lies elsewhere is not read, and nothing of it stands in a fault."""
    path = folder(tmp_path)
    (path.parent / "..data").mkdir()
    (path.parent / "people.yaml").rename(path.parent / "..data" / "people.yaml")
    (path.parent / "people.yaml").symlink_to("..data/people.yaml")
    assert load(path).roster.people
    (tmp_path / "secret.yaml").write_text("password: hunter2\n")
    (path.parent / "people.yaml").unlink()
    (path.parent / "people.yaml").symlink_to("../secret.yaml")
    with pytest.raises(PolicyError) as caught:
        load(path)
    assert (
        f"{path}:3:11: include: people.yaml is a link that leads out of the policy's folder" in caught.value.faults[0]
    )
    assert "hunter2" not in "".join(caught.value.faults)
    (path.parent / "key.pem").write_text("password: hunter2\n")
    (path.parent / "people.yaml").unlink()
    (path.parent / "people.yaml").symlink_to("key.pem")
    with pytest.raises(PolicyError) as caught:
        load(path)
    assert "people.yaml is a link to a file that is not called .yaml or .yml" in caught.value.faults[0]
    assert "hunter2" not in "".join(caught.value.faults)


@pytest.mark.parametrize("kind", ["directory", "pipe", "loop", "device", "unreadable name"])
def test_what_is_no_file_is_a_fault(tmp_path: Path, kind: str) -> None:
    """Nothing hangs and nothing breaks."""
    path = folder(tmp_path)
    odd = path.parent / "people.yaml"
    odd.unlink()
    match kind:
        case "directory":
            odd.mkdir()
        case "pipe":
            os.mkfifo(odd)
        case "loop":
            odd.symlink_to("people.yaml")
        case "device":
            odd.symlink_to("/dev/zero")
        case _:
            path.write_text(MAIN.replace("people.yaml", '"peo\\0ple.yaml"'))
    with pytest.raises(PolicyError) as caught:
        load(path)
    assert caught.value.faults[0].startswith(f"{path}:3:11: include")


def test_the_policy_may_be_a_link_itself(tmp_path: Path) -> None:
    """The files beside it are those in the folder of the path that was given."""
    path = folder(tmp_path)
    path.rename(tmp_path / "elsewhere.yaml")
    path.symlink_to(tmp_path / "elsewhere.yaml")
    assert load(path).roster.people


@given(
    st.lists(st.tuples(st.text(max_size=5), st.one_of(st.none(), st.binary(max_size=20))), max_size=4),
    st.binary(max_size=20),
)
def test_no_two_states_of_the_files_have_one_digest(included: list[tuple[str, bytes | None]], main: bytes) -> None:
    """Bytes that move from one file to another, and files that change places, are another state."""
    whole = Bundle(main, tuple(included))
    for at, (name, data) in enumerate(included):
        moved = [*included[:at], (name, (data or b"")[:-1]), *included[at + 1 :]]
        other = Bundle(main + (data or b"")[-1:], tuple(moved))
        assert other == whole or other.digest != whole.digest
    turned = Bundle(main, tuple(reversed(included)))
    assert turned == whole or turned.digest != whole.digest


# -- a team's rules can only narrow ----------------------------------------------------------------------------------

TEAMS = ("commerce", "search", "payments", "payments-eu")
LINES = {
    "alice": ("payments", "commerce"),
    "bob": ("search",),
    "carol": ("payments-eu", "payments", "commerce"),
    "dan": ("commerce",),
}
MODELS = ("claude-opus-4-5", "claude-haiku-4-5", "gpt-5-pro", "opus", "auto", None)
NAMES = st.sampled_from(("a", "b", "c", "d", "e", "f", "g", "h", "person"))
SELECTORS = st.fixed_dictionaries(
    {"tool": st.sampled_from(("codex", "c*", "claude-code"))},
    optional={
        "team": st.sampled_from(("payments", "payments-eu", "pay*", "search", "*")),
        "group": st.just("senior"),
        "person": st.sampled_from(("alice", "bob", "*")),
        "model": st.sampled_from(("claude-*", "gpt-5*")),
        "machine_group": st.just("ci"),
    },
)
CHOSEN = {"match": SELECTORS, "except": SELECTORS}
BUDGETS = st.fixed_dictionaries(
    {"name": NAMES, "limit": st.sampled_from(("$1 per hour", "$5", "none"))},
    optional={
        **CHOSEN,
        "per": st.sampled_from(("person", "team", "tool")),
        "action": st.just("warn"),
        "hold": st.just("ceiling"),
        "wait": st.just("0s"),
    },
)
MODEL_RULES = st.fixed_dictionaries(
    {"name": NAMES, "deny": st.sampled_from(("claude-*", "gpt-5*"))},
    optional={**CHOSEN, "unresolved": st.just("allow")},
) | st.fixed_dictionaries({"name": NAMES, "allow": st.sampled_from(("claude-haiku-*", "*"))}, optional=CHOSEN)
RATES = st.fixed_dictionaries(
    {"name": NAMES, "parallel": st.sampled_from(("1", "8"))},
    optional={**CHOSEN, "per": st.sampled_from(("person", "team", "tool"))},
)
ODD = st.sampled_from(
    (
        {},
        {},
        {},
        {"mode": "observe"},
        {"exceptions": [{"add": "$5"}]},
        {"people": {"mallory": {}}},
        {"include": "more.yaml"},
    )
)
FILES = st.builds(
    lambda team, budgets, models, rates, odd: {
        "team": team,
        "budgets": budgets,
        "models": models,
        "rates": rates,
        **odd,
    },
    st.sampled_from(("payments", "payments", "payments-eu", "payments-eu", "commerce", "nobody")),
    st.lists(BUDGETS, max_size=2, unique_by=lambda rule: rule["name"]),
    st.lists(MODEL_RULES, max_size=2, unique_by=lambda rule: rule["name"]),
    st.lists(RATES, max_size=2, unique_by=lambda rule: rule["name"]),
    ODD,
)


def written(value: object) -> str:
    """The value as YAML's flow style."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {written(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(written(inner) for inner in value) + "]"
    return f'"{value}"'


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(FILES, st.sampled_from(("payments", "payments-eu")))
def test_whatever_a_team_writes_it_can_only_narrow(file: dict[str, object], name: str) -> None:
    """Nobody outside the team that its file is called by meets another rule than before; nobody inside is spared one."""
    try:
        narrowed = parsed(MAIN.replace("payments.yaml", f"{name}.yaml"), **{name: written(file)})
    except PolicyError as fault:
        assert all(line.startswith(f"{name}.yaml:") for line in fault.faults)
        return
    assert name == file["team"]
    before = parsed(MAIN.replace(", payments.yaml", ""))
    assert (narrowed.mode, narrowed.roster, narrowed.unknown_model) == (
        before.mode,
        before.roster,
        before.unknown_model,
    )
    for person, line in LINES.items():
        for model in MODELS:
            facts = Facts.of(person=person, team=line, model=model, tool="codex", group="senior", machine_group="ci")
            had, has = scopes(before, facts, 10**12, True), scopes(narrowed, facts, 10**12, True)
            refused, refuses = model_refusal(before, facts), model_refusal(narrowed, facts)
            flowed, flows = (rate_scopes(each.rate_draws, (facts,), True) for each in (before, narrowed))
            assert set(had) <= set(has)
            assert set(flowed) <= set(flows)
            assert refuses is not None or refused is None
            if name not in line:
                assert (had, refused, flowed) == (has, refuses, flows)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_edit_of_any_file_is_a_policy_or_refused(data: st.DataObject) -> None:
    """One changed stretch in one of the files never breaks the reader, and a fault names a file that exists."""
    texts = {"policy": MAIN, "people": PEOPLE, "payments": TEAM}
    name = data.draw(st.sampled_from(sorted(texts)))
    start = data.draw(st.integers(0, len(texts[name])))
    end = data.draw(st.integers(start, min(len(texts[name]), start + 12)))
    put = data.draw(st.text(alphabet="&*!|>[]{}:,-?#'\"% \n\tab$1<~/.\0\ufeff\u2028", max_size=8))
    texts[name] = texts[name][:start] + put + texts[name][end:]
    main = texts.pop("policy")

    def beside(file: str) -> bytes:
        if file.removesuffix(".yaml") not in texts:
            raise FileNotFoundError(2, "No such file")
        return texts[file.removesuffix(".yaml")].encode("utf-8", "surrogatepass")

    try:
        parse_policy(main.encode("utf-8", "surrogatepass"), beside=beside)
    except PolicyError as fault:
        assert all(line.startswith(("policy.yaml:", "people.yaml:", "payments.yaml:")) for line in fault.faults)


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=200))
def test_any_bytes_included_are_a_policy_or_refused(included: bytes) -> None:
    """Bytes that are no text are refused as that."""
    try:
        parse_policy(b"version: 1\nowner: o\ninclude: a.yaml\n", beside=lambda _: included)
    except PolicyError as fault:
        assert fault.faults
