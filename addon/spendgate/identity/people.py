"""From a connection's owner and a request's claims to the attributes that budgets are kept by.

Person and machine come from the operating system and the policy alone. What the client claims decides tool and session; what
its process is fills in where it claims nothing, or no more than the library that it was built with.
"""

from __future__ import annotations

from typing import Protocol

from spendgate.attribution import Attribution, Evidence, Peer
from spendgate.identity.sessions import Sessions
from spendgate.identity.tools import KNOWN
from spendgate.policy import Policy, person_of, today_in
from spendgate.privacy import Privacy, without_home
from spendgate.providers.ask import Ask, Claim
from spendgate.providers.interface import Route
from spendgate.selector import Facts


def attribute(
    peer: Peer,
    ask: Ask,
    policy: Policy,
    machine: str,
    *,
    now_ms: int,
    sessions: Sessions,
) -> Attribution:
    """Who makes this call, with how it is known. Costs some microseconds; a fresh `Sessions` gives no gap-free sessions.

    `sudo` and `su` count for the login account (`Peer.spender`). An account that is not known falls to the policy's
    `unknown_people`, and so does root's where the kernel could not say whose connection it was. Of process and project no more
    is kept than the policy's `privacy` allows.
    """
    matched = person_of(policy, peer.spender, today=today_in(policy, now_ms), machine=machine)
    tool = _tool(ask.tool, known_tool(peer, policy.privacy))
    session = sessions.of(ask.session, peer, machine, (matched.person, tool.value), now_ms)
    return Attribution(
        person=matched.person,
        machine=machine,
        account_os=peer.account,
        team=matched.team[0] if matched.team else None,
        teams=matched.team,
        groups=matched.groups,
        tool=tool.value,
        process=process_of(peer, policy.privacy),
        project=peer.project if policy.privacy.project == "repository" else None,
        session=session.value,
        person_evidence=_known_by(peer, matched.evidence),
        tool_evidence=tool.evidence,
        session_evidence=session.evidence,
        refused=matched.refused,
        machine_groups=tuple(group.name for group in policy.roster.machine_groups(machine)),
    )


def _known_by(peer: Peer, matched: Evidence) -> Evidence:
    """An account that an administrator names for a range of addresses is no word of the kernel's."""
    return Evidence.POLICY if peer.evidence is Evidence.POLICY and matched is Evidence.SOCKET_OWNER else matched


def process_of(peer: Peer, privacy: Privacy) -> str | None:
    """What may be written of a process: its name, its path with `~` for a home folder, or nothing."""
    match privacy.process:
        case "none":
            return None
        case "path":
            return without_home(peer.process_path) if peer.process_path else peer.process
    return peer.process


def known_tool(peer: Peer, privacy: Privacy) -> str | None:
    """What the process is known as. Under `process: none` an interpreter's own name is none: it says no more than the process."""
    return peer.tool if privacy.process != "none" or peer.tool in KNOWN else None


def _tool(claimed: Claim, process: str | None) -> Claim:
    """The tool: a product that the client names, else a process that is a known tool, else the library it names, else whatever
    the process is. Many agents send their SDK's `User-Agent` alone, and each takes a refusal in its own way."""
    if claimed.value and not (claimed.library and process in KNOWN):
        return claimed
    return Claim(process, Evidence.PROCESS if process else Evidence.NONE)


class Named(Protocol):
    """What a request says that policies know by name; `providers.ask.Ask` has these words and says what they mean."""

    @property
    def model(self) -> str | None: ...
    @property
    def api_key(self) -> str | None: ...
    @property
    def account(self) -> str | None: ...
    @property
    def billing(self) -> str: ...


def facts(attribution: Attribution, route: Route, ask: Named) -> Facts:
    """The call as selectors and budgets see it. The model is the one asked for; for the charge `Facts.answered_by`."""
    return Facts.of(
        model=route.model or ask.model,
        person=attribution.person,
        team=attribution.teams,
        group=attribution.groups,
        machine=attribution.machine,
        machine_group=attribution.machine_groups,
        tool=attribution.tool,
        provider=route.provider,
        session=attribution.session,
        api_key=ask.api_key,
        account=ask.account,
        project=attribution.project,
        billing=route.billing or ask.billing,
    )


def evidence(attribution: Attribution) -> str:
    """How each attribute is known, as the ledger keeps it: `person=socket owner;tool=header;session=process`."""
    known = {
        "person": attribution.person_evidence,
        "tool": attribution.tool_evidence,
        "session": attribution.session_evidence,
        "project": Evidence.PROCESS if attribution.project else Evidence.NONE,
    }
    return ";".join(f"{name}={how}" for name, how in known.items() if how is not Evidence.NONE)
