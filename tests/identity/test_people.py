"""Owner and claims to the attributes of a call."""

from __future__ import annotations

from datetime import date

import pytest

from spendgate.attribution import Evidence, Peer
from spendgate.identity.people import attribute, evidence, facts
from spendgate.identity.sessions import Sessions
from spendgate.policy import Policy
from spendgate.providers.ask import Ask, Claim
from spendgate.providers.interface import Kind, Route
from spendgate.roster import Person, Roster, Team, UnknownPeople

NOW = 1_795_000_000_000  # 2026-11-18
MACHINE = "0123456789abcdef" * 2
TEAMS = (
    Team(name="commerce", lineage=("commerce",)),
    Team(name="payments", parent="commerce", lineage=("payments", "commerce")),
)
ALICE = Person(name="alice", accounts=("alice", f"admin@{MACHINE}"), team="payments", groups=("senior", "canary"))
GONE = Person(name="gone", accounts=("gone",), until=date(2026, 11, 1))
ROUTE = Route(provider="anthropic", dialect="anthropic-messages", kind=Kind.BILLABLE, path="/v1/messages")
SAYS = Ask(
    model="claude-sonnet-4-5",
    tool=Claim("claude-code", Evidence.HEADER),
    session=Claim("s1", Evidence.BODY),
    api_key="sk-ant-1f",
)
LIBRARY = Claim("openai-sdk", Evidence.HEADER, library=True)


def _policy(unknown: UnknownPeople = UnknownPeople.SHARED) -> Policy:
    return Policy(owner="o@acme.example", roster=Roster(people=(ALICE, GONE), teams=TEAMS, unknown=unknown))


def _peer(account: str | None, **more: object) -> Peer:
    return Peer(uid=1000, account=account, evidence=Evidence.SOCKET_OWNER, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("peer", "unknown", "person", "how"),
    [
        pytest.param(_peer("alice"), UnknownPeople.SHARED, "alice", Evidence.SOCKET_OWNER, id="listed"),
        pytest.param(_peer("ALICE"), UnknownPeople.SHARED, "alice", Evidence.SOCKET_OWNER, id="case"),
        pytest.param(_peer("admin"), UnknownPeople.SHARED, "alice", Evidence.SOCKET_OWNER, id="on this machine only"),
        pytest.param(
            _peer("root", login_account="alice"), UnknownPeople.SHARED, "alice", Evidence.SOCKET_OWNER, id="sudo"
        ),
        pytest.param(_peer("eve"), UnknownPeople.SHARED, "shared", Evidence.POLICY, id="nobody lists it"),
        pytest.param(_peer("gone"), UnknownPeople.SHARED, "shared", Evidence.POLICY, id="after until"),
        pytest.param(_peer("eve"), UnknownPeople.EACH, "eve", Evidence.SOCKET_OWNER, id="each"),
        pytest.param(Peer(why_unknown="gone"), UnknownPeople.SHARED, "shared", Evidence.POLICY, id="not known"),
        pytest.param(Peer(why_unknown="gone"), UnknownPeople.EACH, "unknown", Evidence.NONE, id="not known, each"),
    ],
)
def test_an_owner_is_a_person(peer: Peer, unknown: UnknownPeople, person: str, how: Evidence) -> None:
    """The policy's person for the account that pays, with how it is known."""
    found = attribute(peer, Ask(), _policy(unknown), MACHINE, now_ms=NOW, sessions=Sessions())

    assert (found.person, found.person_evidence) == (person, how)


def test_unknown_people_may_be_refused() -> None:
    """The policy's word reaches the gate."""
    refused = attribute(_peer("eve"), Ask(), _policy(UnknownPeople.REFUSE), MACHINE, now_ms=NOW, sessions=Sessions())
    listed = attribute(_peer("alice"), Ask(), _policy(UnknownPeople.REFUSE), MACHINE, now_ms=NOW, sessions=Sessions())

    assert (refused.refused, listed.refused) == (True, False)


def test_what_the_client_claims_comes_before_its_process() -> None:
    """Tool and session from the request where it says so, else from the process."""
    peer = _peer("alice", pid=7, started_ms=NOW, process="node", tool="codex", project="h.example/a/b")
    claimed = attribute(peer, SAYS, _policy(), MACHINE, now_ms=NOW, sessions=Sessions())
    silent = attribute(peer, Ask(), _policy(), MACHINE, now_ms=NOW, sessions=Sessions())

    assert (claimed.tool, claimed.session) == ("claude-code", "s1")
    assert evidence(claimed) == "person=socket owner;tool=header;session=body;project=process"
    assert silent.tool == "codex"
    assert evidence(silent) == "person=socket owner;tool=process;session=process;project=process"


@pytest.mark.parametrize(
    ("claimed", "process", "tool", "how"),
    [
        pytest.param(Claim("cline", Evidence.HEADER), "vscode", "cline", Evidence.HEADER, id="a product"),
        pytest.param(LIBRARY, "pi", "pi", Evidence.PROCESS, id="a library in a known tool"),
        pytest.param(LIBRARY, "python", "openai-sdk", Evidence.HEADER, id="a library in a program of one's own"),
        pytest.param(LIBRARY, None, "openai-sdk", Evidence.HEADER, id="a library in an unknown program"),
        pytest.param(Claim(), "python", "python", Evidence.PROCESS, id="nothing but an interpreter"),
        pytest.param(Claim(), None, None, Evidence.NONE, id="nothing"),
    ],
)
def test_a_tool_is_known_by_its_product_its_process_or_its_library(
    claimed: Claim, process: str | None, tool: str | None, how: Evidence
) -> None:
    """In this order: many agents send no more than their SDK's name, and many programs are only an interpreter."""
    peer, ask = _peer("alice", tool=process), Ask(tool=claimed)
    found = attribute(peer, ask, _policy(), MACHINE, now_ms=NOW, sessions=Sessions())

    assert (found.tool, found.tool_evidence) == (tool, how)


def test_nothing_known_is_no_evidence() -> None:
    """A call of which nothing is known claims none."""
    found = attribute(Peer(), Ask(), _policy(UnknownPeople.EACH), MACHINE, now_ms=NOW, sessions=Sessions())

    assert (found.tool, found.process, found.project, evidence(found)) == (None, None, None, "")


def test_the_facts_are_what_selectors_compare() -> None:
    """Every attribute of policies that the call has, a team with its ancestors, a model with its family; no empty ones."""
    peer = _peer("alice", project="h.example/a/b")
    found = facts(attribute(peer, SAYS, _policy(), MACHINE, now_ms=NOW, sessions=Sessions()), ROUTE, SAYS)

    assert {name: found.values[name] for name in found.values if name != "model"} == {
        "person": ("alice",),
        "team": ("payments", "commerce"),
        "group": ("senior", "canary"),
        "machine": (MACHINE,),
        "tool": ("claude-code",),
        "provider": ("anthropic",),
        "session": ("s1",),
        "api_key": ("sk-ant-1f",),
        "project": ("h.example/a/b",),
        "billing": ("metered",),
    }
    assert found.values["model"][0] == "claude-sonnet-4-5"


def test_a_hosts_billing_and_a_paths_model_count() -> None:
    """A gateway host bills as it says; a model in the path stands in for one in the body."""
    route = Route(
        provider="acme", dialect="openai-chat", kind=Kind.BILLABLE, path="/v1/*", billing="gateway", model="gpt-5"
    )
    found = facts(attribute(Peer(), Ask(), _policy(), MACHINE, now_ms=NOW, sessions=Sessions()), route, Ask())

    assert (found.values["billing"], found.values["model"][0]) == (("gateway",), "gpt-5")
