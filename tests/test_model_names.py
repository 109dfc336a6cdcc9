"""Model names: families over the spellings of providers, routers and tools; patterns; aliases."""

from __future__ import annotations

import pytest
from genai_prices.data_snapshot import get_snapshot
from hypothesis import given
from hypothesis import strategies as st

from spendgate.model_names import ModelPattern, alias_stem, family, fold, says_nothing
from spendgate.selector import Facts

# family: spellings of it
FAMILIES = {
    "claude-opus-4-5": (
        "claude-opus-4-5-20251101",
        "us.anthropic.claude-opus-4-5-20251101-v1:0",
        "global.anthropic.claude-opus-4-5-v1:0",
        "anthropic/claude-opus-4.5",
        "anthropic/claude-opus-4.5:batch",
        "claude-4.5-opus-high-thinking",
        "claude-4.5-opus",
        "claude-opus-4-5@20251101",
        "publishers/anthropic/models/claude-opus-4-5@default",
        "Claude-Opus-4.5",
        "Claude Opus 4.5",
        "claude-opus4.5",
        "claudeopus4.5",
        "opus 4.5",
        "claude%2Dopus%252D4.5",
        "claude\u2010opus\u20114\u20125",
        "\uff43\uff4c\uff41\uff55\uff44\uff45-opus-4-5",
        "us-iso-b.anthropic.claude-opus-4-5-20251101-v1:0",
    ),
    "claude-sonnet-4-5": (
        "claude-sonnet-4-5-20250929[1m]",
        "claude-4.5-sonnet-thinking",
        "claude-4.5-sonnet-max",
        "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    ),
    "claude-opus-4": ("claude-opus-4-20250514", "claude-opus-4-0", "claude-4-opus", "anthropic/claude-opus-4"),
    "claude-opus-4-6": ("anthropic/claude-opus-4.6-fast", "anthropic.claude-opus-4-6-v1"),
    "claude-3-5-sonnet": (
        "claude-3-5-sonnet-20241022",
        "claude-3.5-sonnet",
        "claude-3-5-sonnet-latest",
        "anthropic.claude-3-5-sonnet-20241022-v2:0",
    ),
    "gpt-5": ("gpt-5-2025-08-07", "openai/gpt-5", "openai/gpt-5:batch", "gpt-5-high", "GPT-5", "gpt5", "GPT 5"),
    "gpt-5-1-codex-max": ("gpt-5.1-codex-max", "gpt-5.1-codex-max-xhigh"),
    "gpt-4o-mini": ("gpt-4o-mini-2024-07-18", "ft:gpt-4o-mini-2024-07-18:acme::Ab12"),
    "o3-mini": ("o3-mini-high", "openai/o3-mini", "o3-mini-2025-01-31"),
    "gpt-oss-120b": ("openai.gpt-oss-120b-1:0", "@cf/openai/gpt-oss-120b", "databricks-gpt-oss-120b"),
    "gemini-2-5-pro": ("models/gemini-2.5-pro", "google/gemini-2.5-pro", "gemini-2.5-pro"),
    "grok-4": ("grok-4-0709", "x-ai/grok-4"),
    "kimi-k2-thinking": ("kimi-k2-thinking", "moonshotai/kimi-k2-thinking"),
    "qwen3-max": ("qwen/qwen3-max",),
    "nova-pro": ("amazon.nova-pro-v1:0", "us.amazon.nova-pro-v1:0"),
    "deepseek-v4-pro": ("accounts/fireworks/models/deepseek-v4-pro", "deepseek/deepseek-v4-pro"),
}
# Spellings that look alike and are different models.
APART = [
    ("gpt-5.1-codex", "gpt-5.1-codex-max"),
    ("gpt-5", "gpt-5-pro"),
    ("gpt-4o", "gpt-4o-mini"),
    ("o3", "o3-pro"),
    ("claude-opus-4-5", "claude-opus-4"),
    ("claude-v1", "claude-2"),
    ("amazon.titan-embed-text-v1", "amazon.titan-embed-text-v2:0"),
    ("nvidia.nemotron-nano-9b-v2:0", "nvidia.nemotron-nano-9b"),
    ("kimi-k2", "kimi-k2-thinking"),
    ("grok-4-fast-reasoning", "grok-4-fast-non-reasoning"),
]


@pytest.mark.parametrize(("name", "expected"), [(name, of) for of, names in FAMILIES.items() for name in (of, *names)])
def test_spellings_of_one_model_are_one_family(name: str, expected: str) -> None:
    """Region, vendor, date, version suffix and a tool's spelling are dropped."""
    assert family(name) == expected


@pytest.mark.parametrize(("one", "other"), APART)
def test_different_models_are_different_families(one: str, other: str) -> None:
    """A family is never wider than a model."""
    assert family(one) != family(other)


def test_every_priced_anthropic_and_openai_model_keeps_its_family_to_itself() -> None:
    """No two models of one maker that differ in price on the same day share a family, but for modes of one model."""
    owners = {provider.id: provider for provider in get_snapshot().providers}
    for maker in ("anthropic", "openai"):
        seen: dict[str, list[str]] = {}
        for model in owners[maker].models:
            seen.setdefault(family(model.id), []).append(model.id)
        shared = {short: ids for short, ids in seen.items() if len(ids) > 1}
        # Snapshots of one model by date, its fine-tuned and its long-context form; a policy means all of them.
        assert set(shared) <= {"gpt-3-5-turbo", "gpt-4o", "gpt-4o-mini"}, shared


@given(st.text(max_size=300))
def test_any_text_has_a_family(name: str) -> None:
    """Whatever a client calls a model, it has a family, in lower case and without dots, and that one is its own."""
    short = family(name)
    assert short == short.lower()
    assert "." not in short or "/" in name
    assert family(short) == family(family(short))
    alias_stem(name)


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        pytest.param("claude-opus-*", "claude-opus-4-5-20251101", True, id="glob"),
        pytest.param("claude-opus-4.5", "CLAUDE-OPUS-4-5", True, id="case and dot"),
        pytest.param("claude-opus-*", "claude-sonnet-4-5", False, id="another"),
        pytest.param("gpt-5*", "gpt-5.1-codex", True, id="dotted name"),
        pytest.param("gpt-5", "gpt-5-pro", False, id="whole name"),
        pytest.param("gpt-?", "gpt-5", True, id="one letter"),
        pytest.param("gpt[5]", "gpt5", False, id="brackets are text"),
        pytest.param("a*a*a*a*a*a*a*a*b", "a" * 200, False, id="many stars end"),
    ],
)
def test_patterns(pattern: str, name: str, fits: bool) -> None:
    """Patterns compare without case, with `.` as `-`; only `*` and `?` are special."""
    assert ModelPattern.of(pattern).fits(fold(name)) is fits


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        pytest.param(None, "", id="no model"),
        pytest.param("", "", id="empty"),
        pytest.param("auto", "", id="auto"),
        pytest.param("openrouter/auto", "", id="router"),
        pytest.param("model-router", "", id="azure router"),
        pytest.param("@preset/gpt-5", "", id="a preset of one's own"),
        pytest.param("openai/gpt-5@preset/mine", "", id="a preset behind a model"),
        pytest.param("opus", "claude-opus", id="short name"),
        pytest.param("~anthropic/claude-opus-latest", "claude-opus", id="latest of a line"),
        pytest.param("claude-3-5-haiku-latest", None, id="latest of one model"),
        pytest.param("gpt-5", None, id="a model"),
        pytest.param("arn:aws:bedrock:us-east-1:1:application-inference-profile/otnfa2", "", id="a profile"),
        pytest.param("ARN:aws:bedrock:us-east-1:1:provisioned-model/abc", "", id="provisioned"),
        pytest.param("arn:aws:sagemaker:us-east-1:1:endpoint/mine", "", id="an endpoint"),
        pytest.param("arn:aws:bedrock:us-east-1:1:inference-profile/us.amazon.nova-pro-v1:0", None, id="shown"),
        pytest.param(
            "arn:aws-us-gov:bedrock:us-gov-west-1::foundation-model/amazon.nova-pro-v1:0", None, id="shown, too"
        ),
    ],
)
def test_aliases(name: str | None, stem: str | None) -> None:
    """An alias is known by what its models start with; a model is none."""
    assert alias_stem(name) == stem


