"""The last good copy: what takes force at start and after a change, and which revision may follow which.

Rules: the files of a policy take force whole or not at all; a bad, older or unreadable state of them never replaces the last
good one. The copy is the files' own bytes, read again by the same rules; where this machine asks for signatures (`trust`), the
copy's is verified again at each start, so that whoever edits the copy has gained nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from spendgate.config import kept_copy
from spendgate.config.believing import Latest, believed
from spendgate.config.bundle import Bundle, Fetched, Gathering, Held, gathered, unreadable
from spendgate.config.paths import State, write_private
from spendgate.config.people import Known
from spendgate.config.policy_file import UNCHECKED, parse_policy
from spendgate.config.sources import DEFAULT_NAME, Source, default, in_faults, named
from spendgate.config.trust import Trust
from spendgate.errors import PolicyError, StateError, Why
from spendgate.policy import Policy


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
    why: Why = Why.FAULTS
    """In a word, why the newer state is refused."""
    signed_by: str = ""
    """Whose signature the policy that decides now has; empty: none that was looked for."""
    copy: bytes = b""
    """Its files as they are kept; empty for the embedded default."""


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
        why = self.error.why if isinstance(self.error, PolicyError) else Why.FAULTS
        return replace(
            current,
            refused=faults,
            refused_ms=since_ms or now_ms,
            digest=self.digest,
            looked_for=self.looked_for,
            why=why,
        )


class LastGood:
    """The last policy that took force, kept in the state directory (0600) with what it includes, its source and time.

    `command`: the policy of one command (`exec`). It is kept in a place of its own, so that it never stands for the gate's; both
    places are read, so that neither is a way back to an older revision.
    """

    def __init__(self, state: State, trust: Trust | None = None, *, command: bool = False) -> None:
        places = (state.last_good_policy, state.command_policy)
        self._text, self._other = reversed(places) if command else places
        self._trust = trust

    def start(self, source: Source | None, now_ms: int, known: Known = UNCHECKED) -> InForce:
        """What takes force at start: the file, else the last good copy of that same file.

        `source` None is the embedded default, which is not kept. Of a URL that was not asked yet the copy decides.
        Raises PolicyError with the file's faults where there is no good copy either: then nothing may be captured.
        """
        if source is None:
            return InForce(self._default(known), now_ms, DEFAULT_NAME)
        name = named(source)
        found = self._take(source, name, now_ms, known, None)
        if isinstance(found, InForce):
            return found
        kept = self._kept(name, known)
        if kept is None:
            raise found.error
        return kept if isinstance(source, Fetched) and not source.fault else found.beside(kept, now_ms)

    def would_start(self, source: Source | None, known: Known = UNCHECKED) -> Policy:
        """The policy that `start` would put in force; nothing is written. Raises PolicyError as `start` does."""
        if source is None:
            return self._default(known)
        name = named(source)
        kept = self._kept(name, known)
        try:
            return believed(self._gathered(source), name, known, self._trust, self._latest(name, kept, None))[0]
        except PolicyError:
            if kept is None:
                raise
            return kept.policy

    def replaced(self, current: InForce, source: Source, now_ms: int, known: Known = UNCHECKED) -> InForce:
        """What is in force after the files changed: the new policy, or the current one with why they are refused.

        A policy that cannot be kept does not take force either: after a restart nobody could tell what had decided.
        """
        found = self._take(source, current.source, now_ms, known, current)
        return found if isinstance(found, InForce) else found.beside(current, now_ms)

    def keeps(self, source: Source, known: Known = UNCHECKED) -> bool:
        """Whether there is a good copy of this source."""
        return self._kept(named(source), known) is not None

    @property
    def signed(self) -> bool:
        """Whether signatures are looked at."""
        return self._trust is not None

    def policy(self, copy: bytes = b"") -> Policy:
        """The copy, whatever file it was read from, or the policy of another `InForce.copy`. Raises PolicyError where none can
        be read."""
        about = kept_copy.read(copy) if copy else kept_copy.told(self._text)
        found = kept_copy.bundle_of(about, self._text)
        if found is None:
            raise PolicyError((f"{self._text}: is no whole copy of a policy; restart the gate",))
        return parse_policy(found.main, str(about["source"]), beside=found.beside)

    def _default(self, known: Known) -> Policy:
        if self._trust is not None and self._trust.required:
            fault = f"{DEFAULT_NAME}: has no signature, and {self._trust.file} asks for one; name a signed policy with --policy"
            raise PolicyError((fault,), Why.SIGNATURE)
        return default(known)

    def _gathered(self, source: Source) -> Gathering | Held:
        return gathered(source, signed=self.signed)

    def _take(self, source: Source, name: str, now_ms: int, known: Known, current: InForce | None) -> InForce | Refused:
        """Read, verify, parse, judge and keep the files."""
        origin = None
        try:
            origin = self._gathered(source)
            kept = self._kept(name, known)
            policy, signed = believed(origin, in_faults(source), known, self._trust, self._latest(name, kept, current))
            found = origin.bundle
            since_ms = kept.since_ms if kept is not None and kept.policy.hash == policy.hash else now_ms
            copy = self._keep(found, name, since_ms, policy.validity.revision)
        except (PolicyError, StateError) as fault:
            if origin is None:
                return Refused(fault, unreadable(fault))
            return Refused(fault, origin.bundle.state, origin.bundle.names)
        by = signed.by if signed else ""
        return InForce(
            policy,
            since_ms,
            name,
            digest=found.state,
            looked_for=found.names,
            included=found.names,
            signed_by=by,
            copy=copy,
        )

    def _keep(self, found: Bundle, source: str, since_ms: int, revision: int | None) -> bytes:
        """One file is the copy, written whole or not at all, and given back; the other, before it, is for people to read."""
        copy = kept_copy.copy_of(found, source, since_ms, revision)
        try:
            write_private(self._text, found.main)
            write_private(kept_copy.beside(self._text), copy)
        except OSError as fault:
            raise StateError(f"{self._text}: cannot keep the policy: {fault.strerror or fault}") from fault
        return copy

    def _both(self) -> tuple[tuple[Path, dict[str, Any]], ...]:
        """What was kept in either place, the newest revision first; its own before the other's."""
        found = tuple((file, kept_copy.told(file)) for file in (self._text, self._other))
        return tuple(sorted(found, key=lambda each: -kept_copy.revision_of(each[1])))

    def _kept(self, source: str, known: Known) -> InForce | None:
        """The good copy of this source; None where there is none that can be read."""
        return next((kept for file, about in self._both() if (kept := self._copied(file, about, source, known))), None)

    def _copied(self, file: Path, about: dict[str, Any], source: str, known: Known) -> InForce | None:
        found = kept_copy.bundle_of(about, file)
        if found is None or about.get("source") != source:
            return None
        try:
            policy, signed = believed(Held(found), source, known, self._trust)
            by, copy = signed.by if signed else "", json.dumps(about).encode()
            return InForce(policy, int(about["since_ms"]), source, included=found.names, signed_by=by, copy=copy)
        except (KeyError, TypeError, ValueError, PolicyError):
            return None

    def _latest(self, source: str, kept: InForce | None, current: InForce | None) -> Latest | None:
        """What a new policy must not be older than: what decides now, at start what is kept of this source; None: nothing.

        A running gate goes by itself, since what was kept last may not have taken force, and is then tried again.
        """
        if current is not None:
            revision = current.policy.validity.revision
            return None if revision is None else Latest(revision, "", current.policy.hash)
        # A signed policy is the same policy wherever it lies, so that another path is no way back to an older one.
        anywhere = self._trust is not None and self._trust.required
        alike = (about for _, about in self._both() if anywhere or about.get("source") == source)
        about = next((about for about in alike if isinstance(about.get("revision"), int)), None)
        if about is None:
            return None
        revision = about["revision"]
        if self._trust is not None and self._trust.required:
            # The note is signed by nobody: it may hold a number down, but not keep a signed policy of that number out.
            if kept is None:
                return Latest(revision, None, None)
            revision = max(revision, kept.policy.validity.revision or 0)
        return Latest(revision, str(about.get("sha256")), kept.policy.hash if kept else None)
