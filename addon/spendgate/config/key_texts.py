"""What each key means, for editors: the tables of `policies/README.md`, which are the one text of it.

VS Code's YAML server shows `markdownDescription` and `examples` on a key and `patternErrorMessage` on a value; JetBrains' show
`description`, and of a value only the pattern that it should have fitted, so each description ends with an example.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, NamedTuple

from spendgate.config.forms import Schema

_SELECTORS: Final = ("match", "except", "for", "enforce[]", "when", "given[]")
"""Keys under which attributes stand."""
_ROW: Final = re.compile(r"^\| (`.+)\|$", re.MULTILINE)
_CELL: Final = re.compile(r"(?<!\\)\|")
_LINK: Final = re.compile(r"\[([^]]+)\]\([^)]+\)")
_BELOW: Final = re.compile(r"(?:: selectors)?[;,:] see below")
"""Below is nothing in an editor."""
_ATTRIBUTE: Final = "attribute "
_BRANCHES: Final = ("anyOf", "oneOf", "if", "then", "else")


class Meaning(NamedTuple):
    """A row of a table: in Markdown, without links."""

    text: str
    example: str = ""

    def markdown(self) -> str:
        """The text, and the example after it."""
        return f"{self.text}. Example: `{self.example}`" if self.example else self.text


def reference() -> str:
    """`policies/README.md`, from the installed package or the checkout, as the default policy is."""
    packed = files("spendgate").joinpath("policies.md")
    found = packed if packed.is_file() else Path(__file__).parents[3] / "policies" / "README.md"
    return found.read_text(encoding="utf-8")


def meanings(readme: str) -> Mapping[str, Meaning]:
    """Each key by its path (`budgets[].limit`, `people.NAME.email`, `cases[].when.costs`), each attribute behind `attribute `."""
    found: dict[str, Meaning] = {}
    for table in readme.partition("\n## Keys\n")[2].strip().split("\n\n"):
        heads = _cells(table.partition("\n")[0].removeprefix("| ").removesuffix("|"))
        if heads[0] not in {"key", "section", "key of a case", "attribute"}:
            continue
        for row in _ROW.findall(table):
            first, text, *more = _cells(row)
            of = _ATTRIBUTE if heads[0] == "attribute" else ""
            if of:
                text, more = f"a name or glob, or a list of them; known by: {text}; forged by: {more[0]}", []
            for key in re.findall(r"`([^`]+)`", first):
                found[of + key] = Meaning(_BELOW.sub("", text), more[0].strip("`") if more else "")
    return found


def _cells(row: str) -> list[str]:
    return [_LINK.sub(r"\1", cell).strip().replace(r"\|", "|") for cell in _CELL.split(row)]


def described(schema: Schema, readme: str) -> Schema:
    """The schema, each of its keys with what the tables say of it; no pattern without words for a value that does not fit."""
    return _object(schema, "", meanings(readme))


def _object(schema: Schema, path: str, known: Mapping[str, Meaning]) -> Schema:
    made: dict[str, Any] = dict(schema)
    if "properties" in made:
        under = f"{path}." if path else ""
        made["properties"] = {key: _key(each, f"{under}{key}", known) for key, each in schema["properties"].items()}
    if isinstance(made.get("additionalProperties"), dict):
        made["additionalProperties"] = _key(schema["additionalProperties"], f"{path}.NAME", known)
    if "items" in made:
        made["items"] = _object(schema["items"], f"{path}[]", known)
    for word in _BRANCHES:
        if isinstance(made.get(word), list):
            made[word] = [_object(each, path, known) for each in schema[word]]
        elif word in made:
            made[word] = _object(schema[word], path, known)
    if "pattern" in made and "patternErrorMessage" not in made:
        meaning = _meaning(path.removesuffix("[]"), known)
        made["patternErrorMessage"] = (
            _plain(meaning.markdown()) if meaning else "spendgate policy check says what is allowed"
        )
    return made


def _key(schema: Schema, path: str, known: Mapping[str, Meaning]) -> Schema:
    made = _object(schema, path, known)
    meaning = _meaning(path, known)
    if meaning is None:
        return made
    markdown = meaning.markdown()
    return {"description": _plain(markdown), "markdownDescription": markdown, **made}


def _meaning(path: str, known: Mapping[str, Meaning]) -> Meaning | None:
    """What is said of the key, of the attribute that it is, else of the nearest key that it stands under."""
    if path in known:
        return known[path]
    above, _, name = path.rpartition(".")
    if above.rpartition(".")[2] in _SELECTORS and (attribute := known.get(_ATTRIBUTE + name)):
        return attribute
    while above:
        if above in known:
            return known[above]
        above = above.removesuffix("[]") if above.endswith("[]") else above.rpartition(".")[0]
    return None


def _plain(markdown: str) -> str:
    return markdown.replace("`", "")
