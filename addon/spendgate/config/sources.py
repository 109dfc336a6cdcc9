"""Where a policy comes from: its file, a URL, or the one that is built in; how each is read and called."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

from spendgate.config.bundle import Fetched, Gathering, read_main
from spendgate.config.people import Known
from spendgate.config.policy_file import UNCHECKED, parse_policy
from spendgate.policy import Policy

DEFAULT_NAME = "policies/default.yaml"
Source = Path | Fetched


def load(path: Path, known: Known = UNCHECKED) -> Policy:
    """The policy in a file and in those that it includes. Raises PolicyError with every fault, also where one cannot be read."""
    found = Gathering(path)
    return parse_policy(found.main, str(path), known, beside=found.beside)


def default(known: Known = UNCHECKED) -> Policy:
    """The policy that `spendgate run` uses without `--policy`."""
    return parse_policy(default_bytes(), DEFAULT_NAME, known)


def default_bytes() -> bytes:
    """`policies/default.yaml`, from the installed package or the checkout.

    A wheel carries the file inside the package (pyproject, `force-include`); in a checkout it stands where people look.
    Raises PolicyError where neither has it.
    """
    packed = files("spendgate").joinpath("default.yaml")
    if packed.is_file():
        return packed.read_bytes()
    return read_main(Path(__file__).parents[3] / DEFAULT_NAME)


def named(source: Source) -> str:
    """What a policy's source is called: its whole path, or its URL."""
    return str(whole(source)) if isinstance(source, Path) else source.url


def whole(path: Path) -> Path:
    """The whole path without `..`: the names as they were typed, but where a link is gone through on the way up."""
    typed = path.absolute()
    plain = os.path.normpath(typed)
    return Path(plain if os.path.realpath(plain) == os.path.realpath(typed) else os.path.realpath(typed))


def in_faults(source: Source) -> str:
    """What faults call the policy file: as it was given."""
    return str(source) if isinstance(source, Path) else source.url
