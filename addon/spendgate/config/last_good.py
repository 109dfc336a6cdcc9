"""The last good copy: what takes force at start and after a change, and which revision may follow which.

Rules: the files of a policy take force whole or not at all; a bad, older or unreadable state of them never replaces the last
good one. The copy is the files' own bytes, read again by the same rules.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from spendgate.config.bundle import Bundle, Gathering, read_main, unreadable
from spendgate.config.paths import State, write_private
from spendgate.config.people import Known
from spendgate.config.policy_file import UNCHECKED, Judge, parse_policy
from spendgate.errors import PolicyError, StateError
from spendgate.policy import Policy

DEFAULT_NAME = "policies/default.yaml"


def load(path: Path, known: Known = UNCHECKED) -> Policy:
    """The policy in a file and in those that it includes. Raises PolicyError with every fault, also where one cannot be read."""
    found = Gathering(path)
    return parse_policy(found.main, str(path), known, beside=found.beside)


def default(known: Known = UNCHECKED) -> Policy:
    """The policy that `spendgate run` uses without `--policy`."""
    return parse_policy(default_bytes(), DEFAULT_NAME, known)


def default_bytes() -> bytes:
    """`policies/default.yaml`, from the installed package or the checkout.

    A wheel carries the file inside the package (pyproject, `force-include`); in a checkout it stands where people look.
    Raises PolicyError where neither has it.
    """
    packed = files("spendgate").joinpath("default.yaml")
    if packed.is_file():
        return packed.read_bytes()
    return read_main(Path(__file__).parents[3] / DEFAULT_NAME)


@dataclass(frozen=True, slots=True)
class InForce:
    """The policy that decides now, and the newer one that was refused, if any. Times in epoch milliseconds."""

    policy: Policy
    since_ms: int
    source: str
    """The file it was read from."""
    refused: tuple[str, ...] = ()
    """The faults of the files as they are now; empty where they are in force."""
    refused_ms: int | None = None
    digest: str | None = None
    """`Bundle.digest` of the files as they were last read, good or bad; where the policy could not be read `unreadable`; empty
    where nothing came of it; None before any was read."""
    looked_for: tuple[str, ...] = ()
    """The included files that were last looked for, whether they could be read or not."""
    included: tuple[str, ...] = ()
    """The included files of the policy that decides now."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A state of the files that did not take force."""

    error: PolicyError | StateError
    digest: str
    looked_for: tuple[str, ...] = ()

    def beside(self, current: InForce, now_ms: int) -> InForce:
        """What goes on deciding, with the refusal."""
        faults = self.error.faults if isinstance(self.error, PolicyError) else (str(self.error),)
        since_ms = current.refused_ms if current.refused == faults else None
        return replace(
            current, refused=faults, refused_ms=since_ms or now_ms, digest=self.digest, looked_for=self.looked_for
        )


@dataclass(frozen=True, slots=True)
class Latest:
    """The highest revision that has taken force."""

    revision: int
    digest: str
    """Of the bytes that had it."""
    content: str | None
    """`Policy.hash` of what they mean to this Spendgate; None where it cannot read the copy any more."""

    def judge(self, policy: Policy, digest: str) -> None:
        """Raises ValueError for a policy that this one must not give way to."""
        found, least = policy.validity.revision, f"allowed: {self.revision + 1} or more"
        if found is None:
            raise ValueError(
                f"is missing, and {self.revision} has been in force: without one this may be an older file; {least}"
            )
        if found < self.revision:
            raise ValueError(f"{found} is lower than {self.revision}, which has been in force; {least}")
        if found == self.revision and digest != self.digest and policy.hash != self.content:
            raise ValueError(f"{found} has been in force with other content; a change has a higher one; {least}")


