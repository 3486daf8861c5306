"""Cards as people read them, in every state; and every view held against Slack's own models and the whole message's limit."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View

from bot.local_slack.limits import MESSAGE_BLOCKS_CHARS, message_length, validate, validate_view
from bot.slack import ids
from bot.slack.blocks import card, forms, home, story
from bot.slack.blocks.digest import digest
from core.boards import Dashboard, Digest
from core.domain.lifecycle import ENDS, Event
from core.domain.model import (
    Actor,
    DatasetRef,
    Decision,
    DecisionKind,
    DeploymentState,
    Kind,
    Lineage,
    Measurement,
    ModelVersion,
    Outcome,
    Override,
    State,
    Verdict,
)
from core.domain.views import DeploymentView, PromotionView
from core.policy.approvals import tally
from core.policy.gates import evaluate
from core.policy.stages import Stage
from core.store.boards import Part
from core.store.tables import AuditEvent

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
STAGE = Stage.model_validate(
    {
        "name": "production",
        "gates": [
            {"metric": "auc", "at_least": 0.9},
            {"metric": "auc", "compared_to": "champion", "no_worse_by": 0.005},
            {"metric": "latency_p99_ms", "at_most": 50, "lower_is_better": True},
            {"metric": "fairness_gap", "at_most": 0.1, "lower_is_better": True, "advisory": True},
            {"lineage": ["data", "code"]},
        ],
        "approvals": {"quorum": 2, "from": [{"group": "leads", "at_least": 1}, {"group": "risk", "at_least": 1}]},
    }
)
AWAITED = card.Awaited({"leads": ("U02BOB",), "risk": ("U03CAROL",)})


def version(number: str, **metrics: float | None) -> ModelVersion:
    lineage = Lineage((DatasetRef("clicks", "sha256:aa"),), "https://git.example/fraud", "0123abcd", "", "erin")
    measured = tuple(Measurement(name, value, "NaN" if value is None else "") for name, value in metrics.items())
    return ModelVersion("fraud-detector", number, "s3://m", "sha256:ab", lineage, measured)


def view(state: State = State.AWAITING_APPROVAL, **changes: Any) -> PromotionView:
    candidate = changes.pop("version", version("7", auc=0.95, latency_p99_ms=31, fairness_gap=0.05))
    champion = changes.pop("champion", version("6", auc=0.93, latency_p99_ms=30, fairness_gap=0.04))
    decisions = changes.pop("decisions", ())
    plain = PromotionView(
        id=12, kind=Kind.PROMOTION, state=state, model="fraud-detector", version=candidate, champion=champion,
        stage="production", requester=Actor.user("U01ALICE", "alice"), reason="it finds more",
        verdicts=evaluate(STAGE.gates, candidate, champion), decisions=decisions, tally=tally(STAGE.approvals, decisions),
        rules=STAGE.rules(), policy_version="a" * 64, evidence_digest="b" * 64, created_at=NOW, updated_at=NOW,
        expires_at=NOW + timedelta(days=3), ended_at=NOW if state in ENDS else None, end_reason="the reason",
        ended_by=Actor.user("U03CAROL", "carol") if state in ENDS else None, deployments=(),
    )  # fmt: skip
    return dataclasses.replace(plain, **changes)


def approval(user: str, *groups: str) -> Decision:
    return Decision(Actor.user(user, user), DecisionKind.APPROVAL, NOW, groups)


def shown(blocks: Any) -> str:
    """Everything that can be read, in its order."""
    if isinstance(blocks, list):
        return "\n".join(filter(None, map(shown, blocks)))
    if not isinstance(blocks, dict):
        return ""
    own = [blocks["text"]] if isinstance(blocks.get("text"), str) else []
    return "\n".join([*own, *filter(None, (shown(v) for k, v in blocks.items() if k != "text" or not own))])


HEADLINES = {
    State.EVALUATING: "Checking fraud-detector 7 for production",
    State.AWAITING_APPROVAL: "Promote fraud-detector 7 to production?",
    State.APPROVED: "Approved: fraud-detector 7 goes to production",
    State.DEPLOYING: "Deploying fraud-detector 7 to production",
    State.VERIFYING: "Verifying fraud-detector 7 in production",
    State.ROLLING_BACK: "Stopping fraud-detector 7 in production",
    State.SUCCEEDED: "fraud-detector 7 is champion of production",
    State.REJECTED: "Rejected: fraud-detector 7 to production",
    State.EXPIRED: "Expired: fraud-detector 7 to production",
    State.CANCELLED: "Withdrawn: fraud-detector 7 to production",
    State.SUPERSEDED: "Superseded: fraud-detector 7 to production",
    State.FAILED: "Not promoted: fraud-detector 7 to production",
    State.ERRORED: "Outcome unknown: fraud-detector 7 to production",
    State.ROLLED_BACK: "Stopped and put back: fraud-detector 7 in production",
}


@pytest.mark.parametrize("state", State)
def test_every_state_has_its_headline_and_only_what_waits_has_buttons(state: State) -> None:
    drawn = card.card(view(state), AWAITED, guarded=True)

    assert drawn.blocks[0]["text"]["text"] == HEADLINES[state]
    buttons = [e["text"]["text"] for b in drawn.blocks if b["type"] == "actions" for e in b["elements"]]
    assert buttons == (["Approve", "Reject", "Details"] if state is State.AWAITING_APPROVAL else [])
    assert drawn.text.startswith(HEADLINES[state])
    assert validate(drawn.blocks) == []


def test_the_table_shows_each_metric_beside_the_champions() -> None:
    [table] = [b for b in card.card(view(), AWAITED, guarded=True).blocks if b["type"] == "table"]

    rows = [[cell["text"] for cell in row] for row in table["rows"]]
    assert rows[0] == ["Metric", "Champion 6", "Candidate 7", "Change", "Gate"]
    by_name = {row[0].split()[-1]: row[1:4] for row in rows[1:]}
    assert by_name == {
        "auc": ["0.93", "0.95", "+0.02"],
        "latency_p99_ms": ["30", "31", "+1"],
        "fairness_gap": ["0.04", "0.05", "+0.01"],
    }


def test_what_stops_it_stands_first_and_no_data_is_no_number() -> None:
    bad = view(State.FAILED, version=version("7", auc=0.95, latency_p99_ms=None, fairness_gap=0.3))

    [table] = [b for b in card.card(bad, AWAITED, guarded=True).blocks if b["type"] == "table"]

    first = [cell["text"] for cell in table["rows"][1]]
    assert "latency_p99_ms" in first[0]
    assert "❓" in "".join(first)
    assert not any(character.isdigit() for character in first[2])


def test_the_buttons_come_before_the_numbers_however_long_the_reason() -> None:
    kinds = [b["type"] for b in card.card(view(reason="because " * 300), AWAITED, guarded=True).blocks]

    assert kinds.index("actions") < kinds.index("table")
    [told] = [b for b in card.card(view(reason="x" * 3000), AWAITED, guarded=True).blocks if b["type"] == "rich_text"]
    assert len(shown([told]).strip()) == card.REASON


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        ({"auc": 0.926, "latency_p99_ms": 49, "fairness_gap": 0.04}, "Worst change: *auc* 0.926 against 0.93 (−0.004, worse)"),
        ({"auc": 0.95, "latency_p99_ms": 33, "fairness_gap": 0.04}, "Worst change: *latency_p99_ms* 33 against 30 (+3, worse)"),
        ({"auc": 0.95, "latency_p99_ms": 30, "fairness_gap": 0.04}, "Nothing got worse. *auc* 0.95 against 0.93 (+0.02, better)"),
        ({"auc": 0.93, "latency_p99_ms": 30, "fairness_gap": 0.04}, "No number changed."),
    ],
)  # fmt: skip
def test_the_change_that_matters_most_is_said_in_words(metrics: dict[str, float], said: str) -> None:
    """What a gate compares with the champion comes before what it only bounds."""
    assert card.summary(view(version=version("7", **metrics))).splitlines()[-1] == said


def test_where_nothing_was_checked_nothing_is_green() -> None:
    unchecked = view(verdicts=evaluate((), version("7"), None), champion=None)

    said = shown(card.card(unchecked, AWAITED, guarded=True).blocks)

    assert "*No gate is set for this stage:* nothing was checked." in said
    assert "✅" not in said


def test_an_end_for_lack_of_data_says_so_first() -> None:
    lacking = view(
        State.FAILED, version=version("7", auc=0.95, fairness_gap=0.05), end_reason="latency was not measured."
    )

    assert card.summary(lacking) == "❓ *No data:* latency was not measured."


def test_broken_glass_stands_on_top_until_and_after_somebody_looked() -> None:
    broken = Override(Actor.user("U02BOB", "bob"), "it burns", ("auc is 0.8, at least 0.9 is required.",), NOW)
    seen = dataclasses.replace(broken, reviewed_by=Actor.user("U03CAROL", "carol"), review="fine")
    for override, mark, said in (
        (broken, "🚨", "Nobody has reviewed this yet"),
        (seen, "✅", "Reviewed by <@U03CAROL>: fine"),
    ):
        drawn = card.card(view(State.SUCCEEDED, override=override), AWAITED, guarded=True).blocks
        assert drawn[1]["text"]["text"].startswith(mark)
        assert "Glass broken by <@U02BOB>" in shown([drawn[2]])
        assert said in shown([drawn[2]])


def test_who_has_approved_and_who_still_may_are_named() -> None:
    half = view(decisions=(approval("U02BOB", "leads"),))

    said = shown(card.card(half, AWAITED, guarded=True).blocks)

    assert "*Approvals 1 of 2*: <@U02BOB>" in said
    assert "Still needed: 1 from risk (<@U03CAROL>)" in said
    assert "from leads" not in said.split("Still needed")[1]


def test_only_a_guarded_stage_asks_twice() -> None:
    for guarded in (True, False):
        [actions] = [b for b in card.card(view(), AWAITED, guarded=guarded).blocks if b["type"] == "actions"]
        assert ("confirm" in actions["elements"][0]) is guarded


def test_buttons_carry_the_number_and_approve_what_was_seen() -> None:
    [actions] = [b for b in card.card(view(), AWAITED, guarded=True).blocks if b["type"] == "actions"]

    assert [element["value"] for element in actions["elements"]] == [
        '{"promotion":12,"seen":"bbbbbbbbbbbbbbbb"}',
        '{"promotion":12}',
        '{"promotion":12}',
    ]
    assert [element["action_id"] for element in actions["elements"]] == [ids.APPROVE, ids.REJECT, ids.DETAILS]


def test_the_first_champion_is_said_to_be_the_first() -> None:
    first = view(champion=None)

    said = shown(card.card(first, AWAITED, guarded=True).blocks)

    assert "There is no champion yet to compare with." in said
    assert "It would be the first champion." in said


def test_a_rollback_has_words_of_its_own() -> None:
    done = view(State.SUCCEEDED, kind=Kind.ROLLBACK, version=version("6", auc=0.93), champion=version("7", auc=0.95))

    drawn = card.card(done, AWAITED, guarded=True)

    assert drawn.blocks[0]["text"]["text"] == "Rolled back: fraud-detector 6 serves production again"
    assert "6 took over from 7." in shown(drawn.blocks)
    assert not [b for b in drawn.blocks if b["type"] in ("table", "actions")]


def test_no_card_is_too_long_as_a_whole() -> None:
    """However much everybody wrote: one message holds 13,200 characters."""
    for drawn in (card.card(longest(state), AWAITED, guarded=True) for state in State):
        assert validate(drawn.blocks) == []
        assert message_length(drawn.blocks) <= MESSAGE_BLOCKS_CHARS
        assert len(drawn.text) <= 4000


def test_no_digest_is_too_long_as_a_whole() -> None:
    views = (longest(State.AWAITING_APPROVAL),) * 20
    many = Part(views, 900)
    said = digest(Digest("#x", "2026-11-23", NOW, many, many, many, many, many, many), {12: AWAITED})

    assert validate(said.blocks) == []
    assert message_length(said.blocks) <= MESSAGE_BLOCKS_CHARS


def longest(state: State) -> PromotionView:
    wide = "<&*_" * 5_000
    lineage = Lineage((DatasetRef(wide, wide),) * 9, wide, wide, "https://x.example/" + "y" * 1_900, wide)
    measured = tuple(Measurement(f"{wide}{number}", 0.5, "", wide) for number in range(40))
    verdicts = tuple(
        Verdict(wide, Outcome.PASSED, wide, number % 2 == 0, wide + str(number) * bool(number % 3), wide, 0.5, 0.4, 0.1)
        for number in range(40)
    )
    candidate = ModelVersion(wide, wide, wide, wide, lineage, measured)
    work = DeploymentView(
        3, 12, "deploy", wide, DeploymentState.FAILED, wide, wide, "k", NOW, NOW, NOW, NOW, "failed",
        "https://x.example/" + "y" * 1_900, wide, 3,
    )  # fmt: skip
    return view(
        state, model=wide, version=candidate, champion=dataclasses.replace(candidate, version=wide + "6"), reason=wide,
        verdicts=verdicts, end_reason=wide, deployments=(work,) * 4,
        decisions=tuple(approval(f"U{number:06}", "leads") for number in range(30)),
    )  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(State), st.booleans(), st.text(max_size=100), st.text(max_size=100))
def test_slacks_own_models_find_nothing_wrong_with_any_of_it(state: State, guarded: bool, one: str, other: str) -> None:
    promotion = view(state, model=one or "m", reason=other, end_reason=other)
    drawn = card.card(promotion, AWAITED, guarded=guarded)
    parsed(drawn.blocks)
    parsed(forms.blockers(one, other, "production", []))
    parsed(forms.status([promotion], [(one, "production", other)], one))
    for made in (
        forms.reject(promotion),
        forms.details(promotion, AWAITED, str(promotion.requester)),
        forms.promote(["staging", "production"], preview=forms.preview(promotion.version, None, promotion.verdicts)),
        forms.rollback(["staging", "production"]),
        forms.done("Done", "*done*"),
        home.home(Dashboard(Part((promotion,), 1), 0, Part((promotion,), 1), champions=(("m", "production", "7"),))),
    ):
        assert validate_view(made) == []
        View(**made).to_dict()
        parsed(made["blocks"])


def parsed(blocks: list[dict[str, Any]]) -> None:
    """Through slack_sdk's models, which check most lengths; they do not know tables."""
    for block in blocks:
        if block["type"] != "table":
            found = Block.parse(block)
            assert found is not None
            found.validate_json()
            found.to_dict()


WRITTEN = ("written_back", "write_back_stopped", "write_back_refused")


@pytest.mark.parametrize("kind", [*(each.value for each in Event), *WRITTEN])
def test_every_change_of_state_has_a_line_in_words(kind: str) -> None:
    event = AuditEvent(kind=kind, actor="user:U02BOB", actor_name="bob", data={"reason": "because of this"})
    told = story.line(event, view())
    assert not told[0].isascii()  # its mark; an event without words is told by its bare name
