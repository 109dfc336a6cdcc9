"""`spendgate service install --mode transparent`: clients that know of no proxy, and what becomes of their traffic when a part of
the service is killed or hangs."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from service.abroad import Abroad, abroad
from service.systemd_lab import Machine, machine, why_not
from service.test_service_installed import LISTING, asked, until

pytestmark = [pytest.mark.root, pytest.mark.xdist_group("systemd"), pytest.mark.timeout(1800)]
UNITS = ("spendgate.service", "spendgate-redirect.service", "spendgate-clerk.service")


@pytest.fixture(scope="module", name="world")
def _world() -> Iterator[Abroad]:
    if reason := why_not():
        pytest.skip(reason)
    with machine() as made:
        for name in ("ada", "ben"):
            made.run("useradd", "--create-home", name, check=True)
        with abroad(made) as there:
            yield there


@pytest.fixture(name="laptop")
def _laptop(world: Abroad) -> Iterator[Machine]:
    yield world.laptop
    world.laptop.spendgate("service", "uninstall")


def _pid(laptop: Machine, unit: str) -> int:
    return int(laptop.run("systemctl", "show", "--value", "--property=MainPID", unit).stdout)


def test_captured_and_then_nothing_is_left(world: Abroad, laptop: Machine) -> None:
    """A program that knows of no proxy is captured as its account's, with its tool; after the removal files, rules, units,
    accounts and variables are as before, and traffic goes its direct way."""
    before = laptop.run("bash", "-c", LISTING).stdout.splitlines()
    world.install()
    world.until_captured()
    assert world.ask("ada")[0]["by"] == "gate"
    until(lambda: any(row["person"] == "ada" for row in world.rows()))
    row = next(row for row in world.rows() if row["person"] == "ada")
    assert (row["tool"], row["account_os"]) == ("python", "ada")

    removed = laptop.spendgate("service", "uninstall")
    assert removed.returncode == 0, removed.stderr
    after = laptop.run("bash", "-c", LISTING).stdout.splitlines()
    assert sorted(set(after) ^ set(before)) == []
    assert laptop.run("nft", "list", "ruleset").stdout == ""


_ = json, asked
