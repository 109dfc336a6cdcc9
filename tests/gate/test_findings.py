"""What of the audit trail its owner hears: which lines, how loud, how often."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from spendgate.alerts import letter
from spendgate.audit_words import FINDINGS, AuditWord
from spendgate.config.policy_file import parse_policy
from spendgate.gate.findings import DAILY, TOLD, Findings, rows
from spendgate.ledger.audit_log import Line
from spendgate.ledger.ended_calls import EndedCalls
from spendgate.ledger.ledger import Ledger
from spendgate.ledger.noted import note_beside
from spendgate.ledger.outbox import Outbox, Trail
from spendgate.ledger.shared_connection import SharedConnection
from spendgate.policy import Policy

NOW_MS = 1_800_000_000_000
DAY_MS = 86_400_000


def policy(*purposes: str) -> Policy:
    """With a receiver for these."""
    entries = f"notify: [{{to: 'json://localhost', for: [{', '.join(purposes)}]}}]\n" if purposes else ""
    return parse_policy(f"version: 1\nowner: lead@acme.example\n{entries}".encode())


def line(word: AuditWord, position: int = 1, at_ms: int = NOW_MS, detail: str = "what was found") -> Trail:
    return Trail(position, at_ms, word.value, detail)


def test_the_words_are_known() -> None:
    """What is about the ledger is told each time, the rest once a day; nothing else is told here."""
    assert FINDINGS | DAILY == TOLD
    assert not FINDINGS & DAILY


@pytest.mark.parametrize("word", sorted(TOLD - {AuditWord.POLICY_REFUSED}))
def test_each_is_told(word: AuditWord) -> None:
    """With the word and the figures first, in whose name, and the command."""
    (row,) = rows(policy("page", "alert"), [line(word)], NOW_MS)
    assert row.text.startswith(f"{word.value}: what was found; ")
    assert (row.owner, row.person, row.again_ms) == ("lead@acme.example", None, None)
    assert (row.severity, row.command) == (
        ("page", "spendgate audit verify") if word in FINDINGS else ("alert", "spendgate audit list")
    )


@pytest.mark.parametrize(
    ("purposes", "finding", "daily"),
    [(("page",), "page", "page"), (("alert",), "alert", "alert"), (("notice", "digest"), "notice", "notice"),
     (("page", "notice"), "page", "page"), ((), "page", "alert"), (("digest",), "page", "alert")],
)  # fmt: skip
def test_it_reaches_whoever_there_is(purposes: tuple[str, ...], finding: str, daily: str) -> None:
    """A file that names receivers for one severity alone has them hear of it."""
    found = rows(policy(*purposes), [line(AuditWord.LEDGER_NEW), line(AuditWord.CLOCK_OFF, 2)], NOW_MS)
    assert [row.severity for row in found] == [finding, daily]


@pytest.mark.parametrize(
    ("detail", "told"),
    [("abc stays in force; 1 fault: signature", True), ("abc stays in force; 1 fault: revision", True),
     ("abc stays in force; 2 faults", False), ("abc stays in force; 1 fault: not fetched", False)],
)  # fmt: skip
def test_a_refused_policy_is_told_where_somebody_tampered(detail: str, told: bool) -> None:
    """A mistake is shown to whoever made it."""
    assert bool(rows(policy(), [line(AuditWord.POLICY_REFUSED, detail=detail)], NOW_MS)) is told


def test_a_rollback_hides_no_tampering_of_the_same_day(tmp_path: Path) -> None:
    """Somebody's lower number was told in the morning; a signature that does not fit is told as well, each once a day."""
    path = tmp_path / "ledger.db"
    Ledger.open(path, tmp_path / "gates", NOW_MS).close()
    for why in ("revision", "signature", "revision", "signature"):
        note_beside(path, Line(NOW_MS, AuditWord.POLICY_REFUSED, f"abc stays in force; 1 fault: {why}"))
    with closing(SharedConnection(path)) as shared:
        outbox = Outbox(shared)
        assert Findings(outbox).look(policy(), NOW_MS) == 2


def test_the_message_says_what_it_is_about(tmp_path: Path) -> None:
    """Its title has the finding, not the name of its kind; the command is no list of calls."""
    path = tmp_path / "ledger.db"
    Ledger.open(path, tmp_path / "gates", NOW_MS).close()
    note_beside(path, Line(NOW_MS, AuditWord.LEDGER_ALTERED, "link 7 is another one"))
    with closing(SharedConnection(path)) as shared:
        outbox = Outbox(shared)
        Findings(outbox).look(policy(), NOW_MS)
        outbox.route(1, ["json-1"], NOW_MS)
        [due] = outbox.due(NOW_MS, NOW_MS + 1, 5)
    assert letter.title(due) == "Spendgate page: ledger altered"
    said = letter.body(due, "lt-1")
    assert "More: spendgate audit verify" in said and "On the machine: lt-1" in said


@pytest.mark.parametrize("at_ms", [NOW_MS - 2 * DAY_MS, NOW_MS + 2 * DAY_MS, -(10**18), 10**18])
def test_a_clock_or_a_failure_of_another_day_is_over(at_ms: int) -> None:
    """Also where somebody wrote a time that is none; what was found about the ledger is told whenever it was."""
    assert rows(policy(), [line(AuditWord.GATE_FAILED, at_ms=at_ms)], NOW_MS) == []
    assert len(rows(policy(), [line(AuditWord.LEDGER_SHRUNKEN, at_ms=at_ms)], NOW_MS)) == 1


def test_what_was_acknowledged_is_not_told() -> None:
    """An old finding of a ledger that somebody has looked at; what comes after is."""
    trail = [line(AuditWord.LEDGER_NEW), line(AuditWord.ACKNOWLEDGED, 2), line(AuditWord.LEDGER_ALTERED, 3)]
    assert [row.value for row in rows(policy(), trail, NOW_MS)] == ["ledger altered"]


def test_each_once_whatever_dies(tmp_path: Path) -> None:
    """A gate that begins anew reads the whole trail, and writes none of it twice; a day's second failure is none."""
    path = tmp_path / "ledger.db"
    Ledger.open(path, tmp_path / "gates", NOW_MS).close()
    for word in (AuditWord.LEDGER_SHRUNKEN, AuditWord.GATE_FAILED, AuditWord.LEDGER_SHRUNKEN, AuditWord.GATE_FAILED):
        note_beside(path, Line(NOW_MS, word, "what was found"))
    with closing(SharedConnection(path)) as shared:
        outbox = Outbox(shared)
        first = Findings(outbox)
        assert first.look(policy(), NOW_MS) == 3
        assert first.look(policy(), NOW_MS) == 0
        assert Findings(outbox).look(policy(), NOW_MS) == 0
        note_beside(path, Line(NOW_MS, AuditWord.LEDGER_OTHER, "what was found"))
        assert first.look(policy(), NOW_MS) == 1
        assert len(EndedCalls(shared).told()) == 4
