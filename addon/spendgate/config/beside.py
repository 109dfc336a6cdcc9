"""Files that a rollout file names: they lie beside it, and nowhere else."""

from __future__ import annotations

import re
from pathlib import Path

from spendgate.config.faults import shown
from spendgate.config.reading import read_regular
from spendgate.config.yaml_nodes import BYTES_MAX


def beside(folder: Path, text: str) -> bytes:
    """A file's bytes. Raises ValueError."""
    path = folder / file_name(text)
    try:
        return read_regular(path, BYTES_MAX)
    except OSError as fault:
        raise ValueError(
            f"{shown(text)} cannot be read: {fault.strerror or fault}; it lies beside this file"
        ) from fault


def file_name(text: str) -> str:
    if not re.fullmatch(r"[\w.-]{1,100}", text, re.ASCII) or text.startswith("."):
        raise ValueError(
            f"{shown(text)} is no file's name; allowed: the name of a file beside this one, without folders"
        )
    return text
