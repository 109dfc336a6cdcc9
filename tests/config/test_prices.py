"""Prices are fetched politely, kept, and never made worse by what arrives."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest

from spendgate.config.prices import PriceStore, age, next_fetch
from spendgate.errors import StateError
from spendgate.pricing import Charge, PriceBook
from spendgate.usage import Usage

NOW = datetime(2026, 11, 22, tzinfo=UTC)
MODEL = {"id": "new-model", "match": {"equals": "new-model"}, "prices": {"input_mtok": "2", "output_mtok": "10"}}


class Source(ThreadingHTTPServer):
    """A web server with one list, its tag, and a log of what was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.body, self.tag, self.status = b"[]", '"one"', 200
        self.asked: list[dict[str, str]] = []


class Handler(BaseHTTPRequestHandler):
    """Answers 304 to the tag it has."""

    server: Source

    def do_GET(self) -> None:
        """The list."""
        self.server.asked.append({name.lower(): value for name, value in self.headers.items()})
        unchanged = self.headers.get("if-none-match") == self.server.tag
        self.send_response(304 if unchanged else self.server.status)
        self.send_header("etag", self.server.tag)
        body = b"" if unchanged else self.server.body
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Quiet."""


@pytest.fixture
def source() -> Iterator[Source]:
    """A running source of prices."""
    with Source() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def store(source: Source, tmp_path: Path) -> PriceStore:
    """A store that asks it."""
    return PriceStore(tmp_path / "prices", url=f"http://127.0.0.1:{source.server_port}/data.json")


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a short list pass the check of what it still prices."""
    monkeypatch.setattr("spendgate.config.prices.KEPT_SHARE", 0)


def listing(*models: dict[str, object]) -> bytes:
    """A price list as genai-prices publishes it."""
    return json.dumps([{"id": "openai", "name": "OpenAI", "api_pattern": "x", "models": list(models)}]).encode()


async def test_a_new_list_is_used_and_kept(store: PriceStore, source: Source, whole: None) -> None:
    """What was fetched prices calls at once, and after a restart without the network."""
    source.body = listing(MODEL)

    book = await store.refresh(NOW)

    for found in (book, store.book()):
        assert found is not None
        assert found.price("openai", "new-model", Usage(input_tokens=1), at=NOW) == Charge(
            2000, "list 2026-11-22:openai/new-model"
        )
    assert age(store.book(), NOW + timedelta(days=3)) == "list 2026-11-22, 3 days old"


async def test_an_unchanged_list_is_not_sent_again(store: PriceStore, source: Source, whole: None) -> None:
    """The second request carries the tag, and nothing about us but a name."""
    source.body = listing(MODEL)
    await store.refresh(NOW)

    assert await store.refresh(NOW + timedelta(days=1)) is None

    assert source.asked[1]["if-none-match"] == '"one"'
    assert set(source.asked[1]) <= {"host", "user-agent", "accept", "accept-encoding", "connection", "if-none-match"}
    assert not store.due(NOW + timedelta(days=1, hours=1))
    assert store.due(NOW + timedelta(days=2, hours=1))


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        pytest.param(b"{}", 200, "does not parse", id="not a list"),
        pytest.param(b"[1", 200, "does not parse", id="broken"),
        pytest.param(b'[{"id": 3}]', 200, "does not parse", id="wrong shape"),
        pytest.param(b"[]", 200, "misses", id="empty"),
        pytest.param(b"", 500, "HTTP 500", id="server error"),
    ],
)
async def test_a_bad_list_changes_nothing(
    store: PriceStore, source: Source, body: bytes, status: int, why: str
) -> None:
    """One clear error; the prices in use stay."""
    source.body, source.status = body, status

    with pytest.raises(StateError, match=why):
        await store.refresh(NOW)

    assert store.book().as_of is None


async def test_a_list_without_end_is_cut_off(
    store: PriceStore, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list beyond the bound is refused while it arrives."""
    monkeypatch.setattr("spendgate.config.prices.LIST_BYTES_MAX", 1000)
    source.body = b"[" + b" " * 5000 + b"]"

    with pytest.raises(StateError, match="larger than"):
        await store.refresh(NOW)


async def test_offline_the_last_good_list_stays(tmp_path: Path) -> None:
    """Nobody listens: an error that names the place, and bundled prices still price."""
    store = PriceStore(tmp_path, url="http://127.0.0.1:9/data.json")

    with pytest.raises(StateError, match=r"127\.0\.0\.1:9"):
        await store.refresh(NOW, httpx2.AsyncClient(timeout=2))

    assert isinstance(store.book(), PriceBook)
    assert "as shipped" in age(store.book(), NOW)


def test_a_fleet_does_not_ask_at_once() -> None:
    """The next try is at a random moment within its bounds."""
    assert next_fetch(NOW, True, pick=lambda low, high: high) == 60
    assert next_fetch(NOW, False, pick=lambda low, high: low) == 1800
