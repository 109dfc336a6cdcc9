"""Which model of genai-prices' list a name on a wire means, and which words of a call's context its price depends on."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from genai_prices.data_snapshot import DataSnapshot
from genai_prices.types import ModelInfo, ModelPrice, Provider

from spendgate.model_names import evened, family, unregioned
from spendgate.price_lists import Lists, maker_of, named_by

_FOUND_MAX = 4096

Listed = tuple[Provider, ModelInfo]


class ListedModels:
    """The models of one snapshot. What was found for a name is kept, bounded."""

    def __init__(self, snapshot: DataSnapshot) -> None:
        self._all = snapshot.providers
        self._providers = {provider.id: provider for provider in snapshot.providers}
        self._found = lru_cache(maxsize=_FOUND_MAX)(self._find)

    def find(self, lists: str | Lists, model: str) -> Listed | None:
        """The model, with whom the list has it under; None: the lists have none that this name may mean, in capitals or not."""
        return self._found(lists, model.lower())

    def _find(self, lists: str | Lists, model: str) -> Listed | None:
        return self._find_at(lists, model) if isinstance(lists, str) else self._find_in(lists, model)

    def _find_in(self, lists: Lists, model: str) -> Listed | None:
        """In the first of several lists that has it."""
        vendor, rest = named_by(model)
        tried = [(lists.said, model), (vendor, rest), (lists.asked, model), *[(usual, model) for usual in lists.usual]]
        if (maker := maker_of(model)) is not None:
            tried += [(maker, model), (maker, family(model))]
        for owner, name in dict.fromkeys(tried):
            if owner is not None and (found := self._find_at(owner, name)) is not None:
                return found
        return self._agreed(model)

    def _agreed(self, model: str) -> Listed | None:
        """The model of just this family where every list that has it asks the same for it, with the first of them. Of one that
        costs nothing somewhere (`:free`) this says nothing."""
        short = family(model)
        listed = [self._find_at(owner, model) for owner in self._providers]
        found = [each for each in listed if each is not None and family(each[1].id) == short and _costs(each[1])]
        prices = [(info.prices, info.price_variants) for _, info in found]
        return found[0] if prices and all(each == prices[0] for each in prices) else None

    def _find_at(self, provider: str, model: str) -> Listed | None:
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


def _costs(info: ModelInfo) -> bool:
    return not isinstance(info.prices, ModelPrice) or bool(info.prices.input_mtok)


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
