"""A canary that is watched: what the metrics say moves it on, takes it back, or calls a person."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.local_slack.person import Json, labels, shown_text
from tests.integration.test_prometheus_source import FakePrometheus, vector
from tests.scenario.test_bundles import REFUSE, asked, put_together, serving
from tests.scenario.test_bundles import acts as bundle_acts
from tests.scenario.test_rollouts import acts
from tests.scenario.world import MODEL, POLICY, Baton, wait

ROLLOUT = """    rollout:
      strategy: canary
      steps: [{traffic: 5, hold: 2s}, {traffic: 100}]
      analysis:
        source: prometheus
        interval: 1s
        metrics:
          - {name: error_rate, query: 'errors{version="{{version}}"}', at_most: 0.02, failure_limit: 0}
"""


class Model:
    """A toy model service as its metrics show it; `rates` are error rates by version, None for no data."""

    def __init__(self) -> None:
        self.rates: dict[str, float | str | None] = {}
        self.down = False
        self.hangs = ""  #: a version of which nothing is said until `let_go`
        self.let_go = threading.Event()
        self.asked: list[str] = []

    def answer(self, query: str) -> tuple[int, Any]:
        self.asked.append(query)
        if self.down:
            return 503, {"status": "error", "errorType": "unavailable", "error": "starting up"}
        version = query.partition('version="')[2].partition('"')[0]
        model = query.partition('model="')[2].partition('"')[0]
        if version == self.hangs:
            self.let_go.wait(60)
        rate = self.rates.get(f"{model} {version}".strip())
        return 200, vector() if rate is None else vector(str(rate))


@pytest.fixture
def model() -> Iterator[Model]:
    made = Model()
    yield made
    made.let_go.set()


@pytest.fixture
def prometheus(model: Model) -> Iterator[FakePrometheus]:
    with FakePrometheus(model.answer, at="", timeout="10s") as server:
        yield server


@pytest.fixture
def policy(prometheus: FakePrometheus, tmp_path: Path) -> str:
    text = POLICY.replace("    rollback: {allowed: [on-call]}", ROLLOUT + "    rollback: {allowed: [on-call]}")
    return f'{text}sources:\n  prometheus: {{type: prometheus, url: "{prometheus.url}"}}\n'


def begun(baton: Baton, version: str) -> Json:
    baton.register(version)
    baton.approve(baton.ask(version))
    return baton.card(f"{MODEL} {version}")


def test_good_numbers_let_it_through_to_the_champions_place(baton: Baton, model: Model) -> None:
    model.rates = {"7": 0.01}
    begun(baton, "7")
    baton.card(f"{MODEL} 7 is champion of production")
    assert [each[1] for each in acts(baton)] == [5, 100]
    assert 'errors{version="7"}' in model.asked


def test_bad_numbers_bring_the_champion_back_and_the_card_says_why(baton: Baton, model: Model) -> None:
    model.rates = {"6": 0.01, "7": 0.09}
    begun(baton, "6")
    baton.card(f"{MODEL} 6 is champion of production")
    begun(baton, "7")
    ended = shown_text(baton.card(f"Stopped and put back: {MODEL} 7 in production"))
    assert "error_rate is 0.09, at most 0.02 is allowed. 7 was taken back; 6 serves again." in ended
    assert acts(baton)[-1] == ("rollback", 100, "6")
    assert baton.champion() == "6"
    story = wait(lambda: baton.story(baton.card("Stopped and put back")), "the story")
    assert "error_rate is 0.09" in story


@pytest.mark.parametrize("nothing", [None, "NaN"])
def test_no_data_never_moves_it_on_and_a_person_is_asked(baton: Baton, model: Model, nothing: str | None) -> None:
    model.rates = {"7": nothing}
    begun(baton, "7")
    card = baton.card("*Somebody must say how to go on:*")
    assert {"Continue", "Wait longer", "Roll back"} <= set(labels(card))
    assert [each[1] for each in acts(baton)] == [5]
    model.rates = {"7": 0.01}
    baton.click(baton.bob, card, "Wait longer")
    baton.card(f"{MODEL} 7 is champion of production")


def test_a_source_that_is_down_never_moves_it_on(baton: Baton, model: Model) -> None:
    model.down = True
    begun(baton, "7")
    card = baton.card("*Somebody must say how to go on:*", 60)
    assert "could not be looked at" in shown_text(card) or "has no answer" in shown_text(card)
    assert [each[1] for each in acts(baton)] == [5]
    baton.click(baton.bob, card, "Continue")
    wait(lambda: [each[1] for each in acts(baton)] == [5, 100], "the next step")


class TestHanging:
    """A look of eight queries, each of which is given up after 10 s."""

    @pytest.fixture
    def policy(self, policy: str) -> str:
        metric = next(line for line in ROLLOUT.splitlines(keepends=True) if "error_rate" in line)
        return policy.replace(metric, "".join(metric.replace("error_rate", f"error_rate_{each}") for each in range(8)))

    def test_a_source_that_hangs_holds_up_neither_the_way_back_nor_anybody_else(
        self, baton: Baton, model: Model
    ) -> None:
        model.rates = {"6": 0.01, "7": 0.01, "8": 0.01}
        begun(baton, "6")
        baton.card(f"{MODEL} 6 is champion of production")
        model.hangs = "7"
        begun(baton, "7")
        card = wait(lambda: next((m for m in baton.cards() if "Roll back" in labels(m)), None), "the first step")
        wait(lambda: 'errors{version="7"}' in model.asked, "the question that hangs")

        baton.register("8", "churn")
        said = baton.command(baton.alice, "/promote churn 8 to production")
        baton.approve(baton.card(str(said["text"]).partition(":")[0]))
        baton.card("churn 8 is champion of production")
        baton.click(baton.bob, card, "Roll back")

        ended = shown_text(baton.card(f"Stopped and put back: {MODEL} 7 in production"))
        assert "bob stopped it. 7 was taken back; 6 serves again." in ended
        assert not model.let_go.is_set()
        model.let_go.set()


class TestBundles:
    """Every member is watched by its own name and version."""

    @pytest.fixture
    def policy(self, prometheus: FakePrometheus) -> str:
        watched = ROLLOUT.replace('errors{version="{{version}}"}', 'errors{model="{{model}}",version="{{version}}"}')
        text = REFUSE.replace("    rollback: {allowed: [on-call]}", watched + "    rollback: {allowed: [on-call]}")
        return f'{text}sources:\n  prometheus: {{type: prometheus, url: "{prometheus.url}"}}\n'

    def test_each_member_is_measured_and_one_that_fails_takes_them_all_back(self, baton: Baton, model: Model) -> None:
        model.rates = {"embedder 6": 0.01, "ranker 3": 0.01, "embedder 7": 0.01, "ranker 4": 0.09}
        put_together(baton, "1", "6", "3")
        baton.approve(asked(baton, "search 1 to production"))
        baton.card("search 1 is champion of production")
        assert {'errors{model="embedder",version="6"}', 'errors{model="ranker",version="3"}'} == set(model.asked)

        put_together(baton, "2", "7", "4")
        baton.approve(asked(baton, "search 2 to production"))

        card = baton.card("Stopped and put back: search 2 in production")
        assert "ranker 3 and embedder 6 serve again." in shown_text(card)
        assert "ranker 4: error_rate is 0.09, at most 0.02 is allowed." in shown_text(card)
        assert serving(baton) == ("1", "6", "3")
        assert [each[:2] for each in bundle_acts(baton)[-2:]] == [("rollback", "ranker 3"), ("rollback", "embedder 6")]

    def test_a_member_without_data_holds_them_all_and_the_question_names_it(self, baton: Baton, model: Model) -> None:
        model.rates = {"embedder 6": 0.01}
        put_together(baton, "1", "6", "3")
        baton.approve(asked(baton, "search 1 to production"))

        card = baton.card("*Somebody must say how to go on:*")

        assert "ranker 3: error_rate cannot be judged. Of the candidate: no series answers the query." in (
            shown_text(card)
        )
        assert serving(baton) == (None, None, None)
