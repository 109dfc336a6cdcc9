"""From a flow's request to what the dialects read: which provider it is for, and what it asks."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Generator, Iterator
from itertools import chain
from typing import Protocol

from mitmproxy import http
from msgspec.structs import replace

from spendgate.capture.passage import headers_of
from spendgate.capture.plain_heads import names_in
from spendgate.capture.scope import CANARY_HOST, folded, host_of
from spendgate.errors import WireError
from spendgate.model_names import family
from spendgate.providers import cased
from spendgate.providers.ask import Ask
from spendgate.providers.base import asked_also
from spendgate.providers.client import sender
from spendgate.providers.decoding import decode_body
from spendgate.providers.interface import Dialect, Head, Route
from spendgate.providers.spoken import Spoken

OFF_LOOP_BYTES = 16 * 1024
"""An encoded body longer than this is decoded beside the loop."""
TURN_S = 0.0005
"""How long a long body is read before the loop has its turn, and the one step that is under way then, of some 0.2 ms."""
TOLD_S = 1.0
"""The longest that a request waits for another one, which its client sends at the same time."""
TOLD_STEP_S = 0.005
LEFT_BEHIND = "its host is captured no longer"
"""Flag of a request on a connection that an earlier policy had decrypted."""
UNREADABLE = Ask(opaque_input=True, output_tokens_max=None, loops=True)
"""What is asked cannot be read: no known model, no bound."""


class Registry(Protocol):
    """The providers whose traffic is metered."""

    def host(self, name: str, /) -> object | None:
        """None: no provider of ours."""
        ...

    def route(self, head: Head, /) -> Route: ...

    def dialect(self, name: str, /) -> Dialect: ...


def head_of(flow: http.HTTPFlow, registry: Registry) -> Head | None:
    """The request's head under the name of the provider that it is for; None: for no provider.

    The name in the request comes first, since providers route by it; then the one that the connection was decrypted for.
    """
    request, headers = flow.request, headers_of(flow.request)
    first = (host_of(name) for name in (_authority(request), headers.get("host"), flow.client_conn.sni) if name)
    for host in chain(first, asked_hosts(request)):
        if host and registry.host(host) is not None:
            path, _, query = request.path.partition("?")
            return Head(request.method, host, path, query, headers)
    return None


def asked_hosts(request: http.Request) -> Iterator[str]:
    """Every host that a server may take this request to be for: where it goes, its target's, and whatever stands in a Host."""
    yield host_of(request.host)
    yield from names_in(request.data.authority)
    for name, value in request.headers.fields:
        if name.lower() == b"host":
            yield from names_in(value)


def misdirected(flow: http.HTTPFlow, head: Head, registry: Registry) -> bool:
    """Whether a request names one provider and its connection another: which of them will answer, and bill, is not known here."""
    request = flow.request
    named = [_authority(request), flow.client_conn.sni, request.host, *(head.headers.get("host") or "").split(", ")]
    if "://" in head.path:
        named.append(head.path.partition("://")[2].partition("/")[0])  # HTTP/2 carries any target
    hosts = {host_of(name) for name in set(named) if name}
    return any(host != head.host and registry.host(host) is not None for host in hosts)


_ENDS = re.compile(rb"[\r\n\0]")


def ambiguous(request: http.Request) -> bool:
    """Whether a field's value holds what ends it for another reader: a CR alone, a NUL, a folded line. mitmproxy passes them on,
    and what its provider then takes for a length, or for a second request, is not what was metered (RFC 9110, 5.5; 9112, 5.2)."""
    return _ENDS.search(b"".join([value for _, value in request.headers.fields])) is not None


def left_behind(flow: http.HTTPFlow, registry: Registry) -> bool:
    """Whether its connection was decrypted for a host that the policy names no longer. Nothing on it is to be read, or to pass
    unread: the next connection is tunnelled."""
    client = flow.client_conn
    name = folded(client.sni) if client.tls_established and client.sni else None
    return name is not None and name != CANARY_HOST and registry.host(name) is None


def _authority(request: http.Request) -> str:
    """The request's own, mostly empty over HTTP/1: reading nothing costs as much as reading a name."""
    return request.authority if request.data.authority else ""


async def ask_of(
    request: http.Request, head: Head, dialect: Dialect | None, route: Route, begun: bytes | None = None
) -> Ask:
    """What a billable request asks for; `UNREADABLE` with the sender's claims where its body cannot be read.

    `begun`: the beginning of a body that is still open, which has no content-encoding of its own.

    A long body is decoded and read in steps, so that nobody else's stream stands still meanwhile.
    """
    body = begun if begun is not None else request.raw_content or b""
    encoding = request.headers.get("content-encoding") if begun is None else None
    try:
        if encoding and len(body) > OFF_LOOP_BYTES:
            body = await asyncio.to_thread(decode_body, encoding, body, bytes_max=route.body_bytes_max)
        elif encoding:
            body = decode_body(encoding, body, bytes_max=route.body_bytes_max)
        if dialect is None:
            raise WireError("no dialect")
        ask = await in_steps(cased.asking(dialect, head, body) if route.own else dialect.asking(head, body))
        if route.model is None or ask.model is None or family(ask.model) == family(route.model):
            return replace(ask, model=route.model or ask.model)
        # What a path names is what answers, but gateways differ in which of the two they obey.
        return asked_also(replace(ask, model=route.model), (ask.model,))
    except WireError:
        # A handshake without a body asks for nothing yet: each message on it will, and is bounded or not by itself.
        said = Ask() if route.websocket and not body else UNREADABLE
        return replace(claimed(head, said), model=route.model, text_bytes=len(body))


async def told(spoken: Spoken, begun: bytes, gone: Callable[[], bool]) -> None:
    """Wait for the request beside this one that says what is asked. Bounded: without it, it is asked for something unknown."""
    until_s = time.monotonic() + TOLD_S
    while not spoken.ready(begun) and time.monotonic() < until_s and not gone():  # noqa: ASYNC110 - a dialect has no loop
        await asyncio.sleep(TOLD_STEP_S)


async def in_steps[T](steps: Generator[None, None, T], clock_s: Callable[[], float] = time.perf_counter) -> T:
    """What the steps return in the end; the loop runs again after so many of them as fit into `TURN_S`."""
    until_s = clock_s() + TURN_S
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: T = end.value
            return found
        if clock_s() >= until_s:
            await asyncio.sleep(0)
            until_s = clock_s() + TURN_S


def claimed(head: Head, ask: Ask) -> Ask:
    """`ask` with what the request's head alone says of its sender."""
    return replace(ask, **sender(head))
