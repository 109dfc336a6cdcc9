"""Programs that are asked themselves: each makes a canary call as this process would start it, with its variables and settings.

The gate answers the call, so it costs and records nothing. An answer shows that the program's traffic comes to the gate and that
it takes the gate's certificate; a refused certificate shows the first and not the second.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from spendgate.capture.health import CANARY_ADDRESS, CANARY_PORT
from spendgate.capture.scope import CANARY_HOST, INSTANCE_HEADER
from spendgate.doctor.interface import Installed
from spendgate.verifiers.interface import Command
from spendgate.verifiers.running import run

RUN_S = 20.0
"""A runtime's start on a busy machine takes seconds."""
_CALL_S = 10
_URL = f"https://{CANARY_HOST}/"
_HERE = Path(__file__).with_name("probes")
_UNTRUSTED = re.compile(
    r"certificate|unable to (?:get|verify)|_CERT|ISSUER|SIGNATURE|error setting certificate|CAfile", re.IGNORECASE
)
"""As the four say that they do not take what they were shown. Nobody but a gate shows them anything for this name."""
_SAID = 200
_PASSWORD = re.compile(r"//[^/\s@]*@")
"""As a proxy's address may have one."""


@dataclass(frozen=True, slots=True)
class Said:
    """What became of its call. `instance`: the gate that answered."""

    instance: str
    untrusted: bool
    output: str
    hung: bool = False
    """It was ended before it had said anything: that shows nothing."""


def _curl(path: str, address: str) -> tuple[str, ...]:
    led = ("--connect-to", f"{CANARY_HOST}:{CANARY_PORT}:{address}:{CANARY_PORT}") if address else ()
    return (path, "-sS", "-o", os.devnull, "-D", "-", "--max-time", str(_CALL_S), *led, _URL)


def _git(path: str, address: str) -> tuple[str, ...]:
    led = ("-c", f"http.curloptResolve={CANARY_HOST}:{CANARY_PORT}:{address}") if address else ()
    return (path, *led, "-c", "credential.helper=", "ls-remote", _URL)


def _python(path: str, address: str) -> tuple[str, ...]:
    return (path, str(_HERE / "canary.py"), CANARY_HOST, address, INSTANCE_HEADER)


def _node(path: str, address: str) -> tuple[str, ...]:
    return (path, str(_HERE / "canary.mjs"), CANARY_HOST, address, INSTANCE_HEADER)


ASKED: Mapping[str, Callable[[str, str], tuple[str, ...]]] = {
    "curl": _curl,
    "git": _git,
    "python": _python,
    "node": _node,
}
"""By the tool's name: its words for a call, led to an address where no resolver would know one."""
_GIT_ANSWERED = re.compile(r"not valid: is this a git repository", re.IGNORECASE)


def ask(one: Installed, *, transparent: bool, environ: Mapping[str, str]) -> Said:
    """Let it call. `transparent`: whether it is to call an address, as no proxy resolves the canary's name for it."""
    words = ASKED[one.tool.name](one.path, CANARY_ADDRESS if transparent else "")
    variables = {**environ, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}
    with tempfile.TemporaryDirectory(prefix="spendgate-doctor-", ignore_cleanup_errors=True) as folder:
        ran = run(Command(words, variables), folder, RUN_S)
    if ran.status is None:
        return Said("", untrusted=False, output=f"it said nothing in {RUN_S:.0f} s", hung=True)
    found = re.search(rf"^{INSTANCE_HEADER}: *(\w+)", ran.output, re.MULTILINE | re.IGNORECASE)
    if found:
        return Said(found[1], untrusted=False, output="")
    if one.tool.name == "git" and _GIT_ANSWERED.search(ran.output):
        return Said("a gate", untrusted=False, output="")  # git shows no headers
    untrusted = _UNTRUSTED.search(ran.output) is not None
    return Said("", untrusted, " ".join(_PASSWORD.sub("//", ran.output).split())[-_SAID:])
