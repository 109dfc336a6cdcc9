"""What a provider did not say is estimated from bytes, on top of what it did say, and never below it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spendgate.providers.ask import Ask
from spendgate.providers.reading import Part, Reading
from spendgate.providers.unfinished import INPUT_BYTES_A_TOKEN, OUTPUT_BYTES_A_TOKEN, estimate_usage
from spendgate.usage import Usage

STARTED = Part(Usage(input_tokens=4, cache_read_tokens=95_000, output_tokens=1), "claude-opus-4-5")


@pytest.mark.parametrize(
    ("ask", "reading", "expected"),
    [
        (Ask(text_bytes=400), Reading(), Usage(input_tokens=100, output_tokens=0)),
        (Ask(text_bytes=401), Reading(output_bytes=31), Usage(input_tokens=101, output_tokens=11)),
        (Ask(text_bytes=400), Reading(parts=(STARTED,), output_bytes=30),
         Usage(input_tokens=4, cache_read_tokens=95_000, output_tokens=10)),
        (Ask(text_bytes=400, output_tokens_max=5), Reading(output_bytes=3000), Usage(input_tokens=100, output_tokens=5)),
        (Ask(text_bytes=400, output_tokens_max=5, choices=2), Reading(output_bytes=3000),
         Usage(input_tokens=100, output_tokens=10)),
        (Ask(text_bytes=400), Reading(free=True, output_bytes=9), Usage(input_tokens=0, output_tokens=0)),
        (Ask(text_bytes=4_000_400, packed_bytes=4_000_000, packed_tokens=1_600), Reading(),
         Usage(input_tokens=1_700, output_tokens=0)),
        (Ask(text_bytes=9_000, packed_bytes=9_000, packed_tokens=20, audio_ms=2_000), Reading(output_bytes=30),
         Usage(input_tokens=20, input_audio_tokens=20, output_tokens=10)),
        (Ask(text_bytes=400, pictures=4), Reading(), Usage(input_tokens=100, output_tokens=4 * 1_290)),
        (Ask(), Reading(parts=(STARTED, STARTED)), Usage(input_tokens=8, cache_read_tokens=190_000, output_tokens=2)),
    ],
    ids=["nothing seen", "text seen", "input reported", "capped", "capped choices", "free", "a picture", "a recording",
         "pictures", "two samplings"],
)  # fmt: skip
def test_estimates(ask: Ask, reading: Reading, expected: Usage) -> None:
    """Reported counts stand; the rest comes from bytes, within what was asked for."""
    assert estimate_usage(ask, reading) == expected


@given(
    st.integers(0, 10**7), st.integers(0, 10**7), st.none() | st.integers(0, 10**6), st.none() | st.integers(0, 10**6)
)
def test_never_below_what_was_reported(text: int, seen: int, cap: int | None, reported: int | None) -> None:
    """An estimate is known in full, at least what the provider reported, and never negative."""
    part = Part(Usage(input_tokens=reported, output_tokens=reported))
    found = estimate_usage(Ask(text_bytes=text, output_tokens_max=cap), Reading(parts=(part,), output_bytes=seen))
    assert found.known
    assert (found.output_tokens or 0) >= (reported or 0)
    assert found.input_tokens == (reported if reported is not None else -(-text // INPUT_BYTES_A_TOKEN))
    assert (found.output_tokens or 0) <= max(reported or 0, -(-seen // OUTPUT_BYTES_A_TOKEN))
