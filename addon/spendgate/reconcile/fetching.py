"""Asking an API source: politely, resumably, and without its credential ever reaching disk, log or message.

Every page that was answered is kept in a folder of the state directory until the statement is whole, so that a run that was
cut off asks for the rest alone. A refusal for haste (429) and the faults of servers and networks are waited out with growing
pauses, or for as long as the server says (`haste`); anything else is told with the host, the page and what to do.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx2

from spendgate.errors import StateError, StatementError
from spendgate.reconcile.haste import MAYBE, haste, wait_told
from spendgate.reconcile.kept_pages import KeptPages
from spendgate.reconcile.sources.interface import ApiSource, Asking, Page, Request, Span
from spendgate.statement import Statement

PAGE_BYTES_MAX: Final = 64 << 20
_ATTEMPTS: Final = 6
_REFUSAL_BYTES: Final = 64 << 10
_TIMEOUT_S: Final = 60
_REMEDIES: Final = {
    401: "the credential is not accepted",
    403: "the credential may not read this",
    404: "there is no such report here: is it the right organization, and does its plan have this API?",
}


def _client() -> httpx2.Client:
    return httpx2.Client(timeout=_TIMEOUT_S, follow_redirects=False)


@dataclass(frozen=True, slots=True)
class Way:
    """What a run needs of the world; tests give their own."""

    sleep: Callable[[float], None] = time.sleep
    told: Callable[[str], None] = lambda _: None
    """Progress, one line each time, for the person who waits."""
    origin: str = ""
    """`http://127.0.0.1:PORT` in place of `https://` and the source's host: for tests."""
    client: Callable[[], httpx2.Client] = _client
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    """What a server's dates are held against; epoch milliseconds."""


def fetch(source: ApiSource, span: Span, credential: str, kept: Path, way: Way) -> Statement:
    """The span's statement. `kept` is a folder of its own for this source and span; it goes when all is there.

    Raises StatementError; StateError where a page cannot be kept.
    """
    try:
        kept.mkdir(parents=True, exist_ok=True, mode=0o700)
        with way.client() as http:
            run = _Run(http, source, credential, KeptPages(kept, span.until_ms, way.now_ms), way)
            statement = _all_of(source.ask(span), run)
        run.forget()
    except PermissionError:
        raise  # whose folder it is, the command line says
    except OSError as fault:
        raise StateError(f"{kept}: answers of {source.host} are kept there, and cannot be: {fault.strerror}") from fault
    return statement


def _all_of(asking: Asking, run: _Run) -> Statement:
    try:
        request = next(asking)
        while True:
            request = _take(asking, run.page(request), run)
    except StopIteration as done:
        statement: Statement = done.value
    return statement


def _take(asking: Asking, page: Page, run: _Run) -> Request:
    """What to ask next. Pages that the source cannot read are not kept: the next run asks for them anew."""
    try:
        return asking.send(page)
    except StatementError:
        run.forget()
        raise


class _Run:
    """One run: what has been asked, and what was kept of it."""

    def __init__(self, http: httpx2.Client, source: ApiSource, credential: str, kept: KeptPages, way: Way) -> None:
        self._http, self._source, self._kept, self._way = http, source, kept, way
        self._headers = source.headers(credential)
        self._number = 0
        self._asked = False

    def page(self, request: Request) -> Page:
        """The next page, from the folder where it is there from before."""
        self._number += 1
        before = self._kept.get(request)
        if before is not None:
            self._way.told(f"{self._place}: it is here from before")
            return Page(self._number, before)
        if self._asked:
            self._way.sleep(self._source.gap_ms / 1000)
        self._asked = True
        body = self._answer(request)
        self._kept.put(request, body)
        self._way.told(f"{self._place}: {len(body):,} bytes")
        return Page(self._number, body)

    def forget(self) -> None:
        """The statement is whole: nothing need be kept."""
        self._kept.forget()

    @property
    def _place(self) -> str:
        return f"{self._source.host} page {self._number}"

    def _answer(self, request: Request) -> bytes:
        why, wait = "", 0.0
        for attempt in range(_ATTEMPTS):
            if attempt:
                self._way.told(f"{self._place}: {why}; attempt {attempt + 1} of {_ATTEMPTS} in {wait:.0f} s")
                self._way.sleep(wait)
            try:
                done = self._attempt(request)
            except (httpx2.HTTPError, OSError) as fault:
                why, told = type(fault).__name__, None
            else:
                if isinstance(done, bytes):
                    return done
                why, told = done
            wait = 2.0**attempt if told is None else told
        raise StatementError(f"{self._place}: {why}, {_ATTEMPTS} times; run the command again, {self._goes_on}")

    def _attempt(self, request: Request) -> bytes | tuple[str, float | None]:
        """The body; or why there is none and for how many seconds the server wants to be left alone."""
        url = f"{self._way.origin or f'https://{self._source.host}'}{request.path}"
        with self._http.stream(request.method, url, content=request.body or None, headers=self._headers) as answer:
            status = answer.status_code
            if status == 200:
                return self._whole(answer)
            now_ms = self._way.now_ms()
            if status >= 500 or status == 408:  # a server that has waited too long for us is no better
                return f"status {status}", wait_told(answer.headers.get("retry-after"), now_ms)
            refused = haste(status, answer.headers, _beginning(answer) if status in MAYBE else b"", now_ms)
        if refused is None:
            remedy = _REMEDIES.get(status, "it does not take what was asked")
            raise StatementError(f"{self._place}: status {status}: {remedy} ({self._source.variable})")
        if refused.spent_until_ms is not None:
            until = datetime.fromtimestamp(refused.spent_until_ms / 1000, UTC)
            raise StatementError(
                f"{self._place}: status {status}: the limit of requests is spent until {until:%Y-%m-%d %H:%M:%S} UTC "
                f"({self._source.variable}); run the command again then, {self._goes_on}"
            )
        return f"status {status}", refused.wait_s

    @property
    def _goes_on(self) -> str:
        return f"it goes on from page {self._number}"

    def _whole(self, answer: httpx2.Response) -> bytes:
        body = bytearray()
        for chunk in answer.iter_bytes():
            body += chunk
            if len(body) > PAGE_BYTES_MAX:
                raise StatementError(f"{self._place}: more than {PAGE_BYTES_MAX >> 20} MB in one page")
        return bytes(body)


def _beginning(answer: httpx2.Response) -> bytes:
    """What a refusal says, as far as it comes and matters."""
    found = b""
    with suppress(httpx2.HTTPError, OSError):  # its status and headers are here
        for chunk in answer.iter_bytes():
            found += chunk
            if len(found) >= _REFUSAL_BYTES:
                break
    return found
