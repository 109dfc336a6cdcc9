"""The driver of API sources, over real HTTP on loopback: it waits, retries, resumes, and keeps the credential to itself."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import httpx2
import pytest

from reconcile.server import Said, api
from reconcile.test_anthropic_analytics import SPAN, cost, page, usage
from spendgate.errors import StateError, StatementError
from spendgate.reconcile.fetching import Way, fetch
from spendgate.reconcile.kept_pages import KeptPages
from spendgate.reconcile.sources.anthropic_analytics import AnthropicAnalytics
from spendgate.statement import DAY_MS, Statement

SECRET = "sk-ant-admin01-not-for-anybodys-eyes"
NOW = 784_111_777_000
"""1994-11-06T08:49:37Z, RFC 9110's own example."""
PAGES = {1: page(cost("1.00"), has_more=True, next_page="two"), 2: page(cost("2.00")), 3: page(usage())}


class Run:
    """A run against a server, and what it did besides."""

    def __init__(self, folder: Path) -> None:
        self.kept, self.slept, self.told = folder / "imports" / "one", [], []

    def fetch(self, origin: str) -> Statement:
        way = Way(
            sleep=self.slept.append, told=self.told.append, origin=origin, client=lambda: httpx2.Client(timeout=0.5),
            now_ms=lambda: NOW,
        )  # fmt: skip
        return fetch(AnthropicAnalytics(), SPAN, SECRET, self.kept, way)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def by_words(path: str) -> bytes:
    """The page of a request, whenever it comes."""
    return PAGES[3] if "/usage?" in path else PAGES[2] if "page=two" in path else PAGES[1]


def test_all_pages_and_nothing_is_left(run: Run) -> None:
    with api(lambda path, _: Said(by_words(path))) as server:
        said = run.fetch(server.origin)
    assert [each.billed_nanos for each in said.lines] == [10_000_000, 20_000_000, None]
    assert {headers["x-api-key"] for _, headers, _ in server.asked} == {SECRET}
    assert run.slept == [1.0, 1.0], "what the provider's limits ask for between two requests"
    assert not run.kept.exists()


def test_refused_for_haste_it_waits_as_long_as_the_server_says(run: Run) -> None:
    def answer(path: str, number: int) -> Said:
        return Said(status=429, headers={"retry-after": "7"}) if number == 2 else Said(by_words(path))

    with api(answer) as server:
        said = run.fetch(server.origin)
    assert len(said.lines) == 3
    assert 7.0 in run.slept
    assert any("status 429; attempt 2 of 6 in 7 s" in each for each in run.told)


