"""What makes a signature that of a policy: it covers the policy file, names each included file's SHA-256, and tells the revision.

One signature for all files, so that nobody can put together the policy of one day and the people of another. It is minisign's
own, `policy.yaml.minisig`; what `minisign -V` prints as its trusted comment is the list, in words that a tab parts:

    spendgate policy	revision:42	people.yaml:<SHA-256>	payments.yaml:<SHA-256>

A policy that includes nothing needs no word of it, so any signature that minisign makes of the file will do: the revision stands
in the file itself.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

from spendgate.config.bundle import Bundle
from spendgate.config.trust import Trust
from spendgate.errors import PolicyError, Why
from spendgate.minisign import SUFFIX, Signature, signer
from spendgate.policy import Policy

KIND = "spendgate policy"
_REVISION = re.compile(r"revision:([1-9]\d{0,8})", re.ASCII)
_INCLUDED = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.-]*\.ya?ml):([0-9a-f]{64})", re.ASCII)


class Unsigned(ValueError):
    """An included file that the policy's signature does not cover as it is."""


@dataclass(frozen=True, slots=True)
class Signed:
    """What a verified signature says of a policy."""

    name: str
    """What the key is called here."""
    key: str
    """The key's id."""
    file: str
    """How faults name the signature."""
    revision: int | None
    digests: dict[str, str]
    """Each included file's SHA-256 in hex."""

    @property
    def by(self) -> str:
        """For people."""
        return f"{self.name} ({self.key})"

    def checked(self, beside: Callable[[str], bytes]) -> Callable[[str], bytes]:
        """`beside`, but for files that are not what was signed: for those Unsigned."""

        def read(name: str) -> bytes:
            data = beside(name)
            digest = self.digests.get(name)
            if digest is None:
                raise Unsigned(f"{name} is not in {self.file}; sign them together: spendgate policy sign")
            if hashlib.sha256(data).hexdigest() != digest:
                raise Unsigned(f"{name} is not what was signed with this policy: {self.file} is of another state of it")
            return data

        return read

    def judge(self, policy: Policy, included: tuple[str, ...]) -> None:
        """Raises PolicyError where the signature does not fit what the policy says of itself."""
        if more := sorted(set(self.digests) - set(included)):
            raise PolicyError(
                (f"{self.file}: covers {', '.join(more)}, which the policy does not include",), Why.SIGNATURE
            )
        if self.revision is not None and self.revision != policy.validity.revision:
            found = f"covers revision {self.revision}, and the policy has {policy.validity.revision or 'none'}"
            raise PolicyError((f"{self.file}: {found}",), Why.SIGNATURE)


def comment(revision: int, included: tuple[tuple[str, bytes], ...], more: str = "") -> str:
    """The trusted comment of a policy's signature; `more` is for people."""
    files = (f"{name}:{hashlib.sha256(data).hexdigest()}" for name, data in included)
    return "\t".join((KIND, f"revision:{revision}", *files, *((more,) if more else ())))


def verified(found: Bundle, file: str, trust: Trust) -> Signed | None:
    """Who signed the policy file; None where nobody did and nobody had to. Raises PolicyError: then no byte of it is believed."""
    signature_file = f"{file}{SUFFIX}"
    if found.signature is None:
        if trust.required:
            fault = f"is missing; {trust.file} asks for a signature: spendgate policy sign, or minisign -S"
            raise PolicyError((f"{signature_file}: {fault}",), Why.SIGNATURE)
        return None
    try:
        signature = Signature.parse(found.signature)
        key = signer(found.main, signature, (each.key for each in trust.keys))
        revision, digests = said(signature.trusted_comment)
    except ValueError as fault:
        raise PolicyError((f"{signature_file}: {fault}",), Why.SIGNATURE) from fault
    return Signed(trust.named(key), key.name, signature_file, revision, digests)


def said(trusted_comment: str) -> tuple[int | None, dict[str, str]]:
    """The revision and the included files' digests in a trusted comment. Raises ValueError where it says one thing twice."""
    revision: int | None = None
    digests: dict[str, str] = {}
    for word in trusted_comment.split("\t"):
        if number := _REVISION.fullmatch(word):
            if revision is not None:
                raise ValueError("has a trusted comment with two revisions")
            revision = int(number[1])
        elif named := _INCLUDED.fullmatch(word):
            if named[1] in digests:
                raise ValueError(f"has a trusted comment that names {named[1]} twice")
            digests[named[1]] = named[2]
    return revision, digests
