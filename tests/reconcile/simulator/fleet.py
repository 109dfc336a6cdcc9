"""Forty people: their machines, tools, keys and working hours. All made up from a seed."""

from __future__ import annotations

from hashlib import sha256
from random import Random
from typing import Final

from msgspec import Struct

HOUR_MS: Final = 3_600_000
_TOOLS: Final = (
    ("claude-code",), ("claude-code", "codex"), ("claude-code", "script"), ("codex",), ("codex", "opencode"),
    ("claude-code", "cursor"), ("opencode",), ("script", "codex"), ("claude-code", "plan"), ("cursor", "codex"),
)  # fmt: skip
_ZONES: Final = (-8, -7, -5, -5, 0, 1, 1, 1, 2, 5, 9)
"""Hours east of UTC; from the west coast on, the working day crosses midnight UTC."""


class Key(Struct, frozen=True):
    """One credential, under the provider's name and the ledger's."""

    provider: str
    id: str
    """What the provider calls it; of one that tells none, its name."""
    name: str
    fingerprint: str
    hint: str
    person: str | None
    workspace: str
    geo: str | None = None
    """Where its requests ask to be worked off."""


class Person(Struct, frozen=True):
    """One person at one or two machines."""

    name: str
    email: str
    team: str
    machines: tuple[str, ...]
    tools: tuple[str, ...]
    zone: int
    keys: tuple[Key, ...]

    def key(self, provider: str) -> Key:
        """The one that their tools use there."""
        return next(key for key in self.keys if key.provider == provider)


def people(count: int, rng: Random) -> tuple[Person, ...]:
    """So many people; every fifth shares the Anthropic key of the one before."""
    made: list[Person] = []
    for number in range(count):
        name = f"p{number:02d}"
        keys = [
            _key("anthropic", number, name, rng),
            _key("openai", number, name, rng),
            _key("openrouter", number, name, rng),
        ]
        if number % 5 == 4:
            shared = _shared(made[-1].keys[0])
            made[-1] = _with_key(made[-1], shared)
            keys[0] = shared
        machines = (f"lt-{number:03d}",) if number % 4 else (f"lt-{number:03d}", f"ws-{number:03d}")
        made.append(
            Person(
                name,
                f"{name}@acme.example",
                f"team{number % 6}",
                machines,
                _TOOLS[number % len(_TOOLS)],
                rng.choice(_ZONES),
                tuple(keys),
            )
        )
    return tuple(made)


def key_of(provider: str, number: int, person: str | None, rng: Random, *, label: str = "") -> Key:
    """A credential of nobody yet, for whoever needs one more."""
    made = _key(provider, number, label or "other", rng)
    return Key(provider, made.id, made.name, made.fingerprint, made.hint, person, made.workspace)


def _key(provider: str, number: int, name: str, rng: Random) -> Key:
    secret = f"{provider}-{number}-{rng.random()}"
    digest = sha256(secret.encode()).hexdigest()
    prefix, ids = {
        "anthropic": ("sk-ant-api03", "apikey_01"), "openai": ("sk-proj", "key_"), "openrouter": ("sk-or-v1", ""),
    }[provider]  # fmt: skip
    geo = "us" if provider == "anthropic" and number % 7 == 3 else None
    called = f"{name}-{provider}"
    return Key(
        provider, f"{ids}{digest[:10]}" if ids else called, called, f"{prefix}:{digest[20:32]}", f"{prefix}...{digest[-4:]}",
        name, f"proj_{number % 3}", geo,
    )  # fmt: skip


def _shared(key: Key) -> Key:
    return Key(key.provider, key.id, key.name, key.fingerprint, key.hint, None, key.workspace, key.geo)


def _with_key(person: Person, key: Key) -> Person:
    return Person(
        person.name, person.email, person.team, person.machines, person.tools, person.zone, (key, *person.keys[1:])
    )
