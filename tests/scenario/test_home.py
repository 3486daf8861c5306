"""App Home and a person's own digest: what waits on whom, however much there is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.local_slack.person import Json, labels, shown_text
from core.store.tables import PromotionRow
from tests.scenario.test_barriers import with_freeze
from tests.scenario.test_rollouts import CANARY, begun, rolled_out
from tests.scenario.world import CAROL, MODEL, POLICY, Baton, version_body, wait

DAILY = POLICY.replace(
    'channel: "#ml-promotions"\n',
    'channel: "#ml-promotions"\n  digest: {at: "00:00", days: mon-sun, timezone: UTC}\n',
)


def home(baton: Baton, user: str, text: str) -> Json:
    """Somebody's Home as soon as it shows a text."""
    person = baton.person(user)
    person.open_home()
    return person.wait_for(lambda: with_text(baton, user, text), what=f"a Home that says {text!r}")


def with_text(baton: Baton, user: str, text: str) -> Json | None:
    """Somebody's Home if it shows a text already."""
    found = baton.person(user).home()
    return found if found is not None and text in shown_text(found) else None


def many(baton: Baton, count: int) -> None:
    """So many more promotions of other models that await approval, as copies of the first."""
    with baton.server.database.note() as session:
        first = session.get_one(PromotionRow, 1)
        kept = {
            c.name: getattr(first, c.name) for c in PromotionRow.__table__.columns if c.name not in ("id", "model_id")
        }
        for number in range(count):
            model = session.merge(
                type(first.model)(id=1000 + number, name=f"model-{number}", created_at=first.created_at)
            )
            session.flush()
            session.add(PromotionRow(model_id=model.id, **kept))


class TestHome:
    def test_what_waits_on_a_person_is_counted_whole_and_turned_page_by_page(self, baton: Baton) -> None:
        baton.register("7")
        baton.ask("7")
        many(baton, 34)
        shown = home(baton, CAROL, "Waiting on you (35)")
        assert "1 to 10 of 35" in shown_text(shown)
        assert labels(shown).count("Approve") == 10
        baton.click(baton.carol, shown, "Later")
        second = baton.carol.wait_for(lambda: with_text(baton, CAROL, "11 to 20 of 35"), what="the second page")
        assert "Earlier" in labels(second)

    def test_nobody_is_shown_what_they_may_not_decide(self, baton: Baton) -> None:
        baton.register("7", lineage=version_body("7")["lineage"] | {"trained_by": "carol"})
        baton.ask("7")
        for who in ("U01ALICE", CAROL, "U05MALLORY"):
            assert "Waiting on you (0)" in shown_text(home(baton, who, "Waiting on you"))
        assert "Waiting on you (1)" in shown_text(home(baton, "U02BOB", "Waiting on you (1)"))
        assert "Asked by you (1)" in shown_text(home(baton, "U01ALICE", "Asked by you"))

    def test_who_decided_is_not_asked_again_and_decides_from_home(self, baton: Baton) -> None:
        baton.register("7")
        baton.ask("7")
        shown = home(baton, CAROL, "Waiting on you (1)")
        baton.click(baton.carol, shown, "Approve")
        baton.card("*Approvals 1 of 2*")
        baton.carol.wait_for(lambda: with_text(baton, CAROL, "Waiting on you (0)"), what="the rest")

    def test_who_decides_on_the_second_page_stays_there(self, baton: Baton) -> None:
        baton.register("7")
        baton.ask("7")
        many(baton, 24)
        baton.click(baton.carol, home(baton, CAROL, "1 to 10 of 25"), "Later")
        shown = baton.carol.wait_for(lambda: with_text(baton, CAROL, "11 to 20 of 25"), what="the second page")
        baton.click(baton.carol, shown, "Approve")
        baton.carol.wait_for(lambda: with_text(baton, CAROL, "11 to 20 of 24"), what="the second page without it")

    def test_who_rejects_there_sees_what_is_left(self, baton: Baton) -> None:
        baton.register("7")
        baton.ask("7")
        baton.click(baton.carol, home(baton, CAROL, "Waiting on you (1)"), "Reject")
        assert baton.carol.submit(baton.carol.wait_for_view(), {"Reason": "no"})["ok"]
        baton.carol.wait_for(lambda: with_text(baton, CAROL, "Waiting on you (0)"), what="the rest")

    def test_who_comes_too_late_is_told_and_sees_what_is_so(self, baton: Baton) -> None:
        baton.register("7")
        baton.ask("7")
        shown = home(baton, CAROL, "Waiting on you (1)")
        assert baton.api("POST", "/promotions/P-1/cancel", reason="not now").status_code == 200
        baton.click(baton.carol, shown, "Approve")
        baton.carol.wait_for(lambda: with_text(baton, CAROL, "Waiting on you (0)"), what="the truth")

    def test_a_delegate_is_shown_what_waits_on_whoever_named_them(self, baton: Baton) -> None:
        baton.register("7")
        baton.ask("7")
        baton.command(baton.carol, "/promote delegate @mallory until tomorrow")
        shown = home(baton, "U05MALLORY", "Waiting on you (1)")
        baton.click(baton.mallory, shown, "Approve")
        baton.card("*Approvals 1 of 2*")
        assert home(baton, CAROL, "Waiting on you (0)")

    def test_an_emergency_stop_stands_there_until_it_is_lifted(self, baton: Baton) -> None:
        baton.command(baton.bob, "/promote stop because the data is late")
        assert "🛑 *Everything* was stopped by bob: the data is late" in shown_text(home(baton, CAROL, "Frozen"))
        baton.command(baton.bob, "/promote resume")
        assert "Frozen" not in shown_text(home(baton, "U04DAVE", "Champions"))


