"""Alert rules: what a policy wants to be told of, as values. `alerts.rules` evaluates them; nothing here has a clock.

An amount is in nano-dollars, a length of time in milliseconds, a share in whole percent.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import Field

from spendgate.hours import WeekHours
from spendgate.roster import Values
from spendgate.selector import EVERY, Chosen

HUNDRED: Final = 100


class Severity(StrEnum):
    """How loud an alert is; `notify` names its receivers by it."""

    NOTICE = "notice"
    ALERT = "alert"
    PAGE = "page"


class Spike(Values):
    """`spike: 3x over 7d`: a day's spend against the mean of the days before it, idle ones included."""

    form: Literal["spike"] = "spike"
    times_hundredths: int
    days: int
    minimum_nanos: int = 0
    """A day on which less is spent is no spike."""


class Burn(Values):
    """`burn: $15 in 1h`: charged within any such time."""

    form: Literal["burn"] = "burn"
    nanos: int
    within_ms: int


class Share(Values):
    """`share: 80%`: of a day's calls those that fit the rule's `match`."""

    form: Literal["share"] = "share"
    percent: int
    minimum_calls: int = 1


class Pace(Values):
    """`pace: 60% by week 6`: a budget's window has reached this share of its limit before its first `days` days are over."""

    form: Literal["pace"] = "pace"
    percent: int
    budget: str
    """Its whole name: `person/month`."""
    days: int
    by: str
    """As the file has it: `week 6`."""


class Outside(Values):
    """`spend: $50 outside mon-fri 07:00-20:00`: in one stretch outside working hours, such as a night or a weekend."""

    form: Literal["spend"] = "spend"
    nanos: int
    hours: WeekHours
    text: str
    """The hours as the file has them."""


Form = Spike | Burn | Share | Pace | Outside


class AlertRule(Values):
    """One entry of `alerts`."""

    name: str
    form: Annotated[Form, Field(discriminator="form")]
    per: tuple[str, ...] = ()
    match: Chosen = EVERY
    excepted: Chosen = EVERY
    severity: Severity = Severity.ALERT
