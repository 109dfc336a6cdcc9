"""At a host with several vendors' models each is looked for where its name says that it is from, and priced as there."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from spendgate.price_lists import Lists, elsewhere, elsewhere_of
from spendgate.pricing import Charge, PriceBook, UnknownPrice
from spendgate.usage import Usage

BOOK = PriceBook()
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
USAGE = Usage(input_tokens=100_000, output_tokens=1_000, cache_read_tokens=5_000)
MIXED = Lists(("openai",))
AT_AWS = Lists(("aws", "openai"))
"""Of Bedrock's paths there."""
CLAUDE, PROFILE = "claude-sonnet-4-5", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"


@pytest.mark.parametrize(
    ("lists", "name", "owner", "model"),
    [
        (MIXED, CLAUDE, "anthropic", CLAUDE),
        (MIXED, f"anthropic/{CLAUDE}", "anthropic", CLAUDE),
        (MIXED, "openai/gpt-5", "openai", "gpt-5"),
        (MIXED, "gpt-5", "openai", "gpt-5"),
        (MIXED, "azure/gpt-5", "azure", "gpt-5"),
        (MIXED, "gemini/gemini-2.5-pro", "google", "gemini-2.5-pro"),
        (MIXED, "gemini-2.5-pro", "google", "gemini-2.5-pro"),
        (MIXED, "vertex_ai/gemini-2.5-pro", "google", "gemini-2.5-pro"),
        (MIXED, f"bedrock/{PROFILE}", "aws", PROFILE),
        (MIXED, f"bedrock/converse/{PROFILE}", "aws", PROFILE),
        (MIXED, PROFILE, "aws", PROFILE),
        (MIXED, f"@anthropic/{CLAUDE}", "anthropic", CLAUDE),
        (MIXED, f"team-a/{CLAUDE}", "anthropic", CLAUDE),
        (MIXED, "openrouter/anthropic/claude-sonnet-4.5", "openrouter", "anthropic/claude-sonnet-4.5"),
        (MIXED, "xai/grok-4", "x-ai", "grok-4"),
        (AT_AWS, CLAUDE, "anthropic", CLAUDE),
        (AT_AWS, "claude-sonnet-4-6", "aws", "claude-sonnet-4-6"),
        (Lists(("openai",), "anthropic"), "gpt-5", "openai", "gpt-5"),
        (Lists(("openai",), "azure"), "openai/gpt-5", "azure", "gpt-5"),
    ],
)
def test_a_model_has_the_price_of_whose_it_is(lists: Lists, name: str, owner: str, model: str) -> None:
    """Charges, quotes, bounds and units alike: the list that the policy says, the vendor in the name, the path's, the maker's."""
    asked = lists.of(name)
    found = BOOK.price(asked, name, USAGE, at=NOW)
    assert isinstance(found, Charge)
    assert found == BOOK.price(owner, model, USAGE, at=NOW)
    assert found.source.startswith(f"bundled:{owner}/")
    assert BOOK.ladder(asked, name, at=NOW) == BOOK.ladder(owner, model, at=NOW)
    assert BOOK.units(asked, name, 0, at=NOW) == BOOK.units(owner, model, 0, at=NOW)
    quote = BOOK.quote(asked, name, at=NOW, context={}, geo=None)
    assert quote is not None and quote.of(USAGE) == found


def test_an_answer_without_its_vendor_is_still_his() -> None:
    """A gateway asked for Bedrock's answers in the maker's name: it is AWS that bills."""
    asked = MIXED.of(f"bedrock/{PROFILE}")
    assert asked.asked == "aws"
    assert BOOK.price(asked, "anthropic.claude-sonnet-4-5-20250929-v1:0", USAGE, at=NOW) == BOOK.price(
        "aws", PROFILE, USAGE, at=NOW
    )


@pytest.mark.parametrize("name", ["smart", "team-a/fast", "gpt", "phi-9", "mistral:7b-instruct", "qwen3-coder"])
def test_a_name_that_nobody_has_or_that_lists_differ_about_is_unknown(name: str) -> None:
    """An alias of a gateway's own, and open weights that each host sells at its own price: never free, and no guess."""
    assert BOOK.price(MIXED.of(name), name, USAGE, at=NOW) == UnknownPrice("openai", name)


def test_what_the_flag_says_is_read_back() -> None:
    """What sizes are learned by, and what `calls show` puts into words."""
    assert elsewhere_of(("at the plain price: tier", elsewhere("x-ai"))) == "x-ai"
    assert elsewhere_of(("unknown price",)) is None


@pytest.mark.parametrize("first", ["azure", "openai"])
def test_a_price_says_whose_list_it_was_found_in(first: str) -> None:
    """Azure's list falls back to OpenAI's own entry: whichever was asked first, neither is called as the other."""
    book = PriceBook()
    for owner in (first, "openai", "azure"):
        found = book.price(owner, "gpt-5", USAGE, at=NOW)
        assert isinstance(found, Charge) and found.source.startswith(f"bundled:{owner}/")
