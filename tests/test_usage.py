"""Counts are disjoint; a missing count is not a zero; reports of one stream overwrite, samplings add."""

from __future__ import annotations

import pytest

from spendgate.usage import Usage


def test_a_later_report_overwrites_only_what_it_gives() -> None:
    """Anthropic's message_delta carries no split of cache writes: the start's stays."""
    start = Usage(input_tokens=4, cache_write_1h_tokens=1500, output_tokens=1)

    assert start.overlaid(Usage(output_tokens=700)) == Usage(
        input_tokens=4, cache_write_1h_tokens=1500, output_tokens=700
    )


def test_samplings_add_and_keep_the_unknown_unknown() -> None:
    """None and None stay None; None and a count is the count."""
    total = Usage(input_tokens=1, output_tokens=2) + Usage(input_tokens=3, cache_read_tokens=5)

    assert total == Usage(input_tokens=4, cache_read_tokens=5, output_tokens=2)
    assert total.reasoning_tokens is None


def test_totals_are_derived() -> None:
    """All input is uncached, read and written."""
    usage = Usage(
        input_tokens=1, cache_read_tokens=2, cache_write_5m_tokens=4, cache_write_1h_tokens=8, cache_write_tokens=16
    )

    assert (usage.writes, usage.input_total, usage.known) == (28, 31, False)


@pytest.mark.parametrize("wrong", [-1, 1.5, True, "3"])
def test_only_whole_counts(wrong: object) -> None:
    """A provider's nonsense is an error here, so that a reader can flag it."""
    with pytest.raises(ValueError, match="whole count"):
        Usage(input_tokens=wrong)  # type: ignore[arg-type]
