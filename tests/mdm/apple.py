"""Holds configuration profiles against Apple's own definitions: types, required keys, allowed values, unknown keys.

Beside the definitions, what their prose asks for and YAML cannot say: no identifier or UUID twice, and for a transparent
proxy by a system extension the two keys that tell which.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

SCHEMA = Path(__file__).parents[3] / "shared" / "apple-device-management"
_UUID = re.compile(r"[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}")
_TYPES: dict[str, tuple[type, ...]] = {
    "<string>": (str,),
    "<integer>": (int,),
    "<real>": (float, int),
    "<boolean>": (bool,),
    "<date>": (datetime,),
    "<data>": (bytes,),
    "<array>": (list,),
    "<dictionary>": (dict,),
    "<any>": (object,),
}
Keys = list[dict[str, Any]]


def faults(profile: dict[str, Any]) -> list[str]:
    """Everything that Apple's definitions do not allow, with its path."""
    return [*_whole(profile)]


def _whole(profile: dict[str, Any]) -> Iterator[str]:
    yield from _dictionary(profile, [*_keys("TopLevel")], "")
    payloads = profile.get("PayloadContent")
    payloads = payloads if isinstance(payloads, list) else []
    for number, payload in enumerate(payloads):
        where = f"PayloadContent[{number}]"
        if not isinstance(payload, dict):
            continue
        kind = payload.get("PayloadType")
        if not isinstance(kind, str) or not (SCHEMA / f"{kind}.yaml").is_file():
            yield f"{where}.PayloadType: {kind!r} is not defined"
            continue
        yield from _dictionary(payload, [*_keys("CommonPayloadKeys"), *_keys(kind)], where)
        yield from _allowed_here(kind, payloads, where)
        yield from _proxy(payload, where)
    every = [profile, *(each for each in payloads if isinstance(each, dict))]
    for name in ("PayloadUUID", "PayloadIdentifier"):
        values = [each.get(name) for each in every]
        yield from (f"{name}: {value!r} twice" for value in {*values} if values.count(value) > 1)
    yield from (f"PayloadUUID: {each.get('PayloadUUID')!r}" for each in every if not _is_uuid(each.get("PayloadUUID")))


def _is_uuid(value: object) -> bool:
    return isinstance(value, str) and _UUID.fullmatch(value) is not None


def _allowed_here(kind: str, payloads: list[Any], where: str) -> Iterator[str]:
    on = _definition(kind)["payload"]["supportedOS"]["macOS"]
    if on.get("introduced") == "n/a":
        yield f"{where}: {kind} is not for macOS"
    if not on.get("multiple", True) and sum(each.get("PayloadType") == kind for each in payloads) > 1:
        yield f"{where}: {kind} twice"
    if not on.get("devicechannel", True):
        yield f"{where}: {kind} is not for the device channel"


def _proxy(payload: dict[str, Any], where: str) -> Iterator[str]:
    if payload.get("VPNType") != "TransparentProxy":
        return
    inner = payload.get("TransparentProxy")
    for key in ("ProviderBundleIdentifier", "ProviderDesignatedRequirement"):
        if not isinstance(inner, dict) or key not in inner:
            yield f"{where}.TransparentProxy.{key}: is missing, and a system extension needs it"
    if not payload.get("VPNSubType"):
        yield f"{where}.VPNSubType: is missing, and TransparentProxy needs it"


def _dictionary(value: dict[str, Any], keys: Keys, where: str) -> Iterator[str]:
    known = {key["key"]: key for key in keys}
    wild = known.pop("ANY", None)
    for name, key in known.items():
        if name not in value and key.get("presence") == "required":
            yield f"{where}.{name}: is missing"
    for name, item in value.items():
        key = known.get(name) or wild
        if key is None:
            yield f"{where}.{name}: unknown key"
        else:
            yield from _value(item, key, f"{where}.{name}")


def _value(value: object, key: dict[str, Any], where: str) -> Iterator[str]:
    kind = key["type"]
    if not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind in ("<integer>", "<real>")):
        yield f"{where}: {type(value).__name__}, not {kind}"
        return
    if key.get("rangelist") and value not in key["rangelist"] and not isinstance(value, (list, dict)):
        yield f"{where}: {value!r} is not among {key['rangelist']}"
    macos = key.get("supportedOS", {}).get("macOS", {})
    if macos.get("introduced") == "n/a":
        yield f"{where}: not for macOS"
    inner = key.get("subkeys")
    if isinstance(value, dict) and inner and kind != "<any>":
        yield from _dictionary(value, inner, where)
    elif isinstance(value, list) and inner:
        for number, item in enumerate(value):
            yield from _value(item, {**inner[0], "presence": "optional"}, f"{where}[{number}]")


def _keys(name: str) -> Keys:
    found: Keys = _definition(name)["payloadkeys"]
    return found


@lru_cache
def _definition(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((SCHEMA / f"{name}.yaml").read_text())
    return found
