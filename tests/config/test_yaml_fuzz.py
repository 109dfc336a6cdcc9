"""Fuzzing the policy reader: no crash, and nothing is accepted that a second, strict reading of the same text does not say.

The second reading is PyYAML's own composer in pure Python, all scalars as text, which refuses keys given twice, anchors, tags
and directives by itself. What both accept must have the same structure; and the policy must be that of the same structure
written out again in another style, so that no key, item or letter is lost on the way.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.config.test_policy_file import HEAD, WHOLE

from spendgate.config.faults import Faults
from spendgate.config.known import KNOWN
from spendgate.config.nodes import Items, Mapping, Node, Text
from spendgate.config.policy_file import parse_policy
from spendgate.config.yaml_nodes import read
from spendgate.errors import PolicyError
from spendgate.policy import Policy

POLICIES = Path(__file__).parents[2] / "policies"
SHIPPED = [
    path.read_text()
    for path in sorted(POLICIES.rglob("*.yaml"))
    if not path.name.endswith(".test.yaml") and path.parent.name != "overlay"  # which is several files
]  # what people start from
SEEDS = [*SHIPPED, WHOLE]
FRAGMENTS = [
    "&a ", "*a", "<<: *a\n", "<<: ", "!!int ", "!!python/object:os.system ", "! ", "~", "null", "yes", "on", "0o17", "017",
    "1:30", "2027-03-31", "1e3", ".5", "1_000", ".inf", "$999999999999999999999", "$1,000", "-$5", "$0", "50%", "\t", "\r",
    "\r\n", "\ufeff", "\x85", "\u2028", "\u200b", "\u202e", "\u00a0", "\x00", "\u0430", "e\u0301", "\U000e0041", "\n---\n",
    "\n...\n", "%YAML 1.1\n---\n", "? ", ": ", ":", " #", "# ", "{", "}", "[", "]", ",", "- ", "|\n", ">-\n", "'", '"', "\\",
    '"\\x1b"', "@", "`", "%", "\n", "\n  ", "\n    ", " ", "version: 1\n", "owner: x\n", "budgets: []\n", "limit: $5\n",
    "name: a\n", "mode: observe\n", "9" * 400, "[" * 40, "{a: " * 40,
]  # fmt: skip
BOMB = "".join(
    f"{chr(98 + level)}: &{chr(98 + level)} [{', '.join([f'*{chr(97 + level)}'] * 9)}]\n" for level in range(9)
)


class Strict(yaml.BaseLoader):
    """All scalars as text; refuses by itself what is not plain data."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) or getattr(event, "tag", None):
            raise yaml.YAMLError("an alias, an anchor or a tag")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        found = super().construct_mapping(node, deep=True)
        if len(found) != len(node.value):
            raise yaml.YAMLError("a key given twice")
        return found


def second(text: str) -> Any:
    """The second reading. Raises yaml.YAMLError."""
    events = [event for event in yaml.parse(text, Loader=yaml.SafeLoader) if isinstance(event, yaml.DocumentStartEvent)]
    if any(event.version or event.tags for event in events):
        raise yaml.YAMLError("a directive")
    return yaml.load(text, Loader=Strict)  # noqa: S506 - a BaseLoader: it makes text, lists and dicts alone


def plain(node: Node | None) -> Any:
    """What the reader under test has read, as text, lists and dicts."""
    match node:
        case Text():
            return node.value
        case Items():
            return [plain(item) for item in node.items]
        case Mapping():
            return {key.value: plain(value) for key, value in node.entries}
    raise AssertionError(f"{node} in a file without faults")


def tried(text: str) -> Policy | None:
    """The policy, held to the second reading; None where it is refused, then with faults that each stand on one line."""
    data = text.encode("utf-8", "surrogatepass")
    try:
        policy = parse_policy(data, "p.yaml", KNOWN)
    except PolicyError as fault:
        assert fault.faults
        assert all(line.isprintable() and line.startswith("p.yaml:") for line in fault.faults)
        return None
    faults = Faults("p.yaml")
    found = plain(read(data, faults))
    assert not faults
    try:
        assert found == second(data.decode("utf-8-sig"))
    except yaml.MarkedYAMLError as fault:
        # In brackets PyYAML's own scanner ends a text at any `?`, against the specification.
        assert "but got '?'" in (fault.problem or "")
    again = yaml.dump(found, default_style='"', allow_unicode=True, width=sys.maxsize, sort_keys=True)
    assert parse_policy(again.encode(), "p.yaml", KNOWN).roster.unknown == policy.roster.unknown
    in_order = yaml.dump(found, default_style='"', allow_unicode=False, default_flow_style=True, sort_keys=False)
    assert parse_policy(in_order.encode(), "p.yaml", KNOWN).hash == policy.hash
    return policy


