"""What a client sends without TLS, from head to head: whom each names, where it ends, and what passes."""

from __future__ import annotations

import hpack
import pytest

from spendgate.capture.coverage import Gap
from spendgate.capture.plain_heads import HEAD_BYTES_MAX, PREFACE, Head, Other, may_be, read_head
from spendgate.capture.plain_relay import Followed, Stop

OURS = "llm.acme.example"
GET = b"GET / HTTP/1.1\r\nHost: other.example\r\n\r\n"
ASKS = b"POST /v1 HTTP/1.1\r\nHost: llm.acme.example\r\ncontent-length: 2\r\n\r\n{}"


def followed(*parts: bytes) -> tuple[bytes, Followed]:
    """What passes of these parts, one after the other."""
    made = Followed(lambda host: host == OURS)
    return b"".join(made.take(part) for part in parts), made


def singly(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def frame(kind: int, flags: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + b"\0\0\0\x01" + payload


def fields(host: str) -> bytes:
    encoded: bytes = hpack.Encoder().encode([(":method", "POST"), (":path", "/v1"), (":authority", host)])
    return encoded


@pytest.mark.parametrize(
    ("head", "hosts"),
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: A.example:80\r\n\r\n", ("a.example", "80"), id="usual"),
        pytest.param(b"\r\nGET / HTTP/1.1\nhost:a.example\n\n", ("a.example",), id="blank lines and bare LF"),
        pytest.param(b"post / http/1.1\r\nHOST: a.example.\r\n\r\n", ("a.example",), id="in other cases"),
        pytest.param(b"GET http://b.example/x HTTP/1.1\r\n\r\n", ("b.example",), id="a whole URL"),
        pytest.param(
            b"GET http://u@b.example:8/ HTTP/1.1\r\nHost: a.example\r\nx: 1\r\nHost: c.example\r\n\r\n",
            ("a.example", "c.example", "u", "b.example", "8"),
            id="everybody who is named",
        ),
        pytest.param(b"CONNECT b.example:443 HTTP/1.1\r\n\r\n", ("b.example", "443"), id="CONNECT"),
        pytest.param(b"GET /?to=http://b.example/ HTTP/1.1\r\n\r\n", (), id="a name in a query is nobody's"),
        pytest.param(b"POST /v1\r\nHost: a.example\r\n\r\n", ("a.example",), id="without a version"),
    ],
)
def test_a_head_tells_whom_it_may_be_for(head: bytes, hosts: tuple[str, ...]) -> None:
    """Only when it is whole, with its size; until then a usual beginning is waited for."""
    assert read_head(head + b"more") == Head(len(head), hosts)
    assert [read_head(head[:at]) for at in range(len(head))] == [None] * len(head)
    assert may_be(head[:6])


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b" POST / HTTP/1.1\r\nHost: llm.acme.example\r\n\r\n", id="a space before it"),
        pytest.param(b"GET / HTTP/1.1\r\nx: 1\r\n Host: llm.acme.example\r\n\r\n", id="a folded line"),
        pytest.param(b"GET / HTTP/1.1\r\nHost : llm.acme.example\r\n\r\n", id="a space before the colon"),
        pytest.param(b"GET / HTTP/1.1\r\nx: 1\rHost: other.example\r\n\r\n", id="CR alone"),
        pytest.param(b"POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", id="two framings"),
        pytest.param(b"POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", id="two lengths"),
        pytest.param(b"POST / HTTP/1.1\r\ncontent-length: +1\r\n\r\n", id="a length that is no number"),
        pytest.param(b"POST / HTTP/1.1\r\ntransfer-encoding: xchunked\r\n\r\n", id="another coding"),
        pytest.param(b"POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n", id="chunks before HTTP/1.1"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * (HEAD_BYTES_MAX // 6), id="endless"),
    ],
)
def test_a_head_that_can_be_taken_in_two_ways_does_not_pass(head: bytes) -> None:
    """Nobody could tell where the next one begins. Where it names a host of ours, that is told."""
    found = read_head(head)
    assert isinstance(found, Head)
    assert not found.sure
    passes, made = followed(GET + head)
    assert passes == GET
    assert made.stop == Stop(OURS if OURS.encode() in head else None)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"SSH-2.0-OpenSSH_9.2 Debian\r\n", id="ssh"),
        pytest.param(b"NICK a\r\n", id="chat"),
        pytest.param(b"\x00\x01", id="binary"),
        pytest.param(b'{"a": "GET / HTTP/1.1"}\n', id="JSON"),
    ],
)
def test_what_is_no_request_is_told_at_once(sent: bytes) -> None:
    """By its first line, or its first byte."""
    assert read_head(sent) is Other.NO_HTTP


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(GET * 3, id="pipelined"),
        pytest.param(
            b"PUT / HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(ASKS) + ASKS + GET, id="a body like a request"
        ),
        pytest.param(
            b"PUT / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n%x;a=b\r\n%b\r\n0\r\nx: y\r\n\r\n" % (len(ASKS), ASKS)
            + GET,
            id="chunks and trailers",
        ),
        pytest.param(GET.replace(b"\r\n\r\n", b"\r\nupgrade: websocket\r\n\r\n") + b"\x81\x85" + ASKS, id="upgraded"),
        pytest.param(b"CONNECT a.example:443 HTTP/1.1\r\n\r\n\x16\x03\x01" + ASKS, id="TLS behind CONNECT"),
        pytest.param(b"NICK a\r\n" + ASKS, id="no HTTP"),
        pytest.param(b"ping", id="words without an end"),
        pytest.param(b"G", id="one letter"),
        pytest.param(PREFACE + frame(1, 4, fields("other.example")) + frame(0, 1, ASKS * 5), id="HTTP/2"),
    ],
)
def test_what_names_nobody_of_ours_passes_as_it_is(sent: bytes) -> None:
    """In one piece, and byte by byte; none of it waits for more."""
    for parts in ([sent], singly(sent)):
        passes, made = followed(*parts)
        assert passes == sent
        assert made.stop is None


