"""The local Slack's validator: everything that Slack refuses is refused, everything that it takes is taken."""

from __future__ import annotations

from typing import Any

import pytest

from bot.local_slack import limits

Json = dict[str, Any]


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str) -> Json:
    return {"type": "mrkdwn", "text": text}


def section(text: str = "x", **more: Any) -> Json:
    return {"type": "section", "text": mrkdwn(text), **more}


def button(text: str = "Go", **more: Any) -> Json:
    return {"type": "button", "action_id": "go", "text": plain(text), **more}


def actions(*elements: Json) -> Json:
    return {"type": "actions", "elements": list(elements)}


def option(text: str = "one", value: str = "1", **more: Any) -> Json:
    return {"text": plain(text), "value": value, **more}


def select(count: int = 2, **more: Any) -> Json:
    options = [option(f"o{n}", str(n)) for n in range(count)]
    return {"type": "static_select", "action_id": "s", "options": options, **more}


def field(element: Json, **more: Any) -> Json:
    return {"type": "input", "label": plain("Name"), "element": element, **more}


TEXT_INPUT: Json = {"type": "plain_text_input", "action_id": "t"}
CONFIRM = {"title": plain("Sure?"), "text": mrkdwn("Really"), "confirm": plain("Yes"), "deny": plain("No")}
IMAGE = {"type": "image", "image_url": "https://example.com/a.png", "alt_text": "a"}
CELL = {"type": "raw_text", "text": "c"}


def confirm(**changed: Any) -> Json:
    return actions(button(confirm={**CONFIRM, **changed}))


def chart(series: int = 1, points: int = 2, title: str = "AUC") -> Json:
    data = [{"label": f"p{n}", "value": n} for n in range(points)]
    lines = [{"name": f"s{n}", "data": data} for n in range(series)]
    axes = {"categories": [d["label"] for d in data]}
    return {
        "type": "data_visualization",
        "title": title,
        "chart": {"type": "line", "series": lines, "axis_config": axes},
    }


GOOD: dict[str, list[Json]] = {
    "a section of 3000 characters": [section("x" * 3000)],
    "50 blocks": [section() for _ in range(50)],
    "a card": [
        {"type": "header", "text": plain("P-12")},
        {"type": "section", "fields": [mrkdwn("x" * 2000)] * 10},
        {"type": "context", "elements": [mrkdwn("by Alice"), IMAGE]},
        {"type": "divider"},
        actions(button(style="primary", confirm=CONFIRM), button(action_id="no", style="danger", value="v" * 2000)),
    ],
    "25 buttons": [actions(*[button(action_id=f"b{n}") for n in range(25)])],
    "100 options": [actions(select(100))],
    "an image by url": [IMAGE],
    "an image by file": [{"type": "image", "slack_file": {"id": "F0123456789"}, "alt_text": "a"}],
    "a table": [{"type": "table", "rows": [[CELL] * 20] * 100}],
    "a chart": [chart(6, 20)],
    "markdown": [{"type": "markdown", "text": "x" * 12_000}],
    "rich text": [
        {
            "type": "rich_text",
            "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": "hi"}]}],
        }
    ],
    "two blocks with the same action_id": [actions(button()), actions(button())],
    "an accessory": [section(accessory={"type": "overflow", "action_id": "o", "options": [option()] * 5})],
    "an input in a message": [field(TEXT_INPUT)],
}

