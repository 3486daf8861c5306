"""An analysis: what each look says, which limits end it, and that nothing but numbers lets traffic move on."""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from core.policy.analysis import (
    AnalysisVerdict,
    Progress,
    begin,
    conclude,
    next_look,
    observe,
    resume,
    verdict,
    watches,
    whole,
)
from core.policy.gates import FIRST_ALLOWED, FIRST_DENIED
from core.policy.measuring import AT_REST, BEGAN, is_asked
from core.policy.readings import Look, Missing, Reading, Rival, Standing, Unanswered, Value
from core.policy.rollout import Analysis, AnalysisMetric

RUNNING, PASSED, FAILED, INCONCLUSIVE, ERRORED = Standing
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
OF = '{version="{{version}}"}'
RATE = {"name": "error_rate", "query": f"rate{OF}", "at_most": 0.02}
LATENCY = {"name": "p99", "query": f"p99{OF}", "compared_to": "champion", "no_worse_by": 2, "lower_is_better": True}
ERRORS = {"name": "errors", "bad": f"bad{OF}", "total": f"all{OF}", "compared_to": "champion"}
CAPPED = {"name": "errors", "bad": f"bad{OF}", "total": f"all{OF}", "at_most": 0.02, "min_samples": 1000}


def analysis(*metrics: dict[str, Any], **more: Any) -> Analysis:
    return Analysis.model_validate({"source": "prom", "metrics": list(metrics), **more})


def reading(given: float | str | Reading) -> Reading:
    if isinstance(given, str):
        return Unanswered(given)
    return given if isinstance(given, Missing | Unanswered | Value) else Value(given)


def look(*candidate: Any, champion: tuple[Any, ...] | None = None, rival: Rival = Rival.SERVES) -> Look:
    return Look(tuple(map(reading, candidate)), tuple(map(reading, champion)) if champion else None, rival)


class Watch:
    """An analysis of one metric that is looked at a minute apart; kept as JSON between the looks, as it is in life."""

    def __init__(self, *metrics: dict[str, Any]) -> None:
        self.analysis = analysis(*metrics)
        self.progress = begin(self.analysis, NOW)

    def see(self, *looks: Look) -> AnalysisVerdict:
        for each in looks:
            at = next_look(self.analysis, self.progress)
            seen = observe(self.analysis, self.progress, {m.name: each for m in self.analysis.metrics}, at)
            self.progress = Progress.from_json(json.loads(json.dumps(seen.to_json(), allow_nan=False)))
            assert self.progress == seen
        return verdict(self.analysis, self.progress)

    def end(self, complete: bool = True) -> AnalysisVerdict:
        return conclude(self.analysis, self.progress, complete)

    def said(self) -> tuple[Standing, str]:
        last = self.progress.metrics[0].last
        assert last is not None
        return last.outcome, last.sentence


# -- one number --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metric", "seen", "outcome", "sentence"),
    [
        (RATE, look(0.02), PASSED, "error_rate is 0.02, at most 0.02 is allowed."),
        (RATE, look(0.02001), FAILED, "error_rate is 0.02001, at most 0.02 is allowed."),
        (RATE, look(math.nan), INCONCLUSIVE, "Of the candidate: the answer is not a finite number."),
        (RATE, look(math.inf), INCONCLUSIVE, "Of the candidate: the answer is not a finite number."),
        (RATE, look(Missing("no series answers the query.")), INCONCLUSIVE, "Of the candidate: no series answers the query."),
        (RATE, look("Prometheus did not answer in time."), ERRORED, "Of the candidate: Prometheus did not answer in time."),
        (RATE, look(Value(0.01, "partial data")), PASSED, "error_rate is 0.01, at most 0.02 is allowed. The source warns: partial data"),
        (LATENCY, look(42, champion=(40,)), PASSED, "p99 is 42, 2 worse than the champion's 40; at most 2 worse is allowed."),
        (LATENCY, look(43, champion=(40,)), FAILED, "p99 is 43, 3 worse than the champion's 40; at most 2 worse is allowed."),
        (LATENCY, look(30, champion=(40,)), PASSED, "p99 is 30, 10 better than the champion's 40; at most 2 worse is allowed."),
        (LATENCY, look(30, champion=(math.nan,)), INCONCLUSIVE, "Of the champion: the answer is not a finite number."),
        (LATENCY, look(30, champion=("503",)), ERRORED, "Of the champion: 503"),
        (LATENCY, look(30), INCONCLUSIVE, "Of the champion: it was not asked for."),
        (LATENCY, look(30, rival=Rival.ABSENT), PASSED, FIRST_ALLOWED),
        (LATENCY | {"first": "deny"}, look(30, rival=Rival.ABSENT), FAILED, FIRST_DENIED),
        (LATENCY | {"first": "deny"}, look(math.nan, rival=Rival.ABSENT), INCONCLUSIVE, "Of the candidate: the answer is not a finite number."),
        (LATENCY | {"at_most": 50}, look(51, champion=("503",)), FAILED, "p99 is 51, at most 50 is allowed."),
        (LATENCY | {"at_most": 50}, look(49, champion=("503",)), ERRORED, "Of the champion: 503"),
        (LATENCY | {"at_most": 50}, look(49, rival=Rival.RESTS), PASSED, f"p99 is 49, at most 50 is allowed. {AT_REST}"),
        (LATENCY | {"at_most": 50}, look(51, rival=Rival.RESTS), FAILED, f"p99 is 51, at most 50 is allowed. {AT_REST}"),
    ],
)  # fmt: skip
def test_a_look_at_one_number(metric: dict[str, Any], seen: Look, outcome: Standing, sentence: str) -> None:
    watch = Watch(metric)
    watch.see(seen)
    assert watch.said() == (outcome, sentence)


