"""What is said of the certificates that a gate shows: in `status`, in the audit trail, and so to whoever hears alerts."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from cli.kit import NOW_MS, ran
from spendgate.audit_words import AuditWord
from spendgate.capture import ca, issued_files, organization
from spendgate.capture.certificates import Signer
from spendgate.capture.leaves import Leaves
from spendgate.cli import certified, in_force
from spendgate.cli.wanted import Wanted
from spendgate.config.paths import State, prepare
from spendgate.window import DAY_MS

NOW = datetime.now(UTC)
HOSTS = ("api.anthropic.com",)
ROOT = organization.new_root(HOSTS, "Acme", NOW)


@pytest.mark.parametrize(
    ("of", "days", "told"),
    [
        pytest.param("organization", 30, "certificates of the organization until", id="an organization's"),
        pytest.param("organization", -1, "expired on", id="expired"),
        pytest.param("device", 10, "certificates of this device's own CA until", id="a device's, soon"),
        pytest.param("device", 400, "", id="a device's"),
    ],
)
def test_status_tells_the_days_left(state: State, of: str, days: int, told: str) -> None:
    """An organization's always, a device's own where its end is near; programs read both."""
    said = in_force.told(state)
    assert said is not None
    in_force.tell(state, replace(said, certificates_of=of, certificates_until_ms=NOW_MS + days * DAY_MS + DAY_MS // 2))
    shown = ran(state, "status")
    assert told in shown
    assert ("certificates of" in shown) is bool(told)
    found = json.loads(ran(state, "status", "--format", "json"))["certificates"]
    assert (found["of"], found["days_left"]) == (of, days)


class Trail:
    """The gate's audit trail."""

    def __init__(self) -> None:
        self.lines: list[tuple[AuditWord, str]] = []

    def audit(self, what: AuditWord, detail: str) -> None:
        self.lines.append((what, detail))


def bundle(*, root: Signer = ROOT, days: int = 60) -> bytes:
    return organization.bundle(root, "laptop", NOW, timedelta(days=days), organization.new_key())


async def follows(house: Any, monkeypatch: pytest.MonkeyPatch, *steps: Any) -> list[tuple[AuditWord, str]]:
    """The trail of a gate that looks once before each step, and once after the last."""
    trail, looked, go = Trail(), asyncio.Queue[None](), asyncio.Queue[None]()

    async def pause(_seconds: float) -> None:
        looked.put_nowait(None)
        await go.get()

    monkeypatch.setattr(certified.asyncio, "sleep", pause)
    task = asyncio.create_task(certified.follow(house, trail))  # type: ignore[arg-type]  # what it needs of a gate

    async def look() -> None:
        waiting = asyncio.ensure_future(looked.get())
        await asyncio.wait({waiting, task}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()

    await look()
    for step in steps:
        step()
        go.put_nowait(None)
        await look()
    task.cancel()
    return trail.lines


def house_of(state: State, authority: ca.Authority | Leaves) -> Any:
    wanted = Wanted(None, state, ("regular",))  # nothing is led to it: `test_serves` has the others
    return SimpleNamespace(state=state, authority=authority, tell=lambda: None, wanted=wanted)


async def test_a_renewal_is_told_and_a_bad_file_is_not_taken(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another root, garbage, no file: what was shown before is shown on, and the trail says so."""
    state = prepare(State(tmp_path / "state"))
    install = lambda data: issued_files.install(state, data, NOW, HOSTS, place="FILE")  # noqa: E731
    other = organization.new_root(HOSTS, "Acme", NOW)
    leaves = Leaves(install(bundle()), lambda: NOW)
    before = leaves.issued

    lines = await follows(
        house_of(state, leaves), monkeypatch,
        lambda: None,
        lambda: state.leaves.write_bytes(bundle(root=other)),
        lambda: state.leaves.write_bytes(b"nonsense"),
        state.leaves.unlink,
    )  # fmt: skip
    assert [word for word, _ in lines] == [AuditWord.CERTIFICATES_IN_FORCE] + [AuditWord.CERTIFICATES_REFUSED] * 3
    assert leaves.issued is before

    renewed = bundle(days=70)
    lines = await follows(house_of(state, leaves), monkeypatch, lambda: install(renewed))
    assert [word for word, _ in lines] == [AuditWord.CERTIFICATES_REFUSED, AuditWord.CERTIFICATES_IN_FORCE]
    assert f"of laptop for 2 hosts until {NOW + timedelta(days=70):%Y-%m-%d}" in lines[-1][1]
    assert leaves.issued is not before


async def test_an_end_that_is_near_is_told_once_a_day(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a device's own CA as of an organization's certificates."""
    state = prepare(State(tmp_path / "state"))
    made = ca.create(HOSTS, NOW)
    clock = [made.term.dies - timedelta(days=31)]
    monkeypatch.setattr(certified, "wall_clock", lambda: clock[0])

    def later(days: float) -> Any:
        return lambda: clock.__setitem__(0, clock[0] + timedelta(days=days))

    lines = await follows(house_of(state, made), monkeypatch, later(1), later(0.001), later(1), later(31))
    assert [word for word, _ in lines] == [AuditWord.CERTIFICATES_END] * 3
    assert [detail.partition(" ")[0] for _, detail in lines] == ["hold", "hold", "expired"]
