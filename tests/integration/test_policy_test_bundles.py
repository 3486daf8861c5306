"""`baton policy test` and bundles: judged by their members, and by who served beside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from core.domain.model import ModelVersion
from core.store.database import Database
from tests.conftest import DIALECTS
from tests.integration.test_policy_test import BOB, CI, DAVE, POLICY, Cli, Story, cli

__all__ = ["cli"]

BUNDLED = f"""{POLICY}
bundles:
  search:
    members: [embedder, ranker]
    order: [[embedder, ranker]]
"""
MEASURED = {"embedder 6": 0.96, "embedder 7": 0.97, "ranker 3": 0.92, "ranker 4": 0.905}


def bundle(told: Story, day: int, version: str, embedder: str, ranker: str) -> int:
    """Its members and it are registered and brought to staging; it is asked for, and approved, for production."""
    told.at(day)
    for model, number in (("embedder", embedder), ("ranker", ranker)):
        told.register(model, number, MEASURED[f"{model} {number}"])
    members = (("embedder", embedder), ("ranker", ranker))
    told.world.bundles.register(CI, ModelVersion("search", version, "", "", members=members))
    told.carry_out(told.world.promotions.request(BOB, "search", version, "staging", "").id)
    told.at(day + 1, 10)
    return told.world.promotions.request(BOB, "search", version, "production", "").id


@pytest.fixture(scope="module", params=DIALECTS)
def past(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    new_database: Callable[[str, Path], str],
) -> str:
    """The URL of a database with two bundles' promotions and one of a model beside them; nothing here changes it."""
    url = new_database(request.param, tmp_path_factory.mktemp("past"))
    database = Database(url)
    told = Story(database, BUNDLED)
    first = bundle(told, 4, "1", "6", "3")  # P-1, P-2
    for who in (BOB, DAVE):
        told.decisions.approve(who, first)
    told.carry_out(first)
    told.stage(8, "2", 0.95, model="calibrator")  # P-3
    told.carry_out(told.ask(10, "2", BOB, DAVE, model="calibrator"))  # P-4
    bundle(told, 12, "2", "7", "4")  # P-5, P-6: ranker 4 is worse than ranker 3 by more than 0.01
    told.engine.stop()
    database.dispose()
    return url


@pytest.fixture
def judged(cli: Cli) -> Callable[..., list[str]]:
    """The lines for the policy with these texts in place of those."""

    def run(*changes: tuple[str, str], code: int = 1) -> list[str]:
        text = BUNDLED
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        Path("changed.yml").write_text(text, encoding="utf-8")
        return cli("changed.yml", code=code).stdout.splitlines()

    return run


Judge = Callable[..., list[str]]


def test_the_policy_that_they_were_judged_by_makes_no_difference(judged: Judge) -> None:
    assert judged(code=0) == ["0 of 6 promotions would differ."]


def test_a_stricter_gate_names_the_member_that_fails_it(judged: Judge) -> None:
    assert judged(("at_least: 0.9}", "at_least: 0.93}")) == [
        "P-2 search 1 → production: was deployed 2024-03-05; "
        "would have failed its gates: ranker 3: auc is 0.92, at least 0.93 is required.",
        "1 of 6 promotions would differ.",
    ]


def test_each_member_is_compared_with_its_own_champion_of_then(judged: Judge) -> None:
    assert judged(("no_worse_by: 0.01", "no_worse_by: 0.05")) == [
        "P-6 search 2 → production: was stopped by its gates; would have needed 2 more approvals: "
        "0 of 2 approvals; still needed: 1 from ml-leads and 1 from ml-leads or risk.",
        "1 of 6 promotions would differ.",
    ]


def test_a_range_bars_the_bundles_with_other_versions(judged: Judge) -> None:
    why = "would not have been eligible: search 1 → ranker 3 is not among the versions that the policy allows: >=4."
    assert judged(("[embedder, ranker]\n    order", '[embedder, {model: ranker, versions: ">=4"}]\n    order')) == [
        f"P-2 search 1 → production: was deployed 2024-03-05; {why}",
        f"P-1 search 1 → staging: was deployed 2024-03-04; {why}",
        "2 of 6 promotions would differ.",
    ]


def test_a_conflict_bars_whatever_came_second(judged: Judge) -> None:
    """The calibrator came when ranker 3 served; the bundle had come before there was a calibrator."""
    rule = '    conflicts: [{member: ranker, with: calibrator, with_versions: "<3"}]\n'
    found = judged(("    order:", f"{rule}    order:"))
    assert found == [
        "P-5 search 2 → staging: was deployed 2024-03-12; "
        "would not have been eligible: search 2 → ranker 4 conflicts with calibrator 2, which serves staging.",
        "P-4 calibrator 2 → production: was deployed 2024-03-10; "
        "would not have been eligible: calibrator 2 conflicts with ranker 3, which serves production.",
        "P-3 calibrator 2 → staging: was deployed 2024-03-08; "
        "would not have been eligible: calibrator 2 conflicts with ranker 3, which serves staging.",
        "3 of 6 promotions would differ.",
    ]


def test_a_policy_without_the_bundle_promotes_none_of_it(judged: Judge) -> None:
    found = judged((BUNDLED.removeprefix(POLICY), ""))
    assert found[-2] == (
        "P-1 search 1 → staging: was deployed 2024-03-04; would not have been eligible: "
        "search 1 is a bundle's version, and the policy has no bundle search any more."
    )
    assert found[-1] == "3 of 6 promotions would differ."
