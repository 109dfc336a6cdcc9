"""Which model of genai-prices' list a name on a wire means, and which words of a call's context its price depends on."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from genai_prices.data_snapshot import DataSnapshot
from genai_prices.types import ModelInfo, Provider

from spendgate.model_names import evened, unregioned

_FOUND_MAX = 4096


class ListedModels:
    """The models of one snapshot. What was found for a name is kept, bounded."""

    def __init__(self, snapshot: DataSnapshot) -> None:
        self._all = snapshot.providers
        self._providers = {provider.id: provider for provider in snapshot.providers}
        self._found = lru_cache(maxsize=_FOUND_MAX)(self._find)

    def find(self, provider: str, model: str) -> tuple[Provider, ModelInfo] | None:
        """The model, with whom the list has it under; None: the list has none that this name may mean, in capitals or not."""
        return self._found(provider, model.lower())

    def _find(self, provider: str, model: str) -> tuple[Provider, ModelInfo] | None:
        provider, model = self._partner(provider, model)
        owner = self._providers.get(provider)
        if owner is None:
            return None
        for name in _spellings(model):
            info = owner.find_model(name, all_providers=self._all)
            if info is not None:
                return owner, info
        return None

    def _partner(self, provider: str, model: str) -> tuple[str, str]:
        """Hugging Face's router: behind the model stands the partner, or how one is chosen (`:groq`, `:cheapest`)."""
        family, (name, colon, chosen) = provider.partition("_")[0], model.rpartition(":")
        if family != "huggingface" or not colon:
            return provider, model
        named = f"{family}_{chosen}"
        return named if named in self._providers else provider, name


def _spellings(model: str) -> Iterator[str]:
    """As what the list may know a model: as it is written, without what stands before it, as its spelling is meant."""
    bare, even = model.rpartition("/")[2], unregioned(evened(model).rpartition("/")[2])
    yield from dict.fromkeys((model, bare, even, even.replace(".", "-") if even.startswith("claude") else even))


def meant_context(words: frozenset[tuple[str, str]], owner: Provider, info: ModelInfo) -> dict[str, str] | None:
    """The part of the context that some price of this model depends on; None for the list price.

    genai-prices applies a context only to a provider's own models, not to those it falls back to.
    """
    if not info.price_variants or not any(info is model for model in owner.models):
        return None
    return dict(words & {each for variant in info.price_variants for each in variant.when.items()}) or None
