"""The limits of Block Kit's blocks, and which surface takes which block."""

from __future__ import annotations

from typing import Any

from .limit_elements import (
    ACTIONS_ELEMENT,
    CONTEXT_ACTION,
    ELEMENTS,
    ID,
    IMAGE,
    INPUT_ELEMENT,
    SECTION_ACCESSORY,
    SLACK_FILE,
    URL,
)
from .limit_rules import (
    Report,
    Rule,
    anything,
    boolean,
    by_type,
    items,
    listing,
    number,
    one_of,
    shape,
    string,
    text,
    whole,
)

MARKDOWN_CHARS = 12_000
DATA_TABLE_CHARS = 20_000


def _block(fields: dict[str, Rule], required: str = "", **more: Any) -> Rule:
    return shape({"type": anything, "block_id": ID, **fields}, required, **more)


def _section(value: dict[str, Any], at: str, report: Report) -> None:
    if value.get("text") is None and value.get("fields") is None:
        report.add(at, "missing_field", "must have text or fields")


def _input(value: dict[str, Any], at: str, report: Report) -> None:
    element = value.get("element")
    if report.surface == "message" and isinstance(element, dict) and element.get("type") == "file_input":
        report.add(f"{at}/element/type", "not_allowed_here", "unsupported type here: file_input")


_RICH_PART = by_type(
    {
        "text": shape({"type": anything, "text": string(10**6, 1), "style": anything}, "text"),
        "link": shape(
            {"type": anything, "url": URL, "text": string(10**6), "style": anything, "unsafe": boolean}, "url"
        ),
        "user": shape({"type": anything, "user_id": ID, "style": anything}, "user_id"),
        "usergroup": shape({"type": anything, "usergroup_id": ID, "style": anything}, "usergroup_id"),
        "channel": shape({"type": anything, "channel_id": ID, "style": anything}, "channel_id"),
        "broadcast": shape({"type": anything, "range": one_of("here", "channel", "everyone")}, "range"),
        "emoji": shape({"type": anything, "name": ID, "unicode": anything, "url": anything, "style": anything}, "name"),
        "date": shape(
            {"type": anything, "timestamp": whole(0, 10**11), "format": ID, "url": URL, "fallback": string(3000)},
            "timestamp format",
        ),
        "color": shape({"type": anything, "value": ID}, "value"),
    }
)
_RICH_LINE = {
    "type": anything,
    "elements": listing(_RICH_PART, 10_000, 0),
    "border": whole(0, 1),
    "language": string(50),
}
_RICH_SECTION = shape({"type": anything, "elements": listing(_RICH_PART, 10_000, 0)}, "elements")
RICH_TEXT_ELEMENT = by_type(
    {
        "rich_text_section": _RICH_SECTION,
        "rich_text_preformatted": shape(_RICH_LINE, "elements"),
        "rich_text_quote": shape(_RICH_LINE, "elements"),
        "rich_text_list": shape(
            {
                "type": anything,
                "elements": listing(by_type({"rich_text_section": _RICH_SECTION}), 10_000),
                "style": one_of("bullet", "ordered"),
                "indent": whole(0, 8),
                "offset": whole(0, 10**6),
                "border": whole(0, 1),
            },
            "elements style",
        ),
    }
)
RICH_TEXT = _block({"elements": listing(RICH_TEXT_ELEMENT, 10_000, 0)}, "elements")
_CELL = by_type(
    {
        "raw_text": shape({"type": anything, "text": string(10_000, 1)}, "text"),
        "raw_number": shape({"type": anything, "value": anything, "text": string(10_000, 1)}, "value"),
        "rich_text": RICH_TEXT,
    }
)
_COLUMN = shape({"align": one_of("left", "center", "right"), "is_wrapped": boolean})


def _even_rows(value: dict[str, Any], at: str, report: Report) -> None:
    rows = value.get("rows")
    if isinstance(rows, list) and len({len(r) for r in rows if isinstance(r, list)}) > 1:
        report.add(f"{at}/rows", "invalid_rows", "every row must have the same number of cells")


def _data_table(value: dict[str, Any], at: str, report: Report) -> None:
    _even_rows(value, at, report)
    cells = [c for row in items(value, "rows") if isinstance(row, list) for c in row if isinstance(c, dict)]
    if sum(len(str(c.get("text", ""))) for c in cells) > DATA_TABLE_CHARS:
        report.add(f"{at}/rows", "too_long", f"must be less than {DATA_TABLE_CHARS + 1} characters in all")


_LABEL = string(20, 1)
_POINT = shape({"label": _LABEL, "value": number}, "label value")
_SERIES = shape({"name": _LABEL, "data": listing(_POINT, 20)}, "name data")
_AXES = shape({"categories": listing(_LABEL, 20), "x_label": string(50), "y_label": string(50)}, "categories")
# The official page says six where others say twelve; the stricter one holds here.
_PLOT = shape({"type": anything, "series": listing(_SERIES, 6), "axis_config": _AXES}, "series axis_config")
_PIE = shape({"type": anything, "segments": listing(_POINT, 6)}, "segments")
_CHART = by_type({"bar": _PLOT, "line": _PLOT, "area": _PLOT, "pie": _PIE})


