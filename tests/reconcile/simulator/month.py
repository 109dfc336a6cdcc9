"""A month of requests, each in both books, and what is known of the fleet. Injectors (`causes_*`) then part the books.

Everything comes from one seed. Times are epoch milliseconds UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from reconcile.simulator import fleet
from reconcile.simulator.books import Entry, Request, Row
from reconcile.simulator.fleet import HOUR_MS, Key, Person
from reconcile.simulator.prices import FAST, HALF, PARTS, PLAIN, PRICES, US, Factor, total_parts
from spendgate.money import half_even
from spendgate.reconcile.result import Cause
from spendgate.statement import DAY_MS, Line
from spendgate.usage import Usage

START_MS: Final = 1_790_812_800_000
"""2026-10-01T00:00:00Z, a Thursday."""
BILLED_AS: Final = {
    "claude-haiku-4-5": "claude-haiku-4-5-20251001",
    "gpt-5.4": "gpt-5.4-2026-03-05",
    "z-ai/glm-4.6": "z-ai/glm-4.6-20250930",
}
"""What a bill calls a model that the ledger has under its short name."""
CURSOR_NAMES: Final = {"claude-4.5-sonnet": "claude-4.5-sonnet-thinking"}


class Size(Struct, frozen=True):
    """How much is made."""

    people: int = 40
    days: int = 28
    calls: int = 100
    """Of one person on one working day, about."""
    step: int = 20
    """Counts are multiples of it: with 20 every amount of a call is whole in nano-dollars, with 1 it need not be."""


class Witness(Struct, frozen=True):
    """What something else on the laptop saw of a request."""

    row_like: Row
    """The request as the gate would have written it, with all that it used."""
    subcalls: Usage | None = None
    why: str = ""


class Span(Struct, frozen=True):
    """A stretch of time of one machine."""

    machine: str
    person: str
    from_ms: int
    until_ms: int
    why: str = ""


@dataclass
class Known:
    """What whoever reconciles knows beside calls and bills."""

    keys: list[Key] = field(default_factory=list)
    elsewhere: list[Key] = field(default_factory=list)
    """Keys that are known not to be used on captured machines."""
    gateways: list[Key] = field(default_factory=list)
    people: tuple[Person, ...] = ()
    complete: bool = True
    presence: list[Span] = field(default_factory=list)
    outages: list[Span] = field(default_factory=list)
    witnessed: list[Witness] = field(default_factory=list)
    gateway_hosts: list[str] = field(default_factory=list)


@dataclass
class Month:
    """Both books."""

    rng: Random
    size: Size
    from_ms: int = START_MS
    requests: list[Request] = field(default_factory=list)
    lines: list[tuple[Line, Cause]] = field(default_factory=list)
    """Further lines of a provider's statement, and why the ledger has nothing like them."""
    known: Known = field(default_factory=Known)
    discounts: dict[str, Factor] = field(default_factory=dict)
    """What a provider bills of its list price."""
    round_to_nanos: dict[str, int] = field(default_factory=dict)
    """The unit that a provider's amounts are rounded to; without one, nano-dollars."""
    trail: list[tuple[int, str, str]] = field(default_factory=list)
    """Lines of the ledger's audit trail: when, the word, the detail."""
    fresh: bool = False
    """Whether the bill was fetched some hours after the last day, and not a month later."""
    _crowded: set[tuple[int, str, str]] = field(default_factory=set)

    @property
    def until_ms(self) -> int:
        """The end of the last day."""
        return self.from_ms + self.size.days * DAY_MS

    @property
    def now_ms(self) -> int:
        """When the bill is compared."""
        return self.until_ms + (4 * HOUR_MS if self.fresh else 40 * DAY_MS)

    @property
    def refreshed_ms(self) -> int:
        """Up to when the provider's data reach."""
        return self.now_ms - HOUR_MS

    def some(self, count: int, where: Callable[[Row, Entry], bool], *, most_shared: float = 0.0) -> Iterator[Request]:
        """So many requests that nothing was done to, in cells (day, key, model) of which the same holds.

        Two causes in one cell that nothing tells apart are nobody's to tell apart; `most_shared` is how often it may happen.
        """
        pool = [each for each in self.requests if _plain(each) and where(each.row, each.entry)]  # type: ignore[arg-type]
        self.rng.shuffle(pool)
        taken: set[tuple[int, str, str]] = set()
        given = 0
        for each in pool:
            if given == count:
                break
            cell = cell_of(each)
            if cell in self._crowded and cell not in taken and self.rng.random() >= most_shared:
                continue
            taken.add(cell)
            given += 1
            yield each
        self._crowded |= taken

    def usage(self, provider: str, tool: str) -> Usage:
        """Counts as this tool's calls have them."""
        rng, step = self.rng, self.size.step

        def some(low: int, high: int) -> int:
            return rng.randrange(low, high) // step * step

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
                output_tokens=some(100, 3_000), web_searches=rng.choice((0, 0, 0, 0, 0, 0, 0, 1, 2)),
            )  # fmt: skip
        return Usage(input_tokens=some(200, 12_000), cache_read_tokens=some(0, 60_000), output_tokens=some(20, 2_500))

    def made(self, person: Person, tool: str, at_ms: int) -> Request:
        """One request, in both books alike."""
        return _made(self, person, tool, at_ms)


