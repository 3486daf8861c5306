"""A small language for shapes with limits: each rule looks at one value and reports what Slack would refuse."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Problem = dict[str, str]


@dataclass
class Report:
    """The problems found so far, and what must be unique or counted over the whole payload."""

    surface: str = "message"
    problems: list[Problem] = field(default_factory=list)
    focused: int = 0

    def add(self, pointer: str, code: str, message: str) -> None:
        """Notes one problem."""
        self.problems.append({"pointer": pointer, "code": code, "message": message})


Rule = Callable[[Any, str, Report], None]


def items(value: Any, key: str) -> list[Any]:
    """The list under a key; empty when it is not one (which its own rule reports)."""
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, list) else []


def string(most: int, least: int = 0, pattern: str | None = None) -> Rule:
    """Text of `least` to `most` characters."""

    def rule(value: Any, at: str, report: Report) -> None:
        if not isinstance(value, str):
            report.add(at, "invalid_type", "must be a string")
        elif len(value) < least:
            report.add(at, "too_short", f"must be more than {least - 1} characters")
        elif len(value) > most:
            report.add(at, "too_long", f"must be less than {most + 1} characters")
        elif pattern is not None and not re.fullmatch(pattern, value):
            report.add(at, "invalid_format", f"must match pattern {pattern}")

    return rule


def boolean(value: Any, at: str, report: Report) -> None:
    """True or false, nothing like it."""
    if not isinstance(value, bool):
        report.add(at, "invalid_type", "must be a boolean")


def anything(_value: Any, _at: str, _report: Report) -> None:
    """Whatever it is."""


def number(value: Any, at: str, report: Report) -> None:
    """Any number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        report.add(at, "invalid_type", "must be a number")


def focus(value: Any, at: str, report: Report) -> None:
    """focus_on_load: only one control may have it."""
    boolean(value, at, report)
    report.focused += value is True
    if report.focused > 1 and value is True:
        report.add(at, "too_many", "only one element may have focus_on_load")


def whole(least: int, most: int) -> Rule:
    """A whole number within bounds."""

    def rule(value: Any, at: str, report: Report) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            report.add(at, "invalid_type", "must be an integer")
        elif not least <= value <= most:
            report.add(at, "out_of_range", f"must be between {least} and {most}")

    return rule


def one_of(*values: str) -> Rule:
    """One of these words."""

    def rule(value: Any, at: str, report: Report) -> None:
        if value not in values:
            report.add(at, "invalid_value", f"must be one of: {', '.join(values)}")

    return rule


def listing(item: Rule, most: int, least: int = 1) -> Rule:
    """A list of `least` to `most` items."""

    def rule(value: Any, at: str, report: Report) -> None:
        if not isinstance(value, list):
            report.add(at, "invalid_type", "must be an array")
            return
        if len(value) < least:
            report.add(at, "too_few", f"no less than {least} items required")
        if len(value) > most:
            report.add(at, "too_many", f"no more than {most} items allowed")
        for index, entry in enumerate(value):
            item(entry, f"{at}/{index}", report)

    return rule


def shape(
    fields: dict[str, Rule],
    required: str = "",
    exactly_one: tuple[str, ...] = (),
    also: Rule | None = None,
) -> Rule:
    """An object with these keys and no others; `exactly_one` of a set of keys; `also` for what spans keys."""

    def rule(value: Any, at: str, report: Report) -> None:
        if not isinstance(value, dict):
            report.add(at, "invalid_type", "must be an object")
            return
        for key in required.split():
            if value.get(key) is None:
                report.add(at, "missing_field", f"missing required field: {key}")
        for key, entry in value.items():
            if key not in fields:
                report.add(f"{at}/{key}", "unknown_property", f"no more properties allowed: {key}")
            elif entry is not None:
                fields[key](entry, f"{at}/{key}", report)
        given = [key for key in exactly_one if value.get(key) is not None]
        if exactly_one and len(given) != 1:
            report.add(at, "exactly_one", f"must have exactly one of: {', '.join(exactly_one)}")
        if also is not None:
            also(value, at, report)

    return rule


def by_type(rules: dict[str, Rule], allowed: tuple[str, ...] | None = None) -> Rule:
    """An object whose `type` says which rule it follows; `allowed` narrows the types for this place."""

    def rule(value: Any, at: str, report: Report) -> None:
        kind = value.get("type") if isinstance(value, dict) else None
        if not isinstance(kind, str):
            report.add(f"{at}/type", "missing_field", "missing required field: type")
        elif kind not in rules:
            report.add(f"{at}/type", "unknown_type", f"unsupported type: {kind}")
        elif allowed is not None and kind not in allowed:
            report.add(f"{at}/type", "not_allowed_here", f"unsupported type here: {kind}")
        else:
            rules[kind](value, at, report)

    return rule


def text(most: int, *, plain: bool = False, least: int = 1) -> Rule:
    """A text object."""
    body = string(most, least)
    kinds = {"plain_text": shape({"type": anything, "text": body, "emoji": boolean}, "text")}
    if not plain:
        kinds["mrkdwn"] = shape({"type": anything, "text": body, "verbatim": boolean}, "text")
    return by_type(kinds)
