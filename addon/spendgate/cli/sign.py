"""`spendgate policy sign`, `verify` and `keygen`: minisign's files, for admins who have minisign and for those who do not."""

from __future__ import annotations

import getpass
import os
import secrets
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from spendgate.cli.output import inert, note, writing
from spendgate.config.believing import believed
from spendgate.config.bundle import Gathering
from spendgate.config.known import KNOWN
from spendgate.config.paths import write_private
from spendgate.config.policy_file import parse_policy
from spendgate.config.reading import read_regular, unread
from spendgate.config.signed import comment
from spendgate.config.trust import Trust, TrustedKey, trusted
from spendgate.errors import PolicyError, SpendgateError, UsageError
from spendgate.minisign import FILE_BYTES_MAX, SUFFIX, PublicKey
from spendgate.minisign_secret import KEY_ID_BYTES, SALT_BYTES, SEED_BYTES, KeyFile, Lock, SecretKey

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The policy.", show_default=False, readable=False)]


def register(group: typer.Typer) -> None:
    """Add the commands."""
    group.command("sign")(sign)
    group.command("verify")(verify)
    group.command("keygen")(keygen)


def sign(
    file: FileArgument,
    key: Annotated[
        Path,
        typer.Option("--key", metavar="KEYFILE", help="The secret key, as `minisign -G` or `policy keygen` makes it."),
    ],
    comment_: Annotated[
        str, typer.Option("--comment", metavar="TEXT", help="Signed too, and shown by `minisign -V`.")
    ] = "",
) -> None:
    """Sign a policy with all that it includes: writes FILE.minisig beside it. One with faults, or no revision, is not signed."""
    if "\t" in comment_ or not (comment_ or "x").isprintable():
        raise UsageError("--comment: one line of text, without tabs")
    origin = Gathering(file)
    policy = parse_policy(origin.main, str(file), KNOWN, beside=origin.beside)
    if policy.validity.revision is None:
        raise PolicyError(
            (f"{file}:1:1: revision: is missing; a signed policy needs one, so that an older one can be told",)
        )
    included = tuple((name, data or b"") for name, data in origin.bundle.included)
    said = comment(policy.validity.revision, included, "\t".join((f"timestamp:{time.time():.0f}", comment_)).strip())
    secret = secret_key(key)
    target = file.with_name(file.name + SUFFIX)
    try:
        target.write_bytes(secret.sign(origin.main, said).file())
    except ValueError as fault:
        raise UsageError(f"--comment: the signature {fault}") from fault
    except OSError as fault:
        raise SpendgateError(f"{target}: cannot be written: {fault.strerror}") from fault
    covered = ", ".join((file.name, *origin.bundle.names))
    note(f"{target}: signed by {secret.public.name}, revision {policy.validity.revision}: {covered}")


def verify(
    file: FileArgument,
    key: Annotated[
        str | None,
        typer.Option(
            "--key", metavar="PUBKEY", help="A public key, RW…, or its file; without it, the keys of the trust file."
        ),
    ] = None,
) -> None:
    """Say who signed a policy with all that it includes, and which revision. Exit status 1 where a gate would refuse it."""
    trust = _keys(key)
    origin = Gathering(file, signed=True)
    policy, signed = believed(origin, str(file), KNOWN, trust)
    with writing():
        typer.echo(inert(f"{file}: signed by {signed.by if signed else 'nobody'}, revision {policy.validity.revision}"))
        for name in origin.bundle.names:
            typer.echo(inert(f"{file.with_name(name)}: signed with it"))


def keygen(
    file: Annotated[
        Path, typer.Argument(metavar="KEYFILE", help="Where the secret key goes; the public one beside it.")
    ],
    no_password: Annotated[
        bool, typer.Option("--no-password", help="Do not lock the key: for one that lies in a safe already.")
    ] = False,
) -> None:
    """Make a pair of keys in minisign's format: KEYFILE, which signs, and KEYFILE.pub. Prints the public key."""
    public = file.with_name(f"{file.name}.pub")
    for each in (file, public):
        if each.exists():
            raise UsageError(f"{each} is there already; a key is never overwritten")
    lock = None
    if not no_password:
        password = _password(f"password for {file}: ")
        if sys.stdin.isatty() and _password("once more: ") != password:
            raise UsageError("the passwords differ")
        if not password:
            raise UsageError("an empty password locks nothing; use --no-password")
        lock = Lock(password, secrets.token_bytes(SALT_BYTES))
    made = SecretKey.new(secrets.token_bytes(KEY_ID_BYTES + SEED_BYTES))
    try:
        write_private(file, made.file(lock))
        public.write_bytes(made.public.file())
    except OSError as fault:
        raise SpendgateError(f"{file}: cannot be written: {fault.strerror}") from fault
    with writing():
        typer.echo(f"{made.public}")
    note(f"{file} signs: keep it where no gate runs; the line above goes into the trust file's `keys`")


def secret_key(file: Path) -> SecretKey:
    """The key in a file, asked for its password where it has one. Raises SpendgateError."""
    try:
        found = KeyFile.parse(read_regular(file, FILE_BYTES_MAX + 1))
        return found.unlock(_password(f"password for {file}: ") if found.locked else None)
    except OSError as fault:
        raise SpendgateError(unread(file, fault)) from fault
    except ValueError as fault:
        raise SpendgateError(f"{file}: {fault}") from fault


def _password(prompt: str) -> str:
    """From the terminal; where there is none, the next line of stdin, as minisign has it."""
    if sys.stdin is not None and sys.stdin.isatty():
        return getpass.getpass(prompt)
    return sys.stdin.readline().rstrip("\r\n") if sys.stdin is not None else ""


def _keys(key: str | None) -> Trust:
    if key is None:
        trust = trusted()
        if trust is None:
            raise UsageError("no trust file here says whose signature counts; name a public key with --key")
        return Trust(trust.file, trust.keys, least_revision=trust.least_revision)
    try:
        if key.startswith("RW") and not os.path.lexists(key):
            text, name = key, "--key"
        else:
            text, name = read_regular(Path(key), FILE_BYTES_MAX + 1).decode(), key
        return Trust("--key", (TrustedKey(name, PublicKey.parse(text)),))
    except OSError as fault:
        raise UsageError(f"--key {key}: cannot be read: {fault.strerror or fault}") from fault
    except ValueError as fault:
        raise UsageError(f"--key {key[:60]}: {fault}") from fault
