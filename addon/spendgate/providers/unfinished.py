"""What a call used whose provider did not say: streams that were broken off, and chat streams that report nothing.

Counted from bytes, at the ratios that recorded traffic shows. The basis of such a charge is `estimated` (design.md, promise 9).
"""

from __future__ import annotations

from typing import Final

from spendgate.providers.interface import Ask, Reading
from spendgate.usage import Usage

# Request bytes for an input token, over recordings of three SDKs (10%, median, 90%): Anthropic 68 calls 2.2, 3.5, 7.7;
# Responses 31 calls 2.7, 8.0, 10.8; chat 12 calls 2.6, 5.8, 8.1. Four is near the lower third of each: an estimate that errs
# does so upwards, by about a third at the median.
INPUT_BYTES_A_TOKEN: Final = 4
# Bytes of JSON-escaped text for an output token, as `Reading.output_bytes` counts them: Anthropic 10 streams 1.9, 2.6, 4.4;
# Responses 4 streams 0.8, 2.8, 4.6 (short ones). Reasoning that the provider keeps to itself is not in those bytes.
OUTPUT_BYTES_A_TOKEN: Final = 3


def estimate_usage(ask: Ask, reading: Reading) -> Usage:
    """The usage of one sampling that ended without its last counts.

    What was reported stands (Anthropic gives the input with its first event); the rest comes from bytes: expect the input within
    a factor of two, the output within a half where the provider shows its reasoning and too low where it hides it. Output is at
    least what was reported, and at most what was asked for. A reading that is `free` used nothing.
    """
    if reading.free:
        return Usage(input_tokens=0, output_tokens=0)
    known = _all(reading)
    if known.input_tokens is None:
        known = known.overlaid(Usage(input_tokens=_up(ask.text_bytes + reading.input_bytes, INPUT_BYTES_A_TOKEN)))
    output = max(_up(reading.output_bytes, OUTPUT_BYTES_A_TOKEN), known.output_tokens or 0)
    if ask.output_tokens_max is not None:
        output = max(min(output, ask.output_tokens_max * ask.choices), known.output_tokens or 0)
    return known.overlaid(Usage(output_tokens=output))


def _all(reading: Reading) -> Usage:
    """The counts of all parts together; without any, none."""
    total = Usage()
    for part in reading.parts:
        total += part.usage
    return total


def _up(size_bytes: int, ratio: int) -> int:
    return -(-size_bytes // ratio)
