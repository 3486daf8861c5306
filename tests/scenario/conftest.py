"""A whole Baton for each story, on each database; signed HTTP unless a story, or its file, asks for Socket Mode."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.slack import pacing
from tests.scenario.world import POLICY, Baton


@pytest.fixture
def policy() -> str:
    """The policy file; parametrize it to tell a story under another one."""
    return POLICY


@pytest.fixture
def delivery() -> str:
    """How Slack reaches Baton; parametrize it to have both on every database."""
    return "http"


@pytest.fixture
def posts_a_second(monkeypatch: pytest.MonkeyPatch) -> float:
    """Stories are told faster than Slack would let Baton, but where that is what the story is about."""
    monkeypatch.setattr(pacing, "PER_SECOND", 20.0)
    return pacing.PER_SECOND


@pytest.fixture
def patience() -> float:
    """How long Slack waits for an answer. It is longer than Slack's own 3 s, which the bench holds Baton to: here the
    whole workspace and Baton share one interpreter, on a machine that may have more to do.
    """
    return 15.0


@pytest.fixture
def pictures() -> str:
    """Drawing takes a second of a core, and most stories are about something else."""
    return "off"


@pytest.fixture
def baton(
    tmp_path: Path, database_url: str, delivery: str, policy: str, patience: float, posts_a_second: float, pictures: str
) -> Iterator[Baton]:
    """Baton at work. After the story: the audit chain verifies, and Slack refused nothing for what Baton said."""
    office = Baton(tmp_path, delivery, policy, database_url, patience)
    office.pictures = pictures
    try:
        office.open()
        yield office
        office.check_laws()
    finally:
        office.close()
