"""Which registry a model belongs to, and what is shown of a registry: whatever things are called there."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.local_slack.limits import validate
from bot.local_slack.person import labels
from bot.slack.blocks.card import Message
from bot.slack.blocks.drift import drift, notice_to_owner
from core.domain.model import Actor
from core.drifting import Drift
from core.policy.findings import PolicyError
from core.policy.load import load
from core.policy.origins import registry_of

HEAD = 'version: 1\nslack: {channel: "#x"}\nstages: [{name: a}, {name: b}]\n'
LAB = '  lab: {type: mlflow, url: "http://lab"}\n'
ANNEX = '  annex: {type: mlflow, url: "http://annex"}\n'


@pytest.mark.parametrize(
    ("text", "owner"),
    [
        (f"registries:\n{LAB}", "lab"),
        (f"registries:\n{LAB}models: {{other: {{owner: U01ALICE}}}}", "lab"),
        (f"registries:\n{LAB}models: {{other: {{registry: lab}}}}", None),
        (f"registries:\n{LAB}{ANNEX}models: {{churn: {{registry: annex}}, '*': {{registry: lab}}}}", "annex"),
        (f"registries:\n{LAB}{ANNEX}models: {{'ch*': {{write_back: alias}}, '*': {{registry: lab}}}}", "lab"),
        ("", None),
    ],
)
def test_a_model_belongs_to_the_registry_that_it_names_or_to_the_only_one(text: str, owner: str | None) -> None:
    assert registry_of(load(HEAD + text), "churn") == owner


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"registries:\n{LAB}{ANNEX}", "there are 2, and no model says which of them is its own"),
        ("models: {churn: {write_back: alias}}", "there is no registry to write back to; define one under registries."),
        (
            f"registries:\n{LAB}models: {{churn: {{registry: attic}}}}",
            'there is no registry "attic"; define it, or name one of lab.',
        ),
        (
            "registries: {aws: {type: sagemaker, region: eu-central-1}}\nmodels: {churn: {write_back: alias}}",
            "alias is nothing that a registry of type sagemaker has; write status or tags-only.",
        ),
        (
            f"registries:\n{LAB}models: {{churn: {{write_back: status}}}}",
            "status is nothing that a registry of type mlflow has; write alias or stage or copy or tags-only.",
        ),
        (
            "registries: {aws: {type: sagemaker, region: eu-central-1, request: attic}}",
            "there is no stage",
        ),
    ],
)
def test_a_policy_that_leaves_it_open_is_refused(text: str, said: str) -> None:
    with pytest.raises(PolicyError, match=said):
        load(HEAD + text)


NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
FOUND = Drift(1, "lab", "churn", "production", "the alias champion", "6", "9", "", "open", NOW, adoptable=True)
nasty = st.one_of(
    st.sampled_from(["<!channel>", "<@U05MALLORY>", "*bold*", "x" * 500, "🤖" * 200, "<" * 200, "\u202eevil", " "]),
    st.text(max_size=200),
)


def read_as_markup(shown: Message) -> list[str]:
    """What Slack looks for mentions in: the notification, and every mrkdwn text."""

    def texts(node: Any) -> list[str]:
        if isinstance(node, list):
            return [text for each in node for text in texts(each)]
        if not isinstance(node, dict):
            return []
        mine = [node["text"]] if node.get("type") == "mrkdwn" else []
        return mine + [text for each in node.values() for text in texts(each)]

    return [shown.text, *texts(shown.blocks)]


@given(nasty, nasty, nasty, nasty, st.sampled_from(["open", "reverting", "adopted", "reverted", "gone"]))
def test_names_from_outside_break_no_message_of_a_drift(
    name: str, place: str, found: str, said: str, state: str
) -> None:
    shown = drift(
        replace(
            FOUND, registry=name, model=name, place=place, expected=name, found=found, said=said, state=state,
            closed_by=Actor.user("U02BOB", name),
        )
    )  # fmt: skip
    assert validate(shown.blocks) == []
    assert not any(mark in each for each in read_as_markup(shown) for mark in ("<!channel>", "<@U05MALLORY>"))
    assert len(labels({"blocks": shown.blocks})) == (2 if state == "open" else 0)


@given(nasty, st.lists(nasty, min_size=1, max_size=5))
def test_names_from_outside_break_no_message_to_an_owner(name: str, sentences: list[str]) -> None:
    outage = {"about": "outage", "registry": name, "since": NOW.isoformat(), "sentence": sentences[0]}
    refused = {"about": "refused", "registry": name, "sentences": sentences, "more": 3}
    for body in (outage, outage | {"settled": NOW.isoformat()}, refused):
        shown = notice_to_owner(body)
        assert validate(shown.blocks) == []
        assert not any("<!channel>" in each for each in read_as_markup(shown))
