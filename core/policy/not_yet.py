"""What the policy file may say and this release does not carry out: refused at load, never silently ignored.

A release that learns one of these deletes its line of `NOT_YET`, and nothing else here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from core.policy.findings import Path, Wrong


def _says_something(value: Any) -> bool:
    return value not in (None, [], {})


@dataclass(frozen=True)
class NotYet:
    """A place of the file (`*` is any name or number), what it asks for, what to do instead, and what asks for it."""

    place: str
    what: str
    instead: str = "remove it"
    asks: Callable[[Any], bool] = _says_something


NOT_YET = (
    NotYet("registries.*.type", "SageMaker's registry", "remove it, or use mlflow", lambda kind: kind == "sagemaker"),
)


def refusals(content: Any) -> Iterator[Wrong]:
    """Everything that the file's values ask for in vain."""
    for entry in NOT_YET:
        for path, value in _at(content, entry.place.split("."), ()):
            if entry.asks(value):
                yield path, f"this release does not carry out {entry.what} yet", entry.instead


def _at(value: Any, steps: list[str], path: Path) -> Iterator[tuple[Path, Any]]:
    if not steps:
        yield path, value
    elif isinstance(value, dict):
        for key in value if steps[0] == "*" else [steps[0]] if steps[0] in value else []:
            yield from _at(value[key], steps[1:], (*path, key))
    elif isinstance(value, list) and steps[0] == "*":
        for number, each in enumerate(value):
            yield from _at(each, steps[1:], (*path, number))
