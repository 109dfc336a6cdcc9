"""What logs show, as facts of a reconciliation. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from spendgate.reconcile.facts import Witnessed
from spendgate.reconcile.witnesses.interface import Seen
from spendgate.reconcile.witnesses.matching import Matched
from spendgate.reconcile.witnesses.whys import Reason, Why

_BY_ID: Final = (("msg_bdrk_", "aws"), ("msg_vrtx_", "vertex"), ("msg_", "anthropic"), ("resp_", "openai"))
"""Whose response an id is, the longer beginnings first."""
_BY_TOOL: Final = {
    "claude-code": "anthropic",
    "codex": "openai",
    "gemini-cli": "google",
    "copilot-cli": "github-copilot",
}

PROVIDERS: Final = frozenset(_BY_TOOL.values()) | {provider for _, provider in _BY_ID}
"""Whose requests a session log can tell of."""


def around(matched: Matched, why: Callable[[Seen], Reason]) -> tuple[Witnessed, ...]:
    """The requests that went around the gate. What tells of no provider (OpenCode's without ids) is left out: a bill could not be
    asked about it."""
    found = []
    for seen in matched.around:
        provider = provider_of(seen)
        if provider is not None:
            used = seen.usage if seen.usage.known else None
            whose = f"{seen.tool}'s {seen.kind}"
            told = why(seen).why
            found.append(
                Witnessed(
                    provider,
                    seen.at_ms,
                    whose,
                    seen.request_id,
                    seen.response_id,
                    seen.model,
                    used,
                    why=told.value,
                    gateless=told is Why.NO_GATE,
                    untold=told is Why.UNTOLD,
                )
            )
    return tuple(found)


def provider_of(seen: Seen) -> str | None:
    """Who bills it: by the id's beginning, else by its tool's own provider."""
    # Copilot's seat pays for what another one's model answers, so that its ids name the wrong one.
    if seen.tool == "copilot-cli":
        return _BY_TOOL[seen.tool]
    named = seen.response_id or ""
    return next((provider for begins, provider in _BY_ID if named.startswith(begins)), _BY_TOOL.get(seen.tool))
