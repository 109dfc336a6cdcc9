"""A policy from a URL, over real TLS: what is new is taken, what is wrong is told, and the last good one goes on."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.signing import STRANGER, TRUST, put, sign, text
from policy_server import PolicyServer, policy_server
from spendgate.config import policy_url
from spendgate.config.bundle import Fetched
from spendgate.config.last_good import InForce, LastGood
from spendgate.config.paths import State, prepare
from spendgate.config.policy_url import PolicyUrl, Poll, Way, named
from spendgate.errors import PolicyError


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PolicyServer]:
    """Gives out revision 42 with people.yaml."""
    with policy_server(tmp_path) as running:
        put(tmp_path / "etc", text(includes=True))
        running.give(tmp_path / "etc")
        yield running


@pytest.fixture
def state(tmp_path: Path) -> State:
    """A prepared state directory."""
    return prepare(State(tmp_path / "state"))


def asking(server: PolicyServer, way: Way | None = None, *, trusting: bool = True) -> PolicyUrl:
    """What asks it; the server's authority stands for the system's trust store."""
    ca = server.ca if trusting else None
    return PolicyUrl(server.url, TRUST, way or Way(), tls=lambda: ssl.create_default_context(cafile=ca))


async def started(server: PolicyServer, state: State) -> tuple[Poll, list[InForce], PolicyUrl]:
    """A gate's follower with revision 42 in force, and what it was told since."""
    url = asking(server)
    kept = LastGood(state, TRUST)
    found = await url.fetch()
    assert found is not None
    told: list[InForce] = []
    return Poll(url, 900, kept.start(found, 1000), kept, now_ms=lambda: 2000), told, url


async def look(poll: Poll, told: list[InForce]) -> None:
    """One round."""

    async def changed(found: InForce) -> None:
        told.append(found)

    await poll.look(changed)


def decides(found: InForce) -> int:
    """The limit in force, in dollars."""
    return found.policy.budgets[0].limit_nanos // 10**9


async def test_a_new_policy_takes_force_and_the_same_is_not_sent_twice(
    server: PolicyServer, state: State, tmp_path: Path
) -> None:
    """The signature covers everything, so that one conditional request is all that a round without news costs."""
    poll, told, _ = await started(server, state)
    assert (decides(poll.current), poll.current.source) == (5, server.url)
    assert poll.current.included == ("people.yaml",)
    await look(poll, told)
    server.asked.clear()
    await look(poll, told)
    assert server.asked == [("/etc/policy.yaml.minisig", 304)]
    put(tmp_path / "etc", text(43, 6, includes=True))
    server.give(tmp_path / "etc")
    await look(poll, told)
    assert (decides(told[-1]), told[-1].refused, told[-1].signed_by) == (6, (), "platform (0706050403020100)")
    server.asked.clear()
    await look(poll, told)
    assert server.asked == [("/etc/policy.yaml.minisig", 304)]
    assert LastGood(state, TRUST).keeps(Fetched(server.url))


WRONG = [
    ("error", "answers HTTP 500"),
    ("redirect", "answers HTTP 302"),
    ("partial", "answers HTTP 206"),
    ("is huge", "answers with more than 16,384 bytes"),
    ("is packed", "answers with an encoding that was not asked for"),
    ("hangs up", "cannot be fetched: the connection ended without a whole answer"),
    ("is slow", "cannot be fetched: no whole answer in"),
]


