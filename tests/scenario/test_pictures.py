"""The numbers as a picture: in the thread once, behind Details, and as text where there is no picture."""

from __future__ import annotations

import io
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from bot.charts import drawing
from bot.local_slack.person import Json, Person, shown_text
from bot.slack.pacing import Pace
from bot.slack.pictures import Pictures
from tests.integration.test_prometheus_source import FakePrometheus
from tests.scenario.test_analysis import ROLLOUT, Model
from tests.scenario.world import MODEL, POLICY, PROMO, Baton, wait


@pytest.fixture
def pictures() -> str:
    return "auto"


ELSEWHERE = drawing.draw


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting a process that draws takes seconds of a core; the first story does, and the unit tests are about it."""
    monkeypatch.setattr(drawing, "draw", lambda found, _folder, _seconds: drawing.png(found))


def thread(baton: Baton, card: Json) -> list[Json]:
    return [m for m in baton.alice.messages(PROMO, card["ts"]) if m["ts"] != card["ts"]]


def images(blocks: list[Json]) -> list[Json]:
    return [block for block in blocks if block["type"] == "image"]


def pictured(baton: Baton, card: Json, about: str) -> list[Json]:
    """The messages in the thread whose picture, or text, is about this."""
    return [m for m in thread(baton, card) if about in m["text"]]


def details(baton: Baton, person: Person, card: Json) -> Json:
    baton.click(person, card, "Details")
    return person.wait_for_view(predicate=lambda view: view["title"]["text"].startswith("P-"))


def png_of(baton: Baton, block: Json) -> tuple[int, int]:
    """Its size, fetched as the app would."""
    file = block["slack_file"]["id"]
    address = baton.slack.workspace.files[file]
    url = f"{baton.slack.url}/files-pri/T0LOCAL-{file}/{address.name}"
    assert b"Sign in" in httpx.get(url, trust_env=False).content
    proof = {"authorization": f"Bearer {baton.slack.bot_token}"}
    drawn = httpx.get(url, headers=proof, trust_env=False).content
    assert drawn.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", io.BytesIO(drawn).getvalue()[16:24])
    return width, height


def test_the_thread_holds_the_picture_once_and_details_shows_it(baton: Baton, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "draw", lambda found, folder, _: ELSEWHERE(found, folder, 60.0))
    baton.register("7")
    card = baton.ask("7")
    asked = f"Promote {MODEL} to production?"
    [shown] = wait(lambda: pictured(baton, card, asked), "the picture")
    [block] = images(shown["blocks"])
    assert "auc 0.95, gate ≥ 0.9, passed" in block["alt_text"]
    width, height = png_of(baton, block)
    assert width >= 1280
    assert height >= 800
    assert "auc 0.95" in block["alt_text"]

    behind = wait(lambda: images(details(baton, baton.bob, card)["blocks"]), "the picture behind Details")
    assert behind[0]["slack_file"] == block["slack_file"]

    baton.server.stop()
    baton.start()
    baton.approve(card)
    baton.card(f"{MODEL} 7 is champion of production")
    baton.tick("pictures")
    assert len(pictured(baton, card, asked)) == 1
    assert len(baton.slack.workspace.files) == 1


def test_two_processes_and_a_lost_answer_make_one_picture(baton: Baton, monkeypatch: pytest.MonkeyPatch) -> None:
    may_draw = threading.Event()

    def draw(found: drawing.Picture, _folder: str, _seconds: float) -> bytes:
        assert may_draw.wait(30)
        return drawing.png(found)

    monkeypatch.setattr(drawing, "draw", draw)
    mine = baton.server.services.messages
    other = Pictures(baton.server.database, mine.client, Pace(), baton.clock, mine.on_error, "auto")
    other.start()
    try:
        baton.register("7")
        card = baton.ask("7")
        wait(lambda: "asked for it" in baton.story(card) and "Gates passed" in baton.story(card), "the story")
        baton.fault("chat.postMessage", status=500, after_effect=True)
        may_draw.set()
        until_shown = "SELECT count(*) FROM messages WHERE kind = 'picture' AND shown = wanted AND ts <> ''"
        wait(lambda: (other.sweep(), baton.scalar(until_shown))[1], "the picture to be posted")
        assert len(pictured(baton, card, f"Promote {MODEL}")) == 1
        assert len(baton.slack.workspace.files) == 1
    finally:
        other.stop()


def test_a_file_that_slack_has_lost_costs_details_its_picture_only(baton: Baton) -> None:
    baton.register("7")
    card = baton.ask("7")
    wait(lambda: pictured(baton, card, "Promote"), "the picture")
    wait(lambda: images(details(baton, baton.bob, card)["blocks"]), "the picture behind Details")
    baton.excused = {"views.open"}
    baton.slack.workspace.files.clear()
    assert not images(details(baton, baton.carol, card)["blocks"])
    assert "Measurements" in shown_text(details(baton, baton.carol, card))


@pytest.mark.parametrize("missing", ["matplotlib", "scope", "slack"])
def test_without_a_picture_the_text_stands_there(
    baton: Baton, missing: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if missing == "matplotlib":
        monkeypatch.setattr(drawing, "available", lambda: False)
        baton.server.stop()
        baton.start()
        assert caplog.text.count("matplotlib is not installed") <= 1
    elif missing == "scope":
        baton.excused = {"files.getUploadURLExternal"}
        baton.fault("files.getUploadURLExternal", error="missing_scope")
    else:
        monkeypatch.setattr("bot.slack.pictures.TRIES", 2)
        monkeypatch.setattr("bot.slack.pictures.backoff", lambda _: 0.01)
        baton.fault("files.completeUploadExternal", status=500, times=99)
    baton.register("7")
    card = baton.ask("7")

    [shown] = wait(lambda: pictured(baton, card, f"Promote {MODEL} to production?"), "the text", 90.0)

    assert not images(shown["blocks"])
    said = shown_text(shown)
    assert "Candidate 7, no champion yet · all 5 gates passed" in said
    assert "✔ auc: 0.95" in said
    assert "┊" in said
    assert "● candidate" in said
    assert not images(details(baton, baton.bob, card)["blocks"])
    baton.approve(card)
    baton.card(f"{MODEL} 7 is champion of production")


class TestOverTime:
    @pytest.fixture
    def model(self) -> Model:
        return Model()

    @pytest.fixture
    def prometheus(self, model: Model) -> Iterator[FakePrometheus]:
        with FakePrometheus(model.answer, at="", timeout="10s") as server:
            yield server

    @pytest.fixture
    def policy(self, prometheus: FakePrometheus, tmp_path: Path) -> str:
        text = POLICY.replace("    rollback: {allowed: [on-call]}", ROLLOUT + "    rollback: {allowed: [on-call]}")
        return f'{text}sources:\n  prometheus: {{type: prometheus, url: "{prometheus.url}"}}\n'

    def test_the_analysis_is_shown_while_it_runs_and_at_its_end(self, baton: Baton, model: Model) -> None:
        model.rates = {"7": None}
        baton.register("7")
        card = baton.ask("7")
        baton.approve(card)
        asks = baton.card("*Somebody must say how to go on:*")
        told = f"Rollout of {MODEL} to production: candidate 7 beside no champion."
        [running] = wait(
            lambda: [b for b in images(details(baton, baton.bob, asks)["blocks"]) if told in b["alt_text"]],
            "its picture",
            90.0,  # the first one looks up the fonts, in a process of its own
        )
        assert "Somebody must say how to go on." in running["alt_text"]
        assert "error_rate has no data, at most 0.02" in running["alt_text"]
        assert pictured(baton, card, told) == []

        model.rates = {"7": 0.01}
        baton.click(baton.bob, asks, "Wait longer")
        baton.card(f"{MODEL} 7 is champion of production")
        [shown] = wait(lambda: pictured(baton, card, told), "the picture of the whole rollout", 90.0)
        [block] = images(shown["blocks"])
        assert "Passed: 7 is champion." in block["alt_text"]
        assert "error_rate last 0.01, at most 0.02" in block["alt_text"]
        assert png_of(baton, block)[0] >= 1280
