"""What holds for every test."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final

import pytest
from hypothesis import settings

# A deadline would measure the machine: an example that loads the price book first, beside other work, takes a second.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

LEFT_OUT: Final = pytest.StashKey[int]()


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None]:
    """Tests that share a fixture of their module go to one worker: four would each make it.

    Raises UsageError where xdist loses the groups, which nothing else tells of: what is made once is then made by each worker.
    """
    for item in items:
        known = item._fixtureinfo.name2fixturedefs if isinstance(item, pytest.Function) else {}
        shared = any(each[-1].scope == "module" and each[-1].baseid in item.nodeid for each in known.values())
        if shared and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))
    result = yield
    grouped = [item for item in items if item.get_closest_marker("xdist_group")]
    if grouped and getattr(grouped[0].config.option, "loadgroup", False) and "@" not in grouped[0].nodeid:
        raise pytest.UsageError("this pytest does not take pytest-xdist's groups: see pyproject.toml")
    return result


def pytest_deselected(items: list[pytest.Item]) -> None:
    """How many tests a run leaves out: each worker of it has the same."""
    config = items[0].config
    found = config.stash.get(LEFT_OUT, 0) + len(items)
    config.stash[LEFT_OUT] = found
    if hasattr(config, "workeroutput"):
        config.workeroutput["left_out"] = found


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """What a worker has told at its end."""
    node.config.stash[LEFT_OUT] = getattr(node, "workeroutput", {}).get("left_out", 0)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Said beside what was skipped, so that no run passes for the whole."""
    left_out = terminalreporter.config.stash.get(LEFT_OUT, 0)
    if left_out:
        terminalreporter.write_line(
            f"left out besides the skips above: {left_out} tests that take minutes or were not asked for"
        )
