"""Values that no call has: two in one text, a key where its fingerprint is meant, a repository's address, no machine's id.

Anything may be a tool, a project or a machine, so that a reader of the file cannot refuse it; but each has a form.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from spendgate.policy import Policy
from spendgate.providers.client import KEY_PREFIX, fingerprint
from spendgate.review.doubt import Doubt
from spendgate.review.selectors import selectors
from spendgate.selector import SEVERAL_KEYS, is_glob

_BETWEEN: Final = re.compile(r"\s*[,|;]\s*")
_BESIDE: Final = re.compile(r"\s*[,|;+]\s*")
"""Of keys, which a row of a call with two of them has beside each other."""
_ONE_WORD: Final = frozenset({"person", "machine", "tool", "project", "account", "api_key"})
"""What never has a mark in its values with which people join several."""
_MACHINE: Final = re.compile(r"[a-z0-9*?][a-z0-9.:_*?-]*")
_MACHINE_MAX: Final = 64
_PROJECT: Final = re.compile(r"[\w.~+ /:\[\]*?-]+")
_ADDRESS: Final = re.compile(
    r"(?:[a-z+]+://)?(?:[^/@\s]*@)?([^/:\s]+)(?::\d+(?=/)|(?=:)|(?=/)|$)[:/]?(.*?)(?:\.git)?/*"
)
_USER: Final = re.compile(r"//[^/@]*@")
"""What an address may give away."""
_FORGES: Final = frozenset({"github.com", "gitlab.com", "bitbucket.org", "codeberg.org"})
"""Where every repository has an owner and a name."""
_FINGERPRINT: Final = re.compile(rf"(?:{KEY_PREFIX}|key):[0-9a-f]{{12}}")
_FINGERPRINTS_HEAD: Final = re.compile(
    r"(?:(?:sk(?:-proj|-svcacct|-admin|-or-v1|-ant(?:-[a-z]+[0-9]{2})?)?|gsk|xai|key):[0-9a-f]{0,12}"
    r"|sk-ant-[a-z]*[0-9]{0,2})"
)
"""What a fingerprint may begin with, up to a place in its digits."""
_WORDS: Final = ("sk-proj", "sk-svcacct", "sk-admin", "sk-or-v1", "sk-ant-", "gsk", "xai", "key", SEVERAL_KEYS)
_KEY_LENGTH_LEAST: Final = 20
"""What is shorter is no provider's key."""
_SHOWN_MAX: Final = 60


def unmatched(policy: Policy) -> Iterator[Doubt]:
    """Each value once for each rule that has it, with the form that is meant where one can be told."""
    found = {
        Doubt(placed.subject, f"{placed.name}: {why}"): None
        for placed in selectors(policy)
        for clause in placed.selector.clauses
        for text in clause.texts
        if (why := _why(clause.attribute, text))
    }
    yield from found


def _why(attribute: str, text: str) -> str:
    """Why no call has this value; empty where one may."""
    parts = [part for part in (_BESIDE if attribute == "api_key" else _BETWEEN).split(text) if part]
    if attribute in _ONE_WORD and len(parts) > 1:
        return f"{_shown(text)} is one value, and no {attribute} is called so; a list means any of them: [{', '.join(parts)}]"
    form = _FORMS.get(attribute)
    return form(text) if form is not None else ""


def _machine(text: str) -> str:
    if _MACHINE.fullmatch(text.casefold()) and (is_glob(text) or len(text) <= _MACHINE_MAX):
        return ""
    return (
        f"no machine is called {_shown(text)}: an id has letters, digits and . : _ - alone, at most {_MACHINE_MAX}; "
        "`spendgate status` prints this machine's"
    )


def _project(text: str) -> str:
    """`host/owner/name`, as `identity.project` reads it off the address of a repository."""
    host, _, rest = text.partition("/")
    addressed = "@" in text or (":" in text and "[" not in text)
    no_project = f"no project is called {_shown(_USER.sub('//', text))}: one is host/owner/name"
    if addressed or text.startswith("/") or text.endswith(("/", ".git")):
        return no_project + _meant(text)
    if _PROJECT.fullmatch(text) is None:
        return f"{no_project}, such as github.com/acme/shop"
    if is_glob(text) or "/" in rest:
        return ""
    if not rest or host.casefold() in _FORGES:
        return f"{no_project}; did you mean {text if '.' in host else f'*/{text}'}{'/*' if '.' in host else ''}?"
    if "." in host:
        return ""
    return f"{_shown(text)} is {rest} on a host called {host}: a project is host/owner/name, such as github.com/{text}"


def _meant(text: str) -> str:
    found = _ADDRESS.fullmatch(text.strip("/") if text.startswith("/") else text)
    meant = f"{found[1]}/{found[2]}".strip("/") if found else ""
    fits = "/" in meant and "//" not in meant and _PROJECT.fullmatch(meant) and ":" not in meant
    return f"; did you mean {meant}?" if fits else ", such as github.com/acme/shop"


def no_fingerprint(text: str) -> str:
    """Why no single key is known by this, with the form that is meant; empty where one may be."""
    return f"{_shown(text)} is no whole fingerprint" if is_glob(text) else _api_key(text)


def _api_key(text: str) -> str:
    """A key itself is not said again: it may be one that works."""
    folded = text.casefold()
    if folded == SEVERAL_KEYS or _FINGERPRINT.fullmatch(folded) or (is_glob(text) and _may_begin(folded)):
        return ""
    form = "its public prefix, a colon and the first 12 hex digits of its SHA-256, such as sk-proj:9f86d081884c"
    prefix, colon, digits = folded.rpartition(":")
    if colon and re.fullmatch(r"[0-9a-f]+", digits):
        return (
            f"{_shown(text)} has {len(digits)} digits behind {prefix}, and no key is known so; a key is known by {form}"
        )
    if is_glob(text) or len(text) < _KEY_LENGTH_LEAST or " " in text:
        return f"no key is known as {_shown(text)}: a key is known by {form}"
    return f"a key stands where its fingerprint is meant; did you mean {fingerprint(text)}?"


def _may_begin(glob: str) -> bool:
    """Whether the letters before the first star are those of some fingerprint."""
    head = re.split(r"[*?]", glob, maxsplit=1)[0]
    return any(word.startswith(head) for word in _WORDS) or _FINGERPRINTS_HEAD.fullmatch(head) is not None


_FORMS: Final[Mapping[str, Callable[[str], str]]] = {"machine": _machine, "project": _project, "api_key": _api_key}


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}…"
