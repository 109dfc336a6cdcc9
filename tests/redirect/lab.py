"""A laptop and a provider in two network namespaces of the test's own, a gate that only echoes, and clients of any account.

Nothing here touches the host's own namespace, so a test that fails halfway leaves no rule behind.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

ADDON = Path(__file__).parents[2] / "addon"
PROVIDER4, OTHER4, PROVIDER6 = "198.51.100.2", "198.51.100.3", "2001:db8::2"
_NEEDED = ("ip", "nft", "useradd", "userdel")


def why_not() -> str | None:
    """Why this machine cannot run namespace tests; None where it can."""
    if os.geteuid() != 0:
        return "needs root"
    missing = [program for program in _NEEDED if shutil.which(program) is None]
    if missing:
        return f"needs {', '.join(missing)}"
    name = f"sg-{secrets.token_hex(3)}"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode:
        return "network namespaces cannot be made here"
    subprocess.run(["ip", "netns", "delete", name], check=True)
    return None


def opened() -> str:
    """Shell that lets every account reach this Python, in the mount namespace that `ip netns exec` makes: a Python under a
    closed home gets an empty home in front of it. Nothing of it is seen outside."""
    python = Path(sys.base_prefix).resolve()
    closed = next((folder for folder in reversed(python.parents) if not folder.stat().st_mode & 0o001), None)
    if closed is None:
        return ""
    return (
        f"at=$(mktemp -d) && mount --bind {python} $at && mount -t tmpfs -o mode=755 none {closed} && "
        f"mkdir -p {python} && mount --bind $at {python} && umount $at && rmdir $at && "
    )


_SERVER = """
    import asyncio, sys
    async def tcp(reader, writer):
        await reader.readline()
        writer.write(b'{"by": "provider"}\\n')
        await writer.drain()
        writer.close()
    class Udp(asyncio.DatagramProtocol):
        def connection_made(self, transport): self.transport = transport
        def datagram_received(self, data, peer): self.transport.sendto(b"provider", peer)
    async def main():
        loop = asyncio.get_running_loop()
        for host in sys.argv[1:]:
            await asyncio.start_server(tcp, host, 443)
            await asyncio.start_server(tcp, host, 2053)
            await loop.create_datagram_endpoint(Udp, (host, 443))
        print("ready", flush=True)
        await asyncio.Event().wait()
    asyncio.run(main())
"""

_GATE = """
    import asyncio, json, os, signal, socket, struct, sys
    from dataclasses import asdict
    from pathlib import Path
    from spendgate.identity.interface import Endpoints
    from spendgate.identity.containers import BridgedLookup, ranges
    from spendgate.redirect.gate_side import Served
    from spendgate.redirect.supervisor import Settings, held, supervise

    def original(sock):
        four = sock.family == socket.AF_INET
        raw = sock.getsockopt(socket.SOL_IP if four else 41, 80, 28)
        where = struct.unpack_from("!2xH4s" if four else "!2xH4x16s", raw)
        return socket.inet_ntop(sock.family, where[1]), where[0]

    def main(side):
        lookup = BridgedLookup(side.lookup, settings.containers)

        async def captured(reader, writer):
            ends = Endpoints(writer.get_extra_info("peername")[:2], original(writer.get_extra_info("socket")))
            peer = lookup.owner(ends)
            await reader.readline()
            if options.get("process"):
                peer = await asyncio.to_thread(lookup.process, peer, ends)
            said = {"by": "gate", "to": ends.remote[0], "peer": asdict(peer), "gate": os.getpid(), "uid": os.getuid()}
            writer.write(json.dumps(said).encode() + b"\\n")
            await writer.drain()
            writer.close()

        async def serve():
            found = held(settings, lambda taken: print("taken", taken.host, taken.port, flush=True))
            for listening in found.sockets.values():
                await asyncio.start_server(captured, sock=listening)
            if found.instead_of:
                side.lead_to(found.port)
            loop = asyncio.get_running_loop()
            ended = asyncio.Event()
            loop.add_signal_handler(signal.SIGTERM, ended.set)
            able = [True]
            served = Served(lambda: able[0], lambda lapse: print("lapsed", lapse.said, flush=True))
            side.attend(loop, served)
            loop.add_signal_handler(signal.SIGHUP, lambda: able.append(not able.pop()))
            side.reject_quic_to(frozenset(options.get("quic", ())))
            side.hold(frozenset(options["hold"]))
            loop.add_signal_handler(signal.SIGUSR1, side.hold, frozenset(options["quic"]))
            loop.add_signal_handler(signal.SIGUSR2, side.hold, frozenset())
            print("ready", os.getpid(), flush=True)
            await ended.wait()
            await side.ends()
            if options["lingers"]:
                await asyncio.Event().wait()

        asyncio.run(serve())
        return 7

    os.umask(0o077)  # an admin may have any: what others must read has its mode all the same
    options = json.loads(sys.argv[1])
    if "state" in options["settings"]:
        options["settings"]["state"] = Path(options["settings"]["state"])
    options["settings"]["containers"] = ranges(options["settings"].get("containers", ()))
    settings = Settings(**options["settings"])
    sys.exit(supervise(settings, main))
