"""The product in a Python from which all is taken that Windows has not. A program: its words are those of `spendgate`.

What is not ours is loaded before, since it looks for itself what system it is on. What stays Linux underneath (paths, sockets,
files) shows nothing of Windows: only that the product asks for nothing that is not there.
"""

from __future__ import annotations

import asyncio
import fcntl
import importlib
import os
import pathlib
import platform
import select
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import types
from typing import Any, NoReturn

GONE_MODULES = ("fcntl", "grp", "pty", "pwd", "resource", "syslog", "termios", "tty")
GONE: dict[Any, tuple[str, ...]] = {
    os: (
        "getuid", "geteuid", "getgid", "getegid", "getgroups", "setuid", "setgid", "seteuid", "setegid", "setgroups",
        "initgroups", "getgrouplist", "fork", "fchmod", "fchown", "chown", "lchown", "killpg", "setpgid", "getpgid", "setsid",
        "pidfd_open", "sysconf", "uname", "getloadavg", "mkfifo", "nice", "statvfs", "pread", "pwrite", "posix_fallocate",
        "waitid", "O_NOFOLLOW", "O_NONBLOCK", "O_DIRECTORY", "O_CLOEXEC",
    ),
    socket: ("AF_UNIX", "AF_NETLINK", "SO_PEERCRED", "SCM_RIGHTS"),
    signal: (
        "SIGKILL", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGCHLD", "SIGSTOP", "SIGCONT", "SIGALRM", "SIGQUIT", "SIGPIPE", "SIGWINCH",
        "SIGTSTP", "setitimer", "pthread_sigmask",
    ),
    select: ("poll", "epoll", "POLLIN"),
}  # fmt: skip
OURS = (
    "spendgate.cli.main",
    "spendgate.cli.run_",
    "spendgate.cli.serving",
    "spendgate.cli.status",
    "spendgate.cli.doctor",
    "spendgate.cli.doctor_shown",
    "spendgate.cli.examining",
    "spendgate.doctor.osquery",
    "spendgate.standin",
)


def take_away() -> None:
    """Until this process ends."""
    for name in OURS:
        importlib.import_module(name)
    for name in [each for each in sys.modules if each == "spendgate" or each.startswith("spendgate.")]:
        del sys.modules[name]
    socket.socketpair = over_loopback
    loop = asyncio.new_event_loop()
    loop.close()
    loops = type(loop)
    loops.add_signal_handler = loops.remove_signal_handler = not_there  # type: ignore[method-assign]
    sys.modules["msvcrt"] = msvcrt()
    roots = ssl.create_default_context().get_ca_certs(binary_form=True)
    ssl.enum_certificates = lambda _: [(each, "x509_asn", True) for each in roots]  # type: ignore[attr-defined]  # of its store
    room = shutil.disk_usage("/")
    shutil.disk_usage = lambda _: room  # which asks Windows in its own words, as `kill` does
    subprocess.Popen.kill = lambda child: child.send_signal(9)  # type: ignore[method-assign]
    for name in GONE_MODULES:
        sys.modules[name] = None  # type: ignore[assignment]  # importlib's word for: there is none
    for module, names in GONE.items():
        for name in names:
            if hasattr(module, name):
                delattr(module, name)
    pathlib.Path.__new__.__globals__["WindowsPath"] = pathlib.PosixPath
    platform.system = lambda: "Windows"
    shutil._use_fd_functions = False  # type: ignore[attr-defined]  # it would open folders by flags of POSIX
    shutil.sys = types.SimpleNamespace(**vars(sys))  # type: ignore[attr-defined]  # and ask Windows where programs are
    sys.platform, os.name = "win32", "nt"


def not_there(*_: object) -> NoReturn:
    """As loops of Windows say it."""
    raise NotImplementedError


def over_loopback(*_: object, **__: object) -> tuple[socket.socket, socket.socket]:
    """As Python makes a pair on Windows."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        one = socket.create_connection(listening.getsockname())
        return one, listening.accept()[0]


def msvcrt() -> types.ModuleType:
    """Its lock of some bytes of a file, by ours of the whole: as there, it is of who has opened the file, not of the process."""
    made: Any = types.ModuleType("msvcrt")
    made.LK_UNLCK, made.LK_LOCK, made.LK_NBLCK = 0, 1, 2

    def locking(file: int, mode: int, _count: int) -> None:
        how = fcntl.LOCK_UN if mode == made.LK_UNLCK else fcntl.LOCK_EX | fcntl.LOCK_NB
        fcntl.flock(file, how)

    made.locking = locking
    return made


if __name__ == "__main__":
    take_away()
    importlib.import_module("spendgate.cli.main").run()
