"""Looks at views in a real browser: goes where each is seen, in both themes and widths, measures and photographs it."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect

from bot import wiring_registries
from bot.slack import pacing
from core.engine import Engine
from core.store.database import Database
from core.store.migrate import upgrade
from tests.browser.conftest import PHONE
from tests.browser.views import View, policy
from tests.fakes.mlflow import MLflow
from tests.scenario.world import Baton

PALETTE = (Path(__file__).parent / "palette.js").read_text(encoding="utf-8")
MEASURE = (Path(__file__).parent / "measure.js").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Look:
    """A width and a theme."""

    name: str
    size: ViewportSize
    theme: str

    @property
    def phone(self) -> bool:
        return self.size["width"] < 760


DESK: ViewportSize = {"width": 1000, "height": 860}
SMALL: ViewportSize = {"width": PHONE["width"], "height": PHONE["height"]}
LOOKS = (
    Look("phone", SMALL, "light"),
    Look("phone-dark", SMALL, "dark"),
    Look("desk", DESK, "light"),
    Look("desk-dark", DESK, "dark"),
)
WHERE = {"channel": "C01PROMO", "thread": "C01PROMO", "form": "C01PROMO", "confirm": "C01PROMO"}
ACTIONS = ".block-actions"
FRAMES = {"home": ".home", "form": "dialog.modal", "confirm": "dialog.confirm", "thread": ".thread"}


@contextmanager
def office(folder: Path) -> Iterator[tuple[Baton, str]]:
    """Baton at the local Slack, for a day of scenes, and the URL of an MLflow server that it watches."""
    url = f"sqlite:///{folder / 'baton.db'}"
    database = Database(url)
    upgrade(database.engine)
    engine = Engine(database)
    engine.migrate()
    engine.stop()
    database.dispose()
    usual = pacing.PER_SECOND, wiring_registries.SWEEP_SECONDS
    pacing.PER_SECOND, wiring_registries.SWEEP_SECONDS = 20.0, 0.2
    with MLflow() as registry:
        baton = Baton(folder, "http", policy(registry.url), url, patience=15.0)
        try:
            baton.open()
            yield baton, registry.url
        finally:
            baton.close()
            pacing.PER_SECOND, wiring_registries.SWEEP_SECONDS = usual


class Studio:
    """One window a person, kept open. `url` is the local Slack's."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser = browser
        self._url = url
        self._pages: dict[str, tuple[Page, str]] = {}

    def visit(self, view: View) -> tuple[Page, Locator]:
        """The person's window with the view in it, and the view's own element."""
        page, before = self._pages.get(view.user) or (self._browser.new_context(viewport=DESK).new_page(), "")
        channel = WHERE.get(view.place, "baton")
        thread = f"&thread={view.ts}" if view.place == "thread" else ""
        place = f"?user={view.user}&channel={channel}&tab={'home' if view.place == 'home' else 'messages'}{thread}"
        page.set_viewport_size(DESK)
        if place != before or view.place == "home":
            page.goto(f"{self._url}/{place}")
        self._pages[view.user] = (page, place)
        view.prepare(page)
        element = page.locator(FRAMES.get(view.place) or f'[data-ts="{view.ts}"]').last
        for part in (view.text, view.second):  # the card may have stood there with the same headline, a moment ago
            expect(element).to_contain_text(part)
        if view.buttons:
            expect(element.locator(ACTIONS)).not_to_have_count(0)
        return page, element

    def wear(self, page: Page, look: Look) -> None:
        """Have the window look so."""
        page.emulate_media(color_scheme="dark" if look.theme == "dark" else "light", reduced_motion="reduce")
        page.set_viewport_size(look.size)

    def measure(self, element: Locator) -> dict[str, Any]:
        """What measure.js finds of the element as it is drawn now."""
        found: dict[str, Any] = element.evaluate(MEASURE)
        return found

    def photograph(self, page: Page, element: Locator, view: View, look: Look, path: Path) -> None:
        """The view's element alone, whole where it is longer than the window, as a PNG file."""
        if view.place in ("channel", "app", "home", "thread"):
            inner = ".thread .scroll-inner" if view.place == "thread" else FRAMES.get(view.place)
            box = (page.locator(inner) if inner else element).first
            tall = box.evaluate("e => Math.ceil(e.scrollHeight)") + 260
            page.set_viewport_size({"width": look.size["width"], "height": max(look.size["height"], tall)})
        page.mouse.move(0, 0)
        taken = element.screenshot(animations="disabled", caret="hide")
        found = page.evaluate(PALETTE, base64.b64encode(taken).decode())
        path.write_bytes(_png(found["width"], found["height"], found["colours"], base64.b64decode(found["pixels"])))

    def close(self) -> None:
        """Close every window."""
        for page, _ in self._pages.values():
            page.context.close()

    def leave(self, page: Page, view: View) -> None:
        """Close what the view opened in the window alone."""
        if view.place == "confirm":
            page.keyboard.press("Escape")
            expect(page.locator("dialog.confirm")).to_have_count(0)


def _png(width: int, height: int, colours: list[int], pixels: bytes) -> bytes:
    """A PNG of at most 256 colours: a third of what the browser makes."""
    lines = b"".join(b"\0" + pixels[at : at + width] for at in range(0, width * height, width))
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", bytes(colours)),
        (b"IDAT", zlib.compress(lines, 9)),
        (b"IEND", b""),
    )
    chunks = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
