"""What is written of names that came by a wire."""

from __future__ import annotations

import pytest

from spendgate.written import ODD, written

ARN = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123"


@pytest.mark.parametrize(
    "name",
    [
        "claude-sonnet-4-6", "openai/gpt-5.1",
        "composer-2.5[fast=true]", "us.anthropic.claude-sonnet-4-6-v1:0", ARN,
        "~anthropic/claude-sonnet-latest", "@cf/meta/llama-3.1", "_deployment", "req_011CUxyz", "gpt-5.1@2026-01-01",
        "A" * 400 + "==",
    ],
)  # fmt: skip
def test_a_name_stays(name: str) -> None:
    """Models, deployments and ids as providers write them."""
    assert written(name) == name


@pytest.mark.parametrize(
    "said",
    [
        "two words",
        "line\nbreak",
        "\x1b]0;title\x07",
        "",
        "m" * 513,
        "sk-ant-api03-x",
        "eyJhbGciOiJ9",
        "ключ",
        "\ud800",
        "m\n",
    ],
)
def test_anything_else_is_a_fingerprint(said: str) -> None:
    """Short, printable, the same each time, and not what was said."""
    kept = written(said)
    assert kept is not None
    assert kept.startswith(ODD)
    assert len(kept) == 16
    assert kept == written(said)
    assert kept != written(said + "x")


def test_nothing_stays_nothing() -> None:
    """A missing name is missing."""
    assert written(None) is None
