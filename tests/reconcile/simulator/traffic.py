"""One request of one person's tool, in both books alike: provider, model, tier, counts, ids, and what it costs."""

from __future__ import annotations

from random import Random
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from reconcile.simulator.books import Entry, Request, Row
from reconcile.simulator.fleet import Person
from reconcile.simulator.prices import FAST, HALF, PARTS, PLAIN, PRICES, US, Factor, total_parts
from spendgate.money import half_even
from spendgate.statement import DAY_MS
from spendgate.usage import Usage

BILLED_AS: Final = {
    "claude-haiku-4-5": "claude-haiku-4-5-20251001",
    "gpt-5.4": "gpt-5.4-2026-03-05",
    "deepseek/deepseek-v3.2-exp": "deepseek/deepseek-v3.2-exp-20250929",
}
"""What a bill calls a model that the ledger has under its short name."""
_CURSOR_NAMES: Final = {"claude-4.5-sonnet": "claude-4.5-sonnet-thinking"}
_PRODUCTS: Final = {
    "claude-code": "claude_code", "script": "messages_api", "codex": "completions", "opencode": "opencode",
}  # fmt: skip
_HOSTS: Final = {
    "anthropic": "api.anthropic.com", "openai": "api.openai.com", "openrouter": "openrouter.ai", "cursor": "api2.cursor.sh",
}  # fmt: skip
_IDS: Final = {"anthropic": "msg_", "openai": "resp_", "openrouter": "gen-"}
_TOLD: Final = {
    ("anthropic", "batch"): ";processing=batch",
    ("anthropic", "fast"): ";speed=fast",
    ("openai", "flex"): ";service_tier=flex",
}
"""What the ledger writes behind the name of a price that is not the plain one."""


class Size(Struct, frozen=True):
    """How much is made."""

    people: int = 40
    days: int = 28
    calls: int = 100
    """Of one person on one working day, about."""
    step: int = 20
    """Counts are multiples of it: with 20 every amount of a call is whole in nano-dollars, with 1 it need not be."""
    plain: bool = False
    """Without what both books know and price alike, and an explainer must not stumble over: searches of the web, fast mode, flex,
    batches, inference in the US, requests that were not taken."""


class _Choice(Struct, frozen=True):
    """What is asked for."""

    provider: str
    model: str
    factor: Factor = PLAIN
    tier: str = "standard"
    speed: str = "standard"
    agent: str | None = None


def usage_of(rng: Random, size: Size, provider: str, tool: str) -> Usage:
    """Counts as this tool's calls have them."""

    def some(low: int, high: int) -> int:
        return rng.randrange(low, high) // size.step * size.step

    if tool in ("claude-code", "plan"):
        long_lived = rng.random() < 0.1
        return Usage(
            input_tokens=some(20, 2_000),
            cache_read_tokens=some(5_000, 150_000),
            cache_write_5m_tokens=0 if long_lived else some(0, 8_000),
            cache_write_1h_tokens=some(0, 8_000) if long_lived else 0,
            output_tokens=some(20, 2_500),
        )
    if provider == "anthropic":
        return Usage(
            input_tokens=some(200, 8_000), cache_read_tokens=0, cache_write_5m_tokens=0, cache_write_1h_tokens=0,
            output_tokens=some(100, 3_000), web_searches=0 if size.plain else rng.choice((0, 0, 0, 0, 0, 0, 0, 1, 2)),
        )  # fmt: skip
    return Usage(input_tokens=some(200, 12_000), cache_read_tokens=some(0, 60_000), output_tokens=some(20, 2_500))


def request_of(rng: Random, size: Size, person: Person, tool: str, *, number: int, at_ms: int) -> Request:
    """One request in both books; of a plan in the ledger's alone, which counts nothing for it."""
    choice = _choice(rng, size, tool)
    provider, model, factor = choice.provider, choice.model, choice.factor
    key = None if provider == "cursor" or tool == "plan" else person.key(provider)
    told = (
        f"bundled:{provider}/{model}{_TOLD.get((provider, choice.tier), '')}{_TOLD.get((provider, choice.speed), '')}"
    )
    if key is not None and key.geo == "us" and not size.plain:
        factor, told = (factor[0] * US[0], factor[1] * US[1]), f"{told};geo=us"
    usage, price = usage_of(rng, size, provider, tool), PRICES[provider, model]
    nanos = half_even(total_parts(usage, price, factor), PARTS)
    response = f"{_IDS[provider]}{number:07d}{rng.randrange(16**6):06x}" if provider in _IDS else None
    row = Row(
        f"c{number:07d}", at_ms, at_ms + rng.randrange(800, 60_000), person.name, rng.choice(person.machines), person.team,
        "claude-code" if tool == "plan" else tool, provider, _HOSTS[provider], model,
        None if key is None else key.fingerprint, usage, nanos, nanos, price, factor, told,
        f"s-{person.name}-{at_ms // DAY_MS}-{rng.randrange(5)}", choice.agent, f"repo{rng.randrange(12)}",
        basis="estimated" if provider == "cursor" else "reported",
        request_id=f"req_{number:07d}" if provider == "anthropic" else None, response_id=response,
    )  # fmt: skip
    if tool == "plan":
        return Request(replace(row, billing="subscription", cost_nanos=0), None)
    name = (_CURSOR_NAMES if provider == "cursor" else BILLED_AS).get(model, model)
    entry = Entry(
        at_ms, provider, name, _PRODUCTS.get(tool), key.id if key else "", key.name if key else "",
        key.workspace if key else "", usage, price, factor, choice.tier, choice.speed, person.name, person.email,
        response_id=response, request_id=row.request_id,
    )  # fmt: skip
    return Request(row, entry)


def not_taken(rng: Random, good: Request) -> Request:
    """The same with a request that the provider did not take: a row that costs nothing, and nothing on the bill."""
    if good.row is None:
        raise ValueError("every request that is made has a row")
    row = replace(
        good.row, usage=Usage(), cost_nanos=0, value_nanos=0, basis="reported", http_status=rng.choice((400, 429)),
        response_id=None, prices=None, price=None,
    )  # fmt: skip
    return Request(row, None)


def _choice(rng: Random, size: Size, tool: str) -> _Choice:
    def rarely(share: float) -> bool:
        return rng.random() < share and not size.plain

    match tool:
        case "claude-code" | "plan":
            if rng.random() < 0.2:
                return _Choice("anthropic", "claude-haiku-4-5", agent=f"agent-{rng.randrange(4)}")
            model = rng.choice(("claude-opus-4-8", "claude-sonnet-5", "claude-sonnet-5"))
            if tool == "claude-code" and model == "claude-opus-4-8" and rarely(0.05):
                return _Choice("anthropic", model, FAST, speed="fast")
            return _Choice("anthropic", model)
        case "script":
            if rarely(0.2):
                return _Choice("anthropic", "claude-sonnet-4-6", HALF, "batch")
            return _Choice("anthropic", "claude-sonnet-4-6")
        case "codex":
            model = rng.choice(("gpt-5.4", "gpt-5.4", "gpt-5.4-mini"))
            return _Choice("openai", model, HALF, "flex") if rarely(0.05) else _Choice("openai", model, tier="default")
        case "opencode":
            return _Choice("openrouter", rng.choice(("deepseek/deepseek-v3.2-exp", "x-ai/grok-code-fast-1")))
        case _:
            return _Choice("cursor", rng.choice(("claude-4.5-sonnet", "gpt-5.4")))
