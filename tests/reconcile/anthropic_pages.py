"""Answers of Anthropic's APIs, and a source whose requests are answered from a list of them."""

from __future__ import annotations

import json
from collections.abc import Iterable

from reconcile.asking import SPAN
from spendgate.reconcile.sources.interface import ApiSource, Page, Request, Span
from spendgate.statement import Statement


def asked_of(source: ApiSource, bodies: Iterable[bytes], span: Span = SPAN) -> tuple[Statement, list[Request]]:
    """What the source makes of these answers, and what it asked."""
    asking, asked = source.ask(span), []
    try:
        asked.append(next(asking))
        for number, body in enumerate(bodies, 1):
            asked.append(asking.send(Page(number, body)))
    except StopIteration as done:
        return done.value, asked
    raise AssertionError("it wants more pages than there are")


def page(*data: dict, **more) -> bytes:
    """An answer of Anthropic's."""
    return json.dumps({"data": data, "has_more": False, "next_page": None, **more}).encode()
