"""ChatGPT Business and Enterprise: the credits export, by person, day and what was used.

Source: columns and words as real exports have them (`facts/reconciliation.md` 2.2; public parsers of such files). A plan or a
pool of credits pays, at a price that the file does not tell: lines have credits and, of Codex, tokens, and no money. The three
kinds of tokens are disjoint (cached input is no part of input: real rows have more of it).
"""

from __future__ import annotations

import re
from typing import Final

from spendgate.reconcile.sources.assembling import Reading, begins, filled, quantity, told
from spendgate.reconcile.sources.reading import Row, count, day_ms
from spendgate.statement import DAY_MS, Axes, Billed, Charge, Line, Statement, TokenClass, Who
from spendgate.usage import NO_USAGE, Usage

_COLUMNS: Final = (
    "date_partition", "account_id", "account_user_id", "email", "usage_type", "usage_credits", "usage_quantity",
    "usage_units",
)  # fmt: skip
_TOKENS: Final = re.compile(
    r"api\.codex_(?:(?P<speed>fast)_)?(?P<model>.+?)_(?:text_|image_)?(?P<part>cached_input|input|output)(?:_v_\d+)?"
)
_CLASSES: Final = {
    "input": (TokenClass.INPUT, "input_tokens"),
    "cached_input": (TokenClass.CACHE_READ, "cache_read_tokens"),
    "output": (TokenClass.OUTPUT, "output_tokens"),
}


class ChatGPTCredits:
    """`chatgpt-credits-csv`."""

    name = "chatgpt-credits-csv"
    title = "ChatGPT Business or Enterprise credits, from the workspace's billing page: Export"

    def recognises(self, head: bytes) -> bool:
        """See `FileSource`."""
        return begins(head, _COLUMNS)

    def read(self, data: bytes, origin: str) -> Statement:
        """See `FileSource`."""
        reading = Reading(self.name, "chatgpt", data, origin)

        def take(row: Row) -> list[Line]:
            starts_ms = day_ms(row["date_partition"])
            reading.notes.update(["their credits have no price here: what they cost is on the invoice of the plan"])
            return [_line(row, *reading.covers(starts_ms, starts_ms + DAY_MS))]

        reading.rows(_COLUMNS, take)
        return reading.statement(lambda line: line.who.organization)


def _line(row: Row, starts_ms: int, ends_ms: int) -> Line:
    unit, kind = filled(row, "usage_units").strip().lower(), filled(row, "usage_type").strip()
    found = _TOKENS.fullmatch(kind) if unit == "tokens" else None
    token_class, usage = None, NO_USAGE
    if found is not None:
        token_class, field = _CLASSES[found["part"]]
        usage = Usage(**{field: count(row["usage_quantity"])})
    return Line(
        starts_ms, ends_ms, "chatgpt", None if found is None else found["model"], kind,
        Who(told(row["account_id"]), user=told(row["account_user_id"]), email=told(row["email"])),
        Axes(speed=None if found is None else found["speed"]),
        charge=Charge.OTHER if found is None else Charge.TOKENS, token_class=token_class, usage=usage,
        requests=count(row["usage_quantity"]) if unit == "counts" else None,
        quantity=quantity(filled(row, "usage_credits")), unit="credits", billed=Billed.INCLUDED,
        amount=f"{row['usage_credits'].strip()} credits",
    )  # fmt: skip
