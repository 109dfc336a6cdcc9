"""Injected: what is billed and was not captured, or not here: other keys, products, devices, requests around the gate."""

from __future__ import annotations

from msgspec.structs import replace

from reconcile.simulator import fleet
from reconcile.simulator.books import Entry, Request, Row
from reconcile.simulator.fleet import HOUR_MS, Key, Person
from reconcile.simulator.month import Month, Span, Witness, is_weekend
from reconcile.simulator.prices import PRICES
from reconcile.simulator.traffic import BILLED_AS
from spendgate.reconcile.result import Cause
from spendgate.redirect.lapses import Lapse
from spendgate.redirect.lapses import Why as LapsedWhy
from spendgate.statement import DAY_MS

GATEWAY_HOST = "llm.acme.example"


def few(month: Month, one_in: int = 300) -> int:
    """How many requests a cause is given."""
    return min(200, max(4, len(month.requests) // one_in))


def billed_only(
    month: Month,
    why: Cause,
    day_ms: int,
    *,
    key: Key | None,
    model: tuple[str, str],
    product: str | None,
    person: Person | None = None,
) -> None:
    """A request on the bill alone, at any hour of the day. `model`: the provider and its model."""
    provider, name = model
    at_ms = day_ms + month.rng.randrange(HOUR_MS, DAY_MS - HOUR_MS)
    tool = "claude-code" if product == "claude_code" else "script"
    entry = Entry(
        at_ms, provider, BILLED_AS.get(name, name), product, key.id if key else "", key.name if key else "",
        key.workspace if key else "", month.usage(provider, tool), PRICES[model],
        tier="default" if provider == "openai" else "standard", person=person.name if person else None,
        response_id=f"x_{len(month.requests):07d}",
    )  # fmt: skip
    month.requests.append(Request(None, entry, why))


def any_day(month: Month) -> int:
    """The beginning of a working day of the month."""
    days = [month.from_ms + day * DAY_MS for day in range(month.size.days)]
    return month.rng.choice([day for day in days if len(days) <= 7 or not is_weekend(day)])


def known_elsewhere(month: Month) -> None:
    """A key that is known to be a server's."""
    key = fleet.key_of("anthropic", 900, None, month.rng, label="ci-nightly")
    month.known.elsewhere.append(key)
    for _ in range(few(month)):
        billed_only(
            month,
            Cause.SCOPE_KEY,
            any_day(month),
            key=key,
            model=("anthropic", "claude-sonnet-4-6"),
            product="messages_api",
        )


def unheard_of_key(month: Month) -> None:
    """A key that nobody has listed, where all of the fleet's are."""
    key = fleet.key_of("openai", 901, None, month.rng)
    for _ in range(few(month)):
        billed_only(month, Cause.SCOPE_KEY, any_day(month), key=key, model=("openai", "gpt-5.4"), product="completions")


def other_products(month: Month) -> None:
    """Chat and the like, which no laptop sends."""
    for _ in range(few(month)):
        product = month.rng.choice(("chat", "cowork", "claude_tag"))
        billed_only(
            month,
            Cause.SCOPE_PRODUCT,
            any_day(month),
            key=None,
            model=("anthropic", "claude-sonnet-5"),
            product=product,
        )


def without_key(month: Month) -> None:
    """Used without any key: a playground."""
    for _ in range(few(month)):
        billed_only(
            month, Cause.SCOPE_KEYLESS, any_day(month), key=None, model=("anthropic", "claude-opus-4-8"), product=None
        )


def through_gateway(month: Month) -> None:
    """Laptops' calls to a gateway, which the gateway's key bills, and servers' calls through it beside them."""
    key = fleet.key_of("anthropic", 902, None, month.rng, label="gateway")
    month.known.gateways.append(key)
    month.known.gateway_hosts.append(GATEWAY_HOST)
    for each in month.some(few(month), lambda row, entry: row.provider == "anthropic" and row.tool == "script"):
        if each.row is not None and each.entry is not None:
            each.row = replace(each.row, host=GATEWAY_HOST, billing="gateway", api_key="key:5f0ab1c2d3e4")
            each.entry = replace(each.entry, key=key.id, key_name=key.name)
            each.why = Cause.GATEWAY_LEG
    for _ in range(few(month)):
        billed_only(
            month,
            Cause.GATEWAY_LEG,
            any_day(month),
            key=key,
            model=("anthropic", "claude-sonnet-4-6"),
            product="messages_api",
        )


def on_weekend(month: Month) -> None:
    """A person's own key, used on days on which none of their machines was on."""
    people = [each for each in month.known.people if each.key("anthropic").person == each.name]
    days = [month.from_ms + day * DAY_MS for day in range(month.size.days)]
    for _ in range(few(month)):
        person = month.rng.choice(people)
        free = [day for day in days if is_weekend(day) and not _present(month, person, day)] if len(days) > 7 else []
        if free:
            key, day_ms = person.key("anthropic"), month.rng.choice(free)
            billed_only(
                month, Cause.OTHER_DEVICE, day_ms, key=key, model=("anthropic", "claude-opus-4-8"), product="claude_code",
                person=person,
            )  # fmt: skip


def day_elsewhere(month: Month) -> None:
    """A person works a whole day on another machine: their own are off."""
    for person in [each for each in month.known.people if _by_days(month, each)][:2]:
        days = sorted(
            {each.row.day_ms for each in month.requests if each.row is not None and each.row.person == person.name}
        )
        day_ms = month.rng.choice(days)
        mine = [each for each in month.requests if _of(each, person, day_ms)]
        if any(each.why is not None or each.price_why is not None for each in mine):
            continue
        month.crowd(mine)
        for each in mine:
            each.row, each.why = None, Cause.OTHER_DEVICE
        month.requests = [each for each in month.requests if each.row is not None or each.entry is not None]
        month.known.presence = [
            each for each in month.known.presence if each.person != person.name or not _touches(each, day_ms)
        ]


def _by_days(month: Month, person: Person) -> bool:
    """Whether none of their working days crosses midnight UTC, and all their keys are theirs alone."""
    spans = [each for each in month.known.presence if each.person == person.name]
    whole = all(each.from_ms // DAY_MS == each.until_ms // DAY_MS for each in spans)
    return whole and bool(spans) and all(key.person == person.name for key in person.keys)


def _of(each: Request, person: Person, day_ms: int) -> bool:
    row = each.row
    if row is not None:
        return row.person == person.name and row.day_ms == day_ms
    return each.entry is not None and each.entry.person == person.name and each.entry.day_ms == day_ms


def _present(month: Month, person: Person, day_ms: int) -> bool:
    return any(each.person == person.name and _touches(each, day_ms) for each in month.known.presence)


def _touches(span: Span, day_ms: int) -> bool:
    return span.from_ms < day_ms + DAY_MS and day_ms < span.until_ms


def around_the_gate(month: Month) -> None:
    """Claude Code's requests that its own log has, by their ids, and the ledger has not."""
    for each in month.some(few(month), lambda row, entry: row.tool == "claude-code"):
        if each.row is not None:
            month.known.witnessed.append(Witness(each.row, why="it had begun before the proxy was set"))
            each.row, each.why = None, Cause.BYPASS_ON_DEVICE


def around_the_gate_without_ids(month: Month) -> None:
    """Codex's, whose log has neither."""
    for each in month.some(few(month), lambda row, entry: row.tool == "codex"):
        if each.row is not None:
            nameless = replace(each.row, request_id=None, response_id=None)
            month.known.witnessed.append(Witness(nameless, why="it had begun before the proxy was set"))
            each.row, each.why = None, Cause.BYPASS_ON_DEVICE


def gate_down(month: Month) -> None:
    """Some hours without a gate on a machine that was on; fleet management says so."""
    for _ in range(max(2, len(month.known.people) // 8)):
        span = _outage(month)
        if span is not None and _drop(month, span):
            month.known.outages.append(span)


def gate_down_by_trail(month: Month) -> None:
    """The same on a ledger of one machine, whose own audit trail says so."""
    span = _outage(month)
    if span is not None and _drop(month, span):
        month.trail.append((span.from_ms, "gate stopped", "gate 1"))
        month.trail.append((span.until_ms, "gate started", "gate 1"))


def capture_lapsed_by_trail(month: Month, *, held: bool = False) -> None:
    """Rules led nothing to a gate that ran: calls went direct, or (`held`) were refused where they did not go some other way, and
    the trail says which."""
    span = _outage(month)
    if span is not None and _drop(month, span, Cause.UNCAPTURED if held else Cause.CAPTURE_DOWN):
        lapse = Lapse(span.from_ms, span.until_ms, LapsedWhy.SILENT, held)
        month.trail.append((span.until_ms, "capture lapsed", lapse.said))


def _outage(month: Month) -> Span | None:
    """Two hours in the middle of a working day."""
    on = [each for each in month.known.presence if month.from_ms <= each.from_ms and each.until_ms <= month.until_ms]
    if not on:
        return None
    day = month.rng.choice(on)
    begins = day.from_ms + HOUR_MS + month.rng.randrange(3 * HOUR_MS)
    return Span(day.machine, day.person, begins, begins + 2 * HOUR_MS, "gate not running")


def _drop(month: Month, span: Span, why: Cause = Cause.CAPTURE_DOWN) -> bool:
    inside = [each for each in month.requests if each.row is not None and _within(each.row, span)]
    if any(each.why is not None for each in inside):
        return False
    # On a bill by day, whatever else that person lacks on this day may have been lost in these hours.
    days = {each.row.day_ms for each in inside if each.row is not None}
    month.crowd(each for each in month.requests if each.row is not None and _same_day(each.row, span, days))
    for each in inside:
        each.row, each.why = None, why
    month.requests = [each for each in month.requests if each.row is not None or each.entry is not None]
    return True


def _same_day(row: Row, span: Span, days: set[int]) -> bool:
    return row.person == span.person and row.day_ms in days


def _within(row: Row, span: Span) -> bool:
    return row.machine == span.machine and row.person == span.person and span.from_ms <= row.started_ms < span.until_ms


def nobody_knows(month: Month) -> None:
    """Requests that are in no ledger and of which nothing says why."""
    for each in month.some(few(month), lambda row, entry: row.provider in ("anthropic", "openai")):
        each.row, each.why = None, Cause.UNCAPTURED
