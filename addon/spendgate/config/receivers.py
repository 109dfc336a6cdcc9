"""Reads `notify`, of the file and of teams: where an alert is sent, and which."""

from __future__ import annotations

import re
from typing import Final

from spendgate.alert_rules import Severity
from spendgate.config import forms
from spendgate.config.faults import NotAmong, one_of, shown
from spendgate.config.sections import Section, known_word
from spendgate.config.services import SCHEMES
from spendgate.roster import Notify

PURPOSES: Final = (*(severity.value for severity in Severity), "digest")
_ADDRESS: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(\S*)")
_VARIABLE: Final = re.compile(r"\$\{([^}]*)\}")
_SECRET: Final = re.compile(r"SPENDGATE_SECRET_[A-Z0-9_]{1,64}")
_OWN_HOOK: Final = "; write json:// or jsons:// for a web hook of your own"
_INSTEAD: Final = {
    "http": _OWN_HOOK,
    "https": _OWN_HOOK,
    "webhook": _OWN_HOOK,
    "teams": "; write workflows:// for Microsoft Teams",
    "msteams": "; write workflows:// for Microsoft Teams",
    "mail": "; write mailto:// or mailtos:// for mail",
    "email": "; write mailto:// or mailtos:// for mail",
    "smtp": "; write mailto:// or mailtos:// for mail",
}
_HOOKS: Final = {"hooks.slack.com": "slack", "discord.com": "discord"}
"""Addresses that their own pages give, and the service that each is."""
_ADDRESS_LENGTH_MAX: Final = 2000


def read_notify(section: Section) -> tuple[Notify, ...]:
    """The receivers under `notify`. Two entries with one address are a fault: nobody can tell which words hold."""
    found: list[Notify] = []
    for entry in section.sections("notify"):
        to = entry.parsed("to", address, required=True)
        purposes = entry.names("for", lambda text: known_word(text, PURPOSES))
        if not entry.has("for"):
            entry.fault("", f"needs for: what it is told; {one_of(PURPOSES)}")
        entry.done()
        if to is not None and any(other.to == to for other in found):
            entry.fault("to", "stands above already; name all that it is told in one entry")
        found.append(Notify(to=to or "", purposes=purposes))
    return tuple(found)


@forms.written(r"[A-Za-z][A-Za-z0-9+.-]*://\S*", "slack://${SPENDGATE_SECRET_AI}", maxLength=_ADDRESS_LENGTH_MAX)
def address(text: str) -> str:
    """A service's address, `slack://${SPENDGATE_SECRET_AI}`. A ValueError never shows what may be a secret in it."""
    found = _ADDRESS.fullmatch(text)
    if found is None or len(text) > _ADDRESS_LENGTH_MAX:
        mail = "; for mail write mailtos://${SPENDGATE_SECRET_MAIL}" if "@" in text and "://" not in text else ""
        raise ValueError(
            f"is not an address; allowed: SERVICE://…, such as slack://${{SPENDGATE_SECRET_AI}}, without spaces{mail}"
        )
    scheme = found[1].lower()
    if scheme not in SCHEMES:
        instead = _INSTEAD.get(scheme, "")
        if scheme in {"http", "https"} and (service := next((each for each in _HOOKS if each in found[2]), None)):
            raise ValueError(
                f"{shown(scheme)} is not a service that can be told; write {_HOOKS[service]}://${{SPENDGATE_SECRET_AI}}, "
                "and put what follows the host of the web hook into that variable"
            )
        raise NotAmong(f"{shown(scheme)} is not a service that can be told{instead}", scheme, SCHEMES)
    for name in _VARIABLE.findall(text):
        if _SECRET.fullmatch(name) is None:
            raise ValueError(
                f"{shown(name)} cannot be read here; allowed: names that begin SPENDGATE_SECRET_, in capitals"
            )
    if "$" in _VARIABLE.sub("", text):
        raise ValueError("has a $ that starts no ${SPENDGATE_SECRET_…}; write one in its place, or %24 for the letter")
    return text
