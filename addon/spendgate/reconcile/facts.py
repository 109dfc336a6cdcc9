"""What is known of the fleet beside calls and bills: keys, people, gateways, when machines were on, what other witnesses saw.

Everything here is optional. What is not said is not assumed: a cause that would rest on it is not claimed.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from spendgate.usage import Usage


class Role(StrEnum):
    """What a provider's key, project or workspace is to this fleet."""

    FLEET = "fleet"
    """Used on captured machines: what is billed to it should be in the ledger."""
    GATEWAY = "gateway"
    """A gateway's own: it bills what laptops sent to the gateway."""
    ELSEWHERE = "elsewhere"
    """A server's, CI's, another team's: never captured here."""


class Key(Struct, frozen=True):
    """One credential under all its names."""

    provider: str
    key: str
    """The provider's id of it (`apikey_…`, `key_…`), else its name."""
    fingerprints: tuple[str, ...] = ()
    """As the column `api_key` of calls has it."""
    person: str | None = None
    """Whose it is, by the ledger's name; None: several people's, or nobody says."""
    name: str | None = None
    """What the provider calls it; a line that tells no id names it so. Anybody can call another key so, too."""
    hint: str | None = None
    """Likewise."""
    role: Role = Role.FLEET


class Person(Struct, frozen=True):
    """One person under all their names."""

    person: str
    """As the column `person` of calls has it."""
    emails: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    """The providers' ids of users, principals, logins."""


class Interval(Struct, frozen=True):
    """A stretch of time of one machine, epoch milliseconds."""

    machine: str
    """"": every machine."""
    from_ms: int
    until_ms: int
    person: str = ""
    """Whose machine it is; "": not said."""
    why: str = ""
    """What was so, in a few words: `gate not running`, `addon failed`."""


class Witnessed(Struct, frozen=True):
    """One request that something else on the laptop (or the provider's own span of it) saw. Never its content."""

    provider: str
    at_ms: int
    witness: str
    """Who says so, as a report names it: `Claude Code's session log`."""
    request_id: str | None = None
    response_id: str | None = None
    model: str | None = None
    usage: Usage | None = None
    """All that it used, sub-calls included."""
    subcalls: Usage | None = None
    """The part of `usage` that compaction, an advisor or a fallback used."""
    person: str = ""
    machine: str = ""
    why: str = ""
    """Why it probably went around the gate, in a few words."""
    gateless: bool = False
    """Whether that is that no gate ran."""
    untold: bool = False
    """Whether nothing tells if a gate ran then: that it was made around one is not known."""


class Unread(Struct, frozen=True):
    """Connections that reached a gate and could not be read (the ledger's `coverage`)."""

    account: str
    tool: str
    host: str
    reason: str
    count: int
    first_ms: int
    last_ms: int


class Facts(Struct, frozen=True):
    """All of it. Empty parts are what nobody told."""

    keys: tuple[Key, ...] = ()
    people: tuple[Person, ...] = ()
    complete: bool = False
    """`keys` lists every key, project and workspace of the fleet: a billed one that is not among them is out of scope."""
    workspaces: tuple[tuple[str, Role], ...] = ()
    """Roles of whole workspaces or projects, by the provider's id or name."""
    gateway_hosts: tuple[str, ...] = ()
    """Besides the calls whose `billing` is `gateway`."""
    outages: tuple[Interval, ...] = ()
    """When a machine was on and its gate did not capture."""
    stops: tuple[Interval, ...] = ()
    """When no gate ran, for whatever reason (a laptop that is shut has none, either).

    Shows something only about lines of the bill that say when they were used.
    """
    presence: tuple[Interval, ...] = ()
    """When a machine was on, for the people whose machines tell: at any other time they used none of the fleet's."""
    witnessed: tuple[Witnessed, ...] = ()
    unread: tuple[Unread, ...] = ()


NO_FACTS = Facts()
