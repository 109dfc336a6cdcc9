"""Reads a time zone's name: one that means the same on every laptop, today and after the system's next update.

`EST` has no summer time and is another place by the age of the zone data, `CET` had rules of its own, and systems that keep old
names in a package apart (Debian's and Ubuntu's `tzdata-legacy`) have no `US/Pacific`: a file with one of them would be taken on
one laptop and refused on the next. So the names are places', `Etc/…` and UTC.
"""

from __future__ import annotations

import re
from typing import Final

from spendgate.config.faults import NotAmong, shown
from spendgate.window import known_zones, zone_of

_ALLOWED: Final = "allowed: IANA names such as Europe/Berlin"
_NO_PLACE: Final = re.compile(r"(?:localtime|factory|posixrules|(?:right|posix)/.*)", re.IGNORECASE)
"""Names under which zone data has what is no zone of IANA's: whatever a machine is set to, and each zone once more."""
_PLACES: Final = re.compile(
    r"(?:Africa|America|Antarctica|Arctic|Asia|Atlantic|Australia|Europe|Indian|Pacific|Etc)/.+|UTC", re.IGNORECASE
)
_MEANT: Final = {
    "Brazil/Acre": "America/Rio_Branco", "Brazil/DeNoronha": "America/Noronha", "Brazil/East": "America/Sao_Paulo",
    "Brazil/West": "America/Manaus", "CET": "Europe/Brussels", "CST6CDT": "America/Chicago",
    "Canada/Atlantic": "America/Halifax", "Canada/Central": "America/Winnipeg", "Canada/Eastern": "America/Toronto",
    "Canada/Mountain": "America/Edmonton", "Canada/Newfoundland": "America/St_Johns", "Canada/Pacific": "America/Vancouver",
    "Canada/Saskatchewan": "America/Regina", "Canada/Yukon": "America/Whitehorse", "Chile/Continental": "America/Santiago",
    "Chile/EasterIsland": "Pacific/Easter", "Cuba": "America/Havana", "EET": "Europe/Athens", "EST": "America/New_York",
    "EST5EDT": "America/New_York", "Egypt": "Africa/Cairo", "Eire": "Europe/Dublin", "GB": "Europe/London",
    "GB-Eire": "Europe/London", "GMT": "Etc/GMT", "GMT+0": "Etc/GMT", "GMT-0": "Etc/GMT", "GMT0": "Etc/GMT",
    "Greenwich": "Etc/GMT", "HST": "Pacific/Honolulu", "Hongkong": "Asia/Hong_Kong", "Iceland": "Atlantic/Reykjavik",
    "Iran": "Asia/Tehran", "Israel": "Asia/Jerusalem", "Jamaica": "America/Jamaica", "Japan": "Asia/Tokyo",
    "Kwajalein": "Pacific/Kwajalein", "Libya": "Africa/Tripoli", "MET": "Europe/Brussels", "MST": "America/Phoenix",
    "MST7MDT": "America/Denver", "Mexico/BajaNorte": "America/Tijuana", "Mexico/BajaSur": "America/Mazatlan",
    "Mexico/General": "America/Mexico_City", "NZ": "Pacific/Auckland", "NZ-CHAT": "Pacific/Chatham", "Navajo": "America/Denver",
    "PRC": "Asia/Shanghai", "PST8PDT": "America/Los_Angeles", "Poland": "Europe/Warsaw", "Portugal": "Europe/Lisbon",
    "ROC": "Asia/Taipei", "ROK": "Asia/Seoul", "Singapore": "Asia/Singapore", "Turkey": "Europe/Istanbul", "UCT": "UTC",
    "US/Alaska": "America/Anchorage", "US/Aleutian": "America/Adak", "US/Arizona": "America/Phoenix",
    "US/Central": "America/Chicago", "US/East-Indiana": "America/Indiana/Indianapolis", "US/Eastern": "America/New_York",
    "US/Hawaii": "Pacific/Honolulu", "US/Indiana-Starke": "America/Indiana/Knox", "US/Michigan": "America/Detroit",
    "US/Mountain": "America/Denver", "US/Pacific": "America/Los_Angeles", "US/Samoa": "Pacific/Pago_Pago",
    "Universal": "UTC", "W-SU": "Europe/Moscow", "WET": "Europe/Lisbon", "Zulu": "UTC",
    "PST": "America/Los_Angeles", "PDT": "America/Los_Angeles", "CST": "America/Chicago", "CDT": "America/Chicago",
    "MDT": "America/Denver", "EDT": "America/New_York", "BST": "Europe/London", "CEST": "Europe/Brussels",
    "EEST": "Europe/Athens", "WEST": "Europe/Lisbon", "IST": "Asia/Kolkata", "JST": "Asia/Tokyo",
}  # fmt: skip
"""The place that each old name is a link to (IANA's file `backward`, 2025b), and that people mean by what a clock shows.

Of `EST` the link is America/Panama since 2024b, `America/New_York` is what is meant."""


def zone_named(text: str) -> str:
    """A place's zone that this system knows, `Etc/…` or UTC. What a machine is set to is none: the next may have another."""
    if _NO_PLACE.fullmatch(text):
        _, copied, rest = text.partition("/")
        why = "is not what IANA calls a time zone" if copied else "is no place's time zone"
        raise NotAmong(f"{shown(text)} {why}; {_ALLOWED}", rest, _places() if copied else ())
    if meant := _BY_FOLD.get(text.casefold()):
        raise ValueError(f"{shown(text)} {_why(text, meant)}; {_ALLOWED}; did you mean {meant}?")
    try:
        zone_of(text)
    except ValueError as fault:
        raise NotAmong(f"{fault}; {_ALLOWED}", text, _places()) from fault
    if not _PLACES.fullmatch(text):
        raise NotAmong(f"{shown(text)} is no place's time zone; {_ALLOWED}", text, _places())
    return text


def _why(text: str, meant: str) -> str:
    if "/" in text or text.istitle():
        return "is an old name that some systems no longer know"
    same = meant == "UTC" or meant.startswith("Etc/")
    return "is no place's time zone" + ("" if same else ": what it stands for differs by system")


_BY_FOLD: Final = {name.casefold(): meant for name, meant in _MEANT.items()}


def _places() -> tuple[str, ...]:
    return tuple(name for name in known_zones() if _PLACES.fullmatch(name))
