"""The main job as people do it: in a browser, each in a window of their own."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from bot.demo.setting import ALICE, BOB, CAROL, MALLORY, Setting
from tests.browser.conftest import Open, say

ASKED = "Promote fraud-detector 7 to production?"


def last_card(page: Page, headline: str) -> object:
    """The newest message whose card says `headline`."""
    return page.locator("[data-ts]").filter(has=page.get_by_text(headline, exact=True)).last


def test_a_promotion_is_asked_for_approved_twice_and_rolled_back(open_page: Open, setting: Setting) -> None:
    alice, bob = open_page(ALICE), open_page(BOB)
    carol, mallory = open_page(CAROL, phone=True), open_page(MALLORY)

    say(alice, "/promote fraud-detector 7 to production because it finds 3 % more fraud")

    card = last_card(alice, ASKED)
    expect(card.get_by_text("All 6 gates passed.")).to_be_visible()
    expect(card.get_by_role("cell", name="0.9573")).to_be_visible()

    last_card(mallory, ASKED).get_by_role("button", name="Approve").click()
    mallory.get_by_role("dialog").get_by_role("button", name="Approve").click()
    expect(mallory.get_by_text("not among those who may approve").last).to_be_visible()
    expect(alice.get_by_text("not among those who may approve")).to_have_count(0)

    last_card(bob, ASKED).get_by_role("button", name="Approve").click()
    bob.get_by_role("dialog").get_by_role("button", name="Approve").click()
    expect(card.get_by_text("Approvals 1 of 2")).to_be_visible()

    last_card(carol, ASKED).get_by_role("button", name="Approve").click()
    carol.get_by_role("dialog").get_by_role("button", name="Approve").click()
    expect(alice.get_by_text("fraud-detector 7 is champion of production", exact=True).last).to_be_visible()
    done = last_card(alice, "fraud-detector 7 is champion of production")
    expect(done.get_by_role("button", name="Approve")).to_have_count(0)

    say(bob, "/rollback fraud-detector production because false alarms doubled")
    offer = bob.get_by_role("button", name="Roll back to 6")
    expect(bob.get_by_text("Nothing happens until you press the button.")).to_be_visible()
    assert setting.api("GET", "/models/fraud-detector/stages/production")["version"] == "7"
    offer.click()
    expect(offer).to_have_count(0)
    expect(alice.get_by_text("Rolled back: fraud-detector 6 serves production again", exact=True).last).to_be_visible()
    assert setting.api("GET", "/models/fraud-detector/stages/production")["version"] == "6"


def test_the_form_shows_the_candidate_beside_the_champion_and_puts_errors_under_their_field(open_page: Open) -> None:
    alice = open_page(ALICE)

    say(alice, "/promote")
    form = alice.get_by_role("dialog")
    form.get_by_role("button", name="Ask for it").click()
    missing = form.get_by_text("Please complete this required field.")
    expect(missing).to_have_count(2)
    form.get_by_role("combobox", name="Model").fill("fraud")
    alice.get_by_role("option", name="fraud-detector").click()
    expect(form.locator('[data-block-id="version:fraud-detector"]')).to_be_visible()  # drawn anew for this model
    expect(missing).to_have_count(0)  # the form is another one now, and nothing of it is wrong yet
    form.get_by_role("combobox", name="Version").click()
    alice.get_by_role("option", name="8", exact=True).click()

    expect(form.get_by_text("fraud-detector 8 against champion 6")).to_be_visible()
    expect(form.get_by_text(re.compile("country=DE.* worse"))).to_be_visible()
    form.get_by_role("button", name="Ask for it").click()
    expect(form.get_by_text("production requires staging, which fraud-detector 8 has never served.")).to_be_visible()
    alice.keyboard.press("Escape")
    expect(form).to_have_count(0)


def test_a_rejection_needs_its_reason(open_page: Open) -> None:
    alice, bob = open_page(ALICE), open_page(BOB)
    say(alice, "/promote fraud-detector 7 to production because second thoughts")
    last_card(bob, ASKED).get_by_role("button", name="Reject").click()
    form = bob.get_by_role("dialog")
    expect(form.get_by_role("textbox", name="Reason")).to_be_visible()

    form.get_by_role("button", name="Reject", exact=True).click()
    expect(form).to_be_visible()  # nothing was sent
    form.get_by_role("textbox", name="Reason").fill("not before the audit")
    form.get_by_role("button", name="Reject", exact=True).click()

    expect(alice.get_by_text("Rejected: fraud-detector 7 to production", exact=True).last).to_be_visible()
    expect(alice.get_by_text("not before the audit").last).to_be_visible()


def test_details_and_home_open_and_tell(open_page: Open) -> None:
    alice, carol = open_page(ALICE), open_page(CAROL)
    say(alice, "/promote fraud-detector 7 to production because third time")
    last_card(carol, ASKED).get_by_role("button", name="Details").click()
    details = carol.get_by_role("dialog")
    expect(details.get_by_text("Measurements")).to_be_visible()
    carol.keyboard.press("Escape")
    expect(details).to_have_count(0)

    home = open_page(CAROL, channel="baton", tab="home")
    expect(home.get_by_text("Waiting on you (1)")).to_be_visible()
    expect(home.get_by_role("button", name="Approve")).to_be_visible()


def test_on_a_phone_nothing_scrolls_sideways_and_the_buttons_are_there(open_page: Open) -> None:
    carol = open_page(CAROL, phone=True)

    expect(carol.get_by_role("button", name="Approve").last).to_be_visible()
    assert carol.evaluate("document.documentElement.scrollWidth") <= 390


def test_hostile_names_are_text(open_page: Open, setting: Setting) -> None:
    name = "<!channel> *x* _y_ <img src=x onerror=alert(1)>"
    version = {
        "version": "1",
        "metrics": [{"name": "auc", "value": 0.99}],
        "artifact": {"uri": "s3://x", "digest": "sha256:00"},
    }
    setting.api("POST", f"/models/{name.replace('/', '%2F')}/versions", **version)
    setting.api("POST", "/promotions", model=name, version="1", stage="staging", reason="<http://evil|click> `*_~")
    alice = open_page(ALICE)

    card = alice.locator("[data-ts]").filter(has_text="‹!channel› *x* _y_").last
    expect(card).to_be_visible()
    assert card.locator("img[src=x]").count() == 0
    expect(card.get_by_text("‹http://evil|click› `*_~")).to_be_visible()
