"""`counts: billed`: an import of what no laptop captured counts in budgets, once, and is shown apart."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import Result as Ran
from msgspec import structs
from typer.testing import CliRunner

from cli.kit import NOW_MS, app
from reconcile.taught import CENT, HEAD, at, event, used
from spendgate.admission import Admit, RefusalKind
from spendgate.attribution import Attribution, Evidence
from spendgate.cli import in_force, not_captured
from spendgate.cli.statements_given import read_file
from spendgate.config import policies
from spendgate.config.paths import State, prepare
from spendgate.fitting import scopes
from spendgate.gate.gate import Gate
from spendgate.gate.interface import Admitted, Intent, Refused
from spendgate.ledger.interface import CallRow, Settlement
from spendgate.ledger.ledger import Ledger
from spendgate.ledger.purge import Purge, run
from spendgate.ledger.queries import Reader
from spendgate.ledger.selecting import Span
from spendgate.ledger.statements import StatementBook
from spendgate.policy import Policy
from spendgate.pricing import PriceBook
from spendgate.providers.ask import Ask
from spendgate.providers.interface import Kind, Route
from spendgate.providers.unfinished import estimate_usage
from spendgate.reconcile.facts import Facts as Known
from spendgate.reconcile.run import Options
from spendgate.selector import Facts
from spendgate.usage import Usage

POLICY = """\
version: 1
owner: tests@acme.example
people:
  alice: {email: alice@acme.example, team: payments}
  bob: {email: bob@acme.example, team: payments}
teams:
  payments: {owner: tests@acme.example}
budgets:
  - {name: person, per: person, limit: $20 per rolling 30d, counts: billed}
  - {name: captured, per: person, limit: $20 per rolling 30d}
  - {name: payments, match: {team: payments}, limit: $500, counts: billed}
  - {name: cursor, match: {tool: cursor, model: "claude-opus-*"}, limit: $500, counts: billed}
  - {name: sessions, per: session, limit: $500, counts: billed}
"""


@pytest.fixture(name="place")
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> State:
    """A ledger with two calls of alice's on one day, and this policy in force."""
    monkeypatch.setattr("spendgate.cli.file_desk.own_account", lambda: "alice")
    found = prepare(State(tmp_path / "state"))
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY)
    policy = policies.LastGood(found).start(file, NOW_MS).policy
    said = in_force.InForce(policy.hash, str(file), NOW_MS, (), None, "m" * 32, "genai-prices 0", ("regular",))
    in_force.tell(found, said)
    ledger = Ledger.open(found.ledger, found.gates, NOW_MS)
    for minute in (0, 30):
        used(ledger, at(3, minute), 40, flags=(), basis="reported")
    ledger.close()
    return found


def ran(state: State, *words: str) -> Ran:
    done = CliRunner().invoke(app, [*words, "--state", str(state.root)])
    assert done.exit_code == 0, (done.output, done.exception)
    return done


def taken(state: State, folder: Path, *rows: str, name: str = "usage.csv") -> str:
    """Import these events; what is said of it."""
    file = folder / name
    file.write_text(HEAD + "".join(rows))
    return ran(state, "reconcile", "import", str(file)).stderr


def budgets(state: State) -> dict[str, dict]:
    return {row["budget"]: row for row in json.loads(ran(state, "status", "--format", "json").stdout)["budgets"]}


CAPTURED = (event(at(3, 0), 40), event(at(3, 30), 40))


def gate_of(state: State) -> tuple[Gate, Ledger]:
    policy = in_force.policy(state)
    ledger = Ledger.open(state.ledger, state.gates, NOW_MS)
    return Gate(ledger, PriceBook(), policy, estimate=estimate_usage), ledger


