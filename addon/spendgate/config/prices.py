"""Where prices come from: genai-prices' bundled list, or a newer one that was fetched and kept.

Fetched politely: at most once a day, with `If-None-Match`, at a random minute, only where the policy says
`pricing.updates: daily`; the request carries nothing but our name. What arrives must parse and must still price what was
priced before (a malformed list once set prices to zero at a peer), else the last good one stays. Offline the last good one
is used and `status` shows its age.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path

import httpx2
from genai_prices.data_snapshot import DataSnapshot, get_snapshot

# genai-prices gives no public way to read a list from disk; the version is pinned below its next minor, and a test reads one.
from genai_prices.types import TieredPrices, _providers_from_raw
from genai_prices.update_prices import DEFAULT_UPDATE_URL

from spendgate.config.unfetched import unfetched
from spendgate.digest import Prices
from spendgate.errors import StateError
from spendgate.money import NANOS_PER_DOLLAR
from spendgate.pricing import PriceBook

LIST_BYTES_MAX = 16 * 1024 * 1024
"""genai-prices' list is about 3 MB of JSON."""
INTERVAL = timedelta(days=1)
KEPT_SHARE = 0.9
"""A new list must still know nine tenths of the models that the old one priced."""


def list_names() -> tuple[str, ...]:
    """The words that a policy's `capture.hosts[].prices` may use: genai-prices' providers."""
    return tuple(sorted(provider.id for provider in get_snapshot().providers))


def listed_models() -> dict[str, tuple[str, ...]]:
    """The models of each of genai-prices' providers, as it calls them."""
    return {provider.id: tuple(model.id for model in provider.models) for provider in get_snapshot().providers}


def least_prices(at: datetime) -> tuple[int, int]:
    """The least that any model's input and output cost, of what costs anything: nano-dollars for a million tokens."""
    listed = [model.get_prices(at, None) for provider in get_snapshot().providers for model in provider.models]
    return _least(price.input_mtok for price in listed), _least(price.output_mtok for price in listed)


def _least(prices: Iterable[Decimal | TieredPrices | None]) -> int:
    plain = (each.base if isinstance(each, TieredPrices) else each for each in prices)
    return int(min((each for each in plain if each), default=Decimal()) * NANOS_PER_DOLLAR)


@dataclass(frozen=True, slots=True)
class Fetched:
    """What is known of the kept list."""

    etag: str | None
    fetched_at: datetime
    package: str


class PriceStore:
    """Keeps the last good price list in `folder`. Methods raise StateError with the place and the remedy."""

    def __init__(self, folder: Path, *, url: str = DEFAULT_UPDATE_URL) -> None:
        self._list = folder / "prices.json"
        self._about = folder / "prices.about.json"
        self._url = url

    def book(self) -> PriceBook:
        """The newest good prices on this disk: the kept list, unless genai-prices itself has been updated since."""
        about = self._read_about()
        if about is None or about.package != _package():
            return PriceBook(origin=_package())
        try:
            snapshot = _parse(self._list.read_bytes())
        except (OSError, StateError):
            return PriceBook(origin=_package())
        return PriceBook(snapshot, as_of=about.fetched_at, origin=f"list {about.fetched_at:%Y-%m-%d}")

    def due(self, now: datetime) -> bool:
        """Whether a day has passed since the last fetch."""
        about = self._read_about()
        return about is None or about.package != _package() or now - about.fetched_at >= INTERVAL

    async def refresh(self, now: datetime, client: httpx2.AsyncClient | None = None) -> PriceBook | None:
        """Fetch the list if it changed; None when it did not. Raises StateError: the last good one stays in use."""
        about = self._read_about()
        headers = {"user-agent": "spendgate"}
        if about is not None and about.etag and about.package == _package():
            headers["if-none-match"] = about.etag
        try:
            async with client or httpx2.AsyncClient(timeout=20, follow_redirects=False) as http:
                body, etag = await _get(http, self._url, headers)
        except httpx2.HTTPError as error:
            raise StateError(f"prices could not be fetched from {self._url}: {unfetched(error)}") from error
        if body is None:
            self._keep(None, about.etag if about else None, now)
            return None
        snapshot = _parse(body)
        _still_prices(snapshot, get_snapshot())
        self._keep(body, etag, now)
        return self.book()

    def _keep(self, body: bytes | None, etag: str | None, now: datetime) -> None:
        try:
            if body is not None:
                _write(self._list, body)
            about = {"etag": etag, "fetched_at": now.isoformat(), "package": _package()}
            _write(self._about, json.dumps(about).encode())
        except OSError as error:
            raise StateError(f"{self._list}: prices could not be kept: {error.strerror}") from error

    def _read_about(self) -> Fetched | None:
        try:
            about = json.loads(self._about.read_text())
            return Fetched(about["etag"], datetime.fromisoformat(about["fetched_at"]), about["package"])
        except (OSError, ValueError, KeyError, TypeError):
            return None


def next_fetch(now: datetime, about_due: bool, pick: Callable[[float, float], float] = random.uniform) -> float:
    """Seconds until the next try: soon when due, else within the hour; random, so that a fleet does not ask at once."""
    return pick(5, 60) if about_due else pick(1800, 3600)


async def _get(http: httpx2.AsyncClient, url: str, headers: dict[str, str]) -> tuple[bytes | None, str | None]:
    async with http.stream("GET", url, headers=headers) as response:
        if response.status_code == 304:
            return None, None
        if response.status_code != 200:
            raise StateError(f"prices could not be fetched from {url}: HTTP {response.status_code}")
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > LIST_BYTES_MAX:
                raise StateError(f"the price list at {url} is larger than {LIST_BYTES_MAX} bytes")
        return bytes(body), response.headers.get("etag")


def _parse(body: bytes) -> DataSnapshot:
    try:
        raw = json.loads(body)
        if not isinstance(raw, list):
            raise TypeError("not a list of providers")
        return DataSnapshot(_providers_from_raw(raw), from_auto_update=False)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise StateError(f"the price list does not parse: {type(error).__name__}") from error


def _still_prices(new: DataSnapshot, old: DataSnapshot) -> None:
    known = {(provider.id, model.id) for provider in new.providers for model in provider.models}
    before = {(provider.id, model.id) for provider in old.providers for model in provider.models}
    if len(before & known) < KEPT_SHARE * len(before):
        raise StateError(
            f"the fetched price list misses {len(before - known)} of {len(before)} models; kept the last good one"
        )


def _write(path: Path, body: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(body)
    os.replace(part, path)  # noqa: PTH105 - Path.replace is the same call; this one says atomic


def _package() -> str:
    return f"genai-prices {version('genai-prices')}"


def said(book: PriceBook, now: datetime) -> Prices:
    """The same for a digest, with the days."""
    return Prices(age(book, now), None if book.as_of is None else (now.astimezone(UTC) - book.as_of).days)


def age(book: PriceBook, now: datetime) -> str:
    """How old the prices are, for `status`."""
    if book.as_of is None:
        return f"{book.origin}, as shipped"
    days = (now.astimezone(UTC) - book.as_of).days
    return f"{book.origin}, {days} day{'' if days == 1 else 's'} old"
