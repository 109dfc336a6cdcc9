"""Model names: one family name for a model's many spellings, and the patterns that policies compare with them.

Providers, routers and tools write one model in many ways: with a region, a vendor, a date, a version suffix, or parts in
another order. `family` drops what does not change which model it is (policy.md, Model names). Patterns are compared without
case and with `.` as `-`, to the name asked for and to its family.

Rule: a family is never wider than a model. Size words (`mini`, `pro`, `codex`, `flash`, …) stay; only what a policy never
means is dropped. Spellings: facts/wire-formats.md, and the ids that genai-prices 0.2 lists.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

_NAME_LENGTH_MAX = 256
_VENDOR_DOT = re.compile(
    r"^(?:(?:[a-z]{2,6}(?:-[a-z]{1,4}){0,2}|global|regional)\.)?"
    r"(?:ai21|amazon|anthropic|cohere|deepseek|google|meta|minimax|mistral|moonshotai|moonshot|nvidia|openai|qwen|stability"
    r"|twelvelabs|writer|zai)(?:\.|--)"
)
# Of a tool that writes the vendor before a colon; behind these words stands a model, never a version.
_VENDOR_COLON = re.compile(r"^(?:anthropic|openai|google|gemini|vertex|bedrock|xai|mistral|deepseek):(?=[a-z])")
_HOST_PREFIX = re.compile(r"^(?:databricks-|@cf/|~)")
# Amazon Q and Windsurf write models as constants: CLAUDE_SONNET_4_20250514_V1_0, MODEL_SWE_1_5_SLOW.
_CONSTANT = re.compile(r"^(?:model_|(?:claude|gpt|gemini|grok|deepseek|kimi|qwen\d*|llama|glm|swe|o\d)_)[a-z0-9_]*$")
_CONSTANT_VENDOR = re.compile(r"^model_(?:(?:chat|google|xai|openai|anthropic)_)?")
_TAIL = re.compile(r"\[[^\]]*\]$|-v1:\d+(?::\d+[km])?$|:\d+[km]$|-1:0$|:\d+$|:[a-z][a-z0-9_-]*$|@(?:latest|default)$")
_DATE = re.compile(
    r"[-@](?:20\d{2}-\d{2}-\d{2}|20\d{6}|(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])|\d{2}-\d{2}|\d{2}-20\d{2})$"
)
# Only these makers' names take a tool's effort words; elsewhere (`kimi-k2-thinking`, `qwen3-max`) they name a model.
_EFFORT = re.compile(r"-(?:thinking|none|minimal|low|medium|(?:extra-)?high|xhigh)$")
_TAKES_EFFORT = re.compile(r"^(?:claude|gpt-\d|o\d|grok-\d)")
_CLAUDE_TAIL = re.compile(r"-v\d+(?:[:-]\d+)?(?::\d+[km])?$|-(?:fast|max)$")
# Cursor's word for OpenAI's priority tier; of another maker a `fast` model is one of its own.
_GPT_TAIL = re.compile(r"^((?:gpt-\d|o\d).*)-fast$")
_GEMINI_TAIL = re.compile(r"^(gemini-\d.*-(?:pro|flash|lite|8b))-00\d$")
# Antigravity's effort words; `thinking` is in the name of a model of Google's.
_GEMINI_EFFORT = re.compile(r"^(gemini-\d.*-(?:pro|flash))-(?:high|medium|low|minimal)$")
_MAKERS_LATEST = re.compile(r"^(gpt|gemini)-[a-z-]*latest$")
"""`gemini-pro-latest` may be any `gemini-`: the number stands before the size in what it becomes."""
_MISTRAL_DATE = re.compile(
    r"^((?:open-)?(?:mistral|ministral|mixtral|codestral|devstral|magistral|pixtral|voxtral)\b.*)-2\d(?:0[1-9]|1[0-2])$"
)
_CLAUDE_OLD = re.compile(r"^claude-(\d+(?:-\d{1,2})?)-(opus|sonnet|haiku|fable|mythos)(?=-|$)(.*)$")
_ROUTER = re.compile(
    r"^(?:auto|default|best|router|model-router|premium|.*/auto|.*/router|.*-auto-router|cursor-default|opusplan"
    r"|openrouter/(?:auto-beta|pareto-code|fusion|bodybuilder|free)|(?:.*/)?tunedmodels/.*|model_private_\d+)$"
)
_PRESET = "@preset/"
"""OpenRouter's presets, which hold the model, or what goes before it: `@preset/mine`, `openai/gpt-5@preset/mine`."""
_ARN = re.compile(r"^arn:[^/]+/", re.IGNORECASE)
_ARN_SHOWS = re.compile(r":(?:inference-profile|foundation-model)/", re.IGNORECASE)
_LINES = ("opus", "sonnet", "haiku", "fable", "mythos")
_BARE = {line: f"claude-{line}" for line in _LINES} | {f"claude-{line}": f"claude-{line}" for line in _LINES}
_SHORT = re.compile(rf"^(?:{'|'.join(_LINES)})-\d")
_JOINED_LINE = re.compile(rf"(?<![a-z])claude(?={'|'.join(_LINES)})")
_JOINED_NUMBER = re.compile(rf"(?<![a-z])(?:claude|gpt|gemini|grok|{'|'.join(_LINES)})(?=\d)")
_ODD = re.compile(r"[^!-$&-~]")
"""Blanks, `%`, and what is not ASCII."""
_HYPHENS = str.maketrans(dict.fromkeys("\u00ad\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d", "-"))
_LIST = re.compile(r"[,;|]")
"""Between two names, where a lenient gateway takes several: which of them answers, nobody knows beforehand."""
_REGION = re.compile(r"^[a-z]{2,6}(?:-[a-z]{1,4}){0,2}\.(?=[a-z0-9]+\.)")
# On Azure, who deploys a model names it; what does not begin as models do says nothing of which one it is.
_MODEL_LIKE = re.compile(
    r"(?:gpt-?\d|gpt-(?:oss|image|audio|realtime|chat)|o[1-9](?!\w)|chatgpt|codex|claude|gemini|gemma|grok|(?:meta-)?llama|mistral"
    r"|ministral|mixtral|codestral|devstral|magistral|pixtral|voxtral|deepseek|phi-|cohere|command|embed|text-|dall-e|whisper|tts|sora"
    r"|computer-use|kimi|qwen|jais|jamba|ai21|nemotron|flux|stable|mai-|omni-|ada$|babbage|curie|davinci|spendgate-no-model$)"
)
_PROFILE = re.compile(r"[a-z0-9]{12}")
"""What AWS calls application inference profiles, provisioned and custom models by, without the rest of their ARN."""