def ask(number: int) -> Intent:
    """A call of alice's."""
    who = Attribution(person="alice", machine="lt-1", tool="claude-code", person_evidence=Evidence.SOCKET_OWNER)
    route = Route("anthropic", "anthropic-messages", Kind.BILLABLE, "/v1/messages")
    asked = Ask(model="claude-opus-4-5", text_bytes=2_000, output_tokens_max=1_000)
    return Intent(f"call-{number}", NOW_MS, "api.anthropic.com", route, asked, who, 2_000)


def test_an_import_counts_where_it_fits_once_and_is_told_apart(place: State, tmp_path: Path) -> None:
    before = budgets(place)
    assert before["person"]["spent_nanos"] == 0, "these calls were booked without budgets"
    said = taken(place, tmp_path, *CAPTURED, event(at(3, 400), 900), event(at(5, 0), 300))
    assert "with every other import of these days, billed on" in said
    assert "billed on its closed days, not captured here: $12.00; budgets with `counts: billed` have it" in said
    after = budgets(place)
    assert (after["person"]["spent_nanos"], after["person"]["billed_nanos"]) == (1_200 * CENT, 1_200 * CENT)
    assert (after["captured"]["spent_nanos"], after["captured"]["billed_nanos"]) == (0, 0)
    (name,) = after["person"]["billed_by"]
    shown = ran(place, "status").stdout
    assert f"person (alice): of that billed, not captured here: $12.00 (import {name})" in shown
    with Reader(place.ledger) as reader:
        assert reader.check() == ()
        told = [line["detail"] for line in reader.audit() if line["what"] == "billed, not captured"]
    assert len(told) == 1 and f": $12.00 in 2 lines, imports {name}" in told[0]
    again = taken(place, tmp_path, *CAPTURED, event(at(3, 400), 900), event(at(5, 0), 300))
    assert "these very bytes are here already" in again
    assert budgets(place)["person"]["spent_nanos"] == 1_200 * CENT


def test_an_import_that_was_killed_before_it_was_counted_is_named_until_it_is(place: State, tmp_path: Path) -> None:
    """By the next import of other days, the report and the list; the same bytes again count it."""
    rows = (*CAPTURED, event(at(3, 400), 900))
    file = tmp_path / "killed.csv"
    file.write_text(HEAD + "".join(rows))
    with StatementBook(place.ledger) as book:
        killed, _ = book.take(read_file(file, None), "alice", NOW_MS)
    words = f"import {killed.name} (killed.csv) was taken in and never compared with the calls"
    assert words in " ".join(taken(place, tmp_path, event(at(9, 0), 300)).split())
    for command in ("imports", "report"):
        said = CliRunner().invoke(app, ["reconcile", command, "--state", str(place.root)])
        assert words in " ".join(said.stderr.split())
    assert words not in " ".join(taken(place, tmp_path, *rows, name="killed.csv").split())
    assert budgets(place)["person"]["spent_nanos"] == 1_200 * CENT


@pytest.mark.parametrize("often", [1, 100])
def test_an_import_that_lands_while_another_compares_is_never_counted_away(
    place: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, often: int
) -> None:
    """Once: what was compared is compared anew, with it. All the time: it is told, and the same bytes again count it."""
    compared, landed = not_captured.uncaptured, iter(range(often))

    def beside(reader: Reader, options: Options, facts: Known) -> object:
        found = compared(reader, options, facts)
        if (number := next(landed, None)) is not None:
            other = tmp_path / "other.csv"
            other.write_text(HEAD + event(at(5, number), 300 + number, email="bob@acme.example"))
            read = structs.replace(read_file(other, None), subject="second")
            with StatementBook(place.ledger) as book:  # as an import that was killed before it counted, too
                assert book.take(read, "admin", NOW_MS + number)[1]  # of one moment, the name would decide
        return found

    monkeypatch.setattr(not_captured, "uncaptured", beside)
    file = tmp_path / "usage.csv"
    file.write_text(HEAD + "".join((*CAPTURED, event(at(5, 0), 100))))
    words = ["reconcile", "import", str(file), "--state", str(place.root)]
    done = CliRunner().invoke(app, words)
    if often > 1:
        assert done.exit_code != 0 and "import it again, once the others are done" in str(done.exception or done.stderr)
        with Reader(place.ledger) as reader:
            assert reader.uncaptured() == ()
        monkeypatch.setattr(not_captured, "uncaptured", compared)
        done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, (done.output, done.exception)
    with Reader(place.ledger) as reader:
        found = {each.person: each.nanos for each in reader.uncaptured()}
    assert found == {"alice": 100 * CENT, "bob": (300 if often == 1 else 307) * CENT}


