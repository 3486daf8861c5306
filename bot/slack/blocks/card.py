"""The card: one promotion as one message. Pure: a view in, blocks out.

The first line says what is asked, the second whether it is safe; then who asks and why, whose word is awaited, and the
buttons, so that no phone scrolls to them. The numbers in full come after.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bot.slack import ids
from bot.slack.blocks import bundle, rollout
from bot.slack.blocks.table import biggest_change, judged, lacks_data, mark, metric_table, rows
from bot.slack.blocks.text import (
    button,
    clip,
    context,
    date,
    escape,
    header,
    link,
    mrkdwn,
    notice,
    person,
    plain,
    quote,
    said,
    section,
)
from bot.slack.payloads import OfPromotion
from core.domain.model import Actor, Decision, DecisionKind, DeploymentState, Kind, ModelVersion, State
from core.domain.views import DeploymentView, PromotionView
from core.policy.approvals import either, needed
from core.policy.durations import spoken

#: Rows of the metric table on the card; the rest is behind Details.
TABLE_ROWS = 8
#: So much of the requester's reason is on the card, which a phone shows in six lines; the rest is behind Details.
REASON = 240

#: So much of the evidence digest goes with the Approve button: whoever presses it says yes to what stood beside it.
SEEN = 16

#: What stands before the second line of whatever does not wait.
MARKS = {
    State.SUCCEEDED: "✅", State.REJECTED: "⛔", State.EXPIRED: "⌛", State.CANCELLED: "⚪️", State.SUPERSEDED: "⚪️",
    State.FAILED: "❌", State.ERRORED: "🚨", State.ROLLED_BACK: "↩️",
}  # fmt: skip


@dataclass(frozen=True)
class Awaited:
    """Who may still fill the seats, by Slack id, for each group; read from the directory when the card is drawn."""

    groups: dict[str, tuple[str, ...]]
    stand_ins: Mapping[str, tuple[str, datetime]] = field(default_factory=dict)  #: by whom they decide for; until when


@dataclass(frozen=True)
class Message:
    """What goes to chat.postMessage or chat.update: `text` is what a notification shows."""

    text: str
    blocks: list[dict[str, Any]]


def card(view: PromotionView, awaited: Awaited, guarded: bool) -> Message:
    """The card of a promotion in whatever state it is. `guarded`: Approve asks once more before it counts."""
    promoted = view.kind is Kind.PROMOTION
    blocks = [header(headline(view)), section(summary(view)), *_override(view), *rollout.buttons(view), *_asked(view)]
    blocks += _approvals(view, awaited) if promoted else []
    if view.state is State.AWAITING_APPROVAL:
        blocks.append(buttons(view, guarded))
    blocks += [*_metrics(view), context(lineage(view.version))] if promoted else bundle.members(view)
    blocks += _deployments(view)
    return Message(text=notice(f"{headline(view)} {first_sentence(view)}"), blocks=blocks)


def headline(view: PromotionView) -> str:
    """What is asked, or what became of it; plain text."""
    what = f"{plain(view.model, 50)} {plain(view.version.version, 20)}"
    stage = plain(view.stage, 30)
    if view.kind is Kind.ROLLBACK:
        return _rollback_headline(view, what, stage)
    return {
        State.EVALUATING: f"Checking {what} for {stage}",
        State.AWAITING_APPROVAL: f"Promote {what} to {stage}?",
        State.APPROVED: f"Approved: {what} {'waits for' if view.waiting_for else 'goes to'} {stage}",
        State.DEPLOYING: f"{'Rolling out' if rollout.in_steps(view) else 'Deploying'} {what} to {stage}",
        State.VERIFYING: f"Verifying {what} in {stage}",
        State.ROLLING_BACK: f"Stopping {what} in {stage}",
        State.SUCCEEDED: f"{what} is champion of {stage}",
        State.REJECTED: f"Rejected: {what} to {stage}",
        State.EXPIRED: f"Expired: {what} to {stage}",
        State.CANCELLED: f"Withdrawn: {what} to {stage}",
        State.SUPERSEDED: f"Superseded: {what} to {stage}",
        State.FAILED: f"Not promoted: {what} to {stage}",
        State.ERRORED: f"Outcome unknown: {what} to {stage}",
        State.ROLLED_BACK: f"Stopped and put back: {what} in {stage}",
    }[view.state]


def _rollback_headline(view: PromotionView, what: str, stage: str) -> str:
    if view.state is State.SUCCEEDED:
        return f"Rolled back: {what} serves {stage} again"
    if view.active:
        return f"Rolling {stage} back to {what}"
    return f"Rollback did not happen: {what} in {stage}"


def summary(view: PromotionView) -> str:
    """Why it is or is not safe, or how it ended; mrkdwn."""
    if view.state is State.AWAITING_APPROVAL:
        return f"{_safety(view)}\n{biggest_change(rows(view.verdicts, view.champion))}".strip()
    if view.state is State.APPROVED and view.waiting_for:
        return f"🧊 {said(view.waiting_for, 700)} {_when(view)}"
    if far := rollout.progress(view):
        return far
    if view.state is State.FAILED and view.failing and all(lacks_data(each) for each in view.failing):
        return f"❓ *No data:* {escape(first_sentence(view), 900)}"
    if view.state is State.SUCCEEDED and view.override and view.override.reviewed_by is None:
        return f"🚨 {escape(first_sentence(view), 900).rstrip('.')}, *past what the policy asks.*"
    return f"{MARKS.get(view.state, '⏳')} {_ending(view) or said(first_sentence(view), 900)}{bundle.parted(view)}"


def _ending(view: PromotionView) -> str:
    """Which person ended it, and why, as mrkdwn; "" where nobody did."""
    did = {State.REJECTED: "Rejected", State.CANCELLED: "Withdrawn"}.get(view.state)
    if did is None or view.ended_by is None or view.ended_by.kind != "user":
        return ""
    because = f": {escape(view.end_reason, 800)}" if view.end_reason else "."
    return f"{did} by {actor(view.ended_by)}{because}"


def _when(view: PromotionView) -> str:
    """When an approved promotion goes ahead, or that it never will."""
    if view.waiting_until is None:
        until = f" Its approval holds until {date(view.expires_at)}." if view.expires_at else ""
        return f"It is deployed as soon as that has passed.{until}"
    if view.expires_at and view.expires_at <= view.waiting_until:
        return f"That ends {date(view.waiting_until)}, but the approval expires before, {date(view.expires_at)}."
    return f"It is deployed {date(view.waiting_until)}."


def _safety(view: PromotionView) -> str:
    gates = judged(view.verdicts)
    deciding = [verdict for verdict in gates if not verdict.advisory]
    if not gates:
        return "⚠️ *No gate is set for this stage:* nothing was checked."
    line = f"✅ *{_all(len(deciding))} passed.*" if deciding else "⚠️ *Only advisory gates are set:* nothing decides."
    if view.champion is None:
        line += " There is no champion yet to compare with."
    for verdict in view.regressions:
        line += f"\n⚠️ Advisory{', no data' if lacks_data(verdict) else ''}: {escape(verdict.sentence, 200)}"
    return line


def _all(count: int) -> str:
    return "The gate" if count == 1 else f"All {count} gates"


def first_sentence(view: PromotionView) -> str:
    """One sentence for the notification and the line under the headline; plain text."""
    if view.state is State.AWAITING_APPROVAL:
        counted = view.tally.sentence if view.tally else ""
        return f"Asked by {plain(view.requester.name or view.requester.id, 60)}. {counted}"
    if view.state is State.SUCCEEDED and view.kind is Kind.ROLLBACK:
        return f"{plain(view.version.version, 30)} took over from {_previous(view)}."
    by = (
        f" by {plain(view.ended_by.name or view.ended_by.id, 60)}"
        if view.ended_by and view.ended_by.kind != "system"
        else ""
    )
    reason = plain(view.end_reason, 600) if view.end_reason else ""
    sentences = {
        State.EVALUATING: plain(view.waiting_for, 600) or "Its gates are being checked.",
        State.APPROVED: plain(view.waiting_for, 600) if view.waiting_for else "The deployment is about to start.",
        State.DEPLOYING: rollout.standing(view) or _awaited(view),
        State.VERIFYING: "It is deployed and being verified.",
        State.ROLLING_BACK: f"The champion is being put back. {reason}".strip(),
        State.SUCCEEDED: f"It took over from {_previous(view)}."
        if view.champion
        else "It is the first champion there.",
        State.REJECTED: f"Rejected{by}: {reason}",
        State.EXPIRED: f"{reason[:1].upper()}{reason[1:]}." if reason else "Nobody decided in time.",
        State.CANCELLED: f"Withdrawn{by}: {reason}" if reason else f"Withdrawn{by}.",
        State.SUPERSEDED: f"{reason}.",
        State.FAILED: reason,
        State.ERRORED: reason if "A person must look" in reason else f"{reason} A person must look.",
        State.ROLLED_BACK: reason,
    }
    return sentences[view.state]


def _awaited(view: PromotionView) -> str:
    last = view.deployments[-1] if view.deployments and view.members else None
    about = f" for {plain(last.model, 50)} {plain(last.version, 30)}" if last else ""
    return f"The deploy target was asked{about}; its report is awaited."


def _previous(view: PromotionView) -> str:
    return plain(view.champion.version, 30) if view.champion else "nobody: it is the first"


def _asked(view: PromotionView) -> list[dict[str, Any]]:
    ended = f" · ended {date(view.ended_at)}" if view.ended_at else ""
    line = context(f"Asked by {actor(view.requester)} · {date(view.created_at)}{ended} · {view.ref}")
    told = view.override is not None and view.override.reason == view.reason
    return [quote(view.reason, REASON), line] if view.reason and not told else [line]


def actor(who: Actor) -> str:
    """Who acted, as mrkdwn: a mention for people, a name for tokens."""
    if who.kind == "user":
        return person(who.id, who.name)
    if who.kind != "token":
        return "Baton"
    return f"{escape(who.name or who.id, 80)} (API{', of ' + person(who.owner) if who.owner else ''})"


def decided_by(decision: Decision) -> str:
    """Who decided, and for whom if not for themselves; mrkdwn."""
    who = f"{actor(decision.actor)} for {actor(decision.principal)}" if decision.principal else actor(decision.actor)
    if decision.limit is None:
        return who
    return f"{who} (at most {decision.limit.percent} % for {spoken(timedelta(seconds=decision.limit.seconds))})"


def _override(view: PromotionView) -> list[dict[str, Any]]:
    """Break-glass, loudly, until somebody else has looked at it."""
    if view.override is None:
        return []
    passed = "".join(f"\n• {escape(each, 200)}" for each in view.override.bypassed[:5])
    line = f"🚨 *Glass broken by {actor(view.override.actor)}:* {escape(view.override.reason, 400)}"
    if view.override.reviewed_by is None:
        todo = f"*Nobody has reviewed this yet:* someone else types `/promote review {view.ref}`."
    else:
        words = f": {escape(view.override.review, 300)}" if view.override.review else ""
        todo = f"Reviewed by {actor(view.override.reviewed_by)}{words}"
    return [section(f"{line}\n{todo}\nIt went past:{passed}")]


def _metrics(view: PromotionView) -> list[dict[str, Any]]:
    if view.members:
        return bundle.members(view)
    found = rows(view.verdicts, view.champion)
    blocks = [metric_table(view.version, view.champion, found[:TABLE_ROWS])] if found else []
    others = [f"{mark(v)} {escape(v.sentence, 200)}" for v in judged(view.verdicts) if not v.metric]
    if len(found) > TABLE_ROWS:
        others.append(f"… and {len(found) - TABLE_ROWS} more under Details")
    return [*blocks, context(*others)] if others else blocks


def lineage(version: ModelVersion) -> str:
    """Who trained it, on what, from which code; mrkdwn, saying what nobody said."""
    facts = version.lineage
    if version.members:
        return f"Trained by {escape(facts.trained_by, 300)}" if facts.trained_by else "Trainers not recorded"
    data = ", ".join(
        f"{escape(each.name, 60)}@{escape(each.digest.removeprefix('sha256:'), 8)}" for each in facts.data[:3]
    )
    code = f"{escape(facts.repo.rstrip('/').rsplit('/', 1)[-1], 60)}@{escape(facts.commit, 8)}" if facts.commit else ""
    parts = [
        f"Trained by {escape(facts.trained_by, 80)}" if facts.trained_by else "Trainer not recorded",
        f"data {data}" if data else "no data lineage",
        f"code {code}" if code else "no code lineage",
    ]
    if facts.retraining:
        parts.insert(0, f"Retrained because {escape(facts.because, 300)} ({escape(facts.retraining, 20)})")
    if facts.run_url:
        parts.append(link(facts.run_url, "run"))
    return " · ".join(parts)


def _approvals(view: PromotionView, awaited: Awaited) -> list[dict[str, Any]]:
    if view.tally is None:
        return (
            [
                context(
                    f"Nobody {'is' if view.active else 'was'} asked: every gate passed, and the policy lets it go ahead."
                )
            ]
            if view.verdicts and view.state is not State.FAILED
            else []
        )
    if view.state is not State.AWAITING_APPROVAL and not view.tally.approvals:
        return []
    given = [decided_by(d) for d in view.decisions if d.kind is DecisionKind.APPROVAL]
    line = f"*Approvals {len(given)} of {view.tally.quorum}*" + (f": {', '.join(given)}" if given else "")
    if view.state is State.AWAITING_APPROVAL:
        line += f"\n{still_needed(view, awaited)}"
        if view.expires_at:
            line += f"\nExpires {date(view.expires_at, '{ago}')}, {date(view.expires_at)}"
    return [section(line)]


def still_needed(view: PromotionView, awaited: Awaited) -> str:
    """Who may still approve, by name; mrkdwn."""
    tally = view.tally
    if tally is None or tally.met:
        return ""
    if not tally.seats:
        return "Still needed: nobody may approve this; the policy names nobody."
    wanted = needed(tally.quorum, len(tally.approvals), tally.seats)
    done = {who.id for each in view.decisions for who in (each.actor, each.principal) if who is not None}
    return "Still needed: " + "; ".join(_wanted(number, groups, awaited, done) for number, groups in wanted)


def _wanted(count: int, groups: Sequence[str], awaited: Awaited, done: set[str]) -> str:
    ids_ = dict.fromkeys(who for group in groups for who in awaited.groups.get(group, ()) if who not in done)
    people = [_seat(who, awaited) for who in ids_]
    names = f" ({', '.join(people[:6])}{' …' if len(people) > 6 else ''})" if people else ""
    return f"{count} from {either([escape(group, 60) for group in groups])}{names}"


def _seat(who: str, awaited: Awaited) -> str:
    """Whose word it is, and who may give it for them."""
    if who not in awaited.stand_ins:
        return person(who)
    delegate, until = awaited.stand_ins[who]
    return f"{person(who)}, or {person(delegate)} for them until {date(until)}"


def _deployments(view: PromotionView) -> list[dict[str, Any]]:
    """The last two; those of which there is nothing to say but that they succeeded share a line."""
    sent = [each for each in view.deployments if each.target][-2:]
    quiet = [each for each in sent if each.state is DeploymentState.SUCCEEDED and not each.url]
    if len(quiet) < 2 or len({each.target for each in quiet}) > 1:
        return [context(deployment_line(each, view.end_reason)) for each in sent]
    return [context(f"{quiet[0].ref}, {deployment_line(quiet[1])}")]


def deployment_line(deployment: DeploymentView, told: str = "") -> str:
    """Where a deployment is; mrkdwn. What was `told` already is not repeated, nor what was heard before it succeeded."""
    line = f"{deployment.ref} · {escape(deployment.target, 60)} · {deployment.state.value.replace('_', ' ')}"
    if deployment.state is DeploymentState.SUCCEEDED or (deployment.message and deployment.message in told):
        pass
    elif deployment.message:
        line += f": {escape(deployment.message, 300)}"
    elif not deployment.finished_at and deployment.deadline:
        line += f", to be reported by {date(deployment.deadline, '{time}')}"
    return f"{line} · {link(deployment.url, 'log')}" if deployment.url else line


def buttons(view: PromotionView, guarded: bool) -> dict[str, Any]:
    """Approve, Reject and Details. `guarded`: Approve asks once more before it counts."""
    value = OfPromotion(promotion=view.id).dump()
    seen = OfPromotion(promotion=view.id, seen=view.evidence_digest[:SEEN]).dump()
    confirm = {
        "title": plain_text_of(f"Approve for {plain(view.stage, 40)}?", 100),
        "text": mrkdwn(clip(_confirm_text(view), 300)),
        "confirm": plain_text_of("Approve", 30),
        "deny": plain_text_of("Not yet", 30),
        "style": "primary",
    }
    approve = button("Approve", ids.APPROVE, seen, "primary", **({"confirm": confirm} if guarded else {}))
    reject = button("Reject", ids.REJECT, value, "danger")
    return {"type": "actions", "block_id": ids.CARD_ACTIONS, "elements": [approve, reject, _details(view)]}


def plain_text_of(text: str, limit: int) -> dict[str, Any]:
    """A plain_text object for dialogs."""
    return {"type": "plain_text", "text": clip(text, limit)}


def _confirm_text(view: PromotionView) -> str:
    over = (
        f"It would take over from {escape(view.champion.version, 20)}."
        if view.champion
        else "It would be the first champion."
    )
    return f"{escape(view.model, 80)} {escape(view.version.version, 20)} → {escape(view.stage, 30)}. {over}"


def _details(view: PromotionView) -> dict[str, Any]:
    return button("Details", ids.DETAILS, OfPromotion(promotion=view.id).dump())
