"""`/promote` and `/rollback`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

from slack_bolt import Ack, App

from bot.slack import grammar, ids, typed
from bot.slack.blocks import card, forms
from bot.slack.blocks.text import escape, notice, plain, section
from bot.slack.desk import Desk
from bot.slack.listeners import orders
from core.domain.errors import BadInput, Conflict
from core.domain.model import Actor, State
from core.domain.views import PromotionView
from core.store import promotions as store
from core.store import registry

Typed = TypeVar("Typed", grammar.Command, typed.OpenForm | typed.Help | typed.Rollback)
HELP = [
    section(
        "*Baton* asks for, judges, carries out and undoes model promotions.\n"
        f"• {grammar.PROMOTE_USAGE} asks for a promotion; `/promote` alone opens a form.\n"
        f"• {grammar.BUNDLE_USAGE} asks for models together.\n"
        f"• {grammar.WHY_USAGE} says privately what is in the way, and who can clear it.\n"
        f"• {grammar.STATUS_USAGE} says what is under way, and who serves.\n"
        f"• {grammar.AT_USAGE} says who served then, and who had approved that.\n"
        f"• {grammar.EVIDENCE_USAGE} sends you everything known of a promotion, for an auditor.\n"
        f"• {grammar.ROLLBACK_USAGE} shows what would change, and one red button; `/rollback` alone opens a form."
    ),
    section(
        "*When something is in the way*\n"
        f"• {grammar.STOP_USAGE} deploys nothing more until {grammar.RESUME_USAGE}; rollbacks go on.\n"
        f"• {grammar.VETO_USAGE} bars a version; {grammar.UNVETO_USAGE} takes it back.\n"
        f"• {grammar.RELEASE_USAGE} lifts the hold that a rollback left on automatic promotions.\n"
        f"• {grammar.GLASS_USAGE} deploys past gates and approvals; {grammar.REVIEW_USAGE} is for somebody else."
    ),
    section(
        "*For yourself*\n"
        "• `/promote delegate @PERSON until DAY` has somebody decide for you; `/promote delegate off` takes it back.\n"
        "• `/promote digest on` brings what waits on you each morning, by direct message; `/promote digest off` ends that."
    ),
]


def register(app: App, desk: Desk) -> None:
    """Listen to the two commands."""

    def promote(ack: Ack, command: dict[str, Any]) -> None:
        parsed = _of_the_policy(desk, grammar.promote_command(command.get("text") or ""))
        actor = desk.actor({"id": command["user_id"], "name": command.get("user_name")})
        match parsed:
            case typed.OpenForm():
                desk.quick.views_open(trigger_id=command["trigger_id"], view=forms.promote(targets(desk)))
                ack()
            case typed.Help():
                ack(text="How to use Baton", blocks=HELP)
            case typed.Status(model):
                ack(text="Promotions under way", blocks=status(desk, model))
            case typed.Why(model, version, stage):
                stage = stage or next_stage(desk, model, version)
                found = desk.promotions.why(model, version, stage)
                ack(
                    text=notice(f"Why {plain(model)} {plain(version)} is or is not in {plain(stage)}"),
                    blocks=forms.blockers(model, version, stage, found),
                )
            case typed.Promote(model, version, stage, reason, members):
                version = desk.bundles.version_of(actor, model, dict(members)) if members else version
                view = desk.promotions.request(actor, model, version, stage or next_stage(desk, model, version), reason)
                ack(text=filed(view, desk), blocks=[section(filed(view, desk))])
            case _:
                text, blocks = orders.answer(desk, actor, parsed)
                ack(text=text, blocks=blocks)

    def rollback(ack: Ack, command: dict[str, Any]) -> None:
        parsed = _of_the_policy(desk, grammar.rollback_command(command.get("text") or ""))
        actor = desk.actor({"id": command["user_id"], "name": command.get("user_name")})
        if isinstance(parsed, typed.OpenForm):
            desk.quick.views_open(trigger_id=command["trigger_id"], view=forms.rollback(targets(desk)))
            ack()
            return
        if isinstance(parsed, typed.Help):
            ack(text="How to use Baton", blocks=HELP)
            return
        ack(text="What a rollback would change", blocks=offer_rollback(desk, actor, parsed))

    app.command(ids.PROMOTE_COMMAND)(promote)
    app.command(ids.ROLLBACK_COMMAND)(rollback)


def _of_the_policy(desk: Desk, parsed: Typed) -> Typed:
    """The command with its stage spelled as in the policy; phones begin a word with a capital."""
    stage = getattr(parsed, "stage", "")
    known = desk.policy.stage_names
    spelled = next((name for name in known if name.casefold() == stage.casefold()), stage)
    return replace(parsed, stage=spelled) if stage and stage not in known else parsed  # type: ignore[arg-type]


def offer_rollback(desk: Desk, actor: Actor, asked_for: typed.Rollback) -> list[dict[str, Any]]:
    """What would change, and the red button. Raises `Refused`."""
    if len(asked_for.reason) > forms.ROLLBACK_REASON:
        raise BadInput(
            "reason",
            f"The reason has {len(asked_for.reason):,} characters; for a rollback {forms.ROLLBACK_REASON:,} at most.",
        )
    plan = desk.rollbacks.plan(actor, asked_for.model, asked_for.stage or None, asked_for.version or None)
    return forms.red_button(plan, asked_for.reason)


def filed(view: PromotionView, desk: Desk) -> str:
    """The private answer to whoever asked; mrkdwn."""
    channel = desk.policy.channel(view.model, view.stage)
    where = f"<#{channel}>" if not channel.startswith("#") else escape(channel, 90)
    standing = (
        view.tally.sentence if view.state is State.AWAITING_APPROVAL and view.tally else card.first_sentence(view)
    )
    return f"{view.ref}: *{escape(card.headline(view), 200)}*\n{escape(standing, 900)}\nIts card is in {where}."


def targets(desk: Desk) -> list[str]:
    """The stages that something can be promoted to: all but the first, where versions arrive."""
    return [name for name in desk.policy.stage_names if name != desk.policy.first_stage.name] or list(
        desk.policy.stage_names
    )


def next_stage(desk: Desk, model: str, version: str) -> str:
    """The stage that comes after the furthest one in which this version serves. Raises `Refused`."""
    with desk.database.read() as session:
        found = registry.version_row(session, model, version)
        for name in reversed(targets(desk)):
            serving = store.champion(session, found.model_id, name)
            if serving is not None and serving.version_id == found.id:
                later = desk.policy.stage_names[desk.policy.stage_names.index(name) + 1 :]
                if later:
                    return later[0]
                raise Conflict(
                    "champion-already", f"{model} {version} serves {name} already, and there is no stage after it."
                )
    return targets(desk)[0]


def status(desk: Desk, model: str) -> list[dict[str, Any]]:
    """What is under way and who serves, for all models or one."""
    with desk.database.read() as session:
        active = store.page(session, state="active", model=model or None, limit=20)
        champions = store.champions(session, model or None)
        if model and not champions and not active:
            registry.model_row(session, model)
    return forms.status(active, champions, model)
