"""The thread under a card, one line an event, and the direct message at the end. Pure."""

from __future__ import annotations

from datetime import timedelta

from bot.slack.blocks.card import MARKS, Message, actor, deployment_line, first_sentence, headline
from bot.slack.blocks.table import judged, mark
from bot.slack.blocks.text import context, date, escape, link, notice, said, section
from core.domain.model import Actor, Outcome, State
from core.domain.views import DeploymentView, PromotionView
from core.policy.durations import spoken
from core.store.tables import AuditEvent
from core.store.views import verdict_from_json


def line(event: AuditEvent, view: PromotionView) -> str:
    """What happened, as one line of mrkdwn; an event without words of its own is shown by its name."""
    who = actor(Actor.parse(event.actor, event.actor_name))
    reason = str(event.data.get("reason") or "")
    because = f": {escape(reason, 600)}" if reason else ""
    told = {
        "requested": f"📝 {who} asked for it{because}",
        "rollback_asked": f"↩️ {who} asked to roll back{because}",
        "gates_passed": f"✅ Gates passed{_counted(event)}; approval is awaited",
        "auto_approved": _auto_approved(event, view, who),
        "gates_failed": f"❌ Stopped by its gates: {escape(reason, 1500)}",
        "approved": f"👍 {who} approved{_for(event)}",
        "approval_withdrawn": f"↩️ {who} took their approval back",
        "evidence_changed": f"🔁 The evidence changed{because}. {_voided(event)}",
        "waits": f"🧊 {said(reason, 900)}",
        "traffic_moved": f"🚦 {_traffic(event)} of the traffic",
        "member_deployed": f"📦 {_member(event)}",
        "bundle_parted": f"⚠️ {escape(reason, 600)}",
        "step_started": f"🚦 Moving to {_traffic(event)}",
        "rollout_asks": f"❓ Somebody must say how to go on{because}",
        "rollout_continued": f"▶️ {who} lets it go on",
        "rollout_paused": f"⏸️ {who} holds it",
        "rollout_extended": f"⏳ {who} has it watched longer",
        "rollback_started": f"↩️ {_champion(event)} gets all traffic again",
        "escalated": f"📣 {escape(reason[:1].upper() + reason[1:], 300)}",
        "glass_broken": f"🚨 {who} broke the glass{because}",
        "glass_reviewed": f"👀 {who} reviewed it{because}",
        "quorum_reached": f"✅ Approved: {escape(reason, 300)}",
        "rejected": f"⛔ {who} rejected it{because}",
        "deployment_started": f"🚀 Deployment started{_target(event, view)}",
        "deployment_accepted": f"📨 The deploy target took it{_target(event, view)}",
        "deployment_reported": f"📣 The deploy system reports{_said(event)}",
        "report_contradicted": f"⚠️ {escape(reason, 900)}",
        "deployment_succeeded": "📦 Deployed",
        "deployment_failed": f"❌ The deployment failed{because}",
        "verification_passed": f"👑 {escape(view.version.version, 40)} is champion of {escape(view.stage, 40)}",
        "verification_failed": f"❌ It did not stand up to being watched{because}",
        "stop_asked": f"✋ {who} asked to stop it{because}",
        "rollback_requested": f"↩️ Going back{because}",
        "traffic_withdrawn": f"↩️ Going back{because}",
        "rollback_succeeded": "↩️ The champion is back in full",
        "broke": f"🚨 Could not find out{because}",
        "cancelled": f"⚪️ {who} withdrew it{because}",
        "superseded": f"⚪️ Superseded{because}",
        "expired": f"⌛ Expired{because}",
        "no_longer_eligible": f"❌ No longer eligible{because}",
    }
    told |= _afterwards(event, who, because)
    return told.get(event.kind) or f"{escape(event.kind.replace('_', ' ').capitalize(), 80)}{because}"


def _afterwards(event: AuditEvent, who: str, because: str) -> dict[str, str]:
    """What happens in the registries, and to a champion long after its promotion."""
    reason = str(event.data.get("reason") or "")
    return {
        "adopted": f"👑 {who} adopted it{because}",
        "written_back": f"📝 {escape(reason, 600)}",
        "write_back_stopped": f"⚠️ {escape(reason, 600)}",
        "write_back_refused": f"🚨 {escape(reason, 600)}",
        "recertification_asked": f"📅 Re-certification is asked for{because}",
        "recertified": f"✅ {who} re-certified it{because}",
        "retraining_requested": f"🔁 Retraining is asked for ({escape(str(event.data.get('retraining')), 20)}){because}",
        "retraining_sent": f"📨 {escape(reason, 300)}",
        "retraining_refused": f"🚨 {escape(reason, 600)}",
        "retraining_answered": f"🔁 {escape(reason, 300)}",
    }


def _traffic(event: AuditEvent) -> str:
    data = event.data
    return f"{data.get('traffic', '?')} % (step {data.get('step', '?')} of {data.get('steps', '?')})"


def _member(event: AuditEvent) -> str:
    data = event.data
    of = f"({data.get('number', '?')} of {data.get('of', '?')})"
    traffic = f" has {data['traffic']} % of the traffic" if data.get("traffic", 100) != 100 else " is deployed"
    return f"{escape(str(data.get('member') or '?'), 120)}{traffic} {of}"


