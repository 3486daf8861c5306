"""Forms (modals) and private answers. Pure: views in, Slack views out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.slack import ids
from bot.slack.blocks import bundle, card
from bot.slack.blocks.table import by_importance, judged, mark
from bot.slack.blocks.text import (
    button,
    clip,
    context,
    date,
    escape,
    header,
    plain,
    plain_text,
    quote,
    said,
    section,
)
from bot.slack.payloads import OfGlass, OfPromotion, OfRollback
from core.domain.errors import BadInput
from core.domain.model import Blocker, Decision, DecisionKind, Measurement, ModelVersion, State, Verdict
from core.domain.views import PromotionView, RollbackPlan
from core.glass import GlassPlan
from core.policy.numbers import number

Json = dict[str, Any]

#: What fits beside the rest in a button's 2,000 characters.
ROLLBACK_REASON = 1200
BUTTON_VALUE = 2000
#: How long a yes may be limited: what is shown, and seconds.
LIMIT_TIMES = (
    ("1 hour", "3600"),
    ("4 hours", "14400"),
    ("24 hours", "86400"),
    ("3 days", "259200"),
    ("a week", "604800"),
)


def modal(
    title: str, blocks: list[Json], callback_id: str, submit: str = "", close: str = "Close", metadata: str = ""
) -> Json:
    """A modal view; titles and labels are clipped to Slack's 24 characters, blocks to 100."""
    view: Json = {
        "type": "modal",
        "callback_id": callback_id,
        "title": plain_text(title, 24),
        "close": plain_text(close, 24),
        "blocks": blocks[:100],
        "private_metadata": metadata,
    }
    return view | ({"submit": plain_text(submit, 24)} if submit else {})


def option(text: str, value: str) -> Json:
    """One option of a select; 75 characters of text, 150 of value."""
    return {"text": plain_text(plain(text, 75), 75), "value": value}


def _typed_ahead(action: str, placeholder: str, chosen: str = "") -> Json:
    element: Json = {
        "type": "external_select",
        "action_id": action,
        "min_query_length": 0,
        "placeholder": plain_text(placeholder, 150),
    }
    return element | ({"initial_option": option(chosen, chosen)} if chosen else {})


def _input(block_id: str, label: str, element: Json, **more: Any) -> Json:
    return {"type": "input", "block_id": block_id, "label": plain_text(label, 2000), "element": element, **more}


def _stages(names: Sequence[str], chosen: str) -> Json:
    element: Json = {
        "type": "static_select",
        "action_id": ids.STAGE,
        "placeholder": plain_text("Choose a stage"),
        "options": [option(name, name) for name in names[:100]],
    }
    return element | ({"initial_option": option(chosen, chosen)} if chosen in names[:100] else {})


def _reason(hint: str, optional: bool) -> Json:
    element = {
        "type": "plain_text_input",
        "action_id": ids.REASON,
        "multiline": True,
        "max_length": 3000 if optional else ROLLBACK_REASON,
    }
    return _input(ids.REASON, "Reason", element, optional=optional, hint=plain_text(hint, 2000))


def promote(stages: Sequence[str], model: str = "", stage: str = "", preview: list[Json] | None = None) -> Json:
    """`/promote` alone. The version's block is named after the model, so that another model empties it."""
    blocks = [
        _input(ids.MODEL, "Model", _typed_ahead(ids.MODEL, "Type a model's name", model), dispatch_action=True),
        _input(version_block(model), "Version", _typed_ahead(ids.VERSION, "Choose a version"), dispatch_action=True),
        _input(ids.STAGE, "Stage", _stages(stages, stage or stages[-1]), dispatch_action=True),
        *(preview or [context("Choose a model and a version to see its numbers beside the champion's.")]),
        _reason("What changed, and why now? Approvers read this first.", optional=True),
    ]
    return modal("Promote a model", blocks, ids.PROMOTE_FORM, submit="Ask for it", close="Cancel")


def version_block(model: str) -> str:
    """The block_id of the version's input while `model` is chosen."""
    return clip(f"{ids.VERSION}:{model}", 255)


