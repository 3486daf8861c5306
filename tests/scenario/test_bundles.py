"""Models that are promoted together: one card, one hook a member, and every champion at once or none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import text

from bot.local_slack.person import Json, labels, shown_text
from tests.integration.receiver import Hook, Reply
from tests.scenario.test_alerts import firing, send
from tests.scenario.world import POLICY, Baton, wait

BUNDLE = """
bundles:
  search:
    members: [ranker, {model: embedder, versions: ">=6,<9"}]
    order: [[embedder, ranker]]
    conflicts:
      - {member: ranker, versions: ">=4", with: calibrator, with_versions: "<3"}
    members_alone: MEMBERS_ALONE
"""
REFUSE, WAIT = (POLICY + BUNDLE.replace("MEMBERS_ALONE", each) for each in ("refuse", "wait"))


def acts(baton: Baton) -> list[tuple[str, str, str | None]]:
    """(action, what, instead of what) of every act that the deploy system was asked for, once each."""
    seen = {hook.id: hook for hook in baton.receiver.hooks}
    return [
        (h.data["action"], f"{h.data['model']['name']} {h.data['model']['version']}", (h.data["previous"] or {}).get("version"))
        for h in seen.values()
    ]  # fmt: skip


def serving(baton: Baton) -> tuple[str | None, ...]:
    return tuple(baton.champion(model=each) for each in ("search", "embedder", "ranker"))


def refusing(model: str, action: str = "deploy") -> Callable[[Hook], Reply]:
    """The deploy system takes everything but one model."""

    def reply(hook: Hook) -> Reply:
        if (hook.data["model"]["name"], hook.data["action"]) == (model, action):
            return 200, {"state": "failed", "message": "no GPU is left"}
        return 200, {"state": "succeeded"}

    return reply


#: As if another registry had brought the version.
FROM_ELSEWHERE = """INSERT INTO registry_versions (origin, model, number, created_at, seen_at, state, due_at, said, version_id)
    SELECT 'lab', m.name, :number, v.registered_at, v.registered_at, 'registered', v.registered_at, '', v.id
    FROM model_versions v JOIN models m ON m.id = v.model_id WHERE m.name = :model AND v.version = :version"""


def told(baton: Baton) -> list[tuple[str, str, str]]:
    """(model, version, decision) of everything that other registries are to be told."""
    with baton.server.database.read() as session:
        rows = session.execute(text("SELECT model, version, decision FROM write_backs ORDER BY model, version"))
        return [tuple(row) for row in rows]


def put_together(baton: Baton, version: str, embedder: str, ranker: str) -> None:
    """Both members and their bundle are registered."""
    for model, number in (("embedder", embedder), ("ranker", ranker)):
        if baton.api("GET", f"/models/{model}/versions/{number}").status_code == 404:
            baton.register(number, model)
    members = {"embedder": embedder, "ranker": ranker}
    answer = baton.api("POST", "/models/search/versions", version=version, members=members)
    assert answer.status_code == 201, answer.text


def asked(baton: Baton, line: str) -> Json:
    said = baton.command(baton.alice, f"/promote {line}")
    return baton.card(str(said["text"]).partition(":")[0])


def promoted(baton: Baton, version: str, embedder: str, ranker: str) -> Json:
    put_together(baton, version, embedder, ranker)
    baton.approve(asked(baton, f"search {version} to production"))
    return baton.card(f"search {version} is champion of production")


CANARY = """    rollout:
      strategy: canary
      steps: [{traffic: 10, hold: 1h}, {traffic: 100}]
