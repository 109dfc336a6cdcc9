"""What a provider keeps of a conversation that the next request only names: how much, as far as this gate saw it.

A request with `previous_response_id`, or one of a conversation that its provider keeps, shows its new turn alone, and is billed
for all of it. What the answer that it goes on from has read and written was counted here, if it came through this gate: so much
more is held, learned by and, where no counts come, estimated. In memory alone, and bounded: after a restart, or where the
answer came by another way, only what is visible counts, as before. No bound rests on it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from msgspec.structs import replace

from spendgate.gate.interface import Intent
from spendgate.providers.unfinished import INPUT_BYTES_A_TOKEN
from spendgate.usage import Usage

KEPT_MAX: Final = 4_096
"""The latest answers and conversations; each is a name of at most 512 characters and a count."""


class Recall:
    """Tokens by provider and by the name of an answer or a conversation."""

    def __init__(self) -> None:
        self._tokens: OrderedDict[tuple[str, str], int] = OrderedDict()

    def known(self, intent: Intent) -> Intent:
        """The same intent, with what it goes on from among what it shows."""
        name = intent.ask.continues
        tokens = self._tokens.get((intent.route.provider, name)) if name else None
        if not tokens:
            return intent
        shown = intent.ask.text_bytes + tokens * INPUT_BYTES_A_TOKEN
        return replace(intent, ask=replace(intent.ask, text_bytes=shown))

    def saw(self, intent: Intent, response_id: str | None, usage: Usage) -> None:
        """An answer has ended, with these counts, the provider's own or estimated: what goes on from it begins with them."""
        tokens = usage.input_total + (usage.output_tokens or 0)
        if not tokens:
            return
        for name in {intent.ask.conversation, response_id} - {None, ""}:
            key = (intent.route.provider, str(name))
            self._tokens[key] = tokens
            self._tokens.move_to_end(key)
            if len(self._tokens) > KEPT_MAX:
                self._tokens.popitem(last=False)
