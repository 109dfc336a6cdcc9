"""A gate without a certificate to show says so once, and once that it has one again; only where traffic is led to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from spendgate.audit_words import AuditWord
from spendgate.capture import ca, issued, organization
from spendgate.capture.leaves import Leaves
from spendgate.cli import awaiting, serves
from spendgate.cli.house import House
from spendgate.cli.wanted import Wanted
from spendgate.config.paths import State
from spendgate.gate.gate import Gate

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
HOSTS = ["api.openai.com"]


async def _told(
    authority: ca.Authority | Leaves, turns: list[object], modes: tuple[str, ...], ca_cert: Path = Path("/ca.pem")
) -> list[tuple[str, str]]:
    """What the trail gets of looks, before each of which one of `turns` is done; `in force` where commands are told."""
    trail: list[tuple[str, str]] = []
    wanted = Wanted(None, State(Path("/nowhere")), modes)
    house = SimpleNamespace(wanted=wanted, authority=authority, ca_cert=ca_cert, serves_none="")
    house.tell = lambda: trail.append(("in force", house.serves_none))
    gate = SimpleNamespace(audit=lambda word, detail: trail.append((word, detail)))
    for turn in turns:
        if callable(turn):
            turn()
        await serves.look(cast(House, house), cast(Gate, gate))
    return trail


@pytest.mark.parametrize("led", [True, False])
async def test_an_organizations_certificates_end_and_are_renewed(led: bool) -> None:
    """In their last second they still serve; none is told twice."""
    root = organization.new_root(HOSTS, "Acme", NOW)
    held = [
        issued.read(organization.bundle(root, "d1", NOW, timedelta(hours=n), organization.new_key())) for n in (1, 9)
    ]
    clock = [NOW]
    leaves = Leaves(held[0], lambda: clock[0])

    def later() -> None:
        clock[0] = held[0].term.dies - timedelta(seconds=1) if clock[0] == NOW else held[0].term.dies

    modes = ("transparent@127.0.0.1:8443",) if led else ("regular",)
    told = await _told(leaves, [None, later, later, None, lambda: leaves.take(held[1]), None], modes)

    ended = [(AuditWord.CAPTURE_PAUSED, awaiting.ENDED), ("in force", awaiting.ENDED), ("in force", "")]
    assert told == (ended if led else [])


async def test_a_gate_that_waits_for_its_organizations_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until somebody has its own trusted after all."""
    waits = [True]
    monkeypatch.setattr(awaiting, "waits_at", lambda certificate: certificate == "/ca.pem" and waits[0])
    own = ca.create(HOSTS, NOW)
    told = await _told(own, [None, None, lambda: waits.__setitem__(0, False)], ("transparent",))
    assert told == [(AuditWord.CAPTURE_PAUSED, awaiting.WAITS), ("in force", awaiting.WAITS), ("in force", "")]


async def test_a_gate_that_was_started_before_its_organizations_certificates_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it shows is what counts, not what lies in the file by now: nothing is led to it until it is started again."""
    own, root, file = ca.create(HOSTS, NOW), organization.new_root(HOSTS, "Acme", NOW), tmp_path / "ca.pem"
    file.write_bytes(own.pem)
    monkeypatch.setattr(awaiting, "waits_at", lambda _: not awaiting.installed_at(str(file)))

    def install() -> None:
        file.write_bytes(root.certificate.public_bytes(Encoding.PEM))

    told = await _told(own, [None, install, None], ("transparent",), file)

    assert [why for word, why in told if word == AuditWord.CAPTURE_PAUSED] == [awaiting.WAITS, awaiting.INSTALLED]
    assert told[-1] == ("in force", awaiting.INSTALLED)
    assert "restart" in awaiting.remedy_of(awaiting.INSTALLED)
