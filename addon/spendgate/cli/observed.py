"""What `mode: observe` and `action: warn` are run for, in one line: how many calls would have been refused."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from spendgate.cli.output import inert


def would_have_been_refused(rules: Mapping[str, int]) -> str:
    """The line, from how many calls each rule would have refused; empty where there are none."""
    if not rules:
        return ""
    total = sum(rules.values())
    one = f"calls --where {shlex.quote(f'would_refuse_by={next(iter(rules))}')}"
    command = one if len(rules) == 1 else "spend --by would_refuse_by"
    return inert(f"would have been refused: {total} call{'' if total == 1 else 's'} (spendgate {command})")
