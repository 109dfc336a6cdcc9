"""Rows that a file has twice: which are copies, which may be two uses, and that both are told with their money."""

from __future__ import annotations

import json

import pytest

from reconcile import (
    test_aws_cur,
    test_azure_cost,
    test_cursor_csv,
    test_google_billing,
    test_langsmith_runs,
    test_litellm_spend,
    test_openrouter,
)
from reconcile.asking import read
from spendgate.reconcile.sources.interface import FileSource
from spendgate.reconcile.sources.table import FILES

SOURCES = {each.name: each for each in FILES}
ROW = test_aws_cur.USAGE | {"identity_line_item_id": "li-1"}
NO_MODEL = test_aws_cur.OTHER | {"identity_line_item_id": "li-2"}
EVENT = f"{test_cursor_csv.AT},On-Demand,gpt-5,No,1,2,3,4,10,$1.25\n"


def cur(*rows: dict[str, str]) -> bytes:
    """With the column that names rows, the last."""
    head, *lines = test_aws_cur.cur(*rows).splitlines()
    ids = ["identity_line_item_id", *(row["identity_line_item_id"] for row in rows)]
    return b"".join(line + f",{one}\n".encode() for line, one in zip((head, *lines), ids, strict=True))


@pytest.mark.parametrize(
    ("source", "data", "lines", "told"),
    [
        ("aws-cur", cur(ROW, NO_MODEL) * 3, 1, "4 rows are copies, by their own id and every other cell: each counts once, $6"),
        ("aws-cur", cur(ROW, ROW | {"line_item_usage_amount": "2"}), 2, ""),
        ("aws-cur", test_aws_cur.cur(ROW) * 2, 2, "1 rows of $3.3333309 are like one before them in every cell"),
        ("openrouter-csv", test_openrouter.HEAD + test_openrouter.row() * 2, 1, "1 rows are copies"),
        ("litellm", json.dumps([test_litellm_spend.ROW] * 3), 1, "2 rows are copies"),
        ("langsmith", test_langsmith_runs.lines(*[test_langsmith_runs.RUN, test_langsmith_runs.run(7, run_type="chain")] * 2), 1,
         "2 rows are copies, by their own id and every other cell: each counts once, $0.004794 that"),
        ("azure-cost", test_azure_cost.export(test_azure_cost.ROW) * 2, 2, "1 rows of $3.0864175 are like one before them"),
        ("google-billing", test_google_billing.lines(*[test_google_billing.ROW] * 2), 2, "1 rows of $0.9375 are like one before"),
        ("cursor-csv", test_cursor_csv.OLD + EVENT * 3, 3, "2 rows of $2.50 are like one before them in every cell"),
        ("cursor-csv", test_cursor_csv.OLD + EVENT + EVENT.replace("$1.25", "$1.26"), 2, ""),
    ],
)  # fmt: skip
def test_what_stands_twice(source: str, data: str | bytes, lines: int, told: str) -> None:
    """A part that was put in two times, to the last cell."""
    one: FileSource = SOURCES[source]
    said = read(one, data)
    assert len(said.lines) == lines
    notes = [each for each in said.notes if " rows are copies" in each or " are like one before" in each]
    assert [told in each for each in notes] == ([True] if told else [])


def test_what_is_left_out_is_not_told_twice_either() -> None:
    """Rows of a cloud's other services, of a part that was put in twice."""
    said = read(SOURCES["aws-cur"], cur(ROW, NO_MODEL) * 2)
    assert any("1 rows of $7.25 are about no model and left out" in each for each in said.notes)