"""

_CLIENT = """
    import json, socket, sys, time
    host, seconds, port = sys.argv[1], float(sys.argv[2]), int((*sys.argv[3:], 443)[0])
    until = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        try:
            with socket.create_connection((host, port), timeout=0.5 if seconds > 1 else 8) as connection:
                connection.sendall(b"hello\\n")
                said = json.loads(connection.makefile().readline())
        except (OSError, ValueError) as error:
            said = {"by": "nobody", "why": str(error)}
        print(json.dumps({**said, "at_s": began}), flush=True)
        if seconds <= 1 or time.monotonic() > until:
            break
        time.sleep(0.02)
"""

_QUIC = """
    import socket, sys
    with socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.settimeout(5)
        try:
            datagrams.connect((sys.argv[1], 443))
            datagrams.send(b"hello")
            print(datagrams.recv(100).decode())
        except OSError as error:
            print("silence" if isinstance(error, TimeoutError) else "rejected")
"""


@dataclass
class Lab:
    """Two joined namespaces, what runs in them, and the accounts made for the test."""

    name: str
    gate_account: str
    people: tuple[str, str]
    running: list[subprocess.Popen[str]] = field(default_factory=list)
    gates: list[Gate] = field(default_factory=list)

    def inside(self, *command: str, **more: object) -> subprocess.Popen[str]:
        """Start a program on the laptop, with cgroup v2 where systems have it (`ip netns exec` mounts a bare /sys)."""
        script = f'mount -t cgroup2 none /sys/fs/cgroup 2>/dev/null; {opened()} {self._sudoers()} exec "$@"'
        started = subprocess.Popen(
            ["ip", "netns", "exec", self.name, "sh", "-c", script, "sh", *command],
            text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more,  # type: ignore[call-overload]
        )  # fmt: skip
        self.running.append(started)
        return started

    def python(self, code: str, *arguments: str) -> subprocess.Popen[str]:
        """Start this Python on the laptop, with the product to import."""
        return self.inside(sys.executable, "-c", code, *arguments, env={**os.environ, "PYTHONPATH": str(ADDON)})

    def _sudoers(self) -> str:
        """Shell that lets the first person use sudo, in that mount namespace only."""
        if not Path("/etc/sudoers.d").is_dir():
            return ""
        rule = f"{self.people[0]} ALL=(ALL) NOPASSWD: ALL"
        file = "/etc/sudoers.d/x"
        return f"mount -t tmpfs -o mode=755 none /etc/sudoers.d && echo '{rule}' > {file} && chmod 440 {file} && "

    def gate(
        self,
        *,
        process: bool = False,
        quic: tuple[str, ...] = (),
        hold: tuple[str, ...] = (),
        lingers: bool = False,
        **settings: object,
    ) -> Gate:
        """Start the supervisor; returns when the gate listens and its first sign of life has arrived. SIGUSR1 has the gate hold
        what it rejects QUIC to, SIGUSR2 nothing; SIGHUP: it cannot serve, or can again. It prints each lapse. `lingers`:
        told to end, it does not come to its end."""
        settings = {"account": self.gate_account, **settings}
        options = {"settings": settings, "process": process, "quic": quic, "hold": hold, "lingers": lingers}
        started = self.python(textwrap.dedent(_GATE), json.dumps(options))
        assert started.stdout is not None
        while (word := started.stdout.readline().split())[:1] == ["taken"]:
            pass
        assert word[:1] == ["ready"], started.communicate()[1]
        self.until("elements")
        self.gates.append(Gate(started, int(word[1])))
        return self.gates[-1]

    def end_gates(self) -> None:
        """End every gate and its root, in whatever state a test has left them, and remove what they leave."""
        for gate in self.gates:
            for pid, alive in (
                (gate.pid, _readable(f"/proc/{gate.pid}/exe")),
                (gate.root.pid, gate.root.poll() is None),
            ):
                if alive:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, 9)
            gate.root.communicate()
            self.until_ended(gate.pid)
        self.gates.clear()
        self.nft("flush ruleset")

    def ask(
        self, host: str = PROVIDER4, *, account: str | None = None, before: str = "", port: int = 443
    ) -> dict[str, Any]:
        """One connection to `port` (443, 2053) of `host` by a new process of `account`: what it was told, by whom. `before` is
        shell that runs first, in the same process, or a program with arguments to run the client under."""
        who = ("setpriv", f"--reuid={account}", "--clear-groups") if account else ()
        shell = f'{before} python3 -c "$0" {host} 1 {port}; exit $?'
        asked = self.inside(*who, "sh", "-c", shell, textwrap.dedent(_CLIENT), cwd="/")
        out, err = asked.communicate()
        assert out, err
        answer: dict[str, Any] = json.loads(out)
        return answer

    def ask_on(self, host: str, account: str, seconds: float) -> subprocess.Popen[str]:
        """A client that connects again and again, writing down each answer with when it began."""
        code = textwrap.dedent(_CLIENT)
        return self.inside("setpriv", f"--reuid={account}", "--clear-groups", "python3", "-c", code, host, str(seconds))

    def quic(self, host: str, account: str) -> str:
        """One datagram to port 443 of `host`: `provider`, `silence` or `rejected`."""
        asked = self.inside(
            "setpriv", f"--reuid={account}", "--clear-groups", "python3", "-c", textwrap.dedent(_QUIC), host
        )
        return asked.communicate()[0].strip()

    def until_ended(self, pid: int) -> None:
        """Wait until the process has ended (a zombie has no files)."""
        began = time.monotonic()
        while _readable(f"/proc/{pid}/exe"):
            assert time.monotonic() - began < 60
            time.sleep(0.02)

    def rules(self) -> str:
        """The laptop's whole ruleset, every table."""
        return self.inside("nft", "list", "ruleset").communicate()[0]

    def nft(self, commands: str) -> None:
        """Change the laptop's rules as an admin would."""
        subprocess.run(["ip", "netns", "exec", self.name, "nft", "-f", "-"], input=commands, text=True, check=True)

    def until(self, words: str, *, gone: bool = False) -> float:
        """Wait until the rules hold (or no longer hold) these words; seconds it took."""
        began = time.monotonic()
        while (words in self.rules()) is gone:
            assert time.monotonic() - began < 60, self.rules()
            time.sleep(0.05)
        return time.monotonic() - began