class LastGood:
    """The last policy that took force, kept in the state directory (0600) with what it includes, its source and time."""

    def __init__(self, state: State) -> None:
        self._text = state.last_good_policy
        self._about = state.last_good_policy.with_suffix(".json")

    def start(self, path: Path | None, now_ms: int, known: Known = UNCHECKED) -> InForce:
        """What takes force at start: the file, else the last good copy of that same file.

        `path` None is the embedded default, which is not kept. Raises PolicyError with the file's faults where there is no
        good copy either: then nothing may be captured.
        """
        if path is None:
            return InForce(default(known), now_ms, DEFAULT_NAME)
        source = str(path.absolute())
        found = self._take(path, source, now_ms, known, None)
        if isinstance(found, InForce):
            return found
        kept = self._kept(source, known)
        if kept is None:
            raise found.error
        return found.beside(kept, now_ms)

    def would_start(self, path: Path | None, known: Known = UNCHECKED) -> Policy:
        """The policy that `start` would put in force; nothing is written. Raises PolicyError as `start` does."""
        if path is None:
            return default(known)
        source = str(path.absolute())
        kept = self._kept(source, known)
        try:
            return _read(Gathering(path), path, known, self._latest(source, kept, None))
        except PolicyError:
            if kept is None:
                raise
            return kept.policy

    def replaced(self, current: InForce, path: Path, now_ms: int, known: Known = UNCHECKED) -> InForce:
        """What is in force after the files changed: the new policy, or the current one with why they are refused.

        A policy that cannot be kept does not take force either: after a restart nobody could tell what had decided.
        """
        found = self._take(path, current.source, now_ms, known, current)
        return found if isinstance(found, InForce) else found.beside(current, now_ms)

    def policy(self) -> Policy:
        """The copy, whatever file it was read from. Raises PolicyError where there is none that can be read."""
        about = self._told()
        found = self._bundle(about)
        if found is None:
            raise PolicyError((f"{self._text}: is no whole copy of a policy; restart the gate",))
        return parse_policy(found.main, str(about["source"]), beside=found.beside)

    def _take(self, path: Path, source: str, now_ms: int, known: Known, current: InForce | None) -> InForce | Refused:
        """Read, parse, judge and keep the files."""
        gathering = None
        try:
            gathering = Gathering(path)
            kept = self._kept(source, known)
            policy = _read(gathering, path, known, self._latest(source, kept, current))
            found = gathering.bundle
            since_ms = kept.since_ms if kept is not None and kept.policy.hash == policy.hash else now_ms
            self._keep(found, source, since_ms, policy.validity.revision)
        except (PolicyError, StateError) as fault:
            if gathering is None:
                return Refused(fault, unreadable(fault))
            return Refused(fault, gathering.bundle.digest, gathering.bundle.names)
        return InForce(policy, since_ms, source, digest=found.digest, looked_for=found.names, included=found.names)

    def _keep(self, found: Bundle, source: str, since_ms: int, revision: int | None) -> None:
        """One file is the copy, written whole or not at all; the other, written before it, is for people to read."""
        included = {name: (data or b"").decode() for name, data in found.included}
        about = {
            "source": source, "since_ms": since_ms, "sha256": found.digest, "revision": revision,
            "text": found.main.decode(), "included": included,
        }  # fmt: skip
        try:
            write_private(self._text, found.main)
            write_private(self._about, json.dumps(about).encode())
        except OSError as fault:
            raise StateError(f"{self._text}: cannot keep the policy: {fault.strerror or fault}") from fault

    def _told(self) -> dict[str, Any]:
        """What was kept; empty where it cannot be read."""
        try:
            about = json.loads(self._about.read_bytes())
        except (OSError, ValueError):
            return {}
        return about if isinstance(about, dict) else {}

    def _bundle(self, about: dict[str, Any]) -> Bundle | None:
        """The copy's bytes; None where they are not those that were kept."""
        text = about.get("text")
        try:
            included = tuple((str(name), str(text).encode()) for name, text in about.get("included", {}).items())
            # Earlier versions had the text in its own file alone.
            found = Bundle(text.encode() if isinstance(text, str) else self._text.read_bytes(), included)
        except (OSError, AttributeError, UnicodeEncodeError):
            return None
        return found if about.get("sha256") == found.digest else None

    def _kept(self, source: str, known: Known) -> InForce | None:
        """The good copy of this source; None where there is none that can be read."""
        about = self._told()
        found = self._bundle(about)
        if found is None or about.get("source") != source:
            return None
        try:
            policy = parse_policy(found.main, source, known, beside=found.beside)
            return InForce(policy, int(about["since_ms"]), source, included=found.names)
        except (KeyError, TypeError, ValueError, PolicyError):
            return None

    def _latest(self, source: str, kept: InForce | None, current: InForce | None) -> Latest | None:
        """What a new policy must not be older than: what decides now, at start what is kept of this source; None: nothing.

        A running gate goes by itself, since what was kept last may not have taken force, and is then tried again.
        """
        if current is not None:
            revision = current.policy.validity.revision
            return None if revision is None else Latest(revision, "", current.policy.hash)
        about = self._told()
        if about.get("source") != source or not isinstance(about.get("revision"), int):
            return None
        return Latest(about["revision"], str(about.get("sha256")), kept.policy.hash if kept else None)


def _read(found: Gathering, path: Path, known: Known, latest: Latest | None) -> Policy:
    """Raises PolicyError."""

    def judge(policy: Policy) -> None:
        if latest is not None:
            latest.judge(policy, found.bundle.digest)

    judging: Judge = judge
    return parse_policy(found.main, str(path), known, beside=found.beside, judge=judging)
