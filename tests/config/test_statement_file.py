"""Seat plans and invoices typed by hand: what they become, and faults with file, line and column."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spendgate.config import statement_file
from spendgate.config.statement_file import StatementFile
from spendgate.errors import StatementError
from spendgate.money import NANOS_PER_DOLLAR
from spendgate.statement import DAY_MS, Charge, Who

SOURCE = StatementFile()
START = 1_793_491_200_000
"""2026-11-01T00:00:00Z."""
HEAD = "statement: 1\nprovider: anthropic\nfrom: 2026-11-01\nthrough: 2026-11-30\n"
SEAT = HEAD + "seats:\n  - plan: Team\n    price: $1\n"
WHOLE = (
    HEAD
    + """account: acme
invoice: INV-0042
currency: USD
seats:
  - plan: Claude Team Premium
    count: 12
    price: $150
  - plan: Claude Max
    people: [ann@example.com, bob]
    price: $200.50
charges:
  - for: tokens
    amount: $310.2575
    model: claude-opus-5-5
    key: apikey_01A
    day: 2026-11-20
  - for: support
    amount: $29
credits:
  - name: commitment
    amount: $100
tax: $58.94
total: $2,499.1975
"""
)


def read(text: str) -> list:
    return list(SOURCE.read(text.encode(), "november.yaml").lines)


def faults(text: str | bytes) -> tuple[str, ...]:
    with pytest.raises(StatementError) as told:
        SOURCE.read(text if isinstance(text, bytes) else text.encode(), "november.yaml")
    return told.value.faults


def test_a_whole_invoice() -> None:
    said = SOURCE.read(WHOLE.encode(), "november.yaml")
    team, ann, bob, tokens, support, credit, tax = said.lines
    assert (team.charge, team.product, team.billed_nanos, team.quantity, team.unit) == (
        Charge.SEAT, "Claude Team Premium", 1_800 * NANOS_PER_DOLLAR, "12", "seat",
    )  # fmt: skip
    assert (ann.who, bob.who, bob.billed_nanos) == (Who(email="ann@example.com"), Who(user="bob"), 200_500_000_000)
    assert (tokens.charge, tokens.model, tokens.billed_nanos) == (Charge.TOKENS, "claude-opus-5-5", 310_257_500_000)
    assert (tokens.starts_ms, tokens.ends_ms, tokens.who.key) == (
        START + 19 * DAY_MS,
        START + 20 * DAY_MS,
        "apikey_01A",
    )
    assert (support.charge, support.starts_ms, support.ends_ms) == (Charge.SUPPORT, START, START + 30 * DAY_MS)
    assert (credit.charge, credit.billed_nanos, credit.product) == (
        Charge.CREDIT,
        -100 * NANOS_PER_DOLLAR,
        "commitment",
    )
    assert (tax.charge, tax.billed_nanos, tax.amount) == (Charge.TAX, 58_940_000_000, "$58.94 USD")
    assert (said.source, said.provider, said.subject) == ("invoice", "anthropic", "anthropic/acme")
    assert (said.from_ms, said.until_ms) == (START, START + 30 * DAY_MS)
    assert (said.sha256, said.notes) == (sha256(WHOLE.encode()).hexdigest(), ("typed by hand from invoice INV-0042",))


def test_the_example_of_its_documentation_is_read() -> None:
    doc = statement_file.__doc__ or ""
    example = "\n".join(line[4:] for line in doc.splitlines() if line.startswith("    "))
    assert len(read(example)) == 4
    readme = Path(__file__).parents[2] / "addon/spendgate/reconcile/README.md"
    assert example in readme.read_text()


def test_it_is_known_by_its_first_key() -> None:
    assert SOURCE.recognises(b"statement: 1\n")
    assert SOURCE.recognises(b"\xef\xbb\xbf# November\n\n  # and more\nstatement : 1")
    assert not SOURCE.recognises(b"version: 1\nstatement: 1\n")
    assert not SOURCE.recognises(b"statement,date\n")
    assert not SOURCE.recognises(b"")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (HEAD, "november.yaml:1:1: bills nothing; write seats, charges, credits or tax"),
        ("", "november.yaml:1:1: the file is empty; a statement has at least statement, provider, from and through"),
        ("statement: 2\n", "november.yaml:1:12: statement: '2' is not known; allowed: 1"),
        ("statement: 1\n", "november.yaml:1:1: provider: is missing; it is required"),
        (HEAD.replace("anthropic", "An thropic"), "november.yaml:2:11: provider: 'An thropic' is no provider"),
        (HEAD.replace("2026-11-30", "2026-10-30"), "november.yaml:4:10: through: 2026-10-30 is before from 2026-11-01"),
        (HEAD.replace("2026-11-30", "2027-11-30"), "november.yaml:4:10: through: 2026-11-01 through 2027-11-30 is more than 366"),
        (HEAD.replace("2026-11-30", "30.11.2026"), "november.yaml:4:10: through: '30.11.2026' is not a day; write it as"),
        (HEAD + "currency: EUR\n", "november.yaml:5:11: currency: 'EUR' is not known; allowed: USD"),
        (HEAD + "tax: 5\n", "november.yaml:5:6: tax: '5' is not an amount; write it as $20"),
        (HEAD + "tax: -$5\n", "november.yaml:5:6: tax: '-$5' is not an amount"),
        (HEAD + "tax: $5\ntotal: $6\n", "november.yaml:6:8: total: $6.00 is not what the parts add up to: $5.00"),
        (HEAD + "tax: $5\ntaxes: $6\n", "november.yaml:6:1: taxes: unknown key; did you mean tax? allowed: statement, provider"),
        (SEAT, "november.yaml:6:5: seats[1].count: is missing; it is required"),
        (SEAT + "    count: 0\n", "november.yaml:8:12: seats[1].count: '0' is no number"),
        (SEAT + "    count: 3\n    people: [a, b]\n", "seats[1].count: 3 seats, and 2 people"),
        (SEAT + "    people: [a, a]\n", "seats[1].people: 'a' is given twice"),
        (HEAD + "seats:\n  - plan: T\n    price: $9,000,000,000\n    count: 9\n", "more than a ledger row holds"),
        (HEAD + "charges:\n  - for: seat\n    amount: $1\n", "november.yaml:6:10: charges[1].for: 'seat' is not known"),
        (HEAD + "charges:\n  - for: tokens\n", "november.yaml:6:5: charges[1].amount: is missing"),
        (HEAD + "charges:\n  - for: tokens\n    amount: $1\n    day: 2026-12-01\n", "charges[1].day: 2026-12-01 is not in"),
        (HEAD + "credits:\n  - amount: $1\n", "november.yaml:6:5: credits[1].name: is missing"),
        (HEAD + "tax: &a $5\n", "november.yaml:5:"),
        (HEAD + "tax: [$5\n", "november.yaml:"),
        (HEAD.encode() + b"tax: \xff\n", "november.yaml:5:"),
        (HEAD + f"account: {'x' * 300}\n", "november.yaml:5:10: account: 'xxx"),
        ("- statement: 1\n", "november.yaml:1:1: found a list; allowed: keys with values"),
    ],
)  # fmt: skip
def test_faults_name_file_line_and_column(text: str | bytes, fault: str) -> None:
    found = faults(text)
    assert any(fault in each for each in found), found
    assert all(each.startswith("november.yaml:") for each in found)


def test_every_fault_is_told_at_once() -> None:
    assert len(faults(HEAD + "tax: 5\ncredits:\n  - name: a\n    amount: b\nseats:\n  - plan: x\n")) == 4


@given(st.binary(max_size=300))
def test_no_bytes_are_a_crash(data: bytes) -> None:
    try:
        SOURCE.read(b"statement: 1\n" + data, "x")
    except StatementError:
        pass


@given(st.lists(st.integers(1, 10**12), min_size=1, max_size=20), st.integers(0, 10**9))
def test_amounts_are_exact(units: list[int], tax: int) -> None:
    """Ten-thousandths of a dollar, as many as an amount may have."""

    def written(value: int) -> str:
        return f"${value // 10_000}.{value % 10_000:04d}"

    text = HEAD + "charges:\n" + "".join(f"  - for: tokens\n    amount: {written(each)}\n" for each in units)
    lines = read(text + f"tax: {written(tax)}\ntotal: {written(sum(units) + tax)}\n")
    assert sum(each.billed_nanos for each in lines) == (sum(units) + tax) * 100_000