BAD: dict[str, list[Any]] = {
    "51 blocks": [section() for _ in range(51)],
    "a section of 3001 characters": [section("x" * 3001)],
    "an empty text": [section("")],
    "a section without text or fields": [{"type": "section"}],
    "11 fields": [{"type": "section", "fields": [mrkdwn("f")] * 11}],
    "a field of 2001 characters": [{"type": "section", "fields": [mrkdwn("f" * 2001)]}],
    "no fields": [{"type": "section", "fields": []}],
    "a header of 151 characters": [{"type": "header", "text": plain("h" * 151)}],
    "a header in mrkdwn": [{"type": "header", "text": mrkdwn("h")}],
    "a header without text": [{"type": "header"}],
    "a block_id of 256 characters": [section(block_id="b" * 256)],
    "a block_id used twice": [section(block_id="b"), section(block_id="b")],
    "an action_id of 256 characters": [actions(button(action_id="a" * 256))],
    "an action_id used twice in a block": [actions(button(), button())],
    "no elements": [actions()],
    "26 elements": [actions(*[button(action_id=f"b{n}") for n in range(26)])],
    "a text input in an actions block": [actions(TEXT_INPUT)],
    "a button text of 76 characters": [actions(button("b" * 76))],
    "a button text in mrkdwn": [actions({**button(), "text": mrkdwn("b")})],
    "a button without text": [actions({"type": "button", "action_id": "a"})],
    "a button value of 2001 characters": [actions(button(value="v" * 2001))],
    "a button url of 3001 characters": [actions(button(url="https://a/" + "u" * 2991))],
    "a button url that is none": [actions(button(url="nowhere"))],
    "an unknown style": [actions(button(style="blue"))],
    "an accessibility label of 76 characters": [actions(button(accessibility_label="a" * 76))],
    "a button in a context block": [{"type": "context", "elements": [button()]}],
    "11 context elements": [{"type": "context", "elements": [mrkdwn("c")] * 11}],
    "no context elements": [{"type": "context", "elements": []}],
    "a confirm title of 101 characters": [confirm(title=plain("t" * 101))],
    "a confirm text of 301 characters": [confirm(text=mrkdwn("t" * 301))],
    "a confirm button of 31 characters": [confirm(confirm=plain("t" * 31))],
    "a deny button of 31 characters": [confirm(deny=plain("t" * 31))],
    "a confirm of a strange style": [confirm(style="blue")],
    "a confirm without text": [confirm(text=None)],
    "an option text of 76 characters": [actions({**select(), "options": [option("t" * 76)]})],
    "an option value of 151 characters": [actions({**select(), "options": [option(value="v" * 151)]})],
    "an option description of 76": [actions({**select(), "options": [option(description=plain("d" * 76))]})],
    "101 options": [actions(select(101))],
    "no options": [actions(select(0))],
    "options and groups at once": [
        actions({**select(), "option_groups": [{"label": plain("g"), "options": [option()]}]})
    ],
    "neither options nor groups": [actions({"type": "static_select", "action_id": "s"})],
    "101 groups": [
        actions(
            {
                "type": "static_select",
                "action_id": "s",
                "option_groups": [{"label": plain("g"), "options": [option()]}] * 101,
            }
        )
    ],
    "a group label of 76 characters": [
        actions(
            {
                "type": "static_select",
                "action_id": "s",
                "option_groups": [{"label": plain("g" * 76), "options": [option()]}],
            }
        )
    ],
    "an initial option that is not offered": [actions({**select(), "initial_option": option("zz", "zz")})],
    "a placeholder of 151 characters": [actions({**select(), "placeholder": plain("p" * 151)})],
    "six overflow options": [actions({"type": "overflow", "action_id": "o", "options": [option()] * 6})],
    "eleven radio buttons": [actions({"type": "radio_buttons", "action_id": "r", "options": [option()] * 11})],
    "eleven checkboxes": [actions({"type": "checkboxes", "action_id": "c", "options": [option()] * 11})],
    "an unknown block": [{"type": "sektion", "text": mrkdwn("x")}],
    "a block without a type": [{"text": mrkdwn("x")}],
    "a block that is a word": ["section"],
    "an unknown element": [actions({"type": "knob", "action_id": "k"})],
    "an unknown property": [section(colour="red")],
    "an unknown property of a text": [{"type": "section", "text": {**mrkdwn("x"), "emoji": True}}],
    "an image with url and file": [{**IMAGE, "slack_file": {"id": "F0123456789"}}],
    "an image with neither": [{"type": "image", "alt_text": "a"}],
    "an image without alt_text": [{"type": "image", "image_url": "https://a/b.png"}],
    "an image url of 3001 characters": [{**IMAGE, "image_url": "https://a/" + "u" * 2991}],
    "an alt_text of 2001 characters": [{**IMAGE, "alt_text": "a" * 2001}],
    "an image title of 2001 characters": [{**IMAGE, "title": plain("t" * 2001)}],
    "a file id that is none": [{"type": "image", "slack_file": {"id": "f1"}, "alt_text": "a"}],
    "a file input in a message": [field({"type": "file_input", "action_id": "f"})],
    "two focused elements": [
        field({**TEXT_INPUT, "focus_on_load": True}),
        field({**TEXT_INPUT, "focus_on_load": True}),
    ],
    "an input label of 2001 characters": [{**field(TEXT_INPUT), "label": plain("l" * 2001)}],
    "an input hint of 2001 characters": [field(TEXT_INPUT, hint=plain("l" * 2001))],
    "an input without an element": [{"type": "input", "label": plain("l")}],
    "a button in an input": [field(button())],
    "a max_length of 3001": [field({**TEXT_INPUT, "max_length": 3001})],
    "a min_length above max_length": [field({**TEXT_INPUT, "min_length": 9, "max_length": 3})],
    "a number input that does not say if decimals": [field({"type": "number_input", "action_id": "n"})],
    "a strange date": [actions({"type": "datepicker", "action_id": "d", "initial_date": "24.12.2026"})],
    "a strange time": [actions({"type": "timepicker", "action_id": "d", "initial_time": "25:00"})],
    "markdown of 12001 characters": [{"type": "markdown", "text": "x" * 12_001}],
    "markdown of 12001 characters in all": [{"type": "markdown", "text": "x" * 6_001}] * 2,
    "two tables": [{"type": "table", "rows": [[CELL]]}] * 2,
    "a table of 101 rows": [{"type": "table", "rows": [[CELL]] * 101}],
    "a table of 21 columns": [{"type": "table", "rows": [[CELL] * 21]}],
    "an empty cell": [{"type": "table", "rows": [[{"type": "raw_text", "text": ""}]]}],
    "three charts": [chart()] * 3,
    "seven series": [chart(series=7)],
    "21 points": [chart(points=21)],
    "a chart title of 51 characters": [chart(title="t" * 51)],
    "an alert in a message": [{"type": "alert", "text": mrkdwn("a")}],
    "a video title of 201 characters": [
        {
            "type": "video",
            "alt_text": "a",
            "video_url": "https://a/v",
            "thumbnail_url": "https://a/t",
            "title": plain("t" * 201),
        }
    ],
    "six context actions": [
        {
            "type": "context_actions",
            "elements": [
                {"type": "icon_button", "action_id": f"i{n}", "icon": "trash", "text": plain("x")} for n in range(6)
            ],
        }
    ],
    "eleven cards": [{"type": "carousel", "elements": [{"type": "card", "title": mrkdwn("c")}] * 11}],
    "a lone pending task": [{"type": "task_card", "task_id": "t", "title": "t", "status": "pending"}],
}


