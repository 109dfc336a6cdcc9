"""What `explain` says of calls that nobody sees, and of personal ones."""

from __future__ import annotations

import pytest

from spendgate.config.policy_file import parse_policy
from spendgate.review.explain import Line, explain
from spendgate.selector import Facts
from spendgate.standing import Standing

HEAD = "version: 1\nowner: lead@acme.example\n"


def said(text: str, **values: str) -> tuple[Line, ...]:
    """The lines about a call of alice's."""
    return explain(parse_policy((HEAD + text).encode()), Facts.of(person="alice", **values), 0, 1, None)


@pytest.mark.parametrize(
    ("values", "capture", "end"),
    [
        ({"model": "claude-opus-4-5"}, "anthropic is decrypted", "leaves"),
        (
            {"model": "gpt-5"},
            "openai is not decrypted: capture names anthropic",
            "leaves unseen: what is not decrypted is asked nothing",
        ),
        (
            {"model": "house-7b"},
            "of the known providers only anthropic is decrypted; say which: --with provider=anthropic",
            "leaves",
        ),
        ({"billing": "gateway"}, "the gateway is decrypted", "leaves"),
    ],
)
def test_what_is_not_decrypted_is_asked_nothing(values: dict[str, str], capture: str, end: str) -> None:
    """By the provider, or by the maker of the model."""
    lines = said("capture: {providers: [anthropic]}\n", **values)
    assert (lines[0].says, lines[-1].says) == (capture, end)


@pytest.mark.parametrize(
    ("capture", "provider", "applies", "says"),
    [
        ("never: ['*.anthropic.com']", "anthropic", False, "anthropic is not decrypted: capture.never names every"),
        ("never: ['*.cursor.sh']", "cursor", False, "cursor is not decrypted: capture.never names every host of it"),
        (
            "providers: [anthropic], hosts: [{host: acme.openai.azure.com, dialect: azure}]",
            "azure",
            True,
            "azure is decrypted at acme.openai.azure.com alone (capture.hosts)",
        ),
        (
            "providers: [anthropic], never: ['*.azure.com'], hosts: [{host: acme.openai.azure.com, dialect: azure}]",
            "azure",
            False,
            "azure is not decrypted: capture names anthropic",
        ),
    ],
)
def test_capture_is_told_by_the_hosts_that_the_gate_decrypts(
    capture: str, provider: str, applies: bool, says: str
) -> None:
    """A domain under `never` has the hosts below it, and a host of one's own is decrypted whatever `providers` names."""
    line = said(f"capture: {{{capture}}}\n", provider=provider)[0]
    assert (line.applies, line.says[: len(says)]) == (applies, says)


def test_a_model_is_its_makers_also_for_budgets() -> None:
    """A budget of a provider's is about it."""
    lines = said("budgets: [{name: a, match: {provider: anthropic}, limit: $1 per day}]\n", model="claude-opus-4-5")
    assert next(line for line in lines if line.rule == "a").applies


def test_a_personal_call_is_refused_where_those_are() -> None:
    """Also where nothing but its billing word says that it is."""
    text = "billing: {accounts: [{provider: anthropic, account: org-1}], personal: refuse}\n"
    lines = said(text, provider="anthropic", billing="personal")
    assert lines[-1].says == (
        "is refused by billing.personal: Spendgate: the anthropic account is not the company's (rule billing.personal)."
    )
    assert not any("is counted" in line.says for line in lines)


def test_a_limit_that_was_passed_has_less_than_nothing_left() -> None:
    """As `status` says it."""
    policy = parse_policy(f"{HEAD}budgets: [{{name: a, limit: $1}}]\n".encode())
    spent = 1_325_000_000
    lines = explain(
        policy,
        Facts.of(person="alice"),
        0,
        1,
        lambda scopes: tuple(Standing(each, spent, 0, 0, 0, 0) for each in scopes),
    )
    assert next(line for line in lines if line.rule == "a").says == "refuses: -$0.325 left of $1.00 for all"


@pytest.mark.parametrize(("mode", "verb"), [("enforce", "refuses"), ("observe", "would refuse")])
def test_what_only_observes_refuses_nothing(mode: str, verb: str) -> None:
    """A rule says what the mode makes of it, and the last line is the sentence that the gate sends, `help` and all."""
    text = (
        f"mode: {mode}\nhelp: Ask Pat.\nmodels: [{{name: m, deny: [gpt-5], suggest: gpt-5-mini}}]\n"
        "budgets: [{name: p, per: project, missing: refuse, limit: $1}]\n"
        "rates: [{name: r, per: project, missing: refuse, parallel: 1}]\n"
    )
    lines = {line.rule: line.says for line in said(text, model="gpt-5")}
    assert lines["m"] == f"{verb}: model gpt-5 is not allowed; gpt-5-mini is allowed"
    assert lines["p"] == lines["r"] == f"is kept per project, and the call has no project, so it {verb} it"
    ends = "is refused by" if mode == "enforce" else "leaves, and would be refused by"
    sent = "Spendgate: model gpt-5 is not allowed (rule m). Use gpt-5-mini. 2 more rules refuse it too. Ask Pat."
    assert lines["call"] == f"{ends} m: {sent}"


def test_a_budget_that_only_warns_refuses_no_call_that_lacks_something() -> None:
    """As the gate, which counts it nowhere."""
    text = "budgets: [{name: p, per: project, missing: refuse, limit: $1, action: warn}]\n"
    assert next(line for line in said(text) if line.rule == "p").says.endswith("so it does not count it")


def test_a_call_that_a_model_rule_refuses_is_asked_of_no_budget() -> None:
    """The gate counts none in its sentence, and so does `explain`; each budget has its own line."""
    text = "models: [{name: m, deny: [gpt-5]}]\nbudgets: [{name: b, limit: $0 per day}]\n"
    lines = {line.rule: line.says for line in said(text, model="gpt-5")}
    assert lines["call"] == "is refused by m: Spendgate: model gpt-5 is not allowed (rule m)."
    assert lines["b"].startswith("refuses: ")
    observed = said(f"mode: observe\n{text}", model="gpt-5")
    assert observed[-1].says.endswith("(rule m). 1 more rule refuses it too.")
