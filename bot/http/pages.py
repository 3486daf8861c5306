"""Pages of a list: `{items, next}`, where `next` is a cursor to pass back, or null at the end."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

from fastapi import Query

from core.domain.errors import BadInput

T = TypeVar("T")

Limit = Annotated[int, Query(ge=1, le=200, description="How many at most; 50 unless told.")]
Cursor = Annotated[str | None, Query(max_length=1_000, description="The `next` of the page before.")]


def page(found: Sequence[T], limit: int, show: Callable[[T], Any], key: Callable[[T], object]) -> dict[str, Any]:
    """A page of `found`, which holds one more than `limit` when there is another page."""
    items = found[:limit]
    more = len(found) > limit
    return {"items": [show(each) for each in items], "next": _encode(str(key(items[-1]))) if more else None}


def _encode(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def after_text(cursor: str | None) -> str | None:
    """The name that a cursor stands for. Raises `BadInput`."""
    if not cursor:
        return None
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise _wrong() from None
    return text


def after_id(cursor: str | None) -> int | None:
    """The id that a cursor stands for. Raises `BadInput`."""
    text = after_text(cursor)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise _wrong()
    return int(text)


def after_pair(cursor: str | None) -> tuple[str, str] | None:
    """The two names that a cursor stands for. Raises `BadInput`."""
    text = after_text(cursor)
    if text is None:
        return None
    try:
        one, other = json.loads(text)
    except (ValueError, TypeError):
        raise _wrong() from None
    if not isinstance(one, str) or not isinstance(other, str):
        raise _wrong()
    return one, other


def _wrong() -> BadInput:
    return BadInput(
        "cursor", "cursor is not one of ours; pass the `next` of the page before, or leave it out to begin."
    )
