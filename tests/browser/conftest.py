"""A real browser on the local Slack's page, and behind it a whole Baton: the demo's own setting."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from bot.demo.setting import Setting
from bot.demo.tour import history

QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP = {"width": 1280, "height": 860}
PHONE = {"width": 390, "height": 844}

expect.set_options(timeout=60_000)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium from the system. Without it these tests fail under CI, and are skipped elsewhere."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None and not os.environ.get("CI"):
        pytest.skip("there is no Chromium on this machine")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=QUIET)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def setting() -> Iterator[Setting]:
    """Baton as a child process, with fraud-detector 6 in production and 7 in staging."""
    with Setting() as made:
        history(made, lambda _line: None)
        yield made


Open = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, setting: Setting) -> Iterator[Open]:
    """`open_page("U01ALICE")` is that person's own window."""
    contexts = []

    def make(user: str, channel: str = "C01PROMO", phone: bool = False, **query: str) -> Page:
        context = browser.new_context(viewport=PHONE if phone else DESKTOP)
        contexts.append(context)
        page = context.new_page()
        page.on("dialog", lambda dialog: pytest.fail(f"a dialog fired: {dialog.message}"))
        extra = "".join(f"&{name}={value}" for name, value in query.items())
        page.goto(f"{setting.slack.url}/?user={user}&channel={channel}{extra}")
        expect(page.get_by_role("button", name="You are")).to_be_visible()
        return page

    yield make
    for context in contexts:
        context.close()


def say(page: Page, text: str) -> None:
    """Type into the channel's composer and press Enter."""
    box = page.get_by_role("textbox", name="Message #")
    box.fill(text)
    box.press("Enter")
