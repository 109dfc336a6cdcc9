"""An enrolment office against who is slow, many, or too often refused; and a laptop against an office that is none."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime as dt
import ssl
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from spendgate.capture import issued_files, organization
from spendgate.config.paths import State, prepare
from spendgate.config.policy_url import Way
from spendgate.enrolment import asking, laptop, messages, server
from spendgate.enrolment.asking import Line, Refused, Unasked, office
from spendgate.enrolment.books import Books
from spendgate.enrolment.credentials import Credential, Device, Refuse, hashed, name_of, new_secret, proof_of, spki
from spendgate.enrolment.laptop import Enrolment, Wish
from spendgate.enrolment.office import Office
from spendgate.errors import StateError
from spendgate.standin.certificates import made

NOW = datetime.now(UTC).replace(microsecond=0)
HOSTS = ("api.anthropic.com", "api.openai.com")
ROOT = organization.new_root(HOSTS, "Acme", NOW)
CHAIN, CA = made(("localhost",), dt.datetime.now(dt.UTC))


def trusting() -> ssl.SSLContext:
    return ssl.create_default_context(cadata=CA.decode())


@pytest.fixture(name="tls")
def _tls(tmp_path: Path) -> ssl.SSLContext:
    """The server's."""
    (tmp_path / "server.pem").write_bytes(CHAIN)
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.load_cert_chain(tmp_path / "server.pem")
    return found


class Room:
    """An office that is open here."""

    def __init__(self, folder: Path) -> None:
        self.said: list[str] = []
        self.books = Books(folder / "enrolment.db")
        self.door = server.Door(
            Office(ROOT, self.books, timedelta(days=30)), self.said.append, lambda: datetime.now(UTC)
        )
        self.sockets = server.listening("127.0.0.1", 0)
        self.port = int(self.sockets[0].getsockname()[1])

    @property
    def line(self) -> Line:
        return Line(f"https://localhost:{self.port}", tls=trusting)

    def secret(self, uses: int = 99) -> str:
        found = new_secret()
        with self.books.open() as page:
            page.make(Credential(name_of(hashed(found)), None, uses, 0, 2**50), hashed(found))
        return found

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)


@contextlib.asynccontextmanager
async def room(folder: Path, tls: ssl.SSLContext) -> AsyncIterator[Room]:
    found = Room(folder)
    async with server.serving(found.door, found.sockets, tls):
        yield found


def body(device: str) -> bytes:
    return messages.body_of(organization.new_request(device, organization.new_key()))[1]


@pytest.mark.parametrize("bound", ["PATIENCE_S", "QUESTION_S"])
async def test_who_is_slow_is_ended_and_keeps_nobody_out(
    tmp_path: Path, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    """Before TLS, in the head, and in the body, by either bound; more connections than one address has are closed at once."""
    monkeypatch.setattr(server, bound, 1.0)
    monkeypatch.setattr(server, "CONNECTIONS_EACH", 4)
    async with room(tmp_path, tls) as found:
        head = f"POST {messages.ENROLL} HTTP/1.1\r\nHost: x\r\n"
        slow = [await found.connect() for _ in range(2)]
        for sent in (head, f"{head}Content-Length: 100\r\n\r\nAAAA"):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", found.port, ssl=trusting(), server_hostname="localhost"
            )
            writer.write(sent.encode())
            slow.append((reader, writer))
        await slow[-1][1].drain()
        slow.append(await found.connect())  # one too many
        assert [await _rest(*each) for each in reversed(slow)] == [b""] * 5
        monkeypatch.setattr(server, bound, 60.0)
        answer = await found.line.ask(messages.ENROLL, "ann", found.secret(), body("ann"))
        assert messages.bundle_of(answer)


async def _rest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """What comes until the other side ends it."""
    try:
        return await reader.read()
    except (ConnectionError, ssl.SSLError):
        return b""
    finally:
        writer.close()


