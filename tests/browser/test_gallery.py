"""What the look demands of every view, measured in a real browser: on a phone and a desk, by day and by night."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.gallery import readme
from tests.browser.scenes import scenes
from tests.browser.studio import LOOKS, Look, Studio, office
from tests.browser.views import View

#: What is Slack's or Python's own way of writing, and never to be read by anybody.
RAW = re.compile(
    r"<[@#!]|&(amp|lt|gt);|\b(None(?! yet)|null|undefined|NaN)\b|\[object|\{\w*\}|(?<!\w)[*_~]\w|\w[*~](?!\w)|^\W*$"
)
#: Of those that the page asks for, the ones that Linux may have.
FAMILIES = ("Lato", "Liberation Sans", "Arial")
Measured = tuple[View, Look, dict[str, Any]]


@pytest.fixture(scope="module")
def letters() -> None:
    """Letters as wide as those of a phone; with others nothing that is measured here would say anything."""
    listed = subprocess.run(["fc-list"], capture_output=True, text=True, check=False).stdout
    if not any(family in listed for family in FAMILIES) and not os.environ.get("CI"):
        pytest.skip("none of the fonts that the page asks for is on this machine")


@pytest.fixture(scope="module")
def measured(browser: Browser, letters: None, tmp_path_factory: pytest.TempPathFactory) -> list[Measured]:
    """Every view, looked at in every way."""
    found = []
    with office(tmp_path_factory.mktemp("gallery")) as (baton, registry):
        studio = Studio(browser, baton.slack.url)
        for view in scenes(baton, registry):
            page, element = studio.visit(view)
            for look in LOOKS:
                studio.wear(page, look)
                found.append((view, look, studio.measure(element)))
            studio.leave(page, view)
        studio.close()
    return found


def named(view: View, look: Look) -> str:
    return f"{view.name}, {look.name}"


def test_the_first_line_says_what_is_asked_and_the_second_whether_it_is_safe(measured: list[Measured]) -> None:
    told = [(view, found["blocks"]) for view, look, found in measured if look is LOOKS[0]]
    said = {
        view.name: (view.first in blocks[0], view.second in blocks[1])
        for view, blocks in told
        if view.first and view.second
    }
    assert len(said) > 25
    assert [name for name, right in said.items() if right != (True, True)] == []
    assert [v.name for v, blocks in told if v.first and v.first not in blocks[0]] == []


def test_a_phone_shows_the_buttons_without_scrolling(measured: list[Measured]) -> None:
    seen = {
        named(view, look): (found["toButtons"], found["room"])
        for view, look, found in measured
        if view.buttons and look.phone
    }
    assert len(seen) > 15
    assert {name: far for name, far in seen.items() if not 0 < far[0] <= far[1]} == {}


def test_nothing_is_wider_than_the_window(measured: list[Measured]) -> None:
    assert {named(view, look): found["wide"] for view, look, found in measured if found["wide"]} == {}


def test_no_number_is_cut_off_on_a_phone_but_for_the_gates_beside_it(measured: list[Measured]) -> None:
    """A table may be scrolled sideways for its last column alone; on a desk not even that."""
    apart = ("awaiting-long", "thread")  # long names, and a pane that is narrow on a desk too
    usual = [each for each in measured if each[0].name not in apart and each[2]["tables"]]
    assert len(usual) > 40
    assert {named(view, look): found["cut"] for view, look, found in usual if found["cut"]} == {}
    desks = {named(view, look): max(found["tables"]) for view, look, found in usual if not look.phone}
    assert {name: over for name, over in desks.items() if over > 0} == {}


def test_what_is_missing_reads_no_data(measured: list[Measured]) -> None:
    cells = {view.name: found["cells"] for view, look, found in measured if look is LOOKS[0]}
    assert [name for name, each in cells.items() if "" in each] == []
    for name in ("failed-no-data", "awaiting-no-data"):
        assert "no data" in cells[name], name
    [nothing] = [found["text"] for view, look, found in measured if view.name == "awaiting-no-gates"][:1]
    assert "nothing was checked" in nothing
    assert "✅" not in nothing


def test_no_markup_is_read_by_anybody(measured: list[Measured]) -> None:
    raw = {view.name: RAW.search(found["text"]) for view, look, found in measured if look is LOOKS[0]}
    assert {name: hit[0] for name, hit in raw.items() if hit} == {}


def test_every_word_stands_out_from_what_is_behind_it(measured: list[Measured]) -> None:
    assert {named(view, look): found["faint"] for view, look, found in measured if found["faint"]} == {}
    assert all(found["read"] for _, _, found in measured)


def test_every_picture_is_shown_and_kept(measured: list[Measured]) -> None:
    views = list(dict.fromkeys(view for view, _, _ in measured))
    folder = Path(__file__).parents[2] / "docs" / "gallery"
    shown = {f"{view.name}-{look.name}.png" for view in views for look in LOOKS}
    assert shown == {path.name for path in folder.glob("*.png")}
    assert readme(views) == (folder / "README.md").read_text(encoding="utf-8")
    assert sum(path.stat().st_size for path in folder.glob("*.png")) < 8_000_000
