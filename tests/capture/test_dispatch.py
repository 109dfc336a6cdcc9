"""The table of hooks keeps mitmproxy's meaning."""

import asyncio
import logging

import pytest
from mitmproxy import exceptions
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layers.http import HttpRequestHook, HttpResponseHook
from mitmproxy.test import tflow

from capture.proxies import NOW
from spendgate.capture.ca import create
from spendgate.capture.dispatch import InPlace
from spendgate.capture.launcher import Gatehouse, Settings
from spendgate.capture.scope import Scope


class First:
    def __init__(self, heard, fault=None):
        self.heard, self.fault = heard, fault

    def request(self, flow):
        self.heard.append(type(self).__name__)
        if self.fault:
            raise self.fault


class Second(First):
    async def request(self, flow):
        super().request(flow)


class Third(First):
    pass


@pytest.fixture
async def house():
    made = Gatehouse(Settings(create(["api.anthropic.com"], NOW), lambda: Scope(frozenset({"address"}))))
    yield made


async def test_hooks_run_in_the_order_of_the_chain(house):
    """Sync and async alike; an addon that is added later joins; one that is removed is not called again."""
    heard: list[str] = []
    second = Second(heard)
    house.addons.add(First(heard), second)
    await house.addons.handle_lifecycle(HttpRequestHook(tflow.tflow()))
    house.addons.add(Third(heard))
    await house.addons.handle_lifecycle(HttpRequestHook(tflow.tflow()))
    house.addons.remove(second)
    await house.addons.handle_lifecycle(HttpRequestHook(tflow.tflow()))
    assert heard == ["First", "Second", "First", "Second", "Third", "First", "Third"]


@pytest.mark.parametrize(
    ("fault", "heard_by"),
    [
        pytest.param(exceptions.AddonHalt(), ["First", "Second"], id="halt ends the event"),
        pytest.param(ValueError("sk-canary-secret"), ["First", "Second", "Third"], id="a fault does not"),
    ],
)
async def test_a_fault_ends_only_its_addon(house, caplog, fault, heard_by):
    """The fault is logged by type and place, never by its message."""
    heard: list[str] = []
    house.addons.add(First(heard), Second(heard, fault), Third(heard))
    with caplog.at_level(logging.DEBUG):
        await house.addons.handle_lifecycle(HttpRequestHook(tflow.tflow()))
    assert heard == heard_by
    assert "canary-secret" not in caplog.text
    assert ("an addon failed in request (ValueError at test_dispatch.py" in caplog.text) == isinstance(
        fault, ValueError
    )


async def test_an_options_error_reaches_the_caller(house):
    """mitmproxy rolls options back on it, so it must not be swallowed."""
    house.addons.add(First([], exceptions.OptionsError("no")))
    with pytest.raises(exceptions.OptionsError):
        await house.addons.handle_lifecycle(HttpRequestHook(tflow.tflow()))


async def test_an_event_that_nobody_hears_is_fine(house):
    """No handler, no cost, no error."""
    house.addons.clear()
    await house.addons.handle_lifecycle(HttpResponseHook(tflow.tflow(resp=True)))


class Below:
    """Layers that ask for one hook, and say what they went on with."""

    context = None

    def __init__(self, hook):
        self.hook = hook

    def handle_event(self, event):
        if isinstance(event, events.HookCompleted):
            yield commands.Log("went on")
        else:
            yield self.hook
            yield commands.Log("first")


class Waits(First):
    """Waits for something that has not happened."""

    def __init__(self, heard):
        super().__init__(heard)
        self.happens = asyncio.Event()

    async def request(self, flow):
        self.heard.append("begun")
        await self.happens.wait()
        super().request(flow)


def _said(out):
    return [command.message if isinstance(command, commands.Log) else type(command).__name__ for command in out]


@pytest.mark.parametrize("addon", [First, Second], ids=["no coroutine", "a coroutine that waits for nothing"])
async def test_hooks_that_do_not_wait_run_in_place(house, addon):
    """In mitmproxy's order: the layers have their answer after the event, and no command goes to mitmproxy."""
    heard: list[str] = []
    house.addons.add(addon(heard))
    out = InPlace(Below(HttpRequestHook(tflow.tflow())), house.addons).handle_event(events.Start())
    assert _said(out) == ["first", "went on"]
    assert heard == [addon.__name__]


async def test_a_hook_that_waits_is_left_to_mitmproxy(house):
    """It is begun in place and passed on; mitmproxy's call sees the same run through, and none is left behind."""
    heard: list[str] = []
    addon, hook = Waits(heard), HttpRequestHook(tflow.tflow())
    house.addons.add(addon, First(heard))
    assert _said(InPlace(Below(hook), house.addons).handle_event(events.Start())) == ["HttpRequestHook", "first"]
    assert heard == ["begun"]
    through = asyncio.create_task(house.addons.handle_lifecycle(hook))
    await asyncio.sleep(0)
    assert not through.done()
    addon.happens.set()
    await through
    assert heard == ["begun", "Waits", "First"]
    assert house.addons._begun == {}


async def test_a_hook_that_waits_is_begun_once(house):
    """However many on its way up would run it in place: a second run would hold the same money again."""
    heard: list[str] = []
    addon, hook = Waits(heard), HttpRequestHook(tflow.tflow())
    house.addons.add(addon)
    stream = InPlace(Below(hook), house.addons)
    assert _said(InPlace(stream, house.addons).handle_event(events.Start())) == ["HttpRequestHook", "first"]
    assert heard == ["begun"]
    addon.happens.set()
    await house.addons.handle_lifecycle(hook)
    assert heard == ["begun", "Waits"]
    assert house.addons._begun == {}


async def test_an_options_error_of_a_coroutine_in_place_reaches_the_caller(house):
    """As where no coroutine is."""
    house.addons.add(Second([], exceptions.OptionsError("no")))
    with pytest.raises(exceptions.OptionsError):
        house.addons.in_place(HttpRequestHook(tflow.tflow()))


@pytest.mark.parametrize(
    ("fault", "heard_by"),
    [
        pytest.param(exceptions.AddonHalt(), [], id="halt ends the event"),
        pytest.param(ValueError("sk-canary-secret"), ["Third"], id="a fault does not"),
    ],
)
@pytest.mark.parametrize("addon", [First, Second], ids=["no coroutine", "coroutine"])
async def test_a_fault_in_place_ends_only_its_addon(house, caplog, addon, fault, heard_by):
    """As where mitmproxy runs the hook."""
    heard: list[str] = []
    house.addons.add(addon(heard, fault), Third(heard))
    with caplog.at_level(logging.DEBUG):
        assert house.addons.in_place(HttpRequestHook(tflow.tflow()))
    assert heard == [addon.__name__, *heard_by]
    assert "canary-secret" not in caplog.text
