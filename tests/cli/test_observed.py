"""What would have been refused, and what was not recognized, in the reading commands and in the bill of `exec`."""

from __future__ import annotations

import json
import re

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from cli.kit import NOW_MS, app, ran, row, settlement
from spendgate.admission import Admit, RefusalKind, Refuse
from spendgate.cli.bill import bill
from spendgate.config.paths import State
from spendgate.ledger.ledger import Ledger


def observe(state: State, **calls: str) -> int:
    """One gate that lets these calls through, each of which its rule would have refused; the gate's number."""
    ledger = Ledger.open(state.ledger, state.gates, NOW_MS)
    for number, (call_id, rule) in enumerate(calls.items()):
        admit = Admit((), would_refuse=Refuse(RefusalKind.SPENT, rule, "the budget is spent"))
        ledger.hold(row(call_id, number), (), lambda _s, _k, admit=admit: admit, NOW_MS)
    gate = ledger.gate_id
    ledger.close()
    return gate


def unrecognized(state: State) -> int:
    """One gate that met one exchange of a kind that nobody knows; the gate's number."""
    ledger = Ledger.open(state.ledger, state.gates, NOW_MS)
    ledger.recorded(
        replace(row("e1", 1), path="/v9/new"), "unrecognized", ended_ms=NOW_MS, http_status=200, request_bytes=31,
        response_bytes=73, duration_ms=1, first_byte_ms=1,
    )  # fmt: skip
    gate = ledger.gate_id
    ledger.close()
    return gate


def test_calls_are_grouped_and_chosen_by_what_would_have_refused_them(state: State) -> None:
    """In `spend` and in `calls`, in tables, too, where a call that was let through names the rule."""
    observe(state, e1="day", e2="day", e3="team cap")

    totals = {
        line["would_refuse_by"]: line["calls"]
        for line in json.loads(ran(state, "spend", "--by", "would_refuse_by", "--format", "json"))
    }
    (one,) = json.loads(ran(state, "calls", "--where", "would_refuse_by=team cap", "--format", "json"))

    assert (totals["day"], totals["team cap"]) == (2, 1)
    assert one["id"] == "e3"
    assert "would have been: team cap" in ran(state, "calls", "--where", "would_refuse_by=team cap")
    assert len(ran(state, "spend", "--by", "would_refuse_by", "--where", "would_refuse_by=day").splitlines()) == 2


