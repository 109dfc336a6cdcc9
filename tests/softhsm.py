"""A token in software, where SoftHSM and python-pkcs11 are on this machine: two with one PIN, in a folder of the test's."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import quote

PIN = "71940382-pin"
_MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm.so", "/usr/lib64/pkcs11/libsofthsm2.so")
MODULE = next((each for each in _MODULES if Path(each).exists()), "")


def why_not() -> str:
    """What is missing here; "": nothing."""
    if not MODULE or shutil.which("softhsm2-util") is None:
        return "needs SoftHSM: on Debian softhsm2"
    return "" if importlib.util.find_spec("pkcs11") else "needs python-pkcs11: pip install -r mdm/pkcs11.lock"


@dataclass(frozen=True)
class Hsm:
    """Where it is, for programs of their own too."""

    folder: Path

    def uri(self, key: str, where: str = "acme") -> str:
        return f"pkcs11:token={where};object={quote(key, safe='')}?module-path={MODULE}"

    @contextmanager
    def session(self, where: str = "acme") -> Iterator[Any]:
        """Logged in, as tools other than ours would be."""
        import pkcs11

        with pkcs11.lib(MODULE).get_token(token_label=where).open(rw=True, user_pin=PIN) as session:
            yield session

    def keys(self, label: str) -> list[Any]:
        """Attributes of the private keys of a label: sensitive, extractable, never extractable, local."""
        import pkcs11
        from pkcs11 import Attribute

        asked = (Attribute.SENSITIVE, Attribute.EXTRACTABLE, Attribute.NEVER_EXTRACTABLE, Attribute.LOCAL)
        with self.session() as session:
            wanted = {Attribute.LABEL: label, Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY}
            return [tuple(key[each] for each in asked) for key in session.get_objects(wanted)]


@contextmanager
def hsm(folder: Path) -> Iterator[Hsm]:
    """Tokens `acme` and `other`. The library reads where they are when it is loaded, and is let go of at the end."""
    import pkcs11

    (folder / "tokens").mkdir(parents=True)
    config = folder / "softhsm2.conf"
    config.write_text(f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n")
    with mock.patch.dict(os.environ, {"SOFTHSM2_CONF": str(config)}):
        for label in ("acme", "other"):
            words = [
                "softhsm2-util",
                "--init-token",
                "--free",
                "--label",
                label,
                "--pin",
                PIN,
                "--so-pin",
                "so-87654321",
            ]
            subprocess.run(words, check=True, capture_output=True)
        pkcs11.unload(MODULE)
        try:
            yield Hsm(folder)
        finally:
            pkcs11.unload(MODULE)
