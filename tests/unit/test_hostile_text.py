"""Whatever people and machines call things, what reaches Slack mentions nobody, forges nothing and breaks no limit."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.local_slack.limits import validate, validate_view
from bot.slack.blocks import card, forms, home, story
from bot.slack.blocks.digest import digest
from bot.slack.blocks.text import escape, plain
from core.boards import Dashboard, Digest
from core.domain.model import (
    Actor,
    Blocker,
    DatasetRef,
    Decision,
    DecisionKind,
    Kind,
    Lineage,
    Measurement,
    ModelVersion,
    Override,
    State,
)
from core.domain.views import DeploymentState, DeploymentView, PromotionView, RollbackPlan
from core.glass import GlassPlan
from core.policy.approvals import tally
from core.policy.gates import evaluate
from core.policy.stages import Stage
from core.policy.windows import Frozen
from core.store.boards import Part
from core.store.tables import AuditEvent

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
NASTY = [
    "<!channel>", "<@U05MALLORY>", "<http://evil.example|Approve>", "*bold* _it_ ~no~ `code` ```block```", "&lt;!here&gt;",
    "\u202eevil\u2066", "zero\u200bwidth\u2060", "tab\tand\nline\r\n> quote", ":white_check_mark: passed", "x" * 20_000,
    "<" * 5_000, "שלום 12 עולם", "e\u0301" * 500, "🤖👩‍👩‍👧" * 300, "=SUM(A1)", " ", "\x07\x1b[31m", "|", "]]>", "#general @here",
]  # fmt: skip
texts = st.one_of(
    st.sampled_from(NASTY), st.text(max_size=80), st.lists(st.sampled_from(NASTY), max_size=3).map("".join)
)
#: What Baton itself may put between angle brackets.
OURS = re.compile(
    r"<(@[UW][A-Z0-9]+|#[CGD][A-Z0-9]+|!date\^\d+\^[^<>|]*\|[^<>]*|!date\^\d+\^[^<>]*|https?://[^<>|\s]+\|[^<>|]*)>"
)
STAGE = Stage.model_validate(
    {
        "name": "production",
        "gates": [
            {"metric": "auc", "at_least": 0.9},
            {"metric": "auc", "compared_to": "champion"},
            {"lineage": ["data", "code"]},
        ],
        "approvals": {"quorum": 2, "from": [{"group": "leads", "at_least": 1}]},
    }
)


KINDS = [
    "requested", "approved", "rejected", "gates_failed", "deployment_reported", "evidence_changed", "waits", "escalated",
    "approval_withdrawn", "glass_broken", "glass_reviewed", "unheard_of",
]  # fmt: skip


@st.composite
def views(draw: st.DrawFn) -> PromotionView:
    """A promotion in any state in which everything that comes from outside is hostile."""
    name, version, reason, who = draw(texts), draw(texts), draw(texts), draw(texts)
    measured = (
        Measurement("auc", draw(st.floats(0, 1)), samples=3),
        Measurement(draw(texts), None, draw(texts), draw(texts)),
    )
    lineage = Lineage((DatasetRef(draw(texts), draw(texts)),), draw(texts), draw(texts), draw(texts), draw(texts))
    candidate = ModelVersion(name, version, draw(texts), draw(texts), lineage, measured)
    champion = draw(st.none() | st.just(ModelVersion(name, draw(texts), "", "", Lineage(), measured)))
    decisions = (
        Decision(
            Actor.user(draw(st.just("U02BOB") | texts), who),
            draw(st.sampled_from(DecisionKind)),
            NOW,
            ("leads",),
            reason,
            principal=draw(st.none() | st.just(Actor.user(who, reason))),
        ),
    )
    override = Override(Actor.user(who, who), reason, (reason, version), NOW, Actor.user(who, version), draw(texts))
    work = DeploymentView(
        3, 1, "deploy", draw(texts), draw(st.sampled_from(DeploymentState)), version, draw(texts), "k", NOW, NOW, NOW, None, "",
        draw(texts), draw(texts), 1,
    )  # fmt: skip
    return PromotionView(
        id=1, kind=draw(st.sampled_from(Kind)), state=draw(st.sampled_from(State)), model=name, version=candidate, champion=champion,
        stage="production", requester=Actor.user("U01ALICE", who), reason=reason,
        verdicts=evaluate(STAGE.gates, candidate, champion), decisions=decisions, tally=tally(STAGE.approvals, decisions),
        rules=STAGE.rules(), policy_version="a" * 64, evidence_digest="b" * 64, created_at=NOW, updated_at=NOW,
        expires_at=NOW + timedelta(days=1), ended_at=NOW, end_reason=draw(texts), ended_by=Actor.user("U02BOB", who),
        deployments=(work,), voided=tuple(replace(each, void=f"the evidence changed: {reason}") for each in decisions),
        waiting_for=draw(texts), waiting_until=draw(st.none() | st.just(NOW)), override=draw(st.none() | st.just(override)),
    )  # fmt: skip


def harmless(blocks: object, text: str = "") -> None:
    """No markup in mrkdwn but what Baton makes itself."""
    found = re.findall(r'"type": "mrkdwn", "text": ("(?:[^"\\]|\\.)*")', json.dumps(blocks, ensure_ascii=False))
    for each in [*(json.loads(one) for one in found), text]:
        left = OURS.sub("", each)
        assert "<" not in left, each
        assert not re.search(r"<!(channel|here|everyone)", each)


AWAITED = card.Awaited({"leads": ("U02BOB",)})


@settings(max_examples=50, deadline=None)
@given(views())
def test_a_card_is_harmless_and_within_every_limit_in_every_state(view: PromotionView) -> None:
    drawn = card.card(view, AWAITED, guarded=True)

    assert validate(drawn.blocks, "message") == []
    assert len(drawn.text) <= 4000
    harmless(drawn.blocks, drawn.text)


@settings(max_examples=25, deadline=None)
@given(views(), texts, texts)
def test_forms_answers_home_and_digest_are_harmless(view: PromotionView, one: str, other: str) -> None:
    named = (one[:200], other[:100], one[:100])  # no longer ones can be registered
    plan = RollbackPlan(
        named[0], "production", named[1], NOW, named[2], (NOW, None), warning=other, aborts="P-1", supersedes="P-2"
    )
    standing = [Blocker("freeze", one, True, other, one, True, NOW), Blocker("veto", one, True, other, one)] * 5
    preview = forms.preview(view.version, view.champion, view.verdicts, standing)
    for drawn in (
        forms.reject(view),
        forms.details(view, AWAITED, str(view.requester), standing),
        forms.promote(["staging", "production"], preview=preview),
        forms.confirm_rollback(plan, other[:500]),
    ):
        assert validate_view(drawn) == []
        harmless(drawn["blocks"])
    part = Part(tuple(replace(view, id=number) for number in range(1, 11)), 12_345)
    closed = (("production", Frozen(one, other, NOW)),) * 12
    shown = Dashboard(part, 3, part, part, part, closed, part, ((one, other, one),) * 30, digest=True)
    assert validate_view(home.home(shown)) == []
    harmless(home.home(shown))
    many = Part((view,) * 20, 25)
    said = digest(Digest("#x", "2026-11-23", NOW, many, many, many, many, many, many, many), {})
    assert validate(said.blocks, "message") == []
    harmless(said.blocks, said.text)
    glass = forms.glass_button(GlassPlan(named[0], named[1], "production", named[2], (one, other) * 20), other[:500])
    assert validate(glass, "message") == []
    harmless(glass)
    answers = forms.blockers(one, other, "production", [Blocker("gate", one, True, other, one)] * 50)
    assert validate(answers, "message") == []
    harmless(answers)


@settings(max_examples=25, deadline=None)
@given(
    views(),
    texts,
    texts,
    st.sampled_from(KINDS),
)
def test_stories_and_direct_messages_are_harmless(view: PromotionView, reason: str, who: str, kind: str) -> None:
    event = AuditEvent(
        kind=kind,
        actor="user:" + who,
        actor_name=who,
        data={"reason": reason, "message": reason, "state": who, "for": who, "for_name": reason, "voided": [who]},
        deployment_id=3,
    )

    told = story.line(event, view)
    assert len(told) <= 3800
    harmless([], told)
    for about in ("end", "voided:1"):
        direct = story.direct(view, "https://a.slack.com/archives/C01PROMO/p1", about)
        assert validate(direct.blocks, "message") == []
        harmless(direct.blocks, direct.text)
    for why in ("remind", "escalate"):
        copy = story.reminder(card.card(view, AWAITED, guarded=True), view, why)
        assert validate(copy.blocks, "message") == []
        harmless(copy.blocks, copy.text)


@given(texts, st.integers(2, 400))
def test_no_text_is_longer_than_it_may_be_nor_empty(text: str, limit: int) -> None:
    assert 1 <= len(escape(text, limit)) <= max(limit, 6)
    assert 1 <= len(plain(text, limit)) <= max(limit, 3)
