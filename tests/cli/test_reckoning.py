"""A call's price, line by line: what the lines say is what was charged."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from genai_prices.data_snapshot import get_snapshot

from spendgate.cli.reckoning import reckoned
from spendgate.pricing import Charge, PriceBook
from spendgate.usage import Usage

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
BOOK = PriceBook()
PROVIDERS = {"anthropic", "openai", "azure", "perplexity"}
LISTED = [provider for provider in get_snapshot().providers if provider.id in PROVIDERS]
PRICED = [(provider.id, model.id) for provider in LISTED for model in provider.models]


def row(charge: Charge, usage: Usage) -> dict[str, Any]:
    """What the view `calls` holds of a call so priced."""
    return {
        "prices": charge.source,
        "value_nanos": charge.nanos,
        "booked_at": "2026-11-22T12:00:00.000Z",
        "input_tokens": usage.input_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_5m_tokens": usage.cache_write_5m_tokens,
        "cache_write_1h_tokens": usage.cache_write_1h_tokens,
        "cache_write_other_tokens": usage.cache_write_tokens,
        "output_tokens": usage.output_tokens,
        "web_searches": usage.web_searches,
    }


def starts(provider: str, model: str) -> tuple[int, ...]:
    """Input sizes above which a dearer tier of this model begins."""
    found = BOOK.ladder(provider, model, at=AT)
    return getattr(found, "starts", ())


def sizes(edges: tuple[int, ...]) -> Iterator[Usage]:
    """Calls of little input, then up to each edge and just over it; input in one count and in all of them."""
    for total in (700, *edges, *(edge + 1 for edge in edges)):
        yield Usage(input_tokens=total)
        yield Usage(
            input_tokens=total - 600,
            cache_read_tokens=100,
            cache_write_5m_tokens=301,
            cache_write_1h_tokens=102,
            cache_write_tokens=97,
            output_tokens=1001,
            web_searches=3,
        )


@pytest.mark.parametrize("geo", [None, "us"])
@pytest.mark.parametrize(("provider", "model"), PRICED)
def test_lines_add_up_to_the_charge(provider: str, model: str, geo: str | None) -> None:
    """Every model of the shipped lists, below and above each tier: the lines' sum is the charge, to a nano-dollar a line."""
    for usage in sizes(starts(provider, model)):
        charge = BOOK.price(provider, model, usage, at=AT, geo=geo)
        if not isinstance(charge, Charge):  # an id that does not match itself has no price to explain
            continue
        lines = reckoned(row(charge, usage), BOOK)

        assert lines is not None
        assert abs(sum(line.nanos for line in lines) - charge.nanos) <= len(lines)
        assert all(abs(line.nanos * 1_000_000 - line.count * line.per_million_nanos) <= 1_000_000 for line in lines)


@pytest.mark.parametrize(
    ("tokens", "per_million"),
    [pytest.param(50_000, 3 * 10**9, id="below"), pytest.param(200_001, 6 * 10**9, id="above")],
)
def test_a_line_has_the_price_of_its_tier(tokens: int, per_million: int) -> None:
    """Claude Sonnet 4.5 costs $3 for a million up to 200,000 tokens of input and $6 beyond, and the line says which."""
    usage = Usage(input_tokens=tokens)
    charge = BOOK.price("anthropic", "claude-sonnet-4-5", usage, at=AT)
    assert isinstance(charge, Charge)

    (line,) = reckoned(row(charge, usage), BOOK) or ()

    assert (line.count, line.per_million_nanos, line.nanos) == (tokens, per_million, charge.nanos)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"value_nanos": 1}, id="another sum"),
        pytest.param({"prices": "bundled:anthropic/no-such-model"}, id="a model not listed"),
        pytest.param({"prices": "policy"}, id="no list"),
    ],
)
def test_what_does_not_add_up_is_not_explained(change: dict[str, object]) -> None:
    """No lines rather than false ones."""
    usage = Usage(input_tokens=10)
    charge = BOOK.price("anthropic", "claude-sonnet-4-5", usage, at=AT)
    assert isinstance(charge, Charge)

    assert reckoned(row(charge, usage) | change, BOOK) is None


def test_nothing_counted_has_no_lines() -> None:
    """A call whose counts are all 0 is explained by no line, and is not unexplained."""
    charge = BOOK.price("anthropic", "claude-sonnet-4-5", usage := Usage(input_tokens=0, output_tokens=0), at=AT)
    assert isinstance(charge, Charge)

    assert reckoned(row(charge, usage), BOOK) == []
