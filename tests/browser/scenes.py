"""Every view that Baton shows, reached as people reach it: by Slack's protocol, the API, the deploy system and the clock.

`scenes` tells one long day and stops at each view, which is to be seen then.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from playwright.sync_api import Page, expect

from bot.local_slack.person import Json, labels
from tests.browser.views import (
    ANSWER,
    BOARD,
    DIRECT,
    FORM,
    MODEL,
    View,
    answers,
    ask,
    card,
    now,
    opened,
    ref_of,
    register,
    reported,
    send_alert,
    withdraw,
)
from tests.fakes.mlflow_contract import Trainer
from tests.scenario.world import ALICE, BOB, CAROL, MALLORY, PROMO, Baton, version_body, wait


def scenes(baton: Baton, registry: str) -> Iterator[View]:
    """Every view, each there when it is yielded. `registry` is the URL of the MLflow server."""
    baton.receiver.reply = answers
    for part in (_empty, _asked, _deployed, _rolled_back, _declined, _gates, _stages, _bundled):
        yield from part(baton)
    yield from _moved(baton, registry)
    for part in (_glass, _replies, _forms, _days):
        yield from part(baton)


def _empty(baton: Baton) -> Iterator[View]:
    yield View("home-empty", BOARD, "Home when nothing waits on you.", MALLORY, "Waiting on you (0)", "home")
    baton.server.services.send_digest()
    said = baton.card("Nothing waits")
    yield View(
        "digest-empty", BOARD, "The digest of a day without work: one short line.", BOB, "Nothing waits", ts=said["ts"]
    )


def _asked(baton: Baton) -> Iterator[View]:
    asked, safe = f"Promote {MODEL} 7 to production?", "All 5 gates passed."
    register(baton, "6", auc=0.9561, latency_p99_ms=30.2)
    message = ask(baton, "6")
    first = f"Promote {MODEL} 6 to production?"
    yield card(
        "awaiting-first", "There is no champion yet to compare with.", message, first, "no champion yet", buttons=True
    )
    baton.approve(message)
    baton.card(f"{MODEL} 6 is champion of production")
    register(baton, "7")
    message = ask(baton, "7")
    yield card("awaiting", "Somebody asks; nobody has approved yet.", message, asked, safe, buttons=True)

    def press(page: Page) -> None:
        page.locator(f'[data-ts="{message["ts"]}"]').get_by_role("button", name="Approve").click()

    sure = "Approve for production?"
    yield View("confirm", FORM, "Production asks once more.", CAROL, sure, "confirm", message["ts"], prepare=press)
    baton.click(baton.carol, message, "Details")
    form = opened(baton.carol, "Measurements")
    yield View("details", FORM, "Everything behind a card.", CAROL, "Measurements", "form", first=asked, second=safe)
    baton.carol.close_view(form)
    baton.click(baton.bob, message, "Reject")
    form = opened(baton.bob, "One rejection ends")
    yield View("reject", FORM, "A rejection needs its reason.", BOB, "One rejection ends", "form")
    baton.bob.close_view(form)
    baton.approve(message, baton.bob)
    baton.card("*Approvals 1 of 2*")
    yield card("awaiting-half", "One of two has approved.", message, asked, safe, user=ALICE, buttons=True)
    said = baton.command(baton.mallory, f"/promote veto {MODEL} 7 because I can")
    yield View("refusal", ANSWER, "A no, and why, in one sentence.", MALLORY, "You may not", ts=said["ts"])
    baton.approve(message, baton.carol)


def _deployed(baton: Baton) -> Iterator[View]:
    first = f"Deploying {MODEL} 7 to production"
    message = baton.card(first)
    reported(baton, "7", "in_progress", message="half of the pods", url="https://ci.example.com/9")
    baton.card("half of the pods")
    yield card("deploying", "The deploy system is at work.", message, first, "its report is awaited")
    reported(baton, "7", "succeeded")
    first = f"{MODEL} 7 is champion of production"
    baton.card(first)
    yield card("succeeded", "The candidate has become champion.", message, first, "It took over from 6")
    wait(lambda: "👑" in baton.story(message), "the story")
    yield View(
        "thread", DIRECT, "The thread tells the story, a line an event.", ALICE, "is champion", "thread", message["ts"]
    )
    told = baton.alice.wait_for_text("app", first)
    yield View("dm-end", DIRECT, "The requester is told of the end.", ALICE, first, "app", told["ts"], first=first)


def _rolled_back(baton: Baton) -> Iterator[View]:
    said = baton.command(baton.bob, f"/rollback {MODEL} because false alarms doubled since 02:40")
    yield View(
        "rollback-offer", ANSWER, "What a rollback would change, and one red button.", BOB, "back to", ts=said["ts"]
    )
    assert baton.bob.command(PROMO, "/rollback") == {"ok": True}
    form = opened(baton.bob, "Roll back")
    yield View("rollback-form", FORM, "/rollback alone.", BOB, "What is wrong?", "form")
    [option] = baton.bob.options(form, "Model", "fraud")
    form = baton.bob.fill(form, {"Model": option})
    baton.click(baton.bob, form, "Model", selected_option=option)
    form = opened(baton.bob, "goes from 7")
    yield View("rollback-form-filled", FORM, "What it would change.", BOB, "goes from 7", "form")
    assert baton.bob.submit(form, {"Reason": "false alarms doubled since 02:40"}) == {"ok": True}
    form = opened(baton.bob, "Nothing happens until")
    yield View("rollback-confirm", FORM, "Only the red button acts.", BOB, "Nothing happens until", "form")
    baton.bob.close_view(form)
    send_alert(baton)
    alert = baton.card(f"Alert: {MODEL} 7 in production")
    yield card(
        "alert", "An alert proposes a rollback.", alert, f"Alert: {MODEL} 7 in production", "A rollback brings 6 back"
    )
    baton.click(baton.bob, said, "Roll back to 6")
    first = f"Rolled back: {MODEL} 6 serves production again"
    message = baton.card(first)
    yield card("rollback-card", "A rollback has a card of its own.", message, first, "6 took over from 7")


def _declined(baton: Baton) -> Iterator[View]:
    register(baton, "8", auc=0.9569, **{"auc/country=DE": 0.9188})
    message = ask(baton, "8")
    yield card(
        "awaiting-slice", "A slice is worse, within what is allowed.", message, f"Promote {MODEL} 8 to production?",
        "Worst change: auc on country=DE", buttons=True,
    )  # fmt: skip
    baton.click(baton.carol, message, "Reject")
    form = opened(baton.carol, "One rejection ends")
    baton.carol.submit(form, {"Reason": "Germany gets worse; not before the holidays"})
    first = f"Rejected: {MODEL} 8 to production"
    baton.card(first)
    yield card("rejected", "One no is enough, and says why.", message, first, "Rejected by @Carol: Germany gets worse")
    message = ask(baton, "8", reason="it was a bad sample")
    register(baton, "9")
    ask(baton, "9")
    first = f"Superseded: {MODEL} 8 to production"
    baton.card(first)
    yield card("superseded", "Somebody asked for another version.", message, first, f"{MODEL} 9 was asked for instead")
    message = baton.card(f"Promote {MODEL} 9 to production?")
    withdraw(baton, message)
    first = f"Withdrawn: {MODEL} 9 to production"
    yield card("withdrawn", "The requester thought better of it.", message, first, "Withdrawn by @Alice")
    message = ask(baton, "9", reason="it was fine after all")
    baton.approve(message)
    baton.card(f"Deploying {MODEL} 9")
    baton.receiver.await_hooks(4)
    assert baton.api("POST", f"/promotions/{ref_of(message)}/cancel", reason="the wrong one").status_code == 200
    first = f"Stopped and put back: {MODEL} 9 in production"
    baton.card(first)
    yield card(
        "rolled-back",
        "Stopped half way; the champion is back.",
        message,
        first,
        "stopped it: the wrong one. 9 was taken back",
    )


def _gates(baton: Baton) -> Iterator[View]:
    said = {
        "10": ("failed-gates", "Its gates stopped it.", {"auc": 0.881}, "auc is 0.881, at least 0.9 is required."),
        "11": (
            "failed-slice",
            "It got worse where it must not.",
            {"auc/country=DE": 0.892},
            "auc (country=DE) is 0.892",
        ),
        "12": ("failed-no-data", "No data is never a pass.", {"latency_p99_ms": "left out"}, "No data: latency_p99_ms"),
    }
    for version, (name, says, metrics, second) in said.items():
        register(baton, version, **metrics)
        message = ask(baton, version)
        yield card(name, says, message, f"Not promoted: {MODEL} {version} to production", second)
    told = {
        "13": ("awaiting-advisory", "An advisory gate warns.", {"fairness_gap": 0.31}, "fairness_gap is 0.31"),
        "14": (
            "awaiting-no-data",
            "An advisory gate lacks data.",
            {"fairness_gap": "left out"},
            "no data: fairness_gap",
        ),
    }
    for version, (name, says, metrics, second) in told.items():
        register(baton, version, **metrics)
        message = ask(baton, version)
        yield card(name, says, message, f"Promote {MODEL} {version} to production?", second, buttons=True)
    long = "search-result-ranking-for-marketplaces"
    more = {f"recall_at_{n}": 0.5 + n / 1000 for n in (1, 3, 5, 10, 20)}
    register(baton, "2026.11.23-rc1", long, **more)
    reason = "The holdout of October shows 3 % more clicks at the same latency, in every country but one. " * 6
    message = ask(baton, "2026.11.23-rc1", model=long, reason=reason.strip())
    first = f"Promote {long} 2026.11.23-rc1 to production?"
    yield card("awaiting-long", "Long names and a long reason.", message, first, "All 5 gates passed.", buttons=True)


def _stages(baton: Baton) -> Iterator[View]:
    register(baton, "3", "churn-ranker")
    register(baton, "4", "churn-ranker")

    def asked(version: str, stage: str) -> Json:
        return ask(baton, version, stage, "churn-ranker", "customers are kept")

    message = asked("3", "sandbox")
    yield card(
        "awaiting-no-gates", "Nothing was checked.", message, "Promote churn-ranker 3 to sandbox?", "was checked",
        buttons=True,
    )  # fmt: skip
    message = asked("3", "staging")
    first = "churn-ranker 3 is champion of staging"
    baton.card(first)
    yield card("succeeded-automatic", "Nobody was asked.", message, first, "It is the first champion there")
    message = asked("3", "europe")
    baton.approve(message, baton.bob)
    first = "Approved: churn-ranker 3 waits for europe"
    baton.card(first)
    yield card("approved-frozen", "Approved, and waiting for a freeze to end.", message, first, "europe is frozen")
    message = asked("3", "batch")
    baton.approve(message, baton.bob)
    first = "Outcome unknown: churn-ranker 3 to batch"
    baton.card(first)
    yield card("errored", "The deploy system could not be asked.", message, first, "A person must look")
    message = asked("4", "mobile")
    baton.approve(message, baton.bob)
    baton.card("*Step 1 of 3*")
    wait(lambda: "Hold" in labels(now(baton, message)), "the first step")
    first = "Rolling out churn-ranker 4 to mobile"
    yield card("canary", "A canary at 5 %, and the buttons that steer it.", message, first, "Step 1 of 3", buttons=True)
    baton.click(baton.bob, now(baton, message), "Hold")
    baton.card("Held by bob")
    yield card("canary-held", "Somebody holds it.", message, first, "Held by bob", buttons=True)


def _bundled(baton: Baton) -> Iterator[View]:
    for model, versions in (("embedder", ("6", "7")), ("ranker", ("3",))):
        for version in versions:
            register(baton, version, model)
    said = baton.command(
        baton.alice, "/promote search embedder=6 ranker=3 to production because they were trained together"
    )
    baton.approve(baton.card(str(said["text"]).partition(":")[0]))
    baton.card("search 1 is champion of production")
    line = "/promote search embedder=7 ranker=3 to production because the embedder learned new words"
    said = baton.command(baton.alice, line)
    message = baton.card(str(said["text"]).partition(":")[0])
    first = "Promote search 2 to production?"
    yield card(
        "bundle", "Models together: one card, a row a member.", message, first, "All 10 gates passed.", buttons=True
    )
    baton.approve(message)
    first = "search 2 is champion of production"
    baton.card(first)
    yield card("bundle-succeeded", "Every member serves, or none.", message, first, "It took over from 1")


def _moved(baton: Baton, registry: str) -> Iterator[View]:
    trainer = Trainer(registry)
    trainer.model = "price-estimator"
    for version in "12":
        run = trainer.run(
            mlflow__source__git__repoURL="https://git.example.com/prices", mlflow__source__git__commit="0123abcd"
        )
        trainer.used(run, "sales", "training", 1_000)
        for name, value in {
            "auc": 0.9573,
            "auc/country:DE": 0.9311,
            "latency_p99_ms": 31.4,
            "fairness_gap": 0.05,
        }.items():
            trainer.metric(run, name, value)
        trainer.finish(run)
        assert trainer.version(run_id=run) == version
        at = f"/models/price-estimator/versions/{version}"
        wait(lambda at=at: baton.api("GET", at).status_code == 200, "the version to arrive")
        baton.approve(ask(baton, version, model="price-estimator", reason="prices of October"))
        baton.card(f"price-estimator {version} is champion of production")
    wait(
        lambda: baton.scalar("SELECT count(*) FROM write_backs WHERE state = 'pending'") == 0, "the alias to be written"
    )
    trainer.post("registered-models/alias", name=trainer.model, alias="champion", version="1")
    first = "Moved past Baton: price-estimator in mlflow"
    message = baton.card(first)
    yield card(
        "drift",
        "Somebody moved the registry's alias.",
        message,
        first,
        "is Baton's champion of production",
        buttons=True,
    )
    baton.click(baton.bob, message, "Revert to 2")
    first = "Put back: price-estimator in mlflow"
    baton.card(first)
    yield card("drift-reverted", "It was put back.", message, first, "had it put back")


def _glass(baton: Baton) -> Iterator[View]:
    register(baton, "15", auc=0.884)
    line = f"/promote break-glass {MODEL} 15 to production because 6 leaks card numbers"
    said = baton.command(baton.bob, line)
    yield View("glass-offer", ANSWER, "What breaking the glass passes by.", BOB, "past this", ts=said["ts"])
    baton.click(baton.bob, said, "Break the glass for 15")
    wait(lambda: any(h.data["model"]["version"] == "15" for h in baton.receiver.hooks), "the hook")
    reported(baton, "15", "succeeded")
    first = f"{MODEL} 15 is champion of production"
    message = baton.card(first)
    yield card(
        "glass-unreviewed",
        "Marked until somebody else has looked.",
        message,
        first,
        "It took over from 6, past what the policy asks.",
    )
    baton.command(baton.carol, f"/promote review {ref_of(message)} because it was right to do so")
    baton.card("it was right to do so")
    yield card("glass-reviewed", "Somebody else has looked.", message, first, "It took over from 6")


def _replies(baton: Baton) -> Iterator[View]:
    asked = {
        "help": ("help", "What one can type.", "asks for, judges"),
        "status": ("status", "What is under way, and who serves.", "Promotions under way"),
        f"why {MODEL} 10 production": ("why", "What is in the way, and who clears it.", "in the way"),
        f"veto {MODEL}": ("slip", "What is wrong, and what would be right.", "Which version"),
        f"at {MODEL} now": ("served", "Who served when, by whose word.", "production"),
    }
    for text, (name, says, shown) in asked.items():
        said = baton.command(baton.alice, f"/promote {text}")
        yield View(name, ANSWER, says, ALICE, shown, ts=said["ts"])


def _forms(baton: Baton) -> Iterator[View]:
    def fill(page: Page) -> None:
        form = page.get_by_role("dialog")
        form.get_by_role("combobox", name="Model").fill("fraud")
        page.get_by_role("option", name=MODEL).click()
        expect(form.locator(f'[data-block-id="version:{MODEL}"]')).to_be_visible()
        form.get_by_role("combobox", name="Version").click()
        page.get_by_role("option", name="11", exact=True).click()
        expect(form.get_by_text("against champion")).to_be_visible()

    def hurry(page: Page) -> None:
        page.get_by_role("dialog").get_by_role("button", name="Ask for it").click()
        expect(page.get_by_text("Please complete this required field.")).to_have_count(2)

    baton.alice.command(PROMO, "/promote")
    form = opened(baton.alice, "Choose a model and a version")
    yield View("promote-form", FORM, "/promote alone.", ALICE, "Choose a model", "form")
    yield View("promote-form-wrong", FORM, "What is missing, where.", ALICE, "Choose a model", "form", prepare=hurry)
    yield View("promote-form-filled", FORM, "The candidate beside the champion.", ALICE, "Model", "form", prepare=fill)
    baton.alice.close_view(form)


def _days(baton: Baton) -> Iterator[View]:
    """What waits is reminded of, counted, voided and at last expires."""
    register(baton, "16")
    message = ask(baton, "16")
    baton.approve(message, baton.bob)
    baton.card("*Approvals 1 of 2*")
    yield View("home-full", BOARD, "Home on a busy day.", CAROL, "Waiting on you (3)", "home")
    baton.clock.ahead = timedelta(hours=25)
    baton.server.services.send_digest()
    said = baton.card("waiting for a decision")
    yield View("digest", BOARD, "The digest, by what its reader must do.", BOB, "waiting for a decision", ts=said["ts"])
    baton.remind()
    told = baton.carol.wait_for_text("app", "This still waits for you")
    yield View(
        "dm-reminder", DIRECT, "Who is awaited gets the card itself.", CAROL, "This still waits", "app", told["ts"],
        first="This still waits for you", buttons=True,
    )  # fmt: skip
    baton.clock.ahead = timedelta(hours=49)
    baton.remind()
    told = baton.bob.wait_for_text("app", "Nobody has decided this")
    yield View(
        "dm-escalation", DIRECT, "Nobody decides, so somebody else is told.", BOB, "Nobody has decided", "app",
        told["ts"], first="Nobody has decided this", buttons=True,
    )  # fmt: skip
    baton.server.stop()
    text = baton.policy.read_text(encoding="utf-8")
    baton.policy.write_text(text.replace("at_most: 50,", "at_most: 45,"), encoding="utf-8")
    baton.start()
    baton.refused(baton.carol, message, "Approve")
    told = baton.bob.wait_for_text("app", "counts no longer")
    yield View("dm-voided", DIRECT, "An approval is void: what changed.", BOB, "counts no longer", "app", told["ts"])
    baton.clock.ahead = timedelta(hours=122)
    baton.tick("expiry")
    first = f"Expired: {MODEL} 16 to production"
    baton.card(first)
    yield card("expired", "Nobody decided in time.", message, first, "Not enough people approved in time")
    baton.tick("reviews")
    first = f"Re-certify {MODEL} 15 in production?"
    message = baton.card(first)
    yield card("recertify", "A champion is past its review date.", message, first, "Nobody can re-certify it until")
    fresh = {"auc": 0.9561, "auc/country=DE": 0.9302, "latency_p99_ms": 31.9}
    measured = version_body("15", metrics=fresh)["metrics"]
    answer = baton.api("POST", f"/models/{MODEL}/versions/15/measurements", metrics=measured)
    assert answer.status_code == 201, answer.text
    wait(lambda: labels(now(baton, message)) == ["Re-certify"], "the button")
    yield card(
        "recertify-measured", "Fresh measurements pass.", message, first, "Its fresh measurements pass.", buttons=True
    )