async def test_who_was_refused_too_often_is_not_heard_for_a_minute(
    tmp_path: Path, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with a credential that is good; and the log has a line for each that was heard, without what was shown."""
    monkeypatch.setattr(server, "REFUSALS_A_MINUTE", 3)
    async with room(tmp_path, tls) as found:
        clock = [datetime(2026, 11, 29, 12, 0, 30, tzinfo=UTC)]
        found.door.now = lambda: clock[0]
        good = found.secret()

        async def status(secret: str) -> int:
            try:
                await found.line.ask(messages.ENROLL, "ann", secret, body("ann"))
            except Refused as no:
                return no.status
            return 200

        assert [await status("guess") for _ in range(4)] == [401, 401, 401, 429]
        assert await status(good) == 429
        clock[0] += timedelta(seconds=30)
        monkeypatch.setattr(server, "WAITING_MOST", 0)
        assert await status(good) == 503
        assert found.said == ["refused (401): this credential is not known, for ann at 127.0.0.1"] * 3


async def test_a_device_is_not_issued_to_without_an_end(tmp_path: Path, tls: ssl.SSLContext) -> None:
    """Ten times in a day, by whatever it shows."""
    async with room(tmp_path, tls) as found:
        for _ in range(10):
            with found.books.open() as page:
                page.make(Credential(name_of(hashed(one := new_secret())), "ann", 1, 0, 2**50), hashed(one))
            await found.line.ask(messages.ENROLL, "ann", one, body("ann"))
        with found.books.open() as page:
            page.make(Credential(name_of(hashed(one := new_secret())), "ann", 1, 0, 2**50), hashed(one))
        with pytest.raises(Refused, match="10 times in a day"):
            await found.line.ask(messages.ENROLL, "ann", one, body("ann"))


def test_an_old_copy_of_the_key_uses_up_nothing_of_the_right_one(tmp_path: Path) -> None:
    """However often it asks, from how many addresses; its lines end at ten for an address and a hundred in all."""
    desk = Office(ROOT, Books(tmp_path / "enrolment.db"), timedelta(days=45))
    first, second, third = (organization.new_key() for _ in range(3))

    def renew(old: ec.EllipticCurvePrivateKey, new: ec.EllipticCurvePrivateKey, address: str) -> str:
        der, _ = messages.body_of(organization.new_request("ann", new))
        found = desk.renew(messages.Question("ann", proof_of(old, der), der), address, NOW)
        return found.why if isinstance(found, Refuse) else found.line.what

    with desk.books.open() as page:
        page.put(Device("ann", spki(first.public_key()), int(NOW.timestamp() * 1000) + 10**9))
    assert renew(first, second, "10.0.0.1") == "renewed"
    said = {renew(first, third, f"10.0.1.{at // 12}") for at in range(144)}
    assert said == {"this device's key was renewed by another who has it"}
    assert renew(second, third, "10.0.0.1") == "renewed"
    with desk.books.open() as page:
        assert Counter(each.address for each in page.lines()) == Counter(
            {"10.0.0.1": 2} | {f"10.0.1.{at}": 10 for at in range(10)}
        )


async def test_a_renewal_takes_another_key_and_an_answer_that_was_lost(tmp_path: Path, tls: ssl.SSLContext) -> None:
    """A whole life again, also a shorter one; a question whose answer was lost is answered again, to no later end."""
    state = prepare(State(tmp_path / "state"))
    async with room(tmp_path, tls) as found:
        first = await laptop.enrol(state, found.line, Wish("ann", ROOT.pem, HOSTS), found.secret(), NOW)
        assert laptop.kept(state) == Enrolment(found.line.url, "ann")
        found.door.office = replace(found.door.office, life=timedelta(days=5))
        der, asked = messages.body_of(organization.new_request("ann", issued_files.requested(state)))
        await found.line.ask(messages.REENROLL, "ann", proof_of(first.key, der), asked)  # nobody sees this answer
        found.door.office = replace(found.door.office, life=timedelta(days=60))
        second = await laptop.renew(state, found.line, "ann", NOW)
        third = await laptop.renew(state, found.line, "ann", NOW)
        with found.books.open() as page:
            assert [each.what for each in page.lines()] == ["enrolled", "renewed", "answered again", "renewed"]
    assert len({each.key.private_numbers().private_value for each in (first, second, third)}) == 3
    assert [(each.term.dies - NOW).days for each in (first, second, third)] == [30, 5, 60]
    assert issued_files.load(state).key.public_key() == third.key.public_key()


async def test_an_office_that_cannot_sign_uses_no_credential(tmp_path: Path, tls: ssl.SSLContext) -> None:
    """The root's end comes first: its owner is told, who asks is to ask again, and is answered once it can."""
    async with room(tmp_path, tls) as found:
        good, secret = found.door.office, found.secret(1)
        found.door.office = replace(good, root=organization.new_root(HOSTS, "Acme", NOW - timedelta(days=3640)))
        with pytest.raises(Refused, match="HTTP 503: this cannot be answered now"):
            await found.line.ask(messages.ENROLL, "ann", secret, body("ann"))
        assert "failed: the root itself ends on" in found.said[0]
        found.door.office = good
        assert await found.line.ask(messages.ENROLL, "ann", secret, body("ann"))


async def test_the_office_is_asked_through_the_upstream_proxy(tmp_path: Path, tls: ssl.SSLContext) -> None:
    """With its password, which the office does not see, as the office's credential is not seen by the proxy."""
    heard: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    upstream = await asyncio.start_server(proxy, "127.0.0.1", 0)
    way = Way(f"http://127.0.0.1:{upstream.sockets[0].getsockname()[1]}", ("alice", "secret"))
    async with upstream, room(tmp_path, tls) as found:
        with pytest.raises(Unasked, match="the upstream proxy does not let it through"):
            await replace(found.line, way=way).ask(messages.ENROLL, "ann", found.secret(), body("ann"))
    assert heard[0].startswith(f"CONNECT localhost:{found.port} ".encode())
    assert b"Basic YWxpY2U6c2VjcmV0" in heard[0]
    assert b"pkcs10" not in heard[0]


def test_several_offices_on_one_folder_use_a_token_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has the books open by itself, as another process would; who comes while one signs waits, and is refused."""
    signs = organization.bundle
    monkeypatch.setattr(organization, "bundle", lambda *args: (time.sleep(0.3), signs(*args))[1])
    offices = [Office(ROOT, Books(tmp_path / "enrolment.db"), timedelta(days=9)) for _ in range(4)]
    secret, gate = new_secret(), Barrier(len(offices))
    with offices[0].books.open() as page:
        page.make(Credential(name_of(hashed(secret)), None, 1, 0, 2**50), hashed(secret))

    def ask(at: int) -> str:
        der, _ = messages.body_of(organization.new_request(f"l-{at}", organization.new_key()))
        gate.wait()
        found = offices[at].enrol(messages.Question(f"l-{at}", secret, der), "x", NOW)
        return found.why if isinstance(found, Refuse) else found.line.what

    with ThreadPoolExecutor(len(offices)) as many:
        assert sorted(many.map(ask, range(len(offices)))) == ["enrolled"] + ["this credential is used up"] * 3


async def test_any_client_of_est_reads_the_answer(tmp_path: Path, tls: ssl.SSLContext) -> None:
    """Certs-only PKCS#7 in base64: openssl lists a leaf for each host, the issuer and the root."""
    async with room(tmp_path, tls) as found:
        answer = await found.line.ask(messages.ENROLL, "ann", found.secret(), body("ann"))
    words = ["openssl", "pkcs7", "-inform", "DER", "-print_certs", "-noout"]
    listed = subprocess.run(words, input=base64.b64decode(answer), capture_output=True, check=True).stdout.decode()
    assert listed.count("subject=") == len(HOSTS) + 3


def other(device: str = "ann", root: organization.Signer = ROOT) -> Callable[[State], bytes]:
    """An answer that somebody else signed, or to somebody else."""

    def answer(state: State) -> bytes:
        key = issued_files.requested(state).public_key()
        return messages.answer(organization.bundle(root, device, NOW, timedelta(days=30), key))

    return answer


def expired(state: State) -> bytes:
    old = organization.new_root(HOSTS, "Acme", NOW - timedelta(days=99))
    key = issued_files.requested(state).public_key()
    return messages.answer(organization.bundle(old, "ann", NOW - timedelta(days=50), timedelta(days=9), key))


BANK = organization.new_root((*HOSTS, "bank.example"), "Acme", NOW)
TYPE = f"content-type: {messages.ANSWER_TYPE}"


@pytest.mark.parametrize(
    ("head", "answer", "says"),
    [
        pytest.param("200 OK", other("bob"), "another device", id="another device"),
        pytest.param("200 OK", other(root=BANK), "which no policy here captures", id="a bank's name"),
        pytest.param(
            "200 OK", other(root=organization.new_root(HOSTS, "Acme", NOW)), "not of the root", id="another root"
        ),
        pytest.param(
            "200 OK",
            lambda _: messages.answer(organization.bundle(ROOT, "ann", NOW, timedelta(days=9), organization.new_key())),
            "not on this device",
            id="another key",
        ),
        pytest.param("200 OK", expired, "expired on", id="expired"),
        pytest.param("200 OK", lambda _: b"nonsense", "is no answer", id="nonsense"),
        pytest.param("200 OK", lambda _: b"", "is no answer", id="nothing"),
        pytest.param("200 OK", lambda _: b"A" * 4_000_000, "more than 3,000,000", id="too much"),
        pytest.param("302 Found\r\nlocation: https://evil.example/", lambda _: b"", "HTTP 302", id="a redirect"),
        pytest.param("500 Oh", lambda _: b"\x1b[2Jred\x07 words", r"HTTP 500: \[2Jred words", id="terminal sequences"),
    ],
)
async def test_a_laptop_takes_nothing_else_than_it_asked_for(
    tmp_path: Path, tls: ssl.SSLContext, head: str, answer: Callable[[State], bytes], says: str
) -> None:
    """Whoever answers; nothing is installed, and no other address is asked."""
    state = prepare(State(tmp_path / "state"))
    sent = answer(state)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(f"HTTP/1.1 {head}\r\n{TYPE}\r\ncontent-length: {len(sent)}\r\n\r\n".encode() + sent)
            await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with listening:
        line = Line(f"https://localhost:{listening.sockets[0].getsockname()[1]}", tls=trusting)
        with pytest.raises((StateError, Refused, Unasked), match=says):
            await laptop.enrol(state, line, Wish("ann", ROOT.pem, HOSTS), "secret", NOW)
    assert not state.leaves.exists()
    assert not state.enrolment.exists()


async def test_an_office_that_nobody_vouches_for_is_told_nothing(tmp_path: Path, tls: ssl.SSLContext) -> None:
    """Not the credential either: it is asked for after TLS."""
    async with room(tmp_path, tls) as found:
        stranger = Line(found.line.url, tls=ssl.create_default_context)
        with pytest.raises(Unasked, match="is not trusted"):
            await laptop.enrol(
                prepare(State(tmp_path / "s")), stranger, Wish("ann", ROOT.pem, HOSTS), found.secret(), NOW
            )
        assert not found.said


@pytest.mark.parametrize(
    "url",
    ["http://ca.example", "https://", "https://u:p@ca.example", "https://ca.example/x", "https://ca.example?x", "ca.example:1", "https://a:b"],
)  # fmt: skip
def test_an_office_is_a_host_over_https(url: str) -> None:
    """A credential is sent nowhere else."""
    with pytest.raises(ValueError, match="an office is https"):
        office(url)
    assert office("https://ca.example:8443/") == "https://ca.example:8443"


@pytest.mark.parametrize(
    ("address", "counts_as"),
    [("10.0.0.5", "10.0.0.5"), ("2001:db8::1", "2001:db8::/64"), ("2001:db8::f:1", "2001:db8::/64"),
     ("fe80::1%eth0", "fe80::/64")],
)  # fmt: skip
def test_who_has_a_network_counts_as_one(address: str, counts_as: str) -> None:
    """Bounds for an address hold for all that one machine may take."""
    assert server.whose(address) == counts_as


def test_where_it_is_enrolled_is_not_believed_blindly(tmp_path: Path) -> None:
    """What others may write, or is no enrolment, ends in a remedy."""
    state = prepare(State(tmp_path / "state"))
    assert laptop.kept(state) is None
    state.enrolment.write_text('{"url": "https://ca.example", "device": "ann"}')
    state.enrolment.chmod(0o600)
    assert laptop.kept(state) == Enrolment("https://ca.example", "ann")
    for odd in ('{"url": "http://ca.example", "device": "ann"}', '{"url": "https://ca.example"}', "[]", "{", '"x"'):
        state.enrolment.write_text(odd)
        with pytest.raises(StateError, match="enrol again"):
            laptop.kept(state)
    state.enrolment.chmod(0o644)
    with pytest.raises(StateError, match="can be used by other accounts"):
        laptop.kept(state)
    assert asking.ANSWER_S < asking.ALL_S