class TestRollingOut:
    @pytest.fixture
    def policy(self) -> str:
        return rolled_out(CANARY)

    def test_a_rollout_is_steered_from_there(self, baton: Baton) -> None:
        begun(baton)
        baton.click(baton.bob, home(baton, "U02BOB", "5 %"), "Hold")
        baton.bob.wait_for(lambda: with_text(baton, "U02BOB", "Held by bob"), what="the hold")


class TestFrozen:
    @pytest.fixture
    def policy(self) -> str:
        return with_freeze(-60, 60)

    def test_a_closed_stage_and_what_waits_for_it_are_shown(self, baton: Baton) -> None:
        baton.register("7")
        baton.approve(baton.ask("7"))
        baton.card("waits for production")
        shown = shown_text(home(baton, CAROL, "Frozen"))
        assert "🧊 *production* until" in shown
        assert "Approved, and waiting (1)" in shown


class TestOwnDigest:
    @pytest.fixture
    def policy(self) -> str:
        return DAILY

    def test_who_wants_one_gets_it_once_a_day_by_direct_message(self, baton: Baton) -> None:
        assert "each working day" in shown_text(baton.command(baton.carol, "/promote digest on"))
        baton.register("7")
        baton.ask("7")
        now = datetime.now(UTC)
        midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=30, microsecond=0)
        baton.clock.ahead = midnight - now + timedelta(hours=1)
        for _ in range(3):
            baton.server.services.boards.due(baton.clock())
        told = baton.carol.wait_for_message("app", lambda m: "for your decision" in shown_text(m))
        assert f"Promote {MODEL} 7 to production?" in shown_text(told)
        mine = [m for m in baton.carol.dms() if "for your decision" in shown_text(m)]
        assert len(mine) == 1
        assert not [m for m in baton.dave.dms() if "for your decision" in shown_text(m)]

    def test_a_button_in_home_says_the_same(self, baton: Baton) -> None:
        shown = home(baton, CAROL, "Waiting on you")
        baton.click(baton.carol, shown, "Send me a daily digest")
        baton.carol.wait_for(
            lambda: "Stop my daily digest" in labels(baton.carol.home() or {}) or None, what="the other button"
        )
        wait(lambda: baton.scalar("SELECT count(*) FROM preferences WHERE digest") == 1, "the preference")
