"""Models that a request names beside the one it asks for: each may answer in its place, or work for it, at its own price.

Anthropic's `fallbacks` and its advisor tool; `models` of OpenRouter and of Perplexity, which tries them before `model`; tools
and plugins of OpenRouter's that ask a further model, and its presets, which hold models that no request shows; what draws a
picture as text for OpenAI's image models (`svg`), which may be a model that the request does not name. Gateways that speak as
OpenAI does take `fallbacks`, too. A model that may come in and is not named is `""`, which model rules treat as an alias of
any.
Sources: facts/wire-formats.md 1.4; anthropic 2.12, types/beta; openai-python 3.54, types/image_generate_params.py,
types/responses/tool.py; docs.perplexity.ai, model fallback; openrouter.ai/docs, model
fallbacks, presets, server tools (advisor, subagent, fusion).
"""

from __future__ import annotations

from typing import Final

from pydantic_core import core_schema as schema

from spendgate.providers.shapes import PRESENT, TEXT, Fields, items, record

_UNNAMED: Final = ""
_MODELS_MAX: Final = 32
"""More are not named one by one; no provider takes more than five."""
_NAME: Final = schema.str_schema(strict=True, max_length=512)
_ENTRY: Final = schema.with_default_schema(
    schema.union_schema(
        [
            _NAME,
            schema.no_info_after_validator_function(
                lambda found: found["model"], schema.typed_dict_schema({"model": schema.typed_dict_field(_NAME)})
            ),
        ],
        mode="left_to_right",
    ),
    default=_UNNAMED,
    on_error="default",
)
_LIST: Final = schema.with_default_schema(schema.list_schema(_ENTRY), default=[_UNNAMED], on_error="default")
"""Names, or objects with a `model`; anything else (`"default"`) is one that is not named."""

_LISTS: Final = ("models", "fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
"""The last two are LiteLLM's."""
NAMING: Final = {**dict.fromkeys(_LISTS, _LIST), "preset": PRESENT}
"""The members of a request that name models, or hide them."""
SVG: Final = {"output_format": TEXT, "svg": record(model=TEXT)}
"""The members of a request for a picture, or of the tool, that say that it is to be drawn as text."""
TOOL: Final = {"model": TEXT, "parameters": record(model=TEXT), **SVG}
"""The members of a tool that name one. A person's own functions have them elsewhere."""
PLUGINS: Final = items(record(id=TEXT, model=TEXT))
_ASKING: Final = ("advisor", "openrouter:advisor", "openrouter:subagent", "openrouter:fusion")
"""Tools that ask a model, whether they name it or not."""


def others(found: Fields, hosted: list[Fields]) -> tuple[str, ...]:
    """The other models of a request; `hosted` are its tools that the provider runs."""
    listed = [name for each in _LISTS for name in found.get(each) or []]
    if found.get("preset"):
        listed.append(_UNNAMED)
    for tool in hosted:
        name = tool.get("model") or (tool.get("parameters") or {}).get("model")
        if name or (tool.get("type") or "").startswith(_ASKING):
            listed.append(name or _UNNAMED)
        listed += drawing(tool)
    listed += [plugin.get("model") or _UNNAMED for plugin in found.get("plugins") or [] if _asks(plugin)]
    named = list(dict.fromkeys([name for name in listed if name != found.get("model")]))
    return tuple(named if len(named) <= _MODELS_MAX else [*named[:_MODELS_MAX], _UNNAMED])


def drawing(found: Fields) -> tuple[str, ...]:
    """The model that draws a picture as text, where one is to: OpenAI's own choice where none is named."""
    svg = found.get("svg")
    return () if svg is None and found.get("output_format") != "svg" else ((svg or {}).get("model") or _UNNAMED,)


def _asks(plugin: Fields | None) -> bool:
    return plugin is not None and (plugin.get("id") == "fusion" or bool(plugin.get("model")))
