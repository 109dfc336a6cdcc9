"""Working directory → `host/owner/name`: every layout git has, every spelling of a remote, and never a credential."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spendgate.identity.project import normal, project_of, repository

ORIGIN = '[core]\n\tbare = false\n[remote "origin"]\n\turl = git@git.example.com:acme/widgets.git\n\tfetch = +refs/*\n'


@pytest.mark.parametrize(
    ("url", "project"),
    [
        pytest.param("https://github.com/acme/widgets.git", "github.com/acme/widgets", id="https"),
        pytest.param("https://github.com/acme/widgets/", "github.com/acme/widgets", id="slash"),
        pytest.param("https://GitHub.com/Acme/Widgets", "github.com/Acme/Widgets", id="host without case"),
        pytest.param("git@github.com:acme/widgets.git", "github.com/acme/widgets", id="scp"),
        pytest.param("github.com:acme/widgets", "github.com/acme/widgets", id="scp without user"),
        pytest.param("ssh://git@git.example.com:2222/acme/widgets.git", "git.example.com/acme/widgets", id="port"),
        pytest.param("git://git.example.com/~joe/x.git", "git.example.com/joe/x", id="home"),
        pytest.param("https://gitlab.com/a/b/c/d.git", "gitlab.com/a/b/c/d", id="nested groups"),
        pytest.param("https://[2001:db8::1]:8443/a/b", "[2001:db8::1]/a/b", id="IPv6"),
        pytest.param("https://user:tok3n@github.com/acme/widgets", "github.com/acme/widgets", id="user and token"),
        pytest.param("https://tok3n@github.com/acme/widgets", "github.com/acme/widgets", id="token"),
        pytest.param("https://user:p@ss@github.com/acme/widgets", "github.com/acme/widgets", id="at sign in it"),
        pytest.param("https://tok/en@github.com/acme/widgets", None, id="slash in it"),
        pytest.param("https://github.com/acme/widgets?token=abc#x", "github.com/acme/widgets", id="query"),
        pytest.param("/srv/git/widgets.git", None, id="path"),
        pytest.param("../widgets", None, id="relative path"),
        pytest.param("file:///srv/git/widgets.git", None, id="file URL"),
        pytest.param("C:\\work\\widgets", None, id="Windows path"),
        pytest.param("https://github.com/", None, id="no path"),
        pytest.param("https://github.com/a\x1b[31m/b", None, id="escape"),
        pytest.param("https://github.com/" + "a" * 300, None, id="too long"),
    ],
)
def test_a_remote_becomes_host_owner_name(url: str, project: str | None) -> None:
    """One spelling for all that git takes; nothing for what has no host."""
    assert normal(url) == project


@given(st.text(st.characters(codec="ascii", exclude_characters="/#?"), min_size=12))
def test_no_user_part_gets_through(secret: str) -> None:
    """Whatever stands before the host's `@` is not in the answer."""
    answer = normal(f"https://{secret}@git.example.com/acme/widgets")

    assert answer in ("git.example.com/acme/widgets", None)


def test_the_repository_is_found_from_below(tmp_path: Path) -> None:
    """Any folder under the one with `.git`; none outside."""
    (tmp_path / "work/.git").mkdir(parents=True)
    (tmp_path / "work/.git/config").write_text(ORIGIN)
    (tmp_path / "work/a/b").mkdir(parents=True)

    assert project_of(tmp_path / "work/a/b") == "git.example.com/acme/widgets"
    assert project_of(tmp_path / "work") == "git.example.com/acme/widgets"
    assert project_of(tmp_path) is None


def _git(*arguments: str, at: Path) -> None:
    identity = {"GIT_AUTHOR_NAME": "n", "GIT_AUTHOR_EMAIL": "e", "GIT_COMMITTER_NAME": "n", "GIT_COMMITTER_EMAIL": "e"}
    environment = {**os.environ, **identity, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    command = ["git", "-c", "protocol.file.allow=always", *arguments]
    subprocess.run(command, cwd=at, check=True, capture_output=True, env=environment)


def test_worktrees_and_submodules_are_found_as_git_lays_them_out(tmp_path: Path) -> None:
    """A worktree is its repository's; a submodule is its own."""
    for name in ("main", "part"):
        (tmp_path / name).mkdir()
        _git("init", "-q", at=tmp_path / name)
        _git("commit", "-q", "--allow-empty", "-m", "x", at=tmp_path / name)
    main = tmp_path / "main"
    _git("remote", "add", "origin", "https://u:secret@git.example.com/acme/main.git", at=main)
    _git("submodule", "--quiet", "add", str(tmp_path / "part"), "part", at=main)
    _git("remote", "set-url", "origin", "https://git.example.com/acme/part.git", at=main / "part")
    _git("worktree", "add", "-q", str(tmp_path / "tree"), at=main)

    assert project_of(main) == "git.example.com/acme/main"
    assert project_of(tmp_path / "tree") == "git.example.com/acme/main"
    assert project_of(main / "part") == "git.example.com/acme/part"


@pytest.mark.parametrize(
    ("config", "project"),
    [
        pytest.param(ORIGIN, "git.example.com/acme/widgets", id="origin"),
        pytest.param(
            '[remote "fork"]\nurl=https://h.example/me/w\n' + ORIGIN, "git.example.com/acme/widgets", id="origin first"
        ),
        pytest.param('[remote "up"]\nurl = https://h.example/me/w\n', "h.example/me/w", id="the only remote"),
        pytest.param(
            '[REMOTE "origin"] URL = "https://h.example/me/w"\n', "h.example/me/w", id="one line, case, quotes"
        ),
        pytest.param(
            '[remote "a"]\nurl=https://h.example/1/w\n[remote "b"]\nurl=https://h.example/2/w\n', None, id="two others"
        ),
        pytest.param('[branch "origin"]\nurl = https://h.example/me/w\n', None, id="another section"),
        pytest.param("url = https://h.example/me/w\n", None, id="no section"),
        pytest.param("\0\xff garbage", None, id="garbage"),
    ],
)
def test_the_configuration_names_the_remote(config: str, project: str | None) -> None:
    """`origin`, else the only one."""
    assert repository(config) == project


def test_a_pipe_in_place_of_a_file_does_not_block(tmp_path: Path) -> None:
    """A named pipe that nobody writes to is not a configuration."""
    (tmp_path / ".git").mkdir()
    os.mkfifo(tmp_path / ".git/config")

    assert project_of(tmp_path) is None


def test_a_pointer_that_leads_nowhere_is_no_repository(tmp_path: Path) -> None:
    """A broken `.git` file, also with a NUL byte in it, is no error."""
    for text in ("gitdir: /nowhere\n", "gitdir: a\0b\n", "something else\n", ""):
        (tmp_path / ".git").write_text(text)

        assert project_of(tmp_path) is None
