"""Bundles in the policy file: ranges of versions, who goes first, and what may not stand beside what."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.bodies import version_body
from bot.local_slack.limits import MESSAGE_BLOCKS_CHARS, message_length, validate, validate_view
from bot.slack import grammar, typed
from bot.slack.blocks import card, forms
from core.domain.errors import BadInput
from core.domain.model import DeploymentState, State
from core.domain.views import DeploymentView, MemberView
from core.policy import bundles, ranges
from core.policy.bundles import Bundle, Move
from core.policy.gates import evaluate
from core.policy.load import PolicyError, load
from tests.unit.test_cards import AWAITED, NOW, STAGE, version, view

BASE = "version: 1\nslack: {channel: '#ml'}\nstages: [{name: development}, {name: production}]\nbundles:\n"


@pytest.mark.parametrize(
    ("wanted", "number", "answer"),
    [
        (None, "nightly", True),
        (">=4,<6", "4", True),
        (">=4,<6", "10", False),
        (">9", "10", True),
        (">=1.2", "1.10", True),
        ("==7", "7.0", True),
        ("==7", "v7", True),
        ("!=7", "8", True),
        ("<3", "nightly", None),
        ("==nightly", "nightly", True),
        ("!=nightly", "7", True),
        (">=4,!=nightly", "nightly", False),
        (">1.2", "1.2.1", True),
        ("<=2", "2-rc1", None),
    ],
)
def test_versions_are_compared_as_numbers(wanted: str | None, number: str, answer: bool | None) -> None:
    assert ranges.holds(wanted, number) is answer


def bundle(**said: object) -> Bundle:
    return Bundle.model_validate({"members": ["a", "b", "c"], **said})


@pytest.mark.parametrize(
    ("order", "sequence"),
    [
        ([], "abc"),
        ([["b", "a"]], "bac"),
        ([["c", "b", "a"]], "cba"),
        ([["c", "a"]], "bca"),
        ([["a", "c"], ["c", "b"]], "acb"),
    ],
)
def test_members_go_by_their_order_and_else_as_listed(order: list[list[str]], sequence: str) -> None:
    assert "".join(bundle(order=order).sequence) == sequence


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{members: [a, b, c], order: [[a, b], [b, c, a]]}", 'bundles.s.order: goes in a circle: a → b → c → a; leave one of them out'),
        ("{members: [a, b, c], order: [[b, c], [c, b]]}", "bundles.s.order: goes in a circle: b → c → b; leave one of them out"),
        ("{members: [a, a]}", 'bundles.s.members[1]: "a" is a member already; name each member once'),
        ("{members: [a], order: [[a, x]]}", 'bundles.s.order[0]: "x" is no member; name it under members'),
        ("{members: [{model: a, versions: soon}]}", 'bundles.s.members[0].versions: "soon" is no range of versions; write a range in quotes, such as ">=4,<6"'),
        ("{members: [{model: a, versions: 4}]}", 'bundles.s.members[0].versions: 4 is not text; write a range in quotes, such as ">=4,<6"'),
        ("{members: [a], conflicts: [{member: x, with: a}]}", 'bundles.s.conflicts[0].member: "x" is no member; name it under members'),
        ("{members: [a], requires: [{member: a, needs: a}]}", 'bundles.s.requires[0]: sets "a" beside itself; name another model'),
        ("{members: [t]}\n  t: {members: [a]}", 'bundles.s.members[0]: "t" is a bundle itself; name its members here instead'),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_its_place(text: str, said: str) -> None:
    with pytest.raises(PolicyError) as refused:
        load(f"{BASE}  s: {text}\n")
    assert [str(each) for each in refused.value.findings] == [f"baton.yml:5: {said}."]


RULES = {
    "s": Bundle.model_validate(
        {
            "members": ["embedder", "ranker"],
            "conflicts": [{"member": "ranker", "versions": ">=4", "with": "calibrator", "with_versions": "<3"}],
            "requires": [{"member": "ranker", "versions": ">=4", "needs": "embedder", "needs_versions": ">=7,<8"}],
        }
    )
}


@pytest.mark.parametrize(
    ("changed", "serving", "sentences"),
    [
        ({"embedder": "7", "ranker": "4"}, {"calibrator": "3"}, []),
        ({"embedder": "7", "ranker": "4"}, {}, []),
        ({"embedder": "6", "ranker": "3"}, {"calibrator": "2"}, []),
        (
            {"embedder": "7", "ranker": "4"},
            {"calibrator": "2"},
            ["s 1 → ranker 4 conflicts with calibrator 2, which serves production."],
        ),
        (
            {"embedder": "7", "ranker": "4"},
            {"calibrator": "nightly"},
            ["s 1 → ranker 4 conflicts with calibrator nightly, which serves production."],
        ),
        (
            {"embedder": "8", "ranker": "4"},
            {},
            ["s 1 → ranker 4 needs embedder >=7,<8, and embedder 8 comes with it."],
        ),
    ],
)
def test_what_does_not_go_together_is_said_with_its_path(
    changed: dict[str, str], serving: dict[str, str], sentences: list[str]
) -> None:
    move = Move("production", changed, serving, "s 1")
    assert [each.sentence for each in bundles.ill_matched(RULES, move)] == sentences


@pytest.mark.parametrize(
    ("model", "number", "serving", "sentences"),
    [
        ("calibrator", "2", {"ranker": "4"}, ["calibrator 2 conflicts with ranker 4, which serves production."]),
        ("calibrator", "2", {"ranker": "3"}, []),
        ("ranker", "4", {}, ["ranker 4 needs embedder >=7,<8, and none serves production."]),
        (
            "embedder",
            "8",
            {"ranker": "4"},
            ["embedder 8 does not do for ranker 4, which serves production and needs embedder >=7,<8."],
        ),
        ("other", "1", {"ranker": "4", "calibrator": "2"}, []),
    ],
)
def test_rules_also_bar_a_model_that_goes_alone(
    model: str, number: str, serving: dict[str, str], sentences: list[str]
) -> None:
    move = Move("production", {model: number}, serving)
    assert [each.sentence for each in bundles.ill_matched(RULES, move)] == sentences


@pytest.mark.parametrize("state", list(State))
def test_a_card_of_many_members_is_within_slacks_limits_in_every_state(state: State) -> None:
    names = [f"member-{number}-{'<&>' * 20}" for number in range(20)]
    verdicts = tuple(
        replace(each, model=name, gate=f"{name}: {each.gate}", sentence=f"{name} 7: {each.sentence * 20}")
        for name in names
        for each in evaluate(
            STAGE.gates, version("7", auc=0.8, latency_p99_ms=80, fairness_gap=0.5), version("6", auc=0.93)
        )
    )
    rows = tuple(MemberView(name, "7" * 60, "6" * 60, turn, "5 by P-9") for turn, name in enumerate(names))
    acts = tuple(
        DeploymentView(
            turn, 12, "deploy", "prod-hook", DeploymentState.FAILED, "7" * 60, "6", "k", NOW, NOW, NOW, NOW, "", "https://x/y",
            "no GPU " * 100, 1, model=name,
        )
        for turn, name in enumerate(names)
    )  # fmt: skip
    promotion = view(state, verdicts=verdicts, members=rows, deployments=acts)

    message = card.card(promotion, AWAITED, guarded=True)

    assert validate(message.blocks) == []
    assert message_length(message.blocks) <= MESSAGE_BLOCKS_CHARS
    [table] = [block for block in message.blocks if block["type"] == "table"]
    assert len(table["rows"]) == 21
    assert validate_view(forms.details(promotion, AWAITED, "user:U01ALICE")) == []


def test_the_command_line_and_slack_name_members_alike() -> None:
    assert version_body("search", "3", [], None, ["embedder=7", "ranker=v=4"])["members"] == {
        "embedder": "7",
        "ranker": "v=4",
    }
    with pytest.raises(BadInput, match="--member ranker is not understood; write MODEL=VERSION, such as ranker=4"):
        version_body("search", "3", [], None, ["ranker"])
    asked = grammar.promote_command("search embedder=7 ranker=4 to production because both learned")
    assert asked == typed.Promote("search", "", "production", "both learned", (("embedder", "7"), ("ranker", "4")))
    assert grammar.promote_command("search a=1") == typed.Promote("search", "", members=(("a", "1"),))
    for text in ("search a=1 a=2", "search a=1 =2", "search a=1 b= to production"):
        with pytest.raises(BadInput, match="/promote BUNDLE MEMBER=VERSION"):
            grammar.promote_command(text)
