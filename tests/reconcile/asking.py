"""Asking an API source: with answers by what was asked, in memory or over HTTP; and every fault of a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from reconcile.server import Said, api
from spendgate.errors import StatementError
from spendgate.reconcile.fetching import Way, fetch
from spendgate.reconcile.sources.interface import ApiSource, FileSource, Page, Request, Span
from spendgate.reconcile.sources.table import FILES
from spendgate.statement import DAY_MS, Statement

START = 1_795_132_800_000
"""2026-11-20T00:00:00Z."""
SPAN = Span(START, START + DAY_MS)
DAY = "2026-11-20"

Answer = Callable[[str, bytes], object]
"""What is answered to a path with its query, and a body: bytes, or what JSON is made of."""


def _bytes(said: object) -> bytes:
    return said if isinstance(said, bytes) else json.dumps(said).encode()


def ask(source: ApiSource, answer: Answer, span: Span = SPAN) -> tuple[Statement, list[Request]]:
    """What the source makes of these answers, and what it asked."""
    asking, asked = source.ask(span), []
    try:
        asked.append(next(asking))
        while len(asked) < 500:
            said = _bytes(answer(asked[-1].path, asked[-1].body))
            asked.append(asking.send(Page(len(asked), said)))
    except StopIteration as done:
        return done.value, asked
    raise AssertionError("it asks for ever")


def refused(source: ApiSource, answer: Answer, span: Span = SPAN) -> str:
    """Why nothing of these answers is taken."""
    with pytest.raises(StatementError) as fault:
        ask(source, answer, span)
    assert str(fault.value).startswith(f"{source.host}: ")
    return str(fault.value)


def fails_midway(source: ApiSource, answer: Answer, folder: Path, number: int, span: Span = SPAN) -> Statement:
    """Over HTTP: the request of this number breaks off each time; run again, only what is lacking is asked for."""
    kept = folder / "imports" / "one"
    way = Way(sleep=lambda _: None, client=lambda: httpx2.Client(timeout=5))

    def run(broken: bool) -> tuple[Statement | None, int]:
        bodies: list[bytes] = []

        def said(path: str, asked: int) -> Said:
            return Said(b'{"da', cut=True) if broken and asked >= number else Said(_bytes(answer(path, bodies[-1])))

        with api(lambda path, asked: (bodies.append(server.asked[-1][2]), said(path, asked))[1]) as server:
            there = Way(way.sleep, way.told, server.origin, way.client)
            try:
                return fetch(source, span, "a-credential-for-tests", kept, there), len(server.asked)
            except StatementError as fault:
                assert f"page {number}" in str(fault)
                assert "run the command again" in str(fault)
                return None, len(server.asked)

    nothing, _ = run(broken=True)
    assert nothing is None
    assert len(list(kept.glob("*.page"))) == number - 1
    whole, asked = run(broken=False)
    assert whole is not None
    assert not kept.exists()
    expected, requests = ask(source, answer, span)
    assert (whole, asked) == (expected, len(requests) - number + 1)
    return whole


def read(source: FileSource, text: str | bytes, origin: str = "export.csv") -> Statement:
    """A file that this source, and no other, says is its own."""
    data = text.encode() if isinstance(text, str) else text
    assert [each.name for each in FILES if each.recognises(data[: 64 << 10])] == [source.name]
    return source.read(data, origin)


def faults(source: FileSource, text: str | bytes) -> str:
    """Why nothing of this file is taken."""
    with pytest.raises(StatementError) as fault:
        source.read(text.encode() if isinstance(text, str) else text, "export.csv")
    assert all(each.startswith("export.csv: ") for each in fault.value.faults)
    return str(fault.value)
