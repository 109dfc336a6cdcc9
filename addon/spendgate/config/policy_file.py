"""A policy file's bytes into a Policy, or every fault in it. No disk: `policies.load` reads the file.

Keys that policy.md describes and this version does not support yet are faults with their place, never ignored.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from spendgate.budget import Budget
from spendgate.config import forms, words
from spendgate.config.alert_words import positive
from spendgate.config.alerts import read_alerts
from spendgate.config.contracts import read_adjustments, read_billing
from spendgate.config.domains import hosts_left, hosts_named
from spendgate.config.exceptions import read_exceptions
from spendgate.config.faults import Faults, all_lines, shown
from spendgate.config.forms import Schema
from spendgate.config.includes import TEAM_RULES_MAX, Beside, Included, Includes, nothing_beside, only_included
from spendgate.config.nodes import Text
from spendgate.config.people import Declared, Known, read_roster
from spendgate.config.rates import read_rates
from spendgate.config.receivers import read_notify
from spendgate.config.rules import Names, read_budgets, read_model_rules, selector_in
from spendgate.config.schema import DIALECT, Recorder, schema_of
from spendgate.config.sections import Section, known_word
from spendgate.config.telling import read_approvers, unreached_owners
from spendgate.config.whole import read_fleet, read_privacy, read_validity
from spendgate.config.yaml_nodes import read
from spendgate.config.zones import zone_named
from spendgate.errors import PolicyError
from spendgate.model_rules import ModelRule
from spendgate.policy import Capture, Host, Mode, OnFailure, Policy, UnknownModel
from spendgate.rates import Rate

VERSION = "1"
UNCHECKED = Known()


Judge = Callable[[Policy], None]
"""Raises ValueError where a policy is older than it may be, saying what is wrong with its `revision`."""


def parse_policy(
    data: bytes,
    file: str = "policy.yaml",
    known: Known = UNCHECKED,
    *,
    beside: Beside = nothing_beside,
    judge: Judge | None = None,
) -> Policy:
    """The policy in `data` with what it includes; `file` is how faults name it. Raises PolicyError with every fault.

    `beside` gives the bytes of included files; `judge` has the last word on a policy that has no other fault.
    """
    files = [Faults(file)]
    node = read(data, files[0])
    top = Section.of(node, "", files[0]) if node is not None else None
    if top is None or only_included(top):
        raise PolicyError(all_lines(files))
    includes = Includes(top, beside, main_bytes=len(data))
    files += includes.faults
    values = _top(top, includes, known)
    if not any(files):
        policy = Policy(**values)
        try:
            if judge is not None:
                judge(policy)
            return policy
        except ValueError as fault:
            top.fault("revision", str(fault))
    raise PolicyError(all_lines(files))


def policy_schema(known: Known = UNCHECKED) -> Schema:
    """The JSON Schema (draft 2020-12) of a policy file: the keys that this version reads."""
    made = schema_of(lambda top: _top(top, Includes(top, nothing_beside, main_bytes=0), known))
    return {"$schema": DIALECT, "title": "Spendgate policy", **made}


def include_schema(known: Known = UNCHECKED) -> Schema:
    """The same of an included file: one team's rules where it names the team, else people, teams and machines."""

    def read_as(section: Section, *, rules: bool) -> None:
        policy = Recorder(there=section.has(""))
        includes = Includes(policy, nothing_beside, main_bytes=0)
        includes.add(Included("", section, rules=rules))
        _top(policy, includes, known)

    rules, lists = (schema_of(partial(read_as, rules=which)) for which in (True, False))
    chosen = {"if": {"required": ["team"]}, "then": rules, "else": lists}
    return {"$schema": DIALECT, "title": "Spendgate policy, included file", "type": "object", **chosen}


