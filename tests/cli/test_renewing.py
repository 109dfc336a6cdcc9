"""When a gate renews what its organization issued, and what is said where it cannot."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from cli.kit import ran
from cli.test_certified import Trail
from spendgate.audit_words import AuditWord
from spendgate.capture import issued_files, organization
from spendgate.capture.leaves import Leaves
from spendgate.cli import in_force, renewing
from spendgate.cli.renewing import SHARE, due
from spendgate.config.paths import State, prepare
from spendgate.enrolment import laptop
from spendgate.enrolment.asking import Refused, Unasked

NOW = datetime.now(UTC).replace(microsecond=0)
HOSTS = ("api.anthropic.com",)
ROOT = organization.new_root(HOSTS, "Acme", NOW)


def test_status_tells_that_it_cannot_be_renewed(state: State) -> None:
    """People and programs."""
    said = in_force.told(state)
    assert said is not None
    of = replace(said, certificates_of="organization", certificates_until_ms=2**45)
    in_force.tell(state, replace(of, certificates_not_renewed="the office refuses: HTTP 403"))
    assert "not renewed: the office refuses: HTTP 403" in ran(state, "status")
    found = json.loads(ran(state, "status", "--format", "json"))["certificates"]
    assert found["not_renewed"] == "the office refuses: HTTP 403"


@pytest.mark.parametrize("days", [1, 45, 90])
def test_it_is_time_before_anybody_is_told_of_the_end(days: int) -> None:
    """From half of the life on, and not as soon as it was issued."""
    bundle = organization.bundle(ROOT, "laptop", NOW, timedelta(days=days), organization.new_key())
    term = issued_files.issued.read(bundle).term
    first, last = (due(term, share) for share in SHARE)
    assert NOW + timedelta(days=days) / 2 == first < last < term.dies
    assert not term.due(first) or days == 1


async def test_a_renewal_that_fails_is_told_once_a_day_and_tried_again(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is installed stays; once it goes, nothing is told any more. Nobody is asked before it is time, nor where nobody over
    HTTPS issued it."""
    state = prepare(State(tmp_path / "state"))
    bundle = organization.bundle(ROOT, "laptop", NOW, timedelta(days=30), organization.new_key())
    leaves = Leaves(issued_files.install(state, bundle, NOW, HOSTS, place="FILE"), lambda: NOW)
    before, clock, waits, asked, tells = state.leaves.read_bytes(), [NOW], list[float](), list[str](), list[str]()
    house: Any = SimpleNamespace(
        state=state, authority=leaves, wanted=SimpleNamespace(modes=(), sets=()), not_renewed="",
        tell=lambda: tells.append(house.not_renewed),
    )  # fmt: skip
    monkeypatch.setattr(renewing, "wall_clock", lambda: clock[0])
    faults: list[Exception | None] = [
        Refused(403, "HTTP 403: this device is blocked"),
        Unasked("https://ca.example cannot be asked: ConnectError"),
        Unasked("https://ca.example cannot be asked: ConnectError"),
        None,
    ]

    async def renew(_state: State, line: Any, device: str, _now: datetime) -> None:
        asked.append(f"{line.url} {device}")
        if fault := faults.pop(0):
            raise fault

    monkeypatch.setattr(laptop, "renew", renew)
    steps = [
        lambda: None,  # not enrolled over HTTPS
        lambda: (state.enrolment.write_text('{"url": "https://ca.example", "device": "laptop"}'), state.enrolment.chmod(0o600)),
        lambda: clock.__setitem__(0, NOW + timedelta(days=20)),
        lambda: clock.__setitem__(0, clock[0] + timedelta(seconds=1)),
        lambda: clock.__setitem__(0, clock[0] + timedelta(days=1)),
        lambda: None,
    ]  # fmt: skip

    async def pause(seconds: float) -> None:
        waits.append(seconds)
        if not steps:
            raise asyncio.CancelledError
        steps.pop(0)()

    monkeypatch.setattr(renewing.asyncio, "sleep", pause)
    trail = Trail()
    with pytest.raises(asyncio.CancelledError):
        await renewing.follow(house, trail, lambda least, _most: least)  # type: ignore[arg-type]  # what it needs of a gate
    assert asked == ["https://ca.example laptop"] * 4
    assert waits == [1.0] * 3 + [1800.0] * 4
    assert [word for word, _ in trail.lines] == [AuditWord.CERTIFICATES_NOT_RENEWED] * 2
    assert "the office refuses: HTTP 403: this device is blocked" in trail.lines[0][1]
    assert tells == [
        "the office refuses: HTTP 403: this device is blocked", "https://ca.example cannot be asked: ConnectError", "",
    ]  # fmt: skip
    assert state.leaves.read_bytes() == before
