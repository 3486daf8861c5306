"""`baton policy test`: a month of promotions, judged again by a changed policy, from the command line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from typer.testing import CliRunner, Result

from bot.cli import app
from bot.settings import Settings
from core import whatif
from core.barriers import Barriers
from core.decisions import Decisions
from core.domain.model import Actor, DeploymentState, Lineage, Measurement, ModelVersion
from core.engine import Engine
from core.glass import Glass
from core.policy.load import load
from core.store.database import Database
from core.store.tables import DeploymentRow
from tests.conftest import DIALECTS
from tests.integration.api_world import ALICE, BOB, CAROL, World

MODEL = "fraud-detector"
DAVE, CI = Actor.user("U04DAVE", "Dave"), Actor("token", "ci", "ci")
POLICY = """
version: 1
slack: {channel: "#ml-promotions"}
groups:
  ml-leads: [U02BOB, U03CAROL]
  risk: [U04DAVE]
stages:
  - name: development
  - name: staging
    requires: [development]
    approvals: {automatic: true}
  - name: production
    requires: [staging]
    soak: 24h
    gates:
      - {metric: auc, at_least: 0.9}
      - {metric: auc, compared_to: champion, no_worse_by: 0.01}
    approvals:
      quorum: 2
      from: [{group: ml-leads, at_least: 1}, {group: risk}]
      exclude: []
    rollback: {allowed: [ml-leads]}
    break_glass: {allowed: [ml-leads]}
stop: {allowed: [ml-leads]}
"""
GLASS = f"P-12 {MODEL} 11 → production: passed by glass; no policy judges that."


class Story:
    """What people did, at which hour of March 2024, in the real tables and by the real use cases."""

    def __init__(self, database: Database, policy: str = POLICY) -> None:
        self.engine = Engine(database)
        self.world = World(Settings.load({}), load(policy), database, self.engine)
        self.decisions = Decisions(self.world.promotions)

    def at(self, day: int, hour: int = 9) -> None:
        """The clock says so from now on."""
        self.world.time = datetime(2024, 3, day, hour, tzinfo=UTC)

    def stage(self, day: int, version: str, auc: float, model: str = MODEL, trained_by: str = "erin") -> None:
        """Registered, and brought to staging at once."""
        self.at(day)
        self.register(model, version, auc, trained_by)
        self.carry_out(self.world.promotions.request(ALICE, model, version, "staging", "").id)

    def register(self, model: str, version: str, auc: float, trained_by: str = "erin") -> None:
        """A version with one measurement."""
        measured = (Measurement("auc", auc, dataset="eval"),)
        lineage = Lineage(trained_by=trained_by)
        self.world.registration.register(
            CI, ModelVersion(model, version, "s3://m", f"sha256:{version}", lineage, measured)
        )

    def ask(self, day: int, version: str, *approved: Actor, by: Actor = ALICE, model: str = MODEL) -> int:
        """Asked for production, and approved by these."""
        self.at(day, 10)
        asked = self.world.promotions.request(by, model, version, "production", "").id
        for who in approved:
            self.decisions.approve(who, asked)
        return asked

    def carry_out(self, promotion: int) -> None:
        """What the engine does with whatever awaits it, of a bundle one member after the other."""
        waiting = select(DeploymentRow.id).where(
            DeploymentRow.promotion_id == promotion, DeploymentRow.state == DeploymentState.PENDING.value
        )
        done = 0
        while True:
            with self.world.database.read() as session:
                deployment = session.scalars(waiting).one_or_none()
            if deployment is None:
                break
            assert self.world.deployments.begin(deployment)
            self.world.deployments._outcomes.end(deployment, "succeeded", "")
            done += 1
        assert done


@pytest.fixture(scope="module", params=DIALECTS)
def past(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    new_database: Callable[[str, Path], str],
) -> str:
    """The URL of a database with sixteen promotions and one rollback; nothing here changes it."""
    url = new_database(request.param, tmp_path_factory.mktemp("past"))
    database = Database(url)
    told = Story(database)
    told.stage(4, "6", 0.93)  # P-1
    told.carry_out(told.ask(5, "6", BOB, CAROL, by=BOB))  # P-2: Bob approves his own request
    told.stage(6, "7", 0.95, trained_by="U03CAROL")  # P-3
    seventh = told.ask(8, "7", CAROL, DAVE)  # P-4: Carol approves what she trained, on a Friday
    told.at(9)  # … and it is carried out on the Saturday
    told.carry_out(seventh)
    told.stage(11, "8", 0.91)  # P-5
    told.ask(12, "8")  # P-6: stopped by its gates, the champion's auc being 0.95
    told.stage(13, "9", 0.96)  # P-7
    ninth = told.ask(14, "9", CAROL)  # P-8: Carol takes her yes back, and Alice hers
    told.decisions.withdraw(CAROL, ninth)
    told.world.promotions.cancel(ALICE, ninth)
    told.stage(15, "10", 0.96)  # P-9
    told.decisions.reject(CAROL, told.ask(16, "10"), "not on a Saturday")  # P-10
    told.stage(18, "11", 0.7)  # P-11
    told.at(19)
    glass = Glass(told.world.promotions)
    seen = glass.plan(BOB, MODEL, "11", "production").seen
    told.carry_out(glass.use(BOB, MODEL, "11", "production", "it burns", seen).id)  # P-12
    told.carry_out(told.world.rollbacks.request(BOB, MODEL, "production", None, "it burned more").id)  # P-13
    told.stage(20, "12", 0.97)  # P-14
    told.ask(21, "12", BOB)  # P-15: still waits for the second
    told.stage(22, "1", 0.99, model="churn")  # P-16
    told.at(22, 12)
    Barriers(told.world.promotions).stop(BOB, "churn", "the data is wrong")
    told.ask(25, "1", BOB, DAVE, model="churn")  # P-17: approved, and waits
    told.engine.stop()
    database.dispose()
    return url


Cli = Callable[..., Result]
Judge = Callable[..., list[str]]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, past: str) -> Cli:
    """`baton policy test …` in a folder where `baton.yml` is the policy that all of it was judged by."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("BATON_", "SLACK_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("BATON_DATABASE_URL", past)
    Path("baton.yml").write_text(POLICY, encoding="utf-8")

    def run(*arguments: str, code: int) -> Result:
        done = CliRunner().invoke(app, ["policy", "test", *arguments])
        assert done.exit_code == code, done.output
        return done

    return run


