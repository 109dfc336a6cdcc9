"""A program as a developer would write it, with the official SDK: it shows its model some sources. It knows nothing of a gate."""

from __future__ import annotations

from pathlib import Path

import anthropic

SOURCES = sorted((Path(__file__).parents[2] / "addon" / "spendgate").rglob("*.py"))
BYTES = 330_000
"""Some 82,500 tokens, as many as the stand-in of `scripts/run` says that it was sent."""

code = b"".join(file.read_bytes() for file in SOURCES)[:BYTES].decode(errors="ignore")
try:
    with anthropic.Anthropic().messages.stream(
        model="claude-sonnet-5",
        max_tokens=1000,
        system=[{"type": "text", "text": code, "cache_control": {"type": "ephemeral"}}],
        messages=[{"role": "user", "content": "Say hello."}],
    ) as stream:
        print("".join(stream.text_stream))
except anthropic.APIStatusError as error:
    print(f"{type(error).__name__}: {error.body['error']['message'] if isinstance(error.body, dict) else error}")