def test_a_comparison_is_not_asked_for_while_the_champion_rests_unless_there_is_a_bound_too() -> None:
    compared, bounded = analysis(LATENCY, LATENCY | {"name": "capped", "at_most": 50}).metrics
    assert [is_asked(compared, rival) for rival in Rival] == [True, False, True]
    assert [is_asked(bounded, rival) for rival in Rival] == [True, True, True]


# -- limits ------------------------------------------------------------------------------------------------------

GOOD, BAD, NOTHING, DOWN = look(0.01), look(0.5), look(Missing("no series.")), look("it is down.")


@pytest.mark.parametrize(
    ("limits", "looks", "standing", "sentence"),
    [
        ({}, [GOOD, GOOD], RUNNING, "Watching error_rate; 2 looks so far, and no limit is passed."),
        ({}, [GOOD, BAD], FAILED, "error_rate is 0.5, at most 0.02 is allowed."),
        ({"failure_limit": 1}, [BAD, GOOD], RUNNING, "Watching error_rate; 2 looks so far, and no limit is passed."),
        ({"failure_limit": 1}, [BAD, GOOD, BAD], FAILED, "error_rate is 0.5, at most 0.02 is allowed. It failed 2 times; 1 may be."),
        ({}, [GOOD, NOTHING], INCONCLUSIVE, "error_rate cannot be judged. Of the candidate: no series."),
        ({"inconclusive_limit": 1}, [NOTHING], RUNNING, "Watching error_rate; 1 look so far, and no limit is passed."),
        ({"inconclusive_limit": 1}, [NOTHING, GOOD, NOTHING], INCONCLUSIVE, "error_rate cannot be judged. Of the candidate: no series. That happened 2 times; 1 may be."),
        ({}, [DOWN] * 4, RUNNING, "Watching error_rate; 4 looks so far, and no limit is passed."),
        ({}, [DOWN] * 5, ERRORED, "error_rate could not be looked at. Of the candidate: it is down. That happened 5 times in a row; 4 may be."),
        ({}, [DOWN] * 4 + [GOOD] + [DOWN] * 4, RUNNING, "Watching error_rate; 9 looks so far, and no limit is passed."),
        ({"consecutive_error_limit": 0}, [DOWN], ERRORED, "error_rate could not be looked at. Of the candidate: it is down."),
        ({"consecutive_error_limit": 0}, [BAD, DOWN, NOTHING], FAILED, "error_rate is 0.5, at most 0.02 is allowed."),
        ({"consecutive_error_limit": 0}, [NOTHING, DOWN], ERRORED, "error_rate could not be looked at. Of the candidate: it is down."),
    ],
)  # fmt: skip
def test_a_limit_that_is_passed_ends_the_analysis(
    limits: dict[str, Any], looks: list[Look], standing: Standing, sentence: str
) -> None:
    found = Watch(RATE | limits).see(*looks)
    assert (found.standing, found.sentence) == (standing, sentence)


