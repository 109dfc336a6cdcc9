"""Show 8 in two minutes: `scripts/soak` lasts an hour."""

from __future__ import annotations

from pathlib import Path

import pytest

from end_to_end.soak import FAULTS, soak

SECONDS = 120
GROWTH_BYTES_MAX = 16 << 20
"""Room for what SQLite and the allocator keep; `test_memory` is about a call's remains."""


@pytest.mark.heavy
@pytest.mark.timeout(900)
def test_a_laptops_day_in_two_minutes(folder: Path) -> None:
    """No call lost, no row doubled, whatever the machine, the network and the policy did; and nothing heaps up."""
    watched, found, answers = soak(folder, SECONDS, seed=1)
    print(dict(watched.faults), dict(found), dict(answers))
    assert watched.faults.total() >= len(FAULTS) - 1
    assert found["served, settled"] > 0
    assert answers[200] > 0
    assert watched.grown_bytes() < GROWTH_BYTES_MAX