@pytest.mark.parametrize(("wrong", "fault"), WRONG)
async def test_a_bad_answer_changes_nothing(
    server: PolicyServer, state: State, wrong: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told once, and when the server is well again the refusal ends."""
    poll, told, _ = await started(server, state)
    server.wrong = wrong
    if wrong == "is slow":
        monkeypatch.setattr(policy_url, "ALL_S", 1)
    await look(poll, told)
    await look(poll, told)
    monkeypatch.setattr(policy_url, "ALL_S", 60)
    assert len(told) == 1
    assert told[0].refused[0].startswith(f"{server.url}: cannot be fetched")
    assert fault in told[0].refused[0]
    assert (decides(told[0]), told[0].why) == (5, "not fetched")
    server.wrong = ""
    await look(poll, told)
    assert (decides(poll.current), poll.current.refused) == (5, ())


def test_an_etag_is_kept_in_its_own_form_alone() -> None:
    """RFC 9110, in ASCII, and no longer than a header of ours may be."""
    good = ('"a"', 'W/"a!~"', '""', f'"{"a" * 250}"')
    assert tuple(named(each) for each in good) == good
    odd = ('"\xe9"', f'"{"a" * 251}"', '"a b"', '"a"b"', "naked", '"a"\n', 'w/"a"')
    assert {named(each) for each in odd} == {""}


async def test_an_odd_etag_stops_no_later_round(server: PolicyServer, state: State, tmp_path: Path) -> None:
    """It could not be sent again, and every later round failed until a restart."""
    poll, told, _ = await started(server, state)
    server.etag = '"\xe9"'
    await look(poll, told)
    server.etag = ""
    put(tmp_path / "etc", text(43, 6, includes=True))
    server.give(tmp_path / "etc")
    await look(poll, told)
    assert (decides(poll.current), poll.current.refused) == (6, ())


@pytest.mark.parametrize("wrong", ["error", "stranger"])
async def test_a_refusal_ends_when_the_last_good_policy_is_back(
    server: PolicyServer, state: State, tmp_path: Path, wrong: str
) -> None:
    """Unchanged since it was taken, the server would say no more than that."""
    poll, told, _ = await started(server, state)
    await look(poll, told)
    good = dict(server.files)
    server.wrong = wrong
    if wrong == "stranger":
        put(tmp_path / "etc", text(43, 900, includes=True), key=STRANGER)
        server.give(tmp_path / "etc")
    await look(poll, told)
    assert poll.current.refused
    server.wrong, server.files = "", good
    await look(poll, told)
    assert (decides(poll.current), poll.current.refused) == (5, ())


async def test_what_is_not_signed_as_it_must_be_is_refused(server: PolicyServer, state: State, tmp_path: Path) -> None:
    """In the words of a file: no signature, a stranger's, an included file of another day, an older policy."""
    poll, told, _ = await started(server, state)
    folder = tmp_path / "etc"
    file = put(folder, text(43, 900, includes=True), key=STRANGER)
    server.give(folder)
    await look(poll, told)
    assert f"{server.url}.minisig: is signed with the key 0807060504030201, which is not known" in told[-1].refused[0]
    assert told[-1].why == "signature"
    sign(file)
    server.give(folder)
    server.files["/etc/people.yaml"] = b"people: {mallory: {}}\n"
    await look(poll, told)
    assert f"{server.url}:4:11: include: people.yaml is not what was signed" in told[-1].refused[0]
    put(folder, text(41, 900, includes=True))
    server.give(folder)
    await look(poll, told)
    assert f"{server.url}:2:11: revision: 41 is lower than 42" in told[-1].refused[0]
    del server.files["/etc/policy.yaml.minisig"]
    await look(poll, told)
    assert "answers HTTP 404" in told[-1].refused[0]
    assert {decides(each) for each in told} == {5}
    put(folder, text(44, 7))
    server.give(folder)
    await look(poll, told)
    assert (decides(told[-1]), told[-1].refused) == (7, ())


async def test_a_server_that_nobody_vouches_for_gives_nothing(server: PolicyServer, state: State) -> None:
    """Its certificate is verified; without a copy there is no start."""
    found = await asking(server, trusting=False).fetch()
    assert found is not None
    assert server.asked == []
    with pytest.raises(PolicyError, match=r"policy.yaml: cannot be fetched: its certificate is not trusted \("):
        LastGood(state, TRUST).start(found, 1000)


@pytest.mark.parametrize(
    ("url", "proxy", "words"),
    [
        ("https://127.0.0.1:1/policy.yaml", None, "nothing listens there (connection refused)"),
        ("https://nowhere.invalid/policy.yaml", None, "its name does not resolve"),
        ("https://policy.invalid/policy.yaml", "http://127.0.0.1:1", "nothing listens there (connection refused)"),
    ],
)
async def test_why_nothing_came_is_told_in_words(url: str, proxy: str | None, words: str) -> None:
    """Not by the name of a library's exception."""
    found = await PolicyUrl(url, TRUST, Way(proxy)).fetch()
    assert found is not None
    assert found.fault == f"cannot be fetched: {words}"


async def test_a_start_does_not_wait_for_the_server_where_a_copy_is_kept(server: PolicyServer, state: State) -> None:
    """The copy decides at once, and nothing is refused yet."""
    await started(server, state)
    found = LastGood(state, TRUST).start(Fetched(server.url), 2000)
    assert (decides(found), found.refused, found.since_ms) == (5, (), 1000)
    with pytest.raises(PolicyError, match="was not fetched yet"):
        LastGood(state, TRUST).start(Fetched(server.url.replace("policy.yaml", "other.yaml")), 2000)


async def test_it_goes_out_as_the_gate_does(
    server: PolicyServer, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the upstream proxy with its password; never through what the environment names, which is the gate itself."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{nobody.getsockname()[1]}")
        assert decides((await started(server, state))[0].current) == 5
    heard: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    upstream = await asyncio.start_server(proxy, "127.0.0.1", 0)
    port = upstream.sockets[0].getsockname()[1]
    found = await asking(server, Way(f"http://127.0.0.1:{port}", ("alice", "secret"))).fetch()
    upstream.close()
    assert found is not None
    assert found.fault == "cannot be fetched: the upstream proxy does not let it through"
    assert heard[0].startswith(f"CONNECT {server.url.split('/')[2]} ".encode())
    assert b"Basic YWxpY2U6c2VjcmV0" in heard[0]


async def test_rounds_are_jittered(server: PolicyServer, state: State) -> None:
    """A tenth shorter or longer, and soon after a start from the copy."""
    poll, _, url = await started(server, state)
    asked: list[tuple[float, float]] = []

    def pick(low: float, high: float) -> float:
        asked.append((low, high))
        return 0.0 if len(asked) < 3 else high

    kept = LastGood(state, TRUST)
    poll = Poll(url, 900, kept.start(Fetched(server.url), 1), kept, now_ms=lambda: 1, pick=pick)
    seen = asyncio.Event()

    async def changed(_: InForce) -> None:
        seen.set()

    task = asyncio.create_task(poll.run(changed, asyncio.Event()))
    await asyncio.wait_for(seen.wait(), 60)
    await asyncio.sleep(0)
    task.cancel()
    assert asked[:2] == [(1.0, 10.0), (0.9, 1.1)]
