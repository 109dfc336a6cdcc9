"""mitmproxy's hooks by a table: event name to bound functions, made once.

The stock manager walks every addon for every hook and then sends an `update` event round again; that was a third of the time
of a small call. The table keeps its meaning: order of the chain, sync and async hooks, AddonHalt ends an event, an addon's
error is logged and the next addon runs. Two things differ, neither of which a capturing addon sees: `update` is not sent, and
a hook that is added to an addon after its first event is not found.

`InPlace` goes further: hooks run where the layers ask for them, and the layers go on with the answer at once. mitmproxy makes
a task of each, with a lock and a turn of the loop between; here only what really waits for something is left to it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, fields
from inspect import isawaitable, iscoroutinefunction
from types import UnionType
from typing import Any

from mitmproxy import addonmanager, exceptions, hooks
from mitmproxy.master import Master
from mitmproxy.proxy import commands, events, layer

from spendgate.capture import logs

Handler = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """What is done for one kind of event."""

    field: str
    """The event's one field, which is what its functions take."""
    handlers: tuple[Handler, ...]
    """In the order of the chain."""
    waits: bool
    """Whether some of them are coroutines."""


class Dispatch(addonmanager.AddonManager):
    """An AddonManager whose `handle_lifecycle`, called for each event of each flow, is a table look-up."""

    def __init__(self, master: Master) -> None:
        super().__init__(master)  # type: ignore[no-untyped-call]  # mitmproxy's
        self._table: dict[type[hooks.Hook], Entry] = {}
        self._begun: dict[hooks.Hook, asyncio.Task[None]] = {}
        """Events that were begun in place and wait; each until `handle_lifecycle` is called for it."""

    def add(self, *addons: object) -> None:
        super().add(*addons)  # type: ignore[no-untyped-call]  # mitmproxy's
        self._table.clear()

    def remove(self, addon: object) -> None:
        super().remove(addon)  # type: ignore[no-untyped-call]  # mitmproxy's
        self._table.clear()

    def clear(self) -> None:
        super().clear()  # type: ignore[no-untyped-call]  # mitmproxy's
        self._table.clear()

    def entry(self, event: hooks.Hook) -> Entry:
        """What is done for this event."""
        kind = type(event)
        entry = self._table.get(kind)
        if entry is None:
            found = tuple(func for addon in self.chain for _, func in self._iter_hooks(addon, event))
            field = fields(event)[0].name  # type: ignore[arg-type]  # every hook is a dataclass
            entry = self._table[kind] = Entry(field, found, any(iscoroutinefunction(func) for func in found))
        return entry

    async def handle_lifecycle(self, event: hooks.Hook) -> None:
        await (self._begun.pop(event, None) or self._run(event))

    async def _run(self, event: hooks.Hook) -> None:
        entry = self.entry(event)
        for handler in entry.handlers:
            try:
                result = handler(getattr(event, entry.field))
                if result is not None and isawaitable(result):
                    await result
            except exceptions.AddonHalt:
                return
            except exceptions.OptionsError:
                raise
            except Exception as fault:  # noqa: BLE001  # an addon's fault must not end other people's connections
                logs.OURS.error("an addon failed in %s (%s)", event.name, logs.where(fault))

    def in_place(self, event: hooks.Hook) -> bool:
        """As `handle_lifecycle`, at once. False: a function of it waits for something, and `handle_lifecycle` sees it through."""
        entry = self.entry(event)
        if entry.waits:
            return self._begin(event)
        for handler in entry.handlers:
            try:
                handler(getattr(event, entry.field))
            except exceptions.AddonHalt:
                break
            except exceptions.OptionsError:
                raise
            except Exception as fault:  # noqa: BLE001  # as above
                logs.OURS.error("an addon failed in %s (%s)", event.name, logs.where(fault))
        return True

    def _begin(self, event: hooks.Hook) -> bool:
        """Run coroutines up to where one of them first waits, which most never do."""
        if event in self._begun:
            return False  # begun further down: what answers in a stream passes it on to what answers above all layers
        task = asyncio.Task(self._run(event), loop=asyncio.get_running_loop(), eager_start=True)
        if not task.done():
            self._begun[event] = task
            return False
        task.result()
        return True


class InPlace:
    """Stands above a connection's layers and runs their hooks, in the order in which mitmproxy would run them."""

    def __init__(self, below: layer.Layer, dispatch: Dispatch) -> None:
        self.context = below.context
        self._below = below
        self._dispatch = dispatch

    def handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        """The commands of an event, and of the answers to its hooks, but for the hooks that are done."""
        return answering(self._below.handle_event, event, self._dispatch, commands.StartHook)


def answering(
    handle: Callable[[events.Event], layer.CommandGenerator[None]],
    event: events.Event,
    dispatch: Dispatch,
    hooks: type[commands.StartHook] | UnionType,
) -> layer.CommandGenerator[None]:
    """What `handle` commands at this event, with those of its hooks that can be run in place run, and their ends handled."""
    due = deque((event,))
    while due:
        for command in handle(due.popleft()):
            if not isinstance(command, hooks) or not dispatch.in_place(command):
                yield command
            elif command.blocking:
                due.append(events.HookCompleted(command))