def cell_of(request: Request) -> tuple[int, str, str]:
    """Day, key and model, as the bill has them where it has them."""
    entry = request.entry
    if entry is None:
        raise ValueError("a request that is not on the bill has no cell there")
    return entry.day_ms, entry.key or (entry.person or ""), entry.model


def make(seed: int, size: Size) -> Month:
    """A month without a difference."""
    rng = Random(seed)
    month = Month(rng, size)
    people = fleet.people(size.people, rng)
    month.known.people = people
    month.known.keys = list({key.fingerprint: key for person in people for key in person.keys}.values())
    for day in range(size.days):
        day_ms = START_MS + day * DAY_MS
        if size.days > 7 and is_weekend(day_ms):
            continue
        for person in people:
            _work(month, person, day_ms)
    month.trail.append((START_MS - HOUR_MS, "gate started", "gate 1"))
    return month


def is_weekend(day_ms: int) -> bool:
    """Saturday or Sunday; the epoch began on a Thursday."""
    return (day_ms // DAY_MS + 3) % 7 > 4


def _work(month: Month, person: Person, day_ms: int) -> None:
    rng = month.rng
    begins = day_ms + (8 - person.zone) * HOUR_MS + rng.randrange(HOUR_MS)
    ends = begins + rng.randrange(7, 10) * HOUR_MS
    for machine in person.machines:
        month.known.presence.append(Span(machine, person.name, begins - HOUR_MS // 2, ends + HOUR_MS // 2))
    calls = max(1, round(month.size.calls * rng.uniform(0.6, 1.4)))
    for at_ms in sorted(rng.randrange(begins, ends) for _ in range(calls)):
        if not month.from_ms <= at_ms < month.until_ms:
            continue
        month.requests.append(month.made(person, rng.choice(person.tools), at_ms))
        if rng.random() < 0.01:
            month.requests.append(_failed(month, person, at_ms))


_PRODUCTS: Final = {
    "claude-code": "claude_code",
    "script": "messages_api",
    "codex": "completions",
    "opencode": "opencode",
}
_HOSTS: Final = {
    "anthropic": "api.anthropic.com", "openai": "api.openai.com", "openrouter": "openrouter.ai", "cursor": "api2.cursor.sh",
}  # fmt: skip


def _choice(month: Month, tool: str) -> tuple[str, str, Factor, str, str, str | None]:
    """Provider, model, factor, tier, speed and agent of one request of this tool."""
    rng = month.rng
    match tool:
        case "claude-code" | "plan":
            agent = f"agent-{rng.randrange(4)}" if rng.random() < 0.2 else None
            model = (
                "claude-haiku-4-5" if agent else rng.choice(("claude-opus-4-8", "claude-sonnet-5", "claude-sonnet-5"))
            )
            fast = tool == "claude-code" and model == "claude-opus-4-8" and rng.random() < 0.05
            return "anthropic", model, FAST if fast else PLAIN, "standard", "fast" if fast else "standard", agent
        case "script":
            batch = rng.random() < 0.2
            return (
                "anthropic",
                "claude-sonnet-4-6",
                HALF if batch else PLAIN,
                "batch" if batch else "standard",
                "standard",
                None,
            )
        case "codex":
            flex = rng.random() < 0.05
            model = "gpt-5.4-mini" if rng.random() < 0.3 else "gpt-5.4"
            return "openai", model, HALF if flex else PLAIN, "flex" if flex else "default", "standard", None
        case "opencode":
            return "openrouter", rng.choice(("z-ai/glm-4.6", "qwen/qwen3-coder")), PLAIN, "standard", "standard", None
        case _:
            return "cursor", rng.choice(("claude-4.5-sonnet", "gpt-5.4")), PLAIN, "standard", "standard", None


_TOLD: Final = {
    ("anthropic", "batch"): ";processing=batch", ("anthropic", "fast"): ";speed=fast",
    ("openai", "flex"): ";service_tier=flex",
}  # fmt: skip


def _made(month: Month, person: Person, tool: str, at_ms: int) -> Request:
    rng, number = month.rng, len(month.requests)
    provider, model, factor, tier, speed, agent = _choice(month, tool)
    key = None if provider == "cursor" or tool == "plan" else person.key(provider)
    told = f"bundled:{provider}/{model}{_TOLD.get((provider, tier), '')}{_TOLD.get((provider, speed), '')}"
    if key is not None and key.geo == "us":
        factor, told = (factor[0] * US[0], factor[1] * US[1]), f"{told};geo=us"
    usage = month.usage(provider, tool)
    price = PRICES[provider, model]
    nanos = half_even(total_parts(usage, price, factor), PARTS)
    prefix = {"anthropic": "msg_", "openai": "resp_", "openrouter": "gen-", "cursor": ""}[provider]
    response = f"{prefix}{number:07d}{rng.randrange(16**6):06x}" if prefix else None
    row = Row(
        f"c{number:07d}", at_ms, at_ms + rng.randrange(800, 60_000), person.name, rng.choice(person.machines), person.team,
        "claude-code" if tool == "plan" else tool, provider, _HOSTS[provider], model,
        None if key is None else key.fingerprint, usage, nanos, nanos, price, factor, told,
        f"s-{person.name}-{at_ms // DAY_MS}-{rng.randrange(5)}", agent, f"repo{rng.randrange(12)}",
        request_id=f"req_{number:07d}" if provider == "anthropic" else None, response_id=response,
    )  # fmt: skip
    if provider == "cursor":
        row = replace(row, basis="estimated")
    if tool == "plan":
        return Request(replace(row, billing="subscription", cost_nanos=0), None)
    name = BILLED_AS.get(model, model) if provider != "cursor" else CURSOR_NAMES.get(model, model)
    entry = Entry(
        at_ms, provider, name, _PRODUCTS.get(tool), key.id if key else "", key.name if key else "",
        key.workspace if key else "", usage, price, factor, tier, speed, person.name, person.email,
        response_id=response, request_id=row.request_id,
    )  # fmt: skip
    return Request(row, entry)


def _failed(month: Month, person: Person, at_ms: int) -> Request:
    """A request that the provider answered with an error: a row that costs nothing, and nothing on the bill."""
    good = month.made(person, month.rng.choice(person.tools), at_ms)
    if good.row is None:
        raise ValueError("every request that is made has a row")
    row = replace(
        good.row, usage=Usage(), cost_nanos=0, value_nanos=0, basis="reported", http_status=month.rng.choice((429, 529)),
        flags=(), response_id=None, prices=None, price=None,
    )  # fmt: skip
    return Request(row, None)


def _plain(request: Request) -> bool:
    both = request.row is not None and request.entry is not None
    return both and request.why is None
