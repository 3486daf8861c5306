"""What is due is done one by one: what breaks is logged, holds up no other, and is tried again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from core.policy.load import load
from core.reminders import remind
from core.store.database import Database
from core.sweeps import one_by_one
from tests.integration.api_world import ALICE, BODY, POLICY, client, running


def test_one_promotion_that_cannot_be_read_keeps_nobody_from_being_reminded_of_another(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    policy = load(POLICY.replace("{quorum: 2, from: [{group: ml-leads}]}", "{from: [{group: ml-leads}], remind: [1h]}"))
    with running(database, policy=policy) as (world, server), client(server, world.token()) as api:
        asked = []
        for model in ("one", "other"):
            api.post(f"/api/v1/models/{model}/versions", json=BODY)
            world.crown(model, "7", "staging", world.time - timedelta(days=1))
            asked.append(world.promotions.request(ALICE, model, "7", "production").id)
        with database.note() as session:
            session.execute(text("UPDATE promotions SET rules = '[]' WHERE id = :id"), {"id": asked[0]})
        world.later(hours=2)
        remind(world.promotions, world.time)
        with database.read() as session:
            reminded = session.scalars(text("SELECT promotion_id FROM messages WHERE key LIKE '%remind%'"))
            assert set(reminded) == {asked[1]}
        assert f"nobody could be reminded of P-{asked[0]}" in caplog.text


def test_a_database_that_is_away_is_said_once() -> None:
    tried: list[int] = []

    def act(each: int) -> bool:
        tried.append(each)
        raise OperationalError("SELECT 1", {}, OSError("gone"))

    with pytest.raises(OperationalError):
        one_by_one([1, 2, 3], act, "%s broke")
    assert tried == [1]


def test_only_what_was_done_is_said_to_be_done() -> None:
    assert one_by_one([1, 2, 0, 3], lambda each: 6 / each > 2, "%s broke") == [1, 2]
