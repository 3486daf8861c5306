"""Traffic in steps: held, watched, steered, and taken back to the champion."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from bot.local_slack.person import Json, labels, shown_text
from tests.scenario.world import MODEL, POLICY, Baton, wait

CANARY = """    rollout:
      strategy: canary
      steps: [{traffic: 5, hold: 1h}, {traffic: 25, hold: 1h}, {traffic: 100}]
"""
VERIFY = "    verify: {for: 1h}\n"


def rolled_out(*parts: str) -> str:
    return POLICY.replace("    rollback: {allowed: [on-call]}", "".join(parts) + "    rollback: {allowed: [on-call]}")


def acts(baton: Baton) -> list[tuple[str, int, str]]:
    """(action, traffic, version) of every act that the deploy system was asked for, once each."""
    seen = {hook.id: hook for hook in baton.receiver.hooks}
    return [(h.data["action"], h.data["traffic_percent"], h.data["model"]["version"]) for h in seen.values()]


def begun(baton: Baton, version: str = "7") -> Json:
    baton.register(version)
    baton.approve(baton.ask(version))
    return at_step(baton, 1)


def at_step(baton: Baton, number: int, seconds: float = 30.0) -> Json:
    """The card once the target has confirmed a step."""

    def look() -> Json | None:
        found = [m for m in baton.cards() if f"*Step {number} of 3*" in shown_text(m) and labels(m)]
        return found[-1] if found else None

    return wait(look, f"step {number}", seconds)


class TestCanary:
    @pytest.fixture
    def policy(self) -> str:
        return rolled_out(CANARY)

    def test_traffic_climbs_step_by_step_and_only_then_the_champion_changes(self, baton: Baton) -> None:
        card = begun(baton)
        assert "▓░░░░░░░░░ 5 %" in shown_text(card)
        assert baton.champion() is None
        baton.click(baton.bob, card, "Continue now")
        card = at_step(baton, 2)
        assert baton.champion() is None
        baton.click(baton.carol, card, "Continue now")
        baton.card(f"{MODEL} 7 is champion of production")
        assert acts(baton) == [("deploy", 5, "7"), ("set_traffic", 25, "7"), ("set_traffic", 100, "7")]

    def test_the_time_of_a_step_passes_by_itself(self, baton: Baton) -> None:
        begun(baton)
        baton.sql("UPDATE rollouts SET hold_until = phase_since, due_at = phase_since")
        at_step(baton, 2)
        baton.sql("UPDATE rollouts SET hold_until = phase_since, due_at = phase_since")
        baton.card(f"{MODEL} 7 is champion of production")

    def test_rolled_back_half_way_the_champion_of_now_gets_everything(self, baton: Baton) -> None:
        for version in ("5", "6"):
            card = begun(baton, version)
            baton.click(baton.bob, card, "Continue now")
            baton.click(baton.bob, at_step(baton, 2), "Continue now")
            baton.card(f"{MODEL} {version} is champion of production")
        card = begun(baton)
        baton.server.scheduler.remove_job("rollouts")  # which may be waiting for a slow Prometheus: nobody waits for it
        baton.click(baton.bob, card, "Roll back")
        ended = shown_text(baton.card(f"Stopped and put back: {MODEL} 7 in production"))
        assert "bob stopped it. 7 was taken back; 6 serves again." in ended
        assert acts(baton)[-1] == ("rollback", 100, "6")
        assert baton.champion() == "6"
        assert "Continue now" not in labels(baton.card("Stopped and put back"))

    def test_held_it_stays_until_somebody_says_so(self, baton: Baton) -> None:
        card = begun(baton)
        baton.click(baton.bob, card, "Hold")
        held = baton.card("Held by bob")
        baton.server.services.rollouts.tick(baton.clock() + timedelta(hours=2))
        assert [each[1] for each in acts(baton)] == [5]
        baton.click(baton.carol, held, "Continue now")
        at_step(baton, 2)

    def test_who_may_not_steer_is_told_why(self, baton: Baton) -> None:
        card = begun(baton)
        said = baton.refused(baton.mallory, card, "Hold")
        assert said == "You may not steer rollouts to production: that takes on-call, ml-leads or risk."

    def test_a_step_that_fails_takes_the_traffic_back(self, baton: Baton) -> None:
        card = begun(baton, "6")
        baton.click(baton.bob, card, "Continue now")
        baton.click(baton.bob, at_step(baton, 2), "Continue now")
        baton.card(f"{MODEL} 6 is champion of production")
        card = begun(baton)
        baton.receiver.reply = lambda hook: (
            (400, {"error": "no room"}) if hook.data["action"] == "set_traffic" else (200, {"state": "succeeded"})
        )
        baton.click(baton.bob, card, "Continue now")
        ended = shown_text(baton.card(f"Stopped and put back: {MODEL} 7 in production"))
        assert "prod-hook refused it: it answered 400: no room. 7 was taken back; 6 serves again." in ended
        assert acts(baton)[-1] == ("rollback", 100, "6")

    def test_a_stop_holds_the_traffic_where_it_is(self, baton: Baton) -> None:
        begun(baton)
        baton.command(baton.bob, "/promote stop because we look into something")
        baton.click(baton.bob, at_step(baton, 1), "Continue now")
        baton.card("All promotions are stopped by bob: we look into something. Until /promote resume is typed.")
        assert [each[1] for each in acts(baton)] == [5]
        baton.command(baton.bob, "/promote resume")
        at_step(baton, 2)

    def test_a_freeze_that_begins_half_way_holds_the_traffic_and_never_the_way_back(self, baton: Baton) -> None:
        card = begun(baton, "6")
        baton.click(baton.bob, card, "Continue now")
        baton.click(baton.bob, at_step(baton, 2), "Continue now")
        baton.card(f"{MODEL} 6 is champion of production")
        begun(baton)
        ahead = (baton.clock() + timedelta(days=2)).date()
        window = f"    freeze: [{{name: inventory, from: 2026-01-01, until: {ahead}}}]\n    deploy: {{target: prod-hook"
        text = baton.policy.read_text(encoding="utf-8")
        baton.policy.write_text(text.replace("    deploy: {target: prod-hook", window), encoding="utf-8")
        baton.server.stop()
        baton.start()
        baton.click(baton.bob, at_step(baton, 1), "Continue now")
        card = baton.card(f"production is frozen by “inventory”. It opens at {ahead} 00:00 UTC.")
        baton.server.services.rollouts.tick(baton.clock() + timedelta(hours=2))
        assert acts(baton)[-1] == ("deploy", 5, "7")
        baton.click(baton.bob, card, "Roll back")
        baton.card(f"Stopped and put back: {MODEL} 7 in production")
        assert acts(baton)[-1] == ("rollback", 100, "6")


class TestLimits:
    """An approver says: at most so much, then ask me again."""

    @pytest.fixture
    def policy(self) -> str:
        return rolled_out(CANARY.replace("1h", "1s"))

    def approve_up_to(self, baton: Baton, card: Json, percent: str) -> Json:
        baton.click(baton.bob, card, "Details")
        baton.click(baton.bob, baton.bob.wait_for_view(), "Approve with a limit …")
        form = baton.bob.wait_for_view(predicate=lambda view: "At most so many" in shown_text(view))
        return baton.bob.submit(form, {"percent": percent})

    def test_traffic_stops_at_the_limit_until_whoever_set_it_lets_it_go_on(self, baton: Baton) -> None:
        baton.register("7")
        card = baton.ask("7")
        self.approve_up_to(baton, card, "10")
        assert "(at most 10 % for 1 d)" in shown_text(baton.card("*Approvals 1 of 2*"))
        baton.approve(card, baton.carol)
        held = baton.card("bob approved at most 10 % until then; after that they are asked again.")
        assert [each[1] for each in acts(baton)] == [5]
        assert "so only they may go beyond" in baton.refused(baton.carol, held, "Continue now")
        baton.click(baton.bob, held, "Continue now")
        baton.card(f"{MODEL} 7 is champion of production")

    def test_when_the_time_of_a_limit_is_up_whoever_set_it_is_asked_again(self, baton: Baton) -> None:
        baton.register("7")
        card = baton.ask("7")
        self.approve_up_to(baton, card, "10")
        baton.approve(baton.card("*Approvals 1 of 2*"), baton.carol)
        baton.card("bob approved at most 10 % until then; after that they are asked again.")
        baton.clock.ahead = timedelta(hours=25)
        card = baton.card("*Somebody must say how to go on:* bob approved at most 10 % and wanted to be asked again.")
        told = shown_text(baton.bob.wait_for_text("app", "You approved P-1 for at most 10 %"))
        assert "*fraud-detector 7* in production stays as it is until you choose on <http" in told
        assert "|its card>: *Continue*, *Wait longer* or *Roll back*." in told
        assert [each[1] for each in acts(baton)] == [5]
        assert "so only they may go beyond" in baton.refused(baton.carol, card, "Continue")
        baton.clock.ahead = timedelta()  # the deploy system knows what time it is
        baton.click(baton.bob, card, "Continue")
        baton.card(f"{MODEL} 7 is champion of production")

    @pytest.mark.parametrize(("percent", "sentence"), [("ten", "a whole number of per cent"), ("3", "from 5")])
    def test_what_is_no_limit_is_said_under_its_field(self, baton: Baton, percent: str, sentence: str) -> None:
        baton.register("7")
        answer = self.approve_up_to(baton, baton.ask("7"), percent)
        assert sentence in str(answer)
        assert baton.decisions() == []


class TestTime:
    """Steps of a second."""

    @pytest.fixture
    def policy(self) -> str:
        return rolled_out(CANARY.replace("1h", "1s"), VERIFY.replace("1h", "1s"))

    def test_the_time_of_every_step_passes_by_itself(self, baton: Baton) -> None:
        baton.promoted("7")
        assert [each[1] for each in acts(baton)] == [5, 25, 100]


class TestVerify:
    @pytest.fixture
    def policy(self) -> str:
        return rolled_out(VERIFY)

    def test_the_champion_changes_only_after_the_watch(self, baton: Baton) -> None:
        baton.register("7")
        baton.approve(baton.ask("7"))
        card = baton.card("Watched at full traffic until")
        assert baton.states() == ["verifying"]
        assert baton.champion() is None
        baton.clock.ahead = timedelta(hours=2)
        baton.card(f"{MODEL} 7 is champion of production")
        wait(lambda: "👑 7 is champion of production" in baton.story(card), "the story")

    def test_rollback_during_the_watch_needs_no_target_to_be_named(self, baton: Baton) -> None:
        baton.register("6")
        baton.approve(baton.ask("6"))
        baton.click(baton.bob, baton.card("Watched at full traffic"), "Continue now")
        baton.card(f"{MODEL} 6 is champion of production")
        baton.register("7")
        baton.approve(baton.ask("7"))
        baton.card("Verifying fraud-detector 7 in production")
        offer = baton.command(baton.bob, f"/rollback {MODEL} production because it burns")
        assert "from 7 back to *6*" in shown_text(offer)
        baton.click(baton.bob, offer, "Roll back to 6")
        baton.card(f"Stopped and put back: {MODEL} 7 in production")
        assert acts(baton)[-1] == ("rollback", 100, "6")


class TestBlueGreen:
    @pytest.fixture
    def policy(self) -> str:
        return rolled_out("    rollout: {strategy: blue_green, keep: 2h}\n", "    verify: {for: 1s}\n")

    def test_it_is_deployed_beside_without_traffic_and_then_switched(self, baton: Baton) -> None:
        baton.promoted("7")
        assert acts(baton) == [("deploy", 0, "7"), ("set_traffic", 100, "7")]

    def test_the_act_that_switches_says_until_when_the_old_one_must_be_kept(self, baton: Baton) -> None:
        baton.promoted("6")
        baton.promoted("7")
        offer = baton.command(baton.bob, f"/rollback {MODEL} production because it burns")
        baton.click(baton.bob, offer, "Roll back to 6")
        baton.card(f"Rolled back: {MODEL} 6 serves production again")

        _, first, beside, switch, back = baton.receiver.hooks
        assert [each.data["keep_previous_until"] for each in (first, beside, back)] == [None, None, None]
        until, reported = (datetime.fromisoformat(switch.data[key]) for key in ("keep_previous_until", "expires_at"))
        assert until - reported == timedelta(hours=2, seconds=1)  # keep and verify, from the latest report on