@dataclass
class Gate:
    """A running supervisor and the pid of its gate."""

    root: subprocess.Popen[str]
    pid: int


def _readable(link: str) -> bool:
    try:
        return bool(Path(link).readlink())
    except OSError:
        return False


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


@contextlib.contextmanager
def accounts(mark: str) -> Iterator[tuple[str, str, str]]:
    """A system account for the gate and two people's, removed afterwards."""
    gate, people = f"sgg{mark}", (f"sga{mark}", f"sgb{mark}")
    try:
        _run("useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", gate)
        for person in people:
            _run("useradd", "--create-home", "--shell", "/bin/sh", person)
        yield gate, *people
    finally:
        for name in (gate, *people):
            subprocess.run(["userdel", "--remove", name], capture_output=True, check=False)


CONTAINER4, CONTAINER6, BRIDGE4, BRIDGE6 = "172.20.0.2", "fd00:20::2", "172.20.0.1", "fd00:20::1"


@contextlib.contextmanager
def container(laptop: Lab, *more: str) -> Iterator[Lab]:
    """A namespace of its own behind a bridge of the laptop, as a container's, with `more` addresses; gone afterwards."""
    mark = secrets.token_hex(3)
    name, bridge, near = f"sgc{mark}", f"b{mark}", f"n{mark}"
    on_laptop, provider = ("ip", "-n", laptop.name), laptop.name.replace("sgl", "sgp")
    with contextlib.ExitStack() as down:
        _run("ip", "netns", "add", name)
        down.callback(_run, "ip", "netns", "delete", name)
        _run(*on_laptop, "link", "add", bridge, "type", "bridge")
        down.callback(_run, *on_laptop, "link", "delete", bridge)
        _run(*on_laptop, "link", "add", near, "type", "veth", "peer", "name", "eth0", "netns", name)
        _run(*on_laptop, "link", "set", near, "master", bridge, "up")
        _addresses(laptop.name, bridge, f"{BRIDGE4}/24", f"{BRIDGE6}/64")
        _addresses(name, "eth0", f"{CONTAINER4}/24", f"{CONTAINER6}/64", *more)
        for family, inside, via, back in (
            ("-4", BRIDGE4, "198.51.100.1", "172.20.0.0/24"),
            ("-6", BRIDGE6, "2001:db8::1", "fd00:20::/64"),
        ):
            _run("ip", family, "-n", name, "route", "add", "default", "via", inside)
            _run("ip", family, "-n", provider, "route", "add", back, "via", via)
            down.callback(_run, "ip", family, "-n", provider, "route", "delete", back)
        forwards = "echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding"
        _run("ip", "netns", "exec", laptop.name, "sh", "-c", forwards)
        yield replace(laptop, name=name)


