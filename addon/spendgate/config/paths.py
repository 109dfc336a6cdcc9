"""The state directory: where it is, what lies where in it, and whether it may be trusted.

    ledger.db                    SQLite, with its -wal and -shm
    ca/ca-cert.pem               the certificate alone, for trust stores: the one thing that others may read
    private/ca-key.pem           0600 in a 0700 folder; not there where an organization issues certificates
    private/leaves.pem           what it issued to this device, with its key; requested-key.pem beside it waits for that
    private/enrolment.json       where and under which name this device is enrolled over HTTPS
    ledger.db-reserve            room for endings on a full disk
    policy/last-good.json        the last policy that took force, whole; last-good.yaml beside it is its text, for people
    policy/in-force.json         what a gate of `run` last said of itself, for reading commands
    policy/command-*.json        the same two of `exec`, whose policy is that of one command
    prices/                      the newest price list that was fetched
    heads.json, heads.lock       what is remembered of the ledger outside it, and what was found wrong with it
    machine-id                   where the system has none
    gates/                       for each gate process its lock file, and what it last said of itself

Rule: everything in it belongs to one account. A directory that another account owns or may write to could hand the gate a
forged ledger, policy or key, so it is refused. On Windows access lists decide and the installer sets them; modes are
not checked there.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from spendgate.errors import StateError

APP = "spendgate"
VARIABLE = "SPENDGATE_STATE"
_SERVICE_DIRECTORIES = {
    "darwin": Path("/Library/Application Support/Spendgate"),
    "win32": Path(os.environ.get("PROGRAMDATA", r"C:\ProgramData"), "Spendgate", "state"),
}
SERVICE_DIRECTORY = _SERVICE_DIRECTORIES.get(sys.platform, Path("/var/lib/spendgate"))
SOCKET = Path("/run/spendgate/gate.sock")
"""Where a service answers its clients (Linux): in a folder that root makes for its account, gone at every boot."""

_USERS_OWN: tuple[str, ...] = {"win32": (), "darwin": ("HOME",)}.get(sys.platform, ("XDG_DATA_HOME", "HOME"))
"""The variables that say where a user's data lie; the first that is set decides. platformdirs passes over relative ones."""


@dataclass(frozen=True, slots=True)
class State:
    """A state directory and the layout in it. Paths only: `prepare` makes the directories."""

    root: Path

    @property
    def ledger(self) -> Path:
        """The SQLite file."""
        return self.root / "ledger.db"

    @property
    def ca_certificate(self) -> Path:
        """The certificate alone, readable by all."""
        return self.root / "ca" / "ca-cert.pem"

    @property
    def ca_key(self) -> Path:
        """The CA's key: 0600."""
        return self.root / "private" / "ca-key.pem"

    @property
    def leaves(self) -> Path:
        """The certificates that an organization issued to this device, with their key: 0600. There: no CA key is."""
        return self.root / "private" / "leaves.pem"

    @property
    def requested_key(self) -> Path:
        """The key of a request that is not answered yet: 0600."""
        return self.root / "private" / "requested-key.pem"

    @property
    def enrolment(self) -> Path:
        """Where and under which name this device is enrolled over HTTPS: 0600, since who changes it says whom the gate asks."""
        return self.root / "private" / "enrolment.json"

    @property
    def last_good_policy(self) -> Path:
        """The text of the last policy that took force."""
        return self.root / "policy" / "last-good.yaml"

    @property
    def command_policy(self) -> Path:
        """The text of the last policy of an `exec`, where it took force for one command alone."""
        return self.root / "policy" / "command-good.yaml"

    @property
    def gates(self) -> Path:
        """The gates' lock files."""
        return self.root / "gates"


def find(chosen: Path | None = None, *, environ: Mapping[str, str] | None = None, service: bool | None = None) -> State:
    """The state directory: `--state`, else `SPENDGATE_STATE`, else the service's when run as root, else the user's own.

    Nothing is made or checked. `--state` may be relative, to where it is typed. Raises StateError where a variable that decides
    is a relative path: it would mean another place in every working directory, or, ignored, one that nobody named.
    """
    variables = os.environ if environ is None else environ
    if chosen is not None:
        return State(chosen.expanduser().absolute())
    if named := variables.get(VARIABLE):
        return State(_absolute(VARIABLE, named))
    if service if service is not None else _is_root():
        return State(SERVICE_DIRECTORY)
    for variable in _USERS_OWN:
        if named := variables.get(variable):
            _absolute(variable, named)
            break
    return State(Path(platformdirs.user_data_dir(APP, appauthor=False)))


def _absolute(variable: str, named: str) -> Path:
    """The path that a variable names. Raises StateError."""
    path = Path(named).expanduser()
    if not path.is_absolute():
        raise StateError(f"{variable} is {named!r}; it must be an absolute path")
    return path


def prepare(state: State) -> State:
    """Make the state directory and its folders with their modes; leave what is there as it is.

    0711 for the root, so that everybody can reach the CA certificate and nobody can list; 0755 for `ca`; 0700 for the rest.
    Raises StateError, with the remedy, where the directory or one above it is not to be trusted or cannot be made.
    """
    try:
        state.root.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        for folder, mode in _folders(state):
            _make(folder, mode)
            _check(folder)
        _check_parents(state.root)
    except OSError as fault:
        raise StateError(f"{state.root}: {fault.strerror or fault}; choose another place with --state") from fault
    return state


def _folders(state: State) -> tuple[tuple[Path, int], ...]:
    return (
        (state.root, 0o711),
        (state.ca_certificate.parent, 0o755),
        (state.ca_key.parent, 0o700),
        (state.last_good_policy.parent, 0o700),
        (state.gates, 0o700),
    )


def _make(folder: Path, mode: int) -> None:
    try:
        folder.mkdir(mode=mode)
    except FileExistsError:
        return
    folder.chmod(mode)  # whatever the umask is


def _check(folder: Path) -> None:
    """Ours, a real directory, and nobody else's to write. A link could be turned to another place after this check."""
    found = folder.lstat()
    if stat.S_ISLNK(found.st_mode) or not stat.S_ISDIR(found.st_mode):
        raise StateError(f"{folder} is not a directory of its own (a file or a link); remove it or choose --state")
    if sys.platform == "win32":
        return
    if found.st_uid != os.geteuid():
        raise StateError(
            f"{folder} belongs to uid {found.st_uid}, and this is uid {os.geteuid()}; run as that account or choose --state"
        )
    if found.st_mode & 0o022:
        raise StateError(f"{folder} can be written by other accounts; run: chmod go-w {folder}")


def _check_parents(root: Path) -> None:
    """Where everybody may rename what lies in a folder, everybody could swap the state directory for another."""
    if sys.platform == "win32":
        return
    for folder in root.resolve().parents:
        mode = folder.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise StateError(f"{folder}, above {root}, can be written by everybody; choose another place with --state")


def write_private(path: Path, content: bytes) -> None:
    """Write a file of mode 0600 all or not at all: beside its place, then renamed over it.

    Raises OSError.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mkstemp makes 0600
    beside = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _is_root() -> bool:
    return sys.platform != "win32" and os.geteuid() == 0
