"""Zed's hosted models. Compaction is not read, so it shows as `unrecognized`. Source: facts/wire-formats.md 11."""

from __future__ import annotations

from typing import Final

from spendgate.providers.provider import Provider, billable, free

ZED: Final = "zed-completions"

PROVIDERS: Final = (
    Provider(
        "zed",
        ("cloud.zed.dev",),
        "anthropic",
        (billable("/completions", ZED), *free("/count_tokens", "/client/**", "/models")),
        ZED,
    ),
)
