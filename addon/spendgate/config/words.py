"""The small languages inside a policy's values: limits, durations, dates, hosts, names.

Each function takes the text of one value and gives what it means; ValueError says what was found and what is allowed.
"""

from __future__ import annotations

import ipaddress
import re
from datetime import date
from typing import cast, get_args

from spendgate.budget import Counts
from spendgate.config import forms
from spendgate.config.faults import shown
from spendgate.config.sections import known_word
from spendgate.config.shared_domains import SHARED_PARENTS
from spendgate.money import Money
from spendgate.policy import OnFailure
from spendgate.window import MONTHS, WEEKDAYS

WAIT_MS_MAX = 10 * 60_000
NAME_LENGTH_MAX = 64
_DURATION = re.compile(r"(0|[1-9]\d{0,5})(ms|s|m)", re.ASCII)
_DURATION_MS = {"ms": 1, "s": 1000, "m": 60_000}
_UP_TO = re.compile(r"allow up to (\S+) per person")
_NAME = re.compile(r"[^\W_][\w .@+-]*")
_ACCOUNT = re.compile(r"[^\s|,*?\x00-\x1f]+(?: [^\s|,*?\x00-\x1f]+)*")
_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_THOUSANDS = re.compile(r"\$([1-9]\d{0,2})\.(\d{3})", re.ASCII)


def counts(text: str) -> Counts:
    """`captured`, `value` or `billed`."""
    return cast(Counts, known_word(text, get_args(Counts)))


@forms.written(forms.WAIT, "20s", "2m", "500ms")
def duration_ms(text: str) -> int:
    """`20s`, `2m`, `500ms`; at most 10 minutes."""
    found = _DURATION.fullmatch(text)
    length = int(found[1]) * _DURATION_MS[found[2]] if found else WAIT_MS_MAX + 1
    if length > WAIT_MS_MAX:
        raise ValueError(f"{shown(text)} is not a wait; allowed: 500ms, 20s, 2m, … up to 10m")
    return length


@forms.written(
    rf"allow|refuse|allow\s+up\s+to\s+{forms.AMOUNT}\s+per\s+person", "allow", "refuse", "allow up to $10 per person"
)
def on_failure(text: str) -> OnFailure:
    """`allow`, `refuse`, `allow up to $10 per person`."""
    if text == "allow":
        return OnFailure(action="allow")
    if text == "refuse":
        return OnFailure(action="refuse")
    found = _UP_TO.fullmatch(" ".join(text.split()))
    if found is None:
        raise ValueError(f"{shown(text)} is not known; allowed: allow, refuse, allow up to $10 per person")
    return OnFailure(action="allow", limit_nanos=amount(found[1]).nanos)


@forms.written(forms.DAY, "2027-03-31")
def day(text: str) -> date:
    """`2027-03-31`."""
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
            return date.fromisoformat(text)
    except ValueError as fault:
        raise ValueError(f"{shown(text)} is not a day: {fault}") from fault
    raise ValueError(f"{shown(text)} is not a day; write it as 2027-03-31")


def weekday(text: str) -> int:
    """Monday is 0."""
    return _index(text, WEEKDAYS)


def month(text: str) -> int:
    """January is 1."""
    return _index(text, MONTHS) + 1


def _index(text: str, words: tuple[str, ...]) -> int:
    return words.index(known_word(text.lower(), words))


@forms.written(forms.AMOUNT, "$20", "$1,000", "$0.25")
def amount(text: str) -> Money:
    """An amount of a limit. Raises ValueError also for `$2.000`: two dollars to one reader, two thousand to another."""
    found = Money.parse(text)
    thousands = _THOUSANDS.fullmatch(text.strip())
    if thousands is not None:
        more, less = f"${thousands[1]},{thousands[2]}", f"${thousands[1]}.{thousands[2]}0"
        raise ValueError(f"{shown(text)} may be read as {more}; write {more}, or {less} where a decimal point is meant")
    return found


@forms.written(forms.NAME, type=["string", "number", "boolean"], maxLength=NAME_LENGTH_MAX)
def name(text: str) -> str:
    """A name of the policy's own: of a person, team, group or rule. It stands in refusals and in balances."""
    if len(text) > NAME_LENGTH_MAX or _NAME.fullmatch(text) is None or text != " ".join(text.split()):
        raise ValueError(
            f"{shown(text)} is not a name; allowed: letters, digits, single spaces and . @ + - _ after a letter or digit, "
            f"at most {NAME_LENGTH_MAX}"
        )
    return text


@forms.written(forms.ACCOUNT, type=["string", "number", "boolean"], maxLength=4 * NAME_LENGTH_MAX)
def account(text: str) -> str:
    """An OS account: `alice`, `ACME\\alice`, `admin@MACHINE`."""
    if len(text) > 4 * NAME_LENGTH_MAX or _ACCOUNT.fullmatch(text) is None:
        raise ValueError(
            f"{shown(text)} is not an account; allowed: alice, 'ACME\\alice', admin@MACHINE, without * ? | ,"
        )
    return text


@forms.written(forms.HOST, "llm.acme.example")
def host(text: str) -> str:
    """An exact host name, in lower case. Raises ValueError for addresses, wildcards and what others could own."""
    found = host_name(text)
    if found in SHARED_PARENTS or _is_registry(found.split(".")):
        raise ValueError(f"{shown(text)} is a domain under which others live; name the host itself")
    return found


def host_name(text: str) -> str:
    """Any host's name, in lower case. Raises ValueError for addresses and wildcards."""
    found = text.rstrip(".").lower()
    if "*" in found:
        raise ValueError(
            f"{shown(text)} is no exact host; allowed: llm.acme.example, or under capture *.ai.acme.example"
        )
    if _is_address(found):
        raise ValueError(f"{shown(text)} is an address; allowed: host names, which a certificate can be bound to")
    labels = found.split(".")
    if len(found) > 253 or len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(
            f"{shown(text)} is not a host name; allowed: names such as llm.acme.example, without port or path{_within(found)}"
        )
    return found


def _within(text: str) -> str:
    """The host of an address that was written whole."""
    name = text.partition("://")[2] or text
    name = name.partition("/")[0].partition(":")[0]
    labels = name.split(".")
    fits = name != text and len(labels) > 1 and all(_LABEL.fullmatch(label) for label in labels)
    return f"; here: {name}" if fits else ""


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        # A name that ends in a number is read as an address by some resolvers (RFC 3696, section 2).
        return text.rpartition(".")[2].isdigit()
    return True


def _is_registry(labels: list[str]) -> bool:
    """`co.uk`, `com.au`: what registries sell names under."""
    return (
        len(labels) == 2
        and len(labels[1]) == 2
        and labels[0] in {"co", "com", "org", "net", "gov", "ac", "edu", "or", "ne"}
    )
