"""The gate's own account, and giving up every privilege that a process of the product does not need.

Standard library and three system calls: Python has no wrapper for capset(2) and prctl(2).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
from collections.abc import Iterable, Iterator
from enum import IntEnum
from pathlib import Path

from spendgate.errors import StateError, UsageError
from spendgate.identity.accounts import people_from_uid

_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITY_VERSION_3 = 0x20080522
_NOGROUP = 65534


class Capability(IntEnum):
    """Those that are kept somewhere, by their kernel numbers (linux/capability.h)."""

    DAC_READ_SEARCH = 2
    KILL = 5
    SETGID = 6
    SETUID = 7
    NET_ADMIN = 12
    SYS_PTRACE = 19


_CHANGES_ACCOUNT = 1 << Capability.SETUID | 1 << Capability.SETGID
"""What it takes to become oneself again."""


def gate_account(name: str) -> pwd.struct_passwd:
    """The account that the gate runs under. Raises StateError where there is none, UsageError where it may not be used.

    Its traffic is never captured, so it must be nobody's: not root, and no person's account.
    """
    try:
        account = pwd.getpwnam(name)
    except KeyError:
        raise StateError(
            f"there is no account {name!r} for the gate to run under: "
            f"useradd --system --no-create-home --shell /usr/sbin/nologin {name}"
        ) from None
    if account.pw_uid == 0 or account.pw_uid >= people_from_uid():
        raise UsageError(
            f"the gate's account is never captured, so it cannot be {name!r}: name a system account of its own"
        )
    return account


def check_readable(account: pwd.struct_passwd, paths: Iterable[str]) -> None:
    """Raises StateError for the first folder of `paths` that root can read and the account cannot: the gate imports and
    reads its data after it has become the account, and would fail at some call, hours later."""
    for path in (Path(text) for text in paths if text):
        if not path.exists():
            continue
        wanted = os.R_OK | (os.X_OK if path.is_dir() else 0)
        with acting_as(account.pw_uid):
            readable = os.access(path, wanted, effective_ids=True)
        if not readable:
            raise StateError(
                f"the account {account.pw_name!r} cannot read {path}, which the gate runs from: "
                "install Spendgate and its Python where every account may read, for instance under /opt"
            )


def become(account: pwd.struct_passwd) -> None:
    """Turn this process into the account, for good and with no way back up."""
    os.initgroups(account.pw_name, account.pw_gid)
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def keep(kept: frozenset[Capability]) -> None:
    """Drop every capability of this root process but `kept`, also for programs that it starts. Raises StateError."""
    for number in range(_last_capability() + 1):
        if number not in kept:
            _prctl(_PR_CAPBSET_DROP, number)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    bits = sum(1 << number for number in kept)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)(bits, bits, 0, 0, 0, 0)  # effective, permitted, inheritable; then their upper halves
    if _libc().capset(header, sets) != 0:
        raise StateError(f"capabilities cannot be dropped: {os.strerror(ctypes.get_errno())}")


@contextlib.contextmanager
def acting_as(uid: int) -> Iterator[None]:
    """Touch files with this account's rights alone, then be again who one was. For single-threaded processes only.

    The kernel takes root's capabilities away while it acts as another and gives them back. Those of a service that is not root
    would stay with it, so what reads past the files' modes is laid down here.
    """
    if uid == 0:
        yield
        return
    try:
        account = pwd.getpwuid(uid)
        groups, gid = os.getgrouplist(account.pw_name, account.pw_gid), account.pw_gid
    except KeyError:
        groups, gid = [], _NOGROUP
    own_uid, own_gid, own_groups = os.geteuid(), os.getegid(), os.getgroups()
    able = 0 if own_uid == 0 else _effective()
    os.setgroups(groups)
    os.setegid(gid)
    os.seteuid(uid)
    try:
        if able:
            _set_effective(able & _CHANGES_ACCOUNT)
        yield
    finally:
        if able:
            _set_effective(able)
        os.seteuid(own_uid)
        os.setegid(own_gid)
        os.setgroups(own_groups)


def _effective() -> int:
    """This thread's effective capabilities; not those that it only may have."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()
    if _libc().capget(header, sets) != 0:
        raise StateError(f"capabilities cannot be read: {os.strerror(ctypes.get_errno())}")
    return int(sets[0])


def _set_effective(bits: int) -> None:
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()
    if _libc().capget(header, sets) == 0:
        sets[0] = bits
        if _libc().capset(header, sets) == 0:
            return
    raise StateError(f"capabilities cannot be changed: {os.strerror(ctypes.get_errno())}")


def _last_capability() -> int:
    return int(Path("/proc/sys/kernel/cap_last_cap").read_text(encoding="ascii"))


def _prctl(option: int, value: int) -> None:
    if _libc().prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        raise StateError(f"privileges cannot be dropped (prctl {option}): {os.strerror(ctypes.get_errno())}")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