def modal(**changed: Any) -> Json:
    view: Json = {
        "type": "modal",
        "callback_id": "c",
        "title": plain("Promote"),
        "submit": plain("Send"),
        "close": plain("Cancel"),
        "blocks": [field(TEXT_INPUT, block_id="b")],
    }
    return {k: v for k, v in {**view, **changed}.items() if v is not None}


def home(**changed: Any) -> Json:
    return {"type": "home", "blocks": [section()], **changed}


GOOD_VIEWS: dict[str, Json] = {
    "a form": modal(),
    "a form without inputs needs no submit": modal(submit=None, blocks=[section()]),
    "100 blocks": modal(blocks=[section() for _ in range(100)]),
    "3000 characters of private_metadata": modal(private_metadata="p" * 3000),
    "a file input": modal(blocks=[field({"type": "file_input", "action_id": "f", "max_files": 10})]),
    "an alert": modal(blocks=[{"type": "alert", "text": mrkdwn("a"), "level": "warning"}]),
    "a home tab": home(),
    "100 blocks at home": home(blocks=[section() for _ in range(100)]),
}
BAD_VIEWS: dict[str, Any] = {
    "no title": modal(title=None),
    "a title of 25 characters": modal(title=plain("t" * 25)),
    "a title in mrkdwn": modal(title=mrkdwn("t")),
    "a submit of 25 characters": modal(submit=plain("t" * 25)),
    "a close of 25 characters": modal(close=plain("t" * 25)),
    "an input without submit": modal(submit=None),
    "no blocks": modal(blocks=[]),
    "blocks left out": modal(blocks=None),
    "101 blocks": modal(blocks=[section() for _ in range(101)]),
    "3001 characters of private_metadata": modal(private_metadata="p" * 3001),
    "a callback_id of 256 characters": modal(callback_id="c" * 256),
    "an external_id of 256 characters": modal(external_id="c" * 256),
    "an unknown key": modal(color="red"),
    "no type": {"title": plain("t"), "blocks": [section()]},
    "an unknown type": modal(type="dialog"),
    "not a view at all": "modal",
    "a table in a form": modal(blocks=[{"type": "table", "rows": [[CELL]]}]),
    "a chart in a form": modal(blocks=[chart()]),
    "markdown in a form": modal(blocks=[{"type": "markdown", "text": "x"}]),
    "home with submit": home(submit=plain("s")),
    "home with a title": home(title=plain("s")),
    "markdown at home": home(blocks=[{"type": "markdown", "text": "x"}]),
    "an alert at home": home(blocks=[{"type": "alert", "text": mrkdwn("a")}]),
    "101 blocks at home": home(blocks=[section() for _ in range(101)]),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_payload_that_slack_takes_is_taken(name: str) -> None:
    assert limits.validate(GOOD[name]) == []


@pytest.mark.parametrize("name", BAD)
def test_a_payload_that_slack_refuses_is_refused_with_its_place(name: str) -> None:
    problems = limits.validate(BAD[name])

    assert problems
    assert all(set(p) == {"pointer", "code", "message"} and p["pointer"].startswith("/blocks") for p in problems)


@pytest.mark.parametrize("name", GOOD_VIEWS)
def test_a_view_that_slack_takes_is_taken(name: str) -> None:
    assert limits.validate_view(GOOD_VIEWS[name]) == []


@pytest.mark.parametrize("name", BAD_VIEWS)
def test_a_view_that_slack_refuses_is_refused(name: str) -> None:
    assert limits.validate_view(BAD_VIEWS[name])


def test_problems_are_worded_as_slack_words_them() -> None:
    problems = limits.validate([section("x" * 3001)])

    assert limits.as_messages(problems) == [
        "[ERROR] must be less than 3001 characters [json-pointer:/blocks/0/text/text]"
    ]
