"""Words of SKUs, units of tokens, what is left out, compression."""

from __future__ import annotations

import gzip
from decimal import Decimal

import pytest

from spendgate.errors import StatementError
from spendgate.reconcile.sources import clouds
from spendgate.statement import Axes, TokenClass

CLASSES = {
    "Claude4.6Sonnet-input-tokens": TokenClass.INPUT,
    "Claude4.6Sonnet-output-tokens-flex": TokenClass.OUTPUT,
    "Claude4.6Sonnet-cache-read-input-token-count": TokenClass.CACHE_READ,
    "Claude4.6Sonnet-cache-write-input-token-count": TokenClass.CACHE_WRITE,
    "CacheReadInputTokenCount_Global-Units": TokenClass.CACHE_READ,
    "CacheWrite1hInputTokenCount-Units": TokenClass.CACHE_WRITE_1H,
    "cache_write_tokens_global_standard-Units": TokenClass.CACHE_WRITE,
    "output_tokens_standard-Units": TokenClass.OUTPUT,
    "Gemini 3.7 Flash Global Text Input - Predictions": TokenClass.INPUT,
    "Gemini 2.5 Flash GA Thinking Text Output - Predictions": TokenClass.OUTPUT,
    "Gemini 3 Flash Text Input Caching": TokenClass.CACHE_READ,
    "Gemini 3 Flash Text Input Caching Storage": None,
    "Generate content cached input token count gemini 3.8 flash text": TokenClass.CACHE_READ,
    "Generate content output token count gemini 2.5 flash short output text": TokenClass.OUTPUT,
    "gpt 4o 1120 cached Inp glbl Tokens": TokenClass.CACHE_READ,
    "GPT 5 Mini cchd Inpt Glbl 1M Tokens": TokenClass.CACHE_READ,
    "5.4 cd inp Gl 1M Tokens": TokenClass.CACHE_READ,
    "5.5 ShortCo opt Gl 1M Tokens": TokenClass.OUTPUT,
    "gpt 4.1 Inp regnl Tokens": TokenClass.INPUT,
    "Model Instance Usage": None,
}


@pytest.mark.parametrize(("name", "found"), CLASSES.items())
def test_classes(name: str, found: TokenClass | None) -> None:
    assert clouds.class_of(clouds.words_of(name)) is found


def test_axes() -> None:
    def axes(name: str) -> Axes:
        return clouds.axes_of(clouds.words_of(name), "eu-west-1")

    assert axes("Nova2.0Lite-input-tokens-flex") == Axes(tier="flex", geo="eu-west-1")
    assert axes("InputTokenCount_Global_Batch-Units") == Axes(tier="batch", geo="global")
    assert axes("output_tokens_standard-Units") == Axes(tier="standard", geo="eu-west-1")
    assert axes("GPT 5 Batch Inpt Glbl") == Axes(tier="batch", geo="global")


def test_units_are_exact_but_for_the_last_digits_of_a_float() -> None:
    assert clouds.tokens(Decimal("1.234567"), 1_000_000) == 1_234_567
    assert clouds.tokens(Decimal("0.30000000000000004"), 1000) == 300
    assert clouds.tokens(Decimal("0.0005"), 1000) is None, "half a token"
    assert clouds.tokens(Decimal("-1"), 1000) is None
    assert clouds.tokens(Decimal(0), 1000) == 0


def test_what_is_left_out_is_told_with_its_money() -> None:
    left = clouds.LeftOut()
    assert left.told() == ()
    for number in range(10):
        left.add(f"service {number}", number * 1_000_000_000)
    left.add("service 9", 1)
    assert left.told() == (
        "11 rows of $45.000000001 are about no model and left out: service 9 $9.000000001, service 8 $8.00, service 7 $7.00, "
        "service 6 $6.00, service 5 $5.00, service 4 $4.00, service 3 $3.00, service 2 $2.00 and 2 services more",
    )


def test_what_a_note_quotes_is_short_and_nothing_that_a_terminal_acts_on() -> None:
    left = clouds.LeftOut()
    left.add("\x1b[2J\nAmazon", 1)
    left.add("x" * 500, 1)
    (told,) = left.told()
    assert told.isprintable()
    assert len(told) < 250


def test_compressed_files_of_one_member_or_several(monkeypatch: pytest.MonkeyPatch) -> None:
    both = gzip.compress(b"one,") + gzip.compress(b"two")
    assert clouds.unpacked(both, "x") == b"one,two"
    assert clouds.unpacked(b"plain", "x") == b"plain"
    with pytest.raises(StatementError, match="x: the compressed data end too early"):
        clouds.unpacked(both[:-4], "x")
    with pytest.raises(StatementError, match="x: cannot be unpacked"):
        clouds.unpacked(both[:12] + b"????" + both[16:], "x")
    assert clouds.head_of(b"\x1f\x8bnothing") == b""
    monkeypatch.setattr(clouds, "UNPACKED_BYTES_MAX", 1 << 20)
    with pytest.raises(StatementError, match="more than 0 GB unpacked"):
        clouds.unpacked(gzip.compress(b"0" * (2 << 20)), "x")
