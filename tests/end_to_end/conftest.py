"""One stand-in for the whole run, and one gate with a budget that nothing here can spend."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from end_to_end.world import Gate, Provider, policy, running_gate

HOSTS = """\
capture:
  hosts:
    - {host: llm.acme.example, dialect: openai, prices: openai}
    - {host: standin.openai.azure.com, dialect: openai, prices: azure}
    - {host: standin.services.ai.azure.com, dialect: anthropic, prices: azure}
"""


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    """The stand-in, in a thread."""
    running = Provider(tmp_path_factory.mktemp("provider"))
    yield running
    running.close()


@pytest.fixture(autouse=True)
def _default_answers(provider: Provider) -> Iterator[None]:
    """Each test begins with the stand-in's default script."""
    yield
    provider.set()


@pytest.fixture(scope="session")
def gate(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[Gate]:
    """A gate with an ample budget."""
    folder = tmp_path_factory.mktemp("gate")
    with running_gate(folder, provider, policy(folder, more=HOSTS)) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for a gate of the test's own."""
    return tmp_path
