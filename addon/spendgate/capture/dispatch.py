"""mitmproxy's hooks by a table: event name to bound functions, made once.

The stock manager walks every addon for every hook and then sends an `update` event round again; that was a third of the time
of a small call. The table keeps its meaning: order of the chain, sync and async hooks, AddonHalt ends an event, an addon's
error is logged and the next addon runs. Two things differ, neither of which a capturing addon sees: `update` is not sent, and
a hook that is added to an addon after its first event is not found.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from inspect import isawaitable
from typing import Any

from mitmproxy import addonmanager, exceptions, hooks
from mitmproxy.master import Master

from spendgate.capture import logs

Handler = Callable[[Any], Any]


class Dispatch(addonmanager.AddonManager):
    """An AddonManager whose `handle_lifecycle`, called for each event of each flow, is a table look-up."""

    def __init__(self, master: Master) -> None:
        super().__init__(master)  # type: ignore[no-untyped-call]  # mitmproxy's
        self._table: dict[type[hooks.Hook], tuple[str, tuple[Handler, ...]]] = {}

    def add(self, *addons: object) -> None:
        super().add(*addons)  # type: ignore[no-untyped-call]  # mitmproxy's
        self._table.clear()

    def remove(self, addon: object) -> None:
        super().remove(addon)  # type: ignore[no-untyped-call]  # mitmproxy's
        self._table.clear()

    def clear(self) -> None:
        super().clear()  # type: ignore[no-untyped-call]  # mitmproxy's
        self._table.clear()

    def handlers(self, event: hooks.Hook) -> tuple[str, tuple[Handler, ...]]:
        """The event's field and the functions that take it, in the order of the chain."""
        kind = type(event)
        entry = self._table.get(kind)
        if entry is None:
            found = tuple(func for addon in self.chain for _, func in self._iter_hooks(addon, event))
            entry = self._table[kind] = (fields(event)[0].name, found)  # type: ignore[arg-type]  # every hook is a dataclass
        return entry

    async def handle_lifecycle(self, event: hooks.Hook) -> None:
        name, handlers = self.handlers(event)
        for handler in handlers:
            try:
                result = handler(getattr(event, name))
                if result is not None and isawaitable(result):
                    await result
            except exceptions.AddonHalt:
                return
            except exceptions.OptionsError:
                raise
            except Exception as fault:  # noqa: BLE001  # an addon's fault must not end other people's connections
                logs.OURS.error("an addon failed in %s (%s)", event.name, logs.where(fault))
