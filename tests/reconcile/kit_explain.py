"""What the tests of explaining share: calls and lines by hand, at prices that the bundled list has. Amounts in nano-dollars."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from spendgate.reconcile.captured import Call
from spendgate.reconcile.facts import NO_FACTS, Facts
from spendgate.reconcile.result import Cause, Finding, Result
from spendgate.reconcile.run import Options, Version, compare
from spendgate.statement import DAY_MS, Axes, Line, Statement, TokenClass, Who
from spendgate.usage import Usage

DAY = 1_793_491_200_000
"""2026-11-01T00:00:00Z"""
NOON = DAY + DAY_MS // 2
MODEL = "claude-opus-4-5"
PRICES = {TokenClass.INPUT: 5000, TokenClass.CACHE_READ: 500, TokenClass.CACHE_WRITE_5M: 6250, TokenClass.CACHE_WRITE_1H: 10_000,
          TokenClass.OUTPUT: 25_000}  # fmt: skip
"""Nano-dollars for one token of MODEL."""
KEY = "apikey_alice"
USAGE = Usage(input_tokens=1_000, cache_read_tokens=20_000, cache_write_5m_tokens=400, output_tokens=300)
LISTED = Axes()
NOW = DAY + 90 * DAY_MS


def price(usage: Usage) -> int:
    """What it costs at the list's price."""
    return sum((getattr(usage, each.value) or 0) * nanos for each, nanos in PRICES.items())


def call(number: int = 0, **changes: object) -> Call:
    """One call of alice's, at noon of DAY."""
    made = Call(
        NOON + number, "anthropic", MODEL, usage=USAGE, cost_nanos=price(USAGE), value_nanos=price(USAGE), id=f"call-{number}",
        ended_ms=NOON + number + 2_000, api_key=KEY, person="alice", machine="lt-1", tool="claude-code", host="api.anthropic.com",
        prices=f"bundled:anthropic/{MODEL}", response_id=f"msg_{number}",
    )  # fmt: skip
    usage = changes.get("usage")
    if isinstance(usage, Usage) and "cost_nanos" not in changes:
        made = replace(made, cost_nanos=price(usage), value_nanos=price(usage))
    return replace(made, **changes)


def calls(number: int, **changes: object) -> list[Call]:
    """So many of them."""
    return [call(each, **changes) for each in range(number)]


def billed(
    usage: Usage, requests: int | None, *, key: str | None = KEY, day: int = DAY, model: str = MODEL, factor: tuple[int, int] = (1, 1),
    net: tuple[int, int] = (1, 1), axes: Axes = LISTED, product: str | None = None, who: Who | None = None,
) -> list[Line]:  # fmt: skip
    """A day's lines as Anthropic's analytics tell them: money by class, counts apart."""
    said = who or Who(key=key)
    of_all = Line(day, day + DAY_MS, "anthropic", model, product, said, axes)
    lines = [replace(of_all, usage=usage, requests=requests)]
    for each, nanos in PRICES.items():
        listed = (getattr(usage, each.value) or 0) * nanos * factor[0] // factor[1]
        if listed:
            lines.append(replace(of_all, token_class=each, billed_nanos=listed * net[0] // net[1], list_nanos=listed))
    return lines


def times(usage: Usage, number: int) -> Usage:
    """The usage of so many calls."""
    return Usage(
        **{name: None if (each := getattr(usage, name)) is None else each * number for name in Usage.__struct_fields__}
    )


def statement(
    lines: Sequence[Line], *, days: int = 1, refreshed: int | None = None, source: str = "anthropic"
) -> Statement:
    """Of `days` days from DAY on."""
    until = DAY + days * DAY_MS
    return Statement(
        source, "anthropic", "", DAY, until, "ab" * 32, "api.anthropic.com", refreshed or NOW, tuple(lines)
    )


def run(
    captured: Iterable[Call], lines: Sequence[Line], facts: Facts = NO_FACTS, *, days: int = 1, refreshed: int | None = None,
    older: Sequence[Line] | None = None, now: int = NOW,
) -> Result:  # fmt: skip
    """Compare."""
    versions = [Version("v2", NOW, statement(lines, days=days, refreshed=refreshed))]
    if older is not None:
        seen = DAY + days * DAY_MS + 5 * DAY_MS
        versions.append(Version("v1", seen, statement(older, days=days, refreshed=seen)))
    result = compare(captured, versions, facts, Options(DAY, DAY + days * DAY_MS, now))
    adds_up(result)
    return result


def adds_up(result: Result) -> None:
    """The identities."""
    assert result.gap_nanos == sum(each.nanos for each in result.findings) + result.unexplained_nanos
    assert result.gap_nanos == result.under_nanos + result.over_nanos
    assert result.billed_nanos == sum(each.billed_nanos for each in result.days)
    assert result.captured_nanos == sum(each.captured_nanos for each in result.days)
    assert result.unexplained_nanos == sum(each.unexplained_nanos for each in result.days)


def by_cause(result: Result) -> dict[Cause, int]:
    """Nano-dollars of each cause, without rounding's."""
    found: dict[Cause, int] = {}
    for each in result.findings:
        found[each.cause] = found.get(each.cause, 0) + each.nanos
    return {cause: nanos for cause, nanos in found.items() if nanos}


def only(result: Result, cause: Cause) -> Finding:
    """The one finding of the one cause that explains all."""
    assert by_cause(result) == {cause: result.gap_nanos}, by_cause(result)
    assert result.unexplained_nanos == 0
    return next(each for each in result.findings if each.cause is cause)
