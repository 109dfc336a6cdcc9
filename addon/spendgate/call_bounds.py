"""What a call may cost before it leaves, from its request alone: the most, and a guess for what is unknown.

Pure. Amounts are integer nano-dollars, rounded up here (a hold may be a nano too large, never too small). The ceiling is what
`hold: ceiling` promises; the guess distrusts it, because a provider may bill input that no byte of the request shows.
"""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from spendgate.price_cards import Rates

_MILLION = 1_000_000

HIDDEN_INPUT = 5
"""A cold call is expected to bill at most this many input tokens for a byte: 20 for each 4 bytes, which is 20 times what one
reads off the request (facts/performance.md 4 measured gateways that let 400% through there)."""
WINDOW_GUESSED = 128_000
"""Where nobody knows a model's context window, a call is expected to have at most this much input, or what its bytes show."""
OUTPUT_GUESSED = 65_536
"""A cold call without a cap is expected to put out at most this many tokens: Codex sends none, and with a whole window of output
three agents of a morning filled an hour's $20."""
OUTPUT_UNPRICED = 16_384
"""The same, capped or not, where the price itself is the policy's word, and dear. By `scripts/simulate`: with 8,192 a long tail
goes over by twice as much, with 32,768 four agents fill those $20."""
SEARCHES_GUESSED = 20
LOOPS_GUESSED = 10
"""Searches, and samplings of a server-tool loop, that a cold call is expected to stay below where nothing caps them."""


class Request(Protocol):
    """What bounds a call, as its request shows it; `providers.ask.Ask` has these words and says what they mean."""

    @property
    def text_bytes(self) -> int: ...
    @property
    def opaque_input(self) -> bool: ...
    @property
    def output_tokens_max(self) -> int | None: ...
    @property
    def choices(self) -> int: ...
    @property
    def cache_ttl(self) -> str | None: ...
    @property
    def searches_max(self) -> int | None: ...
    @property
    def loops(self) -> bool: ...


class Bound(Struct, frozen=True):
    """What is known of one call's cost from its request alone, in nano-dollars."""

    ceiling_nanos: int | None
    """The most it can cost; None: no finite bound."""
    guess_nanos: int
    """What a call of an unknown kind holds under `expected`."""
    output_nanos: int | None = None
    """The most that its output can cost; None: nothing bounds it, or what of the request it is sized by is a guess, too."""
    output_guess_nanos: int = 0
    """The part of the guess that is output."""


def bound(ask: Request, rates: Rates) -> Bound:
    """The bound of a call: bytes as tokens at the dearest class, all the output it may ask for, and capped tool fees.

    Input that is only referred to is bounded by the context window alone. `rates` are the dearest of the tiers that may apply.
    """
    dearest = _input_rate(ask, rates)
    shown = rates.context_window if ask.opaque_input else ask.text_bytes
    output = ask.output_tokens_max if ask.output_tokens_max is not None else rates.context_window
    most = None if output is None else _rest(output, ask, rates)
    ceiling = None
    if shown is not None and most is not None and ask.searches_max is not None and not ask.loops:
        ceiling = shown * dearest + most + ask.searches_max * rates.web_search
    likely = _rest(_output_guessed(ask, rates), ask, rates)
    guessed = _input_guessed(ask, rates)
    if ask.loops:
        guessed *= LOOPS_GUESSED
    searches = SEARCHES_GUESSED if ask.searches_max is None else ask.searches_max
    guess = guessed * dearest + likely + searches * rates.web_search
    if likely == most and ceiling is not None:
        guess = max(ceiling, guess)
    return Bound(
        None if ceiling is None else _up(ceiling),
        _up(guess),
        None if shown is None or most is None else _up(most),
        _up(likely),
    )


def _rest(output: int, ask: Request, rates: Rates) -> int:
    """What so many tokens of output cost in each choice, and the request itself; in millionths of a nano-dollar."""
    return output * max(1, ask.choices) * rates.output + rates.request * _MILLION


def _output_guessed(ask: Request, rates: Rates) -> int:
    """Output tokens of one choice that a cold call is expected to stay below: what a request caps counts in full, at a price
    that a list knows."""
    cap = ask.output_tokens_max
    if cap is not None and rates.priced:
        return cap
    most = OUTPUT_GUESSED if rates.priced else OUTPUT_UNPRICED
    return min([each for each in (cap, rates.context_window, most) if each is not None])


def _input_guessed(ask: Request, rates: Rates) -> int:
    """Input tokens that one sampling of a cold call is expected to stay below."""
    window = rates.context_window
    if ask.opaque_input:
        return WINDOW_GUESSED if window is None else window
    return min(ask.text_bytes * HIDDEN_INPUT, window_guessed(ask, rates))


def window_guessed(ask: Request, rates: Rates) -> int:
    """The context window, and where nobody knows it a guess that the bytes of the request do not disprove."""
    return max(WINDOW_GUESSED, ask.text_bytes) if rates.context_window is None else rates.context_window


def _input_rate(ask: Request, rates: Rates) -> int:
    """Nano-dollars for a million input tokens in the dearest class that the request can fall into."""
    plain = max(rates.input, rates.cache_read)
    match ask.cache_ttl:
        case None:
            return plain
        case "5m":
            return max(plain, rates.cache_write_5m)
        case _:
            return rates.input_dearest


def _up(scaled: int) -> int:
    return -(-scaled // _MILLION)
