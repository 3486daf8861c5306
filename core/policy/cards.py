"""Model cards: what is in one, by its YAML front matter and its headings. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from core.domain.model import ModelVersion, Outcome
from core.policy.document import read
from core.policy.findings import PolicyError

_FRONT = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)^(?:---|\.\.\.)[ \t]*\r?$\n?", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^ {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*$")
_FENCE = re.compile(r"^ {0,3}(```|~~~)")


class Unreadable(Exception):
    """A card whose front matter cannot be understood; str() says why."""


def judge(version: ModelVersion, sections: Sequence[str]) -> tuple[Outcome, str]:
    """Whether a version's card is there and says something under each of `sections`, and the sentence that says so."""
    which = f"ersion {version.version}"
    if not version.card.strip():
        return Outcome.FAILED, f"V{which} came without a model card; one is required."
    try:
        found = said(version.card)
    except Unreadable as reason:
        return Outcome.INCONCLUSIVE, f"The model card of v{which} cannot be read: {reason}."
    missing = [each for each in sections if key(each) not in found]
    empty = [each for each in sections if key(each) in found and not found[key(each)]]
    if missing or empty:
        parts = [f"has no {' and no '.join(missing)}"] if missing else []
        parts += [f"says nothing under {' and '.join(empty)}"] if empty else []
        return Outcome.FAILED, f"The model card of v{which} {' and '.join(parts)}."
    if not sections:
        return Outcome.PASSED, f"V{which} came with a model card."
    return Outcome.PASSED, f"The model card says {', '.join(sections)}."


def key(name: str) -> str:
    """`Intended use` and `intended_use` are one section."""
    return re.sub(r"[\W_]+", "_", name.casefold()).strip("_")


def said(card: str) -> dict[str, bool]:
    """Every key and heading of a card, and whether anything is said there. Raises `Unreadable`."""
    front = _FRONT.match(card)
    found: dict[str, bool] = {}
    if front is not None:
        try:
            values: Any = read(front[1], "card").value
        except PolicyError as error:
            first = error.findings[0]
            raise Unreadable(f"line {first.line + 1} of its front matter, {first.problem}") from None
        if not isinstance(values, dict) and values is not None:
            raise Unreadable("its front matter is not a mapping")
        found = {key(str(name)): value not in (None, "", [], {}) for name, value in (values or {}).items()}
    for name, full in _headings(card[front.end() :] if front else card):
        found[key(name)] = found.get(key(name), False) or full
    return found


def _headings(text: str) -> list[tuple[str, bool]]:
    """Each heading, and whether words stand under it; words under a smaller heading are also its own."""
    found: list[tuple[int, str, bool]] = []
    fenced = False
    for line in text.splitlines():
        fence = _FENCE.match(line) is not None
        fenced = fenced != fence
        heading = None if fenced or fence else _HEADING.match(line)
        if heading is not None:
            found.append((len(heading[1]), heading[2], False))
        elif line.strip():
            deeper = 7
            for index in range(len(found) - 1, -1, -1):
                level, name, _ = found[index]
                if level < deeper:
                    found[index], deeper = (level, name, True), level
    return [(name, full) for _, name, full in found]
