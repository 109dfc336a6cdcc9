"""`ask` and `grant`: from a refusal to the next call, over one ledger; and every grant that must not count."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner, Result

from cli.kit import app
from spendgate.cli import in_force
from spendgate.cli.asking import until_of
from spendgate.config import policies
from spendgate.config.known import KNOWN
from spendgate.config.paths import State, prepare
from spendgate.errors import UsageError
from spendgate.ledger.ledger import Ledger
from spendgate.ledger.queries import Reader
from spendgate.minisign_secret import SecretKey

KEY, OTHER = SecretKey.new(bytes(range(40))), SecretKey.new(bytes(range(1, 41)))
NOW_MS = time.time_ns() // 1_000_000
POLICY = f"""\
version: 1
owner: ops@acme.example
people:
  alice: {{team: payments}}
  bob: {{}}
  lead: {{email: lead@acme.example}}
teams:
  payments: {{owner: lead@acme.example}}
budgets:
  - {{name: person, per: person, limit: $1 per month}}
  - {{name: everybody, limit: $100 per month}}
approvers:
  - {{person: lead, key: {KEY.public}, up_to: $500, for: {{team: payments}}}}
"""


@dataclass
class Desk:
    """A state directory, its policy, and an approver's key file."""

    state: State
    policy: Path
    key: Path

    def run(self, *words: str) -> Result:
        """A command over this ledger, whatever becomes of it."""
        return CliRunner().invoke(app, [*words, "--state", str(self.state.root)])

    def ran(self, *words: str) -> str:
        """The output of one that succeeds."""
        result = self.run(*words)
        assert result.exit_code == 0, (result.output, result.exception)
        return result.stdout

    def force(self, text: str = POLICY) -> None:
        """What the gate does when its policy changes."""
        self.policy.write_text(text)
        found = policies.LastGood(self.state).start(self.policy, NOW_MS).policy
        in_force.tell(self.state, in_force.InForce(found.hash, str(self.policy), NOW_MS, (), None, "lt-1", "", ()))


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr("spendgate.cli.file_desk.own_account", lambda: "alice")
    found = Desk(prepare(State(tmp_path / "state")), tmp_path / "policy.yaml", tmp_path / "lead.key")
    found.key.write_bytes(KEY.file())
    found.force()
    Ledger.open(found.state.ledger, found.state.gates, NOW_MS).close()
    return found


def code_of(output: str) -> str:
    """The code that `ask` printed."""
    return re.search(r"spendgate-ask:\S+", output)[0]


def test_ask_then_grant_then_status_shows_it(desk: Desk) -> None:
    """Who is asked, the figures, and after the grant what is more, until when, by whom and why."""
    asked = desk.ran("ask", "50", "--for", "release week", "--budget", "person")
    assert "Written down: alice asks lead@acme.example for $50.00 more of person, until" in asked
    assert "Nobody is told of it by this policy" in asked and "send lead@acme.example the last line" in asked
    assert asked.splitlines()[-1] == code_of(asked)

    text = desk.ran("grant", code_of(asked), "--key", str(desk.key))
    assert text.startswith("spendgate-grant:")

    found = json.loads(desk.ran("status", "--format", "json"))["budgets"][0]
    assert found["limit_nanos"] == 51_000_000_000
    assert re.fullmatch(r"\$50.00 more until \w+ .* UTC by lead: release week", found["limit_from"])


def test_lists_give_programs_an_instant_and_say_what_was_granted(desk: Desk) -> None:
    """UTC in JSON, as every other instant there, also in `status`; a part of what was asked is told as that part."""
    asked = desk.ran("ask", "50", "--budget", "person", "--until", "2999-07-01T17:30")
    (waits,) = json.loads(desk.ran("status", "--format", "json"))["asks"]
    assert waits["until"] == "2999-07-01T17:30:00.000Z"
    desk.ran("grant", code_of(asked), "--key", str(desk.key), "--amount", "0.15", "--reason", "a part")
    (ask,), (grant,) = (json.loads(desk.ran(group, "list", "--format", "json")) for group in ("ask", "grant"))
    assert (ask["until"], grant["until"]) == ("2999-07-01T17:30:00.000Z",) * 2
    assert (ask["amount_nanos"], ask["status"], ask["grant"]) == (50 * 10**9, "granted $0.15", grant["id"])


