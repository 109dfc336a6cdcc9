"""Every way in which the facts write a model, against every form of rule that names models: what is admitted is told by hand.

`SPELLINGS` is collected from facts/wire-formats.md (sections 1 to 12 and 18) and policy.md, the clients' own ways among them.
A rule's form says by hand which families it means; that a spelling is of its family is all that these tests then need.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.gate.world import budget

from spendgate.fitting import model_refusal, scopes
from spendgate.model_names import alias_stem, family
from spendgate.model_rules import ModelRule
from spendgate.policy import Policy
from spendgate.selector import Facts, Selector

ARN = "arn:aws:bedrock:us-east-1:123456789012"
SPELLINGS = {
    "claude-opus-4-5": (
        "claude-opus-4-5", "claude-opus-4.5", "Claude-Opus-4.5", "CLAUDE-OPUS-4-5", "opus-4.5", "opus-4-5",
        "claude-opus-4-5-20251101", "claude-opus-4-5@20251101", "claude-opus-4-5@default", "claude-opus-4-5-latest",
        "claude-opus-4-5[1m]", "claude-opus-4-5-20251101[1m]", "anthropic/claude-opus-4.5", "anthropic/claude-opus-4.5:online",
        "anthropic/claude-opus-4.5:nitro", "anthropic/claude-opus-4.5:free", "anthropic/claude-opus-4.5:batch",
        "anthropic/claude-opus-4.5-fast", "anthropic.claude-opus-4-5", "anthropic.claude-opus-4-5-20251101-v1:0",
        "us.anthropic.claude-opus-4-5-20251101-v1:0", "eu.anthropic.claude-opus-4-5-20251101-v1:0",
        "apac.anthropic.claude-opus-4-5-20251101-v1:0", "us-gov.anthropic.claude-opus-4-5-20251101-v1:0",
        "global.anthropic.claude-opus-4-5-v1:0", "anthropic.claude-opus-4-5-20251101-v1:0:200k",
        f"{ARN}:inference-profile/us.anthropic.claude-opus-4-5-20251101-v1:0",
        "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-opus-4-5-20251101-v1:0",
        "publishers/anthropic/models/claude-opus-4-5", "models/claude-opus-4-5", "claude-4.5-opus", "claude-4.5-opus-high",
        "claude-4.5-opus-thinking", "claude-4.5-opus-high-thinking", "claude-4.5-opus-high-thinking-fast", "claude-4.5-opus-max",
        "MODEL_CLAUDE_4_5_OPUS_THINKING", "CLAUDE_OPUS_4_5_20251101_V1_0", "databricks-claude-opus-4-5",
    ),
    "claude-opus-4-8": ("claude-opus-4-8", "anthropic/claude-opus-4.8", "opus-4.8", "us.anthropic.claude-opus-4-8-v1:0"),
    "claude-opus-5": (
        "claude-opus-5", "anthropic.claude-opus-5", "us.anthropic.claude-opus-5", "claude-5-opus", "claude-opus-5-0",
    ),
    "claude-sonnet-4-5": (
        "claude-sonnet-4-5-20250929", "anthropic/claude-sonnet-4.5",
        "claude-4.5-sonnet-thinking", "sonnet-4.5",
        "claude-sonnet-4.5", "claude-sonnet-4-5-20250929[1m]",
    ),
    "claude-sonnet-4-6": ("claude-sonnet-4-6", "sonnet-4-6"),
    "claude-haiku-5-5": ("claude-haiku-5-5", "anthropic/claude-haiku-5.5", "global.anthropic.claude-haiku-5-5"),
    "claude-fable-5": ("claude-fable-5", "claude-5-fable", "fable-5"),
    "gpt-5-5": (
        "gpt-5.5", "openai/gpt-5.5", "gpt-5.5-2026-02-01", "gpt-5.5-high", "gpt-5.5-xhigh-fast", "gpt-5.5-fast", "GPT-5.5",
    ),
    "gpt-5-3-codex": ("gpt-5.3-codex", "openai/gpt-5.3-codex", "gpt-5.3-codex-high", "gpt-5.3-codex-low-fast"),
    "gpt-5-6-sol": ("gpt-5.6-sol", "openai/gpt-5.6-sol", "regional.openai.gpt-5.6-sol"),
    "gpt-6-astra": ("gpt-6-astra",),
    "gpt-4o-mini": ("gpt-4o-mini", "openai/gpt-4o-mini:online", "gpt-4o-mini-2024-07-18", "ft:gpt-4o-mini-2024-07-18:acme::Ab12"),
    "gpt-5-pro": ("gpt-5-pro", "openai/gpt-5-pro", "gpt-5-pro-2025-10-06"),
    "gemini-3-1-pro-preview": ("gemini-3.1-pro-preview", "models/gemini-3.1-pro-preview", "google/gemini-3.1-pro-preview"),
    "gemini-3-6-flash": ("gemini-3.6-flash", "publishers/google/models/gemini-3.6-flash", "gemini-3.6-flash-001"),
    "grok-4-5": ("grok-4.5", "x-ai/grok-4.5"),
    "grok-4-5-fast": ("grok-4.5-fast",),
    "composer-2-5": ("composer-2.5",),
    "composer-2-5-fast": ("composer-2.5-fast",),
    "deepseek-v4-pro": ("deepseek-v4-pro", "deepseek/deepseek-v4-pro", "accounts/fireworks/models/deepseek-v4-pro"),
    "kimi-k3": ("kimi-k3", "moonshotai/kimi-k3", "moonshotai.kimi-k3"),
    "swe-1-5-slow": ("MODEL_SWE_1_5_SLOW",),
    "compound": ("groq/compound",),
    "sonar-pro": ("sonar-pro", "perplexity/sonar-pro"),
    "codestral": ("codestral-2508", "mistralai/codestral-2508"),
    "my-deployment": ("my-deployment",),
}  # fmt: skip
OPUS = ("claude-opus-4-5", "claude-opus-4-8", "claude-opus-5")
CLAUDE = tuple(name for name in SPELLINGS if name.startswith("claude-"))
# form of a pattern: the families that it means
PATTERNS = {
    "claude-opus-4-5": ("claude-opus-4-5",),
    "claude-opus-4.5": ("claude-opus-4-5",),
    "CLAUDE-Opus-4.5": ("claude-opus-4-5",),
    "claude-opus-*": OPUS,
    "claude-opus-4-?": OPUS[:2],
    "*opus*": OPUS,
    "claude-*": CLAUDE,
    "gpt-5*": ("gpt-5-5", "gpt-5-3-codex", "gpt-5-6-sol", "gpt-5-pro"),
    "gpt-5.5": ("gpt-5-5",),
    "*-pro": ("gpt-5-pro", "deepseek-v4-pro", "sonar-pro"),
    "*flash*": ("gemini-3-6-flash",),
    "my-deployment": ("my-deployment",),
    "*": tuple(SPELLINGS),
}
EVERY_SPELLING = [(of, name) for of, names in SPELLINGS.items() for name in names]
# alias or router: what all its models begin with
ALIASES = {
    "auto": "", "default": "", "openrouter/auto": "", "model-router": "", "opusplan": "", "best": "", "@preset/team": "",
    "openai/gpt-5.5@preset/team": "", f"{ARN}:application-inference-profile/abc123": "", f"{ARN}:provisioned-model/abc": "",
    "opus": "claude-opus", "opus[1m]": "claude-opus", "claude-opus": "claude-opus", "claude-opus-latest": "claude-opus",
    "~anthropic/claude-opus-latest": "claude-opus", "sonnet": "claude-sonnet", "haiku": "claude-haiku", "fable": "claude-fable",
}  # fmt: skip


SHARED = Path(__file__).parents[2] / "shared"
MAKERS = re.compile(
    r"(?<![\w/.@-])[~@]?(?:[\w.-]+/)*(?:(?:us|eu|apac|global|us-gov)\.)?(?:[a-z]+\.)?(?:claude|gpt|o[134]|gemini|grok|kimi|deepseek"
    r"|composer|qwen|nova|titan|llama|mistral|codestral|sonar|glm|minimax|command|swe|model_|opus|sonnet|haiku)"
    r"[-_][\w.:@\[\]-]*\w\]?",
    re.IGNORECASE,
)
"""What looks like a model's name."""
NO_MODELS = {
    "CLAUDE_CODE_CERT_STORE", "CLAUDE_CODE_ENABLE_TELEMETRY", "CLAUDE_CONFIG_DIR", "claude-cli", "claude-code-20250219",
    "claude-platform", "claude_api_cost_2026_08.csv", "claude_code", "claude_code.api_request", "claude_code.cost.usage",
    "claude_code.token.usage", "docs/en/manage-claude/claude-code-analytics-api.md", "ericbuess/claude-code-docs",
    "google-gemini/gemini-cli",
}  # fmt: skip
"""Variables, programs, files and metrics of the same makers."""


