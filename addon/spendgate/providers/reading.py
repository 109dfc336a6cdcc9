"""What one response used, as values: each sampling with its counts, and what a result read back later is known by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct, field

from spendgate.usage import Usage

INSTEAD: Final = ("audio_ms", "input_characters")
"""Units that are billed in place of tokens."""


class Part(Struct, frozen=True):
    """One sampling that the provider bills: its model, counts and what changes its price."""

    usage: Usage
    model: str | None = None
    """The model that answered; None: the one of the reading."""
    context: Mapping[str, str] = field(default_factory=dict)
    """genai-prices' price_context (`service_tier`, `speed`, `processing`), from the *response*."""
    geo: str | None = None
    """Anthropic's `inference_geo`: `us` costs 1.1 times."""
    units: Mapping[str, int] = field(default_factory=dict)
    """What `Usage` has no place for, by genai-prices' usage key: `input_image_tokens`, `output_image_tokens` and their
    kin (part of the tokens), `input_characters`, `storage_searches`; and `audio_ms`, the milliseconds of audio listened to.
    """

    @property
    def known(self) -> bool:
        """Whether all that is billed was counted: in tokens, or by a unit that is billed in their place."""
        return self.usage.known or any(name in self.units for name in INSTEAD)


class Reading(Struct, frozen=True):
    """What a response used, as far as it has been read. A reader may give one at any time."""

    parts: tuple[Part, ...] = ()
    model: str | None = None
    request_id: str | None = None
    response_id: str | None = None
    account: str | None = None
    final: bool = False
    """The provider's last counts were seen."""
    ended: bool = False
    """The provider said that this answer is over, with its counts or without (a WebSocket goes on after that)."""
    free: bool = False
    """The provider says that this costs nothing (an error before work, a refusal before any output)."""
    stated_cost_nanos: int | None = None
    """The provider's own price of the call (OpenRouter, xAI): the truth where given."""
    output_bytes: int = 0
    """Bytes of generated text, thinking and tool input seen: what an estimate of an unfinished stream rests on."""
    input_bytes: int = 0
    """Bytes of the request that came after it was decided (`spoken.Spoken.upload`): an estimate adds them to `Ask.text_bytes`."""
    flags: tuple[str, ...] = ()
    """What did not fit: `reader failed: …`, `split of cache writes assumed`, … Never content."""
    background: bool = False
    """The provider says that it works this answer off by itself, whoever is connected."""
    overage: bool | None = None
    """Whether the account is past what its plan includes, where the provider says so."""
    overage_until_ms: int | None = None
    """When what it includes begins anew, where the provider says that."""


class Result(Struct, frozen=True):
    """What one answer that was worked off before has used, as it is read back."""

    key: str
    """What it is at this provider, whoever reads it and however often. Not stored itself: it may be a person's own word."""
    reading: Reading
    awaited: bool = False
    """Its request has a row and a charge of its own, if it left through a gate (a background response; not a batch)."""
