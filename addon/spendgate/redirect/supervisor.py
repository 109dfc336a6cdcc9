"""Root's part of Linux transparent capture: small, and the only part that is root.

    supervise (root, NET_ADMIN and KILL only) ── rules, sign of life, waits for the gate
      ├── gate  (an account of its own, no privilege) ── everything else
      └── clerk (root, may read processes only) ── which process holds a connection

The rules act only while the gate answers the pulse, so whatever dies or hangs puts traffic back on its direct way within
`timeout_ms`: gate killed: at once; gate hung, root killed or hung: when the last sign of life runs out. Where the policy
refuses what the gate cannot decide, the table stays behind such an end and holds (`holding`), until the next start or until
it is taken away. Connections that are open through a hung gate hang with it; those older than the rules stay direct until
they close, or are held.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from spendgate.errors import PolicyError, PortTaken, SpendgateError, StateError, UsageError
from spendgate.identity.containers import Range
from spendgate.identity.interface import Address
from spendgate.redirect.clerk import answer_until_closed
from spendgate.redirect.gate_side import GateSide
from spendgate.redirect.ports import Held, hold
from spendgate.redirect.privileges import Capability, become, check_readable, gate_account, keep
from spendgate.redirect.ruleset import TIMEOUT_MS, Rules
from spendgate.redirect.table import Table
from spendgate.redirect.watch import Watch

SOCKET_MODE = 0o755
STATE_MODE = 0o711
"""As `config.paths` makes it: others reach the CA certificate in it, and list nothing."""
_KEPT = frozenset({Capability.NET_ADMIN, Capability.KILL})

GateMain = Callable[[GateSide], int]


@dataclass(frozen=True, slots=True)
class Settings:
    """How `spendgate run --mode transparent` was started."""

    account: str = "spendgate"
    """The account that the gate runs under: a system account of its own."""
    port: int = 8443
    """Where the gate listens, on 127.0.0.1 and ::1, unless somebody else does (`ports`)."""
    ports: tuple[int, ...] = (443,)
    cgroups: tuple[str, ...] = ()
    containers: tuple[Range, ...] = ()
    """Whose traffic is captured beside that of the machine's own accounts."""
    timeout_ms: int = TIMEOUT_MS
    state: Path | None = None
    """State directory: made, and given to the account, where it is not there yet."""
    socket_folder: Path | None = None
    """Where the gate's socket is to lie: made, and given to the account, likewise. A system's run directory is empty at boot."""


def rules_of(settings: Settings) -> Rules:
    """The rules for these settings. Raises StateError, UsageError (no such account, or not one to be used)."""
    return _rules(settings, gate_account(settings.account).pw_uid)


def rules_to_read(settings: Settings) -> tuple[Rules, str]:
    """The rules for `--dry-run`, and what must be done before they can be set; empty: nothing. Raises UsageError.

    An account that is not there yet stands in them by its name, so that they can be read before anything is made.
    """
    try:
        return rules_of(settings), ""
    except StateError as missing:
        return _rules(settings, settings.account), str(missing)


def _rules(settings: Settings, gate: int | str) -> Rules:
    return Rules(
        gate=gate,
        port=settings.port,
        ports=settings.ports,
        cgroups=settings.cgroups,
        containers=tuple(each.network for each in settings.containers),
        timeout_ms=settings.timeout_ms,
    )


def listeners(settings: Settings) -> tuple[str, ...]:
    """The mitmproxy modes that the rules lead to."""
    return tuple(f"transparent@{host}:{port}" for host, port in places(settings))


def places(settings: Settings) -> tuple[Address, ...]:
    """Where the gate listens for that: redirecting sends IPv4 to 127.0.0.1 and IPv6 to ::1, and what comes by a bridge to an
    address of that bridge, which may be made long after the gate has started."""
    own = ("127.0.0.1", settings.port), ("::1", settings.port)
    at = settings.port + 1
    everywhere = {4: ("0.0.0.0", at), 6: ("::", at)}  # noqa: S104 - `ruleset` closes it
    return *own, *(everywhere[version] for version in sorted({each.network.version for each in settings.containers}))


def held(settings: Settings, may_move: Callable[[PortTaken], None]) -> Held:
    """What listens for these settings from now on (`ports.hold`). Raises StateError, PortTaken."""
    return hold(lambda port: places(replace(settings, port=port)), settings.port, may_move)


def supervise(settings: Settings, gate_main: GateMain) -> int:
    """Install the rules, run `gate_main` as the gate's account, and give its exit status (128 + signal where killed).

    Forks: call it before any thread or event loop is started. `gate_main` calls `GateSide.attend` once it listens.
    Raises StateError, UsageError before anything was started.
    """
    if os.geteuid() != 0:
        raise StateError(
            "transparent capture sets firewall rules: start it as root; the gate itself runs without privileges"
        )
    account, rules = gate_account(settings.account), rules_of(settings)
    check_readable(account, (os.__file__, __file__, *sys.path))
    table = Table(rules)
    try:
        _make(settings.state, STATE_MODE, account.pw_uid, account.pw_gid)
        _make(settings.socket_folder, SOCKET_MODE, account.pw_uid, account.pw_gid)
        pulse, gate_pulse = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        clerk_end, questions = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        clerk = _fork(lambda: answer_until_closed(clerk_end), close=(pulse, gate_pulse, questions))

        def run_gate() -> int:
            become(account)
            return gate_main(GateSide(gate_pulse, questions, settings.timeout_ms))

        gate = _fork(run_gate, close=(pulse, clerk_end))
        for end in (gate_pulse, clerk_end, questions):
            end.close()
        keep(_KEPT)
        return Watch(table, pulse, gate, clerk).until_the_gate_ends()
    finally:
        table.leave()


def _make(folder: Path | None, mode: int, uid: int, gid: int) -> None:
    if folder is None or folder.exists():
        return
    try:
        folder.mkdir(mode=mode, parents=True)
        folder.chmod(mode)  # whatever the umask is
        os.chown(folder, uid, gid)
    except OSError as error:
        raise StateError(f"{folder} cannot be made: {error.strerror}") from error


def _fork(main: Callable[[], int], close: tuple[socket.socket, ...]) -> int:
    """A child in a process group of its own, so that Ctrl-C reaches root alone, which then ends the others in order."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        os.setpgid(0, 0)
        for end in close:
            end.close()
        status = main()
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except PolicyError as error:
        # Each is `file:line:column: …` and stands alone, so that editors can follow it.
        sys.stderr.writelines(f"{fault}\n" for fault in error.faults)
        sys.stderr.write("spendgate: the policy cannot take force\n")
    except SpendgateError as error:
        sys.stderr.write(f"spendgate: {error}\n")
        status = 2 if isinstance(error, UsageError) else 1
    except BaseException:  # noqa: BLE001  the child must not return into its parent's code, whatever happened
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)
