"""Texts from outside, as they are kept: whole, but without what no database or terminal can hold."""

from __future__ import annotations

import re

from core.domain.errors import BadInput

REASON_LIMIT = 50_000
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def reason(text: str, required: bool, what: str = "reason") -> str:
    """A reason as it is stored: control characters gone, blanks at the ends gone.

    Raises `BadInput` when it is required and empty, or longer than 50,000 characters.
    """
    cleaned = _UNPRINTABLE.sub("", text.replace("\r\n", "\n")).strip()
    if required and not any(char.isprintable() and not char.isspace() for char in cleaned):
        raise BadInput(what, f"The {what} is missing; say in a sentence why.")
    if len(cleaned) > REASON_LIMIT:
        raise BadInput(what, f"The {what} has {len(cleaned):,} characters; {REASON_LIMIT:,} at most are kept.")
    return cleaned


def ended(text: str) -> str:
    """What somebody wrote, as a sentence that another one may follow."""
    return text if text[-1:] in (".", "!", "?", "…", "") else f"{text}."


def name(text: str, field: str) -> str:
    """A name somebody typed, to look something up by. Raises `BadInput` when there is none."""
    cleaned = text.strip()
    if not cleaned:
        raise BadInput(field, f"The {field} is missing; name one.")
    return _UNPRINTABLE.sub("\ufffd", cleaned)[:200]
