"""One specimen of every kind of view and message that Baton shows, for whoever is to say whether Slack takes them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from bot.slack.blocks import card, drift, forms, home, picture, review, story, trouble
from bot.slack.blocks.alert import alert
from bot.slack.blocks.card import Awaited, Message
from bot.slack.blocks.digest import digest
from core.alerts import Proposal
from core.boards import Dashboard, Digest
from core.certifying import Certification
from core.domain.model import (
    Actor,
    Blocker,
    Decision,
    DecisionKind,
    Kind,
    Lineage,
    Measurement,
    ModelVersion,
    Outcome,
    Seat,
    State,
    Tally,
    Verdict,
)
from core.domain.views import PromotionView, RollbackPlan, RolloutView
from core.drifting import Drift
from core.glass import GlassPlan
from core.policy.alerting import Alert
from core.policy.comparison import compare
from core.store.boards import Part

Json = dict[str, Any]

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
STAGES = ("staging", "production")
MODEL, REASON = "a-model", "It finds more."
ALICE, BOB = Actor.user("U0ALICE", "alice"), Actor.user("U0BOB", "bob")
VERDICT = Verdict(
    "auc at least 0.9", Outcome.PASSED, "auc is 0.95, at least 0.9 is required.", metric="auc", candidate=0.95,
    champion=0.94, change=0.01,
)  # fmt: skip
AWAITED = Awaited({"ml-leads": (BOB.id,)})
PLAN = RollbackPlan(MODEL, "production", "2", NOW, "1", (NOW - timedelta(days=9), NOW))
BLOCKER = Blocker("requires", "staging", True, "It has not served staging.", "Promote it to staging first.")


def views() -> Iterator[tuple[str, Json]]:
    """Every form and App Home, by name."""
    waiting, rolling = _waiting(), _rolling_out()
    looked = forms.preview(waiting.version, waiting.champion, waiting.verdicts, [BLOCKER])
    yield "the form of /promote", forms.promote(STAGES, MODEL, STAGES[-1], looked)
    yield "the form of /rollback", forms.rollback(STAGES, MODEL, STAGES[-1], forms.consequence(PLAN))
    yield "the red button of /rollback", forms.confirm_rollback(PLAN, REASON)
    yield "the form behind Reject", forms.reject(waiting)
    yield "the form of a limited approval", forms.limit(rolling)
    yield "what is behind Details", forms.details(waiting, AWAITED, str(ALICE), [BLOCKER])
    yield "the last page of a form", forms.done("Done", REASON)
    part = Part((waiting,), 1)
    yield "App Home", home.home(Dashboard(waiting=part, asked=part, rolling_out=Part((rolling,), 1)), lambda _: True)


def messages() -> Iterator[tuple[str, Message]]:
    """Every kind of message and private answer, by name."""
    waiting, rolling = _waiting(), _rolling_out()
    done = replace(waiting, state=State.SUCCEEDED, ended_at=NOW)
    shown = card.card(waiting, AWAITED, guarded=True)
    yield "a card", shown
    yield "the card of a rollout", card.card(rolling, AWAITED, guarded=True)
    yield "a reminder", story.reminder(shown, waiting, "remind")
    yield "the news of an end", story.direct(done, "#ml-promotions")
    yield "the digest", digest(Digest("#ml-promotions", "2026-01-05", NOW, awaiting=Part((waiting,), 1)), {1: AWAITED})
    fires = Alert("1", NOW, True, "HighErrorRate", "errors doubled")
    yield "an alert", alert(Proposal(1, MODEL, "production", "2", "ask", "open", "", (fires,), 0, NOW, target="1"))
    yield (
        "what was moved past Baton",
        drift.drift(Drift(1, "mlflow", MODEL, "production", "alias", "1", "2", "", "open", NOW, adoptable=True)),
    )
    certification = Certification(1, MODEL, "1", "production", "P-1", "open", NOW, "90 days", (VERDICT,))
    yield "a champion past its review", review.review(certification)
    yield (
        "a channel out of reach",
        trouble.report(trouble.Report("#ml-promotions", "not_in_channel", "slack.channel", "P-1", NOW)),
    )
    if compared := compare(waiting):
        yield "a picture in words", picture.in_text(compared)
    glass = GlassPlan(MODEL, "2", "production", "1", ("0 of 2 approvals.",))
    for name, blocks in {
        "the answer to /promote why": forms.blockers(MODEL, "2", "production", [BLOCKER]),
        "the answer to /promote status": forms.status([waiting], [(MODEL, "production", "1")], ""),
        "the red button of break-glass": forms.glass_button(glass, REASON),
        "a private answer": forms.sentence(REASON),
    }.items():
        yield name, Message(REASON, blocks)


def _version(number: str, auc: float) -> ModelVersion:
    lineage = Lineage(repo="https://git.example.com/model", commit="0123abcd", trained_by="carol@example.com")
    return ModelVersion(MODEL, number, "s3://models/1", "sha256:00", lineage, (Measurement("auc", auc, samples=1000),))


def _waiting() -> PromotionView:
    """A promotion that one of two has approved."""
    return PromotionView(
        id=1, kind=Kind.PROMOTION, state=State.AWAITING_APPROVAL, model=MODEL, version=_version("2", 0.95),
        champion=_version("1", 0.94), stage="production", requester=ALICE, reason=REASON, verdicts=(VERDICT,),
        decisions=(Decision(BOB, DecisionKind.APPROVAL, NOW, ("risk",)),),
        tally=Tally(2, (BOB,), (Seat("ml-leads", 1),), False, "1 of 2 approvals; still needed: 1 from ml-leads."),
        rules={"name": "production"}, policy_version="0" * 64, evidence_digest="0" * 64, created_at=NOW, updated_at=NOW,
        expires_at=NOW + timedelta(days=3), ended_at=None, end_reason="", ended_by=None, deployments=(),
    )  # fmt: skip


def _rolling_out() -> PromotionView:
    """The same, with a quarter of the traffic."""
    steps = RolloutView("canary", (5, 25, 100), 1, 25, "holding", NOW, NOW + timedelta(hours=1))
    return replace(_waiting(), state=State.DEPLOYING, rollout=steps)
