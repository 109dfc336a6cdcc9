"""The reference of policy keys cannot drift from what the reader knows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from spendgate.config import sections
from spendgate.config.policy_file import parse_policy
from spendgate.config.trust import parse_trust
from spendgate.contracts import Billing
from spendgate.errors import PolicyError
from spendgate.selector import ATTRIBUTES

README = (Path(__file__).parents[2] / "policies" / "README.md").read_text()
REFERENCE = README.partition("\n## Keys\n")[2]
"""What follows the lesson, which has a test of its own."""
KEYS = REFERENCE.partition("\nWindows:")[0]
"""The table of keys."""
BESIDE = {
    "people.yaml": b"people: {carol: {}}\n",
    "payments.yaml": b"team: payments\nbudgets: [{name: b, limit: $5}]\n",
}
HEAD = "version: 1\nowner: ops@acme.example\n"
RAISED = "people: {alice: {}}\nbudgets: [{name: person, per: person, limit: [$20 per day, $100 per month]}]\n"
"""What the exceptions of the examples are of."""

SECTIONS = [
    pytest.param("zz: x\n", "", id="top"),
    pytest.param("mode: {zz: x}\n", "mode.", id="mode"),
    pytest.param("capture: {zz: x}\n", "capture.", id="capture"),
    pytest.param("people: {a: {zz: x}}\n", "people.NAME.", id="people"),
    pytest.param("budgets: [{zz: x}]\n", "budgets[].", id="budgets"),
    pytest.param("models: [{zz: x}]\n", "models[].", id="models"),
    pytest.param("rates: [{zz: x}]\n", "rates[].", id="rates"),
    pytest.param("exceptions: [{zz: x}]\n", "exceptions[].", id="exceptions"),
    pytest.param("alerts: [{zz: x}]\n", "alerts[].", id="alerts"),
    pytest.param("pricing: {zz: x}\n", "pricing.", id="pricing"),
    pytest.param("billing: {zz: x}\n", "billing.", id="billing"),
    pytest.param("privacy: {zz: x}\n", "privacy.", id="privacy"),
]
# Documented by their parts, or by their rows' text.
PARENTS = {
    "alerts", "billing", "people", "teams", "machines", "budgets", "models", "rates", "exceptions", "capture", "pricing",
    "privacy",
}  # fmt: skip


def keys_of(text: str) -> set[str]:
    """The keys that the reader allows where `zz` stands, of which a fault shows the first."""
    with pytest.MonkeyPatch.context() as patched, pytest.raises(PolicyError) as caught:
        patched.setattr(sections, "_SHOWN_MAX", 1000)
        parse_policy((HEAD + text).encode())
    (line,) = [fault for fault in caught.value.faults if "unknown key" in fault]
    return set(re.search(r"allowed: ([\w, ]+)", line)[1].split(", "))  # type: ignore[index]  # the line above has it


def documented() -> set[str]:
    """Every key in the first column of the table."""
    rows = [line.split("|")[1] for line in KEYS.splitlines() if line.startswith("| `")]
    return {key for row in rows for key in re.findall(r"`([^`]+)`", row)}


@pytest.mark.parametrize(("text", "prefix"), SECTIONS)
def test_every_key_is_in_the_reference(text: str, prefix: str) -> None:
    """Each key that the reader knows has a row, and each row names a key that the reader knows."""
    known = {f"{prefix}{key}" for key in keys_of(text)}
    rows = documented()
    assert known - PARENTS <= rows
    here = {key for key in rows if re.fullmatch(re.escape(prefix) + r"\w+", key)}
    assert here <= known


@pytest.mark.parametrize(
    ("text", "start"),
    [
        pytest.param("teams: {a: {zz: x}}\n", "| `teams.NAME`", id="teams"),
        pytest.param("capture: {hosts: [{zz: x}]}\n", "| `capture.hosts`", id="hosts"),
        pytest.param("machines: {a: {zz: x}}\n", "| `machines.NAME`", id="machines"),
        pytest.param("fleet: {zz: x}\n", "| `fleet`", id="fleet"),
        pytest.param("pricing: {adjust: [{zz: x}]}\n", "| `pricing.adjust`", id="adjust"),
        pytest.param("billing: {accounts: [{zz: x}]}\n", "| `billing.accounts`", id="accounts"),
        pytest.param("billing: {seats: [{zz: x}]}\n", "| `billing.seats`", id="seats"),
        pytest.param("notify: [{zz: x}]\n", "| `notify`", id="notify"),
        pytest.param("approvers: [{zz: x}]\n", "| `approvers`", id="approvers"),
        pytest.param("pricing: {unknown_model: {zz: x}}\n", "| `pricing.unknown_model`", id="unknown model"),
    ],
)
def test_keys_told_in_one_row(text: str, start: str) -> None:
    """A row that stands for a whole section names all of its keys."""
    (row,) = [line for line in README.splitlines() if line.startswith(start)]
    assert keys_of(text) <= set(re.findall(r"`(\w+)`", row))


def test_every_key_of_the_trust_file_is_in_its_table() -> None:
    """And no other."""
    known: set[str] = set()
    for text, prefix in (("zz: x\n", ""), ("policy: {zz: x}\n", "policy.")):
        with pytest.raises(PolicyError) as error:
            parse_trust(text.encode())
        (line,) = [line for line in error.value.faults if f"{prefix}zz: unknown key" in line]
        known |= {f"{prefix}{key}" for key in re.findall(r"\w+", line.partition("allowed: ")[2].partition(";")[0])}
    table = REFERENCE.partition("| key of the trust file |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `([\w.]+)`", table, re.MULTILINE)) == known - {"policy"}


def test_every_attribute_is_in_the_reference() -> None:
    """Selectors are told in full."""
    (listed,) = re.findall(r"Selectors: ([^.]+)\.", README)
    assert re.findall(r"`(\w+)`", listed) == list(ATTRIBUTES)


def examples() -> list[tuple[str, str]]:
    """Each key of the table with the example beside it; keys that one example sets together by what stands above them."""
    found: list[tuple[str, str]] = []
    for row in (line for line in KEYS.splitlines() if line.startswith("| `")):
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        keys, example = re.findall(r"`([^`]+)`", cells[0]), cells[-1].strip("`")
        parents = {key.rpartition(".")[0] for key in keys if f"{key.rpartition('.')[2]}:" in example}
        found += [(key, example) for key in sorted(parents) or keys]
    return found


def policy_with(key: str, example: str) -> str:
    """A policy in which this key has this value, among what the examples refer to."""
    people, teams = "groups: [senior, junior, canary]", "{owner: lead@acme.example}"
    text = (
        HEAD
        + 'notify: [{to: "slack://${SPENDGATE_SECRET_AI}", for: [alert, page]}]\n'
        + f"people: {{bob: {{{people}}}, alice: PERSON}}\nteams: {{commerce: {teams}, payments: TEAM}}\n"
    )
    match key.replace("[]", "").split("."):
        case ["people", _, *inner]:
            text = text.replace("PERSON", f"{{{inner[0]}: {example}}}" if inner else example)
        case ["teams", _]:
            text = text.replace("TEAM", example)
        case ["exceptions"]:
            text += exception(example)
        case ["exceptions", name]:
            text += exception(f"{{{name}: {example}}}")
        case ["budgets"]:
            text += f"budgets: [{{name: a, {example[1:]}]\n"
        case [("budgets" | "models" | "rates") as section, name]:
            usual = {"name": "a", "per": "person", "limit": "$5"} if section == "budgets" else {"name": "a"}
            if section == "rates":
                usual |= {"per": "person", "tokens": "5 per minute", "parallel": "8"}
            usual |= {"deny": '["gpt-5*"]'} if section == "models" and name != "allow" else {}
            rule = ", ".join(f"{word}: {value}" for word, value in {**usual, name: example}.items())
            text += f"{section}: [{{{rule}}}]\n"
        case ["billing", "personal"]:
            text += f"billing: {{accounts: [{{provider: anthropic, account: org-1}}], personal: {example}}}\n"
        case ["alerts", name]:
            beside = {
                "minimum": {"spike": "3x over 7d"},
                "share": {"match": "{model: gpt-5}"},
                "minimum_calls": {"share": "80%", "match": "{model: gpt-5}"},
                "pace": {"budget": "organization"},
                "budget": {"pace": "60% by week 6"},
            }
            usual = {} if name in {"spike", "burn", "share", "pace", "spend", *beside} else {"burn": "$5 in 1h"}
            rule = {"name": "a", **usual, **beside.get(name, {}), name: example}
            text += "budgets: [{name: organization, limit: $60 per quarter}]\n"
            text += f"alerts: [{{{', '.join(f'{word}: {value}' for word, value in rule.items())}}}]\n"
        case [section, name]:
            text += f"{section}: {{{name}: {example}}}\n"
        case [top]:
            text = (
                "".join(line for line in text.splitlines(True) if not line.startswith(f"{top}:"))
                + f"{top}: {example}\n"
                + ("valid_until: 2027-03-31\n" if top == "expired" else "")
            )
    return text.replace("PERSON", "{team: payments}").replace("TEAM", teams)


def exception(words: str) -> str:
    """A budget per person and an exception of it that says these words, in braces."""
    usual = {
        "budget": "b/day",
        "match": "{person: alice}",
        "until": "2026-12-31",
        "reason": "why",
        "approved_by": "cto",
    }
    given = dict(pair.split(": ", 1) for pair in [words[1:-1]])
    usual |= {} if {"add", "limit"} & given.keys() else {"add": "$1"}
    inner = ", ".join(f"{key}: {value}" for key, value in {**usual, **given}.items())
    return f"budgets: [{{name: b, per: person, limit: [$5 per day, $9 per month]}}]\nexceptions: [{{{inner}}}]\n"


@pytest.mark.parametrize(("key", "example"), examples(), ids=[key for key, _ in examples()])
def test_every_example_of_the_reference_loads(key: str, example: str) -> None:
    """What stands beside a key can be copied as it is."""
    parse_policy(policy_with(key, example).encode(), beside=BESIDE.__getitem__)


def test_every_snippet_of_the_reference_loads() -> None:
    """A policy, or a part of one, takes force as printed; so does a trust file."""
    snippets = re.findall(r"```yaml\n(.*?)```", REFERENCE, re.DOTALL)
    assert len(snippets) > 5
    (trust,) = (each for each in snippets if "\nkeys:" in each)
    assert parse_trust(trust.encode()).url
    for text in (each for each in snippets if "cases:" not in each and each != trust):
        head = HEAD + RAISED if text.startswith("exceptions:") else HEAD
        found = parse_policy((text if "version:" in text else head + text).encode())
        assert found.budgets or found.rates or found.adjust or found.billing != Billing()
