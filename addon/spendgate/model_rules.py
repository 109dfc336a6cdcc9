"""Model rules: which models a call may ask for, and what one rule says of one call."""

from __future__ import annotations

from typing import Literal

from spendgate.admission import RefusalKind, Refuse
from spendgate.model_names import ModelPattern
from spendgate.roster import Values
from spendgate.selector import EVERY, Chosen, Facts


class ModelRule(Values):
    """Which models. Exactly one of `allow` and `deny` is given."""

    name: str
    match: Chosen = EVERY
    excepted: Chosen = EVERY
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    suggest: str | None = None
    unresolved: Literal["deny", "allow"] = "deny"
    order: int


def refused_by(rule: ModelRule, patterns: tuple[ModelPattern, ...], facts: Facts) -> Refuse | None:
    """What one model rule says of a call; None: it lets it through, or is not about it."""
    if not rule.match.may_fit(facts) or rule.excepted.lets_off(facts):
        return None
    # Of an allowed model only the family counts: a spelling of the client's own must not pass for one.
    names = facts.names if rule.deny else facts.names[-1:]
    refused = any(pattern.fits(name) for pattern in patterns for name in names) is bool(rule.deny)
    if facts.stem is not None and (not refused or rule.allow):
        return _alias_refused(rule, patterns, facts, refused)
    if not refused:
        return None
    asked = facts.values["model"][0]
    return Refuse(RefusalKind.RULE, rule.name, f"model {asked} is not allowed", suggest=rule.suggest)


def _alias_refused(rule: ModelRule, patterns: tuple[ModelPattern, ...], facts: Facts, refused: bool) -> Refuse | None:
    """A router or alias that no pattern names: refused where it may become what is not allowed, unless `unresolved: allow`."""
    stem = facts.stem or ""
    may_fit = any(pattern.may_fit(stem) for pattern in patterns)
    if rule.allow and (not refused or (rule.unresolved == "allow" and may_fit)):
        return None
    if rule.deny and (rule.unresolved == "allow" or not may_fit):
        return None
    asked = facts.values.get("model", ("",))[0]
    reason = (
        f"which model {asked} becomes is not known beforehand"
        if asked
        else "the call does not say which model it wants"
    )
    return Refuse(RefusalKind.RULE, rule.name, reason, suggest=rule.suggest)