@contextlib.contextmanager
def lab() -> Iterator[Lab]:
    """The whole set-up, taken down afterwards."""
    mark = secrets.token_hex(3)
    laptop, provider = f"sgl{mark}", f"sgp{mark}"
    with accounts(mark) as (gate, one, two), contextlib.ExitStack() as down:
        for name in (laptop, provider):
            _run("ip", "netns", "add", name)
            down.callback(_run, "ip", "netns", "delete", name)
        _run(
            "ip",
            "link",
            "add",
            f"v{mark}",
            "netns",
            laptop,
            "type",
            "veth",
            "peer",
            "name",
            f"w{mark}",
            "netns",
            provider,
        )
        _addresses(laptop, f"v{mark}", "198.51.100.1/24", "2001:db8::1/64")
        _addresses(provider, f"w{mark}", f"{PROVIDER4}/24", f"{OTHER4}/24", f"{PROVIDER6}/64")
        made = Lab(laptop, gate, (one, two))
        down.callback(_stop, made.running)
        server = [sys.executable, "-c", textwrap.dedent(_SERVER), PROVIDER4, OTHER4, PROVIDER6]
        served = subprocess.Popen(["ip", "netns", "exec", provider, *server], text=True, stdout=subprocess.PIPE)
        made.running.append(served)
        assert served.stdout is not None
        assert served.stdout.readline() == "ready\n"
        yield made


def _addresses(namespace: str, link: str, *addresses: str) -> None:
    inside = ("ip", "-n", namespace)
    _run(*inside, "link", "set", "lo", "up")
    _run(*inside, "link", "set", link, "up")
    for address in addresses:
        _run(*inside, "address", "add", address, "dev", link, *(("nodad",) if ":" in address else ()))


def _stop(running: list[subprocess.Popen[str]]) -> None:
    for started in running:
        if started.poll() is None:
            started.terminate()
        with started:
            pass
