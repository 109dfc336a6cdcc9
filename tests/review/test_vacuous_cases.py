"""Cases that would prove nothing: about nobody, or about what comes after the call."""

from __future__ import annotations

from pathlib import Path

import pytest

from spendgate.config.cases import load_cases
from spendgate.config.known import KNOWN
from spendgate.config.policies import load
from spendgate.errors import PolicyError
from spendgate.review.cases import judge

POLICY = """\
version: 1
owner: lead@acme.example
teams: {payments: {}}
people: {alice: {team: payments}, carol: {accounts: ['ACME\\carol']}}
budgets: [{name: person, per: person, limit: $1 per day}]
"""


def told(tmp_path: Path, text: str) -> list[str]:
    """The faults of a file of cases, without its name."""
    (tmp_path / "p.yaml").write_text(POLICY)
    file = tmp_path / "p.test.yaml"
    file.write_text(text)
    try:
        load_cases(file, load(tmp_path / "p.yaml", KNOWN), ("claude-code", "codex"))
    except PolicyError as caught:
        return [fault.split(":", 1)[1] for fault in caught.faults]
    return []


def test_a_time_that_the_clocks_skip(tmp_path: Path) -> None:
    """Is refused with its place, also in `given`; a day whose midnight they skip is its first instant."""
    (tmp_path / "p.yaml").write_text(f"{POLICY}timezone: America/Santiago\n")
    policy = load(tmp_path / "p.yaml", KNOWN)
    file = tmp_path / "p.test.yaml"

    def asked(at: str, given: str) -> None:
        when = f"{{person: alice, costs: $0.20, at: {at}}}"
        file.write_text(f"cases:\n  - {{name: c, given: [{{spent: $1, at: {given}}}], when: {when}, then: admitted}}\n")

    asked("2026-09-06", "2026-09-05T23:59")
    (found,) = load_cases(file, policy).cases
    assert found.when.at_ms - found.given[0].at_ms == 60_000
    says = "'2026-09-06T00:30' is a time that the clocks of America/Santiago skip on that day; write another one"
    for words in (("2026-09-06T00:30", "2026-09-05T23:59"), ("2026-09-06T03:00", "2026-09-06T00:30")):
        asked(*words)
        with pytest.raises(PolicyError) as caught:
            load_cases(file, policy)
        assert [each for each in caught.value.faults if says in each and ".at" in each], caught.value.faults


def case(given: str = "", when: str = "person: alice, costs: $0.20") -> str:
    """One case."""
    return f"cases:\n  - name: c\n    given: [{given or '{spent: $1, ago: 1h}'}]\n    when: {{{when}}}\n"


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        (
            "{spent: $1, at: 2026-06-18T12:00}",
            "3:29: cases[1].given[1].at: it is not before the call that is asked about",
        ),
        ("{spent: $1, ago: 0s}", "3:30: cases[1].given[1].ago: it is not before the call that is asked about"),
        (
            "{spent: $1, ago: 1h, calls: 7, every: 10m}",
            "3:30: cases[1].given[1].ago: the last of its calls is not before the call that is asked about",
        ),
        ("{spent: $1, ago: 1h, calls: 6, every: 10m}", None),
    ],
)
def test_what_is_given_is_before_the_call(tmp_path: Path, given: str, fault: str | None) -> None:
    """All of it: what comes later changes nothing of the call."""
    assert told(tmp_path, case(given) + "    then: admitted\n") == ([fault] if fault else [])


@pytest.mark.parametrize(
    ("when", "fault"),
    [
        ("person: alcie", "person: 'alcie' is no person or account that is known; did you mean alice?"),
        ("person: alice, tool: claude_code", "tool: 'claude_code' is no tool that is known; did you mean claude-code?"),
        (
            "person: alice, team: payments",
            "team: 'payments': no call says its team; name a person whose it is by the policy",
        ),
        ("person: alice, provider: antropic", "did you mean anthropic?"),
        ("person: alice, billing: metred", "did you mean metered?"),
        ("person: al*", "person: 'al*' is a pattern; a call has one person"),
    ],
)
def test_a_name_that_nothing_declares(tmp_path: Path, when: str, fault: str) -> None:
    """It is told with the nearest."""
    (found,) = told(tmp_path, case(when=f"{when}, costs: $0.20") + "    then: admitted\n")
    assert fault in found


def test_anybody_may_be_unlisted_and_any_tool_unknown(tmp_path: Path) -> None:
    """Such cases are about unlisted accounts, and tools of the company's own."""
    assert not told(tmp_path, case(when="person: visitor, tool: housebot, costs: $0") + "    then: admitted\n")


def test_two_cases_of_one_name(tmp_path: Path) -> None:
    """Nobody could tell which of them failed."""
    one = "  - name: Day\n    when: {person: alice, costs: $0}\n    then: admitted\n"
    assert told(tmp_path, f"cases:\n{one}{one.replace('Day', 'day')}") == [
        "5:11: cases[2].name: 'day' is taken, first in line 2"
    ]


def test_an_account_is_its_persons(tmp_path: Path) -> None:
    """As `explain` takes it."""
    given = r"{person: carol, spent: $0.90, ago: 1h}"
    assert not told(tmp_path, case(given, r"person: 'ACME\carol', costs: $0.20") + "    then: refused by person\n")
    policy = load(tmp_path / "p.yaml", KNOWN)
    assert judge(policy, load_cases(tmp_path / "p.test.yaml", policy).cases[0]).passed