def test_a_newer_version_replaces_what_an_older_one_said(place: State, tmp_path: Path) -> None:
    taken(place, tmp_path, *CAPTURED, event(at(3, 400), 900), event(at(5, 0), 300))
    for cents in (1_500, 0, 700):
        rows = (event(at(3, 400), cents),) if cents else ()
        taken(place, tmp_path, *CAPTURED, *rows, event(at(5, 0), 1))
        found = budgets(place)["person"]
        assert (found["spent_nanos"], found["billed_nanos"]) == ((cents + 1) * CENT, (cents + 1) * CENT)
        with Reader(place.ledger) as reader:
            assert reader.check() == ()


def test_a_price_or_an_estimate_that_is_off_is_no_usage_that_is_missing(place: State, tmp_path: Path) -> None:
    said = taken(place, tmp_path, event(at(3, 0), 400), event(at(3, 30), 400))
    assert "nothing that is billed on its closed days is proven to be missing in the calls here; whether" in said
    assert budgets(place)["person"]["billed_nanos"] == 0


async def test_a_budget_that_an_import_has_overfilled_refuses_and_says_why(place: State, tmp_path: Path) -> None:
    gate, ledger = gate_of(place)
    try:
        await gate.start()
        assert isinstance(await gate.hold(ask(1)), Admitted)
        said = await asyncio.to_thread(taken, place, tmp_path, *CAPTURED, event(at(3, 400), 2_500))
        assert "$25" in said
        refused = await gate.hold(ask(2))
    finally:
        await gate.stop()
        ledger.close()
    assert isinstance(refused, Refused)
    assert (refused.refuse.kind, refused.refuse.rule) == (RefusalKind.SPENT, "person")
    assert "$25.00 of it billed by the provider and not captured here" in refused.message
    with Reader(place.ledger) as reader:
        (row,) = [row for row in reader.calls(Span()) if row["state"] == "refused"]
        assert row["refused_reason"] == "the budget is spent, in part by what was billed and not captured here"
        assert reader.check() == ()


async def test_a_gate_that_starts_later_counts_it_too(place: State, tmp_path: Path) -> None:
    """Also under a policy that has just begun to say so, and once only by the team, the tool and the model."""
    bob = event(at(4, 10), 200, email="bob@acme.example")
    taken(place, tmp_path, *CAPTURED, event(at(3, 400), 900), bob, event(at(4, 0), 50, email="zoe@acme.example"))
    gate, ledger = gate_of(place)
    try:
        await gate.start()
        await gate.start()
    finally:
        await gate.stop()
        ledger.close()
    found = {each["budget"]: each for each in balances(place)}
    assert {name: each["billed"] for name, each in found.items()} == {
        "person|alice": 900 * CENT, "person|bob": 200 * CENT, "payments|": 1_100 * CENT, "cursor|": 1_150 * CENT,
    }  # fmt: skip


def balances(state: State) -> list[dict]:
    """Those with a part that was billed and not captured."""
    import sqlite3

    conn = sqlite3.connect(state.ledger)
    sql = (
        "SELECT budget || '|' || value, sum(nanos) FROM billed_charges JOIN balances b ON b.id = balance GROUP BY b.id"
    )
    rows = [{"budget": name, "billed": nanos} for name, nanos in conn.execute(sql)]
    conn.close()
    return rows


