"""What a listing of the table by nft(8) says (`nftables.show`): packets that were turned back, and what is held. Pure."""

from __future__ import annotations

import re

_REJECTED = re.compile(r"@quic[46].*\bcounter packets (\d+) bytes \d+ reject")
_HELD_BACK = re.compile(r"@hold[46].*\bcounter packets (\d+) bytes \d+ reject")
_HOLD_SETS = re.compile(r"set hold[46] \{[^}]*elements = \{([^}]*)\}")
_ALIVE = re.compile(r"set alive \{[^}]*elements = \{")
_GROUP = re.compile(r"(cgroupv2 level \d+) \S+")
_REMARK = re.compile(r"\s*#.*")


def rejected(table: str) -> int | None:
    """How many packets of QUIC were rejected; None: no rule rejects any. Pure."""
    counted = _REJECTED.findall(table)
    return sum(map(int, counted)) if counted else None


def held(table: str) -> frozenset[str]:
    """The addresses that are refused while no gate answers. Pure."""
    return frozenset(word.strip() for found in _HOLD_SETS.findall(table) for word in found.split(",") if word.strip())


def holds_now(table: str) -> bool:
    """Whether they are refused now: no sign of life is in force. Pure."""
    return bool(held(table)) and not _ALIVE.search(table)


def held_back(table: str) -> int:
    """How many packets were refused so. Pure."""
    return sum(map(int, _HELD_BACK.findall(table)))


def shape(listed: str) -> str:
    """What of `ruleset.LOOK` says whether somebody has changed the table: not how a group is called, which is a number once it
    has gone, nor what nft remarks. Pure."""
    return _REMARK.sub("", _GROUP.sub(r"\1", listed))
