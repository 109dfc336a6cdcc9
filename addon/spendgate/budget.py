"""A budget as the policy says it: one limit over one window, and whose."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Literal

from msgspec.structs import asdict
from pydantic import InstanceOf, PlainSerializer

from spendgate.adaptive import Mean
from spendgate.roster import Values
from spendgate.selector import EVERY, Chosen
from spendgate.standing import Hold
from spendgate.window import Window

WAIT_MS_DEFAULT = 20_000

Cut = Annotated[InstanceOf[Window], PlainSerializer(lambda window: window.name)]
ByMean = Annotated[InstanceOf[Mean], PlainSerializer(asdict)]

Counts = Literal["captured", "value", "billed"]

# What a budget's balances count; its limit and how it refuses change nothing in them.
_COUNTED = {"per", "match", "excepted", "window", "missing"}


class Missing(StrEnum):
    """What a budget does with a call that has no value for its `per`."""

    SKIP = "skip"
    SHARED = "shared"
    REFUSE = "refuse"


class Budget(Values):
    """One limit over one window. Amounts in nano-dollars, times in milliseconds."""

    name: str
    """Unique: `person/month` where the file gives several limits, else the file's name."""
    base_name: str
    """The file's name."""
    per: tuple[str, ...] = ()
    match: Chosen = EVERY
    excepted: Chosen = EVERY
    """The file's `except`."""
    limit_nanos: int
    """Of a limit by the mean, `at_most`."""
    window: Cut | None = None
    """None: for the life of the value."""
    mean: ByMean | None = None
    """None: the limit is the same every day."""
    counts: Counts = "captured"
    """`value` adds subscription traffic, at list price; `billed` adds what imported statements have and no call."""
    per_machine_nanos: int | None = None
    """The most that one machine may take while it cannot reach the fleet's ledger; None: nothing is said."""
    hold: Hold = Hold.EXPECTED
    wait_ms: int = WAIT_MS_DEFAULT
    cut: bool = False
    enforce_action: bool = True
    """False: `action: warn`."""
    order: int
    missing: Missing = Missing.SKIP
    alerts: tuple[int, ...] = ()
    """Thresholds in percent of the limit, rising: each is told once in a window."""

    def counted(self) -> bytes:
        """What its balances count, in canonical words; a word that says what is usual is left out, so that a ledger from
        before there was such a word has the same balances."""
        words = self.model_dump(mode="json", include=_COUNTED)
        if self.counts != "captured":
            words["counts"] = self.counts
        if "model" in self.per:
            words["by"] = "the model asked for"  # once it was the one that answers: other balances, filled anew
        if self.mean is not None:
            words["mean_days"] = self.mean.days
        return canonical(words)


def whole_name(text: str) -> str:
    """A budget's name as it is kept, where its window was typed as the policy writes it: `person/rolling 60m` is
    `person/rolling-1h`. Any other text as it is."""
    base, slash, window = text.rpartition("/")
    try:
        return f"{base}/{Window.parse(window.replace('-', ' ')).name}" if slash else text
    except ValueError:
        return text


def canonical(data: object) -> bytes:
    """Data as the same bytes whatever the order it was written in: what hashes are made of."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(
        "utf-8", "backslashreplace"
    )