def mutated(text: str, rng: random.Random) -> str:
    """One to four changes of the kinds that people, editors, merges and templates make."""
    for _ in range(rng.randint(1, 4)):
        lines = text.split("\n")
        at, line = rng.randrange(len(text) + 1), rng.randrange(len(lines))
        match rng.randrange(9):
            case 0 | 1:
                text = text[:at] + rng.choice(FRAGMENTS) + text[at:]
            case 2:
                text = text[:at] + rng.choice(FRAGMENTS) + text[at + rng.randint(1, 12) :]
            case 3:
                text = text[:at] + text[at + rng.randint(1, 40) :]
            case 4:
                lines[line:line] = [lines[line]]
                text = "\n".join(lines)
            case 5:
                lines[line] = rng.choice((" ", "  ", "\t", "- ")) + lines[line]
                text = "\n".join(lines)
            case 6:
                lines[line] = lines[line][1:]
                text = "\n".join(lines)
            case 7:
                other = rng.randrange(len(lines))
                lines[line], lines[other] = lines[other], lines[line]
                text = "\n".join(lines)
            case _:
                donor = rng.choice(SEEDS)
                start = rng.randrange(len(donor))
                text = text[:at] + donor[start : start + rng.randint(1, 80)] + text[at:]
    return text


def accepted(seed: int, rounds: int) -> int:
    """Mutate and try; how many of the texts were accepted."""
    rng = random.Random(seed)
    return sum(tried(mutated(rng.choice(SEEDS), rng)) is not None for _ in range(rounds))


@pytest.mark.parametrize("text", SEEDS)
def test_what_is_shipped_is_read_by_both(text: str) -> None:
    """The texts that are mutated are accepted as they stand."""
    assert tried(text) is not None


@pytest.mark.parametrize("seed", range(4))
def test_a_mutated_policy_is_refused_or_means_what_it_says(seed: int) -> None:
    """Some mutants are still policies, and all of those are held to the second reading."""
    assert accepted(seed, 150) > 5


@pytest.mark.heavy
@pytest.mark.parametrize("seed", range(100, 130))
def test_very_many_mutated_policies(seed: int) -> None:
    """The same, for long."""
    assert accepted(seed, 3_000) > 100


_scalars = st.text(max_size=20) | st.sampled_from(FRAGMENTS)
_trees = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_scalars, inner, max_size=4),
    max_leaves=25,
)


@settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(_trees, st.sampled_from([None, '"', "'", "|"]), st.booleans())
def test_any_tree_in_any_style_is_read_as_it_was_written(tree: Any, style: str | None, flow: bool) -> None:
    """Whatever PyYAML writes, under a key of its own, is refused or read with the same structure."""
    text = HEAD + yaml.dump({"x": tree}, default_style=style, default_flow_style=flow, allow_unicode=True)
    faults = Faults("p.yaml")
    node = read(text.encode("utf-8", "surrogatepass"), faults)
    assert faults or plain(node) == second(text)


@settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.data())
def test_any_edits_by_fragments_are_refused_or_mean_what_they_say(data: st.DataObject) -> None:
    """As the mutants, drawn so that a failing one shrinks."""
    text = data.draw(st.sampled_from(SEEDS))
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 20)))
        text = text[:start] + data.draw(st.sampled_from(FRAGMENTS) | st.text(max_size=5)) + text[end:]
    tried(text)


def test_a_bomb_of_aliases_stays_small() -> None:
    """Nine levels of nine aliases would be 400 million values: they are never followed, and each is named."""
    faults = Faults("p.yaml")
    read(f"{HEAD}a: &a [x, x, x]\n{BOMB}".encode(), faults)
    told = faults.lines()
    assert len(told) == 3 + 7 * 10 + 18 == 91 or told[-1].endswith("more")
    assert all("anchor &" in line or "alias *" in line or line.endswith("more") for line in told)


def renamed(tree: Any) -> Iterator[Any]:
    """The tree with one key renamed, for each key in it."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield {(f"{each}x" if each == key else each): kept for each, kept in tree.items()}
            for inner in renamed(value):
                yield {**tree, key: inner}
    elif isinstance(tree, list):
        for place, item in enumerate(tree):
            for inner in renamed(item):
                yield [*tree[:place], inner, *tree[place + 1 :]]


@pytest.mark.parametrize("text", SEEDS)
def test_no_key_is_passed_over(text: str) -> None:
    """A key written otherwise is a fault, or, where it is a name, another policy: never the same one."""
    whole = parse_policy(text.encode(), known=KNOWN).hash
    for tree in renamed(second(text)):
        try:
            assert parse_policy(yaml.dump(tree).encode(), known=KNOWN).hash != whole
        except PolicyError as fault:
            assert fault.faults