def test_asks_do_not_pile_up(desk: Desk) -> None:
    """A newer one for the same allowance stands in the older one's place; what the policy gives since answers it."""

    def states() -> list[str]:
        return [each["status"] for each in json.loads(desk.ran("ask", "list", "--format", "json"))]

    for amount in ("50", "60"):
        desk.ran("ask", amount, "--budget", "person")
    first, second = states()
    assert first.startswith("replaced by ") and second == "open"
    (waits,) = json.loads(desk.ran("status", "--format", "json"))["asks"]
    assert waits["amount_nanos"] == 60 * 10**9
    given = (
        "exceptions: [{budget: person, match: {person: %s}, add: $5, until: 2999-01-01, reason: r, approved_by: ops}]"
    )
    for person, becomes in (("bob", "open"), ("alice", "given by an exception")):
        desk.force(POLICY + given % person + "\n")
        said = in_force.told(desk.state)
        assert said is not None
        in_force.tell(desk.state, replace(said, since_ms=time.time_ns() // 1_000_000 + 1))
        assert states()[1] == becomes
    assert json.loads(desk.ran("status", "--format", "json"))["asks"] == []


def test_a_grant_answers_what_was_asked_for_the_same(desk: Desk) -> None:
    """Though it was made for the ask before."""
    code = code_of(desk.ran("ask", "50", "--budget", "person"))
    desk.ran("ask", "60", "--budget", "person")
    desk.ran("grant", code, "--key", str(desk.key), "--reason", "w")
    found = json.loads(desk.ran("ask", "list", "--format", "json"))
    assert [each["status"] for each in found] == ["granted $50.00"] * 2


def test_the_trail_tells_an_ask_from_a_grant(desk: Desk) -> None:
    """Each by its own word, and with who did it."""
    asked = desk.ran("ask", "50", "--for", "release week", "--budget", "person")
    desk.ran("grant", code_of(asked), "--key", str(desk.key))
    trail = [(line["what"], line["who"]) for line in json.loads(desk.ran("audit", "list", "--format", "json"))]
    assert [each for each in trail if each[0] in {"ask", "grant"}] == [("ask", "alice"), ("grant", "lead")]


def test_a_wrong_amount_is_told_where_there_is_no_ledger(tmp_path: Path) -> None:
    """What was typed is what can be mended at once."""
    result = CliRunner().invoke(app, ["ask", "abc", "--state", str(tmp_path)])
    assert isinstance(result.exception, UsageError)
    assert "AMOUNT: 'abc' is not an amount" in str(result.exception)


@pytest.mark.parametrize(("text", "minutes"), [("90m", 90), ("8h", 480), ("3d", 3 * 1440), ("2w", 14 * 1440)])
def test_an_end_is_told_as_a_time_from_now(text: str, minutes: int) -> None:
    """Minutes, too: `--since 90m` is behind, `--until 90m` ahead."""
    now = datetime(2026, 11, 29, 12, tzinfo=UTC)
    assert until_of(text, ZoneInfo("UTC"), now) == int((now + timedelta(minutes=minutes)).timestamp() * 1000)


def test_an_ask_is_written_once_and_bounded(desk: Desk) -> None:
    """What is typed twice is one ask; ten in a day at most, of which the newest stands; each is listed with whom it waits for."""
    until = ("--until", "2999-01-01")
    first = code_of(desk.ran("ask", "5", "--budget", "person", *until))
    assert code_of(desk.ran("ask", "$5", "--budget", "person", *until)) == first
    for amount in range(6, 15):
        desk.ran("ask", str(amount), "--budget", "person", *until)
    over = desk.run("ask", "99", "--budget", "person")
    assert (over.exit_code, "10 asks that nobody has answered" in str(over.exception)) == (1, True)
    rows = json.loads(desk.ran("ask", "list", "--format", "json"))
    assert [row["amount_nanos"] // 10**9 for row in rows] == list(range(5, 15))
    assert [row["status"] for row in rows] == [f"replaced by {rows[-1]['id']}"] * 9 + ["open"]
    assert {row["asked_of"] for row in rows} == {"lead@acme.example"}
    assert desk.ran("ask", "list") != desk.ran("grant", "list")


def test_asks_that_end_at_once_fill_no_mailbox(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten in a day, however soon each is over; after that day there is room again."""
    began = datetime.now(UTC)
    for amount in range(5, 15):
        desk.ran("ask", str(amount), "--budget", "person", "--until", "1h")
    monkeypatch.setattr("spendgate.cli.file_grants.now_utc", lambda: began + timedelta(hours=2))
    over = desk.run("ask", "99", "--budget", "person", "--until", "1h")
    assert (over.exit_code, "10 asks that nobody has answered" in str(over.exception)) == (1, True)
    monkeypatch.setattr("spendgate.cli.file_grants.now_utc", lambda: began + timedelta(days=1, hours=2))
    desk.ran("ask", "99", "--budget", "person", "--until", "1h")


ALONE = POLICY.replace("{person: lead, key", "{person: alice, key")
NOBODY = POLICY[: POLICY.index("approvers:")]


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        (NOBODY, "The policy has no approvers, so no grant counts."),
        (ALONE, "No approver of the policy may grant this to alice."),
    ],
)
@pytest.mark.parametrize("until", ["2998-07-01", "2998-07-01T17:30"])
def test_where_nobody_may_grant_the_exception_is_shown_and_mailed(
    desk: Desk, policy: str, says: str, until: str
) -> None:
    """One entry for both, which a policy takes as it is: its owner's name, the amount, the ask's own end."""
    desk.force(policy)
    asked = desk.ran("ask", "$1,250", "--budget", "person", "--for", 'a "week" of Zo\u00eb', "--until", until)
    assert says in asked and "spendgate grant " not in asked, asked
    entry = re.search(r"(?m)^ +- (\{.*\})$", asked)[1]
    with Reader(desk.state.ledger) as reader:
        (waits,) = reader.asks()
    with closing(sqlite3.connect(desk.state.ledger)) as conn:
        assert conn.execute("SELECT command FROM alerts WHERE form = 'ask'").fetchall() == [(f"exceptions: [{entry}]",)]
    desk.policy.write_text(f"{desk.policy.read_text()}exceptions: [{entry}]\n")
    (found,) = policies.load(desk.policy, KNOWN).exceptions
    assert (found.add_nanos, found.until_ms, found.reason) == (
        1_250 * 10**9,
        waits.ask.until_ms,
        'a "week" of Zo\u00eb',
    )
    assert (found.budget, found.approved_by) == ("person", "lead@acme.example")
    assert ("T" in entry.split("until: ")[1].split(",")[0]) == ("T" in until)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("ask",), "no budget has refused alice here; name one with --budget"),
        (("ask", "lots", "--budget", "person"), "AMOUNT: 'lots' is not an amount"),
        (("ask", "0", "--budget", "person"), "asks for nothing"),
        (("ask", "5", "--budget", "persn"), "has no budget 'persn'"),
        (("ask", "5", "--budget", "person", "--until", "2020-01-01"), "that is over already"),
        (("ask", "5", "--budget", "person", "--until", "soon"), "write 8h, 3d, 2026-12-04"),
        (("ask", "5", "--budget", "person", "--for", "x" * 121), "at most 120 characters"),
        (("grant", "0000", "--key", "KEY"), "no ask here begins '0000'"),
        (("grant", "spendgate-ask:AAAA", "--key", "KEY"), "the code was changed or cut short"),
        (("grant", "accept", "hello"), "is no grant (it would begin spendgate-grant:)"),
        (("grant", "accept", "spendgate-grant:AA.AA"), "the grant is no grant that this version knows"),
        (("grant", "revoke", "0000"), "no grant here begins '0000'"),
    ],
)
def test_what_cannot_be_asked_or_granted(desk: Desk, words: tuple[str, ...], said: str) -> None:
    """One line that says what would do."""
    result = desk.run(*(str(desk.key) if word == "KEY" else word for word in words))
    assert result.exit_code != 0
    assert said in str(result.exception)


def test_a_grant_says_why_it_does_not_count(desk: Desk) -> None:
    """By another key, above its approver's limit, twice, a second one for the same ask: one line each, exit status 1."""
    code = code_of(desk.ran("ask", "50", "--budget", "person", "--for", "a week", "--until", "2999-01-01"))
    stranger = desk.key.with_name("stranger.key")
    stranger.write_bytes(OTHER.file())
    far = "--state", str(desk.key.parent / "nowhere")
    elsewhere = CliRunner().invoke(app, ["grant", code, "--key", str(stranger), "--by", "lead", *far])
    assert elsewhere.exit_code == 0, elsewhere.exception
    good = CliRunner().invoke(app, ["grant", code, "--key", str(desk.key), "--by", "lead", *far]).stdout
    much = (
        CliRunner().invoke(app, ["grant", code, "--key", str(desk.key), "--by", "lead", "--amount", "501", *far]).stdout
    )
    again = CliRunner().invoke(app, ["grant", code, "--key", str(desk.key), "--by", "lead", *far]).stdout
    desk.ran("grant", "accept", good)
    for text, said in (
        (again, "answered already: lead has answered the ask "),
        (elsewhere.stdout, "bad signature: it is not what lead signed"),
        (much, "above the approver's limit: it is $501.00, which makes $551.00 beside what they have granted"),
        (good, "twice: this ledger has taken it in already"),
        (good[:60] + ("A" if good[60] != "A" else "B") + good[61:], "the grant "),
    ):
        result = desk.run("grant", "accept", text)
        assert (result.exit_code, said in str(result.exception)) == (1, True), result.exception
    assert [row["status"] for row in json.loads(desk.ran("grant", "list", "--format", "json"))] == ["granted"]
    grant_id = json.loads(desk.ran("grant", "list", "--format", "json"))[0]["id"]
    desk.force(POLICY.replace("up_to: $500", "up_to: $5"))
    assert json.loads(desk.ran("grant", "list", "--format", "json"))[0]["status"] == "does not count"
    desk.force()
    desk.ran("grant", "revoke", grant_id[:4])
    (row,) = json.loads(desk.ran("grant", "list", "--format", "json"))
    assert row["status"] == "ended: revoked by alice"


def test_a_grant_for_somebody_else(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bob cannot take in what is alice's, nor has he anything by it."""
    code = code_of(desk.ran("ask", "50", "--budget", "person", "--for", "a week"))
    far = "--state", str(desk.key.parent / "nowhere")
    text = CliRunner().invoke(app, ["grant", code, "--key", str(desk.key), "--by", "lead", *far]).stdout
    monkeypatch.setattr("spendgate.cli.file_desk.own_account", lambda: "bob")
    result = desk.run("grant", "accept", text)
    assert "for somebody else: it is for alice, and you are bob" in str(result.exception)


def test_explain_names_the_grant(desk: Desk) -> None:
    """Beside its budget, as an exception is."""
    asked = desk.ran("ask", "50", "--for", "release week", "--budget", "person", "--until", "2999-01-01")
    desk.ran("grant", code_of(asked), "--key", str(desk.key))
    lines = json.loads(desk.ran("policy", "explain", "--person", "alice", "--format", "json"))
    (line,) = (each for each in lines if "release week (grant " in each["rule"])
    assert line["applies"] == "yes"
    assert re.fullmatch(r"adds \$50.00, for one window until .*; granted by lead", line["says"])


def test_a_budget_that_is_not_the_askers_tells_no_figure(desk: Desk) -> None:
    """Another team's, one that excepts them, another person's, a project that they never worked on: as one that is not there,
    with an amount and without, and nothing is written down. A team above the own one is the asker's own."""
    budgets = "budgets:\n"
    for name, words in (
        ("search", "match: {team: search}"),
        ("all-but-payments", "except: {team: payments}"),
        ("bobs", "match: {person: bob}"),
        ("herons", "match: {project: github.com/acme/herons}"),
    ):
        budgets += f"  - {{name: {name}, {words}, limit: $7315 per month}}\n"
    budgets += "  - {name: commerce, match: {team: commerce}, limit: $50 per month}\n"
    teams = "teams:\n  search: {owner: s@acme.example}\n  commerce: {owner: c@acme.example}\n"
    desk.force(
        POLICY.replace("teams:\n", teams)
        .replace("bob: {}", "bob: {team: search}")
        .replace("owner: lead@acme.example}", "owner: lead@acme.example, parent: commerce}")
        .replace("budgets:\n", budgets)
    )
    nothing = str(desk.run("ask", "--budget", "nothing").exception)
    for name in ("search", "all-but-payments", "bobs", "herons"):
        for amount in ((), ("5",)):
            result = desk.run("ask", *amount, "--budget", name)
            assert str(result.exception) == nothing.replace("nothing", name)
            assert "1463" not in result.output
    assert json.loads(desk.ran("ask", "list", "--format", "json")) == []
    assert "$10.00 more of commerce" in desk.ran("ask", "--budget", "commerce")


def refusals_told(desk: Desk) -> list[dict[str, object]]:
    """The alerts of refused grants, the oldest first."""
    rows = json.loads(desk.ran("alerts", "list", "--format", "json"))
    return [row for row in reversed(rows) if row["value"] == "grant refused"]


def test_a_refused_grant_is_told_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tried ten times, its owner hears once, with who tried, why, and what it would have been; one that came too late, or text
    that is no grant, is a line of the audit trail alone."""
    code = code_of(desk.ran("ask", "50", "--budget", "person", "--for", "a week", "--until", "2999-01-01"))
    far = "--state", str(desk.key.parent / "nowhere")
    sign = ["grant", code, "--key", str(desk.key), "--by", "lead", *far]
    much, good = (CliRunner().invoke(app, [*sign, "--amount", amount]).stdout for amount in ("501", "5"))
    monkeypatch.setattr("spendgate.cli.file_desk.own_account", lambda: "bob")
    for _ in range(3):
        assert desk.run("grant", "accept", good).exit_code == 1
    monkeypatch.setattr("spendgate.cli.file_desk.own_account", lambda: "alice")
    for text in (much, much, good[:-9] + "\n"):
        assert desk.run("grant", "accept", text).exit_code == 1
    desk.force(POLICY.replace("name: person, per", "name: persons, per"))
    assert "budget unknown" in str(desk.run("grant", "accept", good).exception)
    foreign, above = refusals_told(desk)
    assert (foreign["rule"], foreign["severity"], foreign["owner"]) == ("evidence", "alert", "ops@acme.example")
    assert (foreign["person"], above["person"]) == ("bob", "alice")
    assert str(foreign["text"]).startswith(
        "grant refused: for somebody else: it is for alice, and you are bob. It says $5.00"
    )
    assert "bob tried to take it in; no budget was refilled" in str(foreign["text"])
    assert str(above["text"]).startswith("grant refused: above the approver's limit: it is $501.00")
    lines = [
        line for line in json.loads(desk.ran("audit", "list", "--format", "json")) if " refused: " in line["detail"]
    ]
    assert [line["who"] for line in lines] == ["bob"] * 3 + ["alice"] * 3


@pytest.mark.heavy
def test_grants_that_nobody_signed_fill_no_mailbox(desk: Desk) -> None:
    """Whoever makes up twelve ids is told of ten times a day; one with its approver's signature is told beside those."""
    code = code_of(desk.ran("ask", "50", "--budget", "person", "--for", "a week", "--until", "2999-01-01"))
    stranger = desk.key.with_name("stranger.key")
    stranger.write_bytes(OTHER.file())
    far = "--by", "lead", "--state", str(desk.key.parent / "nowhere")
    for _ in range(12):
        forged = CliRunner().invoke(app, ["grant", code, "--key", str(stranger), *far]).stdout
        assert "bad signature" in str(desk.run("grant", "accept", forged).exception)
    much = CliRunner().invoke(app, ["grant", code, "--key", str(desk.key), "--amount", "501", *far]).stdout
    desk.run("grant", "accept", much)
    told = [str(row["text"]).split(": ")[1] for row in refusals_told(desk)]
    assert told == ["bad signature"] * 10 + ["above the approver's limit"]


def test_me_says_who_hears_of_an_ask_and_of_a_refused_grant(desk: Desk) -> None:
    """As they are sent: to entries for alerts, and by mail to whoever answers for a budget or may grant."""
    assert "by mail" not in desk.ran("me")
    desk.force(POLICY + "notify:\n  - {to: 'mailto://localhost?from=a@acme.example&to=b@acme.example', for: [alert]}\n")
    (entry, mailed) = json.loads(desk.ran("me", "--format", "json"))["company_sees"]["receivers"]
    assert "what you ask for, with your reason; that you tried a grant that does not count" in entry["what"]
    assert (mailed["who"], mailed["when"]) == ("by mail lead", "when you ask")


def test_asks_say_whether_somebody_has_them_also_on_a_narrow_terminal(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`ask` sends people to this list for just that."""
    desk.ran("ask", "5", "--budget", "person", "--for", "release week")
    assert "no notify: give them the ask yourself" in desk.ran("ask", "list", "--format", "json")
    monkeypatch.setenv("COLUMNS", "80")
    assert "message" in desk.ran("ask", "list").split("\n")[0]


def test_me_says_what_each_table_is_also_on_a_narrow_terminal(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all that `me` shows that is what a person came for."""
    monkeypatch.setenv("COLUMNS", "100")
    table = " ".join(desk.ran("me").split())
    assert "what it is" in table