def preview(
    candidate: ModelVersion,
    champion: ModelVersion | None,
    verdicts: Sequence[Verdict],
    blockers: Sequence[Blocker] = (),
) -> list[Json]:
    """The candidate's numbers beside the champion's, and what is in the way. Modals know no tables."""
    against = f"champion {escape(champion.version, 40)}" if champion else "no champion yet"
    head = f"*{escape(candidate.model, 80)} {escape(candidate.version, 40)}* against {against}"
    standing = [f"{'🧊' if each.waits else '⛔'} {_blocker(each)}" for each in blockers[:6]]
    lines = [_foreseen(verdicts)]
    for verdict in by_importance(verdicts)[:12]:
        lines.append(f"{mark(verdict)} {escape(verdict.sentence, 180)}{' _(advisory)_' if verdict.advisory else ''}")
    return [
        section("\n".join([head, *standing])),
        section("\n".join(lines)),
        context(card.lineage(candidate)),
    ]


def _foreseen(verdicts: Sequence[Verdict]) -> str:
    """What would come of asking, as far as the gates know."""
    if stopping := sum(verdict.decides for verdict in verdicts):
        return f"*{stopping} of {len(verdicts)} gates would stop it:*"
    return "*Its gates let it pass:*" if judged(verdicts) else "*No gate is set for this stage:*"


def unknown(sentence: str) -> list[Json]:
    """A preview that cannot be shown, and why."""
    return [context(f"⚠️ {escape(sentence, 500)}")]


def rollback(stages: Sequence[str], model: str = "", stage: str = "", consequence: list[Json] | None = None) -> Json:
    """`/rollback` alone; what it would do is shown as soon as model and stage are chosen, and again before the button."""
    element = _typed_ahead(ids.VERSION, "The last good one")
    blocks = [
        _input(ids.MODEL, "Model", _typed_ahead(ids.MODEL, "Type a model's name", model), dispatch_action=True),
        _input(ids.STAGE, "Stage", _stages(stages, stage or stages[-1]), dispatch_action=True),
        *(consequence or []),
        _input(version_block(model), "Version to go back to", element, optional=True),
        _reason("What is wrong? Everybody in the channel reads this.", optional=False),
    ]
    return modal("Roll back", blocks, ids.ROLLBACK_FORM, submit="Show what changes", close="Cancel")


def consequence(plan: RollbackPlan) -> list[Json]:
    """What a rollback would change, in words."""
    served = date(plan.target_served[0])
    lines = [
        f"*{escape(plan.stage, 60)}* of *{escape(plan.model, 100)}* goes from {escape(plan.current, 60)} "
        f"back to *{escape(plan.target, 60)}*, which served from {served}.",
    ]
    if plan.aborts:
        lines.append(f"{plan.aborts} is being deployed and will be stopped.")
    if plan.supersedes:
        lines.append(f"{plan.supersedes} still waits and will be dropped.")
    if plan.warning:
        lines.append(f"⚠️ {escape(plan.warning, 300)}")
    return [section("\n".join(lines))]


def red_button(plan: RollbackPlan, reason: str) -> list[Json]:
    """The consequence, the reason, and the one button that acts. Raises `BadInput` when the reason does not fit in it."""
    value = OfRollback(
        model=plan.model, stage=plan.stage, current=plan.current, target=plan.target, reason=reason
    ).dump()
    if len(value) > BUTTON_VALUE:
        raise BadInput("reason", "The reason is too long to go with the button; say it in fewer words.")
    label = f"Roll back to {plain(plan.target, 50)}"
    actions = {"type": "actions", "elements": [button(label, ids.ROLL_BACK, value, "danger")]}
    return [*consequence(plan), quote(reason, 600), actions, context("Nothing happens until you press the button.")]


def glass_button(plan: GlassPlan, reason: str) -> list[Json]:
    """What breaking the glass would pass by, the reason, and the one button that acts. Raises `BadInput`."""
    value = OfGlass(model=plan.model, version=plan.version, stage=plan.stage, seen=plan.seen, reason=reason).dump()
    if len(value) > BUTTON_VALUE:
        raise BadInput("reason", "The reason is too long to go with the button; say it in fewer words.")
    over = f"takes over from {escape(plan.champion, 60)}" if plan.champion else "becomes the first champion"
    head = f"🚨 *{escape(plan.model, 80)} {escape(plan.version, 40)}* {over} in *{escape(plan.stage, 60)}*, past this:"
    passed = [f"• {escape(each, 300)}" for each in plan.bypassed[:20]]
    label = f"Break the glass for {plain(plan.version, 40)}"
    actions = {"type": "actions", "elements": [button(label, ids.BREAK_GLASS, value, "danger")]}
    after = "It is marked in the channel, in every digest and in the audit until someone else has reviewed it."
    return [section(head), *_in_sections(passed), quote(reason, 600), actions, context(after)]