_TASK = _block(
    {
        "task_id": ID,
        "title": string(3000, 1),
        "details": RICH_TEXT,
        "output": RICH_TEXT,
        "sources": listing(shape({"type": anything, "url": URL, "text": string(3000)}, "url text"), 100, 0),
        "status": one_of("pending", "in_progress", "complete", "error"),
    },
    "task_id title status",
)


def _lone_task(value: dict[str, Any], at: str, report: Report) -> None:
    if value.get("status") == "pending":
        report.add(f"{at}/status", "invalid_value", "pending is allowed only inside a plan")


def _task_card(value: Any, at: str, report: Report) -> None:
    _TASK(value, at, report)
    _lone_task(value, at, report)


_CARD = _block(
    {
        "hero_image": IMAGE,
        "icon": IMAGE,
        "title": text(150),
        "subtitle": text(150),
        "body": text(200),
        "actions": listing(by_type(ELEMENTS, ("button",)), 3, 0),
    }
)

BLOCKS: dict[str, Rule] = {
    "section": _block(
        {"text": text(3000), "fields": listing(text(2000), 10), "accessory": SECTION_ACCESSORY, "expand": boolean},
        also=_section,
    ),
    "divider": _block({}),
    "header": _block({"text": text(150, plain=True)}, "text"),
    "context": _block(
        {"elements": listing(by_type({"image": IMAGE, "plain_text": text(3000), "mrkdwn": text(3000)}), 10)},
        "elements",
    ),
    "context_actions": _block({"elements": listing(CONTEXT_ACTION, 5)}, "elements"),
    "actions": _block({"elements": listing(ACTIONS_ELEMENT, 25)}, "elements"),
    "image": _block(
        {
            "image_url": URL,
            "slack_file": SLACK_FILE,
            "alt_text": string(2000, 1),
            "title": text(2000, plain=True),
        },
        "alt_text",
        exactly_one=("image_url", "slack_file"),
    ),
    "input": _block(
        {
            "label": text(2000, plain=True),
            "hint": text(2000, plain=True),
            "element": INPUT_ELEMENT,
            "optional": boolean,
            "dispatch_action": boolean,
        },
        "label element",
        also=_input,
    ),
    "markdown": _block({"text": string(MARKDOWN_CHARS, 1)}, "text"),
    "rich_text": RICH_TEXT,
    "table": _block(
        {"rows": listing(listing(_CELL, 20), 100), "column_settings": listing(_COLUMN, 20, 0)}, "rows", also=_even_rows
    ),
    "data_table": _block(
        {
            "rows": listing(listing(_CELL, 20), 201, 2),
            "caption": anything,
            "page_size": whole(1, 100),
            "row_header_column_index": whole(0, 19),
            "column_settings": anything,
        },
        "rows",
        also=_data_table,
    ),
    "data_visualization": _block({"title": string(50, 1), "chart": _CHART}, "title chart"),
    "alert": _block({"text": text(200), "level": one_of("default", "info", "warning", "error", "success")}, "text"),
    "video": _block(
        {
            "alt_text": string(2000, 1),
            "video_url": URL,
            "thumbnail_url": URL,
            "title": text(200, plain=True),
            "title_url": URL,
            "description": text(200, plain=True),
            "provider_icon_url": URL,
            "provider_name": string(50),
            "author_name": string(50),
        },
        "alt_text video_url thumbnail_url title",
    ),
    "file": _block({"external_id": ID, "source": one_of("remote")}, "external_id source"),
    "task_card": _task_card,
    "plan": _block({"title": string(3000, 1), "tasks": listing(_TASK, 50, 0)}, "title"),
    "card": _CARD,
    "carousel": _block({"elements": listing(by_type({"card": _CARD}), 10)}, "elements"),
    "container": _block(
        {
            "title": text(150),
            "rich_text_title": anything,
            "subtitle": text(150),
            "child_blocks": listing(anything, 10),
            "width": one_of("narrow", "standard", "wide", "full"),
            "icon": anything,
            "is_collapsible": boolean,
            "default_collapsed": boolean,
            "has_header_divider": boolean,
        },
        "child_blocks",
    ),
}
_NOT_IN_MODAL = {
    "markdown", "table", "data_table", "data_visualization", "plan", "task_card", "carousel", "container",
    "context_actions", "file",
}  # fmt: skip
NOT_ON: dict[str, set[str]] = {
    "message": {"alert"},
    "modal": _NOT_IN_MODAL,
    "home": {"markdown", "plan", "task_card", "alert", "context_actions", "table"},
}