def test_the_first_look_is_after_the_delay_and_then_one_interval_after_each() -> None:
    slow = analysis(RATE, interval="5m", initial_delay="30s")
    progress = begin(slow, NOW)
    assert next_look(slow, progress) == NOW + timedelta(seconds=30)
    assert next_look(analysis(RATE, interval="5m"), progress) == NOW + timedelta(minutes=5)
    late = NOW + timedelta(hours=3)
    assert next_look(slow, observe(slow, progress, {}, late)) == late + timedelta(minutes=5)


def test_a_metric_on_dry_run_is_shown_and_never_decides() -> None:
    watch = Watch(RATE | {"at_most": 1}, RATE | {"name": "trial", "dry_run": True})
    assert watch.see(BAD).standing is RUNNING
    found = watch.end()
    assert found.standing is PASSED
    assert [(each.name, each.standing, each.dry_run) for each in found.metrics] == [
        ("error_rate", PASSED, False),
        ("trial", FAILED, True),
    ]


def test_the_worst_metric_speaks_for_the_analysis() -> None:
    watch = Watch(RATE | {"name": "a"}, RATE | {"name": "b", "at_most": 0.001})
    found = watch.see(look(0.01))
    assert (found.standing, found.sentence) == (FAILED, "b is 0.01, at most 0.001 is allowed.")


def test_only_the_last_ten_looks_are_remembered_but_all_are_counted() -> None:
    watch = Watch(RATE)
    watch.see(*[look(n / 10_000) for n in range(25)])
    (watched,) = watch.progress.metrics
    assert (watched.passed, len(watched.recent)) == (25, 10)
    assert watched.recent[-1].candidate == 0.0024
    assert watched.recent[-1].at == (NOW + timedelta(minutes=25)).isoformat()


# -- the end -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "looks", "standing", "sentence"),
    [
        ({}, [GOOD], PASSED, "Passed after 1 look at error_rate."),
        ({}, [], INCONCLUSIVE, "error_rate was never looked at."),
        ({"failure_limit": 1}, [GOOD, BAD], PASSED, "Passed after 2 looks at error_rate."),
        ({"failure_limit": 1}, [BAD], INCONCLUSIVE, "error_rate never passed. error_rate is 0.5, at most 0.02 is allowed."),
        ({"inconclusive_limit": 9}, [GOOD, NOTHING], INCONCLUSIVE, "error_rate: the last look has no answer. Of the candidate: no series."),
        ({}, [GOOD, DOWN], ERRORED, "error_rate: the last look has no answer. Of the candidate: it is down."),
        ({}, [GOOD, BAD], FAILED, "error_rate is 0.5, at most 0.02 is allowed."),
    ],
)  # fmt: skip
def test_only_a_complete_analysis_with_a_last_answer_passes(
    limits: dict[str, Any], looks: list[Look], standing: Standing, sentence: str
) -> None:
    watch = Watch(RATE | limits)
    watch.see(*looks)
    found = watch.end()
    assert (found.standing, found.sentence) == (standing, sentence)


def test_an_analysis_that_ended_early_is_no_success_but_a_failure_stays_one() -> None:
    watch = Watch(RATE)
    watch.see(GOOD, GOOD)
    early = watch.end(complete=False)
    assert early.standing is INCONCLUSIVE
    assert early.sentence == "The analysis was ended early, after 2 looks; that is no success."
    watch.see(BAD)
    assert watch.end(complete=False).standing is FAILED


def test_a_person_who_lets_it_go_on_forgives_doubts_and_no_failure() -> None:
    watch = Watch(RATE | {"failure_limit": 1})
    assert watch.see(BAD, NOTHING).standing is INCONCLUSIVE
    watch.progress = resume(watch.progress)
    assert watch.see(GOOD).standing is RUNNING
    assert watch.see(BAD).standing is FAILED


@settings(max_examples=200)
@given(
    st.lists(st.sampled_from([NOTHING, DOWN, look(math.nan), look(-math.inf)]), max_size=12),
    st.integers(0, 20),
    st.sampled_from([RATE, LATENCY, LATENCY | {"at_most": 50}]),
)
def test_without_a_number_nothing_ever_passes(looks: list[Look], limit: int, metric: dict[str, Any]) -> None:
    watch = Watch(metric | {"inconclusive_limit": limit, "consecutive_error_limit": limit})
    watch.see(*looks)
    assert watch.end().standing in (INCONCLUSIVE, ERRORED)
    assert watch.end(complete=False).standing in (INCONCLUSIVE, ERRORED)