def lines(said: Sequence[str]) -> list[Json]:
    """Finished lines of mrkdwn, in as few sections as they fit."""
    return _in_sections(said)


def confirm_rollback(plan: RollbackPlan, reason: str) -> Json:
    """The second page of the rollback form."""
    return modal("Roll back?", red_button(plan, reason), ids.DONE_VIEW, close="Cancel")


def done(title: str, text: str) -> Json:
    """A last page that says what came of it; `text` is mrkdwn."""
    return modal(title, [section(text)], ids.DONE_VIEW)


def reject(view: PromotionView) -> Json:
    """The form behind Reject."""
    blocks = [
        section(
            f"*{escape(card.headline(view), 200)}*\nOne rejection ends {view.ref}. The requester is told what you write."
        ),
        _reason("What would have to be different?", optional=False),
    ]
    metadata = OfPromotion(promotion=view.id).dump()
    return modal(f"Reject {view.ref}", blocks, ids.REJECT_FORM, submit="Reject", close="Cancel", metadata=metadata)


def limit(view: PromotionView) -> Json:
    """The form behind a yes with a limit: at most so much traffic for so long, then ask me again."""
    element: Json = {
        "type": "plain_text_input",
        "action_id": ids.PERCENT,
        "max_length": 3,
        "placeholder": plain_text("10"),
    }
    times: Json = {
        "type": "static_select",
        "action_id": ids.TIME,
        "options": [option(text, value) for text, value in LIMIT_TIMES],
        "initial_option": option(*LIMIT_TIMES[2]),
    }
    told = f"*{escape(card.headline(view), 200)}*\nYour yes counts, and the rollout stops at your limit until you let it go on."
    blocks = [
        section(told),
        _input(ids.PERCENT, "At most so many per cent of the traffic", element),
        _input(ids.TIME, "For", times),
    ]
    metadata = OfPromotion(promotion=view.id, seen=view.evidence_digest[: card.SEEN]).dump()
    return modal(f"Approve {view.ref}", blocks, ids.LIMIT_FORM, submit="Approve", close="Cancel", metadata=metadata)


def details(
    view: PromotionView,
    awaited: card.Awaited,
    me: str,
    standing: Sequence[Blocker] = (),
    notes: tuple[str, str] = ("", ""),
) -> Json:
    """Everything behind a card: what is in the way, gates with numbers, all measurements, approvals, lineage, evidence.

    `me` is the actor who looks, who may take their own request or approval back. `notes` are a registry and what was said
    of the version there.
    """
    blocks = [header(card.headline(view)), section(card.summary(view))]
    if standing:
        blocks += [
            section("*In the way*"),
            *_in_sections([f"{'🧊' if b.waits else '⛔'} {_blocker(b)}" for b in standing]),
        ]
    if view.reason:
        blocks.append(quote(view.reason, 2500))
    blocks += _gates(view)
    blocks += _in_sections(bundle.lines(view)) if view.members else _measurements(view)
    blocks += _decisions(view, awaited)
    blocks += [context(card.deployment_line(each, view.end_reason)) for each in view.deployments if each.target]
    blocks.append(context(card.lineage(view.version)))
    if notes[1]:
        blocks.append(context(f"From the registry {escape(notes[0], 80)}: {escape(notes[1], 1500)}"))
    artifact = f"Artifact {escape(view.version.artifact_uri, 300)} · {escape(view.version.digest, 100)}"
    blocks.append(context(artifact))
    blocks.append(context(f"{view.ref} · policy {view.policy_version[:12]} · evidence {view.evidence_digest[:12]}"))
    if buttons := _own_buttons(view, me):
        blocks.append({"type": "actions", "elements": buttons})
    return modal(view.ref, blocks, ids.DETAILS_VIEW)


def _own_buttons(view: PromotionView, me: str) -> list[Json]:
    """What this person may do beside the card's buttons: a yes with a limit, and taking back what is theirs."""
    value = OfPromotion(promotion=view.id).dump()
    found = []
    canary = view.rules.get("rollout", {}).get("strategy") == "canary"
    if view.state is State.AWAITING_APPROVAL and canary and not any(str(each.actor) == me for each in view.decisions):
        found.append(button("Approve with a limit …", ids.APPROVE_LIMITED, value))
    if view.state is State.AWAITING_APPROVAL and any(str(each.actor) == me for each in view.decisions):
        found.append(button("Take my approval back", ids.WITHDRAW_APPROVAL, value))
    if view.active and f"user:{view.requester.person}" == me:
        found.append(button("Withdraw this request", ids.WITHDRAW, value, "danger"))
    return found


