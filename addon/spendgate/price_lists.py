"""In whose price lists a model is looked for: in one provider's, or at a host with several vendors' models in several in turn.

A gateway names models as its users know them (`claude-sonnet-4-5`, `gemini/gemini-2.5-pro`, `bedrock/us.anthropic.claude-…`), so
the name says whose the model is: by the vendor in front of it, by the shape of AWS's ids, else by its maker's own words.
Sources of the words: docs.litellm.ai/docs/providers, portkey.ai/docs/integrations/llms; lists are genai-prices' providers.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from spendgate.model_names import evened, family

_WORDS: Final = {
    "amazon": "aws", "azure-ai": "azure", "azure-openai": "azure", "bedrock": "aws", "bedrock-converse": "aws",
    "codestral": "mistral", "cohere-chat": "cohere", "fireworks-ai": "fireworks", "gemini": "google", "mistralai": "mistral",
    "moonshot": "moonshotai", "perplexity-ai": "perplexity", "text-completion-openai": "openai", "together-ai": "together",
    "vertex": "google", "vertex-ai": "google", "vertex-ai-beta": "google", "workers-ai": "cloudflare", "xai": "x-ai",
    "z-ai": "zai",
}  # fmt: skip
"""What gateways call a vendor where that is not its list's own name, with `-` for `_`."""
_IN_FRONT: Final = re.compile(r"@?([a-z0-9][a-z0-9_-]*)[/:](?=.)")
_AWS_ID: Final = re.compile(
    r"(?:[a-z]{2,6}(?:-[a-z]{1,4}){0,2}\.)?(?:amazon|anthropic|cohere|deepseek|meta|mistral|qwen)\.(?=[a-z])"
)
_MAKERS: Final = (
    (re.compile(r"claude"), "anthropic"),
    (re.compile(r"gpt-|o\d|chatgpt|codex|computer-use|text-embedding|dall-e|whisper|tts-"), "openai"),
    (re.compile(r"gemini|gemma"), "google"),
    (re.compile(r"grok"), "x-ai"),
    (re.compile(r"(?:open-)?(?:mistral|ministral|mixtral|codestral|devstral|magistral|pixtral|voxtral)"), "mistral"),
    (re.compile(r"command|embed-(?:english|multilingual)"), "cohere"),
    (re.compile(r"deepseek"), "deepseek"),
    (re.compile(r"kimi|moonshot"), "moonshotai"),
    (re.compile(r"glm"), "zai"),
    (re.compile(r"sonar"), "perplexity"),
    (re.compile(r"nova-|titan-"), "aws"),
    (re.compile(r"minimax"), "minimax"),
)  # fmt: skip
_DEPLOYING: Final = "azure"


class Lists(Struct, frozen=True, cache_hash=True):
    """The price lists of a host with several vendors' models. The first that has a model prices it: the one that the policy
    says, that of the vendor whom the name names, these, that of the model's maker; else any where all that have it agree."""

    usual: tuple[str, ...]
    """Of what its path speaks, where that is one vendor's alone, and of what it is listed with."""
    said: str | None = None
    """The policy's own word (`capture.hosts[].prices`)."""
    asked: str | None = None
    """Of the vendor in front of the model that was asked for: an answer names the model without him."""

    @property
    def own(self) -> str:
        """The list that the host has, whatever the model."""
        return self.said or self.usual[-1]

    @property
    def deploying(self) -> bool:
        """Whether a request here names a deployment, which says nothing of its model."""
        return self.own == _DEPLOYING and len(self.usual) == 1

    def of(self, model: str | None) -> Lists:
        """The same for a call that asks for this model."""
        vendor = named_by(model)[0] if model else None
        return self if vendor is None else replace(self, asked=vendor)


def own_list(lists: str | Lists) -> str:
    """The list that a provider or host has, whatever the model: genai-prices' id."""
    return lists if isinstance(lists, str) else lists.own


def deploying(lists: str | Lists) -> bool:
    """Whether its requests name deployments, which may be called anything, also like another model (facts 6)."""
    return lists == _DEPLOYING if isinstance(lists, str) else lists.deploying


def named_by(model: str) -> tuple[str | None, str]:
    """The list of the vendor whom a name itself names, which need not be one, and the rest of the name; None: it names none."""
    name = evened(model.strip().lower())
    if found := _IN_FRONT.match(name):
        word = found[1].replace("_", "-")
        return _WORDS.get(word, word), name[found.end() :]
    return ("aws", name) if _AWS_ID.match(name) else (None, name)


def maker_of(model: str) -> str | None:
    """The list of who makes models that are called so."""
    short = family(model)
    return next((maker for called, maker in _MAKERS if called.match(short)), None)


ELSEWHERE: Final = re.compile(r"priced by (.+)'s list")


def elsewhere(owner: str) -> str:
    """The flag of a price that is from another list than the host's own."""
    return f"priced by {owner}'s list"


def elsewhere_of(flags: tuple[str, ...]) -> str | None:
    """Whose list that was, by a row's flags."""
    return next((found[1] for flag in flags if (found := ELSEWHERE.fullmatch(flag))), None)
