"""Photographs what people see, for the README: `python -m tests.browser.screenshots`."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from bot.demo.setting import ALICE, BOB, CAROL, Setting
from bot.demo.tour import at_step, card, click, history, promote
from tests.browser.conftest import DESKTOP, PHONE, QUIET, say

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"
ASKED = "Promote fraud-detector 7 to production?"


def main() -> None:
    """Write every picture."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with Setting() as setting, sync_playwright() as playwright:
        history(setting, print)
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=QUIET)

        def window(
            user: str, phone: bool = False, theme: str = "light", channel: str = "C01PROMO", more: str = ""
        ) -> Page:
            page = browser.new_context(viewport=PHONE if phone else DESKTOP).new_page()
            page.goto(f"{setting.slack.url}/?user={user}&channel={channel}&theme={theme}{more}")
            expect(page.get_by_role("button", name="You are")).to_be_visible()
            return page

        def take(page: Page, name: str) -> None:
            page.wait_for_timeout(700)  # pictures only: let fonts and scrolling settle
            page.screenshot(path=FOLDER / f"{name}.png")
            print(name)

        promote(setting, "7", "production", "it finds 3 % more fraud in October's holdout, at the same latency")
        message = card(setting, ASKED)
        bob = window(BOB)
        take(bob, "channel")
        take(window(CAROL, phone=True), "phone")
        take(window(CAROL, phone=True, theme="dark"), "phone-dark")
        take(window(BOB, channel="baton", more="&tab=home"), "home")
        bob.get_by_role("button", name="Details").last.click()
        take(bob, "details")
        bob.keyboard.press("Escape")
        alice = window(ALICE)
        say(alice, "/promote")
        form = alice.get_by_role("dialog")
        form.get_by_role("combobox", name="Model").fill("fraud")
        alice.get_by_role("option", name="fraud-detector").click()
        expect(form.locator('[data-block-id="version:fraud-detector"]')).to_be_visible()  # drawn anew for this model
        form.get_by_role("combobox", name="Version").click()
        alice.get_by_role("option", name="8", exact=True).click()
        expect(form.get_by_text("against champion")).to_be_visible()
        take(alice, "promote-form")
        for who in (BOB, CAROL):
            click(setting, who, message, "Approve")
        for step in (1, 2):
            at_step(setting, step)
            if step == 1:
                take(window(BOB), "canary")
            click(setting, BOB, at_step(setting, step), "Continue now")
        card(setting, "fraud-detector 7 is champion of production")
        say(bob, "/rollback fraud-detector because false alarms doubled since 02:40")
        expect(bob.get_by_role("button", name="Roll back to 6")).to_be_visible()
        take(bob, "rollback")
        bob.get_by_role("button", name="Roll back to 6").click()
        expect(
            bob.get_by_text("Rolled back: fraud-detector 6 serves production again", exact=True).last
        ).to_be_visible()
        bob.get_by_role("button", name="replies").last.click()
        take(bob, "thread")
        promote(setting, "7", "production", "the false alarms came from a broken feed")
        card(setting, ASKED)
        setting.run("digest", "--send")
        morning = window(BOB)
        expect(morning.get_by_text("waiting for a decision").last).to_be_visible()
        take(morning, "digest")
        browser.close()


if __name__ == "__main__":
    main()