def _gates(view: PromotionView) -> list[Json]:
    if not view.verdicts:
        return []
    lines = [
        f"{mark(v)} {escape(v.sentence, 250)}{' _(advisory)_' if v.advisory else ''}"
        for v in by_importance(view.verdicts)[:40]
    ]
    return [section("*Gates*"), *_in_sections(lines)]


def _measurements(view: PromotionView) -> list[Json]:
    theirs = {_key(m): m for m in view.champion.measurements} if view.champion else {}
    lines = []
    for mine in view.version.measurements[:60]:
        other = theirs.get(_key(mine))
        against = f", champion {number(other.value)}" if other else ""
        samples = f", n = {mine.samples:,}" if mine.samples else ""
        where = f" ({escape(mine.slice, 60)})" if mine.slice else ""
        lines.append(f"{escape(mine.name, 80)}{where}: *{number(mine.value)}*{against}{samples}")
    return [section("*Measurements*"), *_in_sections(lines)] if lines else [context("No measurements were registered.")]


def _key(measurement: Measurement) -> tuple[str, str]:
    return measurement.name, measurement.slice


def _decisions(view: PromotionView, awaited: card.Awaited) -> list[Json]:
    if view.tally is None:
        return []
    lines = [_decision(each) for each in view.decisions]
    lines += [f"~{_decision(each)}~ ({escape(each.void, 200)})" for each in view.voided[-10:]]
    if view.active:
        counted = f"{len(view.tally.approvals)} of {view.tally.quorum} approvals"
        lines += [line for line in (counted, card.still_needed(view, awaited)) if line]
    return [section("*Approvals*"), *_in_sections(lines or ["None"])]


def _decision(decision: Decision) -> str:
    mark = "👍" if decision.kind is DecisionKind.APPROVAL else "⛔"
    groups = f" for {escape(', '.join(decision.groups), 100)}" if decision.groups else ""
    reason = f": {escape(decision.reason, 400)}" if decision.reason else ""
    return f"{mark} {card.decided_by(decision)} {date(decision.at)}{groups}{reason}"


def _in_sections(lines: Sequence[str], limit: int = 2800) -> list[Json]:
    """Lines in as few sections as their 3,000 characters allow."""
    sections: list[str] = [""]
    for line in lines:
        if len(sections[-1]) + len(line) + 1 > limit:
            sections.append("")
        sections[-1] += f"\n{line}" if sections[-1] else clip(line, limit)
    return [section(text) for text in sections if text]


# -- private answers ----------------------------------------------------------------------------------------------


def blockers(model: str, version: str, stage: str, found: Sequence[Blocker]) -> list[Json]:
    """The answer to `/promote why`."""
    stopping = [blocker for blocker in found if blocker.blocking]
    title = f"{escape(model, 80)} {escape(version, 40)} → {escape(stage, 40)}"
    many = {0: "nothing stands", 1: "1 thing stands"}.get(len(stopping), f"{len(stopping)} things stand")
    head = f"*{title}:* {many} in the way"
    lines = [
        f"{('🧊' if each.waits else '⛔') if each.blocking else '✅'} {_blocker(each)}"
        for each in sorted(found, key=lambda each: not each.blocking)[:40]
    ]
    return [section(head), *_in_sections(lines)]


def _blocker(found: Blocker) -> str:
    """A blocker and what clears it; a moment is shown in the reader's own zone."""
    if found.until is not None:
        return f"{said(found.sentence)} It clears by itself {date(found.until)}."
    return f"{said(found.sentence)} {said(found.clears, 200) if found.clears else ''}".rstrip()


def status(active: Sequence[PromotionView], champions: Sequence[tuple[str, str, str]], model: str) -> list[Json]:
    """The answer to `/promote status`: what is under way, and who serves. `champions` are (model, stage, version)."""
    named = f" of {escape(model, 80)}" if model else ""
    lines = [f"• {escape(card.headline(view), 160)} ({view.ref})" for view in active[:20]]
    blocks = [section(f"*Promotions under way{named}*"), *_in_sections(lines or ["None."])]
    serving = [
        f"• {escape(m, 80)} in {escape(stage, 40)}: *{escape(version, 40)}*" for m, stage, version in champions[:30]
    ]
    return [*blocks, section(f"*Champions{named}*"), *_in_sections(serving or ["None yet."])]


def sentence(text: str) -> list[Json]:
    """A refusal or an acknowledgement, privately."""
    return [section(said(text, 2500))]
