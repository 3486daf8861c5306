"""What a picture shows, as data and as text."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from scipy.stats import binomtest  # an oracle
from slack_sdk.models.blocks import Block

from bot.local_slack.limits import MESSAGE_BLOCKS_CHARS, message_length, validate
from bot.slack.blocks import picture
from bot.slack.blocks.picture import behind, in_text
from core.domain.model import DeploymentState, Measurement, ModelVersion, State
from core.domain.views import DeploymentView, PromotionView, RolloutView
from core.policy.comparison import ROWS, Comparison, Strip, compare
from core.policy.comparison import alt_text as in_words
from core.policy.gates import evaluate
from core.policy.intervals import interval
from core.policy.stages import Stage
from core.policy.timeline import LOOKS, TakenLook, Timeline, over_time, sparkline, summary
from core.policy.timeline import alt_text as over_time_in_words
from tests.unit.test_cards import NOW, view
from tests.unit.test_hostile_text import NASTY

Json = dict[str, Any]


def version(number: str, *measured: Measurement) -> ModelVersion:
    return ModelVersion("fraud-detector", number, "s3://m", "sha256:ab", measurements=measured)


def promotion(gates: list[Json], candidate: ModelVersion, champion: ModelVersion | None) -> PromotionView:
    stage = Stage.model_validate({"name": "production", "gates": gates})
    verdicts = evaluate(stage.gates, candidate, champion)
    return view(version=candidate, champion=champion, verdicts=verdicts, rules=stage.rules())


def strips(found: Comparison | None) -> dict[str, Strip]:
    assert found is not None
    return {each.name: each for each in found.strips}


# -- intervals ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("bad", "of"), [(0, 40), (12, 400), (9031, 10_000), (40, 40)])
def test_a_share_of_samples_has_wilsons_interval(bad: int, of: int) -> None:
    found = interval(version("7"), Measurement("error_rate", bad / of, samples=of))
    oracle = binomtest(bad, of).proportion_ci(method="wilson")
    assert found is not None
    assert found.how == "Wilson"
    assert (found.low, found.high) == pytest.approx((oracle.low, oracle.high), abs=1e-9)


def test_what_comes_with_its_standard_error_has_the_normal_interval() -> None:
    auc = Measurement("auc", 0.93, samples=5000)
    found = interval(version("7", auc, Measurement("auc_stderr", 0.004, samples=5000)), auc)
    assert found is not None
    assert (found.how, found.low, found.high) == ("normal", pytest.approx(0.92216), pytest.approx(0.93784))
    few = Measurement("auc", 0.93, samples=29)
    assert interval(version("7", few, Measurement("auc_stderr", 0.004)), few) is None
    assert interval(version("7", auc, Measurement("auc_stderr", 0.004, slice="country=DE")), auc) is None


@pytest.mark.parametrize(
    "measured",
    [
        Measurement("auc", 0.93, samples=10_000),  # of positives and negatives, whose numbers nobody told
        Measurement("precision", 0.9, samples=10_000),  # of those found, not of all
        Measurement("balanced_accuracy", 0.9, samples=10_000),
        Measurement("latency_p99_ms", 31.0, samples=10_000),
        Measurement("accuracy", 0.9),
        Measurement("accuracy", 0.9, samples=9),
        Measurement("accuracy", 90.0, samples=1000),  # in per cent, perhaps
        Measurement("accuracy", 0.9137, samples=50),  # no number of 50 is that share
        Measurement("accuracy", None, raw="NaN", samples=1000),
    ],
    ids=str,
)
def test_nothing_else_is_given_an_interval(measured: Measurement) -> None:
    assert interval(version("7", measured), measured) is None


# -- candidate against champion ----------------------------------------------------------------------------------


def test_each_metric_says_which_way_is_better_and_where_its_gate_is() -> None:
    gates: list[Json] = [
        {"metric": "auc", "at_least": 0.9},
        {"metric": "auc", "compared_to": "champion", "no_worse_by": 0.005},
        {"metric": "auc", "slice": "country=DE", "compared_to": "champion", "no_worse_by": 0.02},
        {"metric": "latency_p99_ms", "at_most": 50, "lower_is_better": True},
        {"metric": "gap", "at_most": 0.1, "lower_is_better": True, "advisory": True},
    ]
    candidate = version(
        "7", Measurement("auc", 0.95), Measurement("auc", 0.93, slice="country=DE"), Measurement("latency_p99_ms", 61.0),
        Measurement("gap", 0.2), Measurement("accuracy", 0.91, samples=1000), Measurement("accuracy_stderr", 0.01),
    )  # fmt: skip
    champion = version(
        "6", Measurement("auc", 0.94), Measurement("auc", 0.94, slice="country=DE"), Measurement("latency_p99_ms", 41.0)
    )
    found = compare(promotion(gates, candidate, champion))
    assert found is not None
    assert [each.name for each in found.strips] == ["latency_p99_ms", "gap", "auc", "auc (country=DE)", "accuracy"]
    assert (found.title, found.candidate, found.champion) == ("Promote fraud-detector to production?", "7", "6")
    assert found.standing == "3 of 4 gates passed"
    slow, gap, auc, germany, accuracy = found.strips
    assert (slow.unit, slow.lower_is_better, slow.outcome, slow.better) == ("ms", True, "failed", False)
    assert [(edge.label, edge.value, edge.above) for edge in slow.edges] == [("≤ 50 ms", 50, True)]
    assert [edge.label for edge in auc.edges] == ["≥ champion − 0.005"], "the stricter of the two"
    assert (auc.edges[0].value, auc.change, auc.better) == (0.935, 0.01, True)
    assert germany.better is False
    assert (gap.advisory, gap.outcome) == (True, "failed")
    assert (accuracy.lower_is_better, accuracy.outcome, accuracy.edges) == (None, "", ())
    assert accuracy.candidate is not None
    assert accuracy.candidate.how == "normal"
    for strip in found.strips:
        shown = [spot.value for spot in (strip.candidate, strip.champion) if spot] + [
            edge.value for edge in strip.edges
        ]
        assert all(0 < strip.place(value) < 1 for value in shown)
    assert slow.place(41) > slow.place(50) > slow.place(61), "better is to the right"
    assert found.legend == (
        "Lines are 95 % intervals (normal).",
        "A mark without a line is a single value: no interval is known.",
    )
    assert in_words(found).startswith(
        "Promote fraud-detector to production? Candidate 7 against champion 6; 3 of 4 gates passed. "
        "latency_p99_ms 61 ms, champion 41 ms, change +20, worse, gate ≤ 50 ms, failed. "
        "gap 0.2, gate ≤ 0.1, failed (advisory). "
        "auc 0.95, champion 0.94, change +0.01, better, gate ≥ champion − 0.005, passed."
    )


def test_no_data_and_no_champion_are_said_and_nothing_is_made_up() -> None:
    gates: list[Json] = [{"metric": "auc", "at_least": 0.9}, {"metric": "f1", "compared_to": "champion"}]
    found = compare(promotion(gates, version("7", Measurement("f1", 0.8)), version("6", Measurement("auc", 0.94))))
    shown = strips(found)
    assert shown["auc"].candidate is None
    assert shown["f1"].champion is None
    assert found is not None
    assert "auc no data, champion 0.94, gate ≥ 0.9, inconclusive." in in_words(found)
    first = compare(promotion(gates, version("7", Measurement("auc", 0.95)), None))
    assert first is not None
    assert first.champion == ""
    assert "Candidate 7, no champion yet;" in in_words(first)
    assert compare(promotion([{"lineage": ["data"]}], version("7"), None)) is None


def test_a_phone_is_shown_eight_rows_and_the_rest_is_counted() -> None:
    gates: list[Json] = [{"metric": f"m{n}", "at_least": 0.5} for n in range(12)]
    found = compare(
        promotion(gates, version("7", *(Measurement(f"m{n}", 0.4 if n == 11 else 0.6) for n in range(12))), None)
    )
    assert found is not None
    assert (len(found.strips), found.left_out) == (ROWS, 4)
    assert found.strips[0].name == "m11", "what stops it comes first"
    assert "4 more under Details." in in_words(found)


def test_different_data_is_pointed_out() -> None:
    gates: list[Json] = [{"metric": "auc", "compared_to": "champion"}]
    old = Measurement("auc", 0.94, dataset="eval", dataset_digest="sha256:1")
    new = Measurement("auc", 0.95, dataset="eval", dataset_digest="sha256:2")
    found = compare(promotion(gates, version("7", new), version("6", old)))
    assert found is not None
    assert found.caution == "Candidate and champion were measured on different data."


# -- over time ---------------------------------------------------------------------------------------------------

ANALYSIS: Json = {
    "name": "production",
    "deploy": {"target": "hook"},
    "rollout": {
        "strategy": "canary",
        "steps": [{"traffic": 5, "hold": "10m"}, {"traffic": 100}],
        "analysis": {
            "source": "prometheus",
            "metrics": [
                {"name": "p99_ms", "query": 'p99{version="{{version}}"}', "at_most": 50},
                {
                    "name": "errors",
                    "bad": 'b{version="{{version}}"}',
                    "total": 't{version="{{version}}"}',
                    "at_most": 0.02,
                },
            ],
        },
    },
}


def deployment(traffic: int, minutes: int, which: str = "7") -> DeploymentView:
    at = NOW + timedelta(minutes=minutes)
    return DeploymentView(
        traffic, 12, "deploy", "hook", DeploymentState.SUCCEEDED, which, "6", "k", at, at, None, at, "", "", "", 1, "", traffic, view().model
    )  # fmt: skip


def looks(count: int, failing: int = 0) -> list[TakenLook]:
    return [
        TakenLook(
            NOW + timedelta(minutes=n + 1),
            5,
            {
                "p99_ms": ["passed", 31.0 + n % 3, 30.0],
                "errors": ["failed", 0.026, None] if n >= count - failing else ["inconclusive", None, None] if n == 3 else ["passed", 0.01, None],
            },
        )
        for n in range(count)
    ]  # fmt: skip


def rolling_out(state: State, phase: str = "holding", **changes: Any) -> PromotionView:
    stage = Stage.model_validate(ANALYSIS)
    rollout = RolloutView("canary", (5, 100), 0, 5, phase, NOW, None)
    done = (deployment(5, 0), deployment(100, 20), deployment(100, 25, "6"))
    return view(state, rules=stage.rules(), rollout=rollout, deployments=done, **changes)


def test_a_rollout_is_shown_look_by_look_with_its_steps_and_how_it_ended() -> None:
    found = over_time(rolling_out(State.ROLLED_BACK), looks(24, failing=2))
    assert found is not None
    assert [each.name for each in found.panels] == ["errors", "p99_ms"], "what failed comes first"
    assert [(step.at, step.traffic) for step in found.steps] == [(0.0, 5), (1200.0, 100)]
    assert (found.standing, found.verdict, found.seconds) == ("failed", "Rolled back: 6 serves again", 1440.0)
    errors, latency = found.panels
    assert ([edge.label for edge in errors.edges], errors.share) == (["at most 2 %"], True)
    assert [edge.label for edge in latency.edges] == ["at most 50 ms"]
    assert summary(errors) == "errors last 2.6 %, at most 2 %; 24 looks, 2 failed, 1 inconclusive"
    assert summary(latency) == "p99_ms last 33 ms, champion 30 ms, at most 50 ms; 24 looks"
    assert sparkline(errors)[3] == "·"
    assert sparkline(errors).endswith("××")
    assert over_time_in_words(found).startswith(
        "Rollout of fraud-detector to production: candidate 7 beside champion 6. Rolled back: 6 serves again. "
        "Traffic: 5 % after 0 s, 100 % after 20 min."
    )


@pytest.mark.parametrize(
    ("state", "phase", "verdict"),
    [
        (State.SUCCEEDED, "ended", "Passed: 7 is champion"),
        (State.DEPLOYING, "holding", "Running, at 5 % of the traffic"),
        (State.DEPLOYING, "asking", "Somebody must say how to go on"),
        (State.ROLLING_BACK, "ended", "Rolled back: 6 serves again"),
        (State.ERRORED, "ended", "Ended in an error: a person must look"),
    ],
)
def test_how_it_stands_is_said(state: State, phase: str, verdict: str) -> None:
    found = over_time(rolling_out(state, phase), looks(5))
    assert found is not None
    assert found.verdict == verdict


def test_of_very_many_looks_none_is_left_out_that_did_not_pass() -> None:
    found = over_time(rolling_out(State.DEPLOYING), looks(2000, failing=3))
    assert found is not None
    errors = found.panels[0].points
    assert len(errors) <= LOOKS + 4
    assert sum(point.outcome == "failed" for point in errors) == 3
    assert any(point.outcome == "inconclusive" for point in errors)
    assert over_time(rolling_out(State.DEPLOYING), []) is None
    assert over_time(view(), looks(5)) is None


# -- drawn and written -------------------------------------------------------------------------------------------


def both() -> tuple[Comparison, Timeline]:
    compared, timed = compare(view()), over_time(rolling_out(State.SUCCEEDED), looks(24, failing=1))
    assert compared is not None
    assert timed is not None
    return compared, timed


@pytest.mark.parametrize("hostile", NASTY)
def test_names_from_outside_do_no_harm(hostile: str) -> None:
    gates: list[Json] = [{"metric": "auc", "at_least": 0.9}]
    named = ModelVersion(
        hostile, hostile, "s3://m", "sha256:ab", measurements=(Measurement("auc", 0.95, slice=hostile),)
    )
    found = compare(promotion(gates, named, named))
    assert found is not None
    message = in_text(found)
    assert validate(message.blocks) == []
    assert message_length(message.blocks) < MESSAGE_BLOCKS_CHARS
    assert "<!" not in message.text
    assert len(picture.picture(found, "F0123456789").blocks[0]["alt_text"]) <= 2000


def test_in_text_the_strips_show_who_stands_where() -> None:
    compared, timed = both()
    message = in_text(compared)
    assert [Block.parse(each) is not None for each in message.blocks] == [True] * len(message.blocks)
    assert validate(message.blocks) == []
    words = message.blocks[1]["elements"][0]["elements"][0]["text"].splitlines()
    assert words[0] == "✔ auc: 0.95 vs 0.93 (+0.02)"
    line = words[1]
    assert line.index("┊") < line.index("◇") < line.index("●")
    assert line.endswith("≥ champion − 0.005")
    assert words[-1] == "● candidate  ◇ champion  ┊ gate  better →"
    over = in_text(timed)
    assert validate(over.blocks) == []
    assert "×" in over.blocks[1]["elements"][0]["elements"][0]["text"]


def test_details_hold_pictures_under_their_head_or_the_analysis_as_text() -> None:
    _, timed = both()
    details = {"blocks": [{"type": "header"}, {"type": "section"}, *({"type": "divider"} for _ in range(98))]}
    with_files = behind(details, {"evidence": ("F0123456789", "words"), "analysis": ("F0987654321", "more")}, timed)
    assert [each["slack_file"]["id"] for each in with_files["blocks"][2:4]] == ["F0987654321", "F0123456789"]
    assert len(with_files["blocks"]) == 100
    as_text = behind(details, {}, timed)
    assert as_text["blocks"][3]["type"] == "rich_text"
    assert behind(details, {}, None) == details
