"""Intune's form of a Win32 app, as Microsoft's Content Prep Tool writes it: `.intunewin`, which the admin center takes as it is.

A ZIP file with two entries. `Contents/IntunePackage.intunewin` is a ZIP of the app's files under AES-256-CBC, behind its MAC and
IV; `Metadata/Detection.xml` says what Microsoft Graph's `fileEncryptionInfo` wants of it: the MAC is HMAC-SHA256 of IV and
ciphertext, the digest SHA-256 of the content before encryption. The keys lie in the file itself, so they hide nothing from who
has it: they come from the content here, so that the same content makes the same bytes. Nothing is compressed: compressors differ.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from hmac import digest
from io import BytesIO
from typing import Final
from zipfile import ZipFile, ZipInfo

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

CONTENT: Final = "IntuneWinPackage/Contents/IntunePackage.intunewin"
METADATA: Final = "IntuneWinPackage/Metadata/Detection.xml"
_TOOL: Final = "1.8.4.0"
"""The version of Microsoft's tool whose form this is."""


@dataclass(frozen=True, slots=True)
class _Locked:
    """A content under its keys."""

    key: bytes
    mac_key: bytes
    iv: bytes
    mac: bytes
    body: bytes


def package(name: str, files: Mapping[str, bytes], setup: str) -> bytes:
    """The file. `name`: the app's, in ASCII without XML's own characters; `setup`: which of the files installs it."""
    content = _zipped(files)
    locked = _locked(content)
    return _zipped({CONTENT: locked.mac + locked.iv + locked.body, METADATA: _metadata(name, setup, content, locked)})


def _locked(content: bytes) -> _Locked:
    key, mac_key, iv = (sha256(label + content).digest() for label in (b"key", b"mac", b"iv"))
    padder, cipher = PKCS7(AES.block_size).padder(), Cipher(AES(key), CBC(iv[:16])).encryptor()
    body = cipher.update(padder.update(content) + padder.finalize()) + cipher.finalize()
    return _Locked(key, mac_key, iv[:16], digest(mac_key, iv[:16] + body, "sha256"), body)


def _metadata(name: str, setup: str, content: bytes, locked: _Locked) -> bytes:
    coded = {
        "EncryptionKey": locked.key,
        "MacKey": locked.mac_key,
        "InitializationVector": locked.iv,
        "Mac": locked.mac,
    }
    lines = [f"    <{each}>{b64encode(value).decode()}</{each}>" for each, value in coded.items()]
    return f"""\
<ApplicationInfo xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" \
ToolVersion="{_TOOL}">
  <Name>{name}</Name>
  <UnencryptedContentSize>{len(content)}</UnencryptedContentSize>
  <FileName>{CONTENT.rpartition("/")[2]}</FileName>
  <SetupFile>{setup}</SetupFile>
  <EncryptionInfo>
{chr(10).join(lines)}
    <ProfileIdentifier>ProfileVersion1</ProfileIdentifier>
    <FileDigest>{b64encode(sha256(content).digest()).decode()}</FileDigest>
    <FileDigestAlgorithm>SHA256</FileDigestAlgorithm>
  </EncryptionInfo>
</ApplicationInfo>
""".replace("\n", "\r\n").encode("ascii")


def _zipped(files: Mapping[str, bytes]) -> bytes:
    """Without times, accounts or modes of the machine that makes it."""
    made = BytesIO()
    with ZipFile(made, "w") as archive:
        for name, content in sorted(files.items()):
            entry = ZipInfo(name)
            entry.create_system = 0  # MS-DOS, on every system
            archive.writestr(entry, content)
    return made.getvalue()
