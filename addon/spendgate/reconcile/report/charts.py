"""The charts of the page: SVG by pygal, without its script and its own colours, which are the page's. Pure.

Amounts become floats here, for the lengths of bars alone; what is written beside a bar is made of the integers.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

import pygal
from pygal.style import Style

from spendgate.inert_text import inert
from spendgate.money import NANOS_PER_DOLLAR, short_dollars
from spendgate.reconcile.report.causes import Step, day_of
from spendgate.reconcile.result import Day

# pygal leaves a finder of maps behind that has no `find_spec`, at which every other import machinery (pytest's too) stumbles.
sys.meta_path[:] = [each for each in sys.meta_path if hasattr(each, "find_spec")]

WIDTHS: Final = {"wide": 960, "narrow": 350}
"""By the page's class: each chart is drawn for both, so that its text is legible on either."""
UNDER: Final = "billed above captured"
OVER: Final = "captured above billed"
_ROW: Final = 24
_STEPS: Final = tuple(digit * 10**power for power in range(4, 30) for digit in (1, 2, 5))
"""Nano-dollars from one line of an axis to the next."""
_TICKS: Final = {"wide": 6, "narrow": 3}
_LABELS_MOST: Final = {"wide": 16, "narrow": 5}
_LABEL_FONT: Final = {"wide": 13, "narrow": 11}


def waterfall(steps: Sequence[Step], width: str) -> str:
    """From captured to billed: each cause begins where the one before it ended."""
    drawn = list(reversed(steps))  # the library draws horizontal bars from the bottom up
    colors = ("transparent", "var(--under)", "var(--under)", "var(--over)", "var(--over)")
    chart = _chart(pygal.HorizontalStackedBar, width, 70 + _ROW * len(steps), colors)
    chart.x_labels = [_label(each, width) for each in drawn]
    ends = [each for step in steps for each in _ends(step)]
    chart.y_labels = [_dollars(each) for each in _inner_ticks(ends, _TICKS[width])]
    chart.show_minor_y_labels, chart.show_minor_x_labels = True, False  # the axes are exchanged in a horizontal chart
    # What is above and what is below 0 is stacked apart, each from 0 on: a bar across 0 has a part in either.
    chart.add("", [_dollars(_offset(each)) for each in drawn])
    for rises, told in ((True, UNDER), (False, OVER)):
        chart.add(told, [_dollars(_above(each)) if _rises(each) is rises else None for each in drawn])
        chart.add(told, [_dollars(_below(each)) if _rises(each) is rises else None for each in drawn])
    return _svg(chart, f"causes-{width}", "The gap by causes")


def days(given: Sequence[Day], width: str) -> str:
    """Billed and captured of each day, all providers together."""
    billed: dict[int, int] = defaultdict(int)
    captured: dict[int, int] = defaultdict(int)
    for day in given:
        billed[day.day_ms] += day.billed_nanos
        captured[day.day_ms] += day.captured_nanos
    chart = _chart(pygal.Bar, width, 260, ("var(--billed)", "var(--captured)"))
    chart.x_labels = [day_of(each)[5:] for each in sorted(billed)]
    chart.x_labels_major_every = -(-len(billed) // _LABELS_MOST[width])
    chart.show_minor_x_labels = False
    ticks = _ticks([*billed.values(), *captured.values()], _TICKS[width])
    chart.y_labels, chart.show_minor_y_labels = [_dollars(each) for each in ticks], True
    chart.add("billed", [_dollars(billed[each]) for each in sorted(billed)])
    chart.add("captured", [_dollars(captured[each]) for each in sorted(billed)])
    return _svg(chart, f"days-{width}", "Billed and captured by day")


def _ticks(amounts: Sequence[int], most: int) -> list[int]:
    """From under the least to over the greatest, 0 among them, in equal steps of 1, 2 or 5; the library's own are unequal."""
    low, high = min([0, *amounts]), max([0, *amounts])
    step = next(each for each in _STEPS if -(-high // each) - low // each < most)
    return [step * at for at in range(low // step, -(-high // step) + 1)]


def _inner_ticks(amounts: Sequence[int], most: int) -> list[int]:
    """As `_ticks`, but none beyond the last bar, which would take its room; 0 and another one, where there is an amount."""
    low, high = max([0, *(-each for each in amounts)]), max([0, *amounts])
    greatest = max(low, high)
    fitting = (each for each in _STEPS if 2 <= high // each + low // each + 1 <= most)
    step = next(fitting, int(str(greatest)[0]) * 10 ** (len(str(greatest)) - 1) or 1)
    return [step * at for at in range(-(low // step), high // step + 1)]


def _label(step: Step, width: str) -> str:
    """Its name, and its amount where there is room."""
    return inert(
        step.name if width == "narrow" else f"{step.name}  {short_dollars(step.until_nanos - step.from_nanos)}"
    )


def _rises(step: Step) -> bool:
    return step.until_nanos >= step.from_nanos


def _ends(step: Step) -> tuple[int, int]:
    return min(step.from_nanos, step.until_nanos), max(step.from_nanos, step.until_nanos)


def _offset(step: Step) -> int:
    """From 0 to where the bar begins, on the side of 0 that it is on."""
    low, high = _ends(step)
    return low if low > 0 else min(high, 0)


def _above(step: Step) -> int:
    low, high = _ends(step)
    return max(high, 0) - max(low, 0)


def _below(step: Step) -> int:
    low, high = _ends(step)
    return min(low, 0) - min(high, 0)


def _dollars(nanos: int) -> float:
    return nanos / NANOS_PER_DOLLAR


def _axis(value: float) -> str:
    return short_dollars(round(value * NANOS_PER_DOLLAR))


def _chart(kind: Any, width: str, height: int, colors: tuple[str, ...]) -> Any:  # noqa: ANN401 - pygal has no types
    font = "system-ui, sans-serif"
    size = _LABEL_FONT[width]
    style = Style(
        background="transparent", plot_background="transparent", foreground="var(--ink)", foreground_strong="var(--ink)",
        foreground_subtle="var(--faint)", guide_stroke_color="var(--faint)", major_guide_stroke_color="var(--faint)",
        font_family=font, label_font_size=size, major_label_font_size=size, opacity="1", opacity_hover="1", stroke_opacity="0",
        transition="0s", colors=colors, value_colors=("var(--ink)",) * len(colors),
    )  # fmt: skip
    return kind(
        width=WIDTHS[width], height=height, style=style, js=(), show_legend=False, margin=6, margin_right=24, spacing=6,
        truncate_label=-1, value_formatter=_axis, y_labels_major_count=_TICKS[width], show_minor_y_labels=False,
    )  # fmt: skip


def _svg(chart: Any, name: str, title: str) -> str:  # noqa: ANN401 - pygal has no types
    chart.uuid = name  # a name that is drawn by lot would make two pages of one result differ
    chart.title = None
    chart.add_xml_filter(lambda root: _still(root, title))
    drawn: str = chart.render(is_unicode=True, disable_xml_declaration=True)
    return drawn


def _still(root: Any, title: str) -> Any:  # noqa: ANN401 - an element of whichever XML library pygal has
    """Without the library's script, and its comments, which have the day on which it drew."""
    for parent in list(root.iter()):
        for child in list(parent):
            if not isinstance(child.tag, str) or child.tag.endswith("script"):
                parent.remove(child)
    for each in root.iter():
        if isinstance(each.tag, str) and each.tag.endswith("title"):
            each.text = title
    root.set("role", "img")
    return root
