"""A report's lines on narrow terminals: no value is ever broken, whatever it is made of."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from cli.kit import ran
from spendgate.cli import in_force
from spendgate.cli.lines import laid, value
from spendgate.config.paths import State

VALUES = (
    "/srv/repositories/company policies/spendgate/policy.yaml", "c2bbc6d0de33", "owner platform-ai-enablement@acme.example",
    "valid until 2027-03-31", "2026-11-28 11:08 PST", "$1,234.56", "`spendgate alerts ack 0a1b`", "lt-0412", "モデル名",
)  # fmt: skip


@given(
    label=st.sampled_from(["", "policy", "ledger"]),
    parts=st.lists(st.sampled_from(VALUES), min_size=1, max_size=8),
    width=st.integers(60, 130),
)
def test_values_stay_whole(label: str, parts: list[str], width: int) -> None:
    """Each stands in one line, the lines fit, and all of them are there in their order."""
    lines = laid(label, "  ".join(value(part) for part in parts), 10, width)
    assert all(cell_len(line) <= width for line in lines)
    rest = iter(lines)
    line = next(rest)
    for part in parts:
        while part not in line:
            line = next(rest)
        line = line.partition(part)[2]
    assert lines[0].startswith(label.rstrip())
    assert laid(label, "  ".join(parts), 10, None) == [f"{label:10}{'  '.join(parts)}"]


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_status_breaks_no_value(state: State, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """The policy's place, its owner and the instant of a refused change on usual terminals; a pipe has each in one line."""
    said = in_force.told(state)
    assert said is not None
    fault = "policy.yaml:12:3: budgets[1].limit: 'per fortnight' is not a window; allowed: hour, day"
    in_force.tell(state, replace(said, refused=(fault,), refused_ms=said.since_ms))
    piped = ran(state, "status")
    monkeypatch.setenv("COLUMNS", str(width))
    narrow = ran(state, "status")
    assert any(len(line) > 100 for line in piped.splitlines()[:6])
    for text in ("owner tests@acme.example", "'per fortnight'", "budgets[1].limit:", f"{said.source}\n", "ended calls"):
        assert text in narrow.replace("  ", "\n") or text in narrow
    for line in narrow.partition("\nlimits")[0].splitlines():
        assert len(line) <= width or said.source in line


def test_a_table_too_wide_for_the_terminal_is_told_in_lines(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """No figure is cut: where the columns that must be there do not fit, each budget is a sentence."""
    monkeypatch.setenv("COLUMNS", "40")
    shown = ran(state, "status")
    assert "\N{HORIZONTAL ELLIPSIS}" not in shown
    assert "person/month (alice)" in shown
    assert "spent $0.1235 of $10.00" in shown
