"""One name for one thing on both sides: models, price axes, products, UTC days."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from msgspec import Struct

from spendgate.model_names import family
from spendgate.statement import DAY_MS, Axes

PLAIN: Final = frozenset(
    {"", "standard", "default", "standard_only", "on_demand", "auto", "global", "not_available", "normal", "none"}
)
"""Words of an axis that mean the list price."""
ELSEWHERE_PRODUCTS: Final = frozenset(
    {
        "chat", "cowork", "chat_cowork_unified", "claude_console", "claude_design", "claude_in_chrome", "claude_tag",
        "office_agent", "cc_security_autopatch", "managed_agents_api", "coding_agent", "code_review", "spark", "cloud_agent",
        "bugbot", "automation", "workbench", "playground", "copilot_coding_agent", "copilot_code_review",
    }
)  # fmt: skip
"""Products that run at the provider or in a browser, never through a laptop's tool. As their own bills write them, folded."""
_USAGE_TYPE: Final = re.compile(
    r"^(?:[a-z]{3}\d-)?(?:mp:)?(claude)-?(\d+(?:[.-]\d+)?)-?(opus|sonnet|haiku|fable|mythos)(?=-|_|$)"
)
_DISPLAY_TAIL: Final = re.compile(r"\s*\(.*\)\s*$|\s+usage\b.*$|\s*,.*$", re.IGNORECASE)
_THIRD: Final = re.compile(r"^claude-(opus|sonnet|haiku)-(3(?:-\d)?)$")


def day_of(ms: int) -> int:
    """00:00 UTC of its day."""
    return ms - ms % DAY_MS


@lru_cache(maxsize=4096)
def model_of(text: str | None) -> str:
    """A model's family by an id, a display name (`Claude Haiku 4.5`) or a cloud's usage type; "": none is named."""
    if not text:
        return ""
    name = _DISPLAY_TAIL.sub("", text.strip())
    lower = name.lower()
    found = _USAGE_TYPE.match(lower)
    if found:
        lower = f"claude-{found[3]}-{found[2]}"
    short = family(lower.replace(" ", "-"))
    old = _THIRD.match(short)
    return f"claude-{old[2]}-{old[1]}" if old else short


class Price(Struct, frozen=True, order=True):
    """The price axes of a call or line, "" where the list price holds."""

    tier: str = ""
    speed: str = ""
    geo: str = ""

    def told(self) -> str:
        """`tier batch, geo us`; "": the list price."""
        pairs = (("tier", self.tier), ("speed", self.speed), ("geo", self.geo))
        return ", ".join(f"{name} {value}" for name, value in pairs if value)


LIST: Final = Price()


@lru_cache(maxsize=1024)
def price_of_line(axes: Axes) -> Price:
    """The axes of a line that a price depends on. A region of a cloud is none: it has a list price of its own."""
    geo = _plain(axes.geo)
    return Price(_plain(axes.tier), _plain(axes.speed), geo if geo == "us" else "")


@lru_cache(maxsize=4096)
def price_of_call(prices: str) -> Price:
    """The same of what a call was charged by: `bundled:anthropic/claude-opus-4-5;service_tier=batch;geo=us`."""
    words = dict(part.split("=", 1) for part in prices.split(",", maxsplit=1)[0].split(";")[1:] if "=" in part)
    tier = words.get("service_tier") or words.get("processing") or ""
    return Price(_plain(tier), _plain(words.get("speed")), _plain(words.get("geo")))


def _plain(word: str | None) -> str:
    folded = (word or "").strip().lower()
    return "" if folded in PLAIN else folded


def product_of(text: str | None) -> str:
    """A product's name, folded."""
    return re.sub(r"[^a-z0-9]+", "_", (text or "").strip().lower()).strip("_")
