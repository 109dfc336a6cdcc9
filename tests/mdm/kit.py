"""What the tests of MDM material share: a root of an organization, a rollout file, and the command run over it."""

from __future__ import annotations

import io
import ipaddress
import os
import subprocess
import sys
from collections.abc import Iterable
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from spendgate.cli.main import run
from spendgate.config.known import KNOWN
from spendgate.name_constraints import CANARY_HOST

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "mdm" / "example" / "acme.yaml"
KEY = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"
HOSTS = ("api.anthropic.com", "api.openai.com")


def root_pem(
    names: Iterable[str] = (*KNOWN.hosts, CANARY_HOST), *, days: int = 30, addresses: bool = True, is_ca: bool = True
) -> bytes:
    """A root's certificate whose key is forgotten."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Acme root")])
    nets = [x509.IPAddress(ipaddress.ip_network(net)) for net in ("0.0.0.0/0", "::/0")] if addresses else None
    constraints = x509.NameConstraints([x509.DNSName(each) for each in sorted(names)], nets)
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=60))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(constraints, critical=True)
        .sign(key, SHA256())
        .public_bytes(Encoding.PEM)
    )


def rollout(**changes: object) -> dict[str, Any]:
    """A rollout file's keys; a change to None leaves the key out."""
    whole: dict[str, Any] = {
        "version": 1,
        "organization": "Acme GmbH",
        "identifier": "com.acme.spendgate",
        "contact": {"name": "IT desk", "address": "it@acme.example"},
        "stage": "observe",
        "mode": "transparent",
        "root": "root.pem",
        "keys": [{"name": "platform", "key": KEY}],
        "policy": {"url": "https://policy.acme.example/policy.yaml"},
        **changes,
    }
    return {key: value for key, value in whole.items() if value is not None}


def write(folder: Path, text: str | dict[str, Any], pem: bytes | None = None) -> Path:
    """The rollout file and its root in a folder."""
    file = folder / "rollout.yaml"
    file.write_text(text if isinstance(text, str) else yaml.safe_dump(text, sort_keys=False))
    (folder / "root.pem").write_bytes(root_pem() if pem is None else pem)
    return file


def make(file: Path, out: Path) -> subprocess.CompletedProcess[str]:
    """The command, in this process: all of the program but its start."""
    argv = ["spendgate", "mdm", "make", str(file), "--out", str(out)]
    stdout, stderr, status = io.StringIO(), io.StringIO(), 0
    with mock.patch.object(sys, "argv", argv), redirect_stdout(stdout), redirect_stderr(stderr):
        try:
            run()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
    return subprocess.CompletedProcess(argv, status, stdout.getvalue(), stderr.getvalue())


def program(file: Path, out: Path, *, seed: int) -> subprocess.CompletedProcess[str]:
    """The program, as a person starts it."""
    command = [sys.executable, "-m", "spendgate", "mdm", "make", str(file), "--out", str(out)]
    env = {**os.environ, "PYTHONHASHSEED": str(seed)}
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT / "addon", env=env)


def made(folder: Path, *, pem: bytes | None = None, **changes: object) -> Path:
    """The material of a rollout with these changes."""
    out = folder / "out"
    done = make(write(folder, rollout(**changes), pem), out)
    assert done.returncode == 0, done.stderr
    return out
