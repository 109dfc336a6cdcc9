"""What a request of Gemini's API asks for: its caps, its tools and the model that Vertex may take in place of the path's.

Sources: facts/wire-formats.md 4, 16.1.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

from msgspec.structs import replace

from spendgate.providers.ask import Ask
from spendgate.providers.interface import Head
from spendgate.providers.jsonscan import ESCAPED, Scan
from spendgate.providers.repeated import names_at
from spendgate.providers.shapes import FACTOR, MEMBERS, TEXT, UNREADABLE, Fields, cap, items, record

# Google's parsers take each name in camel case and in snake case.
_ROUTED_BY: Final = tuple(
    frozenset(each.split())
    for each in (
        "generationConfig generation_config", "routingConfig routing_config", "manualMode manual_mode",
        "modelName model_name",
    )
)  # fmt: skip
_MANUAL: Final = record(modelName=TEXT, model_name=TEXT)
_ROUTING: Final = record(manualMode=_MANUAL, manual_mode=_MANUAL)
_CONFIG: Final = record(
    maxOutputTokens=FACTOR, max_output_tokens=FACTOR, candidateCount=FACTOR, candidate_count=FACTOR,
    routingConfig=_ROUTING, routing_config=_ROUTING,
)  # fmt: skip
_DECLARED: Final = frozenset({"functionDeclarations", "function_declarations"})
REQUEST: Final = {
    "generationConfig": _CONFIG,
    "generation_config": _CONFIG,
    "tools": items(MEMBERS),
    "serviceTier": TEXT,
    "service_tier": TEXT,
}
MARKS: Final = rb'(inline_?[dD]ata|file_?[dD]ata|cached_?[cC]ontent)"\s*:'
TOOLS_BYTES: Final = 1024
"""Tokens that declared functions may add to the prompt beside their own bytes."""


def asked_of(head: Head, body: bytes, scan: Scan, found: Fields, said: Ask) -> Ask:
    """What a request asks for, whose own members are `found`, into an Ask that says who asks."""
    verb = head.path.rpartition(":")[2].lower()
    embeds = "embed" in verb
    configs = [found.get(name) or {} for name in ("generationConfig", "generation_config")]
    caps = _said(configs, "maxOutputTokens", "max_output_tokens")
    counts = _said(configs, "candidateCount", "candidate_count")
    offered = [tool for tool in found.get("tools") or [] if tool is not None]
    given = [{name for name, there in tool.items() if there} for tool in offered]
    hosted = any(not names or names - _DECLARED for names in given)
    unread = UNREADABLE in counts
    return replace(
        said,
        also=_routed(configs),
        streamed=verb.startswith("stream"),
        text_bytes=len(body) + (TOOLS_BYTES if offered else 0),
        opaque_input=bool(scan.marks),
        output_tokens_max=0 if embeds else None if UNREADABLE in caps else cap(max(caps, default=None)),
        choices=max([1, *counts]),
        service_tier=found.get("serviceTier") or found.get("service_tier"),
        searches_max=None if hosted else 0,
        # A tool that Google runs makes it sample again and bill what the tool found as input.
        loops=hosted or unread,
    )


def _said(configs: list[Fields], *names: str) -> list[int]:
    return [each[name] for each in configs for name in names if each.get(name) is not None]


def _routed(configs: list[Fields]) -> tuple[str, ...]:
    """The model that Vertex uses in place of the path's, where the request says so; `""` where Vertex chooses (aiplatform/v1,
    content.proto, RoutingConfig)."""
    named = []
    for routing in [each.get(name) for each in configs for name in ("routingConfig", "routing_config")]:
        if routing is None:
            continue
        manual = routing.get("manualMode") or routing.get("manual_mode") or {}
        named.append(manual.get("modelName") or manual.get("model_name") or "")
    return tuple(dict.fromkeys(named))


def routed_also(body: bytes, scan: Scan, *within: str) -> Generator[None, None, tuple[str, ...]]:
    """The models that it may use by a key that stands twice, whose last one `_routed` has read; `within` this member."""
    if ESCAPED not in scan.marks and body.count(b'odelName"') + body.count(b'odel_name"') < 2:
        return ()
    return tuple((yield from names_at(body, *within, *_ROUTED_BY)))
