"""One account's handshakes wait for each other, nobody else's."""

from __future__ import annotations

import asyncio

from spendgate.capture.handshakes import Handshakes


async def _begun(line: Handshakes, account: int | None, names: str) -> dict[str, asyncio.Task[None]]:
    tasks = {name: asyncio.ensure_future(line.begin(account, name)) for name in names}
    await asyncio.sleep(0)
    return tasks


def _on(tasks: dict[str, asyncio.Task[None]]) -> str:
    return "".join(name for name, task in tasks.items() if task.done())


async def test_an_accounts_handshakes_are_bounded_and_come_in_order() -> None:
    """One that ends lets the next go on; one that leaves the line takes nobody's place; a second end is none."""
    line = Handshakes(at_once=2, patience_s=1e9)
    mine, other = await _begun(line, 1, "abcde"), await _begun(line, 2, "x")
    assert (_on(mine), _on(other)) == ("ab", "x")

    line.end(1, "a")
    line.end(1, "a")
    await asyncio.sleep(0)
    assert _on(mine) == "abc"

    line.end(1, "d")  # its client has gone: it is let go, and runs nothing
    line.end(1, "b")
    await asyncio.gather(*mine.values())
    for name in "abcde":
        line.end(1, name)
    line.end(2, "x")
    assert line._lines == {}


async def test_a_handshake_that_stands_still_keeps_nobody() -> None:
    """Its client says nothing more, or its provider does not answer: it makes room, and goes on all the same."""
    line = Handshakes(at_once=1, patience_s=0.01)
    await asyncio.gather(*(line.begin(None, name) for name in "abcd"))
    for name in "abcd":
        line.end(None, name)
    assert line._lines == {}
