"""What a call used whose provider did not say: streams that were broken off, chat streams that report nothing, whole answers
that do not count their output.

Counted from bytes, at the ratios that recorded traffic shows; of what is packed inside them by what it is (`packed`). The basis
of such a charge is `estimated` (design.md, promise 9).
"""

from __future__ import annotations

from typing import Final

from spendgate.providers.ask import Ask
from spendgate.providers.packed import DRAWN_TOKENS
from spendgate.providers.reading import Reading
from spendgate.usage import Usage

# Estimated to true input, over recordings of one to some thousand tokens (10%, median, 90%): Anthropic 65 calls 0.6, 0.9, 2.6;
# Responses 56 calls 0.7, 2.0, 3.5; chat at ten hosts 109 calls 0.2, 1.4, 3.6. The extremes are requests of a few tokens, in
# which JSON around a word (too high) or a host's own prompt (too low) is nearly all.
INPUT_BYTES_A_TOKEN: Final = 4
# Estimated to true output of streams: Anthropic 20 streams 0.4, 0.9, 1.4; chat of which all shows 1.3 to 1.9 in prose, 0.5 to
# 0.9 in calls of tools; Responses 31 streams 0, 0.5, 1.3, since most of these keep their reasoning to themselves.
# OpenAI's own ranks (o200k, in the 75 MB of `bpe-openai`) were tried beside it: of 21 streams of OpenAI's dialects they gave 0.9
# at the median, where bytes give 1.3, and 0.9 to 1.0 in prose of any host; no more than bytes of what is hidden (0.1 to 0.4); and
# of 168 requests 1.8, where bytes give 1.6. They need the text itself, which no reader keeps, so bytes it is.
OUTPUT_BYTES_A_TOKEN: Final = 3

EXPECTED_ERROR: Final = (
    "estimated from bytes: input is mostly between a third and four times the true count, with documents or recordings in it "
    "between a sixth and six times; output between half and twice where all of it was shown, and too low where the provider hid "
    "its reasoning; never above the model's context window or the most the call can cost, where these are known"
)
"""How far an estimate may be off, for a person, from the recordings above and those of `packed`. That its input passes no window
and no bound, `gate.billing` and `gate.charging` see to."""


def estimate_usage(ask: Ask, reading: Reading) -> Usage:
    """The usage of one sampling that ended without its last counts.

    What was reported stands (Anthropic gives the input with its first event); the rest comes from bytes, with `EXPECTED_ERROR`.
    Output is at least what was reported, and at most what was asked for. A reading that is `free` used nothing.
    """
    if reading.free:
        return Usage(input_tokens=0, output_tokens=0)
    known = _all(reading)
    if known.input_tokens is None:
        known = known.overlaid(_input(ask, reading))
    drawn = ask.pictures * DRAWN_TOKENS
    output = max(_up(reading.output_bytes, OUTPUT_BYTES_A_TOKEN), known.output_tokens or 0, drawn)
    if ask.output_tokens_max is not None:
        output = max(min(output, ask.output_tokens_max * ask.choices), known.output_tokens or 0)
    return known.overlaid(Usage(output_tokens=output))


def _input(ask: Ask, reading: Reading) -> Usage:
    """The input: its text by the bytes, what is packed in it by what that usually counts as."""
    text = max(0, ask.text_bytes - ask.packed_bytes) + reading.input_bytes
    heard = ask.packed_tokens if ask.audio_ms is not None else None
    return Usage(input_tokens=_up(text, INPUT_BYTES_A_TOKEN) + ask.packed_tokens, input_audio_tokens=heard)


def _all(reading: Reading) -> Usage:
    """The counts of all parts together; without any, none."""
    total = Usage()
    for part in reading.parts:
        total += part.usage
    return total


def _up(size_bytes: int, ratio: int) -> int:
    return -(-size_bytes // ratio)