def family(name: str) -> str:
    """The family name: lower case, `.` as `-`, without region, vendor, date, version suffix and the tool's own spelling.

    `us.anthropic.claude-opus-4-5-20251101-v1:0`, `anthropic/claude-opus-4.5` and `claude-4.5-opus-high-thinking` are all
    `claude-opus-4-5`. A name that nothing is known about comes back in lower case.
    """
    return _family(name.strip().lower()[:_NAME_LENGTH_MAX])


def evened(text: str) -> str:
    """A name in lower case without what only its spelling adds: percent-encoding, wide letters, other hyphens, blanks, and a
    number that stands right behind its maker's word (`Claude Opus 4.5` and `claude-opus4.5` are `claude-opus-4.5`)."""
    if _ODD.search(text):
        while "%" in text and (read := unquote(text)) != text:
            text = read
        text = unicodedata.normalize("NFKC", text).lower().translate(_HYPHENS)
        text = re.sub(r"\s+", "-", text.strip())[:_NAME_LENGTH_MAX]
    return _JOINED_NUMBER.sub(r"\g<0>-", _JOINED_LINE.sub("claude-", text))


def unregioned(name: str) -> str:
    """A name of AWS's without the region that stands before its maker: `in.anthropic.claude-…` is `anthropic.claude-…`."""
    return _REGION.sub("", name)


@lru_cache(maxsize=4096)
def _family(text: str) -> str:
    text = evened(text)
    if _PRESET in text:
        return text.replace(".", "-")  # what a person has called a preset says nothing of its models
    text = _HOST_PREFIX.sub("", text)
    text = text.rpartition("/")[2] or text
    text = _VENDOR_DOT.sub("", _VENDOR_COLON.sub("", text))
    if _CONSTANT.match(text):
        text = _CONSTANT_VENDOR.sub("", text).replace("_", "-")
    if _SHORT.match(text):
        text = f"claude-{text}"
    if text.startswith("ft:"):
        text = text.split(":")[1]
    text = _without_tails(text)
    old = _CLAUDE_OLD.match(text)
    # Anthropic's own names of the third generation have the number first: claude-3-5-sonnet.
    if old and not old[1].startswith("3"):
        text = f"claude-{old[2]}-{old[1]}{old[3]}"
    # `claude-opus-4-0` is Anthropic's alias of claude-opus-4.
    return text.removesuffix("-0") if text.startswith("claude-") else text


