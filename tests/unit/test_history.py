"""Who served when, as Slack shows it: harmless and within every limit, whatever things are called."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.local_slack.limits import validate
from bot.slack.blocks import history
from core.domain.model import Actor, Decision, DecisionKind, Kind, Override
from core.store.champions import Reign
from tests.unit.test_hostile_text import NOW, harmless, texts


@st.composite
def reigns(draw: st.DrawFn) -> Reign:
    who = Actor.user(draw(st.just("U02BOB") | texts), draw(texts))
    given_by = Decision(who, DecisionKind.APPROVAL, NOW, (draw(texts),), principal=draw(st.none() | st.just(who)))
    return Reign(
        model=draw(texts), stage=draw(texts), version=draw(texts), digest=draw(texts), since=NOW, until=draw(st.none() | st.just(NOW)),
        promotion_id=1, kind=draw(st.sampled_from(Kind)), requested_by=who, approvals=draw(st.just(()) | st.just((given_by,) * 20)),
        override=draw(st.none() | st.just(Override(who, draw(texts), (), NOW))), ended_by_id=draw(st.none() | st.just(2)),
    )  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.lists(reigns(), max_size=3), texts, texts)
def test_the_answer_is_harmless_and_within_every_limit(found: list[Reign], model: str, stage: str) -> None:
    blocks = history.served(model, stage, NOW, found * 20)

    assert validate(blocks, "message") == []
    assert sum(len(str(block)) for block in blocks) < 60_000
    harmless(blocks)
