"""Show 7 on a running gate: what listens and who gets in is held to `mdm/surface.md`, the files that it writes to `mdm/data.md`.

What a single layer does with odd input is in `tests/capture/test_bounds.py` and `tests/service/test_socket.py`.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import psutil
import pytest

import spendgate
from end_to_end import world
from end_to_end.test_policy_reload import CALL, client
from end_to_end.world import Gate, Provider, listens, policy, running_gate, until

ROOT = Path(__file__).parents[2]
MODES = ("regular", "socks5", "reverse")
SOURCE = Path(spendgate.__file__).parent


def table(file: str, heading: str) -> list[list[str]]:
    """The rows of the first table below this heading."""
    below = (ROOT / "mdm" / file).read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in below.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def told(mode: str) -> set[str]:
    """The sockets that the page tells of a gate in this mode, without ports."""
    return {
        re.sub(r":\d+$|:any$", "", each)
        for modes, sockets, *_ in table("surface.md", "What listens")
        if mode in re.findall(r"`(\w+)`", modes) or "every" in modes
        for each in re.findall(r"`([^`]+)`", sockets)
    }


def listening(pid: int) -> list[tuple[str, str, int]]:
    """Protocol, address and port of each socket of this process and its children that waits for somebody."""
    root = psutil.Process(pid)
    return [
        ("udp" if each.type == socket.SOCK_DGRAM else "tcp", *each.laddr[:2])
        for process in (root, *root.children(recursive=True))
        for each in process.net_connections("inet")
        if each.status == psutil.CONN_LISTEN or (each.type == socket.SOCK_DGRAM and not each.raddr)
    ]


@pytest.fixture(scope="module", name="surface")
def _surface(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[Gate]:
    """A gate in three modes, with a service's socket."""
    folder = tmp_path_factory.mktemp("surface")
    more = ("--mode", "socks5", "--mode", "reverse:https://api.anthropic.com", "--socket", str(folder / "gate.sock"))
    with running_gate(folder, provider, policy(folder), *more) as gate:
        until(lambda: listens(folder / "gate.sock"))
        yield gate


def test_what_listens_is_in_the_table(surface: Gate) -> None:
    """Each socket of the gate and its children; loopback addresses alone; none of the table is missing."""
    found = listening(surface.process.pid)
    assert {f"{kind} {address}" for kind, address, _ in found} == set().union(*(told(mode) for mode in MODES))
    assert {address for _, address, _ in found} == {"127.0.0.1"}
    named = {int(port) for port in re.findall(r"=127\.0\.0\.1:(\d+)", surface.output.decode())}
    ours = {port for _, _, port in found} - named
    assert len(ours) == 1, "the canary's end alone is not named in the line `ready`"


def test_the_services_socket_is_as_the_table_says(surface: Gate) -> None:
    """Every account's to connect to, nobody else's to replace."""
    ((name, mode),) = (
        (Path(sockets.strip("`").partition(" ")[2]).name, re.findall(r"0\d{3}", bits)[0])
        for _, sockets, bits, *_ in table("surface.md", "What listens")
        if sockets.startswith("`unix ")
    )
    path = surface.state.parent / name
    assert path.stat().st_mode & 0o7777 == int(mode, 8)
    assert not path.parent.stat().st_mode & 0o022


def test_a_page_gets_nothing_from_any_port(surface: Gate) -> None:
    """As a browser sends it to a name that was made to lead here: plain, with a second request in its body, to each port."""
    with socket.create_server(("127.0.0.1", 0)) as inside:
        inside.settimeout(0.2)
        port = inside.getsockname()[1]
        hidden = f"GET http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"
        page = "Host: evil.example\r\nOrigin: http://evil.example\r\nContent-Type: text/plain"
        sent = f"POST / HTTP/1.1\r\n{page}\r\nContent-Length: {len(hidden)}\r\n\r\n{hidden}".encode()
        for kind, address, at in listening(surface.process.pid):
            if kind == "tcp":
                said = all_of((address, at), sent)
                assert b"access-control" not in said.lower()
                assert b"mitmproxy" not in said
                assert said[:12] in (b"", b"\x05\xff", b"HTTP/1.1 400", b"HTTP/1.1 403"), said
        with pytest.raises(TimeoutError):
            inside.accept()


def all_of(to: tuple[str, int], sent: bytes) -> bytes:
    """What is answered until the other side ends."""
    said = b""
    with socket.create_connection(to, timeout=60) as wire:
        try:
            wire.sendall(sent)
            while part := wire.recv(65_536):
                said += part
        except OSError:
            pass
    return said


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root, to be another account")
def test_another_account_keeps_nobody_out(provider: Provider, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds as many connections as the gate has files, at each of its ports, and says nothing: the next call goes through."""
    monkeypatch.setattr(world, "PRODUCT", ("prlimit", "--nofile=300:300", *world.PRODUCT))
    python = shutil.which("python3", path="/usr/bin:/bin") or "python3"
    with running_gate(folder, provider, policy(folder)) as gate:
        for port in sorted({port for _, _, port in listening(gate.process.pid)}):
            words = ["setpriv", "--reuid=65534", "--clear-groups", python, "-c", _HOLDS, str(port)]
            with subprocess.Popen(words, stdout=subprocess.PIPE) as other:
                assert other.stdout is not None
                assert other.stdout.readline() == b"held\n"
                try:
                    with client(gate) as sdk:
                        assert sdk.messages.create(**CALL).content
                finally:
                    other.kill()


_HOLDS = """
import socket, sys, time
held = []
for _ in range(400):
    wire = socket.socket()
    wire.settimeout(5)
    try:
        wire.connect(("127.0.0.1", int(sys.argv[1])))
    except OSError:
        break
    held.append(wire)
print("held", flush=True)
time.sleep(600)
"""


def test_the_files_of_a_gate_are_told_with_their_modes(surface: Gate) -> None:
    """After a call, while it runs: each by a name or pattern of the page, with the mode that stands there."""
    files = {
        pattern: int(mode, 8)
        for names, _, mode, _ in table("data.md", "The state directory")
        for pattern in re.findall(r"`([^`]+)`", names)
    }
    with client(surface) as sdk:
        sdk.messages.create(**CALL)
    seen = looked(surface.state, files)
    organizations = {"private/leaves.pem", "private/requested-key.pem", "private/enrolment.json"}
    rare = organizations | {
        "ca/next-ca-cert.pem",
        "private/next-ca-key.pem",
        "gates/alerts.one",
        "gates/purge.one",
        "machine-id",
        "policy/command-*",
        "prices/prices.json",
        "prices/prices.about.json",
        "imports/*",
    }
    assert {*files} - seen <= rare
    for name in rare:
        assert name.rpartition("/")[2].removesuffix("*") in written_names(), name


def looked(state: Path, files: dict[str, int]) -> set[str]:
    """The patterns that files of this folder have; fails for a file without one, or of another mode."""
    seen = set()
    for path in sorted(state.rglob("*")):
        name = str(path.relative_to(state))
        if path.is_dir() or path.name.startswith("."):
            continue
        (pattern,) = (pattern for pattern in files if fnmatch(name, pattern))
        assert path.stat().st_mode & 0o777 == files[pattern], name
        seen.add(pattern)
    return seen


def written_names() -> str:
    """The product's own words, in which the names of files that this run did not write stand."""
    return "".join(path.read_text() for path in SOURCE.rglob("*.py"))
