"""The page in a real browser: from disk, the network off, with and without scripts, light and dark, wide, narrow and on paper."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconcile.chromium import CHROMIUM, Page, chromium
from reconcile.scoring import in_memory
from reconcile.simulator.causes import mixed
from reconcile.test_report import EVIL, result
from reconcile.test_simulator import MIDDLING
from spendgate.reconcile.report.page import page
from spendgate.reconcile.report.tolerance import judged
from spendgate.reconcile.result import Cause, Result

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium on the path")
VISIBLE = "[...document.querySelectorAll('figure svg')].filter(each => each.getBoundingClientRect().width).length"
INK = "getComputedStyle(document.querySelector('figure svg .axis text')).fill"
PAPER = "getComputedStyle(document.body).backgroundColor"
MARK = "getComputedStyle(document.querySelector('figure svg .color-1 rect, figure svg rect.color-1, figure svg .color-1')).fill"
WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
HANGING = (
    "[...document.querySelectorAll('svg text')].filter(each => {const box = each.getBoundingClientRect(), room = "
    "each.ownerSVGElement.getBoundingClientRect(); return box.width && (box.left < room.left - 1 || box.right > room.right + 1)})"
    ".map(each => each.textContent)"
)
CRUSHED = (
    "[...document.querySelectorAll('td')].filter(each => each.scrollHeight > each.clientHeight + 1"
    " || getComputedStyle(each, '::before').position === 'absolute').map(each => each.textContent)"
)


@pytest.fixture(name="browser", scope="module")
def _browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture(name="files", scope="module")
def _files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A month with every cause, one whose names are markup, and one of nothing."""
    folder = tmp_path_factory.mktemp("pages")
    made: dict[str, Result] = {
        "month": in_memory(mixed(7, MIDDLING)).result,
        "evil": result([(Cause.UNCAPTURED, 10**10), (Cause.DISCOUNT, -3 * 10**10)], 5, name=EVIL),
        "nothing": result([]),
        "long": result([(Cause.UNCAPTURED, 10**10), (Cause.DISCOUNT, -3 * 10**10)], 5, name="k" * 200),
    }
    for name, each in made.items():
        (folder / f"{name}.html").write_text(page(each, judged(each)))
    return {name: folder / f"{name}.html" for name in made}


@pytest.mark.parametrize("name", ["month", "evil", "nothing"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_is_whole_on_every_screen(browser: Page, files: dict[str, Path], name: str, dark: bool, width: int) -> None:
    browser.said.clear()
    browser.asked.clear()
    browser.open(files[name], width, dark=dark)
    assert browser.value("innerWidth") == width
    assert browser.value(WIDER) == 0
    assert browser.value(VISIBLE) == 2
    assert browser.value(HANGING) == []
    assert browser.value(PAPER) == ("rgb(15, 18, 22)" if dark else "rgb(255, 255, 255)")
    assert browser.value(INK) == ("rgb(230, 237, 243)" if dark else "rgb(28, 32, 36)")
    assert browser.value(MARK) == ("rgb(240, 163, 94)" if dark else "rgb(179, 89, 0)")
    assert browser.said == []
    assert browser.asked == [files[name].as_uri()]


@pytest.mark.parametrize("width", [390, 700, 900, 1280])
def test_a_key_of_two_hundred_letters_is_broken_and_not_the_page(
    browser: Page, files: dict[str, Path], width: int
) -> None:
    browser.open(files["long"], width)
    assert browser.value(WIDER) == 0


@pytest.mark.parametrize("name", ["month", "evil"])
def test_on_a_narrow_screen_no_heading_of_a_cell_stands_over_the_next(
    browser: Page, files: dict[str, Path], name: str
) -> None:
    """A heading of two lines beside a word of one."""
    browser.open(files[name], 390)
    assert browser.value("[...document.querySelectorAll('td')].filter(each => each.children.length).length > 4")
    assert browser.value(CRUSHED) == []


def test_it_needs_no_script(browser: Page, files: dict[str, Path]) -> None:
    browser.open(files["month"], 1280, scripts=False)
    plain = browser.screenshot()
    browser.open(files["month"], 1280)
    assert browser.screenshot() == plain


def test_it_prints_in_ink_on_paper_also_where_the_screen_is_dark(browser: Page, files: dict[str, Path]) -> None:
    browser.open(files["month"], 800, dark=True, paper=True)
    assert browser.value(PAPER) == "rgb(255, 255, 255)"
    assert browser.value(INK) == "rgb(0, 0, 0)"
    assert browser.value("getComputedStyle(document.querySelector('thead')).display") == "table-header-group"
    assert browser.value(VISIBLE) == 2