def _champion(event: AuditEvent) -> str:
    member = event.data.get("member")
    return f"{escape(str(member), 80)} {escape(str(event.data.get('version')), 40)}" if member else "The champion"


def _for(event: AuditEvent) -> str:
    whose, limit = event.data.get("for"), event.data.get("limit")
    if limit:
        return f", at most {limit.get('percent')} % for {spoken(timedelta(seconds=int(limit.get('seconds', 0))))}"
    return f" for {actor(Actor.parse(str(whose), str(event.data.get('for_name') or '')))}" if whose else ""


def _voided(event: AuditEvent) -> str:
    gone = [actor(Actor.parse(str(each))) for each in event.data.get("voided", [])]
    return f"Void, and needed again: {', '.join(gone)}." if gone else "It is checked anew."


def _counted(event: AuditEvent) -> str:
    verdicts = judged([verdict_from_json(each) for each in event.data.get("verdicts", [])])
    deciding = [verdict for verdict in verdicts if not verdict.advisory]  # as the card counts them
    passed = sum(verdict.outcome is Outcome.PASSED for verdict in deciding)
    advisory = [
        f" {mark(v)} advisory: {escape(v.sentence, 200)}"
        for v in verdicts
        if not v.decides and v.outcome is not Outcome.PASSED
    ]
    return f" ({passed} of {len(deciding)}){''.join(advisory)}" if verdicts else " (none is set)"


def _auto_approved(event: AuditEvent, view: PromotionView, who: str) -> str:
    if event.data.get("verdicts") is None:
        return f"✅ {who} may roll back, so nobody else is asked"
    return f"✅ Gates passed{_counted(event)}; the policy lets {escape(view.stage, 40)} go ahead without asking"


def _target(event: AuditEvent, view: PromotionView) -> str:
    for deployment in view.deployments:
        if deployment.id == event.deployment_id and deployment.target:
            return f" ({deployment.ref}, {escape(deployment.target, 60)})"
    return ""


def _said(event: AuditEvent) -> str:
    state = str(event.data.get("state") or "").replace("_", " ")
    message = str(event.data.get("message") or "")
    return f" {escape(state, 40)}" + (f": {escape(message, 300)}" if message else "")


def reminder(message: Message, view: PromotionView, why: str) -> Message:
    """The card for somebody by direct message, with why it comes to them; when it is decided it says so like any card."""
    if view.state is not State.AWAITING_APPROVAL:
        return message
    asked = f"asked {date(view.created_at)}"
    said = {
        "remind": f"⏰ *This still waits for you*, {asked}.",
        "escalate": f"📣 *Nobody has decided this*, {asked}, so it comes to you.",
    }[why]
    plain_words = {"remind": "Still waits for you: ", "escalate": "Nobody has decided: "}[why]
    return Message(text=f"{plain_words}{message.text}", blocks=[section(said), *message.blocks])


def _limit_reached(view: PromotionView, to_card: str, percent: str) -> Message:
    """Whoever said "at most so much, then ask me again" is asked."""
    what = f"*{escape(view.model, 80)} {escape(view.version.version, 40)}* in {escape(view.stage, 40)}"
    said = f"You approved {view.ref} for at most {percent} % of the traffic and wanted to be asked again"
    chosen = f"on {link(to_card, 'its card')}" if to_card else "on its card"
    text = f"❓ *{said}.*\n{what} stays as it is until you choose {chosen}: *Continue*, *Wait longer* or *Roll back*."
    return Message(text=notice(f"{said}: {view.title}."), blocks=[section(text)])


def direct(view: PromotionView, to_card: str, about: str = "end") -> Message:
    """A direct message: the requester's when their promotion has ended, an approver's whose yes counts no longer, or whose
    limit is reached.
    """
    if about.startswith("limit:"):
        return _limit_reached(view, to_card, about.split(":")[1])
    if about.startswith("voided"):
        said = f"Your approval of {view.ref} counts no longer"
        why = next((each.void for each in reversed(view.voided) if each.void != "withdrawn"), "")
        what = f"*{escape(view.model, 80)} {escape(view.version.version, 40)}* to {escape(view.stage, 40)} has changed"
        again = f"\n{link(to_card, 'Look at its card again')}." if to_card else ""
        text = f"🔁 *{said}.*\n{what}: {escape(why.partition(': ')[2] or why, 900)}.{again}"
        return Message(text=notice(f"{said}: {view.title} has changed."), blocks=[section(text)])
    text = f"{MARKS.get(view.state, '⚪️')} *{escape(headline(view), 200)}*\n{escape(first_sentence(view), 1200)}"
    failed: list[DeploymentView] = [d for d in view.deployments if d.message and view.state is not State.SUCCEEDED]
    more = "".join(f"\n{deployment_line(each, view.end_reason)}" for each in failed)
    where = f" · {link(to_card, 'its card and story')}" if to_card else ""
    when = f" · {date(view.ended_at)}" if view.ended_at else ""
    return Message(
        text=notice(f"{headline(view)} ({view.ref}). {first_sentence(view)}"),
        blocks=[section(text + more), context(f"{view.ref}{when}{where}")],
    )
