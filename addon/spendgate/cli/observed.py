"""What a sum does not show, in a line each: calls that `observe` and `warn` let through, prices that the policy guessed."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from spendgate.cli.output import inert
from spendgate.money import short_dollars

LISTED = "spendgate calls --where state=unrecognized"
"""What lists the exchanges that no table knows, with their hosts' paths."""


def would_have_been_refused(rules: Mapping[str, int]) -> str:
    """The line, from how many calls each rule would have refused; empty where there are none."""
    if not rules:
        return ""
    total = sum(rules.values())
    one = f"calls --where {shlex.quote(f'would_refuse_by={next(iter(rules))}')}"
    command = one if len(rules) == 1 else "spend --by would_refuse_by"
    return inert(f"would have been refused: {total} call{'' if total == 1 else 's'} (spendgate {command})")


def priced_by_guess(calls: int, nanos: int) -> str:
    """The line on calls whose model no price list has; empty where there are none."""
    if not calls:
        return ""
    what = f"{calls} call{'' if calls == 1 else 's'}, {short_dollars(nanos)}"
    return f"price unknown, the policy's unknown_model counted: {what} (spendgate spend --by model,prices)"
