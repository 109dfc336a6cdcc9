"""Asks every verifier here about the device CA and writes the tables into `mdm/README.md`, between markers.

The first table is the product's CA, made for the default policy's hosts. The second says why the first can be believed, and why
the CA has two tiers: the same names under an authority without constraints, and under one whose root alone has them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from open_authority import open_to_all
from spendgate.capture.ca import Authority, create
from spendgate.capture.scope import CANARY_HOST
from spendgate.policy import Capture
from spendgate.providers.registry import Registry
from spendgate.verifiers.asking import Row, row
from spendgate.verifiers.cases import cases
from spendgate.verifiers.every import VERIFIERS
from spendgate.verifiers.interface import Answer, Case

README = Path(__file__).parents[2] / "mdm" / "README.md"
BEGIN, END = "<!-- constraints-table -->", "<!-- /constraints-table -->"
FEW = ("allowed", "other host", "IPv4", "wildcard", "S3")
"""What the second table asks: one of each kind."""
AT_ONCE = 2
type Cells = tuple[str, ...]


def main() -> None:
    """Measure and write; exit status 1 where a verifier errs on the product's CA."""
    now, hosts = datetime.now(UTC), Registry.build(Capture()).hosts()
    made = create(hosts, now)
    tried = cases(made.domains, CANARY_HOST)
    few = [case for case in tried if case.name in FEW]
    measured = _rows(tried, made)
    root_alone = _rows(few, open_to_all(hosts, now, root_constrained=True))
    without = _rows(few, open_to_all(hosts, now, root_constrained=False))
    _write(
        f"Written by `scripts/constraints-table` on {now:%Y-%m-%d}. {_text(tried, measured, few, (root_alone, without))}"
    )
    wrong = [f"{each.verifier}: {verdict}" for each in measured for verdict in each.verdicts if verdict.wrong]
    sys.exit("\n".join(wrong) or 0)


def _rows(tried: Sequence[Case], authority: Authority) -> list[Row]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda verifier: row(verifier, tried, authority, datetime.now(UTC)), VERIFIERS))


def _text(
    tried: Sequence[Case],
    measured: Sequence[Row],
    few: Sequence[Case],
    controls: tuple[Sequence[Row], Sequence[Row]],
) -> str:
    here = [each for each in measured if not _is_absent(each)]
    absent = [f"{each.verifier} ({each.verdicts[0].why})" for each in measured if _is_absent(each)]
    names = "; ".join(f"{case.name}: `{case.asked}`{_shown(case)}" for case in tried)
    first = _table(
        ("verifier", "library", "version", *(case.name for case in tried)),
        [
            (each.verifier, each.library, each.version, *(str(verdict.answer) for verdict in each.verdicts))
            for each in here
        ],
    )
    second = _table(
        ("verifier", "root and issuer (the product)", "the root alone", "none"),
        [(one.verifier, *map(_passed, (one, two, three))) for one, two, three in _beside(measured, *controls)],
    )
    lines = [
        f"{names}.",
        "",
        *first,
        "",
        f"Not run, since not there: {', '.join(absent) or 'none'}.",
        "",
        "Forbidden names that passed, by what has the constraints:",
        "",
        *second,
        "",
        f"In its last two columns {len(few) - 1} of them were asked: {', '.join(case.name for case in few[1:])}.",
    ]
    return "\n".join(lines)


def _is_absent(each: Row) -> bool:
    return all(verdict.answer is Answer.ABSENT for verdict in each.verdicts)


def _shown(case: Case) -> str:
    return "" if case.asked == case.signed else f", shown `{case.signed}`"


def _beside(*columns: Sequence[Row]) -> list[tuple[Row, Row, Row]]:
    one, two, three = columns
    return [each for each in zip(one, two, three, strict=True) if not _is_absent(each[0])]


def _passed(each: Row) -> str:
    """How many forbidden names passed, of how many that the verifier answered on."""
    answers = [verdict.answer for verdict in each.verdicts if not verdict.case.allowed]
    unclear = answers.count(Answer.UNCLEAR)
    return f"{answers.count(Answer.PASSES)} of {len(answers)}{f', {unclear} unclear' if unclear else ''}"


def _table(head: Cells, rows: Sequence[Cells]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ("---",) * len(head), *rows)]


def _write(text: str) -> None:
    whole = README.read_text()
    if BEGIN not in whole or END not in whole:
        sys.exit(f"{README} has no {BEGIN} … {END}")
    before, rest = whole.split(BEGIN, 1)
    README.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END, 1)[1]}")


if __name__ == "__main__":
    main()