"""


@pytest.fixture
def policy() -> str:
    return REFUSE


def test_a_bundle_is_promoted_with_one_card_and_its_members_are_deployed_in_order(baton: Baton) -> None:
    promoted(baton, "1", "6", "3")
    assert acts(baton) == [("deploy", "embedder 6", None), ("deploy", "ranker 3", None)]
    assert serving(baton) == ("1", "6", "3")
    baton.register("7", "embedder")
    baton.register("4", "ranker", metrics={"latency_p99_ms": 80})
    baton.receiver.reply = lambda _hook: (202, {})

    said = baton.command(baton.alice, "/promote search embedder=7 ranker=4 to production because both learned")
    assert "ranker 4: latency_p99_ms is 80, at most 50 is allowed." in shown_text(said)
    card = asked(baton, "search embedder=7 ranker=3 to production because one learned")

    shown = shown_text(card)
    assert "Promote search 3 to production?" in shown  # 2 is made of embedder 7 and ranker 4
    assert "All 10 gates passed." in shown
    assert "embedder 6 7 ✅" in " ".join(shown.split()).replace("\u00a0", " ")
    view = baton.api("GET", "/promotions/P-3").json()
    assert [(m["model"], m["version"], m["champion"], m["unchanged"]) for m in view["members"]] == [
        ("embedder", "7", "6", False),
        ("ranker", "3", "3", True),
    ]
    assert {each["member"] for each in view["gates"]} == {"embedder", "ranker"}
    baton.approve(card)
    hook = baton.receiver.await_hooks(3)[2]
    assert hook.data["bundle"] == {"name": "search", "version": "3"}
    assert hook.event["subject"] == "embedder/7"
    baton.report(hook, "succeeded")
    card = baton.card("search 3 is champion of production")
    assert serving(baton) == ("3", "7", "3")
    assert acts(baton)[2:] == [("deploy", "embedder 7", "6")]  # ranker 3 serves already
    assert "unchanged" in shown_text(card)
    assert baton.reigns(model="ranker") == [("3", True)]
    wait(lambda: "embedder 7 is deployed (1 of 1)" in baton.story(card), "the story")


def test_one_member_fails_and_those_before_it_go_back(baton: Baton) -> None:
    promoted(baton, "1", "6", "3")
    put_together(baton, "2", "7", "4")
    baton.receiver.reply = refusing("embedder")
    baton.approve(asked(baton, "search 2 to production"))
    card = baton.card("Not promoted: search 2 to production")
    assert "embedder 7: prod-hook refused it: no GPU is left." in shown_text(card)
    baton.receiver.reply = refusing("ranker")
    baton.approve(asked(baton, "search 2 to production"))

    card = baton.card("Stopped and put back: search 2 in production")
    assert acts(baton)[3:] == [
        ("deploy", "embedder 7", "6"),
        ("deploy", "ranker 4", "3"),
        ("rollback", "embedder 6", "7"),
    ]
    assert "ranker 4: prod-hook refused it: no GPU is left. embedder 6 serves again." in shown_text(card)
    assert serving(baton) == ("1", "6", "3")
    assert len(set(baton.receiver.ids)) == 6

    def rigid(hook: Hook) -> Reply:
        taken = hook.data["model"]["name"] == "embedder" and hook.data["action"] == "deploy"
        return 200, {"state": "succeeded" if taken else "failed", "message": "" if taken else "the disk is full"}

    baton.receiver.reply = rigid
    baton.approve(asked(baton, "search 2 to production"))
    card = baton.card("Outcome unknown: search 2 to production")
    assert "embedder 6 could not be put back" in shown_text(card)
    assert serving(baton) == ("1", "6", "3")


def test_a_bundle_is_rolled_back_in_reverse_and_a_member_alone_leaves_it_parted(baton: Baton) -> None:
    promoted(baton, "1", "6", "6")
    promoted(baton, "2", "7", "7")
    assert told(baton) == []
    for number, name in enumerate(("embedder", "ranker", "embedder", "ranker")):
        baton.sql(FROM_ELSEWHERE, model=name, number=number, version="6677"[number])
    offer = baton.command(baton.bob, "/rollback search production because it finds nothing")
    assert "goes from 2 back to *1*" in shown_text(offer)
    [button] = labels(offer)
    baton.click(baton.bob, offer, button)
    baton.card("Rolled back: search 1 serves production again")
    assert acts(baton)[4:] == [("rollback", "ranker 6", "7"), ("rollback", "embedder 6", "7")]
    assert serving(baton) == ("1", "6", "6")
    assert told(baton) == [
        ("embedder", "6", "approved"), ("embedder", "7", "rolled_back"), ("ranker", "6", "approved"),
        ("ranker", "7", "rolled_back"),
    ]  # fmt: skip
    said = shown_text(baton.command(baton.alice, "/promote why ranker 7 production"))
    assert "ranker was rolled back in production by P-3" in said

    promoted(baton, "3", "8", "6")
    offer = baton.command(baton.bob, "/rollback embedder production because it is slow")
    baton.click(baton.bob, offer, "Roll back to 6")
    baton.card("Rolled back: embedder 6 serves production again")
    card = baton.card("production no longer holds search 3 whole: embedder is at 6 by P-5.")
    assert "search 3 is champion of production" in shown_text(card)
    said = baton.command(baton.alice, "/promote why search 3 production")
    assert "production no longer holds search 3 whole: embedder 6 serves there." in shown_text(said)
    baton.approve(asked(baton, "search 3 to production because whole again"))
    wait(lambda: serving(baton) == ("3", "8", "6"), "the bundle to be whole")


def test_what_goes_wrong_half_way_is_stopped_from_either_side(baton: Baton) -> None:
    promoted(baton, "1", "6", "3")
    put_together(baton, "2", "7", "4")
    baton.receiver.reply = lambda _hook: (202, {})
    baton.approve(asked(baton, "search 2 to production"))
    first = baton.receiver.await_hooks(3)[2]
    baton.report(first, "succeeded")
    second = baton.receiver.await_hooks(4)[3]
    assert second.data["model"]["name"] == "ranker"

    baton.receiver.reply = lambda _hook: (200, {"state": "succeeded"})
    offer = baton.command(baton.bob, "/rollback embedder production because it burns")
    assert "from 7 back to *6*" in shown_text(offer)
    baton.click(baton.bob, offer, "Roll back to 6")

    baton.card("Stopped and put back: search 2 in production")
    assert acts(baton)[4:] == [("rollback", "ranker 3", "4"), ("rollback", "embedder 6", "7")]
    assert serving(baton) == ("1", "6", "3")


def test_versions_that_do_not_go_together_are_refused_with_their_path(baton: Baton) -> None:
    baton.register("3", "ranker")
    baton.register("2", "calibrator")
    baton.register("9", "embedder")
    answer = baton.api("POST", "/models/search/versions", version="1", members={"ranker": "3"})
    assert answer.json()["detail"] == "search is the bundle of ranker, embedder, and this names no version of embedder."
    answer = baton.api("POST", "/models/search/versions", version="1", members={"ranker": "3", "embedder": "5"})
    assert answer.json()["detail"] == "embedder has no version 5; its only one is 9."
    said = baton.command(baton.alice, "/promote search ranker=3 embedder=9 to production")
    assert "search 1 → embedder 9 is not among the versions that the policy allows: &gt;=6,&lt;9." in shown_text(said)

    put_together(baton, "2", "7", "4")
    card = asked(baton, "search 2 to production")
    baton.approve(asked(baton, "calibrator 2 to production"))
    baton.card("calibrator 2 is champion of production")
    path = "search 2 → ranker 4 conflicts with calibrator 2, which serves production."
    assert baton.refused(baton.bob, card, "Approve").startswith(f"P-1 cannot go ahead, so nothing was counted: {path}")
    assert baton.decisions(1) == []
    assert path in shown_text(baton.command(baton.alice, "/promote why search 2 production"))
    put_together(baton, "3", "8", "4")
    said = baton.command(baton.alice, "/promote search 3 to production")
    assert "search 3 → ranker 4 conflicts with calibrator 2" in shown_text(said)
    answer = baton.api("POST", "/promotions", model="ranker", version="4", stage="production")
    assert (answer.status_code, answer.json()["slug"]) == (409, "blocked-conflict")
    baton.command(baton.bob, "/promote veto embedder 7 because it leaks")
    said = shown_text(baton.command(baton.alice, "/promote why search 2 production"))
    assert "search 2 → embedder 7 was vetoed by" in said


def test_a_yes_is_bound_to_every_member_and_no_members_trainer_gives_it(baton: Baton) -> None:
    promoted(baton, "1", "6", "3")
    promoted(baton, "2", "7", "4")
    code = {"repo": "https://git.example.com/search", "commit": "c0ffee"}
    lineage = {"data": [{"name": "clicks", "digest": "sha256:bb"}], "code": code}
    baton.register("5", "ranker", lineage=lineage | {"trained_by": "bob@example.com"})
    put_together(baton, "3", "8", "5")
    version = baton.api("GET", "/models/search/versions/3").json()
    assert version["members"] == {"ranker": "5", "embedder": "8"}
    assert version["lineage"]["trained_by"] == "bob@example.com, erin@example.com"
    answer = baton.api("POST", "/models/search/versions", version="3", members={"ranker": "4", "embedder": "8"})
    assert "is already registered with a different set of members" in answer.json()["detail"]
    card = asked(baton, "search 3 to production")
    assert baton.refused(baton.bob, card, "Approve") == "You trained this version, so someone else must approve it."
    facts = baton.api("GET", "/promotions/P-3/evidence").json()["evidence"]["facts"]
    assert facts["order"] == ["embedder", "ranker"]
    assert facts["members"]["ranker"]["candidate"]["lineage"]["commit"] == "c0ffee"
    assert facts["members"]["embedder"]["champion"]["metrics"]["auc on eval@"] == ["0.95", 0]
    assert "search" in baton.api("GET", "/promotions/P-2/evidence?format=html").text
    baton.click(baton.carol, card, "Approve")
    wait(lambda: baton.decisions(3), "Carol's yes")

    offer = baton.command(baton.bob, "/rollback embedder production because it is slow")
    baton.click(baton.bob, offer, "Roll back to 6")
    baton.card("Rolled back: embedder 6 serves production again")
    said = baton.refused(baton.carol, baton.card("Promote search 3 to production?"), "Approve")
    assert said.startswith(
        "P-3 is not what you were shown: of embedder, the champion from 7 to 6. Nothing was counted,"
    )


def test_a_member_alone_is_refused_while_its_bundle_is_on_its_way(baton: Baton) -> None:
    put_together(baton, "1", "6", "3")
    baton.register("4", "ranker")
    card = asked(baton, "search 1 to production")
    said = baton.command(baton.alice, "/promote ranker 4 to production")
    assert said["text"] == (
        "P-1 has search 1, of which ranker is a member, on its way to production: it is awaiting approval. "
        "Wait until P-1 has ended, or stop it."
    )
    baton.click(baton.alice, card, "Details")
    view = baton.alice.wait_for_view()
    assert "*embedder*: nobody → 6 · ✅ all 5 passed" in shown_text(view).replace("\u00a0", " ")


class TestWaiting:
    @pytest.fixture
    def policy(self) -> str:
        return WAIT

    def test_a_bundle_waits_for_its_members_own_promotion(self, baton: Baton) -> None:
        put_together(baton, "1", "6", "3")
        alone = asked(baton, "ranker 3 to production")
        together = asked(baton, "search 1 to production")
        baton.approve(together)
        baton.card("Approved: search 1 waits for production")
        assert baton.receiver.hooks == []
        baton.approve(alone)
        baton.card("ranker 3 is champion of production")
        baton.tick("waiting")
        # ranker's champion is another one than search 1 was judged by, so it is judged, and approved, anew
        again = baton.card("Promote search 1 to production?")
        baton.approve(again)
        baton.card("search 1 is champion of production")
        assert acts(baton) == [("deploy", "ranker 3", None), ("deploy", "embedder 6", None)]

    def test_what_waits_is_judged_by_what_serves_when_its_time_comes(self, baton: Baton) -> None:
        put_together(baton, "1", "6", "4")
        baton.register("2", "calibrator")
        calibrator = asked(baton, "calibrator 2 to production")
        together = asked(baton, "search 1 to production")
        baton.receiver.reply = lambda _hook: (202, {})
        baton.approve(calibrator)
        hook = baton.receiver.await_hooks(1)[0]
        baton.approve(together)
        card = baton.card("P-1 has calibrator 2 on its way to production: it is deploying.")
        assert "Approved: search 1 waits for production" in shown_text(card)
        said = shown_text(baton.command(baton.alice, "/promote why ranker 4 production"))
        assert "P-2 has search 1, of which ranker is a member, on its way to production: it is approved." in said
        baton.report(hook, "succeeded")
        baton.card("calibrator 2 is champion of production")
        baton.tick("waiting")
        card = baton.card("Not promoted: search 1 to production")
        assert "search 1 → ranker 4 conflicts with calibrator 2, which serves production." in shown_text(card)
        assert len(set(baton.receiver.ids)) == 1


class TestCanary:
    @pytest.fixture
    def policy(self) -> str:
        alerts = "alerts:\n  alertmanager: {type: alertmanager, token_env: ALERT_TOKEN}\n"
        rollback = "    rollback: {allowed: [on-call], on_alert: ask}"
        return REFUSE.replace("    rollback: {allowed: [on-call]}", CANARY + rollback) + alerts

    def traffic(self, baton: Baton) -> list[tuple[str, str, int]]:
        seen = {hook.id: hook.data for hook in baton.receiver.hooks}
        return [(d["action"], d["model"]["name"], d["traffic_percent"]) for d in seen.values()]

    def test_every_step_is_done_for_every_member_and_goes_on_after_a_restart(self, baton: Baton) -> None:
        put_together(baton, "1", "6", "3")
        baton.receiver.reply = lambda _hook: (202, {})
        baton.approve(asked(baton, "search 1 to production"))
        first = baton.receiver.await_hooks(1)[0]
        baton.server.stop()
        baton.start()
        baton.receiver.reply = lambda _hook: (200, {"state": "succeeded"})
        baton.report(first, "succeeded")
        card = wait(lambda: next((m for m in baton.cards() if "Continue now" in labels(m)), None), "the first step")
        assert "*Step 1 of 2*" in shown_text(card)
        assert serving(baton) == (None, None, None)
        baton.click(baton.bob, card, "Continue now")
        baton.card("search 1 is champion of production")
        assert self.traffic(baton) == [
            ("deploy", "embedder", 10),
            ("deploy", "ranker", 10),
            ("set_traffic", "embedder", 100),
            ("set_traffic", "ranker", 100),
        ]
        assert serving(baton) == ("1", "6", "3")

        put_together(baton, "2", "7", "4")
        baton.approve(asked(baton, "search 2 to production"))
        wait(lambda: any("Roll back" in labels(m) for m in baton.cards()), "the first step")
        assert send(baton, firing("4", labels={"model": "ranker"})).json()["news"] == 1
        baton.click(baton.bob, baton.card("Alert: ranker 4 in production"), "Roll back to 3")
        card = baton.card("Stopped and put back: search 2 in production")
        assert "ranker 3 and embedder 6 serve again." in shown_text(card)
        assert self.traffic(baton)[4:] == [
            ("deploy", "embedder", 10),
            ("deploy", "ranker", 10),
            ("rollback", "ranker", 100),
            ("rollback", "embedder", 100),
        ]
        assert serving(baton) == ("1", "6", "3")


class TestByThemselves:
    @pytest.fixture
    def policy(self) -> str:
        return REFUSE.replace(
            "    approvals: {automatic: true}\n",
            "    approvals: {automatic: true}\n    rollback: {allowed: [on-call]}\n",
            1,
        )

    def test_what_was_rolled_back_does_not_come_back_in_its_bundle_by_itself(self, baton: Baton) -> None:
        for version, embedder, ranker in (("1", "6", "3"), ("2", "7", "4")):
            put_together(baton, version, embedder, ranker)
            answer = baton.api("POST", "/promotions", model="search", version=version, stage="staging")
            assert answer.status_code == 201, answer.text
            baton.card(f"search {version} is champion of staging")
        offer = baton.command(baton.bob, "/rollback ranker staging because it burns")
        baton.click(baton.bob, offer, "Roll back to 3")
        baton.card("Rolled back: ranker 3 serves staging again")
        answer = baton.api("POST", "/promotions", model="search", version="2", stage="staging")
        assert answer.json()["detail"].startswith("search 2 → ranker 4: ranker was rolled back in staging (")
        asked(baton, "search 2 to staging because it is mended")
        wait(lambda: baton.champion("staging", "ranker") == "4", "the bundle to be whole")
