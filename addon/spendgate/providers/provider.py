"""What a provider is to the registry: who bills, at which exact hosts, and what each path there is.

A pattern is a path, in any case: `*` is one segment, `**` any number, also none; `{model}` is a segment (or the part of one
before a `:verb`) that names the model, `{model**}` one that may hold slashes. The first rule that fits decides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

from spendgate.providers.credentials import BEARER, GOOGLE, QUERY, X_API_KEY
from spendgate.providers.interface import KEY_FIELDS, Kind

MESSAGES: Final = "anthropic-messages"
CHAT: Final = "openai-chat"
RESPONSES: Final = "openai-responses"
EMBEDDINGS: Final = "openai-embeddings"
ANTHROPIC_BATCHES: Final = "anthropic-batches"
OPENAI_BATCHES: Final = "openai-batches"
IMAGES: Final = "openai-images"
TRANSCRIPTIONS: Final = "openai-transcriptions"
SPEECH: Final = "openai-speech"
CURSOR: Final = "cursor"
WINDSURF: Final = "windsurf"
REALTIME: Final = "openai-realtime"
GEMINI: Final = "gemini"
INTERACTIONS: Final = "gemini-interactions"
CODE_ASSIST: Final = "code-assist"
ENVELOPED: Final = "chat-enveloped"
ANSWER_CAPPED: Final = "chat-answer-capped"
DEFERRED: Final = "chat-deferred"

GOOGLE_KEYS: Final = (GOOGLE, QUERY, BEARER)
ANTHROPIC_KEYS: Final = (X_API_KEY, BEARER)
_KEYS: Final = {MESSAGES: ANTHROPIC_KEYS, ANTHROPIC_BATCHES: ANTHROPIC_KEYS, GEMINI: GOOGLE_KEYS}
"""Where a key is looked for by who speaks these dialects; by all others in `Authorization` alone."""


class Site(StrEnum):
    """Whether people open a provider's hosts in a browser, too."""

    NONE = "none"
    ALSO = "also"
    """An API on a website's host: what may be a program is metered, since its calls cost money."""
    MAINLY = "mainly"
    """A website with a seat's traffic: what may be a browser is not looked into."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a POST to a path is, or a WebSocket handshake."""

    pattern: str
    kind: Kind
    dialect: str = ""
    websocket: bool = False
    """The path is also spoken over WebSocket."""
    plan: bool = False
    """Traffic of a flat plan, whatever the credential: its row says `subscription`."""
    method: str = "POST"
    """The method that it is about; a handshake fits any."""
    prices: str | None = None
    """The genai-prices id of this path, where a reseller's paths are of several vendors; else its provider's."""

    def match(self, path: str) -> re.Match[str] | None:
        """The match of a whole path; its group `model`, where the pattern has one, is the path's own spelling."""
        return _compiled(self.pattern).fullmatch(path)


@dataclass(frozen=True, slots=True)
class Provider:
    """Who bills, at which hosts."""

    name: str
    hosts: tuple[str, ...]
    """Exact, in lower case."""
    prices: str
    """Its genai-prices id."""
    rules: tuple[Rule, ...]
    dialect: str = CHAT
    """Whose error shape an exchange has that no rule knows."""
    states_cost: bool = False
    """Its answers state what they cost, and that is what is billed: it goes before a price computed from tokens."""
    usage_when_asked: bool = False
    """Its chat streams report usage where `stream_options` asks for it, and then alone."""
    site: Site = Site.NONE
    makers: bool = False
    """It serves several vendors' models: what its own list lacks has the price of the model's maker, flagged."""
    keys: tuple[str, ...] | None = None
    """Where it looks for a key (`credentials`); None: as the dialect of the path has it."""
    targets: bool = False
    """What is sent to `/` names its operation in `x-amz-target` (AWS's JSON protocols): `/Operation` is then its path."""


@dataclass(frozen=True, slots=True)
class Family:
    """Paths that hosts of one kind have in common: the words of `capture.hosts[].dialect`."""

    name: str
    prices: str
    dialect: str
    """Whose error shape an exchange has that no rule knows."""
    rules: tuple[Rule, ...]
    keys: tuple[str, ...] = KEY_FIELDS
    """Where such a host may look for a key (`credentials`): of a gateway nobody knows."""


def keys_read(family: Family | Provider, dialect: str) -> tuple[str, ...]:
    """Where a key is looked for on a path of this dialect."""
    return family.keys if family.keys is not None else _KEYS.get(dialect, (BEARER,))


def billable(
    pattern: str, dialect: str, *, websocket: bool = False, plan: bool = False, prices: str | None = None
) -> Rule:
    """A path that costs money."""
    return Rule(pattern, Kind.BILLABLE, dialect, websocket, plan, prices=prices)


def result(pattern: str, dialect: str, *, method: str = "GET") -> Rule:
    """A path that gives back what was worked off before; the dialect is one with `results`."""
    return Rule(pattern, Kind.RESULT, dialect, method=method)


def responses_read(pattern: str) -> tuple[Rule, Rule]:
    """The paths by which a response that was worked off in the background is read: polled or streamed on, or cancelled."""
    return result(f"{pattern}/*", RESPONSES), result(f"{pattern}/*/cancel", RESPONSES, method="POST")


def free(*patterns: str) -> tuple[Rule, ...]:
    """Paths that are known to cost nothing."""
    return tuple(Rule(pattern, Kind.FREE) for pattern in patterns)


_PLACES: Final = {
    r"/\*\*/": "/(?:.+/)?",
    r"/\*\*": "(?:/.*)?",
    r"\{model\*\*\}": "(?P<model>.+)",
    r"\{model\}": "(?P<model>[^/]+)",
    r"\*": "[^/]+",
}


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    source = re.escape(pattern)
    for place, expression in _PLACES.items():
        source = source.replace(place, expression)
    return re.compile(source, re.IGNORECASE)


def words(rules: tuple[Rule, ...]) -> frozenset[str]:
    """The plain words of these rules' paths, in lower case; of a `{model}:verb` its `:verb`."""
    parts = [part for rule in rules for part in rule.pattern.lower().split("/")]
    plain = {part for part in parts if part and not re.search(r"[*{]", part)}
    return frozenset(plain | {f":{part.partition(':')[2]}" for part in parts if "{" in part and ":" in part})
