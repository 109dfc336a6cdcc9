"""Injected: other prices than the ledger's for the same use, and money that is for something else."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from reconcile.simulator.books import Entry, Request, Row
from reconcile.simulator.causes_scope import any_day, few
from reconcile.simulator.month import Month
from reconcile.simulator.prices import FAST, HALF, PARTS, PLAIN, PRICES, UNKNOWN, US, Factor, Price, total_parts
from spendgate.money import CENT, NANOS_PER_DOLLAR
from spendgate.reconcile.result import Cause
from spendgate.statement import DAY_MS, Charge, Line, Who

FOUR_PERCENT: Factor = (26, 25)
_NEW_MODEL = ("anthropic", "claude-unheard-of-7")


def _entries(month: Month, where: Callable[[Entry], bool]) -> list[Request]:
    return [each for each in month.requests if each.entry is not None and where(each.entry) and each.price_why is None]


def _times(entry: Entry, factor: Factor) -> Entry:
    return replace(entry, factor=(entry.factor[0] * factor[0], entry.factor[1] * factor[1]))


def other_cache_price(month: Month) -> None:
    """The ledger's list has an old price for what is read from a cache."""
    for each in _entries(month, lambda entry: entry.price == PRICES["anthropic", "claude-sonnet-5"]):
        if each.entry is not None:
            old = each.entry.price
            each.entry = replace(each.entry, price=Price(old.input, 120, old.write_5m, old.write_1h, old.output))
            each.price_why = Cause.PRICE_LIST


def dearer_model(month: Month) -> None:
    """One model is four percent dearer than the ledger believes."""
    for each in _entries(month, lambda entry: entry.price == PRICES["openai", "gpt-5.4-mini"]):
        if each.entry is not None:
            each.entry, each.price_why = _times(each.entry, FOUR_PERCENT), Cause.PRICE_LIST


def _keys(month: Month, provider: str, tool: str) -> list[str]:
    found = {
        key.id
        for person in month.known.people
        if tool in person.tools
        for key in person.keys
        if key.provider == provider
    }
    keys = sorted(key for key in found if not any(each.id == key and each.geo for each in month.known.keys))
    month.rng.shuffle(keys)
    return keys[: max(1, len(keys) // 4)]


def in_the_us(month: Month) -> None:
    """A tenth more for where it was worked off, on some keys, which the ledger was not told."""
    keys = _keys(month, "anthropic", "claude-code")
    changed = {each.entry.model for each in month.requests if each.entry is not None and each.price_why is not None}
    for each in _entries(month, lambda entry: entry.key in keys and entry.model not in changed):
        if each.entry is not None:
            each.entry, each.price_why = _times(each.entry, US), Cause.PRICE_MULTIPLIER


def in_batch(month: Month) -> None:
    """Half price on some keys: batches, which the ledger took for plain calls."""
    keys = _keys(month, "anthropic", "script")
    for each in _entries(month, lambda entry: entry.key in keys and entry.product == "messages_api"):
        if each.entry is not None and each.entry.tier == "standard":
            each.entry = replace(_times(each.entry, HALF), tier="batch")
            each.price_why = Cause.PRICE_MULTIPLIER


def in_fast_mode(month: Month) -> None:
    """Twice the price on some days: fast mode, which the ledger did not see."""
    day_ms = any_day(month)
    opus = PRICES["anthropic", "claude-opus-4-8"]
    for each in _entries(
        month, lambda entry: entry.price == opus and entry.day_ms == day_ms and entry.speed == "standard"
    ):
        if each.entry is not None:
            each.entry = replace(_times(each.entry, FAST), speed="fast")
            each.price_why = Cause.PRICE_MULTIPLIER


def kept_for_an_hour(month: Month) -> None:
    """Cache writes for an hour, which the ledger took for five minutes."""

    def writes(row: Row, entry: Entry) -> bool:
        return (row.usage.cache_write_5m_tokens or 0) > 0 and row.tool == "claude-code"

    for each in month.some(few(month), writes):
        if each.entry is not None and each.row is not None:
            use = each.entry.usage
            hour = (use.cache_write_1h_tokens or 0) + (use.cache_write_5m_tokens or 0)
            each.entry = replace(each.entry, usage=replace(use, cache_write_5m_tokens=0, cache_write_1h_tokens=hour))
            each.row = replace(each.row, flags=("split of cache writes assumed",))
            each.why = Cause.PRICE_MULTIPLIER


def cheaper_from_a_day_on(month: Month) -> None:
    """A price falls in the middle of the month, and the ledger's list was not brought up to date."""
    from_ms = month.from_ms + month.size.days // 2 * DAY_MS
    opus = PRICES["anthropic", "claude-opus-4-8"]
    new = Price(4_000, 200, 5_000, 8_000, 20_000)
    for each in _entries(month, lambda entry: entry.price == opus and entry.day_ms >= from_ms):
        if each.entry is not None:
            each.entry, each.price_why = replace(each.entry, price=new), Cause.PRICE_CHANGE_MIDPERIOD


def unheard_of_model(month: Month) -> None:
    """A model that no list has: charged here what the policy says of such."""
    for each in month.some(few(month), lambda row, entry: row.tool == "claude-code" and entry.speed == "standard"):
        if each.row is None or each.entry is None:
            continue
        usage = each.row.usage
        nanos = total_parts(usage, UNKNOWN, PLAIN) // PARTS
        each.row = replace(
            each.row, model=_NEW_MODEL[1], price=None, prices="policy:unknown_model", flags=("unknown price",),
            cost_nanos=nanos, value_nanos=nanos,
        )  # fmt: skip
        each.entry = replace(each.entry, model=_NEW_MODEL[1], price=PRICES[_NEW_MODEL])
        each.why, each.price_why = Cause.UNPRICED_MODEL, None


def contract(month: Month) -> None:
    """Ten percent off the list."""
    month.discounts["anthropic"] = (9, 10)


def promotion(month: Month) -> None:
    """Credits pay a part."""
    for _ in range(3):
        _line(month, Charge.CREDIT, "openai", -_amount(month), Cause.CREDIT_COMMIT)


def other_fees(month: Month) -> None:
    """Containers, storage, a reseller's fee, support, tax."""
    for charge, provider in (
        (Charge.CODE_EXECUTION, "anthropic"), (Charge.STORAGE, "openai"), (Charge.SERVICE_FEE, "cursor"),
        (Charge.SUPPORT, "openai"), (Charge.TAX, "anthropic"),
    ):  # fmt: skip
        _line(
            month,
            charge,
            provider,
            _amount(month),
            Cause.NON_TOKEN_FEE,
        )


def _amount(month: Month) -> int:
    """Some nano-dollars, no more than what other causes move: what is easily found must not hide what is not."""
    return few(month) * month.rng.randrange(CENT, 6 * CENT)


def _line(month: Month, charge: Charge, provider: str, nanos: int, why: Cause) -> None:
    day_ms = any_day(month)
    line = Line(
        day_ms, day_ms + DAY_MS, provider, who=Who(), charge=charge, billed_nanos=nanos, amount=f"{nanos} nano-USD"
    )
    month.lines.append((line, why))


def whole_hundredths(month: Month) -> None:
    """Amounts to four decimals of a dollar."""
    month.round_to_nanos["anthropic"] = NANOS_PER_DOLLAR // 10_000