@pytest.fixture
def judged(cli: Cli) -> Judge:
    """The lines for `baton.yml` with these texts in place of those, but for the one of the glass."""

    def run(*changes: tuple[str, str], code: int = 1) -> list[str]:
        text = POLICY
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        Path("changed.yml").write_text(text, encoding="utf-8")
        lines = cli("changed.yml", code=code).stdout.splitlines()
        assert lines.count(GLASS) == 1, "the glass is told of whatever the policy, and makes no difference"
        return [line for line in lines if line != GLASS]

    return run


def test_the_policy_that_all_was_judged_by_makes_no_difference(cli: Cli) -> None:
    assert cli(code=0).stdout.splitlines() == [GLASS, "0 of 16 promotions would differ."]


def test_who_would_have_failed_a_stricter_gate_is_said_with_the_numbers(judged: Judge) -> None:
    assert judged(("at_least: 0.9}", "at_least: 0.94}")) == [
        f"P-2 {MODEL} 6 → production: was deployed 2024-03-05; "
        "would have failed its gates: auc is 0.93, at least 0.94 is required.",
        "1 of 16 promotions would differ.",
    ]


def test_a_comparison_is_made_with_the_champion_of_then(judged: Judge) -> None:
    assert judged(("no_worse_by: 0.01", "no_worse_by: 0.05")) == [
        f"P-6 {MODEL} 8 → production: was stopped by its gates; would have needed 2 more approvals: "
        "0 of 2 approvals; still needed: 1 from ml-leads and 1 from ml-leads or risk.",
        "1 of 16 promotions would differ.",
    ]