@pytest.mark.parametrize(
    ("before", "asks", "gap"),
    [
        pytest.param(GET, ASKS, Gap.BEHIND_ANOTHER, id="kept alive"),
        pytest.param(b"PUT / HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc", ASKS, Gap.BEHIND_ANOTHER, id="behind a body"),
        pytest.param(
            b"PUT / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            ASKS,
            Gap.BEHIND_ANOTHER,
            id="behind chunks",
        ),
        pytest.param(
            GET.replace(b"\r\n\r\n", b"\r\nupgrade: x\r\n\r\n"), ASKS, Gap.BEHIND_ANOTHER, id="an upgrade refused"
        ),
        pytest.param(b"CONNECT a.example:80 HTTP/1.1\r\n\r\n", ASKS, Gap.BEHIND_ANOTHER, id="inside a tunnel"),
        pytest.param(PREFACE, frame(1, 4, fields(OURS)), Gap.NO_ALPN, id="HTTP/2"),
        pytest.param(
            PREFACE + frame(1, 4, fields("other.example")) + frame(0, 1, b"x"),
            frame(1, 0x2C, b"\x01" + b"\0" * 5 + fields(OURS) + b"\0"),
            Gap.NO_ALPN,
            id="HTTP/2, padded",
        ),
    ],
)
def test_a_later_head_that_names_one_does_not_pass(before: bytes, asks: bytes, gap: Gap) -> None:
    """The server never has the end of it, however it comes."""
    for parts in ([before + asks], [*singly(before), *singly(asks)]):
        passes, made = followed(*parts)
        assert made.stop == Stop(OURS, gap)
        assert passes.startswith(before)
        assert asks.startswith(passes.removeprefix(before))
        assert len(passes) <= len(before + b"POST ")  # which may be any word


@pytest.mark.parametrize(
    "rest",
    [
        pytest.param(b"x\r\n", id="no size"),
        pytest.param(b"1\r\nabc\r\n", id="more than its size"),
        pytest.param(b"0\r\nno field\r\n", id="no trailer"),
        pytest.param(b"1;" + b"x" * HEAD_BYTES_MAX, id="an endless line"),
    ],
)
def test_broken_chunks_do_not_pass(rest: bytes) -> None:
    """Where the body ends then is for each server to say."""
    _, made = followed(b"PUT / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n", rest)
    assert made.stop == Stop()


def test_an_end_in_a_head_is_judged_too() -> None:
    """Some servers take it for the head's end."""
    _, made = followed(GET, ASKS[:45])
    assert (made.end(), made.stop) == (b"", Stop(OURS))
    _, made = followed(b"GET / HT")
    assert (made.end(), made.stop) == (b"GET / HT", None)
