"""The local Slack's validator against Slack's own models, and against nonsense."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from slack_sdk.errors import SlackObjectFormationError
from slack_sdk.models.basic_objects import JsonObject
from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View

from bot.local_slack import limits
from tests.unit.test_limits import (
    GOOD,
    GOOD_VIEWS,
    TEXT_INPUT,
    Json,
    actions,
    button,
    confirm,
    field,
    mrkdwn,
    option,
    plain,
    section,
)


def sdk_refuses(thing: Any) -> bool:
    """Whether slack_sdk's models refuse it, looking into every nested object as to_dict does not."""
    try:
        parsed = View(**thing) if isinstance(thing, dict) else Block.parse_all(copy.deepcopy(thing))
        for part in [parsed] if isinstance(parsed, View) else parsed:
            _check_all(part)
    except SlackObjectFormationError:
        return True
    except (TypeError, AttributeError, KeyError):
        return False
    return False


def _check_all(node: Any) -> None:
    if isinstance(node, JsonObject):
        node.validate_json()
        for value in vars(node).values():
            _check_all(value)
    elif isinstance(node, list | tuple):
        for value in node:
            _check_all(value)


def test_slack_sdk_refuses_none_of_the_good_payloads() -> None:
    assert [n for n, blocks in GOOD.items() if sdk_refuses(blocks)] == []
    assert [n for n, view in GOOD_VIEWS.items() if sdk_refuses(view)] == []


def near(limit: int) -> st.SearchStrategy[str]:
    return st.sampled_from([0, 1, limit - 1, limit, limit + 1]).map(lambda n: "x" * n)


ANY_BUTTON = st.builds(
    lambda t, v, a, s: {"type": "button", "text": plain(t), "value": v, "action_id": a, "style": s},
    near(75),
    near(2000),
    near(255),
    st.sampled_from(["primary", "danger", "odd"]),
)
ANY_OPTION = st.builds(lambda t, v: {"text": plain(t), "value": v}, near(75), near(150))
ANY_SELECT = st.builds(
    lambda o, p: {"type": "static_select", "action_id": "s", "options": o, "placeholder": plain(p)},
    st.lists(ANY_OPTION, max_size=3),
    near(150),
)
ANY_BLOCK = st.one_of(
    st.builds(section, near(3000), block_id=near(255)),
    st.builds(lambda t: {"type": "header", "text": plain(t)}, near(150)),
    st.builds(lambda f: {"type": "section", "fields": [mrkdwn("f")] * f}, st.integers(0, 12)),
    st.builds(lambda e: actions(*e), st.lists(st.one_of(ANY_BUTTON, ANY_SELECT), max_size=3)),
    st.builds(lambda n: actions(*[button(action_id=str(i)) for i in range(n)]), st.sampled_from([24, 25, 26])),
    st.builds(lambda n: {"type": "context", "elements": [mrkdwn("c")] * n}, st.sampled_from([0, 1, 10, 11])),
    st.builds(lambda t, a: {"type": "image", "image_url": "https://" + t, "alt_text": a}, near(2993), near(2000)),
    st.builds(lambda t: confirm(title=plain(t)), near(100)),
    st.builds(lambda t: {"type": "markdown", "text": t}, near(12_000)),
    st.builds(lambda n: actions({"type": "overflow", "action_id": "o", "options": [option()] * n}), st.integers(0, 7)),
    st.builds(lambda t: {**field(TEXT_INPUT), "label": plain(t)}, near(2000)),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(ANY_BLOCK, max_size=4))
def test_whatever_slack_sdk_refuses_is_refused_here_too(blocks: list[Json]) -> None:
    if sdk_refuses(blocks):
        assert limits.validate(blocks)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "text",
                    "elements",
                    "element",
                    "accessory",
                    "actions",
                    "fields",
                    "action_id",
                    "rows",
                    "options",
                ]
            ),
            inner | st.sampled_from(["section", "actions", "button", "input", "carousel", "container", "table"]),
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(JUNK)
def test_nonsense_never_breaks_the_validator(junk: Any) -> None:
    limits.validate(junk)
    limits.validate([junk])
    limits.validate_view(junk)
    limits.validate_view({"type": "modal", "blocks": [junk]})
    limits.message_length(junk)
