"""Show 9: hosts that are not providers are not read, and nothing odd on a provider connection gets past the meter."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sqlite3
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from end_to_end.canaries import CANARIES, leaks
from end_to_end.raw import trust, tunnel
from end_to_end.world import Gate, Provider, policy, running_gate, started_gate, until
from spendgate.capture.coverage import Gap

BODY = b'{"model":"claude-sonnet-4-6","max_tokens":10,"messages":[{"role":"user","content":"hi"}]}'
REQUEST = (
    b"POST /v1/messages HTTP/1.1\r\nhost: api.anthropic.com\r\nx-api-key: sk-ant-api03-x\r\ncontent-type: application/json\r\n"
    b"connection: close\r\ncontent-length: " + str(len(BODY)).encode() + b"\r\n\r\n" + BODY
)


class Bank(Provider):
    """A TLS server that is no provider: the stand-in's server under another name and authority."""

    NAMES = ("bank.example",)


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    running = Bank(tmp_path_factory.mktemp("bank"))
    yield running
    running.close()


def test_a_bystander_keeps_its_own_certificate(provider: Provider, bank: Bank, folder: Path) -> None:
    """The client sees the server's own certificate, byte for byte; nothing of the talk is in the state directory."""
    context = ssl.create_default_context(cadata=bank.ca.read_text())
    with (
        socket.create_connection(("127.0.0.1", bank.port), 60) as plain,
        context.wrap_socket(plain, server_hostname="bank.example") as own,
    ):
        expected = own.getpeercert(binary_form=True)
    option = ("--set", f"connect_to=bank.example=127.0.0.1:{bank.port}")
    with running_gate(folder, provider, policy(folder), *option) as gate:
        with tunnel(gate, "bank.example") as plain, context.wrap_socket(plain, server_hostname="bank.example") as wire:
            assert wire.getpeercert(binary_form=True) == expected
            wire.sendall(
                f"GET /api/{CANARIES['path']} HTTP/1.1\r\nhost: bank.example\r\nconnection: close\r\n\r\n".encode()
            )
            answer = b"".join(iter(lambda: wire.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 200")
        state = {str(file): file.read_bytes() for file in gate.state.rglob("*") if file.is_file()}
        assert gate.calls() == []
    assert leaks({**state, "output": bytes(gate.output)}) == []


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([b"\r\n" + REQUEST], id="a leading CRLF"),
        pytest.param([REQUEST[:1], REQUEST[1:]], id="one letter in a packet of its own"),
        pytest.param([b"\r", b"\n", REQUEST], id="CR and LF apart"),
        pytest.param([REQUEST[i : i + 1] for i in range(len(REQUEST))], id="every byte in a packet of its own"),
    ],
)
@pytest.mark.parametrize("alpn", [pytest.param(None, id="no ALPN"), pytest.param(["http/1.1"], id="ALPN")])
def test_odd_first_bytes_do_not_pass_the_meter(
    gate: Gate, provider: Provider, pieces: list[bytes], alpn: list[str] | None
) -> None:
    """Whatever reached the stand-in has a row; whatever has no row did not reach it."""
    context = trust(gate)
    if alpn:
        context.set_alpn_protocols(alpn)
    rows_before, served_before = {row["id"] for row in gate.calls()}, len(provider.served)
    with (
        tunnel(gate, "api.anthropic.com") as plain,
        context.wrap_socket(plain, server_hostname="api.anthropic.com") as wire,
    ):
        for piece in pieces:
            wire.sendall(piece)
            time.sleep(0.02 if len(pieces) < 9 else 0)
        wire.settimeout(60)
        answer = b""
        with contextlib.suppress(OSError):
            while data := wire.recv(65536):
                answer += data
    reached = [served.request_id for served in provider.served[served_before:] if served.billable]
    states = [gate.row(request_id)["state"] for request_id in reached]
    new = until(lambda: [row for row in gate.calls() if row["id"] not in rows_before] or None)
    assert len(reached) == (1 if b" 200 " in answer[:20] else 0)
    assert states == ["settled"] * len(reached)
    assert len(new) == 1, "a decrypted connection that spoke has a row, whatever it said"


async def test_a_socket_that_upgrades_elsewhere_is_not_a_way_round(gate: Gate, provider: Provider) -> None:
    """Bytes after a refused upgrade are HTTP again, or nothing."""
    context = trust(gate)
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
    writer.write(b"CONNECT api.openai.com:443 HTTP/1.1\r\nhost: api.openai.com:443\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    await writer.start_tls(context, server_hostname="api.openai.com")
    served_before = len(provider.served)
    writer.write(b"GET /v1/models HTTP/1.1\r\nhost: api.openai.com\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n")
    await writer.drain()
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    assert not head.startswith(b"HTTP/1.1 101")
    assert len(provider.served) - served_before <= 1


def test_a_host_of_the_policys_own_is_metered_by_its_address_too(folder: Path) -> None:
    """Plain HTTP, of which nothing may pass: whatever its head looks like, and behind whatever, the server never has it."""
    asks = (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: llm.acme.example\r\ncontent-length: 18\r\n\r\n"
        + b'{"model":"gpt-4o"}'
    )
    other = asks.replace(b"llm.acme.example", b"x.example")
    sent = {
        "by itself": asks,
        "a method in lower case": asks.replace(b"POST", b"post"),
        "a whole URL, another Host": other.replace(b"/v1", b"http://llm.acme.example/v1"),
        "two Hosts": other.replace(b"content", b"host: llm.acme.example\r\ncontent"),
        "a space before it": b" " + asks,
        "behind another host's": b"GET / HTTP/1.1\r\nhost: x.example\r\n\r\n" + asks,
    }
    rule = 'capture:\n  hosts:\n    - {host: llm.acme.example, dialect: openai}\nmodels: [{name: none, deny: ["*"]}]\n'
    heard: list[bytes] = []
    answers: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server, started_gate(folder, policy(folder, more=rule)) as gate:

        def listens() -> None:
            with contextlib.suppress(OSError):
                while True:
                    with server.accept()[0] as plain:
                        heard.append(b"".join(iter(lambda: plain.recv(65536), b"")))

        threading.Thread(target=listens, daemon=True).start()
        for at, request in enumerate(sent.values()):
            with tunnel(gate, "127.0.0.1", server.getsockname()[1]) as wire:
                wire.sendall(request.replace(b"gpt-4o", b"gpt-4%d" % at))  # each a refusal of its own
                answers.append(wire.recv(16))
        rows = until(lambda: found if len(found := gate.calls()) == 4 else None)
        counted = until(lambda: found if len(found := _coverage(gate)) == 2 else None)
        server.close()
    assert [(row["state"], row["host"]) for row in rows] == [("refused", "llm.acme.example")] * 4
    assert counted == {Gap.NOT_HTTP.value: 1, Gap.BEHIND_ANOTHER.value: 1}
    assert not any(b"/v1" in each for each in heard)
    assert [answer[9:12] for answer in answers] == [b"429"] * 4 + [b"400", b""]


def _coverage(gate: Gate) -> dict[str, int]:
    """How many connections to the host were not read, by why."""
    with contextlib.closing(
        sqlite3.connect(f"file:{gate.state / 'ledger.db'}?mode=ro", uri=True, timeout=30)
    ) as ledger:
        return dict(ledger.execute("SELECT reason, count FROM coverage WHERE host = 'llm.acme.example'"))