@pytest.mark.parametrize(
    ("calls", "says"),
    [
        pytest.param({"e1": "day"}, "1 call (spendgate calls --where would_refuse_by=day)", id="one call"),
        pytest.param(
            {"e1": "day", "e2": "day"}, "2 calls (spendgate calls --where would_refuse_by=day)", id="one rule"
        ),
        pytest.param({"e1": "a b"}, "1 call (spendgate calls --where 'would_refuse_by=a b')", id="a name with a space"),
        pytest.param({"e1": "day", "e2": "cap"}, "2 calls (spendgate spend --by would_refuse_by)", id="two rules"),
    ],
)
def test_status_and_the_bill_say_how_many_would_have_been_refused(
    state: State, calls: dict[str, str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line with the command that shows them."""
    gate = observe(state, **calls)
    bill(state.ledger, gate)

    line = f"would have been refused: {says}"
    assert [told.strip() for told in ran(state, "status").splitlines()].count(line) == 1
    assert capsys.readouterr().err.splitlines().count(f"spendgate: {line}") == 1


def test_nothing_is_said_where_none_would_have_been_refused(state: State, capsys: pytest.CaptureFixture[str]) -> None:
    """Under `enforce` the line would only take room; another gate's calls are not on this one's bill."""
    observe(state, e1="day")
    bill(state.ledger, unrecognized(state))

    assert "would have been" not in capsys.readouterr().err


def test_status_tells_programs_which_rules_would_have_refused(state: State) -> None:
    """Each rule with its calls."""
    assert json.loads(ran(state, "status", "--format", "json"))["would_refuse_by"] == {}
    observe(state, e1="cap", e2="day", e3="day")

    assert json.loads(ran(state, "status", "--format", "json"))["would_refuse_by"] == {"day": 2, "cap": 1}


def test_a_bill_names_what_was_not_recognized(state: State, capsys: pytest.CaptureFixture[str]) -> None:
    """Such an exchange may have cost money, so that "$0.00" alone would promise too much."""
    bill(state.ledger, unrecognized(state))

    listed = "1 unrecognized (spendgate calls --where state=unrecognized)"
    assert capsys.readouterr().err == f"spendgate: 0 billable calls, $0.00; {listed}\n"
    assert listed in ran(state, "status")


def test_what_was_not_recognized_is_explained(state: State) -> None:
    """By whose host, how much went and came, and that nobody asked a rule: a path alone says nothing of that."""
    unrecognized(state)
    listed, shown = (
        ran(state, *words) for words in (("calls", "--where", "state=unrecognized"), ("calls", "show", "e1"))
    )
    assert "api.anthropic.com" in listed
    assert re.search(r"request bytes +31\n +response bytes +73\n", shown)
    assert "not read: no rule, budget or rate was asked about it" in shown
    assert "dialect" not in shown


def test_coverage_tells_what_was_captured_and_not_recognized(state: State) -> None:
    """Decrypted is not counted; a tool without any has no column for it."""
    assert "of them unrecognized" not in ran(state, "status")
    unrecognized(state)
    (tool,) = json.loads(ran(state, "status", "--format", "json"))["tools"]
    assert (tool["captured"], tool["unrecognized"]) == (4, 1)
    assert "of them unrecognized" in ran(state, "status")


def test_a_total_names_what_was_not_recognized(state: State) -> None:
    """Whoever pays reads `spend` alone; of a span and a selection that have none, nothing is said."""
    unrecognized(state)
    said = [
        CliRunner().invoke(app, ["spend", *words, "--state", str(state.root)]).stderr
        for words in ([], ["--since", "2020-01-01", "--until", "2020-01-02"], ["--where", "person=bob"])
    ]
    assert "1 unrecognized (spendgate calls --where state=unrecognized)" in said[0]
    assert "unrecognized" not in said[1] + said[2]


@pytest.mark.parametrize(("reported", "says"), [(0, "$0.02, estimated"), (1, "$0.04, of it $0.02 estimated")])
def test_a_bill_tells_what_is_estimated(
    state: State, reported: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A sum that nobody counted is not told like one that a provider reported."""
    ledger = Ledger.open(state.ledger, state.gates, NOW_MS)
    for name, basis in [("x1", "estimated"), *[("x2", "reported")] * reported]:
        ledger.hold(row(name, 1), (), lambda *_: Admit(()), NOW_MS)
        ledger.settle(name, replace(settlement(()), basis=basis, cost_nanos=20_000_000))
    gate = ledger.gate_id
    ledger.close()
    bill(state.ledger, gate)

    assert capsys.readouterr().err.splitlines()[0].endswith(says)


def guessed(state: State) -> int:
    """One gate with one call of a model that no list has; the gate's number."""
    ledger = Ledger.open(state.ledger, state.gates, NOW_MS)
    ledger.hold(row("g1", 1), (), lambda *_: Admit(()), NOW_MS)
    ledger.settle("g1", replace(settlement(()), prices="policy:unknown_model", cost_nanos=862_500_000))
    gate = ledger.gate_id
    ledger.close()
    return gate


def test_a_price_that_is_a_guess_is_told(state: State, capsys: pytest.CaptureFixture[str]) -> None:
    """In the bill, in `status`, and at the call itself: nobody takes the policy's own price for a provider's."""
    gate = guessed(state)
    line = "price unknown, the policy's unknown_model counted: 1 call, $0.86 (spendgate spend --by model,prices)"
    bill(state.ledger, gate)
    assert line in capsys.readouterr().err
    assert line in ran(state, "status")
    assert json.loads(ran(state, "status", "--format", "json"))["price_unknown_calls"] == 1
    assert "reported, price unknown" in ran(state, "calls")
    assert "the price list of anthropic does not have this model" in ran(state, "calls", "show", "g1")
    lines = json.loads(ran(state, "spend", "--by", "model,prices", "--format", "json"))
    assert [each["cost_nanos"] for each in lines if each["prices"] == "policy:unknown_model"] == [862_500_000]


def test_known_prices_are_not_told(state: State, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is said where nothing was guessed."""
    bill(state.ledger, observe(state, e1="day"))
    assert "price unknown" not in capsys.readouterr().err + ran(state, "status") + ran(state, "calls")


@pytest.mark.parametrize(
    ("host", "prices", "flags", "says"),
    [
        ("llm.acme.example", "policy:unknown_model", "unknown price", "no price list has this model, or those"),
        ("api.githubcopilot.com", "policy:unknown_model", "unknown price", "no price list has this model, or"),
        ("llm.acme.example", "bundled:anthropic/claude-sonnet-4-5", "priced by anthropic's list", "by the list of anthropic"),
    ],
)  # fmt: skip
def test_a_host_of_several_vendors_says_where_its_price_is_from(
    state: State, host: str, prices: str, flags: str, says: str
) -> None:
    """Which lists were asked, and which one had the model."""
    provider = "github-copilot" if "copilot" in host else "openai"
    ledger = Ledger.open(state.ledger, state.gates, NOW_MS)
    ledger.hold(replace(row("g1", 1), host=host, provider=provider), (), lambda *_: Admit(()), NOW_MS)
    ledger.settle("g1", replace(settlement(()), prices=prices, cost_nanos=862_500_000, flags=(flags,)))
    ledger.close()
    assert says in " ".join(ran(state, "calls", "show", "g1").split())
