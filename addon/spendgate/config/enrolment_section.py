"""The section `enrolment` of a rollout file: which office devices enrol at, under which name, and by whose credential.

enrolment:
  office: https://ca.acme.example:8443
  device: serial                 # or hostname, which is the default
  token: fleet-token             # beside the rollout file; without it the MDM puts a credential on each device
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from spendgate.config.beside import beside
from spendgate.config.faults import shown
from spendgate.config.sections import Section, known_word
from spendgate.mdm.rollout import DeviceName, Enrolment

_TOKEN: Final = re.compile(r"sge_[A-Za-z0-9_-]{43}")
"""As `ca org token` makes them (`enrolment.credentials`)."""


def enrolment_of(top: Section, folder: Path) -> Enrolment | None:
    """What it says; None where it is not there, or has faults."""
    section = top.section("enrolment")
    if section is None:
        return None
    office = section.parsed("office", _office, required=True)
    device = section.parsed("device", lambda text: DeviceName(known_word(text, tuple(DeviceName))))
    token = section.parsed("token", lambda text: _token(beside(folder, text)))
    section.done()
    return Enrolment(office, device or DeviceName.HOSTNAME, token) if office else None


def _office(text: str) -> str:
    """As `ca org enroll` takes it. Raises ValueError."""
    try:
        found = urlsplit(text)
        port = "" if found.port is None else f":{found.port}"
    except ValueError:
        port, found = "", urlsplit("")
    host = re.fullmatch(r"[A-Za-z0-9.-]{1,253}", found.hostname or "", re.ASCII)
    if host is None or port == ":0" or text.rstrip("/").lower() != f"https://{found.hostname}{port}":
        raise ValueError(f"{shown(text)} is no office; allowed: https://HOST:PORT, as `spendgate ca org serve` listens")
    return text.rstrip("/")


def _token(data: bytes) -> str:
    """The first line. Raises ValueError, which does not show it."""
    first = data.decode("ascii", "replace").partition("\n")[0].strip()
    if _TOKEN.fullmatch(first) is None:
        raise ValueError(
            "is a file with no credential; allowed: one with what `spendgate ca org token --fleet` printed"
        )
    return first
