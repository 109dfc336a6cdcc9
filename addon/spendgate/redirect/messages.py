"""What root and gate say to each other, one message a packet: the pulse, that the rules act, QUIC targets, what is held, at which
port the gate is, and questions about a connection.

The gate is the less trusted side: whatever comes from it is parsed strictly, bounded, and can only name addresses and its port.
"""

from __future__ import annotations

import ipaddress
import json
import socket
from dataclasses import asdict, dataclass, replace
from typing import Any

from spendgate.attribution import Evidence, Peer
from spendgate.identity.interface import Endpoints
from spendgate.redirect.lapses import Lapse, Why
from spendgate.redirect.ports import PORT_LEAST, PORT_MOST

PULSE = b"pulse"
UNABLE = b"unable"
"""The gate's other answer to it: it lives, and nothing is to be led to it."""
TOLD = b"told"
"""The gate ends in a lapse, and has told of it until now."""
PACKET_BYTES_MAX = 64 * 1024
ADDRESSES_MAX = 1024
WAITING_MAX = 1024
"""So many messages of a gate that has ended are still heard: more than the kernel queues."""
_FROM_PROCESS = (
    "login_account", "cgroup", "pid", "process", "process_path", "started_ms", "tool", "project", "browser", "why_unknown",
)  # fmt: skip
"""What an answer may add to the peer that the gate has looked up by itself."""


def received(pulse: socket.socket) -> bytes | None:
    """What has come on a socket that does not block; None: nothing yet. b"": the other side is gone."""
    try:
        return pulse.recv(PACKET_BYTES_MAX)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def pack_addresses(addresses: frozenset[str]) -> bytes:
    """QUIC targets as one packet, the first `ADDRESSES_MAX` in order."""
    return json.dumps(sorted(addresses)[:ADDRESSES_MAX]).encode()


def addresses(packet: bytes) -> frozenset[str]:
    """The addresses of a packet. Raises ValueError."""
    return _addresses(_parsed(packet))


def _addresses(listed: object) -> frozenset[str]:
    if not isinstance(listed, list) or len(listed) > ADDRESSES_MAX:
        raise ValueError("not a short list of addresses")
    return frozenset(plain for text in listed if isinstance(text, str) and (plain := plain_address(text)))


def plain_address(text: str) -> str | None:
    """The canonical form of an address that a rule may name: of one host, beyond this link. None for any other one.

    A scope (`fe80::1%eth0`) may be any text, also lines of rules, and nft takes none in a set. Raises ValueError: no address.
    """
    address = ipaddress.ip_address(text)
    scoped = isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None
    local = address.is_link_local or address.is_loopback or address.is_unspecified
    return None if scoped or local or address.is_multicast else str(address)


def pack_held(addresses: frozenset[str]) -> bytes:
    """What is refused while no gate answers, likewise; none: nothing is."""
    return json.dumps({"held": sorted(addresses)[:ADDRESSES_MAX]}).encode()


def held(packet: bytes) -> frozenset[str] | None:
    """The addresses of such a packet; None: it is another one. Raises ValueError."""
    said = _parsed(packet)
    if not isinstance(said, dict):
        return None
    if said.keys() != {"held"}:
        raise ValueError("not what is held")
    return _addresses(said["held"])


def pack_port(port: int) -> bytes:
    """Of a gate that is at another port than the rules were made with."""
    return json.dumps({"port": port}).encode()


def port(packet: bytes) -> int | None:
    """The port of such a packet; None: it is another one. Raises ValueError."""
    said = _parsed(packet)
    if not isinstance(said, dict) or "port" not in said:
        return None
    named = said["port"]
    if len(said) != 1 or type(named) is not int or not PORT_LEAST <= named <= PORT_MOST:
        raise ValueError("not a port that a gate can have")
    return named


def pack_leads(port: int) -> bytes:
    """To the gate: the rules lead there from here on, once they act. A version that knows of no ports never says it."""
    return json.dumps({"leads": port}).encode()


def leads(packet: bytes, port: int) -> bool:
    """Whether it says so of `port`."""
    try:
        return bool(_parsed(packet) == {"leads": port})
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Acts:
    """The rules act for the gate from here on."""

    lapse: Lapse | None
    """When they did not before, as far as what sets them knows."""
    held_before: bool | None = None
    """Whether calls were refused when that was started; None: one of an older version, which does not say it."""


def pack_acting(acts: Acts) -> bytes:
    """To the gate."""
    lapse = None if acts.lapse is None else asdict(acts.lapse)
    return json.dumps({"acting": lapse, "held_before": acts.held_before}).encode()


def acting(packet: bytes) -> Acts | None:
    """What such a packet says; None: it is another one, or of a version that says it otherwise."""
    try:
        said = _parsed(packet)
        lapse = said["acting"]
        return Acts(None if lapse is None else Lapse(**{**lapse, "why": Why(lapse["why"])}), said.get("held_before"))
    except (ValueError, TypeError, KeyError):
        return None


def pack_question(number: int, uid: int, ends: Endpoints) -> bytes:
    """Who holds this connection, which the gate has found to be `uid`'s?"""
    return json.dumps([number, uid, *ends.local, *ends.remote]).encode()


def question(packet: bytes) -> tuple[int, int, Endpoints]:
    """Number, uid and addresses of a question. Raises ValueError."""
    parts = _parsed(packet)
    if not isinstance(parts, list) or [type(part) for part in parts] != [int, int, str, int, str, int]:
        raise ValueError("not a question")
    number, uid, local, local_port, remote, remote_port = parts
    if not (0 <= local_port < 65536 and 0 <= remote_port < 65536):
        raise ValueError("not a port")
    return number, uid, Endpoints((local, local_port), (remote, remote_port))


def pack_answer(number: int, peer: Peer) -> bytes:
    """What is known of the process."""
    said = asdict(peer)
    return json.dumps([number, {name: said[name] for name in _FROM_PROCESS if said[name] is not None}]).encode()


def answer(packet: bytes, peer: Peer) -> tuple[int, Peer]:
    """The question's number, and `peer` with what the answer says of its process."""
    number, said = _parsed(packet)
    return number, replace(peer, **said, evidence=Evidence.SOCKET_OWNER)


def _parsed(packet: bytes) -> Any:  # noqa: ANN401  JSON is any shape until it is checked
    try:
        return json.loads(packet)
    except RecursionError:
        raise ValueError("nested too deep") from None
