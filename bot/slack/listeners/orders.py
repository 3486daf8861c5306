"""What `/promote` does beyond asking: stops, vetoes, delegation, break-glass. Each answers privately, done or why not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bot.slack import grammar, typed
from bot.slack.blocks import forms, history
from bot.slack.blocks.text import date, notice, person, plain
from bot.slack.desk import Desk
from bot.slack.listeners import evidence
from core import preferences
from core.domain.model import Actor
from core.policy import moments
from core.store import champions
from core.store.promotions import number

Answer = tuple[str, list[dict[str, Any]]]


def answer(desk: Desk, actor: Actor, order: grammar.Command) -> Answer:
    """(notification, blocks) of the private answer. Raises `Refused`."""
    orders: dict[type, Callable[[Any], Answer]] = {
        typed.Stop: lambda o: _said(desk.barriers.stop(actor, o.model, o.reason)),
        typed.Resume: lambda o: _resume(desk, actor, o),
        typed.Veto: lambda o: _said(desk.barriers.veto(actor, o.model, o.version, o.stage, o.reason)),
        typed.Unveto: lambda o: _said(desk.barriers.unveto(actor, o.model, o.version, o.reason)),
        typed.Release: lambda o: _said(desk.barriers.release(actor, o.model, o.stage, o.reason)),
        typed.Delegate: lambda o: _delegate(desk, actor, o),
        typed.DelegateOff: lambda _: _said(desk.delegating.take_back(actor)),
        typed.DelegateShow: lambda _: _delegations(desk, actor),
        typed.BreakGlass: lambda o: _offer_glass(desk, actor, o),
        typed.Review: lambda o: _review(desk, actor, o),
        typed.PersonalDigest: lambda o: _digest(desk, actor, o),
        typed.At: lambda o: _at(desk, actor, o),
        typed.Evidence: lambda o: _said(evidence.order(desk, actor, number(o.promotion))),
    }
    return orders[type(order)](order)


def _said(sentence: str) -> Answer:
    return notice(sentence), forms.sentence(sentence)


def _resume(desk: Desk, actor: Actor, order: typed.Resume) -> Answer:
    said = desk.barriers.resume(actor, order.model, order.reason)
    desk.later(desk.promotions.start_waiting)  # hundreds may have waited
    return _said(said)


def _delegate(desk: Desk, actor: Actor, order: typed.Delegate) -> Answer:
    delegate = desk.directory.find(order.person)
    until = moments.until(order.until, desk.promotions.clock(), _zone(desk, actor))
    return _said(desk.delegating.delegate(actor, delegate.id, until))


def _delegations(desk: Desk, actor: Actor) -> Answer:
    lines = [
        f"• {person(each.delegate)} decides for {person(each.principal)} until {date(each.until)}"
        for each in desk.delegating.standing(actor)
    ]
    if not lines:
        return _said(
            "You decide for nobody, and nobody decides for you. /promote delegate @dave until friday changes that."
        )
    return "Who decides for whom", forms.lines(lines)


def _offer_glass(desk: Desk, actor: Actor, order: typed.BreakGlass) -> Answer:
    plan = desk.glass.plan(actor, order.model, order.version, order.stage)
    return "What breaking the glass would pass by", forms.glass_button(plan, order.reason)


def _review(desk: Desk, actor: Actor, order: typed.Review) -> Answer:
    view = desk.glass.review(actor, number(order.promotion), order.words)
    return _said(f"{view.ref} is marked as reviewed by you.")


def _digest(desk: Desk, actor: Actor, order: typed.PersonalDigest) -> Answer:
    preferences.want_digest(desk.database, actor.id, order.wanted, desk.promotions.clock())
    if order.wanted:
        return _said(
            "You get a digest of what waits on you by direct message each working day; nothing waits, nothing comes."
        )
    return _said("You get no digest by direct message any more.")


def _at(desk: Desk, actor: Actor, order: typed.At) -> Answer:
    when = moments.at(order.time, desk.promotions.clock(), _zone(desk, actor))
    with desk.database.read() as session:
        if order.stage:
            found = champions.champion_at(session, order.model, order.stage, when)
            reigns = [found] if found else []
        else:
            reigns = champions.champions_at(session, when, order.model)
    if order.stage and not reigns:  # one that the policy has no longer may have had its champion
        desk.policy.known_stage(order.stage)
    about = f"Who served {plain(order.model)} at {when:%Y-%m-%d %H:%M} UTC"
    return notice(about), history.served(order.model, order.stage, when, reigns)


def _zone(desk: Desk, actor: Actor) -> str:
    me = desk.directory.person(actor.id)
    return me.timezone if me else ""
