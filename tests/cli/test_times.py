"""Times in tables are those of the policy's zone and say so; for programs they are UTC."""

from __future__ import annotations

import json
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from cli.kit import POLICY, ran
from spendgate.cli import in_force
from spendgate.cli.moments import to_the_second
from spendgate.config.paths import State
from spendgate.config.policies import LastGood


@pytest.mark.parametrize(
    ("instant", "says"),
    [
        ("2026-11-01T08:30:05.042Z", "11-01 01:30:05 PDT"),
        ("2026-11-01T09:30:05.042Z", "11-01 01:30:05 PST"),
    ],
)
def test_a_time_in_a_table_tells_the_two_hours_of_an_autumn_night_apart(instant: str, says: str) -> None:
    """By the name of the zone."""
    assert to_the_second(instant, ZoneInfo("America/Los_Angeles")) == says


def test_calls_are_listed_in_the_policys_zone(state: State) -> None:
    """As `status` and `spend` have it; JSON and CSV keep ISO 8601 with Z."""
    file = state.root / "zone.yaml"
    file.write_text(f"{POLICY}timezone: Asia/Tokyo\n")
    policy = LastGood(state).start(file, 0).policy
    in_force.tell(state, in_force.InForce(policy.hash, str(file), 0, (), None, "m" * 32, "genai-prices 0", ()))

    started = {call["started_at"] for call in json.loads(ran(state, "calls", "--format", "json"))}
    table, csv = ran(state, "calls"), ran(state, "calls", "--format", "csv")

    assert len(started) == 3
    for instant in started:
        there = datetime.fromisoformat(instant).astimezone(ZoneInfo("Asia/Tokyo"))
        today = there.date() == datetime.now(ZoneInfo("Asia/Tokyo")).date()
        assert (f" {there:%H:%M:%S} " if today else f"{there:%m-%d %H:%M:%S} JST") in table
        assert instant.endswith("Z") and instant in csv