def _top(top: Section, includes: Includes, known: Known) -> dict[str, Any]:
    """Every key of the files; values are whole only where no fault was kept."""
    top.parsed("version", _version, required=True)
    roster = read_roster((top, *includes.directories))
    capture = _capture(top.section("capture"), known)
    declared = Declared.by(roster, known, capture.hosts)
    names = Names()
    pricing = top.section("pricing")
    budgets: tuple[Budget, ...] = ()
    unlimited: tuple[str, ...] = ()
    models: tuple[ModelRule, ...] = ()
    rates: tuple[Rate, ...] = ()
    for source, allowed in ((top, declared), *includes.teams(declared, roster)):
        more, without = read_budgets(source, allowed, names, len(budgets))
        budgets, unlimited = budgets + more, unlimited + without
        rules = read_model_rules(source, allowed, names, len(models))
        models += rules
        flows = read_rates(source, allowed, names, len(rates))
        rates += flows
        count = len(more) + len(without) + len(rules) + len(flows)
        if source is not top and count > TEAM_RULES_MAX:
            source.fault("", f"{count} rules; one team's file has at most {TEAM_RULES_MAX}")
    values: dict[str, Any] = {
        "owner": top.text("owner", required=True),
        "help": top.prose("help") or "",
        "mode": _mode(top, declared),
        "timezone": top.parsed("timezone", zone_named) or "UTC",
        "week_starts": top.parsed("week_starts", words.weekday) or 0,
        "fiscal_month": top.parsed("fiscal_year_starts", words.month) or 1,
        "on_failure": top.parsed("on_failure", words.on_failure) or OnFailure(),
        "refusals": top.word("refusals", ("readable", "strict")) or "readable",
        "capture": capture,
        "roster": roster,
        "budgets": budgets,
        "unlimited": unlimited,
        "models": models,
        "rates": rates,
        "alerts": (alerts := read_alerts(top, declared, names, budgets, unlimited)),
        "notify": (notify := read_notify(top)),
        "approvers": read_approvers(top, declared, roster),
        "unknown_model": _unknown_model(pricing),
        "adjust": read_adjustments(pricing, declared),
        "prices_update": _prices_update(pricing),
        "billing": read_billing(top.section("billing"), declared, known),
        "validity": read_validity(top),
        "fleet": read_fleet(top.section("fleet")),
    }
    values["exceptions"] = read_exceptions(top, budgets, unlimited, declared, values["timezone"])
    values["privacy"] = read_privacy(top.section("privacy"), values)
    unreached_owners((top, *includes.directories), roster, notify, (budgets, alerts))
    includes.done()
    top.done()
    return values


@forms.number(r"1", "integer", 1, least=1)
def _version(text: str) -> str:
    if text != VERSION:
        raise ValueError(f"{shown(text)} is not a version that this Spendgate reads; allowed: {VERSION}")
    return text


def _mode(top: Section, declared: Declared) -> Mode:
    modes = ("enforce", "observe")
    if not top.has("mode") or isinstance(top.node("mode"), Text):
        return Mode(default="observe" if top.word("mode", modes) == "observe" else "enforce")
    section = top.section("mode")
    if section is None:
        return Mode()
    default = section.parsed("default", lambda text: known_word(text, modes), required=True)
    chosen = tuple(selector_in(inner, declared) for inner in section.sections("enforce"))
    if default == "enforce" and section.has("enforce"):
        section.fault("enforce", "changes nothing under default: enforce; use default: observe, or leave it out")
    section.done()
    return Mode(default="observe" if default == "observe" else "enforce", enforce=chosen)


def _capture(section: Section | None, known: Known) -> Capture:
    if section is None:
        return Capture()
    providers = section.names("providers", lambda text: known_word(text, known.providers or (text,)))
    hosts = tuple(_host(inner, known) for inner in section.sections("hosts"))
    seen: set[str] = set()
    for host in hosts:
        if host.host and host.host in seen:
            section.fault("hosts", f"{host.host} is listed twice")
        seen.add(host.host)
    never = section.names("never", hosts_left)
    for both in sorted(seen & set(never)):
        section.fault("never", f"{both} stands under hosts too")
    counts = section.word("browsers", ("never", "count")) == "count"
    asks = section.word("stream_usage", ("never", "ask")) == "ask"
    section.done()
    return Capture(
        providers=providers or None,
        hosts=hosts,
        never=never,
        browsers="count" if counts else "never",
        stream_usage="ask" if asks else "never",
    )


def _host(section: Section, known: Known) -> Host:
    host = Host(
        host=section.parsed("host", partial(_added, known=known), required=True) or "",
        dialect=section.parsed("dialect", lambda text: known_word(text, known.dialects or (text,)), required=True)
        or "",
        prices=section.parsed("prices", lambda text: known_word(text, known.price_lists or (text,))),
        billing=section.word("billing", ("gateway", "metered")),
    )
    section.done()
    return host


@forms.same_as(hosts_named)
def _added(text: str, known: Known) -> str:
    host = hosts_named(text, known=known.hosts)
    if host in known.hosts:
        raise ValueError(f"{host} is a provider's own host, whose dialect and prices are known; leave it out here")
    return host


def _unknown_model(section: Section | None) -> UnknownModel:
    inner = section.section("unknown_model") if section is not None else None
    if inner is None:
        return UnknownModel()
    amounts = [inner.parsed(key, positive, required=True) for key in ("input", "output")]
    inner.done()
    # A fault has been told where one is missing.
    return UnknownModel(input_nanos=amounts[0] or 0, output_nanos=amounts[1] or 0)


def _prices_update(section: Section | None) -> str:
    if section is None:
        return "never"
    word = section.word("updates", ("never", "daily"))
    section.done()
    return word or "never"