def test_spend_shows_it_apart(place: State, tmp_path: Path) -> None:
    bob = event(at(4, 10), 200, email="bob@acme.example")
    taken(place, tmp_path, *CAPTURED, event(at(3, 400), 900), bob)
    rows = {row["person"]: row for row in json.loads(ran(place, "spend", "--format", "json").stdout)}
    assert (rows["alice"]["cost_nanos"], rows["alice"]["not_captured_nanos"]) == (80 * CENT, 900 * CENT)
    assert (rows["bob"]["calls"], rows["bob"]["cost_nanos"], rows["bob"]["not_captured_nanos"]) == (0, 0, 200 * CENT)
    since = datetime.fromtimestamp(at(3, 0) / 1000, UTC).strftime("%Y-%m-%d")
    told = ran(place, "spend", "--by", "model,provider", "--since", since)
    assert "billed, not captured here: $9.00 of 1 day (import " in told.stderr
    day = datetime.fromtimestamp(at(4, 10) / 1000, UTC).strftime("%Y-%m-%d")
    by_day = {row["day"]: row for row in json.loads(ran(place, "spend", "--by", "day", "--format", "json").stdout)}
    assert by_day[day]["not_captured_nanos"] == 200 * CENT
    where = json.loads(ran(place, "spend", "--where", "person=bob", "--format", "json").stdout)
    assert [row["not_captured_nanos"] for row in where] == [200 * CENT]


def test_a_map_says_whose_it_is(place: State, tmp_path: Path) -> None:
    """Without it nobody's: in the budgets that are for everybody, in no person's. Once more with a map: counted anew."""
    rows = (*CAPTURED, event(at(5, 0), 300, email="al@other.example"))
    assert "1 of these amounts name nobody whom this ledger knows (--map)" in taken(place, tmp_path, *rows)
    assert budgets(place)["person"]["billed_nanos"] == 0
    assert balances(place) == [{"budget": "cursor|", "billed": 300 * CENT}]
    mapped = tmp_path / "map.yaml"
    mapped.write_text("map: 1\npeople:\n  - {person: alice, emails: [al@other.example]}\n")
    again = ran(place, "reconcile", "import", str(tmp_path / "usage.csv"), "--map", str(mapped)).stderr
    assert "these very bytes are here already" in again
    assert budgets(place)["person"]["billed_nanos"] == 300 * CENT
    assert {each["budget"]: each["billed"] for each in balances(place)}["cursor|"] == 300 * CENT


def test_days_whose_calls_are_sums_by_now_are_not_compared(place: State, tmp_path: Path) -> None:
    """Their calls are not to be found any more: each would seem to be missing."""
    taken(place, tmp_path, *CAPTURED, event(at(3, 400), 900))
    ledger = Ledger.open(place.ledger, place.gates, NOW_MS)
    used(ledger, at(1, 0), 1, flags=(), basis="reported")  # the newest row always stays
    ledger.close()
    with Purge(place.ledger, place.gates) as purge:
        run(purge, 1, NOW_MS)
    said = taken(place, tmp_path, *CAPTURED, event(at(3, 400), 901))
    assert "the calls of all its days are sums by now (privacy.keep)" in said
    assert budgets(place)["person"]["billed_nanos"] == 900 * CENT, "what was counted stays"
    rows = (*CAPTURED, event(at(3, 400), 902), event(at(1, 0), 1), event(at(1, 90), 50))
    assert "not captured here: $0.50;" in taken(place, tmp_path, *rows)
    assert budgets(place)["person"]["billed_nanos"] == 950 * CENT
    with Reader(place.ledger) as reader:
        assert reader.check() == ()