def _without_tails(text: str) -> str:
    """Suffixes taken off the end, in whatever order they stand there, but never the whole name."""
    while True:
        shorter = _DATE.sub("", _TAIL.sub("", text)).replace(".", "-")
        if shorter.endswith("-latest") and any(letter.isdigit() for letter in shorter):
            shorter = shorter.removesuffix("-latest")
        if _TAKES_EFFORT.match(shorter):
            shorter = _EFFORT.sub("", shorter)
        if shorter.startswith("claude-") and shorter[7:].strip("v0123456789"):
            shorter = _CLAUDE_TAIL.sub("", shorter)
        for tail in (_GPT_TAIL, _GEMINI_TAIL, _GEMINI_EFFORT, _MISTRAL_DATE):
            shorter = tail.sub(r"\1", shorter)
        if shorter in (text, ""):
            return text
        text = shorter


def alias_stem(name: str | None) -> str | None:
    """What a router's or alias's models all start with, `""` for anything; None where the name names one model.

    `auto` may become anything, `claude-opus-latest` and `opus` any `claude-opus`. A call whose model is not known is `""`, also
    where AWS alone knows it (`hides_model`).
    """
    text = evened((name or "").strip().lower()[:_NAME_LENGTH_MAX])
    bare = _DATE.sub("", _TAIL.sub("", text))
    if (
        not text
        or _LIST.search(text)
        or _ROUTER.match(text)
        or _ROUTER.match(bare)
        or _PRESET in text
        or hides_model(text)
    ):
        return ""
    short = family(text)
    if short in _BARE:
        return _BARE[short]
    if makers := _MAKERS_LATEST.match(short):
        return f"{makers[1]}-"
    return short.removesuffix("-latest") if short.endswith("-latest") else None


@lru_cache(maxsize=1024)
def says_nothing(provider: str, name: str) -> bool:
    """Whether a name is its owner's own, so that it may be any model: a deployment on Azure that is not called like a model, an
    id of AWS's without its ARN."""
    if provider not in ("azure", "aws"):
        return False
    text = evened(name.strip().lower()[:_NAME_LENGTH_MAX])
    if provider == "aws":
        return _PROFILE.fullmatch(text) is not None
    return _MODEL_LIKE.match(text.rpartition("/")[2]) is None


def hides_model(name: str | None) -> bool:
    """Whether a name is an ARN that does not end in its model: application inference profiles, provisioned, imported and custom
    models, prompts and prompt routers, endpoints of AWS's marketplace (facts/wire-formats.md 5)."""
    found = _ARN.match(name) if name else None
    return found is not None and _ARN_SHOWS.search(found[0]) is None


@dataclass(frozen=True, slots=True)
class ModelPattern:
    """A glob over model names. Build with `ModelPattern.of`."""

    text: str
    expression: re.Pattern[str]
    literal: str
    """What stands before the first glob character."""

    @classmethod
    def of(cls, text: str) -> ModelPattern:
        """`*` any run, `?` one letter. The text is folded as names are."""
        folded = fold(text)
        return cls(text, glob(folded), re.split(r"[*?]", folded, maxsplit=1)[0])

    @classmethod
    def exactly(cls, text: str) -> ModelPattern:
        """This name alone, whatever characters are in it."""
        folded = fold(text)
        return cls(text, re.compile(re.escape(folded), re.DOTALL), folded)

    def fits(self, folded: str) -> bool:
        """Whether this one spelling, folded, fits."""
        return self.expression.fullmatch(folded) is not None

    def may_fit(self, stem: str) -> bool:
        """Whether some model that an alias of this stem can become fits."""
        return self.literal.startswith(stem) or stem.startswith(self.literal)


def fold(name: str) -> str:
    """A name as patterns see it."""
    return name.strip().lower()[:_NAME_LENGTH_MAX].replace(".", "-")


def glob(folded: str) -> re.Pattern[str]:
    """A glob as an expression; everything but `*` and `?` is literal.

    Each run between two stars is found at its first place and never tried again (an atomic group), which is enough for a
    glob and keeps a pattern of many stars from backtracking for ever.
    """
    first, *rest = [_literal(part) for part in re.split(r"\*+", folded)]
    if not rest:
        return re.compile(first, re.DOTALL)
    middle = "".join(f"(?>.*?{part})" for part in rest[:-1])
    return re.compile(f"{first}{middle}.*{rest[-1]}", re.DOTALL)


def _literal(part: str) -> str:
    return ".".join(re.escape(piece) for piece in part.split("?"))
