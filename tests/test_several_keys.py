"""A call that carries several keys: nothing that a client adds spares it a rule or gives it an allowance of its own."""

from __future__ import annotations

from spendgate.allowances import values_of
from spendgate.selector import SEVERAL_KEYS, Facts, Selector

ONE, OTHER = "sk-proj:aaaaaaaaaaaa", "sk-proj:bbbbbbbbbbbb"
BOTH = Facts.of(person="ana", api_key=f"{ONE}+{OTHER}")


def test_rules_for_either_hold() -> None:
    """A selector fits by any of them; a glob too."""
    for text in (ONE, OTHER, "sk-proj:b*"):
        assert Selector.of({"api_key": [text]}).fits(BOTH)
    assert not Selector.of({"api_key": ["sk-proj:cccccccccccc"]}).fits(BOTH)


def test_an_exception_needs_each() -> None:
    """What is excepted for one key is not for another beside it; beside other attributes that must fit, too."""
    assert not Selector.of({"api_key": [ONE]}).lets_off(BOTH)
    assert Selector.of({"api_key": [ONE, OTHER]}).lets_off(BOTH)
    assert Selector.of({"api_key": [ONE]}).lets_off(Facts.of(api_key=ONE))
    assert not Selector.of({"api_key": [ONE, OTHER], "person": ["ben"]}).lets_off(BOTH)
    assert Selector.of({"person": ["ana"]}).lets_off(BOTH)


def test_all_have_one_allowance() -> None:
    """Whatever stands beside a key."""
    another = Facts.of(person="ana", api_key=f"{ONE}+sk-proj:cccccccccccc")
    assert values_of(("api_key",), BOTH, False) == values_of(("api_key",), another, False) == (SEVERAL_KEYS,)