@pytest.mark.parametrize(
    ("pattern", "stem", "may"),
    [
        pytest.param("claude-opus-*", "", True, id="a router may become anything"),
        pytest.param("claude-opus-4-5", "claude-opus", True, id="a line has the model"),
        pytest.param("claude-*", "claude-opus", True, id="the pattern has the line"),
        pytest.param("gpt-5*", "claude-opus", False, id="another maker"),
    ],
)
def test_what_an_alias_may_become(pattern: str, stem: str, may: bool) -> None:
    """A pattern may fit an alias where some model of the alias could fit it."""
    assert ModelPattern.of(pattern).may_fit(stem) is may


@pytest.mark.parametrize(
    "name", ["gpt-4o-mini,gpt-5-pro", "gpt-4o-mini;gpt-5-pro", "gpt-4o-mini|gpt-5-pro", "gpt-4o%2Cgpt-5-pro"]
)
def test_a_list_in_one_name_is_an_alias(name: str) -> None:
    """Nobody knows which of them a gateway takes."""
    assert alias_stem(name) == ""


@pytest.mark.parametrize(
    ("provider", "name", "nothing"),
    [
        ("azure", "prod-chat", True),
        ("azure", "frontier", True),
        ("azure", "o-team", True),
        ("azure", "gpt-4o", False),
        ("azure", "gpt-35-turbo", False),
        ("azure", "o3-mini", False),
        ("azure", "Llama-3.3-70B-Instruct", False),
        ("azure", "claude-opus-4-5", False),
        ("openai", "prod-chat", False),
        ("aws", "abc123def456", True),
        ("aws", "anthropic.claude-opus-4-5-20251101-v1:0", False),
    ],
)
def test_a_name_that_its_owner_chose_says_nothing(provider: str, name: str, nothing: bool) -> None:
    """A deployment on Azure is its owner's to name, a profile's id AWS's; such a call may be of any model."""
    assert says_nothing(provider, name) is nothing
    assert (Facts.of(model=name, provider=provider).stem == "") is nothing
