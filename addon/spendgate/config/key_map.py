"""Whose the bill's keys and users are, as a person writes it for `reconcile report --map`. YAML, read as strictly as a policy.

map: 1
complete: true              # keys lists every key of the fleet: a billed one that is not here is out of scope
keys:
  - key: apikey_01Abc       # the provider's id of it, else its name
    provider: anthropic
    role: fleet             # used on laptops; gateway; elsewhere: servers, CI, never captured
    person: alice@acme.example
    name: alice-laptop      # for lines that tell no id; one with another id is never this key's, whatever it is called
    hint: sk-ant-...AbCd    # likewise
    fingerprints: ["sk-ant-api03:5f3a9c0e1b2d"]   # `api_key` of the ledger's calls, as `spendgate calls show` has it
workspaces:
  - {workspace: wrkspc_ci, role: elsewhere}
people:
  - person: alice@acme.example   # `person` of the ledger's calls
    emails: [alice@acme.com]
    users: [user_01]
gateway_hosts: [llm.acme.example]
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from spendgate.attribution import BESIDE
from spendgate.config import yaml_nodes
from spendgate.config.faults import Faults, Place, shown
from spendgate.config.sections import Section, known_word
from spendgate.errors import StateError, StatementError
from spendgate.reconcile.facts import Facts, Key, Person, Role
from spendgate.review.unmatched import no_fingerprint

_NAME_MAX: Final = 512
_ENTRIES_MAX: Final = 20_000


def read(path: Path) -> Facts:
    """The file. Raises StateError where there is none, StatementError with every fault, `file:line:column: key: …`."""
    try:
        with path.open("rb") as file:
            data = file.read(yaml_nodes.BYTES_MAX + 1)
    except OSError as fault:
        raise StateError(f"--map {path}: {fault.strerror}") from fault
    return parse(data, str(path))


def parse(data: bytes, name: str) -> Facts:
    """What the file says. Raises StatementError."""
    faults = Faults(name)
    if data.strip():
        node = yaml_nodes.read(data, faults)
        root = Section.of(node, "", faults) if node is not None else None
        found = _facts(root) if root is not None else Facts()
    else:
        faults.add(Place(1, 1), "", "the file is empty; a map has at least `map: 1` and keys or people")
        found = Facts()
    if faults:
        raise StatementError(*faults.lines())
    return found


def _facts(root: Section) -> Facts:
    root.parsed("map", lambda text: known_word(text, ("1",)), required=True)
    complete = root.flag("complete") or False
    keys = tuple(_keys(root))
    workspaces = tuple(_workspaces(root))
    people = tuple(_people(root))
    hosts = root.names("gateway_hosts", _name)
    root.done()
    if complete and not keys:
        root.fault("complete", "of no keys at all: every billed key would be out of scope; name the fleet's under keys")
    return Facts(keys, people, complete, workspaces, hosts)


def _keys(root: Section) -> Iterator[Key]:
    seen: set[tuple[str, str]] = set()
    owners: dict[tuple[str, str], str] = {}
    for number, each in enumerate(root.sections("keys")):
        key = each.parsed("key", _name, required=True)
        provider = each.parsed("provider", _name, required=True)
        role = each.word("role", tuple(Role)) or Role.FLEET
        made = Key(
            provider or "", key or "", each.names("fingerprints", _fingerprint), each.parsed("person", _name),
            each.parsed("name", _name), each.parsed("hint", _name), Role(role),
        )  # fmt: skip
        each.done()
        if (made.provider, made.key) in seen and key:
            each.fault("key", f"{shown(key)} of {provider} stands twice")
        seen.add((made.provider, made.key))
        for one in made.fingerprints:
            if (owner := owners.setdefault((made.provider, one), made.key)) != made.key:
                each.fault(
                    "fingerprints", f"{shown(one)} belongs to {shown(owner)} already: calls with it would be of either"
                )
        if number == _ENTRIES_MAX:
            root.fault("keys", f"more than {_ENTRIES_MAX:,} entries")
            return
        yield made


def _workspaces(root: Section) -> Iterator[tuple[str, Role]]:
    for each in root.sections("workspaces"):
        name = each.parsed("workspace", _name, required=True)
        role = each.parsed("role", lambda text: known_word(text, tuple(Role)), required=True)
        each.done()
        if name and role:
            yield name, Role(role)


def _people(root: Section) -> Iterator[Person]:
    owners: dict[str, str] = {}
    for each in root.sections("people"):
        person = each.parsed("person", _name, required=True) or ""
        made = Person(person, each.names("emails", _name), each.names("users", _name))
        each.done()
        for key, names in (("emails", made.emails), ("users", made.users)):
            for name in names:
                if owners.setdefault(name, person) != person:
                    each.fault(key, f"{shown(name)} belongs to {shown(owners[name])} already")
        yield made


def _fingerprint(text: str) -> str:
    """One key's, or those of a call that carried several."""
    for each in text.split(BESIDE):
        if why := no_fingerprint(each):
            raise ValueError(why)
    return text.casefold()


def _name(text: str) -> str:
    if len(text) > _NAME_MAX:
        raise ValueError(f"{shown(text)} has {len(text):,} characters; at most {_NAME_MAX}")
    return text
