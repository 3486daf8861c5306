"""The metrics source and whole analyses against a real Prometheus that scrapes a toy model service."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from core.policy.analysis import AnalysisVerdict, Progress, begin, conclude, observe, verdict
from core.policy.queries import fill
from core.policy.readings import Missing, Reading, Standing, Unanswered, Value
from core.policy.rollout import Analysis
from core.sources.looks import Subject, take_looks
from core.sources.prometheus import PrometheusSource
from tests.external.prometheus import ToyService, real_prometheus, toy_service

#: Each of them is a label's value in its own right, and would be something else outside of its quotes.
HOSTILE = [
    "7",
    '7"} or vector(99) #',
    "7'} or vector(99) #",
    "7\\",
    '7\\"} or vector(99) #',
    "7`",
    ".*",
    "7|.*",
    "[a-z]+",
    "(?i)SEVEN",
    "\\E.*",
    "$1",
    "a\nb",
    "{{version}}",
    "naïve — 版本 🚀",
    "\t\x01",
    "a b",
]


class World:
    """The toy service, and the Prometheus that scrapes it."""

    def __init__(self, toy: ToyService, url: str, source: PrometheusSource) -> None:
        self.toy = toy
        self.url = url
        self.source = source

    def ask(self, query: str, **names: str) -> Reading:
        return self.source.ask(fill(query, names), datetime.now(UTC))

    def await_value(self, wanted: float, query: str, **names: str) -> None:
        until = time.monotonic() + 30
        while (seen := self.ask(query, **names)) != Value(wanted):
            assert time.monotonic() < until, seen
            time.sleep(0.02)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with (
        toy_service() as toy,
        real_prometheus(toy.address, tmp_path_factory.mktemp("prometheus"), "--query.max-samples=1000") as url,
    ):
        toy.requests = {name: 1_000 + number for number, name in enumerate(HOSTILE)}
        source = PrometheusSource(url)
        made = World(toy, url, source)
        made.await_value(len(HOSTILE), "count(requests_total)")
        yield made
        source.close()


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("matcher", ['="{{version}}"', "='{{version}}'", '=~"{{version}}"', "=~'({{version}}|nobody)'"])
def test_a_hostile_name_finds_its_own_series_and_no_other(world: World, name: str, matcher: str) -> None:
    assert world.ask(f"requests_total{{version{matcher}}}", version=name) == Value(1_000 + HOSTILE.index(name))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_excludes_its_own_series_and_no_other(world: World, name: str) -> None:
    rest = Value(float(len(HOSTILE) - 1))
    assert world.ask('count(requests_total{version!="{{version}}"})', version=name) == rest
    assert world.ask('count(requests_total{version!~"{{version}}"})', version=name) == rest


@pytest.mark.parametrize(
    ("query", "reading"),
    [
        ("scalar(vector(1)) / 3", Value(1 / 3)),
        ("vector(1e300)", Value(1e300)),
        ("vector(0) / 0", Missing("the answer is NaN, which says nothing.")),
        ("vector(1) / 0", Missing("the answer is +Inf, which says nothing.")),
        ("no_such_metric", Missing("no series answers the query.")),
        ("no_such_metric or vector(0)", Value(0.0)),
        ("requests_total", Missing(f"{len(HOSTILE)} series answer the query, and one number is wanted; sum them or narrow it.")),
        ('"seven"', Missing("the query answers with a string, and one number is wanted.")),
        ("requests_total[1m]", Missing("the query answers with a matrix, and one number is wanted.")),
    ],
)  # fmt: skip
def test_what_prometheus_really_answers(world: World, query: str, reading: Reading) -> None:
    assert world.ask(query) == reading


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("sum(", "Prometheus answered 400, it does not understand the query: "),
        ("up + on(job) requests_total", "Prometheus answered 422, it could not carry the query out: "),
        ("sum_over_time(vector(1)[10m:1ms])", "Prometheus answered 422, it could not carry the query out: "),
    ],
)
def test_what_prometheus_really_refuses(world: World, query: str, sentence: str) -> None:
    found = world.ask(query)
    assert isinstance(found, Unanswered)
    assert found.reason.startswith(sentence)
    assert len(found.reason) > len(sentence)


def test_a_query_that_takes_too_long_is_given_up(world: World) -> None:
    impatient = PrometheusSource(world.url, timeout=0.001)
    found = impatient.ask("vector(1)", datetime.now(UTC))
    impatient.close()
    assert isinstance(found, Unanswered)


# -- whole analyses ------------------------------------------------------------------------------------------------

ERRORS = {
    "name": "errors",
    "bad": 'sum(errors_total{version="{{version}}"}) or vector(0)',
    "total": 'sum(requests_total{version="{{version}}"})',
    "compared_to": "champion",
    "at_most": 0.2,
}
RATIO = {
    "name": "ratio",
    "query": 'sum(errors_total{version="{{version}}"}) / sum(requests_total{version="{{version}}"})',
    "at_most": 0.5,
    "dry_run": True,
}
Serve = Callable[[int], int]


def watch(world: World, champion: Serve, candidate: Serve, looks: int = 8) -> tuple[AnalysisVerdict, AnalysisVerdict]:
    """Looks as soon as what was served since the last one has been scraped; returns the last verdict and the end."""
    toy, analysis = world.toy, Analysis.model_validate({"source": "prometheus", "metrics": [ERRORS, RATIO]})
    for version in ("champion", "candidate"):
        toy.requests[version], toy.errors[version] = 10_000, 5_000  # what was before does not count
    progress = begin(analysis, datetime.now(UTC))
    for number in range(looks + 1):
        if number:
            for version, served, bad in (("champion", 2_700, champion), ("candidate", 300, candidate)):
                toy.errors[version] += bad(number)
                toy.requests[version] += served
        world.await_value(toy.requests["candidate"] + toy.errors["candidate"], SEEN, version="candidate")
        world.await_value(toy.requests["champion"] + toy.errors["champion"], SEEN, version="champion")
        now = datetime.now(UTC)
        subject = Subject("fraud", "production", "candidate", "champion")
        seen = observe(analysis, progress, take_looks(world.source, analysis, subject, now), now)
        progress = Progress.from_json(json.loads(json.dumps(seen.to_json(), allow_nan=False)))
        if verdict(analysis, progress).standing is not Standing.RUNNING:
            break
    return verdict(analysis, progress), conclude(analysis, progress, complete=True)


SEEN = 'sum(requests_total{version="{{version}}"}) + sum(errors_total{version="{{version}}"})'


def test_a_candidate_as_good_as_the_champion_passes(world: World) -> None:
    running, end = watch(world, champion=lambda _: 27, candidate=lambda _: 3)
    assert running.standing is Standing.RUNNING
    assert end.standing is Standing.PASSED
    assert end.sentence == "Passed after 9 looks at errors."
    assert end.metrics[0].sentence.startswith(
        "errors: 24 of 2,400 (1 %) requests were bad, 216 of 21,600 (1 %) of the champion's; evidence of harm "
    )


def test_a_candidate_that_errs_three_times_as_often_fails_within_few_looks(world: World) -> None:
    running, end = watch(world, champion=lambda _: 27, candidate=lambda _: 9)
    assert running.standing is end.standing is Standing.FAILED
    assert running.sentence.endswith("It did in 2 looks in a row.")


def test_a_candidate_that_breaks_fails_in_the_first_look(world: World) -> None:
    running, _ = watch(world, champion=lambda _: 27, candidate=lambda _: 150)
    assert running.standing is Standing.FAILED
    assert running.sentence == "errors: 150 of 300 (50 %) requests were bad; at most 20 % is allowed."


def test_a_candidate_that_was_never_served_is_no_success(world: World) -> None:
    analysis = Analysis.model_validate({"source": "prometheus", "metrics": [ERRORS]})
    now = datetime.now(UTC)
    looks = take_looks(world.source, analysis, Subject("fraud", "production", "unseen", "7"), now)
    progress = observe(analysis, begin(analysis, now), looks, now)
    found = verdict(analysis, progress)
    assert found.standing is Standing.INCONCLUSIVE
    assert found.sentence == "errors cannot be judged. Of the candidate: no series answers the query."