def test_a_date_is_waited_for_and_a_limit_that_is_soon_given_anew(run: Run) -> None:
    words = {
        2: Said(status=429, headers={"retry-after": "Sun, 06 Nov 1994 08:50:07 GMT"}),
        3: Said(status=403, headers={"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(NOW // 1000 + 90)}),
        4: Said(b'{"message": "You have exceeded a secondary rate limit."}', 403),
        5: Said(status=503, headers={"retry-after": "Sunday, 06-Nov-94 08:49:47 GMT"}),
    }
    with api(lambda path, number: words.get(number) or Said(by_words(path))) as server:
        assert len(run.fetch(server.origin).lines) == 3
    assert run.slept == [1.0, 30.0, 91.0, 60.0, 10.0, 1.0]


def test_a_spent_limit_says_when_to_come_back(run: Run) -> None:
    spent = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(NOW // 1000 + 3000)}
    again = r"page 2: status 403: the limit of requests is spent until 1994-11-06 09:39:37 UTC .* goes on from page 2"
    with (
        api(lambda path, _: Said(status=403, headers=spent) if "page=two" in path else Said(by_words(path))) as server,
        pytest.raises(StatementError, match=again),
    ):
        run.fetch(server.origin)
    assert len(server.asked) == 2, "it is not asked again"
    assert len(list(run.kept.glob("*.page"))) == 1


def test_after_the_last_attempt_nobody_waits(run: Run) -> None:
    with (
        api(lambda *_: Said(status=429, headers={"retry-after": "300"})) as server,
        pytest.raises(StatementError, match="status 429, 6 times"),
    ):
        run.fetch(server.origin)
    assert run.slept == [300.0] * 5
    assert len(server.asked) == 6


@pytest.mark.parametrize(
    "said", [Said(status=503), Said(status=408), Said(PAGES[2], cut=True)], ids=["503", "408", "cut off"]
)
def test_faults_of_servers_and_networks_are_tried_again(run: Run, said: Said) -> None:
    with api(lambda path, number: said if number in {2, 3} else Said(by_words(path))) as server:
        assert len(run.fetch(server.origin).lines) == 3
    assert run.slept[1:3] == [1.0, 2.0], "growing pauses"


def test_a_run_that_failed_goes_on_from_the_page_that_it_lacks(run: Run) -> None:
    again = r"page 2: status 500, 6 times; .* it goes on from page 2"
    with (
        api(lambda path, _: Said(status=500) if "page=two" in path else Said(by_words(path))) as server,
        pytest.raises(StatementError, match=again),
    ):
        run.fetch(server.origin)
    assert list(run.kept.glob("*.page"))
    with api(lambda path, _: Said(by_words(path))) as server:
        assert len(run.fetch(server.origin).lines) == 3
        assert ["page=two" in path for path, _, _ in server.asked] == [True, False], "the first page was here"
    assert not run.kept.exists()


@pytest.mark.parametrize(
    ("written_ms", "now_ms", "holds"),
    [
        (SPAN.until_ms - 1, SPAN.until_ms, False),
        (SPAN.until_ms - 2, SPAN.until_ms - 1, True),
        (SPAN.until_ms, SPAN.until_ms + DAY_MS, True),
        (SPAN.until_ms, SPAN.until_ms + DAY_MS + 1, False),
    ],
    ids=["from before the last day was over", "while it is not", "a day old", "older"],
)
def test_what_was_answered_long_ago_is_asked_anew(run: Run, written_ms: int, now_ms: int, holds: bool) -> None:
    """A day that was not over when its page came would be taken for whole."""
    run.kept.mkdir(parents=True)
    kept = KeptPages(run.kept, SPAN.until_ms, lambda: now_ms)
    first = next(AnthropicAnalytics().ask(SPAN))
    kept.put(first, b"{}")
    (file,) = run.kept.iterdir()
    os.utime(file, ns=(0, written_ms * 1_000_000))
    assert (kept.get(first) == b"{}") is holds


def test_a_page_that_cannot_be_kept_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with (
        api(lambda path, _: Said(by_words(path))) as server,
        pytest.raises(StateError, match="are kept there, and cannot be: No space left"),
    ):
        run.fetch(server.origin)


def test_pages_that_cannot_be_read_are_asked_for_anew(run: Run) -> None:
    with (
        api(lambda path, _: Said(b"{}" if "page=two" in path else by_words(path))) as server,
        pytest.raises(StatementError, match="page 2: 'data' is missing"),
    ):
        run.fetch(server.origin)
    assert not run.kept.exists()
    with api(lambda path, _: Said(by_words(path))) as server:
        assert len(run.fetch(server.origin).lines) == 3
        assert len(server.asked) == 3


def test_nobody_there_is_told_with_the_remedy(run: Run) -> None:
    with pytest.raises(StatementError, match="page 1: ConnectError, 6 times; run the command again"):
        run.fetch("http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("status", "words"), [(401, "not accepted"), (403, "may not read"), (404, "no such report"), (400, "does not take")]
)
def test_what_no_patience_mends_is_told_at_once_without_the_credential(run: Run, status: int, words: str) -> None:
    with api(lambda *_: Said(f"you sent {SECRET}".encode(), status=status)) as server:
        with pytest.raises(StatementError, match=words) as told:
            run.fetch(server.origin)
        assert len(server.asked) == 1
    assert "ANTHROPIC_ADMIN_KEY" in str(told.value)
    assert SECRET not in str(told.value) + "".join(run.told)


def test_the_credential_is_in_nothing_that_is_kept(run: Run) -> None:
    with (
        api(lambda path, _: Said(status=401) if "/usage?" in path else Said(by_words(path))) as server,
        pytest.raises(StatementError),
    ):
        run.fetch(server.origin)
    kept = [each.read_bytes() for each in run.kept.iterdir()]
    assert len(kept) == 2
    assert not any(SECRET.encode() in each for each in kept)
    assert all(each.stat().st_mode & 0o077 == 0 for each in run.kept.iterdir())


def test_a_redirect_is_not_followed(run: Run) -> None:
    away = Said(status=302, headers={"location": "http://127.0.0.1:9/"})
    with api(lambda *_: away) as server, pytest.raises(StatementError, match="status 302"):
        run.fetch(server.origin)
