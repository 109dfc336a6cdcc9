"""The names that the CA is tried with. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from spendgate.verifiers.interface import Case

ELSEWHERE = "example.com"
"""Reserved for documentation (RFC 2606), as are the addresses below (RFC 5737, RFC 3849): nobody's certificate is imitated."""


def cases(domains: Iterable[str], canary: str) -> tuple[Case, ...]:
    """One allowed host, then what no verifier may let pass. `domains` are those that the CA permits.

    The forbidden ones are fixed but for two, which look like the allowed host: a CA that permits one of them, since somebody's
    policy names it, is told as one that lets it pass.
    """
    allowed = frozenset(domains)
    # One that no other permitted domain is above: what is glued to a host below one would be permitted with it.
    highest = [each for each in allowed if not any(each.endswith(f".{other}") for other in allowed)]
    host = min(set(highest) - {canary}, default=canary)
    return (
        Case("allowed", host, host, allowed=True),
        _forbidden("other host", f"www.{ELSEWHERE}"),
        _forbidden("IPv4", "203.0.113.7"),
        _forbidden("IPv6", "2001:db8::7"),
        Case("wildcard", f"any.wild.{ELSEWHERE}", f"*.wild.{ELSEWHERE}", allowed=False),
        _forbidden("glued lookalike", f"not{host}"),
        _forbidden("longer lookalike", f"{host}.{ELSEWHERE}"),
        _forbidden("S3", "s3.amazonaws.com"),
        _forbidden("Google storage", "storage.googleapis.com"),
        _forbidden("foreign Azure", "somebody-elses.azure-api.net"),
    )


def _forbidden(name: str, host: str) -> Case:
    return Case(name, host, host, allowed=False)
