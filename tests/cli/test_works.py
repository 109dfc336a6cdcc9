"""What the parts of a running gate tell each other."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

from spendgate.attribution import NOBODY, Peer
from spendgate.capture.coverage import CoverageEvent, Gap
from spendgate.cli.works import Works
from spendgate.policy import Policy


def test_what_was_not_read_is_its_accounts_after_its_connection_has_ended() -> None:
    """The meter knows open connections alone; who opened this one was found while it was."""
    counted: list[tuple[str, ...]] = []
    house = SimpleNamespace(in_force=SimpleNamespace(policy=Policy(owner="it@acme.example")))
    meter, gate = (
        SimpleNamespace(peer_of=lambda _: NOBODY),
        SimpleNamespace(uncovered=lambda *what: counted.append(what)),
    )
    works = cast(Works, SimpleNamespace(house=house, meter=meter, gate=gate))
    opened = Peer(uid=1000, account="alice", pid=7, process="codex", tool="codex")

    for peer in (opened, None):
        Works.uncovered(works, CoverageEvent("c1", "api.anthropic.com", Gap.AT_ADDRESS, peer))

    why = Gap.AT_ADDRESS.value
    assert counted == [("alice", "codex", "api.anthropic.com", why), ("unknown", "unknown", "api.anthropic.com", why)]
