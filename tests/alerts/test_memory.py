"""What alerts remember follows what still may count, and not how much has ever been seen."""

from __future__ import annotations

import msgspec
import pytest
from tests.alerts.kit import Told, at, nanos, read

from spendgate.alerts import measures, told
from spendgate.alerts.rules import State

DAY = 86_400_000
SATURDAY = at("2026-11-21T12:00")


@pytest.mark.parametrize(
    "form",
    [
        "spike: 3x over 7d, minimum: $20",
        "burn: $15 in 1h",
        "share: 80%, match: {model: gpt-5}, minimum_calls: 9",
        "spend: $50 outside mon-fri 07:00-20:00",
    ],
)
def test_values_in_which_nothing_can_count_any_more_are_forgotten(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    """A thousand sessions of one day, and as many five weeks later: the first ones are gone, the last ones are there."""
    monkeypatch.setattr(measures, "FORGET_EVERY", 500)
    played = Told(read(f"alerts: [{{name: a, {form}, per: session}}]\n"))
    for day in (0, 35):
        for number in range(1_000):
            played.charge(SATURDAY + day * DAY + number, nanos(1), session=f"{day}-{number}")
    (kept,) = msgspec.json.decode(played.alerts.dump(), type=State).sums.values()
    sessions = set(msgspec.json.decode(kept))
    assert not {name for name in sessions if name.startswith("0-")}
    assert len(sessions) == 1_000
    assert not played.found


def test_what_was_told_for_ever_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions have lives without an end; of very many the oldest are forgotten, the newest are not told twice."""
    monkeypatch.setattr(told, "TOLD_MAX", 100)
    memory = told.Told()
    for number in range(1_000):
        assert memory.first(("rule", f"s{number}", "life"), number, None)
    assert not memory.first(("rule", "s999", "life"), 1_000, None)
    assert len(memory.dump()) <= 100


def test_what_may_come_again_is_never_forgotten_too_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """More memory rather than one alert twice: all that is told in a window that runs stays."""
    monkeypatch.setattr(told, "TOLD_MAX", 100)
    memory = told.Told()
    for number in range(500):
        assert memory.first(("rule", f"p{number}", "2026-11"), number, 10_000)
    assert not any(memory.first(("rule", f"p{number}", "2026-11"), 9_999, 10_000) for number in range(500))
    assert memory.first(("rule", "p0", "2026-11"), 10_000, 20_000)
