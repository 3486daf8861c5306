"""What Slack would refuse in blocks and views: `validate` and `validate_view` answer every problem, with its place."""

from __future__ import annotations

from typing import Any

from .limit_blocks import BLOCKS, MARKDOWN_CHARS, NOT_ON
from .limit_elements import ID
from .limit_rules import Problem, Report, anything, boolean, by_type, shape, string, text
from .workspace import elements_of

MESSAGE_BLOCKS_CHARS = 13_200
_MOST_BLOCKS = {"message": 50, "modal": 100, "home": 100}
_BLOCK = by_type(BLOCKS)


def validate(blocks: Any, surface: str = "message", at: str = "/blocks") -> list[Problem]:
    """The problems of a list of blocks on a surface ("message", "modal", "home"): pointer, code, message."""
    report = Report(surface)
    if not isinstance(blocks, list):
        report.add(at, "invalid_type", "must be an array")
        return report.problems
    if len(blocks) > _MOST_BLOCKS[surface]:
        report.add(at, "too_many", f"no more than {_MOST_BLOCKS[surface]} items allowed")
    for index, block in enumerate(blocks):
        where = f"{at}/{index}"
        _BLOCK(block, where, report)
        if isinstance(block, dict) and str(block.get("type")) in NOT_ON[surface]:
            report.add(f"{where}/type", "not_allowed_here", f"unsupported type in a {surface}: {block['type']}")
        if isinstance(block, dict) and block.get("type") == "container":
            children = block.get("child_blocks")
            report.problems += validate(children, surface, f"{where}/child_blocks") if children else []
    sound = [b for b in blocks if isinstance(b, dict)]
    _unique_ids(sound, at, report)
    _whole_message(sound, at, report)
    return report.problems


def _unique_ids(blocks: list[dict[str, Any]], at: str, report: Report) -> None:
    """block_id unique in the payload, action_id unique in its block."""
    seen: set[str] = set()
    for index, block in enumerate(blocks):
        block_id = block.get("block_id")
        if isinstance(block_id, str) and block_id in seen:
            report.add(f"{at}/{index}/block_id", "duplicate_block_id", f"duplicate block_id: {block_id}")
        seen |= {block_id} if isinstance(block_id, str) else set()
        actions: set[str] = set()
        for element in _controls(block):
            action_id = element["action_id"]
            if action_id in actions:
                report.add(f"{at}/{index}", "duplicate_action_id", f"duplicate action_id: {action_id}")
            actions.add(action_id)


def _controls(block: dict[str, Any]) -> list[dict[str, Any]]:
    try:
        return [e for e in elements_of(block) if isinstance(e["action_id"], str)]
    except (AttributeError, TypeError):
        return []  # the shape is wrong, which has been reported


def _whole_message(blocks: list[dict[str, Any]], at: str, report: Report) -> None:
    kinds = [b.get("type") for b in blocks]
    if report.surface == "message" and kinds.count("table") + kinds.count("data_table") > 1:
        report.add(at, "only_one_table_allowed", "only one table is allowed in a message")
    if kinds.count("data_visualization") > 2:
        report.add(at, "too_many", "no more than 2 data_visualization blocks allowed")
    markdown = sum(len(b["text"]) for b in blocks if b.get("type") == "markdown" and isinstance(b.get("text"), str))
    if markdown > MARKDOWN_CHARS and kinds.count("markdown") > 1:
        report.add(at, "too_long", f"markdown must be less than {MARKDOWN_CHARS + 1} characters in all")


_VIEW_COMMON = {
    "type": anything,
    "blocks": anything,
    "private_metadata": string(3000),
    "callback_id": ID,
    "external_id": ID,
}
_VIEWS = by_type(
    {
        "modal": shape(
            _VIEW_COMMON
            | {
                "title": text(24, plain=True),
                "submit": text(24, plain=True),
                "close": text(24, plain=True),
                "clear_on_close": boolean,
                "notify_on_close": boolean,
                "submit_disabled": boolean,
            },
            "title blocks",
        ),
        "home": shape(_VIEW_COMMON, "blocks"),
    }
)


def validate_view(view: Any) -> list[Problem]:
    """The problems of a modal or a Home tab, its blocks included."""
    report = Report()
    given = _without_empty_ids(view)
    _VIEWS(given, "/view", report)
    if isinstance(view, dict) and view.get("type") in ("modal", "home") and view.get("blocks") is not None:
        blocks = view["blocks"]
        if blocks == []:
            report.add("/view/blocks", "too_few", "no less than 1 items required")
        report.problems += validate(blocks, view["type"], "/view/blocks")
        has_input = isinstance(blocks, list) and any(isinstance(b, dict) and b.get("type") == "input" for b in blocks)
        if view["type"] == "modal" and has_input and view.get("submit") is None:
            report.add("/view", "missing_field", "submit is required when a view has an input block")
    return report.problems


def _without_empty_ids(view: Any) -> Any:
    """Slack takes an empty callback_id or external_id for none."""
    if not isinstance(view, dict):
        return view
    return {k: v for k, v in view.items() if not (k in ("callback_id", "external_id") and v == "")}


def message_length(blocks: Any) -> int:
    """How many characters of text the blocks of a message hold in all, as `msg_blocks_too_long` counts them."""
    if isinstance(blocks, list):
        return sum(message_length(item) for item in blocks)
    if not isinstance(blocks, dict):
        return 0
    own = len(blocks["text"]) if isinstance(blocks.get("text"), str) else 0
    return own + sum(message_length(v) for v in blocks.values() if isinstance(v, dict | list))


def as_messages(problems: list[Problem]) -> list[str]:
    """The problems as Slack words them in response_metadata.messages."""
    return [f"[ERROR] {p['message']} [json-pointer:{p['pointer']}]" for p in problems]
