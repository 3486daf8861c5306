"""What Slack's client checks before it sends a form: required inputs, lengths, numbers, addresses. Pure."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from urllib.parse import urlsplit

from .workspace import Json

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


def form_errors(blocks: list[Json], values: Json) -> dict[str, str]:
    """The sentence for each input block that the client would not send, by block_id."""
    errors: dict[str, str] = {}
    for block in blocks:
        if block["type"] != "input":
            continue
        entry = values[block["block_id"]][block["element"]["action_id"]]
        value = next((v for k, v in entry.items() if k != "type"), None)
        problem = _problem(block, block["element"], value)
        if problem:
            errors[block["block_id"]] = problem
    return errors


def _problem(block: Json, element: Json, value: object) -> str | None:
    if value is None or value == [] or (isinstance(value, str) and not value.strip()):
        return None if block.get("optional") else "Please complete this required field."
    kind = element["type"]
    if kind == "plain_text_input":
        return _length_problem(element, str(value))
    if kind == "number_input":
        return _number_problem(element, str(value))
    if kind == "email_text_input" and not _EMAIL.fullmatch(str(value)):
        return "Please enter a valid email address."
    if kind == "url_text_input" and not (urlsplit(str(value)).scheme and urlsplit(str(value)).netloc):
        return "Please enter a valid URL."
    most = element.get("max_selected_items")
    if most and isinstance(value, list) and len(value) > most:
        return f"Please select at most {most} items."
    return None


def _length_problem(element: Json, text: str) -> str | None:
    least, most = element.get("min_length") or 0, element.get("max_length") or 3000
    if len(text) < least:
        return f"Please enter at least {least} characters."
    return f"Please enter at most {most} characters." if len(text) > most else None


def _number_problem(element: Json, text: str) -> str | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return "Please enter a valid number."
    if not number.is_finite():
        return "Please enter a valid number."
    if not element.get("is_decimal_allowed") and number != number.to_integral_value():
        return "Please enter a whole number."
    least, most = element.get("min_value"), element.get("max_value")
    if least is not None and number < Decimal(str(least)):
        return f"Please enter a number that is at least {least}."
    if most is not None and number > Decimal(str(most)):
        return f"Please enter a number that is at most {most}."
    return None
