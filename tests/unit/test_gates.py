"""Gates: what passes, what fails, and what nobody can know."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.model import DatasetRef, Lineage, Measurement, ModelVersion, Outcome, Verdict
from core.policy.gates import FIRST_ALLOWED, FIRST_DENIED, evaluate, number, overall
from core.policy.stages import Stage

PASSED, FAILED, INCONCLUSIVE = Outcome.PASSED, Outcome.FAILED, Outcome.INCONCLUSIVE


def version(*measurements: Measurement, number: str = "7", lineage: Lineage | None = None) -> ModelVersion:
    return ModelVersion("fraud-detector", number, "s3://m/7", "sha256:7", lineage or Lineage(), measurements)


def auc(value: float | None, dataset: str = "", digest: str = "", slice: str = "", raw: str = "") -> Measurement:
    return Measurement("auc", value, raw=raw, slice=slice, dataset=dataset, dataset_digest=digest)


def judge(gate: dict[str, Any], candidate: ModelVersion, champion: ModelVersion | None = None) -> Verdict:
    gates = Stage.from_rules({"name": "production", "gates": [gate]}).gates
    (verdict,) = evaluate(gates, candidate, champion)
    return verdict


AT_LEAST = {"metric": "auc", "at_least": 0.9}
COMPARED = {"metric": "auc", "compared_to": "champion", "no_worse_by": 0.005}


# -- bounds ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gate", "value", "outcome", "sentence"),
    [
        (AT_LEAST, 0.9134, PASSED, "auc is 0.9134, at least 0.9 is required."),
        (AT_LEAST, 0.9, PASSED, "auc is 0.9, at least 0.9 is required."),
        (AT_LEAST, 0.88, FAILED, "auc is 0.88, at least 0.9 is required."),
        (AT_LEAST, 0.89999, FAILED, "auc is 0.89999, at least 0.9 is required."),
        ({"metric": "auc", "at_most": 50}, 50, PASSED, "auc is 50, at most 50 is allowed."),
        ({"metric": "auc", "at_most": 50}, 50.00001, FAILED, "auc is 50.00001, at most 50 is allowed."),
        (
            {"metric": "auc", "at_least": 1, "at_most": 2},
            3,
            FAILED,
            "auc is 3, at least 1 is required and at most 2 is allowed.",
        ),
    ],
)
def test_a_bound_that_is_met_exactly_is_met(
    gate: dict[str, Any], value: float, outcome: Outcome, sentence: str
) -> None:
    verdict = judge(gate, version(auc(value)))
    assert (verdict.outcome, verdict.sentence) == (outcome, sentence)
    assert verdict.candidate == value


@pytest.mark.parametrize(
    ("measurements", "sentence"),
    [
        ([], "auc of version 7 was not measured."),
        ([auc(1.0, slice="country=DE")], "auc of version 7 was not measured."),
        ([auc(None)], "auc of version 7 is empty."),
        ([auc(None, raw="n/a")], "auc of version 7 is “n/a”, which is not a finite number."),
        ([auc(None, raw="NaN")], "auc of version 7 is “NaN”, which is not a finite number."),
        ([auc(math.nan)], "auc of version 7 is “nan”, which is not a finite number."),
        ([auc(math.inf)], "auc of version 7 is “inf”, which is not a finite number."),
        ([auc(0.95), auc(0.96)], "auc of version 7 was measured twice on the same data, with different results."),
        ([auc(0.95, "a"), auc(None, "b")], "auc of version 7 is empty."),
    ],
)
def test_no_data_is_never_a_pass(measurements: list[Measurement], sentence: str) -> None:
    for gate in (AT_LEAST, COMPARED):
        for champion in (None, version(auc(0.9), number="6")):
            verdict = judge(gate, version(*measurements), champion)
            assert (verdict.outcome, verdict.sentence) == (INCONCLUSIVE, sentence)
            assert verdict.candidate is None


def test_the_same_result_twice_is_one_result() -> None:
    assert judge(AT_LEAST, version(auc(0.95), auc(0.95))).outcome is PASSED


def test_results_on_several_data_sets_must_agree() -> None:
    both = judge(AT_LEAST, version(auc(0.95, "holdout"), auc(0.92, "drift")))
    assert (both.outcome, both.candidate) == (PASSED, 0.92)
    split = judge(AT_LEAST, version(auc(0.95, "holdout"), auc(0.88, "drift")))
    assert split.outcome is INCONCLUSIVE
    assert split.sentence == (
        "auc is 0.95 and 0.88 on several data sets, and it cannot be told which of them counts; "
        "at least 0.9 is required."
    )


def test_a_slice_is_judged_by_itself() -> None:
    verdict = judge({**AT_LEAST, "slice": "country=DE"}, version(auc(0.95), auc(0.8, slice="country=DE")))
    assert verdict.outcome is FAILED
    assert verdict.sentence == "auc (country=DE) is 0.8, at least 0.9 is required."
    assert verdict.gate == "auc (country=DE) at least 0.9"


# -- against the champion ----------------------------------------------------------------------------------------


def test_how_much_worse_a_candidate_may_be_is_exact() -> None:
    champion = version(auc(0.95), number="6")
    verdict = judge(COMPARED, version(auc(0.945)), champion)  # 0.95 - 0.945 > 0.005 in binary fractions
    assert verdict.outcome is PASSED
    assert verdict.sentence == "auc is 0.945, 0.005 worse than the champion's 0.95; at most 0.005 worse is allowed."
    assert (verdict.change, verdict.champion) == (-0.005, 0.95)
    assert judge(COMPARED, version(auc(0.94499)), champion).sentence == (
        "auc is 0.94499, 0.00501 worse than the champion's 0.95; at most 0.005 worse is allowed."
    )
    assert judge(COMPARED, version(auc(0.94499)), champion).outcome is FAILED


@pytest.mark.parametrize(
    ("mine", "outcome", "sentence"),
    [
        (40.0, PASSED, "auc is 40, 1.2 better than the champion's 41.2; it must not be worse."),
        (41.2, PASSED, "auc is 41.2, the same as the champion's; it must not be worse."),
        (41.3, FAILED, "auc is 41.3, 0.1 worse than the champion's 41.2; it must not be worse."),
    ],
)
def test_where_lower_is_better_higher_is_worse(mine: float, outcome: Outcome, sentence: str) -> None:
    gate = {"metric": "auc", "compared_to": "champion", "lower_is_better": True}
    verdict = judge(gate, version(auc(mine)), version(auc(41.2)))
    assert (verdict.outcome, verdict.sentence) == (outcome, sentence)


def test_without_a_champion_the_policy_decides_and_says_so() -> None:
    assert FIRST_ALLOWED == "There is no champion in this stage yet; the policy lets a first one in."
    for gate in (COMPARED, {"same_dataset": True}):
        allowed, denied = judge(gate, version(auc(0.1))), judge({**gate, "first": "deny"}, version(auc(0.1)))
        assert (allowed.outcome, allowed.sentence) == (PASSED, FIRST_ALLOWED)
        assert (denied.outcome, denied.sentence) == (FAILED, FIRST_DENIED)


def test_a_bound_and_a_comparison_in_one_gate_must_both_hold() -> None:
    gate = {**COMPARED, "at_least": 0.9}
    champion = version(auc(0.92), number="6")
    verdict = judge(gate, version(auc(0.91)), champion)
    assert verdict.outcome is FAILED
    assert verdict.sentence == (
        "auc is 0.91, at least 0.9 is required. It is 0.01 worse than the champion's 0.92; at most 0.005 worse is allowed."
    )
    assert verdict.gate == "auc at least 0.9 and at most 0.005 worse than the champion"
    assert verdict.threshold == "≥ 0.9, ≥ champion − 0.005"
    assert judge(gate, version(auc(0.89))).outcome is FAILED  # a first one must hold the bound all the same
    assert judge(gate, version(auc(0.91))).outcome is PASSED
    unknown = judge(gate, version(auc(0.91)), version(number="6"))
    assert unknown.outcome is INCONCLUSIVE
    assert unknown.sentence.endswith("auc of the champion, version 6, was not measured.")
    assert judge(gate, version(auc(0.89)), version(number="6")).outcome is FAILED


def test_measurements_on_one_data_set_are_compared_with_each_other() -> None:
    mine = version(auc(0.95, "new", "sha256:n"), auc(0.90, "old", "sha256:o"))
    theirs = version(auc(0.90, "renamed", "sha256:o"), auc(0.99, "other", "sha256:x"), number="6")
    verdict = judge(COMPARED, mine, theirs)
    assert (verdict.outcome, verdict.candidate, verdict.champion) == (PASSED, 0.90, 0.90)
    assert "different data sets" not in verdict.sentence


def test_a_comparison_over_different_data_sets_is_made_and_says_so() -> None:
    verdict = judge(COMPARED, version(auc(0.95, "a", "sha256:a")), version(auc(0.94, "b", "sha256:b")))
    assert verdict.outcome is PASSED
    assert verdict.sentence.endswith("The two were measured on different data sets.")


def test_what_cannot_be_paired_is_inconclusive() -> None:
    mine = version(auc(0.95, "a"), auc(0.96, "b"))
    verdict = judge(COMPARED, mine, version(auc(0.94, "c"), number="6"))
    assert verdict.outcome is INCONCLUSIVE
    assert (
        verdict.sentence
        == "auc was measured on several data sets, and on none of them for both candidate and champion."
    )
    split = judge(COMPARED, mine, version(auc(0.94, "a"), auc(0.99, "b"), number="6"))
    assert split.outcome is INCONCLUSIVE
    assert "cannot be told which of them counts" in split.sentence


NUMBERS = st.decimals(min_value=-1000, max_value=1000, places=4, allow_nan=False)


@settings(max_examples=60, deadline=None)
@given(NUMBERS, NUMBERS, st.decimals(min_value=0, max_value=10, places=4), st.booleans())
def test_a_comparison_answers_as_arithmetic_on_paper(
    mine: Decimal, theirs: Decimal, margin: Decimal, lower: bool
) -> None:
    gate = {"metric": "auc", "compared_to": "champion", "no_worse_by": float(margin), "lower_is_better": lower}
    verdict = judge(gate, version(auc(float(mine))), version(auc(float(theirs))))
    worse = mine - theirs if lower else theirs - mine
    assert verdict.outcome is (PASSED if worse <= margin else FAILED)


@settings(max_examples=60, deadline=None)
@given(NUMBERS, st.decimals(min_value=0, max_value=10, places=4), st.booleans())
def test_the_edge_of_the_margin_passes_and_the_next_step_does_not(
    theirs: Decimal, margin: Decimal, lower: bool
) -> None:
    gate = {"metric": "auc", "compared_to": "champion", "no_worse_by": float(margin), "lower_is_better": lower}
    sign, step = (1 if lower else -1), Decimal("0.0001")
    champion = version(auc(float(theirs)))
    assert judge(gate, version(auc(float(theirs + sign * margin))), champion).outcome is PASSED
    assert judge(gate, version(auc(float(theirs + sign * (margin + step)))), champion).outcome is FAILED


@settings(max_examples=60, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_any_two_numbers_can_be_judged_and_a_failing_one_never_reads_like_its_bound(value: float, bound: float) -> None:
    verdict = judge({"metric": "auc", "at_least": bound}, version(auc(value)))
    assert verdict.outcome is (PASSED if value >= bound else FAILED)
    if value != bound:
        said = verdict.sentence.removeprefix("auc is ").split(", at least ")
        assert said[0] != said[1].removesuffix(" is required.")
    compared = judge(COMPARED, version(auc(value)), version(auc(bound)))
    assert compared.outcome in (PASSED, FAILED)


# -- lineage and data sets ---------------------------------------------------------------------------------------

CODE = {"repo": "acme/fraud", "commit": "abc123"}


@pytest.mark.parametrize(
    ("lineage", "outcome", "sentence"),
    [
        (Lineage((DatasetRef("train", "sha256:1"),), **CODE), PASSED, "Lineage of data and code is recorded."),
        (Lineage(**CODE), FAILED, "Of version 7, no data set is recorded; lineage of data and code is required."),
        (
            Lineage((DatasetRef("train"),), **CODE),
            FAILED,
            "Of version 7, train has no digest; lineage of data and code is required.",
        ),
        (
            Lineage((DatasetRef("train", "sha256:1"),), repo="acme/fraud"),
            FAILED,
            "Of version 7, the code has no commit; lineage of data and code is required.",
        ),
        (
            Lineage(),
            FAILED,
            "Of version 7, no data set is recorded and no code is recorded; lineage of data and code is required.",
        ),
    ],
)
def test_lineage_must_be_recorded_whole(lineage: Lineage, outcome: Outcome, sentence: str) -> None:
    verdict = judge({"lineage": ["data", "code"]}, version(lineage=lineage))
    assert (verdict.outcome, verdict.sentence) == (outcome, sentence)


@pytest.mark.parametrize(
    ("mine", "theirs", "outcome", "sentence"),
    [
        ("sha256:a", "sha256:a", PASSED, "Candidate and champion were measured on one data set."),
        ("sha256:a", "sha256:b", FAILED, "auc of candidate and champion was measured on different data sets."),
        ("", "sha256:b", INCONCLUSIVE, "No data set digest is recorded for auc of version 7."),
        ("sha256:a", "", INCONCLUSIVE, "No data set digest is recorded for auc of the champion, version 6."),
    ],
)
def test_one_data_set_means_one_digest(mine: str, theirs: str, outcome: Outcome, sentence: str) -> None:
    verdict = judge({"same_dataset": True}, version(auc(1, "same", mine)), version(auc(1, "same", theirs), number="6"))
    assert (verdict.outcome, verdict.sentence) == (outcome, sentence)


def test_one_data_set_is_asked_of_the_metrics_that_are_compared() -> None:
    latency = Measurement("latency", 5, dataset_digest="sha256:mine")
    other = Measurement("latency", 5, dataset_digest="sha256:theirs")
    mine, theirs = version(auc(1, "", "sha256:a"), latency), version(auc(1, "", "sha256:a"), other)
    rules = {"name": "p", "gates": [{"metric": "auc", "compared_to": "champion"}, {"same_dataset": True}]}
    assert evaluate(Stage.from_rules(rules).gates, mine, theirs)[1].outcome is PASSED
    assert judge({"same_dataset": True}, mine, theirs).outcome is FAILED
    nothing = judge({"same_dataset": True}, mine, version(number="6"))
    assert (nothing.outcome, nothing.sentence) == (
        INCONCLUSIVE,
        "Candidate and champion have no measurement in common.",
    )


# -- all together ------------------------------------------------------------------------------------------------


def test_no_gates_means_that_nothing_is_checked_and_says_so() -> None:
    (verdict,) = evaluate((), version(), None)
    assert verdict.sentence == "The policy has no gates for this stage, so nothing was checked."
    assert overall([verdict]) is PASSED


def test_nothing_judged_yet_is_no_pass() -> None:
    assert overall([]) is INCONCLUSIVE


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(Outcome), st.booleans()), min_size=1))
def test_only_deciding_verdicts_decide_and_all_of_them_must_pass(given_: list[tuple[Outcome, bool]]) -> None:
    verdicts = [Verdict("g", outcome, "", advisory=advisory) for outcome, advisory in given_]
    deciding = {outcome for outcome, advisory in given_ if not advisory}
    expected = FAILED if FAILED in deciding else INCONCLUSIVE if INCONCLUSIVE in deciding else PASSED
    assert overall(verdicts) is expected
    assert (expected is PASSED) is not any(verdict.decides for verdict in verdicts)


def test_an_advisory_gate_is_shown_and_never_decides() -> None:
    verdict = judge({**AT_LEAST, "advisory": True}, version(auc(0.1)))
    assert (verdict.outcome, verdict.advisory, overall([verdict])) == (FAILED, True, PASSED)


# -- numbers for people ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.9134, "0.9134"),
        (0.91342, "0.9134"),
        (41.2, "41.2"),
        (1_250_000.0, "1,250,000"),
        (1234.5678, "1,235"),
        (0.1 + 0.2, "0.3"),
        (0.00012345, "0.0001234"),
        (1e-7, "0.0000001"),
        (-0.0, "0"),
        (-0.5, "-0.5"),
        (100.0, "100"),
        (1e300, "1e300"),
        (1.5e-12, "1.5e-12"),
        (None, "no data"),
    ],
)
def test_numbers_are_short_and_without_exponents(value: float | None, text: str) -> None:
    assert number(value) == text


@settings(max_examples=60, deadline=None)
@given(st.floats(min_value=1e-8, max_value=1e14))
def test_a_shown_number_is_close_to_the_true_one_and_never_an_exponent(value: float) -> None:
    text = number(value)
    assert "e" not in text
    assert float(text.replace(",", "")) == pytest.approx(value, rel=5.1e-4)