async def test_a_running_gate_counts_by_itself_what_a_command_has_not_brought_to_it(
    place: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the command reads another policy than the gate that runs."""
    gate, ledger = gate_of(place)
    monkeypatch.setattr("spendgate.ledger.statements.StatementBook.charge", lambda *_: 0)
    try:
        await gate.start()
        await asyncio.to_thread(taken, place, tmp_path, *CAPTURED, event(at(3, 400), 2_500))
        assert isinstance(await gate.hold(ask(1)), Admitted)
        await gate._upkeep._count_billed()
        assert isinstance(await gate.hold(ask(2)), Refused)
    finally:
        await gate.stop()
        ledger.close()


async def test_a_changed_policy_counts_it_from_the_start(place: State, tmp_path: Path) -> None:
    """And one that counts only what was captured again does not."""
    taken(place, tmp_path, *CAPTURED, event(at(3, 400), 2_500))
    policy = in_force.policy(place)
    plain = policy.model_copy(
        update={"budgets": tuple(each.model_copy(update={"counts": "captured"}) for each in policy.budgets)}
    )
    gate, ledger = gate_of(place)
    try:
        await gate.start()
        assert isinstance(await gate.hold(ask(1)), Refused)
        await gate.set_policy(Policy(**{name: getattr(plain, name) for name in Policy.model_fields}))
        assert isinstance(await gate.hold(ask(2)), Admitted)
        await gate.set_policy(policy)
        assert isinstance(await gate.hold(ask(3)), Refused)
    finally:
        await gate.stop()
        ledger.close()


def test_a_call_that_runs_while_its_day_is_imported_is_counted_once(place: State, tmp_path: Path) -> None:
    """Three events, two calls that have ended and one that runs on: nothing is missing, before it ends and after."""
    ledger = Ledger.open(place.ledger, place.gates, NOW_MS)
    policy = in_force.policy(place)
    facts = Facts.of(model="claude-opus-4-8", person="alice", team="payments", tool="cursor", provider="cursor")
    drawn = scopes(policy, facts, at(3, 60), True)
    opened = CallRow("late", at(3, 60), "alice", "lt-1", "cursor", "api2.cursor.sh", "/run", tool="cursor",
                     model_requested="claude-4.5-opus-high", kind="cursor|x")  # fmt: skip
    ledger.hold(opened, drawn, lambda *_: Admit(tuple((scope, 40 * CENT) for scope in drawn)), at(3, 60))
    taken(place, tmp_path, *CAPTURED, event(at(3, 60), 40))
    assert budgets(place)["person"]["held_nanos"] == 40 * CENT
    assert budgets(place)["person"]["billed_nanos"] == 0
    done = Settlement("settled", "reported", Usage(input_tokens=1_000, output_tokens=0), 40 * CENT, 40 * CENT,
                      tuple((scope, 40 * CENT) for scope in drawn), NOW_MS, model="claude-4.5-opus-high")  # fmt: skip
    ledger.settle("late", done)
    ledger.close()
    ran(place, "reconcile", "import", str(tmp_path / "usage.csv"))
    found = budgets(place)["person"]
    assert (found["spent_nanos"], found["held_nanos"], found["billed_nanos"]) == (40 * CENT, 0, 0)


def test_a_bill_without_a_closed_day_is_not_said_to_be_captured(place: State, tmp_path: Path) -> None:
    said = taken(place, tmp_path, event(at(0, -590), 900))
    assert "none of its days is closed, or it is no bill" in said
    assert budgets(place)["person"]["billed_nanos"] == 0


def test_a_statement_that_no_sum_could_hold_is_refused_whole(place: State, tmp_path: Path) -> None:
    """Each of its amounts fits a row."""
    file = tmp_path / "usage.csv"
    file.write_text(HEAD + event(at(5, 0), 6_000_000_000) + event(at(5, 1), 6_000_000_000))
    done = CliRunner().invoke(app, ["reconcile", "import", str(file), "--state", str(place.root)])
    assert "come to $120,000,000, more than the $100,000,000" in str(done.exception)
    assert "unit of its amounts" in str(done.exception)
    with Reader(place.ledger) as reader:
        assert reader.imports() == ()
