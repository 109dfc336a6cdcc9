"""What a request for a chat completion asks for, of OpenAI and of all hosts that speak alike.

Sources: facts/wire-formats.md 2, 12; learn.microsoft.com, Azure OpenAI On Your Data; alibabacloud.com, Model Studio
(`enable_search`); ai.google.dev, OpenAI compatibility (`extra_body`).
"""

from __future__ import annotations

import re
from typing import Final

from spendgate.providers.ask import Ask
from spendgate.providers.client import sender
from spendgate.providers.interface import Head
from spendgate.providers.jsonscan import ESCAPED, Scan, Scanner
from spendgate.providers.other_models import NAMING, PLUGINS, TOOL, others
from spendgate.providers.shapes import (
    FACTOR,
    FLAG,
    PRESENT,
    PROMPTS,
    TEXT,
    UNLESS_FALSE,
    UNREADABLE,
    Fields,
    Shape,
    cap,
    items,
    record,
)

_REQUEST: Final = Shape(
    model=TEXT,
    stream=FLAG,
    max_tokens=FACTOR,
    max_completion_tokens=FACTOR,
    n=FACTOR,
    best_of=FACTOR,
    prompt=PROMPTS,
    service_tier=TEXT,
    web_search_options=PRESENT,
    search_parameters=PRESENT,
    enable_search=UNLESS_FALSE,
    enable_thinking=FLAG,
    enable_code_interpreter=UNLESS_FALSE,
    data_sources=PRESENT,
    agent_id=PRESENT,
    plugins=PLUGINS,
    stream_options=PRESENT,
    deferred=FLAG,
    tools=items(record(type=TEXT, **TOOL)),
    **NAMING,
)
_HOSTED: Final = ("enable_search", "enable_code_interpreter", "data_sources")
"""What hosts are told to look up, and to run: Alibaba's, whose search has a price by the call, and Azure's "on your data", which
asks the model what to look for and puts what it finds into the input."""
_SCHEMA: Final = (
    rb'\{\s*+(?:\}|"(?:type|description|title|default|format|enum|const|examples|anyOf|oneOf|allOf|\$ref)"\s*+:)'
)
REQUEST_SCAN: Final = Scanner(
    _REQUEST,
    (
        "model", "stream", "max_tokens", "max_completion_tokens", "n", "best_of", "prompt",
        "service_tier", "web_search_options", "search_parameters", *_HOSTED, "plugins", "stream_options", "tools", "deferred",
        "enable_thinking", "agent_id",
        *NAMING,
    ),
    # A cache of Gemini's that a request goes on from (`extra_body.google.cached_content`) holds any amount of input. Films,
    # documents and recordings by their address are OpenRouter's, Alibaba's, Moonshot's, Z.ai's and Mistral's; vLLM, and by its
    # word OpenAI, too, take a part without a type. A tool's schema may have a property of that name.
    marks=rb'type"\s*:\s*"((?:input_)?(?:image|video|audio|document|file)(?:_url)?)"|(file_id)"|(audio)"\s*:\s*\{'
    rb'|(cached_?[cC]ontent)"\s*:\s*"|((?:image|video|audio|file|document)_url)"\s*+:(?!\s*+(?:null|' + _SCHEMA + rb"))",
)  # fmt: skip

_SEARCH_MODELS: Final = re.compile(r"-search(?:-|$)|:online$|(?:^|/)compound(?:-|$)")
"""`gpt-4o-search-preview`, `gpt-5-search-api`, OpenRouter's suffix, Groq's compound: models that search unasked."""
_FREE_PLUGINS: Final = frozenset({"response-healing", "context-compression", "auto-router", "moderation"})
"""OpenRouter's plugins that bill nothing by the call; others search or read files."""
_CLIENT_TOOLS: Final = frozenset({None, "function", "custom"})
"""Others are run by the provider, and may have it sample again: OpenRouter's, Groq's, Z.ai's, Moonshot's `builtin_function`."""
_CHOICES_MAX: Final = 128
"""OpenAI's limit of `n`; other hosts may have none."""


def asked_of(head: Head, body: bytes, scan: Scan) -> Ask:
    """The Ask of a request with this scan."""
    found = scan.fields
    streamed = bool(found.get("stream"))
    asks = any(found.get(name) for name in ("web_search_options", "search_parameters", "enable_search"))
    runs = any(found.get(name) for name in _HOSTED)
    plugins = any((plugin or {}).get("id") not in _FREE_PLUGINS for plugin in found.get("plugins") or [])
    hosted = [tool for tool in found.get("tools") or [] if tool and tool.get("type") not in _CLIENT_TOOLS]
    searches = bool(asks or plugins or hosted or _SEARCH_MODELS.search(found.get("model") or ""))
    kept = bool(found.get("agent_id"))  # Mistral's, whose instructions and tools no request shows
    factors = [found.get("n"), found.get("best_of")]
    prompts = found.get("prompt")
    # A host may well read what this does not, and there is no telling as how many.
    unread = UNREADABLE in (*factors, prompts)
    return Ask(
        model=found.get("model"),
        also=others(found, hosted),
        streamed=streamed,
        text_bytes=len(body),
        opaque_input=kept or bool(scan.marks),
        output_tokens_max=_output_max(found),
        choices=_CHOICES_MAX if unread else max(1, *(factor or 1 for factor in factors)) * (prompts or 1),
        service_tier=found.get("service_tier"),
        cache_ttl="write",
        searches_max=None if searches else 0,
        loops=searches or runs or unread or kept,
        background=bool(found.get("deferred")),
        usage_unsaid=streamed and "stream_options" not in found and ESCAPED not in scan.marks,
        **sender(head),
    )


def _output_max(found: Fields) -> int | None:
    """The larger of both caps, since hosts differ in which one they heed; None where neither can be read, or one cannot."""
    caps = [each for name in ("max_tokens", "max_completion_tokens") if (each := found.get(name)) is not None]
    return None if UNREADABLE in caps else cap(max(caps, default=None))
