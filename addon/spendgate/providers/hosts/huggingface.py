"""Hugging Face's router. Source: facts/wire-formats.md 12.

genai-prices has a list for each partner that serves a model. The path names it, or the end of the model's name (`…:groq`, which
`pricing` reads). Where neither does, the router chooses, and nothing on the wire says whom: priced by the longest of these lists,
which a row's `prices` names.
"""

from __future__ import annotations

from typing import Final

from spendgate.providers.provider import CHAT, RESPONSES, Provider, billable

_PARTNERS: Final = (
    "cerebras", "fireworks-ai", "groq", "hyperbolic", "nebius", "novita", "nscale", "ovhcloud", "publicai", "sambanova",
    "together",
)  # fmt: skip

PROVIDERS: Final = (
    Provider(
        "huggingface",
        ("router.huggingface.co",),
        "huggingface_novita",
        (
            *(
                billable(f"/{partner}/**/chat/completions", CHAT, prices=f"huggingface_{partner}")
                for partner in _PARTNERS
            ),
            billable("/v1/chat/completions", CHAT),
            billable("/v1/responses", RESPONSES),
            billable("/*/**/chat/completions", CHAT),
        ),
    ),
)
