"""Where a command's ledger is: in a state directory, or with the gate's service behind its socket. The commands need not know."""

from __future__ import annotations

import os
import platform
import stat
import sys
from pathlib import Path

from spendgate.cli.desk import Desk
from spendgate.cli.file_desk import FileDesk
from spendgate.cli.socket_desk import SocketDesk
from spendgate.config import paths
from spendgate.errors import StateError

_ROOT = 0


def desk(chosen: Path | None) -> Desk:
    """The one that `--state` names, a directory or a socket; else SPENDGATE_STATE's; else the service's, where one is
    installed whose state directory is not ours; else our own. Raises StateError on macOS and Windows, whose
    service answers nobody yet."""
    root = paths.find(chosen).root
    if chosen is not None or os.environ.get(paths.VARIABLE):
        return SocketDesk(root) if _is_socket(root) or root.suffix == paths.SOCKET.suffix else FileDesk(chosen)
    if platform.system() == "Windows":
        if paths.SERVICE_DIRECTORY.is_dir() and not paths.State(root).ledger.exists():
            raise StateError(
                "the ledger of this machine's service is administrators' to read: "
                f'`spendgate COMMAND --state "{paths.SERVICE_DIRECTORY}"`'
            )
        return FileDesk(chosen)
    stopped = _owner(paths.SERVICE_DIRECTORY) not in (None, _ROOT) and not paths.State(root).ledger.exists()
    # Of a service that has stopped it is said so, where there is no ledger of one's own that could be meant. Its directory is its
    # account's: one of root's is what root's own `exec` has left.
    if stopped and platform.system() == "Darwin":
        raise StateError(
            f"the ledger of this Mac's service is root's to read: `sudo spendgate COMMAND --state '{paths.SERVICE_DIRECTORY}'`"
        )
    installed = _is_socket(paths.SOCKET) or stopped
    return SocketDesk(paths.SOCKET) if installed and not _ours(paths.SERVICE_DIRECTORY) else FileDesk(chosen)


def at_service(chosen: Path | None) -> Path | None:
    """The socket of the service that such a command asks; None: it opens a file."""
    found = desk(chosen)
    return found.path if isinstance(found, SocketDesk) else None


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def _ours(folder: Path) -> bool:
    return sys.platform != "win32" and _owner(folder) == os.geteuid()


def _owner(folder: Path) -> int | None:
    """Whose it is; None where it is not there."""
    try:
        return folder.stat().st_uid
    except OSError:
        return None
