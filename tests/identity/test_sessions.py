"""Which session a call is in, where the client says so and where it does not."""

from __future__ import annotations

from spendgate.attribution import Evidence, Peer
from spendgate.identity.sessions import GAP_MS, Sessions
from spendgate.providers.ask import Claim

NOW = 1_795_000_000_000
MACHINE = "0123456789abcdef" * 2
NOBODY, PROCESS = Peer(), Peer(pid=7, started_ms=NOW)
ALICE = ("alice", "codex")


def _gap(sessions: Sessions, now_ms: int, who: tuple[str, str | None] = ALICE, machine: str = MACHINE) -> str | None:
    return sessions.of(Claim(), NOBODY, machine, who, now_ms).value


def test_the_clients_own_session_comes_first() -> None:
    """A claim is taken as it is, with where it was made."""
    claim = Claim("0d5e", Evidence.HEADER)

    assert Sessions().of(claim, PROCESS, MACHINE, ALICE, NOW) == claim


def test_else_the_process_is_the_session() -> None:
    """The same process is the same session however long it is quiet; the same pid later, or elsewhere, is another."""
    sessions = Sessions()
    first = sessions.of(Claim(), PROCESS, MACHINE, ALICE, NOW)

    assert first.evidence is Evidence.PROCESS
    assert sessions.of(Claim(), PROCESS, MACHINE, ALICE, NOW + 10 * GAP_MS) == first
    assert sessions.of(Claim(), Peer(pid=7, started_ms=NOW + 1000), MACHINE, ALICE, NOW) != first
    assert sessions.of(Claim(), PROCESS, "f" * 32, ALICE, NOW) != first


def test_else_a_gap_of_half_an_hour_ends_it() -> None:
    """The gap is counted from call to call; exactly 30 minutes is no gap."""
    sessions = Sessions()
    first = _gap(sessions, NOW)

    assert _gap(sessions, NOW + GAP_MS) == first
    assert _gap(sessions, NOW + 2 * GAP_MS) == first
    assert _gap(sessions, NOW + 3 * GAP_MS + 1) != first


def test_persons_tools_and_machines_have_their_own() -> None:
    """No session is shared by two of any of them."""
    sessions = Sessions()
    found = {
        _gap(sessions, NOW, who, machine)
        for who in (ALICE, ("alice", None), ("bob", "codex"))
        for machine in (MACHINE, "f" * 32)
    }

    assert len(found) == 6


def test_a_clock_set_back_neither_ends_nor_prolongs_a_session() -> None:
    """After the step the gap is counted from the last call on the new clock."""
    sessions = Sessions()
    first = _gap(sessions, NOW)
    back = NOW - 100 * GAP_MS

    assert _gap(sessions, back) == first
    assert _gap(sessions, back + GAP_MS + 1) != first


def test_what_is_remembered_is_bounded() -> None:
    """However many persons and tools there are, only the latest are kept."""
    sessions = Sessions()
    first = _gap(sessions, NOW)
    for number in range(5000):
        _gap(sessions, NOW, (f"p{number}", None))

    assert len(sessions._runs) == 4096
    assert _gap(sessions, NOW + 60_000) != first
