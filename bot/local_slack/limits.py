"""stub"""

from typing import Any


def validate(blocks: Any, surface: str = "message") -> list[dict[str, str]]:
    return []


def validate_view(view: Any) -> list[dict[str, str]]:
    return []


def as_messages(problems: list[dict[str, str]]) -> list[str]:
    return []


def message_length(blocks: Any) -> int:
    return 0


MESSAGE_BLOCKS_CHARS = 13200
