"""Ask a verifier about every case: servers on loopback, runs bounded in time, a private folder that is gone afterwards."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from spendgate.capture.ca import Authority, Leaf
from spendgate.verifiers.interface import Answer, Case, Command, Place, Verdict, Verifier
from spendgate.verifiers.running import Ran, found, run
from spendgate.verifiers.signing import signed
from spendgate.verifiers.site import Site

RUN_S = 20
"""One question; a browser's start on a busy machine takes seconds."""
PREPARED_S = 120
WHOLE_S = 240
"""One verifier with all that it is asked: no row of the table takes longer."""
WHY_MAX = 200
LIBRARIES = (
    "BoringSSL",
    "LibreSSL",
    "OpenSSL",
    "GnuTLS",
    "mbedTLS",
    "wolfSSL",
    "rustls",
    "Schannel",
    "SecureTransport",
)
"""As openssl, curl and wget name what they are built on."""
VERSION = re.compile(r"\d+(?:\.\d+)+")


@dataclass(frozen=True, slots=True)
class Row:
    """A verifier and its verdicts, one for each case."""

    verifier: str
    library: str
    version: str
    verdicts: tuple[Verdict, ...]


def row(verifier: Verifier, cases: Sequence[Case], authority: Authority, now: datetime) -> Row:
    """The whole row of one verifier; of one that is not on this machine, too."""
    programs = tuple(path for alternatives in verifier.needs if (path := found(alternatives)))
    if len(programs) < len(verifier.needs):
        missing = ", ".join(group[0] for group in verifier.needs if not found(group))
        return _absent(verifier, cases, f"no {missing}")
    leaves = [(case, signed(authority, case.signed, now)) for case in cases]
    with tempfile.TemporaryDirectory(prefix="spendgate-verify-", ignore_cleanup_errors=True) as folder:
        place = Place(Path(folder), Path(folder, "root.pem"))
        place.root.write_bytes(authority.pem)
        said = ""
        if verifier.version:
            first = run(Command((programs[0], *verifier.version)), folder, RUN_S)
            if first.status != 0:  # a launcher without its program, as macOS has one for Java
                return _absent(verifier, cases, _short(f"{programs[0]} does not start: {first.output}"))
            said = first.output
        version = VERSION.search(said)
        verdicts = _verdicts(verifier, programs, place, leaves)
        return Row(verifier.name, verifier.library or _library(said), version[0] if version else "", verdicts)


def _absent(verifier: Verifier, cases: Sequence[Case], why: str) -> Row:
    return Row(verifier.name, verifier.library, "", tuple(Verdict(case, Answer.ABSENT, why) for case in cases))


def _verdicts(
    verifier: Verifier, programs: tuple[str, ...], place: Place, leaves: Sequence[tuple[Case, Leaf]]
) -> tuple[Verdict, ...]:
    home, until = str(place.home), time.monotonic() + WHOLE_S
    for command in verifier.prepare(place, programs):
        made = run(command, home, PREPARED_S)
        if made.status != 0:
            why = _short(f"could not be prepared: {made.output or f'no end in {PREPARED_S} s'}")
            return tuple(Verdict(case, Answer.UNCLEAR, why) for case, _ in leaves)
    verdicts = []
    for case, leaf in leaves:
        with Site(leaf) as site:
            seconds = max(min(RUN_S, until - time.monotonic()), 0.1)
            ran = run(verifier.ask(place, programs, case, site.port), home, seconds)
            if ran.status is None:
                verdicts.append(Verdict(case, Answer.UNCLEAR, f"no answer in {seconds:.1f} s"))
            else:
                verdicts.append(_verdict(verifier, case, ran, shown=site.greeted.is_set()))
    return tuple(verdicts)


def _library(said: str) -> str:
    """Which library a build has, of what it prints as its version."""
    return next((name for name in LIBRARIES if name.lower() in said.lower()), "unknown")


def _verdict(verifier: Verifier, case: Case, ran: Ran, *, shown: bool) -> Verdict:
    """A refusal counts only where the program says that the certificate or the name is at fault; so does what passes, only
    where a certificate was asked for."""
    if refused := verifier.refusal.search(ran.output):
        return Verdict(case, Answer.FAILS, _short(refused["why"]))
    took = verifier.taken.search(ran.output) is not None if verifier.taken else ran.status == 0
    if took and shown:
        return Verdict(case, Answer.PASSES)
    asked = "" if shown else "asked for no certificate, "
    return Verdict(case, Answer.UNCLEAR, _short(f"{asked}status {ran.status}: {ran.output}"))


def _short(text: str) -> str:
    return " ".join(text.split())[:WHY_MAX]
