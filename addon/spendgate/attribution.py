"""Who made a call, as values: what the operating system says about a connection's other end, and whom that makes it.

Person and machine come from the OS and the policy and cannot be forged without administrator rights. Tool, session and
project may come from what the client says and can be forged; `Evidence` says which it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from msgspec import Struct

UNKNOWN = "unknown"
BROWSER = "browser"
NAMED_BROWSER = "named like a browser"
BESIDE = "+"
"""Between the fingerprints of keys that one call carries, where its provider reads more than one and they differ."""


class Evidence(StrEnum):
    """How something is known. Stored with the row; its words are part of the ledger's contract."""

    SOCKET_OWNER = "socket owner"
    PROCESS = "process"
    HEADER = "header"
    BODY = "body"
    POLICY = "policy"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Peer:
    """What the operating system says about the process behind one client connection, asked when the connection opened."""

    uid: int | None = None
    account: str | None = None
    """Account name; None where the kernel no longer knew the socket (uid 0 with inode 0 is `unknown`, never root)."""
    login_account: str | None = None
    """The account that logged in, where the OS tells and it differs (`sudo`, `su`)."""
    cgroup: str | None = None
    pid: int | None = None
    process: str | None = None
    process_path: str | None = None
    started_ms: int | None = None
    """When the process started, epoch milliseconds: with the pid it names one process for good."""
    tool: str | None = None
    """What the process is known as (`identity/tools.py`), for a client that does not say what it is."""
    project: str | None = None
    """Repository of the working directory as `host/owner/name`."""
    browser: str | None = None
    """`BROWSER`: a web browser that an administrator installed; `NAMED_BROWSER`: by its name one, by its file anything."""
    evidence: Evidence = Evidence.NONE
    why_unknown: str | None = None

    @property
    def spender(self) -> str | None:
        """The account whose person pays: the login account where known, else the socket's."""
        return self.login_account or self.account


NOBODY = Peer(why_unknown="not looked up")


class Attribution(Struct, frozen=True):
    """The attributes of one call that budgets can be kept by. A value None is a missing value (policy.md, Missing values)."""

    person: str
    """A person of the policy, an account name, `shared`, or `unknown`."""
    machine: str
    account_os: str | None = None
    team: str | None = None
    teams: tuple[str, ...] = ()
    """The team, then its ancestors."""
    groups: tuple[str, ...] = ()
    tool: str | None = None
    process: str | None = None
    project: str | None = None
    session: str | None = None
    person_evidence: Evidence = Evidence.NONE
    tool_evidence: Evidence = Evidence.NONE
    session_evidence: Evidence = Evidence.NONE
    refused: bool = False
    """The policy's `unknown_people: refuse` applies."""
    machine_groups: tuple[str, ...] = ()
    """The policy's groups of machines that this one is in."""
