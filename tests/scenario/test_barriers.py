"""What stands in the way: freeze windows, soak time, stops, vetoes and holds, and how each is cleared."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.local_slack.person import shown_text
from core.domain.errors import Conflict
from core.domain.model import Actor
from tests.scenario.world import MODEL, POLICY, Baton, wait

ON_CALL = Actor("token", "on-call", "on-call")
#: The deploy system refuses hooks that are signed at another time than its own, by five minutes or more.
LATER = timedelta(minutes=4)


def moment(minutes: float) -> str:
    return (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat(timespec="seconds")


def with_freeze(begins: float, ends: float) -> str:
    window = (
        f'freeze: [{{name: year end, from: "{moment(begins)}", until: "{moment(ends)}", reason: "books are closed"}}]'
    )
    return POLICY.replace("    deploy: {target: prod-hook", f"    {window}\n    deploy: {{target: prod-hook")


class TestFreeze:
    """Production is frozen for some minutes more."""

    @pytest.fixture
    def policy(self) -> str:
        return with_freeze(-60, 3)

    def test_a_promotion_is_approved_meanwhile_and_deployed_when_the_stage_opens(self, baton: Baton) -> None:
        baton.register("7")
        card = baton.ask("7")
        baton.approve(card)
        waiting = baton.card(f"Approved: {MODEL} 7 waits for production")
        assert "production is frozen by “year end” (books are closed)." in shown_text(waiting)
        assert baton.receiver.hooks == []
        wait(lambda: "🧊 production is frozen by “year end”" in baton.story(card), "the story")

        promotions = baton.server.services.promotions
        assert promotions.start_waiting() == promotions.judge_waiting() == []
        assert baton.states() == ["approved"]

        baton.clock.ahead = LATER
        baton.tick("waiting")
        baton.card(f"{MODEL} 7 is champion of production")
        assert len(baton.receiver.hooks) == 1

    def test_why_names_the_window_and_when_it_opens(self, baton: Baton) -> None:
        baton.register("7")
        said = shown_text(baton.command(baton.alice, f"/promote why {MODEL} 7 production"))
        assert "production is frozen by “year end” (books are closed). It clears by itself" in said
        found = baton.api("GET", f"/why?model={MODEL}&version=7&stage=production").json()["blockers"]
        freeze = next(each for each in found if each["kind"] == "freeze")
        assert freeze["blocking"] is True
        assert datetime.fromisoformat(freeze["until"]) - datetime.now(UTC) < timedelta(minutes=3)

    def test_an_approval_that_waits_for_ever_expires(self, baton: Baton) -> None:
        baton.register("7")
        baton.approve(baton.ask("7"))
        baton.card("waits for production")
        baton.sql("UPDATE promotions SET expires_at = created_at")
        baton.tick("expiry")
        baton.card(f"Expired: {MODEL} 7 to production")
        assert baton.receiver.hooks == []


class TestFrozenLater:
    """The freeze begins between two promotions."""

    @pytest.fixture
    def policy(self) -> str:
        return with_freeze(3, 60)

    def test_a_frozen_stage_is_always_rolled_back_from(self, baton: Baton) -> None:
        baton.promoted("6")
        baton.promoted("7")
        baton.clock.ahead = LATER
        offer = baton.command(baton.bob, f"/rollback {MODEL} production because it burns")
        baton.click(baton.bob, offer, "Roll back to 6")
        baton.card(f"Rolled back: {MODEL} 6 serves production again")


class TestSoak:
    """Three minutes in staging before production; nobody is asked for staging."""

    @pytest.fixture
    def policy(self) -> str:
        return POLICY.replace("  - name: production\n", "  - name: production\n    requires: [staging]\n    soak: 3m\n")

    def test_time_counts_from_the_success_and_the_deployment_waits_for_it(self, baton: Baton) -> None:
        baton.register("7")
        baton.command(baton.alice, f"/promote {MODEL} 7 to staging")
        baton.card(f"{MODEL} 7 is champion of staging")
        baton.approve(baton.ask("7"))
        waiting = shown_text(baton.card(f"Approved: {MODEL} 7 waits for production"))
        assert f"production wants 3 min in staging in one stretch; {MODEL} 7 has served there since" in waiting
        baton.clock.ahead = timedelta(minutes=2)
        assert baton.server.services.promotions.start_waiting() == []
        baton.clock.ahead = LATER
        baton.tick("waiting")
        baton.card(f"{MODEL} 7 is champion of production")

    def test_too_short_a_stay_that_is_over_is_refused(self, baton: Baton) -> None:
        for version in ("7", "8"):
            baton.register(version)
            baton.command(baton.alice, f"/promote {MODEL} {version} to staging")
            baton.card(f"{MODEL} {version} is champion of staging")
        said = shown_text(baton.command(baton.alice, f"/promote {MODEL} 7 to production"))
        assert "7 served there for" in said
        assert "Promote it to staging again." in said


class TestStop:
    def test_nothing_is_deployed_until_somebody_resumes(self, baton: Baton) -> None:
        said = shown_text(baton.command(baton.bob, "/promote stop because the feature store is down"))
        assert "All promotions are stopped: the feature store is down" in said
        baton.register("7")
        baton.approve(baton.ask("7"))
        assert "All promotions are stopped by" in shown_text(baton.card("waits for production"))
        assert baton.receiver.hooks == []
        baton.command(baton.bob, "/promote resume")
        baton.card(f"{MODEL} 7 is champion of production")

    def test_one_model_can_be_stopped_alone(self, baton: Baton) -> None:
        baton.register("1", model="churn")
        baton.register("7")
        said = shown_text(baton.command(baton.bob, f"/promote stop {MODEL} because it burns"))
        assert f"Promotions of {MODEL} are stopped: it burns" in said
        baton.command(baton.alice, "/promote churn 1 to staging")
        baton.card("churn 1 is champion of staging")
        baton.command(baton.alice, f"/promote {MODEL} 7 to staging")
        baton.card(f"Approved: {MODEL} 7 waits for staging")

    def test_who_may_not_stop_is_told_who_may(self, baton: Baton) -> None:
        said = shown_text(baton.command(baton.mallory, "/promote stop because I can"))
        assert "You may not stop or resume promotions: that takes on-call." in said
        said = shown_text(baton.command(baton.bob, "/promote resume"))
        assert "There is no stop of all promotions." in said


class TestVeto:
    def test_a_vetoed_version_is_withdrawn_and_barred_downstream(self, baton: Baton) -> None:
        baton.register("7")
        baton.ask("7")
        said = shown_text(baton.command(baton.bob, f"/promote veto {MODEL} 7 because it leaks a feature"))
        assert f"{MODEL} 7 is vetoed for staging and production: it leaks a feature. Withdrawn: P-1." in said
        baton.card(f"Withdrawn: {MODEL} 7 to production")
        said = shown_text(baton.command(baton.alice, f"/promote {MODEL} 7 to production"))
        assert "was vetoed by" in said
        assert f"/promote unveto {MODEL} 7" in said
        baton.command(baton.bob, f"/promote unveto {MODEL} 7")
        baton.ask("7")

    def test_of_two_who_take_a_veto_back_at_once_one_does(self, baton: Baton, monkeypatch: pytest.MonkeyPatch) -> None:
        baton.register("7")
        baton.command(baton.bob, f"/promote veto {MODEL} 7 because it leaks a feature")
        barriers = baton.server.services.desk.barriers
        quicker = [barriers.unveto]
        allowed = barriers.promotions.permissions.refuse_veto

        def asked_in_the_same_moment(actor: Actor, stages: list[str]) -> None:
            allowed(actor, stages)
            if quicker:
                quicker.pop()(actor, MODEL, "7")

        monkeypatch.setattr(barriers.promotions.permissions, "refuse_veto", asked_in_the_same_moment)
        with pytest.raises(Conflict, match=f"{MODEL} 7 is not vetoed."):
            barriers.unveto(ON_CALL, MODEL, "7")
        assert baton.scalar("SELECT count(*) FROM audit_events WHERE kind = 'veto_lifted'") == 1

    def test_a_rollback_does_not_choose_a_vetoed_version(self, baton: Baton) -> None:
        for version in ("5", "6", "7"):
            baton.promoted(version)
        baton.command(baton.bob, f"/promote veto {MODEL} 6 because it leaks a feature")
        said = shown_text(baton.command(baton.bob, f"/rollback {MODEL} production because 7 is worse"))
        assert "back to *5*" in said


ON_CALL_STAGING = POLICY.replace(
    "    approvals: {automatic: true}\n", "    approvals: {automatic: true}\n    rollback: {allowed: [on-call]}\n"
)


class TestHold:
    def test_after_a_rollback_only_a_person_promotes_to_an_automatic_stage(self, baton: Baton) -> None:
        for version in ("6", "7"):
            baton.register(version)
            baton.command(baton.alice, f"/promote {MODEL} {version} to staging")
            baton.card(f"{MODEL} {version} is champion of staging")
        baton.server.services.rollbacks.request(ON_CALL, MODEL, "staging", None, "it burns")
        baton.card(f"Rolled back: {MODEL} 6 serves staging again")

        answer = baton.api("POST", "/promotions", model=MODEL, version="7", stage="staging")
        assert answer.status_code == 409
        assert "which holds automatic promotions. A person may promote it deliberately" in answer.json()["detail"]

        baton.command(baton.alice, f"/promote {MODEL} 7 to staging")
        wait(lambda: baton.champion("staging") == "7", "7 to serve again")
        baton.register("8")
        assert baton.api("POST", "/promotions", model=MODEL, version="8", stage="staging").status_code == 201

    @pytest.mark.parametrize("policy", [ON_CALL_STAGING])
    def test_a_hold_is_lifted_by_hand_and_only_by_who_may(self, baton: Baton) -> None:
        for version in ("6", "7"):
            baton.register(version)
            baton.command(baton.alice, f"/promote {MODEL} {version} to staging")
            baton.card(f"{MODEL} {version} is champion of staging")
        baton.server.services.rollbacks.request(ON_CALL, MODEL, "staging", None, "it burns")
        baton.card(f"Rolled back: {MODEL} 6 serves staging again")
        why = shown_text(baton.command(baton.mallory, f"/promote why {MODEL} 7 staging"))
        assert f"{MODEL} was rolled back in staging by P-3 (" in why
        assert "it burns)" in why
        ask = {"model": MODEL, "version": "7", "stage": "staging"}
        assert baton.api("POST", "/promotions", **ask).status_code == 409

        refused = shown_text(baton.command(baton.mallory, f"/promote release {MODEL} staging"))
        assert "You may not veto versions or lift holds here" in refused
        said = shown_text(baton.command(baton.bob, f"/promote release {MODEL} staging because it was put out"))
        assert f"{MODEL} may be promoted to staging automatically again." in said
        assert baton.scalar("SELECT count(*) FROM audit_events WHERE kind = 'hold_lifted'") == 1
        assert baton.api("POST", "/promotions", **ask).status_code == 201
        wait(lambda: baton.champion("staging") == "7", "7 to serve again")
