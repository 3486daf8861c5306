"""The sequential test: how often it errs, what it sees, and that SciPy counts the same."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bench.analysis import ALPHA, canaries, largest_difference, peeking, sequential, share
from core.policy.sequential import LOOKS_TO_ALARM, Counts, Evidence

RUNS = 1_000


def test_false_alarms_stay_under_the_stated_rate_though_every_look_is_a_test() -> None:
    harmless = canaries(1.0, RUNS)
    assert share(sequential(harmless, looks=1)) <= 100 * ALPHA
    assert share(sequential(harmless)) <= 100 * ALPHA
    assert share(peeking(harmless)) > 20  # which is why


def test_a_tolerated_ratio_raises_no_more_false_alarms_than_stated() -> None:
    assert share(sequential(canaries(1.25, RUNS), tolerance=1.25)) <= 100 * ALPHA


@pytest.mark.parametrize(("harm", "least", "look"), [(1.5, 80, 16), (2.0, 99, 7), (5.0, 100, 2)])
def test_harm_is_seen_and_greater_harm_sooner(harm: float, least: float, look: int) -> None:
    found = sequential(canaries(harm, RUNS // 4))
    assert share(found) >= least
    alarmed = sorted(each for each in found if each is not None)
    assert LOOKS_TO_ALARM <= alarmed[len(alarmed) // 2] <= look


def test_the_likelihoods_are_those_of_scipy() -> None:
    assert largest_difference(200) < 1e-9


@given(st.integers(0, 60), st.integers(60, 5_000), st.integers(60, 50_000), st.floats(1, 5))
def test_on_the_edge_of_what_is_tolerated_evidence_is_expected_to_stay_as_it_is(
    bad: int, mine: int, theirs: int, tolerance: float
) -> None:
    """Which makes it a martingale, and by Ville's inequality is all that the stated rate rests on."""
    chance = tolerance * mine / (tolerance * mine + theirs)
    expected = 0.0
    for hits in range(bad + 1):
        evidence = Evidence().after(Counts(hits, mine), Counts(bad - hits, theirs), tolerance, ALPHA)
        expected += stats.binom.pmf(hits, bad, chance) * evidence.e
    assert expected == pytest.approx(1.0, rel=1e-6)


def test_a_look_without_bad_requests_says_nothing() -> None:
    before = Evidence().after(Counts(5, 100), Counts(1, 100), 1.0, ALPHA)
    after = before.after(Counts(0, 100), Counts(0, 100), 1.0, ALPHA)
    assert after == before


def test_evidence_grows_without_end_and_without_overflow() -> None:
    evidence = Evidence()
    for _ in range(1_000):
        evidence = evidence.after(Counts(100, 100), Counts(0, 1_000_000), 1.0, ALPHA)
    assert evidence.is_alarm
    assert math.isfinite(evidence.log_e)
    assert evidence.e == pytest.approx(1e300)
    for _ in range(2_000):
        evidence = evidence.after(Counts(0, 100), Counts(1_000, 1_000), 1.0, ALPHA)
    assert evidence.alarms == 0
    assert evidence.e < 1
