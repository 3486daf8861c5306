"""The local Slack as an app meets it that takes signed HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from slack_sdk import WebClient

from bot.local_slack import LocalSlack, Person
from tests.integration.test_local_slack_parts import Clock, Receiver, over_http


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    app = Receiver()
    yield app
    app.stop()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def slack(receiver: Receiver, clock: Clock) -> Iterator[LocalSlack]:
    """Signed HTTP delivery to the receiver, with quick retries and a short deadline."""
    with over_http(receiver, clock) as server:
        yield server


@pytest.fixture
def client(slack: LocalSlack) -> WebClient:
    return WebClient(slack.bot_token, base_url=slack.api_url)


@pytest.fixture
def alice(slack: LocalSlack) -> Iterator[Person]:
    with Person(slack.url, "U01ALICE") as person:
        yield person
