"""Whose yes counts, for whom, and for how long: withdrawing, delegating, evidence that changes, breaking the glass."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from bot.local_slack.person import labels, shown_text
from core.store.tables import PromotionRow
from tests.scenario.world import BOB, CAROL, MODEL, POLICY, Baton, Json, version_body, wait

GLASS = POLICY.replace(
    "    rollback: {allowed: [on-call]}", "    rollback: {allowed: [on-call]}\n    break_glass: {allowed: [on-call]}"
)


REMINDING = POLICY.replace(
    "      expires: 72h\n",
    "      expires: 72h\n      remind: [24h, 48h]\n      escalate: {after: 48h, to: on-call}\n",
)


#: Dave is asked for another stage alone.
EUROPE = POLICY.replace("risk: [carol@example.com, U04DAVE]", "risk: [carol@example.com]\n  europe: [U04DAVE]").replace(
    "  - name: production\n",
    "  - name: europe\n    approvals: {quorum: 1, from: [{group: europe}]}\n  - name: production\n",
)


def waiting(baton: Baton, version: str = "7") -> Json:
    baton.register(version)
    return baton.ask(version)


class TestWithdrawing:
    def test_an_approval_taken_back_counts_no_longer_and_may_be_given_again(self, baton: Baton) -> None:
        card = waiting(baton)
        baton.approve(card, baton.bob)
        baton.card("*Approvals 1 of 2*")
        baton.click(baton.bob, card, "Details")
        baton.click(baton.bob, baton.bob.wait_for_view(), "Take my approval back")
        baton.card("*Approvals 0 of 2*")
        wait(lambda: "took their approval back" in baton.story(card), "the story")
        baton.approve(card, baton.carol)
        assert baton.states() == ["awaiting_approval"]
        baton.approve(card, baton.bob)
        baton.card(f"{MODEL} 7 is champion of production")

    def test_only_who_approved_is_offered_it(self, baton: Baton) -> None:
        card = waiting(baton)
        baton.approve(card, baton.bob)
        baton.click(baton.carol, card, "Details")
        assert "Take my approval back" not in labels(baton.carol.wait_for_view())


class TestEvidence:
    """The policy is edited while a promotion waits."""

    def edit(self, baton: Baton, old: str, new: str) -> None:
        baton.server.stop()
        text = baton.policy.read_text(encoding="utf-8")
        assert old in text
        baton.policy.write_text(text.replace(old, new), encoding="utf-8")
        baton.start()

    def test_another_rule_voids_what_was_approved_and_says_which(self, baton: Baton) -> None:
        card = waiting(baton)
        baton.approve(card, baton.bob)
        baton.card("*Approvals 1 of 2*")
        self.edit(baton, "{metric: auc, at_least: 0.90}", "{metric: auc, at_least: 0.92}")

        said = baton.refused(baton.carol, card, "Approve")
        assert "P-1 is not what you were shown: the policy's gate on auc (at least) from 0.9 to 0.92." in said
        assert "approvals given before are void" in said
        now = baton.card("*Approvals 0 of 2*")
        wait(lambda: "🔁 The evidence changed" in baton.story(card), "the story")
        assert f"Void, and needed again: <@{BOB}>." in baton.story(card)
        told = baton.bob.wait_for_message("app", lambda m: "counts no longer" in shown_text(m))
        assert "the policy's gate on auc (at least) from 0.9 to 0.92" in shown_text(told)

        baton.approve(now)
        baton.card(f"{MODEL} 7 is champion of production")

    def test_a_stricter_rule_that_it_no_longer_meets_ends_it(self, baton: Baton) -> None:
        card = waiting(baton)
        self.edit(baton, "{metric: auc, at_least: 0.90}", "{metric: auc, at_least: 0.99}")
        baton.refused(baton.bob, card, "Approve")
        ended = shown_text(baton.card(f"Not promoted: {MODEL} 7 to production"))
        assert "auc is 0.95, at least 0.99 is required." in ended

    def test_what_decides_nothing_voids_nothing(self, baton: Baton) -> None:
        card = waiting(baton)
        baton.approve(card, baton.bob)
        baton.card("*Approvals 1 of 2*")
        self.edit(baton, "expires: 72h", "expires: 72h\n      remind: [24h]")
        baton.approve(card, baton.carol)
        baton.card(f"{MODEL} 7 is champion of production")

    def test_it_is_looked_at_again_at_the_moment_of_deployment(self, baton: Baton) -> None:
        card = waiting(baton)
        baton.command(baton.bob, "/promote stop because we look into something")
        baton.approve(card)
        baton.card("waits for production")
        self.edit(baton, "{metric: auc, at_least: 0.90}", "{metric: auc, at_least: 0.92}")
        baton.command(baton.bob, "/promote resume")
        baton.card("*Approvals 0 of 2*")
        assert baton.receiver.hooks == []
        baton.approve(baton.card("Promote fraud-detector 7 to production?"))
        baton.card(f"{MODEL} 7 is champion of production")


class TestDelegating:
    def test_a_delegate_fills_the_seat_of_whoever_named_them(self, baton: Baton) -> None:
        card = waiting(baton)
        assert "are not among those who may approve" in baton.refused(baton.mallory, card, "Approve")
        said = shown_text(baton.command(baton.carol, "/promote delegate @mallory until tomorrow"))
        assert "mallory decides for you until" in said
        baton.click(baton.bob, card, "Approve")
        needed = shown_text(baton.card("*Approvals 1 of 2*"))
        assert f"<@{CAROL}>, or <@U05MALLORY> for them until <!date^" in needed
        baton.click(baton.mallory, card, "Approve")
        done = shown_text(baton.card(f"{MODEL} 7 is champion of production"))
        assert f"<@U05MALLORY> for <@{CAROL}>" in done
        found = baton.api("GET", "/promotions/P-1").json()["decisions"]
        assert [each["for"]["actor"] for each in found if each["for"]] == [f"user:{CAROL}"]

    def test_a_delegate_who_trained_it_is_not_named(self, baton: Baton) -> None:
        baton.command(baton.carol, "/promote delegate @mallory until tomorrow")
        lineage = version_body("7")["lineage"] | {"trained_by": "mallory@example.com"}
        baton.register("7", lineage=lineage)
        card = baton.ask("7")
        assert f"<@{CAROL}>" in shown_text(card)
        assert "U05MALLORY> for them" not in shown_text(card)
        assert "trained" in baton.refused(baton.mallory, card, "Approve")

    def test_one_seat_is_not_filled_twice(self, baton: Baton) -> None:
        card = waiting(baton)
        baton.command(baton.carol, "/promote delegate @mallory until friday")
        baton.approve(card, baton.mallory)
        said = baton.refused(baton.carol, card, "Approve")
        assert "mallory for carol has decided on P-1 already, so your seat is filled." in said

    def test_it_ends_in_time_and_when_it_is_taken_back(self, baton: Baton) -> None:
        card = waiting(baton)
        baton.command(baton.carol, "/promote delegate @mallory until tomorrow")
        shown = shown_text(baton.command(baton.mallory, "/promote delegate"))
        assert f"<@U05MALLORY> decides for <@{CAROL}>" in shown
        baton.clock.ahead = timedelta(days=2, hours=1)
        assert "are not among those who may approve" in baton.refused(baton.mallory, card, "Approve")
        baton.clock.ahead = timedelta()
        assert "only you decide" in shown_text(baton.command(baton.carol, "/promote delegate off"))
        assert "are not among those who may approve" in baton.refused(baton.mallory, card, "Approve")

    def test_cards_name_the_delegate_from_the_start_to_the_end(self, baton: Baton) -> None:
        card = waiting(baton)

        def named() -> bool:
            return "<@U05MALLORY> for them" in shown_text(baton.card(f"Promote {MODEL} 7 to production?"))

        assert not named()
        baton.command(baton.carol, "/promote delegate @mallory until tomorrow")
        wait(named, "the card to name the delegate")
        baton.command(baton.carol, "/promote delegate off")
        wait(lambda: not named(), "the card to name them no longer")
        baton.command(baton.carol, "/promote delegate @mallory until tomorrow")
        wait(named, "the card to name the delegate again")
        baton.clock.ahead = timedelta(days=2, hours=1)
        for _ in range(2):
            baton.tick("delegations")
        wait(lambda: not named(), "the card to name nobody whose time is up")
        ends = "SELECT count(*) FROM audit_events WHERE kind = 'delegation_ended'"
        wait(lambda: baton.scalar(ends) == 2, "one end each")
        assert "Approve" in labels(baton.card(f"Promote {MODEL} 7 to production?"))
        assert baton.story(card).count("asked for it") == 1

    @pytest.mark.parametrize("policy", [EUROPE])
    def test_cards_that_ask_others_are_left_alone(self, baton: Baton) -> None:
        waiting(baton)
        wait(lambda: baton.scalar("SELECT count(*) FROM messages WHERE shown < wanted") == 0, "all to be shown")
        before = baton.scalar("SELECT sum(wanted) FROM messages")
        assert "decides for you until" in shown_text(baton.command(baton.dave, "/promote delegate @bob until friday"))
        assert baton.scalar("SELECT sum(wanted) FROM messages") == before

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("/promote delegate @carol until friday", "You decide for yourself already"),
            ("/promote delegate @nobody until friday", "Slack knows nobody called @nobody"),
            ("/promote delegate @mallory until someday", "“someday” is not understood as a day"),
            ("/promote delegate @mallory until 2020-01-01", "That is in the past"),
            ("/promote delegate @mallory until 2099-01-01", "92 days at most"),
        ],
    )
    def test_what_is_wrong_is_said_in_one_sentence(self, baton: Baton, text: str, sentence: str) -> None:
        assert sentence in shown_text(baton.command(baton.carol, text))

    def test_who_approves_nothing_has_nothing_to_delegate(self, baton: Baton) -> None:
        said = shown_text(baton.command(baton.mallory, "/promote delegate @bob until friday"))
        assert "You approve for no stage yourself" in said


class TestGlass:
    """On-call may deploy past gates and seats."""

    @pytest.fixture
    def policy(self) -> str:
        return GLASS

    def test_past_failing_gates_and_missing_seats_it_is_marked_until_somebody_else_reviewed_it(
        self, baton: Baton
    ) -> None:
        baton.promoted("6")
        baton.register("7", metrics={"auc": 0.88})
        offer = baton.command(baton.bob, f"/promote break-glass {MODEL} 7 to production because 6 leaks card numbers")
        said = shown_text(offer)
        assert "auc is 0.88, at least 0.9 is required." in said
        assert "0 of 2 approvals; still needed: 1 from ml-leads and 1 from risk." in said
        assert len(baton.receiver.hooks) == 1
        baton.click(baton.bob, offer, "Break the glass for 7")
        card = shown_text(baton.card(f"{MODEL} 7 is champion of production"))
        assert f"🚨 *Glass broken by <@{BOB}>:* 6 leaks card numbers" in card
        assert "Nobody has reviewed this yet" in card

        own = shown_text(baton.command(baton.bob, "/promote review P-2"))
        assert "You broke the glass yourself, so someone else must review it." in own
        assert "You may not" in shown_text(baton.command(baton.mallory, "/promote review P-2"))
        baton.command(baton.carol, "/promote review P-2 because it was right to do so")
        baton.card(f"Reviewed by <@{CAROL}>: it was right to do so")
        assert "has reviewed P-2 already" in shown_text(baton.command(baton.dave, "/promote review P-2"))

    def test_what_it_would_pass_by_is_what_was_shown_or_nothing_is_done(self, baton: Baton) -> None:
        """As many sentences as before, and other ones."""
        baton.promoted("6")
        baton.register("7", metrics={"auc": 0.88})
        offer = baton.command(baton.bob, f"/promote break-glass {MODEL} 7 to production because 6 leaks card numbers")
        baton.promoted("8")
        assert baton.refused(baton.bob, offer, "Break the glass for 7") == (
            "What the glass would pass by has changed since you were asked. Nothing was done; type the command again."
        )
        assert baton.champion() == "8"

    def test_the_promotion_that_waits_is_taken_rather_than_another_one_opened(self, baton: Baton) -> None:
        waiting(baton)
        offer = baton.command(baton.bob, f"/promote break-glass {MODEL} 7 to production because nobody is awake")
        baton.click(baton.bob, offer, "Break the glass for 7")
        baton.card(f"{MODEL} 7 is champion of production")
        assert baton.states() == ["succeeded"]

    def test_who_may_not_is_told_who_may(self, baton: Baton) -> None:
        waiting(baton)
        said = baton.command(baton.carol, f"/promote break-glass {MODEL} 7 to production because I want to")
        assert "You may not break the glass for production: that takes on-call." in shown_text(said)

    def test_it_passes_no_veto(self, baton: Baton) -> None:
        baton.register("7")
        baton.command(baton.bob, f"/promote veto {MODEL} 7 because it leaks")
        said = baton.command(baton.bob, f"/promote break-glass {MODEL} 7 to production because I must")
        assert "was vetoed by" in shown_text(said)


class TestReminders:
    """After a day those who are awaited are reminded, after two somebody else is told."""

    @pytest.fixture
    def policy(self) -> str:
        return REMINDING

    def test_those_who_are_awaited_get_the_card_itself_and_those_who_decided_do_not(self, baton: Baton) -> None:
        card = waiting(baton)
        baton.approve(card, baton.bob)
        baton.clock.ahead = timedelta(hours=25)
        baton.tick("reminders")
        copy = baton.carol.wait_for_message("app", lambda m: "This still waits for you" in shown_text(m))
        baton.dave.wait_for_message("app", lambda m: "This still waits for you" in shown_text(m))
        assert not [m for m in baton.bob.dms() if "waits for you" in shown_text(m)]
        baton.clock.ahead = timedelta()  # or the deploy system would not believe the hook
        baton.click(baton.carol, copy, "Approve")
        baton.card(f"{MODEL} 7 is champion of production")
        wait(lambda: "is champion of production" in shown_text(baton.dave.dms()[-1]), "the copy to be true again")
        assert "Approve" not in labels(baton.dave.dms()[-1])

    def test_once_a_mark_however_often_the_clock_strikes(self, baton: Baton) -> None:
        waiting(baton)
        baton.clock.ahead = timedelta(hours=25)
        for _ in range(3):
            baton.remind()
        baton.carol.wait_for_message("app", lambda m: "still waits" in shown_text(m))
        baton.clock.ahead = timedelta(hours=49)
        baton.remind()
        wait(lambda: len([m for m in baton.carol.dms() if "still waits" in shown_text(m)]) == 2, "the second reminder")

    def test_nobody_decides_so_on_call_is_told(self, baton: Baton) -> None:
        card = waiting(baton)
        baton.clock.ahead = timedelta(hours=49)
        baton.remind()
        told = baton.bob.wait_for_message("app", lambda m: "Nobody has decided this" in shown_text(m))
        assert "Approve" in labels(told)
        wait(lambda: "📣 Nobody decided within 2 d, so on-call is told" in baton.story(card), "the story")


class TestQuietHours:
    """Everybody sleeps, all day long but for one minute."""

    @pytest.fixture
    def policy(self) -> str:
        return REMINDING.replace(
            '  channel: "#ml-promotions"\n',
            '  channel: "#ml-promotions"\n  quiet_hours: {from: "00:00", until: "23:59", weekends: true}\n',
            1,
        )

    def test_nobody_is_reminded_and_it_stays_due(self, baton: Baton) -> None:
        waiting(baton)
        baton.clock.ahead = timedelta(hours=25)
        baton.remind()
        assert not [m for m in baton.carol.dms() if "still waits" in shown_text(m)]
        with baton.server.database.read() as session:
            due = session.scalar(select(PromotionRow.nudge_at))
        assert due is not None
        assert due > baton.clock()
