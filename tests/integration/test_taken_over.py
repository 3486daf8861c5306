"""A writer that stood still for longer than its claim lasts finds itself overtaken, and posts nothing a second time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.slack.blocks.card import Message
from bot.slack.identity import SlackDirectory
from bot.slack.messages import Messages
from core.policy.load import load
from core.store import messages as store
from core.store import writing
from core.store.database import Database

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
POLICY = "version: 1\nslack: {channel: '#ml'}\nstages: [{name: development}]\n"
LATER = writing.CLAIM + timedelta(seconds=1)


class Slack:
    """Slack, as far as a writer that has something to post asks it."""

    def __init__(self) -> None:
        self.posts: list[dict[str, Any]] = []

    def chat_postMessage(self, **content: Any) -> dict[str, str]:  # noqa: N802 - Slack's name
        self.posts.append(content)
        return {"channel": "C1", "ts": f"{len(self.posts)}.0"}

    def conversations_history(self, **_: Any) -> dict[str, Any]:
        return {"messages": self.posts}


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


def wanted(database: Database) -> int:
    with database.change() as session:
        store.want_digest(session, "C1", "2026-11-23", {"day": "2026-11-23"}, NOON)
    with database.read() as session:
        [subject] = writing.due_subjects(session, NOON)
    return -subject


def writer(database: Database, slack: Slack, clock: Clock, drawing: Any = lambda: None) -> Messages:
    def render(_claimed: writing.Claim) -> Message:
        drawing()
        return Message("Nothing waits.", [])

    directory = SlackDirectory(slack, {})  # type: ignore[arg-type]
    return Messages(
        database, slack, directory, load(POLICY), clock, {"digest": render}, lambda *_: None  # type: ignore[arg-type]
    )  # fmt: skip


def test_only_who_holds_the_claim_may_post(database: Database) -> None:
    message = wanted(database)
    with database.note() as session:
        [slow] = writing.claim(session, [message], NOON)
        [quick] = writing.claim(session, [message], NOON + LATER)
    with database.note() as session:
        writing.posting(session, quick, NOON + LATER)
    with pytest.raises(writing.Overtaken), database.note() as session:
        writing.posting(session, slow, NOON + LATER)


def test_a_writer_that_was_frozen_while_another_one_posted_posts_nothing(database: Database) -> None:
    message, slack, clock = wanted(database), Slack(), Clock()
    another = writer(database, slack, clock)

    def frozen() -> None:
        clock.now = NOON + LATER
        another.refresh(-message)

    writer(database, slack, clock, frozen).refresh(-message)

    assert [post["text"] for post in slack.posts] == ["Nothing waits."]


def test_a_writer_that_was_frozen_posts_nothing_even_before_anybody_took_over(database: Database) -> None:
    message, slack, clock = wanted(database), Slack(), Clock()

    def frozen() -> None:
        clock.now = NOON + LATER

    writer(database, slack, clock, frozen).refresh(-message)
    assert slack.posts == []

    writer(database, slack, clock).refresh(-message)
    assert len(slack.posts) == 1
