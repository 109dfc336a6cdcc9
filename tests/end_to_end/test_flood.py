"""One account opens thousands of connections to switch transparent capture off for all: it stays on, and others are served."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import textwrap
from collections.abc import Iterator

import pytest

from end_to_end.village import CLIENT, STANDIN, Village, village
from end_to_end.world import PATIENCE_S, PRODUCT, ROOT
from redirect.lab import why_not

pytestmark = [pytest.mark.root, pytest.mark.heavy, pytest.mark.xdist_group("village")]
CONNECTIONS = 8000
FLOOD = """
    import select, socket, ssl, sys
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    shaken = ssl.create_default_context().wrap_bio(into, out, server_hostname="api.anthropic.com")
    try:
        shaken.do_handshake()
    except ssl.SSLWantReadError:
        hello = out.read()
    poll, wires, answered = select.epoll(), {}, 0
    for _ in range(int(sys.argv[2])):
        wire = socket.socket()
        wire.setblocking(False)
        wire.connect_ex((sys.argv[1], 443))
        wires[wire.fileno()] = wire
        poll.register(wire, select.EPOLLOUT)
    poll.register(sys.stdin, select.EPOLLIN)
    print("open", flush=True)
    while True:
        for fd, event in poll.poll():
            if fd == 0:
                print(answered, flush=True)
                sys.exit()
            try:
                if event & select.EPOLLOUT:
                    wires[fd].send(hello)
                    poll.modify(fd, select.EPOLLIN)
                    continue
                answered += bool(wires[fd].recv(65536))
            except OSError:
                pass  # closed: there were too many of this account
            poll.unregister(fd)
"""
AGAIN = """
    import subprocess, sys
    for _ in range(20):
        for tried in range(20):
            done = subprocess.run([sys.executable, "-c", *sys.argv[1:]], capture_output=True, text=True)
            if not done.returncode and done.stdout.startswith("req_"):  # not the id of an answer of the gate's own
                print(done.stdout, flush=True)
                break
        else:
            sys.exit(done.stderr or done.stdout)
"""


@pytest.fixture(name="village")
def _village() -> Iterator[Village]:
    if reason := why_not():
        pytest.skip(reason)
    with village() as made:
        yield made


@contextlib.contextmanager
def flooding(village: Village, account: str) -> Iterator[list[int]]:
    """All of them open and each with its hello sent as fast as the gate takes them; how many were answered, once it is over."""
    who = ("prlimit", f"--nofile={CONNECTIONS + 100}", "setpriv", f"--reuid={account}", "--clear-groups")
    code, answered = textwrap.dedent(FLOOD), list[int]()
    words = ("python3", "-c", code, STANDIN, str(CONNECTIONS))
    started = village.laptop.inside(*who, *words, stdin=subprocess.PIPE, cwd="/")
    assert started.stdout is not None
    assert started.stdout.readline() == "open\n"
    try:
        yield answered
    finally:
        out, err = started.communicate("stop")
        assert out, err
        answered.append(int(out))


def asks(village: Village, account: str) -> list[str]:
    """The providers' ids of 20 calls of this account, each by a process of its own, and made again while it fails.

    However long they take: that the gate is busy is the point. Some fail: a connection of the gate's own that takes the port of
    one that it has reset is led to the gate.
    """
    code, again = textwrap.dedent(CLIENT), textwrap.dedent(AGAIN)
    who = ("setpriv", f"--reuid={account}", "--clear-groups")
    asked = village.laptop.inside(*who, "python3", "-c", again, code, str(village.ca), "reads", "443", cwd="/")
    out, err = asked.communicate()
    assert asked.returncode == 0, err
    return out.split()


def test_a_flood_of_hellos_switches_nothing_off(village: Village) -> None:
    """The sign of life never lapses; the other account's calls, each on a connection of its own, are answered and on file."""
    one, two = village.laptop.people

    with flooding(village, one) as answered:
        ids = asks(village, two)

    assert answered[0] > 100, "the hellos came to the gate"
    rows = village.ended(set())
    assert {row["request_id"] for row in rows if row["person"] == two and row["state"] == "settled"} == {*ids}
    assert len({*ids}) == 20
    asked = (*PRODUCT, "audit", "list", "--state", str(village.state), "--format", "json")
    env = {**os.environ, "PYTHONPATH": str(ROOT / "addon")}
    out, err = village.laptop.inside(*asked, env=env, cwd="/").communicate(timeout=PATIENCE_S)
    trail = {line["what"]: line["detail"] for line in json.loads(out or err)}
    assert "gate started" in trail
    assert trail.get("capture lapsed") is None
