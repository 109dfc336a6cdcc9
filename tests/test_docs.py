"""Every command, option and setting stands in the documentation, and what the documentation names exists."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from cli.kit import app
from spendgate.capture.call import ANSWERED_HERE
from spendgate.capture.tally import NOT_DECRYPTED
from spendgate.config import paths, trust
from spendgate.gate.accounts import FLAG as PERSONAL
from spendgate.gate.accounts import OWN
from spendgate.gate.charging import BACKGROUND, UNCOUNTED, UNSEEN
from spendgate.gate.failing import WITHOUT_LEDGER
from spendgate.gate.model_prices import UNPRICED_SPEED
from spendgate.gate.overage import FLAG as BEYOND
from spendgate.gate.plausible import CUT
from spendgate.gate.recording import LEFT
from spendgate.ledger.endings import OVERRUN
from spendgate.providers.anthropic_usage import CREDITED, SPLIT_ASSUMED
from spendgate.providers.client import fingerprint
from spendgate.providers.cursor_answers import NO_COUNTS
from spendgate.providers.cursor_asked import MAX_MODE, NO_MODEL, OWN_KEY
from spendgate.providers.stream_usage import ASKED, SHOWN

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PRODUCT = (ROOT / "addon" / "README.md").read_text()
DOCUMENTS = sorted(
    str(path.relative_to(ROOT)) for top in ("addon", "policies", "mdm") for path in (ROOT / top).rglob("README.md")
)
DOCUMENTS.append("README.md")
EVERYWHERE = {
    "--help",
    "-h",
    "--format",
    "--state",
    "--policy",
    "--since",
    "--until",
    "--where",
    "--limit",
    "--by",
    "--version",
}
"""Options that every reading command has, or whose place is the command's own help."""


def commands() -> list[tuple[str, TyperCommand]]:
    """Every command that a person may type, with its whole name."""
    top = typer.main.get_command(app)
    assert isinstance(top, TyperGroup)
    found: list[tuple[str, TyperCommand]] = []
    for name, command in top.commands.items():
        if command.hidden:
            continue
        found.append((name, command))
        if isinstance(command, TyperGroup):
            found += [(f"{name} {inner}", sub) for inner, sub in command.commands.items()]
    return found


@pytest.mark.parametrize(("name", "command"), commands(), ids=[name for name, _ in commands()])
def test_every_command_is_documented_and_helps(name: str, command: TyperCommand) -> None:
    """Its name stands in the product's README, its help says what it does, each option says what it is for."""
    assert f"`{name}" in PRODUCT or f"{name} " in PRODUCT
    assert command.help
    for option in command.params:
        if isinstance(option, TyperOption):
            assert option.help, option.name
            assert set(option.opts) & EVERYWHERE or any(word in PRODUCT for word in option.opts), option.opts


def test_every_command_that_is_told_exists() -> None:
    """In the documents, and in whatever the product itself may print: nobody is sent to a command that is not there."""
    top = typer.main.get_command(app)
    assert isinstance(top, TyperGroup)
    known = {name for name, _ in commands()} | set(top.commands)  # those that the product itself starts are hidden
    groups = {name.split()[0] for name in known if " " in name}
    texts = [ROOT / document for document in DOCUMENTS] + sorted((ROOT / "addon" / "spendgate").rglob("*.py"))
    told = 0
    for text in texts:
        for first, second in re.findall(r"`spendgate ([a-z]+)(?: ([a-z]+)\b)?", text.read_text()):
            told += 1
            assert first in known, f"{text.name}: spendgate {first}"
            assert not (second and first in groups) or f"{first} {second}" in known, f"{text.name}: {first} {second}"
    assert told > 50


@pytest.mark.parametrize("document", DOCUMENTS)
def test_what_a_document_names_exists(document: str) -> None:
    """Files and scripts that a README names are there."""
    text = (ROOT / document).read_text()
    base = (ROOT / document).parent
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (base / link).exists(), link
    for script in re.findall(r"scripts/([a-z-]+)", text):
        assert (ROOT / "scripts" / script).exists(), script
    for test in re.findall(r"`(tests/[\w/]+(?:\.py)?)`", text):
        assert (ROOT / test).exists(), test


def test_the_setting_of_the_environment_is_documented() -> None:
    """The variable that moves the state directory, and the one that names a trust file."""
    assert paths.VARIABLE in PRODUCT
    assert trust.VARIABLE in PRODUCT


def test_every_script_says_what_it_does() -> None:
    """The first comment of each verb, and a line in the first screen's table."""
    for script in (ROOT / "scripts").iterdir():
        if script.is_file():
            assert script.read_text().splitlines()[1].startswith("# "), script.name
            assert f"`{script.name}`" in README or script.name in README, script.name


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="the documented command needs sha256sum")
@pytest.mark.parametrize("key", ["sk-ant-api03-AbC_9", "sk-proj-AbC-9", "sk-or-v1-9", "sk-9", "gsk_9", "xai-9", "9"])
def test_an_api_key_selector_can_be_written_as_documented(key: str) -> None:
    """The command in the policies' README gives the digits that the ledger has, and its list has the prefix."""
    text = (ROOT / "policies" / "README.md").read_text()
    found = re.search(r"`(printf [^`]+)`", text)
    assert found
    command = ["sh", "-c", found[1]]
    done = subprocess.run(
        command, env={"KEY": key, "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True
    )
    prefix, _, digits = fingerprint(key).partition(":")
    assert done.stdout.strip() == digits
    assert f"`{prefix}`" in text


FLAGS = [
    BACKGROUND,
    UNCOUNTED,
    UNSEEN,
    WITHOUT_LEDGER,
    CUT,
    LEFT,
    UNPRICED_SPEED,
    OVERRUN,
    SPLIT_ASSUMED,
    CREDITED,
    ANSWERED_HERE,
    NO_MODEL,
    MAX_MODE,
    NO_COUNTS,
    OWN_KEY.partition(":")[0],
    ASKED,
    NOT_DECRYPTED,
    BEYOND,
    PERSONAL,
    OWN,
    SHOWN,
]
IN_PLACE = re.compile(
    r"""(?:self\.flag\(|\._stop\(|flags=\(|flags\)?, |goes_nowhere\(.*, |known .*else \(|"estimated", \()f?"([^"{]+)"""
)
"""Flags that the code writes in place: their text up to the first figure."""


def test_every_flag_of_a_call_is_explained() -> None:
    """Whoever meets one in `calls show` finds it in the table that stands with the commands."""
    sources = [path.read_text() for path in (ROOT / "addon" / "spendgate").rglob("*.py")]
    written = {flag for text in sources for flag in IN_PLACE.findall(text)}
    assert len(written) > 10
    table = "".join(line for line in PRODUCT.partition("| flag |")[2].partition("\n\n")[0].splitlines())
    for flag in [*FLAGS, *written]:
        head = flag.strip() if not flag.startswith("content-encoding") else "content-encoding"
        assert f"`{head}" in table, flag
