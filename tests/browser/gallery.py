"""Photographs every view in both themes, on a desk and on a phone, for docs/gallery: `python -m tests.browser.gallery`."""

from __future__ import annotations

import shutil
import tempfile
from itertools import groupby
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser.conftest import QUIET
from tests.browser.scenes import scenes
from tests.browser.studio import LOOKS, Studio, office
from tests.browser.views import ANSWER, BOARD, CARD, DIRECT, FORM, View

FOLDER = Path(__file__).parents[2] / "docs" / "gallery"
GROUPS = (CARD, FORM, ANSWER, BOARD, DIRECT)


def main(folder: Path = FOLDER) -> None:
    """Write every picture, and the page that shows them."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    views = []
    with (
        tempfile.TemporaryDirectory(prefix="gallery-") as work,
        office(Path(work)) as (baton, registry),
        sync_playwright() as driver,
    ):
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=QUIET)
        studio = Studio(browser, baton.slack.url)
        for view in scenes(baton, registry):
            page, element = studio.visit(view)
            for look in LOOKS:
                studio.wear(page, look)
                studio.photograph(page, element, view, look, folder / f"{view.name}-{look.name}.png")
            studio.leave(page, view)
            views.append(view)
            print(view.name)
        browser.close()
    (folder / "README.md").write_text(readme(views), encoding="utf-8")


def readme(views: list[View]) -> str:
    """The page: a table for each group of views."""
    lines = [
        "# Gallery",
        "",
        "Every view of Baton, photographed at the local Slack's page by `python -m tests.browser.gallery`.",
        "The rules that they must meet are checked by `tests/browser/test_gallery.py`: the first line says what is asked,",
        "the second why it is or is not safe, missing numbers read “no data”, and a phone shows the buttons without scrolling.",
    ]
    for group, found in groupby(sorted(views, key=lambda view: GROUPS.index(view.group)), lambda view: view.group):
        lines += ["", f"## {group}", "", "| | phone | phone, dark | desk | desk, dark |", "|---|---|---|---|---|"]
        for view in found:
            shots = (
                f'<img src="{view.name}-{look.name}.png" width="{180 if look.phone else 280}" alt="{view.name}, {look.name}">'
                for look in LOOKS
            )
            lines.append(f"| **{view.name}**<br>{view.says} | {' | '.join(shots)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