# -- counts ------------------------------------------------------------------------------------------------------


def counted(*running: tuple[float, float, float, float]) -> list[Look]:
    """Looks at running totals: bad and all of the candidate, bad and all of the champion."""
    return [look(a, b, champion=(c, d)) for a, b, c, d in running]


def test_the_first_look_at_counters_only_begins_to_count() -> None:
    watch = Watch(ERRORS)
    assert watch.see(*counted((500, 1000, 10, 9000))).standing is RUNNING
    assert watch.said() == (INCONCLUSIVE, BEGAN)
    assert watch.end().sentence == f"errors: the last look has no answer. {BEGAN}"
    watch.see(*counted((501, 1300, 37, 11700)))
    assert watch.said() == (
        PASSED,
        "errors: 1 of 300 (0.333 %) requests were bad, 27 of 2,700 (1 %) of the champion's; "
        "evidence of harm 0.286, and 20 raises an alarm.",
    )
    assert watch.end().standing is PASSED


def test_an_alarm_must_be_raised_twice_in_a_row_and_then_fails() -> None:
    watch = Watch(ERRORS)
    assert watch.see(*counted((0, 0, 0, 0), (15, 300, 27, 2700))).standing is RUNNING
    outcome, sentence = watch.said()
    assert outcome is INCONCLUSIVE
    assert sentence.endswith("and 20 raises an alarm. The next look must confirm it.")
    assert watch.end().standing is INCONCLUSIVE
    found = watch.see(*counted((30, 600, 54, 5400)))
    assert found.standing is FAILED
    assert found.sentence.startswith("errors: 30 of 600 (5 %) requests were bad, 54 of 5,400 (1 %) of the champion's; ")
    assert found.sentence.endswith("and 20 raises an alarm. It did in 2 looks in a row.")
    (last,) = (each.watched.last for each in found.metrics)
    assert last is not None
    assert (last.candidate, last.champion) == (0.05, 0.01)


def test_an_alarm_is_not_confirmed_by_a_look_without_a_bad_request_of_the_candidates() -> None:
    watch = Watch(ERRORS)
    watch.see(*counted((0, 0, 0, 0), (15, 300, 27, 2700), (15, 600, 27, 5400)))
    assert watch.said()[0] is INCONCLUSIVE
    assert watch.see(*counted((16, 900, 200, 8100))).standing is RUNNING
    assert watch.said()[0] is PASSED


def test_twice_the_champions_rate_is_fine_where_the_policy_tolerates_it() -> None:
    looks = counted(*[(6 * n, 300 * n, 27 * n, 2700 * n) for n in range(31)])
    assert Watch(ERRORS).see(*looks).standing is FAILED
    assert Watch(ERRORS | {"tolerance": 2}).see(*looks).standing is RUNNING


def test_too_few_requests_are_no_proof_of_anything() -> None:
    watch = Watch(ERRORS)
    watch.see(*counted((0, 0, 0, 0), (0, 99, 0, 99_000)))
    found = watch.end()
    assert found.standing is INCONCLUSIVE
    assert found.sentence == "errors: 99 requests were seen, and at least 100 are needed; that is too few to tell."
    watch.see(*counted((0, 100, 0, 99_001)))
    assert watch.end().standing is PASSED


def test_too_few_requests_of_the_champion_are_too_few() -> None:
    watch = Watch(ERRORS)
    watch.see(*counted((0, 0, 0, 0), (0, 5000, 0, 99)))
    assert watch.end().standing is INCONCLUSIVE


