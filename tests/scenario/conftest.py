"""A whole Baton for each story: SQLite with Socket Mode, PostgreSQL with signed HTTP; a story may ask for any pair."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenario.world import POLICY, Baton


@pytest.fixture
def policy() -> str:
    """The policy file; parametrize it to tell a story under another one."""
    return POLICY


@pytest.fixture
def delivery(database_url: str) -> str:
    """How Slack reaches Baton; parametrize it to have both on every database."""
    return "socket" if database_url.startswith("sqlite") else "http"


@pytest.fixture
def patience() -> float:
    """How long Slack waits for an answer. It is longer than Slack's own 3 s, which the bench holds Baton to: here the
    whole workspace and Baton share one interpreter, on a machine that may have more to do.
    """
    return 15.0


@pytest.fixture
def baton(tmp_path: Path, database_url: str, delivery: str, policy: str, patience: float) -> Iterator[Baton]:
    """Baton at work. After the story: the audit chain verifies, and Slack refused nothing for what Baton said."""
    office = Baton(tmp_path, delivery, policy, database_url, patience)
    try:
        office.open()
        yield office
        office.check_laws()
    finally:
        office.close()
