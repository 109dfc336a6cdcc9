"""The Win32 app is one that Intune's documentation describes, read by others' programs; no tenant and no Windows was there."""

from __future__ import annotations

import hmac
import io
import subprocess
from base64 import b64decode
from hashlib import sha256
from pathlib import Path
from xml.etree import ElementTree as ET
from zipfile import ZIP_STORED, ZipFile

from mdm.kit import made

WRITTEN = (
    "EncryptionKey", "MacKey", "InitializationVector", "Mac", "ProfileIdentifier", "FileDigest", "FileDigestAlgorithm",
)  # fmt: skip
"""Graph's `fileEncryptionInfo`, each with a capital, in the order in which Microsoft's tool has them."""


def test_the_app_opens_by_what_it_says_of_itself(tmp_path: Path) -> None:
    """MAC, IV, ciphertext; openssl decrypts to a ZIP of the two scripts, byte for byte, with the size and digest as told."""
    folder = made(tmp_path) / "windows/intune"
    with ZipFile(folder / "spendgate.intunewin") as outer:
        assert outer.testzip() is None
        assert outer.namelist() == [
            "IntuneWinPackage/Contents/IntunePackage.intunewin",
            "IntuneWinPackage/Metadata/Detection.xml",
        ]
        assert {each.compress_type for each in outer.infolist()} == {ZIP_STORED}  # what was encrypted is not changed
        locked, told = (outer.read(name) for name in outer.namelist())
    top = ET.fromstring(told)  # noqa: S314 - our own
    assert (top.tag, [each.tag for each in top]) == (
        "ApplicationInfo",
        ["Name", "UnencryptedContentSize", "FileName", "SetupFile", "EncryptionInfo"],
    )
    held = {each.tag: each.text or "" for each in top[-1]}
    assert tuple(held) == WRITTEN
    key, mac_key, iv, mac, file_digest = (b64decode(held[each]) for each in (*WRITTEN[:4], "FileDigest"))
    assert [len(each) for each in (key, mac_key, iv, mac)] == [32, 32, 16, 32]
    assert (held["ProfileIdentifier"], held["FileDigestAlgorithm"]) == ("ProfileVersion1", "SHA256")

    assert locked[:48] == mac + iv
    assert hmac.digest(mac_key, locked[32:], "sha256") == mac
    words = ["openssl", "enc", "-d", "-aes-256-cbc", "-K", key.hex(), "-iv", iv.hex()]
    plain = subprocess.run(words, input=locked[48:], capture_output=True, check=True).stdout
    assert (str(len(plain)), sha256(plain).digest()) == (top.findtext("UnencryptedContentSize"), file_digest)
    assert top.findtext("FileName") == "IntunePackage.intunewin"
    with ZipFile(io.BytesIO(plain)) as inner:
        assert top.findtext("SetupFile") == "install.ps1"
        assert {name: inner.read(name) for name in inner.namelist()} == {
            name: (folder / name).read_bytes() for name in ("install.ps1", "uninstall.ps1")
        }
