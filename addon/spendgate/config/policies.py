"""Policies from disk: load one, keep the last good copy, watch for changes.

Rules: a file takes force whole or not at all; a bad one never replaces the last good one; what is in force, since when, and
why a newer one is refused can always be told. The last good copy is the file's own bytes, read again by the same rules.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

from watchfiles import awatch

from spendgate.config.paths import State, write_private
from spendgate.config.people import Known
from spendgate.config.policy_file import UNCHECKED, parse_policy
from spendgate.config.reading import apart, read_regular
from spendgate.config.yaml_nodes import BYTES_MAX
from spendgate.errors import PolicyError, SpendgateError, StateError
from spendgate.policy import Policy

logger = logging.getLogger(__name__)

DEFAULT_NAME = "policies/default.yaml"
_POLL_MS = 2000
# An editor writes a file in several steps; what they leave within this time is one change.
_SETTLE_MS = 200


def load(path: Path, known: Known = UNCHECKED) -> Policy:
    """The policy in a file. Raises PolicyError with every fault, also where the file cannot be read."""
    return parse_policy(_read(path), str(path), known)


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
    return _read(Path(__file__).parents[3] / DEFAULT_NAME)


def _read(path: Path) -> bytes:
    """At most one byte more than a policy may have, so that a huge file costs nothing."""
    try:
        return read_regular(path, BYTES_MAX + 1)
    except OSError as fault:
        raise PolicyError((f"{path}: cannot be read: {fault.strerror or fault}",)) from fault


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, slots=True)
class InForce:
    """The policy that decides now, and the newer one that was refused, if any. Times in epoch milliseconds."""

    policy: Policy
    since_ms: int
    source: str
    """The file it was read from."""
    refused: tuple[str, ...] = ()
    """The faults of the file as it is now; empty where the file is in force."""
    refused_ms: int | None = None
    digest: str | None = None
    """SHA-256 of the file as it was last read, good or bad; None where it could not be read; empty where nothing came of it."""


@dataclass(frozen=True, slots=True)
class _Refused:
    """A file that did not take force."""

    error: PolicyError | StateError
    digest: str | None

    def beside(self, current: InForce, now_ms: int) -> InForce:
        """What goes on deciding, with the refusal."""
        faults = self.error.faults if isinstance(self.error, PolicyError) else (str(self.error),)
        since_ms = current.refused_ms if current.refused == faults else None
        return replace(current, refused=faults, refused_ms=since_ms or now_ms, digest=self.digest)


class LastGood:
    """The last policy that took force, kept in the state directory as text (0600) with its source and time."""

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
        found = self._take(path, source, now_ms, known)
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
        try:
            return load(path, known)
        except PolicyError:
            kept = self._kept(str(path.absolute()), known)
            if kept is None:
                raise
            return kept.policy

    def replaced(self, current: InForce, path: Path, now_ms: int, known: Known = UNCHECKED) -> InForce:
        """What is in force after the file changed: the new policy, or the current one with why the file is refused.

        A policy that cannot be kept does not take force either: after a restart nobody could tell what had decided.
        """
        found = self._take(path, current.source, now_ms, known)
        return found if isinstance(found, InForce) else found.beside(current, now_ms)

    def _take(self, path: Path, source: str, now_ms: int, known: Known) -> InForce | _Refused:
        """Read, parse and keep the file."""
        digest = None
        try:
            data = _read(path)
            digest = _digest(data)
            policy = parse_policy(data, str(path), known)
            kept = self._kept(source, known)
            since_ms = kept.since_ms if kept is not None and kept.policy.hash == policy.hash else now_ms
            self._keep(data, {"source": source, "since_ms": since_ms, "sha256": digest})
        except (PolicyError, StateError) as fault:
            return _Refused(fault, digest)
        return InForce(policy, since_ms, source, digest=digest)

    def _keep(self, data: bytes, about: dict[str, object]) -> None:
        # The digest ties the two files together: a crash between the writes leaves a pair that does not fit, and is no copy.
        try:
            write_private(self._text, data)
            write_private(self._about, json.dumps(about).encode())
        except OSError as fault:
            raise StateError(f"{self._text}: cannot keep the policy: {fault.strerror or fault}") from fault

    def _kept(self, source: str, known: Known) -> InForce | None:
        """The good copy of this source; None where there is none that can be read."""
        try:
            about = json.loads(self._about.read_bytes())
            data = self._text.read_bytes()
            if about["source"] != source or about["sha256"] != _digest(data):
                return None
            return InForce(parse_policy(data, source, known), int(about["since_ms"]), source)
        except (OSError, ValueError, KeyError, TypeError, PolicyError):
            return None


OnChange = Callable[[InForce], Awaitable[None]]


class Watch:
    """Follows one policy file and tells each change: a new policy in force, or the faults of a refused one."""

    def __init__(
        self, path: Path, current: InForce, last_good: LastGood, *, now_ms: Callable[[], int], known: Known = UNCHECKED
    ) -> None:
        self._path, self._last_good, self._known = path.absolute(), last_good, known
        self._now_ms = now_ms
        self.current = current

    async def run(self, changed: OnChange, stop: asyncio.Event) -> None:
        """Until `stop`: call `changed` whenever the file's bytes have changed.

        The directory is watched, since editors and configuration tools replace files; and the bytes are compared every two
        seconds besides, since some file systems report nothing. `self.current` is new before `changed` is called.
        Where `changed` fails, it is told so as a refusal of the file, the old policy stays, and the file is tried again.
        """
        while not stop.is_set():
            await self.look_if_new(changed)
            try:
                async for _ in self._moments(stop):
                    await self.look_if_new(changed)
            except (
                OSError,
                RuntimeError,
            ):  # the directory is not there (yet, or any more), or the system has no more watches
                await asyncio.sleep(_POLL_MS / 1000)

    async def look_if_new(self, changed: OnChange) -> None:
        """Look where the file's bytes are not those that were last read."""
        if await apart(self._digest) != self.current.digest:
            await self.look(changed)

    async def look(self, changed: OnChange) -> None:
        """Read the file now, and tell what came of it."""
        before = self.current
        try:
            now_ms = self._now_ms()
            found = await apart(lambda: self._last_good.replaced(before, self._path, now_ms, self._known))
            self.current = found
            await changed(found)
        except Exception as fault:  # noqa: BLE001 - whatever fails, the file must be followed on
            await self._failed(before, fault, changed)

    async def _failed(self, before: InForce, fault: Exception, changed: OnChange) -> None:
        """The file could not take force: what did goes on, and the next round tries the file again."""
        # Only our own errors are made to be read; another one's text may quote anything.
        why = str(fault) if isinstance(fault, SpendgateError) else type(fault).__name__
        error = StateError(f"{self._path}: cannot take force yet, and is tried again: {why}")
        self.current = _Refused(error, digest="").beside(before, self._now_ms())
        if self.current.refused == before.refused:
            return  # it was told
        try:
            await changed(self.current)
        except Exception:
            logger.exception("a policy that cannot take force could not be told")

    def _digest(self) -> str | None:
        try:
            return _digest(_read(self._path))
        except PolicyError:
            return None

    def _moments(self, stop: asyncio.Event) -> AsyncGenerator[object]:
        return awatch(
            self._path.parent,
            stop_event=stop,
            recursive=False,
            step=_SETTLE_MS // 4,
            debounce=_SETTLE_MS,
            rust_timeout=_POLL_MS,
            yield_on_timeout=True,
        )
