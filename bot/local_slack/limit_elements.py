"""The limits of Block Kit's controls (facts of Block Kit as documented in 2026)."""

from __future__ import annotations

from typing import Any

from .limit_rules import (
    Report,
    Rule,
    anything,
    boolean,
    by_type,
    focus,
    items,
    listing,
    one_of,
    shape,
    string,
    text,
    whole,
)

URL = string(3000, 1, r"(?s)[a-zA-Z][a-zA-Z0-9+.-]*:.+")
ID = string(255, 1)
CONFIRM = shape(
    {
        "title": text(100, plain=True),
        "text": text(300),
        "confirm": text(30, plain=True),
        "deny": text(30, plain=True),
        "style": one_of("primary", "danger"),
    },
    "title text confirm deny",
)
SLACK_FILE = shape({"id": string(255, 1, "F[A-Z0-9]{8,}"), "url": URL}, exactly_one=("id", "url"))


def _option(*, mrkdwn: bool = False) -> Rule:
    label = text(75, plain=not mrkdwn)
    return shape(
        {"text": label, "value": string(150, 1), "description": text(75, plain=not mrkdwn), "url": URL}, "text value"
    )


OPTION = _option()
OPTION_RICH = _option(mrkdwn=True)
GROUP = shape({"label": text(75, plain=True), "options": listing(OPTION, 100)}, "label options")


def _control(fields: dict[str, Rule], required: str = "", **more: Any) -> Rule:
    return shape({"type": anything, "action_id": ID, **fields}, required, **more)


def _chosen(fields: dict[str, Rule], required: str = "", **more: Any) -> Rule:
    common = {"placeholder": text(150, plain=True), "confirm": CONFIRM, "focus_on_load": focus}
    return _control(common | fields, required, **more)


def _distinct_options(value: dict[str, Any], at: str, report: Report) -> None:
    """Initial options must be among the options that are offered."""
    offered = items(value, "options") + [o for g in items(value, "option_groups") for o in items(g, "options")]
    values = [o.get("value") for o in offered if isinstance(o, dict)]
    initial = items(value, "initial_options") or [value.get("initial_option")]
    for option in initial:
        if isinstance(option, dict) and option.get("value") not in values:
            report.add(at, "invalid_initial_option", "initial_option must be one of the options")


def _range(low: str, high: str) -> Rule:
    def rule(value: dict[str, Any], at: str, report: Report) -> None:
        try:
            wrong = float(value[low]) > float(value[high])
        except (KeyError, TypeError, ValueError):
            return
        if wrong:
            report.add(f"{at}/{low}", "out_of_range", f"{low} must not exceed {high}")

    return rule


_WHICH_OPTIONS: dict[str, Any] = {"exactly_one": ("options", "option_groups"), "also": _distinct_options}
_OPTIONS = {"options": listing(OPTION, 100), "option_groups": listing(GROUP, 100)}
_MOST = {"max_selected_items": whole(1, 100)}
_DISPATCH = {
    "dispatch_action_config": shape(
        {"trigger_actions_on": listing(one_of("on_enter_pressed", "on_character_entered"), 2)}
    )
}
_FILTER = shape(
    {
        "include": listing(one_of("im", "mpim", "private", "public"), 4),
        "exclude_external_shared_channels": boolean,
        "exclude_bot_users": boolean,
    }
)
_ANY_ID = string(255, 1)
_TYPED = {"placeholder": text(150, plain=True), "focus_on_load": focus, **_DISPATCH}
_FEEDBACK = shape(
    {"text": text(75, plain=True), "value": string(2000, 1), "accessibility_label": string(75, 1)}, "text value"
)

