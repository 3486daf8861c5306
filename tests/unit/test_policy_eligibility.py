"""What stands between a version and a stage before any gate is asked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.lifecycle import ACTIVE
from core.policy.eligibility import SUPERSEDABLE, Facts, Served, check
from core.policy.stages import Stage

AT = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
NAMES = ("development", "staging", "production")
PRODUCTION = Stage.from_rules({"name": "production", "requires": ["development", "staging"]})
FINE: dict[str, Any] = {
    "model": "fraud-detector",
    "version": "7",
    "stage": PRODUCTION,
    "stage_names": NAMES,
    "first_stage": "development",
    "served": {"staging": Served(AT)},
}


def blocking(**facts: Any) -> list[tuple[str, str, str]]:
    return [(b.kind, b.sentence, b.clears) for b in check(Facts(**(FINE | facts))) if b.blocking]


def said(**facts: Any) -> list[str]:
    return [b.sentence for b in check(Facts(**(FINE | facts))) if not b.blocking]


def test_a_version_that_serves_the_required_stage_is_free_to_go() -> None:
    assert blocking() == []
    assert said() == [
        "fraud-detector 7 is registered, and so has been in development.",
        "fraud-detector 7 serves staging, which production requires.",
    ]


def test_having_served_is_enough() -> None:
    assert blocking(served={"staging": Served(AT, AT)}) == []
    assert (
        said(served={"staging": Served(AT, AT)})[1] == "fraud-detector 7 has served staging, which production requires."
    )


@pytest.mark.parametrize(
    ("facts", "blocker"),
    [
        (
            {"version_known": False},
            (
                "version",
                "fraud-detector 7 is not registered.",
                "Register it first, or choose a registered version.",
            ),
        ),
        (
            {"stage": None},
            ("stage", "The policy has no such stage.", "Choose one of development, staging, production."),
        ),
        (
            {"stage": Stage.from_rules({"name": "development"})},
            (
                "stage",
                "development is where versions arrive by being registered; nothing is promoted to it.",
                "Choose one of staging, production.",
            ),
        ),
        (
            {"served": {}},
            (
                "requires",
                "production requires staging, which fraud-detector 7 has never served.",
                "Promote it to staging first.",
            ),
        ),
        (
            {"served": {"staging": Served(AT, AT, "P-9")}},
            (
                "requires",
                "production requires staging, and fraud-detector 7 was rolled back from it by P-9.",
                "Promote it to staging again, or promote a better version.",
            ),
        ),
        (
            {"champion": "7"},
            ("champion", "fraud-detector 7 is the champion of production already.", "Nothing needs to be done."),
        ),
        (
            {"active": ("P-3", "7", "awaiting_approval")},
            (
                "active",
                "P-3 asks to promote fraud-detector 7 to production already; it awaits approval.",
                "Follow P-3, or withdraw it and ask anew.",
            ),
        ),
        (
            {"active": ("P-3", "7", "deploying")},
            (
                "active",
                "P-3 asks to promote fraud-detector 7 to production already; it is deploying.",
                "Follow P-3.",
            ),
        ),
        (
            {"active": ("P-3", "6", "rolling_back")},
            (
                "active",
                "P-3 has fraud-detector 6 on its way to production: it is rolling back.",
                "Wait until P-3 has ended, or stop it.",
            ),
        ),
    ],
)
def test_every_blocker_has_its_sentence_and_what_clears_it(
    facts: dict[str, Any], blocker: tuple[str, str, str]
) -> None:
    assert blocking(**facts) == [blocker]


def test_another_version_that_still_waits_gives_way_and_that_is_said() -> None:
    facts = {"active": ("P-3", "6", "awaiting_approval")}
    assert blocking(**facts) == []
    assert said(**facts)[-1] == "P-3 asks to promote fraud-detector 6 to production; a new request takes its place."


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(ACTIVE)), st.booleans(), st.booleans(), st.sampled_from([None, "6", "7"]))
def test_nothing_is_hidden_by_something_else(state: str, same: bool, served: bool, champion: str | None) -> None:
    kinds = [
        kind
        for kind, _, _ in blocking(
            active=("P-3", "7" if same else "6", state),
            served={"staging": Served(AT)} if served else {},
            champion=champion,
        )
    ]
    assert ("requires" in kinds) is not served
    assert ("champion" in kinds) is (champion == "7")
    assert ("active" in kinds) is (same or state not in SUPERSEDABLE)