@pytest.mark.parametrize(
    ("seen", "outcome", "sentence"),
    [
        (look(21, 40), FAILED, "errors: 21 of 40 (52.5 %) requests were bad; at most 2 % of 1,000 is allowed."),
        (look(1, 3), PASSED, "errors: 1 of 3 (33.3 %) requests were bad; at most 2 % of 1,000 is allowed."),
        (look(40, 2000), PASSED, "errors: 40 of 2,000 (2 %) requests were bad; at most 2 % is allowed."),
        (look(41, 2000), FAILED, "errors: 41 of 2,000 (2.05 %) requests were bad; at most 2 % is allowed."),
        (look(0, 0), INCONCLUSIVE, "Of the candidate: no request since the last look."),
        (look(5, 4), INCONCLUSIVE, "Of the candidate: 5 bad requests of 4, which cannot be."),
        (look(0, 1e308), INCONCLUSIVE, "Of the candidate: 0 bad requests of 1e308, which cannot be."),
        (look(-1, 4), INCONCLUSIVE, "Of the candidate: a counter went back, as after a restart; counting goes on from here."),
        (look(math.nan, 4), INCONCLUSIVE, "Of the candidate: the answer is not a finite number."),
        (look(Missing("no series."), 4), INCONCLUSIVE, "Of the candidate: no series. If there is none until a request is bad, write “or vector(0)” behind the query of bad."),
        (look(Missing("no series."), Missing("no series.")), INCONCLUSIVE, "Of the candidate: no series."),
        (look(Missing("no series."), "503"), ERRORED, "Of the candidate: 503"),
    ],
)  # fmt: skip
def test_the_ceiling_of_a_rate_fails_at_once_but_not_over_one_request_of_three(
    seen: Look, outcome: Standing, sentence: str
) -> None:
    watch = Watch(CAPPED)
    watch.see(look(0, 0), seen)
    assert watch.said() == (outcome, sentence)


def test_a_ceiling_passed_in_one_look_is_a_breach_though_it_was_fine_before() -> None:
    watch = Watch(CAPPED)
    assert watch.see(look(0, 0), look(0, 100_000)).standing is RUNNING
    found = watch.see(look(100, 102_000))
    assert found.sentence == "errors: 100 of 2,000 (5 %) requests were bad; at most 2 % is allowed."


def test_a_restart_in_the_middle_costs_one_look_and_no_count() -> None:
    watch = Watch(ERRORS | {"inconclusive_limit": 1})
    watch.see(*counted((0, 0, 0, 0), (3, 300, 27, 2700), (0, 100, 54, 5400)))
    assert watch.said()[1].startswith("Of the candidate: a counter went back")
    watch.see(*counted((3, 400, 81, 8100)))
    assert watch.said()[1].startswith("errors: 6 of 600 (1 %) requests were bad, 54 of 5,400 (1 %) of the champion's;")


def test_an_unanswered_look_loses_no_request_of_either_side() -> None:
    watch = Watch(ERRORS)
    watch.see(*counted((0, 0, 0, 0)), look(3, 300, champion=("503", "503")), *counted((6, 600, 54, 5400)))
    assert watch.said()[1].startswith("errors: 6 of 600 (1 %) requests were bad, 54 of 5,400 (1 %) of the champion's;")


def test_while_one_side_has_no_request_both_wait() -> None:
    watch = Watch(ERRORS | {"inconclusive_limit": 1})
    watch.see(*counted((0, 0, 0, 0), (3, 300, 0, 0)))
    assert watch.said() == (INCONCLUSIVE, "Of the champion: no request since the last look.")
    watch.see(*counted((6, 600, 54, 5400)))
    assert watch.said()[1].startswith("errors: 6 of 600 (1 %) requests were bad, 54 of 5,400 (1 %) of the champion's;")


def test_counts_without_a_champion_follow_the_rule_for_a_first_version() -> None:
    watch = Watch(ERRORS)
    watch.see(*[look(0, 100 * n, rival=Rival.ABSENT) for n in range(2)])
    assert watch.said() == (PASSED, f"errors: 0 of 100 (0 %) requests were bad. {FIRST_ALLOWED}")
    assert watch.end().standing is PASSED
    denied = Watch(ERRORS | {"first": "deny"})
    assert denied.see(look(0, 0, rival=Rival.ABSENT)).sentence == FIRST_DENIED


def test_what_was_compared_stands_when_the_champion_rests() -> None:
    watch = Watch(ERRORS | {"at_most": 0.5})
    watch.see(*counted((0, 0, 0, 0), (1, 100, 1, 100)), look(2, 900, rival=Rival.RESTS))
    assert watch.said()[1] == f"errors: 2 of 900 (0.222 %) requests were bad; at most 50 % is allowed. {AT_REST}"
    assert watch.end().standing is PASSED
    short = Watch(ERRORS | {"at_most": 0.5})
    short.see(*counted((0, 0, 0, 0), (1, 99, 1, 99)), look(2, 900, rival=Rival.RESTS))
    assert short.end().standing is INCONCLUSIVE


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(*[st.one_of(st.floats(), st.just(Missing("no series.")), st.just(Unanswered("down.")))] * 4),
        max_size=8,
    )
)
def test_no_answer_whatever_breaks_the_counting_or_its_record(answers: list[tuple[Any, Any, Any, Any]]) -> None:
    """`Watch` writes the progress as strict JSON and reads it back after each look."""
    watch = Watch(ERRORS | {"at_most": 0.5, "inconclusive_limit": 1000})
    watch.see(*[look(a, b, champion=(c, d)) for a, b, c, d in answers])
    assert watch.end().sentence


