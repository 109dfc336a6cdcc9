"""An amount of whole nano-dollars, written in each source's own unit, is read as it is, whatever zeros and exponents it has."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile import (
    test_anthropic_csv,
    test_anthropic_legacy,
    test_aws_cur,
    test_azure_cost,
    test_google_billing,
    test_langsmith_runs,
    test_litellm_spend,
)
from reconcile.anthropic_pages import asked_of, page

DOLLAR, CENT = 10**9, 10**7


def legacy(amount: str) -> int | None:
    row = {**test_anthropic_legacy.COST, "amount": amount}
    return asked_of(test_anthropic_legacy.CONSOLE, [test_anthropic_legacy.costs(row), page()])[0].lines[0].billed_nanos


def cost_csv(amount: str) -> int | None:
    data = test_anthropic_csv.csv(test_anthropic_csv.COST_HEADER, test_anthropic_csv.cost(amount))
    return test_anthropic_csv.COST.read(data, "x").lines[0].billed_nanos


def aws(amount: str) -> int | None:
    data = test_aws_cur.cur({**test_aws_cur.USAGE, "line_item_net_unblended_cost": amount})
    return test_aws_cur.SOURCE.read(data, "x").lines[0].billed_nanos


def azure(amount: str) -> int | None:
    data = test_azure_cost.export({**test_azure_cost.ROW, "CostInBillingCurrency": amount})
    return test_azure_cost.SOURCE.read(data, "x").lines[0].billed_nanos


def google(amount: str) -> int | None:
    text = test_google_billing.lines({**test_google_billing.ROW, "cost": "X"}).replace('"X"', amount)
    return test_google_billing.SOURCE.read(text.encode(), "x").lines[0].billed_nanos


def litellm(amount: str) -> int | None:
    text = json.dumps([{**test_litellm_spend.ROW, "spend": "X"}]).replace('"X"', amount)
    return test_litellm_spend.SOURCE.read(text.encode(), "x").lines[0].billed_nanos


def langsmith(amount: str) -> int | None:
    text = test_langsmith_runs.lines({**test_langsmith_runs.RUN, "total_cost": amount})
    return test_langsmith_runs.SOURCE.read(text.encode(), "x").lines[0].billed_nanos


@pytest.mark.parametrize(
    ("read", "unit"),
    [
        (legacy, CENT),
        (cost_csv, DOLLAR),
        (aws, DOLLAR),
        (azure, DOLLAR),
        (google, DOLLAR),
        (litellm, DOLLAR),
        (langsmith, DOLLAR),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
@given(nanos=st.integers(-(10**18), 10**18), form=st.sampled_from(["f", "e"]))
def test_amounts_are_exact(read: Callable[[str], int | None], unit: int, nanos: int, form: str) -> None:
    exact = Decimal(nanos).scaleb(1 - len(str(unit)))
    assert read(f"{exact:{form}}") == nanos