def rules(**words: object) -> Policy:
    """A policy of one model rule."""
    return Policy(owner="o", models=(ModelRule(**{"name": "rule", "order": 0, **words}),))


def denied(policy: Policy, model: str | None) -> bool:
    """Whether the rule refuses a call for this model."""
    return model_refusal(policy, Facts.of(model=model, person="alice")) is not None


def held(model: str, *, match: str | None = None, excepted: str | None = None) -> bool:
    """Whether a budget that names this pattern holds a call for this model."""
    chosen = {key: Selector.of({"model": (text,)}) for key, text in (("match", match), ("excepted", excepted)) if text}
    policy = Policy(owner="o", budgets=(budget(1, **chosen),))
    return bool(scopes(policy, Facts.of(model=model, person="alice"), 0, enforced=True))


@pytest.mark.skipif(not SHARED.is_dir(), reason="the facts are not beside this repository")
def test_no_spelling_of_the_facts_is_missing() -> None:
    """Each name of a model that the facts and the contract quote is one that is tried here."""
    texts = [path.read_text() for path in (*sorted((SHARED / "facts").glob("*.md")), SHARED / "policy.md")]
    quoted = {part for text in texts for part in re.findall(r"`([^`\n]+)`", text)}
    found = {name.rstrip(".,;") for part in quoted for name in MAKERS.findall(part)}
    assert len(found) > len(NO_MODELS)
    assert found - NO_MODELS - {name for _, name in EVERY_SPELLING} - set(ALIASES) - set(PATTERNS) == set()