# -- the reference -----------------------------------------------------------------------------------------------

REFERENCE = (Path(__file__).parents[2] / "docs" / "reference" / "analysis.md").read_text(encoding="utf-8")


def test_the_sample_of_the_reference_can_be_used() -> None:
    (sample,) = re.findall(r"```yaml\n(analysis:.*?)```", REFERENCE, re.DOTALL)
    assert [each.name for each in Analysis.model_validate(yaml.safe_load(sample)["analysis"]).metrics] == [
        "p99",
        "errors",
    ]


@pytest.mark.parametrize("part", [Analysis, AnalysisMetric])
def test_every_key_is_in_the_reference_with_its_default(part: type[Analysis | AnalysisMetric]) -> None:
    rows = [row.split(" | ") for row in re.findall(r"^\| (`.*) \|$", REFERENCE, re.MULTILINE)]
    said = {key: row[-1] for row in rows for key in re.findall(r"`(\w+)`", row[0])}
    for key, field in part.model_fields.items():
        assert key in said
        if isinstance(field.default, int | float) and key not in ("no_worse_by", "lower_is_better"):
            assert said[key] == f"`{json.dumps(field.default).removesuffix('.0')}`"


# -- bundles -----------------------------------------------------------------------------------------------------

MEMBERS = [("embedder", "7", "6"), ("ranker", "3", "3"), ("speller", "1", "")]


def test_a_bundles_metrics_are_asked_of_each_member_and_named_after_it() -> None:
    whole_thing = {"name": "errors_in_all", "query": "sum(rate)", "at_most": 0.1}
    both = LATENCY | {"name": "p95", "at_most": 80}
    found = watches(analysis(RATE, LATENCY, both, whole_thing), "search", "2", "1", MEMBERS)

    assert [(each.model, each.version, each.champion) for each in found] == [("search", "2", "1"), *MEMBERS]
    assert [[metric.name for metric in each.analysis.metrics] for each in found] == [
        ["errors_in_all"],
        ["embedder 7: error_rate", "embedder 7: p99", "embedder 7: p95"],
        ["ranker 3: error_rate", "ranker 3: p95"],  # it serves already: there is nobody to compare it with
        ["speller 1: error_rate", "speller 1: p99", "speller 1: p95"],
    ]
    assert [metric.compared_to for metric in found[2].analysis.metrics] == [None, None]


def test_one_member_that_fails_fails_the_rollout_and_is_named() -> None:
    given = analysis(RATE)
    together = whole(given, watches(given, "search", "2", "1", MEMBERS))
    looks = {metric.name: look(0.01) for metric in together.metrics}
    good = observe(together, begin(given, NOW), looks, NOW)
    assert conclude(together, good, complete=True).standing is PASSED

    bad = verdict(together, observe(together, good, looks | {"ranker 3: error_rate": look(0.09)}, NOW))
    assert (bad.standing, bad.sentence) == (FAILED, "ranker 3: error_rate is 0.09, at most 0.02 is allowed.")
    lost = observe(together, good, looks | {"embedder 7: error_rate": look(Missing("no series."))}, NOW)
    assert verdict(together, lost).sentence == ("embedder 7: error_rate cannot be judged. Of the candidate: no series.")


def test_a_version_alone_is_watched_under_its_own_name_as_ever() -> None:
    given = analysis(RATE, LATENCY)
    (only,) = watches(given, "fraud", "7", "6")
    assert (only.model, only.version, only.champion, only.analysis) == ("fraud", "7", "6", given)


def test_the_longest_names_of_model_and_metric_fit_together() -> None:
    given = analysis(RATE | {"name": "e" * 80})
    together = whole(given, watches(given, "b", "1", "", [("m" * 200, "v" * 100, "")]))
    seen = observe(together, begin(given, NOW), {together.metrics[0].name: look(0.01)}, NOW)
    assert conclude(together, seen, complete=True).standing is PASSED
