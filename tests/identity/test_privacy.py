"""What of a process and its project may be written: as little as the policy's `privacy` says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from spendgate.attribution import Peer
from spendgate.identity.people import attribute, evidence
from spendgate.identity.project import normal
from spendgate.identity.sessions import Sessions
from spendgate.policy import Policy
from spendgate.privacy import Privacy, without_home
from spendgate.providers.ask import Ask

PEER = Peer(
    uid=1000, account="alice", pid=7, started_ms=1, process="secret-agent", process_path="/home/alice/bin/secret-agent",
    tool="codex", project="github.com/acme/secret-project",
)  # fmt: skip


def written(peer: Peer, **privacy: str) -> dict[str, object]:
    """All that a call of the peer's is known as."""
    policy = Policy(owner="o@acme.example", privacy=Privacy.model_validate(privacy))
    found = attribute(peer, Ask(), policy, "m1", now_ms=10, sessions=Sessions())
    return {name: getattr(found, name) for name in found.__struct_fields__} | {"evidence": evidence(found)}


@pytest.mark.parametrize(
    ("word", "process"),
    [("name", "secret-agent"), ("path", "~/bin/secret-agent"), ("none", None)],
)
def test_what_a_row_has_of_the_process(word: str, process: str | None) -> None:
    """Its name, its path, or nothing; a tool that is known stays known."""
    found = written(PEER, process=word)
    assert (found["process"], found["tool"]) == (process, "codex")


def test_a_process_without_a_path_has_its_name() -> None:
    """The kernel does not always tell."""
    assert written(replace(PEER, process_path=None), process="path")["process"] == "secret-agent"


def test_none_leaves_no_trace() -> None:
    """Neither in a column nor in the session, the evidence or the tool's name."""
    found = repr(written(replace(PEER, tool="python"), process="none", project="none"))
    assert "secret" not in found and "python" not in found and "project=" not in found
    kept = repr(written(replace(PEER, tool="python")))
    assert "secret-agent" in kept and "python" in kept and "secret-project" in kept


@pytest.mark.parametrize(
    ("path", "home", "written"),
    [
        ("/home/alice/bin/claude", None, "~/bin/claude"),
        ("/home/alice", None, "~"),
        ("/var/home/alice/.local/bin/claude", None, "~/.local/bin/claude"),
        ("/Users/alice/.nvm/versions/node/v22/bin/node", None, "~/.nvm/versions/node/v22/bin/node"),
        ("C:\\Users\\alice\\AppData\\claude.exe", None, "~\\AppData\\claude.exe"),
        ("/mnt/c/Users/Alice Smith/claude.exe", None, "~/claude.exe"),
        ("/root/.local/bin/claude", None, "~/.local/bin/claude"),
        ("/srv/people/alice/bin/claude", "/srv/people/alice", "~/bin/claude"),
        ("/srv/people/alice2/claude", "/srv/people/alice", "/srv/people/alice2/claude"),
        ("/usr/bin/node", "/", "/usr/bin/node"),
        ("/opt/homebrew/bin/node", None, "/opt/homebrew/bin/node"),
        ("/rooted/x", None, "/rooted/x"),
        ("", "/home/alice", ""),
    ],
)  # fmt: skip
def test_a_path_has_no_home_folder(path: str, home: str | None, written: str) -> None:
    """By the account's own, else by what systems call them."""
    assert without_home(path, home) == written


@pytest.mark.parametrize(
    ("url", "project"),
    [
        ("ssh://nas.acme.example/home/alice/tools/x.git", "nas.acme.example/~/tools/x"),
        ("alice@nas:/home/alice/x.git", "nas/~/x"),
        ("git@github.com:home/assistant.git", "github.com/home/assistant"),
        ("https://github.com/users/docs", "github.com/users/docs"),
        ("https://git.acme.example/group/home/assistant", "git.acme.example/group/home/assistant"),
        ("C:/Users/alice/x.git", None),
        ("/home/alice/x.git", None),
        ("file:///home/alice/x.git", None),
    ],
)
def test_a_project_has_no_home_folder(url: str, project: str | None) -> None:
    """A repository on somebody's own server or disk."""
    assert normal(url) == project