@pytest.mark.parametrize(("of", "name"), EVERY_SPELLING)
def test_a_spelling_is_of_its_family(of: str, name: str) -> None:
    """Region, vendor, date, version, effort, context window and host say nothing of which model it is; nor is it an alias."""
    assert family(name) == of
    assert alias_stem(name) is None


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_rule_means_its_families_however_they_are_written(pattern: str) -> None:
    """Deny, allow, a budget's match and its except agree on every spelling; `unresolved` changes nothing for a model."""
    meant = PATTERNS[pattern]
    for unresolved in ("deny", "allow"):
        deny, allow = rules(deny=(pattern,), unresolved=unresolved), rules(allow=(pattern,), unresolved=unresolved)
        for of, name in EVERY_SPELLING:
            assert denied(deny, name) is (of in meant), (name, "deny")
            assert denied(allow, name) is (of not in meant), (name, "allow")
    for of, name in EVERY_SPELLING:
        assert held(name, match=pattern) is (of in meant), (name, "match")
        assert held(name, excepted=pattern) is (of not in meant), (name, "except")


@pytest.mark.parametrize("name", SPELLINGS["claude-opus-4-5"])
def test_a_rule_that_names_one_spelling(name: str) -> None:
    """It denies that spelling alone, and allows nothing that is not also its family: a client may write what it likes."""
    others = [other for other in SPELLINGS["claude-opus-4-5"] if other != name]
    plain = name.lower().replace(".", "-")
    deny, allow = rules(deny=(name,)), rules(allow=(name,))
    assert denied(deny, name)
    for other in others:
        same = other.lower().replace(".", "-") == plain or plain == "claude-opus-4-5"
        assert denied(deny, other) is same
    assert denied(allow, name) is (plain != "claude-opus-4-5")


@pytest.mark.parametrize(("alias", "stem"), ALIASES.items())
def test_an_alias_is_denied_where_it_may_become_what_is_not_allowed(alias: str, stem: str) -> None:
    """`unresolved: deny` refuses it where some model of it is denied or not allowed; `allow` where none of it may be admitted."""
    assert alias_stem(alias) == stem
    may_be_opus = "claude-opus".startswith(stem)
    deny = rules(deny=("claude-opus-*",))
    assert denied(deny, alias) is may_be_opus
    assert denied(rules(deny=("claude-opus-*",), unresolved="allow"), alias) is _named(alias, "claude-opus-*")
    assert not denied(rules(deny=("grok-*",)), alias) or stem == ""
    allow = rules(allow=("claude-opus-*",))
    assert denied(allow, alias) is not (stem == "claude-opus" and _named(alias, "claude-opus-*"))
    assert denied(rules(allow=("claude-opus-*",), unresolved="allow"), alias) is not may_be_opus
    assert held(alias, match="claude-opus-*") is may_be_opus
    assert held(alias, excepted="claude-opus-*") is not _named(alias, "claude-opus-*")


def _named(alias: str, pattern: str) -> bool:
    """Whether the pattern fits what the alias itself is called: `claude-opus-latest` is one of `claude-opus-*`."""
    return family(alias).startswith(pattern.removesuffix("*"))


@pytest.mark.parametrize("alias", ALIASES)
def test_a_rule_may_name_the_alias_itself(alias: str) -> None:
    """An allowed alias is allowed though its model is not known, and a denied one denied though `unresolved: allow`."""
    assert denied(rules(deny=(alias,), unresolved="allow"), alias)
    if family(alias) == alias.replace(".", "-"):
        assert not denied(rules(allow=(alias,)), alias)


def test_a_call_without_a_model_is_an_alias_of_everything() -> None:
    """Nobody can say that it is not of a denied model."""
    assert denied(rules(deny=("claude-opus-*",)), None)
    assert denied(rules(allow=("claude-opus-*",)), None)
    assert not denied(rules(deny=("claude-opus-*",), unresolved="allow"), None)
