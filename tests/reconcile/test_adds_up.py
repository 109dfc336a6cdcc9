"""Whatever lines and calls there are: findings and the unexplained make the gap, to the nano-dollar."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconcile.kit_explain import DAY, NOW, adds_up, statement
from spendgate.reconcile.captured import Call
from spendgate.reconcile.facts import Facts, Interval, Key, Role, Witnessed
from spendgate.reconcile.run import Options, Version, compare
from spendgate.statement import DAY_MS, Axes, Billed, Charge, Line, TokenClass, Who
from spendgate.usage import NO_USAGE, Usage

DAYS = 3
MODELS = st.sampled_from(["claude-opus-4-5", "Claude Haiku 4.5", "gpt-5", "", "no-such-model"])
KEYS = st.sampled_from(["k1", "k2", "sk-ant:1", ""])
COUNT = st.one_of(st.none(), st.integers(0, 5), st.integers(0, 10**7))
USAGES = st.one_of(
    st.just(NO_USAGE),
    st.builds(Usage, COUNT, COUNT, COUNT, COUNT, COUNT, COUNT),
    st.just(Usage(input_tokens=10, output_tokens=5)),
)
MOMENTS = st.integers(DAY - DAY_MS // 2, DAY + DAYS * DAY_MS + DAY_MS // 2)
IDS = st.one_of(st.none(), st.integers(0, 12).map(lambda number: f"msg_{number}"))
MONEY = st.one_of(st.integers(-5, 5), st.integers(-(10**12), 10**12))
CALLS = st.builds(
    Call,
    started_ms=MOMENTS,
    provider=st.sampled_from(["anthropic", "openai"]),
    model=MODELS,
    state=st.sampled_from(["settled", "interrupted", "failed", "free", "open", "refused", "unrecognized"]),
    usage=USAGES,
    cost_nanos=st.one_of(st.just(0), MONEY),
    calls=st.sampled_from([1, 1, 1, 3]),
    id=st.uuids().map(str),
    ended_ms=st.one_of(st.none(), MOMENTS),
    api_key=KEYS,
    person=st.sampled_from(["alice", "bob", ""]),
    machine=st.sampled_from(["lt-1", ""]),
    billing=st.sampled_from(["metered", "metered", "subscription", "gateway"]),
    basis=st.sampled_from(["reported", "reported", "estimated", "ceiling", None]),
    prices=st.sampled_from(
        ["bundled:anthropic/claude-opus-4-5", "bundled:anthropic/claude-opus-4-5;geo=us", "policy:unknown_model", "x"]
    ),
    flags=st.sampled_from(["", "no counts", "no counts on this wire", "compaction", "corrects=abc"]),
    http_status=st.sampled_from([200, 529, None]),
    response_id=IDS,
)


@st.composite
def lines(draw: st.DrawFn) -> Line:
    """A line of any kind, as wide as a day, an hour or one request."""
    day = DAY + draw(st.integers(0, DAYS - 1)) * DAY_MS
    width = draw(st.sampled_from([DAY_MS, DAY_MS, 3_600_000, 0]))
    starts = day if width == DAY_MS else day + draw(st.integers(0, 23)) * 3_600_000
    who = draw(
        st.sampled_from(
            [
                Who(key="k1"),
                Who(key="k2"),
                Who(key=""),
                Who(email="alice@example.com"),
                Who(workspace="w"),
                Who(),
                Who(key="k9"),
            ]
        )
    )
    net = draw(st.one_of(st.none(), MONEY))
    return Line(
        starts, starts + width, draw(st.sampled_from(["anthropic", "anthropic", "openai"])), draw(MODELS) or None,
        draw(st.sampled_from([None, "claude_code", "cowork"])), who,
        draw(st.sampled_from([Axes(), Axes(tier="batch"), Axes(geo="us")])),
        draw(st.sampled_from([Charge.TOKENS, Charge.TOKENS, *Charge])),
        draw(st.one_of(st.none(), st.sampled_from(TokenClass))), draw(USAGES), draw(st.one_of(st.none(), st.integers(0, 50))),
        billed_nanos=net, list_nanos=draw(st.one_of(st.none(), MONEY)) if net is not None else None,
        billed=draw(st.sampled_from([Billed.METERED, Billed.METERED, *Billed])), response_id=draw(IDS) if width == 0 else None,
        amount=draw(st.sampled_from(["", "0.12 USD", "1.5 cent", "x"])),
    )  # fmt: skip


FACTS = st.builds(
    Facts,
    keys=st.sampled_from([(), (Key("anthropic", "k1", ("sk-ant:1",), "alice"),), (Key("anthropic", "k2", role=Role.GATEWAY),)]),
    complete=st.booleans(),
    outages=st.sampled_from([(), (Interval("lt-1", DAY, DAY + DAY_MS),)]),
    presence=st.sampled_from([(), (Interval("lt-1", DAY, DAY + 1, "alice"),)]),
    witnessed=st.lists(
        st.builds(
            Witnessed, st.just("anthropic"), MOMENTS, st.just("a log"), response_id=IDS, model=MODELS,
            usage=USAGES, subcalls=USAGES
        ),
        max_size=3,
    ).map(tuple),
)  # fmt: skip
REFRESHED = st.sampled_from([None, NOW, DAY + DAY_MS, DAY + 2 * DAY_MS + 5])


def _adds_up(
    calls: list[Call], now: list[Line], before: list[Line] | None, facts: Facts, refreshed: int | None
) -> None:
    """The identity, by totals and by days; the same result again; no finding of nothing."""
    versions = [Version("v2", NOW, statement(now, days=DAYS, refreshed=refreshed))]
    if before is not None:
        versions.append(Version("v1", DAY + 9 * DAY_MS, statement(before, days=DAYS)))
    options = Options(DAY, DAY + DAYS * DAY_MS, NOW)
    ordered = sorted(calls, key=lambda each: (each.started_ms, each.id))

    result = compare(ordered, versions, facts, options)

    adds_up(result)
    assert all(each.nanos for each in result.findings)
    assert compare(ordered, versions[::-1], facts, options) == result
    assert all(one <= two for one, two in pairwise(each.cause for each in result.findings))


_DAYS = given(
    st.lists(CALLS, max_size=8), st.lists(lines(), max_size=10), st.one_of(st.none(), st.lists(lines(), max_size=4)), FACTS,
    REFRESHED,
)  # fmt: skip
_LIMITS = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
test_adds_up = _LIMITS(_DAYS(_adds_up))
test_adds_up_on_many_days = pytest.mark.heavy(settings(_LIMITS, max_examples=4_000)(_DAYS(_adds_up)))