def test_what_was_never_measured_is_never_a_pass(judged: Judge) -> None:
    found = judged(("metric: auc, at_least", "metric: recall, at_least"))
    assert found[-2] == (
        f"P-2 {MODEL} 6 → production: was deployed 2024-03-05; "
        "would have failed its gates: recall of version 6 was not measured."
    )
    assert found[1] == (
        f"P-15 {MODEL} 12 → production: still waits for approval; "
        "would now fail its gates: recall of version 12 was not measured."
    )
    assert found[-1] == "6 of 16 promotions would differ."


def test_more_approvals_than_were_given_say_how_many_and_from_whom(judged: Judge) -> None:
    assert judged(("{group: risk}", "{group: risk, at_least: 1}")) == [
        f"P-2 {MODEL} 6 → production: was deployed 2024-03-05; "
        "would have needed 1 more approval: 2 of 3 approvals; still needed: 1 from risk.",
        "1 of 16 promotions would differ.",
    ]


def test_requester_and_trainer_do_not_count_where_the_changed_policy_excludes_them(judged: Judge) -> None:
    assert judged(("exclude: []", "exclude: [requester, trainer]")) == [
        f"P-4 {MODEL} 7 → production: was deployed 2024-03-09; "
        "would have needed 1 more approval: 1 of 2 approvals; still needed: 1 from ml-leads.",
        f"P-2 {MODEL} 6 → production: was deployed 2024-03-05; "
        "would have needed 1 more approval: 1 of 2 approvals; still needed: 1 from ml-leads or risk.",
        "2 of 16 promotions would differ.",
    ]


def test_fewer_approvals_let_through_what_had_enough_but_no_withdrawn_one_counts(judged: Judge) -> None:
    """P-8 had Carol's yes until she took it back; P-10 had her no."""
    assert judged(("quorum: 2", "quorum: 1")) == [
        f"P-15 {MODEL} 12 → production: still waits for approval; would now go ahead.",
        "1 of 16 promotions would differ.",
    ]


def test_people_keep_the_groups_that_they_were_in(judged: Judge) -> None:
    assert judged(("ml-leads: [U02BOB, U03CAROL]", "ml-leads: [U05ERIN]"), code=0) == [
        "0 of 16 promotions would differ."
    ]


def test_where_nobody_is_asked_rejected_and_withdrawn_ones_would_have_gone_ahead(judged: Judge) -> None:
    approvals = POLICY[POLICY.index("    approvals:\n") : POLICY.index("    rollback:")]
    assert judged((approvals, "    approvals: {automatic: true}\n")) == [
        f"P-15 {MODEL} 12 → production: still waits for approval; would now go ahead.",
        f"P-10 {MODEL} 10 → production: was rejected; would have gone ahead.",
        f"P-8 {MODEL} 9 → production: was cancelled before it was approved; would have gone ahead.",
        "3 of 16 promotions would differ.",
    ]


def test_where_the_policy_names_nobody_nothing_would_have_been_approved(judged: Judge) -> None:
    approvals = POLICY[POLICY.index("    approvals:\n") : POLICY.index("    rollback:")]
    found = judged((approvals, ""))
    assert found[-2] == (
        f"P-2 {MODEL} 6 → production: was deployed 2024-03-05; would have needed approvals that nobody could give: "
        "Nobody may approve: the policy names no approvers."
    )


def test_a_freeze_at_the_moment_of_the_deployment_says_until_when(judged: Judge) -> None:
    freeze = '    freeze: [{name: weekend, rrule: "FREQ=WEEKLY;BYDAY=SA,SU", duration: 24h}]\n    rollback:'
    assert judged(("    rollback:", freeze)) == [
        f"P-4 {MODEL} 7 → production: was deployed 2024-03-09; "
        "would have had to wait until 2024-03-11 00:00 UTC: production is frozen by “weekend”.",
        "1 of 16 promotions would differ.",
    ]


def test_a_longer_soak_counts_the_stretch_of_then(judged: Judge) -> None:
    """Version 6 left staging on the sixth, which nobody knew on the fifth."""
    assert judged(("soak: 24h", "soak: 48h")) == [
        f"P-2 {MODEL} 6 → production: was deployed 2024-03-05; would have had to wait until 2024-03-06 09:00 UTC: "
        f"production wants 2 d in staging in one stretch; {MODEL} 6 has served there since 2024-03-04 09:00 UTC.",
        "1 of 16 promotions would differ.",
    ]


