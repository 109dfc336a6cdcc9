"""The product in a Python that says it is macOS', from which what Linux alone has is taken. A program, as `without_posix`.

The table of connections is made from this system's, in Apple's layout. What stays Linux underneath shows nothing of a Mac: only
that no branch for macOS asks for what is not there, and that its look-up and `doctor` fit together with the rest.
"""

from __future__ import annotations

import importlib
import os
import platform
import select
import signal
import socket
import ssl
import sys
import time
from pathlib import Path
from typing import Any

GONE: dict[Any, tuple[str, ...]] = {
    os: (
        "pidfd_open", "posix_fallocate", "posix_fadvise", "O_PATH", "O_TMPFILE",
        "memfd_create", "eventfd", "getresuid", "setresuid", "getresgid", "setresgid", "prlimit", "getrandom", "splice",
        "copy_file_range", "unshare", "setns", "O_DIRECT", "O_NOATIME",
    ),
    socket: (
        "AF_NETLINK", "SO_PEERCRED", "SOCK_CLOEXEC", "SOCK_NONBLOCK", "SO_MARK", "TCP_USER_TIMEOUT", "AF_VSOCK", "AF_PACKET",
    ),
    signal: ("SIGSTKFLT", "SIGPWR", "SIGPOLL", "SIGRTMIN", "SIGRTMAX"),
    select: ("epoll", "EPOLLIN"),
    time: ("CLOCK_BOOTTIME", "pthread_getcpuclockid"),
}  # fmt: skip
OURS = ("main", "run_", "serving", "status", "doctor", "doctor_shown", "examining")


def pretend() -> None:
    """Until this process ends."""
    for name in OURS:
        importlib.import_module(f"spendgate.cli.{name}")
    for name in [each for each in sys.modules if each == "spendgate" or each.startswith("spendgate.")]:
        del sys.modules[name]
    roots = "".join(map(ssl.DER_cert_to_PEM_cert, ssl.create_default_context().get_ca_certs(binary_form=True)))
    for module, names in GONE.items():
        for name in names:
            if hasattr(module, name):
                delattr(module, name)
    sys.platform = "darwin"
    platform.system = lambda: "Darwin"
    trust = importlib.import_module("spendgate.capture.trust")
    trust._keychain_roots = lambda: roots
    importlib.import_module("spendgate.identity.pcblist").read = lambda: importlib.import_module(
        "identity.darwin"
    ).live()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    pretend()
    importlib.import_module("spendgate.cli.main").run()