ELEMENTS: dict[str, Rule] = {
    "button": _control(
        {
            "text": text(75, plain=True),
            "value": string(2000),
            "url": URL,
            "style": one_of("primary", "danger"),
            "confirm": CONFIRM,
            "accessibility_label": string(75, 1),
            "agent_prompt": string(4000),
            "agent_prompt_display": anything,
            "visible_to_user_ids": listing(_ANY_ID, 100),
        },
        "text",
    ),
    "workflow_button": _control(
        {
            "text": text(75, plain=True),
            "workflow": anything,
            "style": one_of("primary", "danger"),
            "accessibility_label": string(75, 1),
        },
        "text workflow",
    ),
    "icon_button": _control(
        {
            "icon": string(75, 1),
            "text": text(75, plain=True),
            "value": string(2000),
            "confirm": CONFIRM,
            "accessibility_label": string(75, 1),
            "visible_to_user_ids": listing(_ANY_ID, 100),
        },
        "icon text",
    ),
    "feedback_buttons": _control(
        {"positive_button": _FEEDBACK, "negative_button": _FEEDBACK}, "positive_button negative_button"
    ),
    "overflow": _control({"options": listing(OPTION, 5), "confirm": CONFIRM}, "options"),
    "checkboxes": _control(
        {
            "options": listing(OPTION_RICH, 10),
            "initial_options": listing(OPTION_RICH, 10),
            "confirm": CONFIRM,
            "focus_on_load": focus,
        },
        "options",
        also=_distinct_options,
    ),
    "radio_buttons": _control(
        {
            "options": listing(OPTION_RICH, 10),
            "initial_option": OPTION_RICH,
            "confirm": CONFIRM,
            "focus_on_load": focus,
        },
        "options",
        also=_distinct_options,
    ),
    "static_select": _chosen({**_OPTIONS, "initial_option": OPTION}, **_WHICH_OPTIONS),
    "multi_static_select": _chosen({**_OPTIONS, **_MOST, "initial_options": listing(OPTION, 100)}, **_WHICH_OPTIONS),
    "external_select": _chosen({"initial_option": OPTION, "min_query_length": whole(0, 3000)}),
    "multi_external_select": _chosen(
        {"initial_options": listing(OPTION, 100), "min_query_length": whole(0, 3000), **_MOST}
    ),
    "users_select": _chosen({"initial_user": _ANY_ID}),
    "multi_users_select": _chosen({"initial_users": listing(_ANY_ID, 100), **_MOST}),
    "channels_select": _chosen({"initial_channel": _ANY_ID, "response_url_enabled": boolean}),
    "multi_channels_select": _chosen({"initial_channels": listing(_ANY_ID, 100), **_MOST}),
    "conversations_select": _chosen(
        {
            "initial_conversation": _ANY_ID,
            "default_to_current_conversation": boolean,
            "response_url_enabled": boolean,
            "filter": _FILTER,
        }
    ),
    "multi_conversations_select": _chosen(
        {
            "initial_conversations": listing(_ANY_ID, 100),
            "default_to_current_conversation": boolean,
            "filter": _FILTER,
            **_MOST,
        }
    ),
    "datepicker": _chosen({"initial_date": string(10, 10, r"\d{4}-\d{2}-\d{2}")}),
    "timepicker": _chosen({"initial_time": string(5, 5, r"([01]\d|2[0-3]):[0-5]\d"), "timezone": string(100, 1)}),
    "datetimepicker": _control(
        {"initial_date_time": whole(10**9, 10**10 - 1), "confirm": CONFIRM, "focus_on_load": focus}
    ),
    "plain_text_input": _control(
        {
            **_TYPED,
            "initial_value": string(3000),
            "multiline": boolean,
            "min_length": whole(0, 3000),
            "max_length": whole(1, 3000),
        },
        also=_range("min_length", "max_length"),
    ),
    "email_text_input": _control({**_TYPED, "initial_value": string(3000)}),
    "url_text_input": _control({**_TYPED, "initial_value": string(3000)}),
    "number_input": _control(
        {
            **_TYPED,
            "initial_value": string(100),
            "is_decimal_allowed": boolean,
            "min_value": string(100),
            "max_value": string(100),
        },
        "is_decimal_allowed",
        also=_range("min_value", "max_value"),
    ),
    "rich_text_input": _control(
        {**_TYPED, "initial_value": anything, "min_lines": whole(1, 100), "max_lines": whole(1, 100)},
        also=_range("min_lines", "max_lines"),
    ),
    "file_input": _control({"filetypes": listing(string(50, 1), 100), "max_files": whole(1, 10)}),
}
IMAGE = shape(
    {
        "type": anything,
        "image_url": URL,
        "slack_file": SLACK_FILE,
        "alt_text": string(2000, 1),
    },
    "alt_text",
    exactly_one=("image_url", "slack_file"),
)

_SINGLE = ("static_select", "external_select", "users_select", "channels_select", "conversations_select")
_MULTI = tuple(f"multi_{kind}" for kind in _SINGLE)
_PICKS = ("button", "checkboxes", "datepicker", "overflow", "radio_buttons", "timepicker", "workflow_button")
IN_ACTIONS = (*_PICKS, *_SINGLE, *_MULTI, "datetimepicker")
IN_SECTION = (*_PICKS, *_SINGLE, *_MULTI, "image")
IN_INPUT = (
    *_SINGLE, *_MULTI, "checkboxes", "datepicker", "datetimepicker", "email_text_input", "file_input", "number_input",
    "plain_text_input", "radio_buttons", "rich_text_input", "timepicker", "url_text_input",
)  # fmt: skip

ACTIONS_ELEMENT = by_type(ELEMENTS, IN_ACTIONS)
SECTION_ACCESSORY = by_type(ELEMENTS | {"image": IMAGE}, IN_SECTION)
INPUT_ELEMENT = by_type(ELEMENTS, IN_INPUT)
CONTEXT_ACTION = by_type(ELEMENTS, ("feedback_buttons", "icon_button"))
