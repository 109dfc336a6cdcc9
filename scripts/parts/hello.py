"""A program as a developer would write it, with the official SDK. It knows nothing of a gate."""

from __future__ import annotations

import anthropic

try:
    with anthropic.Anthropic().messages.stream(
        model="claude-sonnet-5", max_tokens=1000, messages=[{"role": "user", "content": "Say hello."}]
    ) as stream:
        print("".join(stream.text_stream))
except anthropic.APIStatusError as error:
    print(f"{type(error).__name__}: {error.body['error']['message'] if isinstance(error.body, dict) else error}")
