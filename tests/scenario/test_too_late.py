"""What changed between the look and the click: each late, double or misplaced act gets its own sentence, and does nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.local_slack.person import Json, labels, shown_text
from core.domain.errors import Refused
from core.domain.model import Actor, Limit
from tests.scenario.test_alerts import firing, policy_with, send
from tests.scenario.test_reviews import RULE, measure
from tests.scenario.test_rollouts import CANARY, begun, rolled_out
from tests.scenario.world import BOB, CAROL, MODEL, POLICY, Baton, version_body

GLASS = POLICY.replace(
    "    rollback: {allowed: [on-call]}", "    rollback: {allowed: [on-call]}\n    break_glass: {allowed: [on-call]}"
).replace(
    "    approvals: {automatic: true}\n", "    approvals: {automatic: true}\n    break_glass: {allowed: [on-call]}\n"
)


def trained_by(who: str) -> dict[str, str]:
    return version_body("7")["lineage"] | {"trained_by": who}


def asked(baton: Baton, text: str) -> str:
    """Bob types it; what he is answered."""
    return str(baton.command(baton.bob, text)["text"])


class TestDeciding:
    def test_an_approval_is_taken_back_once_and_only_while_the_promotion_waits(self, baton: Baton) -> None:
        baton.register("7")
        card = baton.ask("7")
        baton.approve(card, baton.bob)
        baton.click(baton.bob, card, "Details")
        shown = baton.bob.wait_for_view()
        withdraw = baton.server.services.desk.decisions.withdraw
        withdraw(Actor.user(BOB), 1)
        baton.click(baton.bob, shown, "Take my approval back")
        nothing = "You have not approved P-1, so there is nothing to take back."
        baton.bob.wait_for_view(predicate=lambda view: nothing in shown_text(view))
        baton.approve(card)
        baton.card(f"{MODEL} 7 is champion of production")
        with pytest.raises(Refused, match="P-1"):
            withdraw(Actor.user(BOB), 1)

    def test_who_approved_rejects_only_once_that_is_taken_back(self, baton: Baton) -> None:
        baton.register("7")
        card = baton.ask("7")
        baton.approve(card, baton.bob)
        said = "You have approved P-1 already; take your approval back in its Details to reject it."
        assert baton.refused(baton.bob, card, "Reject") == said

    def test_a_card_of_before_the_evidence_changed_counts_nothing(self, baton: Baton) -> None:
        baton.register("7")
        card = baton.ask("7")
        baton.sql("UPDATE promotions SET evidence_digest = 'f' || substr(evidence_digest, 2)")
        assert baton.refused(baton.bob, card, "Approve") == (
            "P-1 was checked anew since this was shown to you, and nothing was counted; look at its card again."
        )
        assert baton.decisions() == []

    @pytest.mark.parametrize(
        ("policy", "limit", "sentence"),
        [
            (POLICY, Limit(10, 3600), "This stage gets all its traffic at once, so a yes cannot be limited here."),
            (rolled_out(CANARY), Limit(10, 0), "The limit needs a time; choose one."),
        ],
    )
    def test_a_limit_is_one_that_the_rollout_can_keep(self, baton: Baton, limit: Limit, sentence: str) -> None:
        baton.register("7")
        baton.ask("7")
        with pytest.raises(Refused) as refused:
            baton.server.services.desk.decisions.approve(Actor.user(BOB), 1, limit=limit)
        assert refused.value.sentence == sentence
        assert baton.decisions() == []

    def test_only_whoever_asked_withdraws(self, baton: Baton) -> None:
        baton.register("7")
        baton.ask("7")
        with pytest.raises(Refused) as refused:
            baton.server.services.promotions.cancel(Actor.user(CAROL, "carol"), 1, "")
        assert refused.value.sentence == ("Only alice, who asked for P-1, may withdraw it; an approver may reject it.")


class TestGlass:
    @pytest.fixture
    def policy(self) -> str:
        return GLASS

    def test_nobody_breaks_what_is_open(self, baton: Baton) -> None:
        baton.register("7")
        line = f"/promote break-glass {MODEL} 7 to staging because I want to"
        assert asked(baton, line) == f"Nothing stands in the way of {MODEL} 7; just promote it."

    def test_what_is_past_its_approvals_needs_no_glass(self, baton: Baton) -> None:
        baton.receiver.reply = lambda _hook: (202, {})
        baton.register("7")
        baton.approve(baton.ask("7"))
        baton.card(f"Deploying {MODEL} 7")
        line = f"/promote break-glass {MODEL} 7 to production because I want to"
        assert asked(baton, line) == "P-1 is past its approvals already: it is deploying."

    def test_what_would_be_passed_by_is_what_was_shown(self, baton: Baton) -> None:
        for version, auc in (("5", 0.901), ("6", 0.95)):
            baton.register(version, metrics={"auc": auc})
            baton.approve(baton.ask(version))
            baton.card(f"{MODEL} {version} is champion of production")
        baton.register("7", metrics={"auc": 0.899})
        offer = baton.command(baton.bob, f"/promote break-glass {MODEL} 7 to production because 6 leaks")
        assert shown_text(offer).count("•") == 3
        baton.click(baton.bob, baton.command(baton.bob, f"/rollback {MODEL} because 6 leaks"), "Roll back to 5")
        baton.card(f"Rolled back: {MODEL} 5 serves production again")
        assert baton.refused(baton.bob, offer, "Break the glass for 7") == (
            "What the glass would pass by has changed since you were asked. Nothing was done; type the command again."
        )
        assert baton.champion() == "5"

    def test_a_reason_that_fits_no_button_is_refused(self, baton: Baton) -> None:
        baton.promoted("5")
        baton.promoted("6")
        baton.register("7", metrics={"auc": 0.5})
        long = "The reason is too long to go with the button; say it in fewer words."
        assert asked(baton, f"/promote break-glass {MODEL} 7 to production because {'x' * 2500}") == long
        assert asked(baton, f"/rollback {MODEL} because {chr(34) * 1200}") == long

    def test_no_program_breaks_it_nor_reviews_nor_certifies(self, baton: Baton) -> None:
        baton.register("7", metrics={"auc": 0.5})
        offer = baton.command(baton.bob, f"/promote break-glass {MODEL} 7 to production because 6 leaks")
        baton.click(baton.bob, offer, "Break the glass for 7")
        baton.card(f"{MODEL} 7 is champion of production")
        token, desk = Actor("token", "ci", "ci"), baton.server.services.desk
        for act, words in (
            (lambda: desk.glass.plan(token, MODEL, "7", "production"), "Only a person may break the glass, in Slack; a token may not."),
            (lambda: desk.glass.review(token, 1), "Only a person may review, in Slack; a token may not."),
            (lambda: desk.promotions.permissions.refuse_certify(token, "production"), "Only a person may re-certify, in Slack; a token may not."),
        ):  # fmt: skip
            with pytest.raises(Refused) as refused:
                act()
            assert refused.value.sentence == words


class TestRollingBack:
    def test_one_way_back_at_a_time(self, baton: Baton) -> None:
        for version in ("5", "6"):
            baton.promoted(version)
        baton.receiver.reply = lambda _hook: (202, {})
        baton.register("7")
        card = baton.ask("7")
        baton.approve(card)
        baton.card(f"Deploying {MODEL} 7")
        hook = baton.receiver.await_hooks(3)[-1]
        assert asked(baton, f"/rollback {MODEL} production to 5 because it is slow") == (
            "P-3 is being deployed to production; roll back to 6 first, which stops it, then to 5."
        )
        offer = baton.command(baton.bob, f"/rollback {MODEL} because it is slow")
        assert "P-3 is being deployed and will be stopped." in shown_text(offer)
        baton.click(baton.bob, offer, "Roll back to 6")
        baton.card("Stopping")
        assert asked(baton, f"/rollback {MODEL} because it is slow") == (
            "P-3 is being rolled back already; its card shows how far it is."
        )
        answer = baton.api("POST", "/promotions/P-3/cancel")
        assert answer.status_code == 409
        assert "P-3" in answer.json()["detail"]
        assert hook.data["model"]["version"] == "7"


class TestSteering:
    @pytest.fixture
    def policy(self) -> str:
        return rolled_out(CANARY)

    def test_who_asked_or_trained_steers_nothing(self, baton: Baton) -> None:
        baton.local("admin", usergroup={"id": "S02LEADS", "users": [BOB, CAROL]})
        baton.server.services.directory.warm()
        baton.register("7", lineage=trained_by("dave@example.com"))
        card = baton.ask("7", person=baton.bob)
        baton.approve(card, baton.carol)
        baton.local("admin", usergroup={"id": "S02LEADS", "users": [BOB, "U01ALICE"]})
        baton.server.services.directory.warm()
        baton.approve(card, baton.alice)
        baton.card("*Step 1 of 3*")
        shown = baton.alice.wait_for_message("#ml-promotions", lambda m: "Hold" in labels(m))
        assert baton.refused(baton.bob, shown, "Hold") == (
            "You asked for this promotion, so someone else must steer its rollout."
        )
        assert baton.refused(baton.dave, shown, "Hold") == (
            "You trained this version, so someone else must steer its rollout."
        )

    def test_nobody_steers_what_is_moving(self, baton: Baton) -> None:
        card = begun(baton)
        baton.click(baton.bob, card, "Hold")
        held = baton.alice.wait_for_message("#ml-promotions", lambda m: "Wait longer" in labels(m))
        baton.receiver.reply = lambda _hook: (202, {})
        baton.click(baton.bob, held, "Continue now")
        baton.card("The deploy target is asked for 25 % of the traffic.")
        moving = "P-1 is moving traffic just now; wait for the target's report."
        assert baton.refused(baton.carol, held, "Continue now") == moving
        assert baton.refused(baton.carol, held, "Wait longer") == moving
        assert baton.champion() is None


class TestRestoredDatabase:
    """Slack still shows what a database that was restored from a backup knows nothing of."""

    @pytest.fixture
    def policy(self) -> str:
        return policy_with("ask")

    def test_its_buttons_say_so(self, baton: Baton) -> None:
        baton.promoted("6")
        baton.promoted("7")
        send(baton, firing("7"))
        alert = baton.card(f"Alert: {MODEL} 7 in production")
        baton.sql("DELETE FROM alerts")
        baton.sql("DELETE FROM proposals")
        assert baton.refused(baton.bob, alert, "Leave it") == "There is no such alert any more."
        assert baton.champion() == "7"


class TestCertifying:
    @pytest.fixture
    def policy(self) -> str:
        return POLICY.replace(
            "    deploy: {target: prod-hook, timeout: 5m}\n", f"    deploy: {{target: prod-hook, timeout: 5m}}\n{RULE}"
        )

    def certifiable(self, baton: Baton) -> Json:
        baton.clock.ahead = timedelta(days=91)
        baton.tick("reviews")
        baton.card(f"Re-certify {MODEL} 7 in production?")
        measure(baton, "7", auc=0.93, latency_p99_ms=31)
        return baton.alice.wait_for_message("#ml-promotions", lambda m: labels(m) == ["Re-certify"])

    def test_who_trained_it_certifies_nothing(self, baton: Baton) -> None:
        baton.register("7", lineage=trained_by("dave@example.com"))
        baton.approve(baton.ask("7"))
        baton.card(f"{MODEL} 7 is champion of production")
        question = self.certifiable(baton)
        assert baton.refused(baton.dave, question, "Re-certify") == (
            "You trained this version, so someone else must re-certify it."
        )

    def test_measurements_that_were_good_when_shown_must_be_so_when_it_counts(self, baton: Baton) -> None:
        baton.promoted("7")
        question = self.certifiable(baton)
        baton.clock.ahead = timedelta(days=300)
        assert baton.refused(baton.bob, question, "Re-certify") == (
            f"{MODEL} 7 cannot be re-certified: Version 7 has no fresh measurements. "
            f"Measure it again and post that to /models/{MODEL}/versions/7/measurements."
        )
        empty = baton.api("POST", f"/models/{MODEL}/versions/7/measurements", metrics=[])
        assert empty.status_code == 422
        baton.sql("DELETE FROM certifications")
        assert baton.refused(baton.bob, question, "Re-certify") == "There is no such question any more."