def test_a_stage_more_that_is_required_bars_whoever_had_not_served_it(judged: Judge) -> None:
    shadow = "  - name: shadow\n    approvals: {automatic: true}\n  - name: production\n    requires: [staging, shadow]"
    found = judged(("  - name: production\n    requires: [staging]", shadow))
    assert found[-2] == (
        f"P-2 {MODEL} 6 → production: was deployed 2024-03-05; "
        f"would not have been eligible: production requires shadow, which {MODEL} 6 has never served."
    )
    assert found[0] == (
        "P-17 churn 1 → production: is approved and waits; "
        "would now not be eligible: production requires shadow, which churn 1 has never served."
    )
    assert "P-6 " not in "".join(found), "it was stopped as it was"
    assert found[-1] == "6 of 16 promotions would differ."


def test_a_stage_that_is_gone_is_said(judged: Judge) -> None:
    found = judged(("name: production", "name: live"))
    assert found[-2:] == [
        f"P-2 {MODEL} 6 → production: was deployed 2024-03-05; the policy has no stage production any more.",
        "7 of 16 promotions would differ.",
    ]


def test_json_says_the_same_for_programs(cli: Cli) -> None:
    Path("changed.yml").write_text(POLICY.replace("at_least: 0.9}", "at_least: 0.94}"), encoding="utf-8")
    found: dict[str, Any] = json.loads(cli("changed.yml", "--json", code=1).stdout)
    assert found["judged"] == 16
    assert [each["promotion"] for each in found["unjudged"]] == ["P-12"]
    assert found["differ"] == [
        {
            "promotion": "P-2",
            "model": MODEL,
            "version": "6",
            "stage": "production",
            "happened": "was deployed 2024-03-05",
            "outcome": "gates_failed",
            "would": "would have failed its gates: auc is 0.93, at least 0.94 is required.",
            "differs": True,
            "unjudged": False,
        }
    ]


def test_which_promotions_are_judged_can_be_chosen(cli: Cli) -> None:
    def count(*options: str) -> str:
        return cli(*options, code=0).stdout.splitlines()[-1]

    assert count("--model", "churn") == "0 of 2 promotions would differ."
    assert count("--since", "2024-03-22") == "0 of 2 promotions would differ."
    assert count("--since", "2024-03-22T09:00:01Z") == "0 of 1 promotion would differ."
    assert count("--limit", "5") == "0 of 5 promotions would differ."
    assert count("--since", "2024-04-01") == "0 of 0 promotions would differ."


def test_however_few_are_read_at_a_time_none_is_left_out(
    judged: Judge, monkeypatch: pytest.MonkeyPatch, cli: Cli
) -> None:
    whole = judged(("name: production", "name: live"))
    for size in (1, 4, 16):
        monkeypatch.setattr(whatif, "CHUNK", size)
        assert judged(("name: production", "name: live")) == whole
        assert cli("--limit", "5", code=0).stdout.splitlines()[-1] == "0 of 5 promotions would differ."


def test_what_cannot_be_judged_is_refused(cli: Cli) -> None:
    Path("changed.yml").write_text(POLICY.replace("quorum: 2", "quorum: two").replace("0.01", "x"), encoding="utf-8")
    refused = cli("changed.yml", code=1)
    assert refused.stdout == ""
    assert [line.split(": ")[0] for line in refused.stderr.splitlines()] == ["changed.yml:17", "changed.yml:19"]
    assert cli("none.yml", code=1).stderr.startswith("none.yml:1: the file cannot be read")
    assert cli("--model", "nobody", code=1).stderr == "There is no model called “nobody”.\n"
    assert "--since is “soon”" in cli("--since", "soon", code=2).stderr
    assert "Invalid value for '--limit'" in cli("--limit", "0", code=2).stderr


def test_without_a_database_it_says_so(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATON_DATABASE_URL", "sqlite:///none.db")
    assert cli(code=1).stderr == "There is no database at none.db; `baton migrate` makes it.\n"
