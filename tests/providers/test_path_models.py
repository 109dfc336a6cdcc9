"""A path that servers may read in several ways names every model of those readings."""

from __future__ import annotations

import pytest

from spendgate.policy import Policy
from spendgate.providers.headers import CaseInsensitive
from spendgate.providers.interface import Head
from spendgate.providers.registry import Registry

PRO, FLASH = "gemini-3-pro", "gemini-3-flash"


@pytest.mark.parametrize(
    "between",
    [f":generateContent#/../{FLASH}", f":generateContent#/../../models/{FLASH}", f":generateContent;/x/../../{FLASH}"],
)
def test_each_reading_is_asked(between: str) -> None:
    """Which of them the server takes, nobody can say from here."""
    host, path = "generativelanguage.googleapis.com", f"/v1beta/models/{PRO}{between}:generateContent"
    route = Registry.build(Policy(owner="o").capture).route(Head("POST", host, path, "", CaseInsensitive({})))
    assert {PRO, FLASH} <= {route.model, *route.also}
