"""Which versions a policy means: `>=4,<6`. Pure. Versions are compared as numbers, part by part: 10 comes after 9."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from core.policy.fields import shown, wrong

_PART = re.compile(r"(>=|<=|==|!=|>|<)\s*([^\s,<>=!]{1,100})")
_NUMBERS = re.compile(r"v?([0-9]{1,18}(?:\.[0-9]{1,18})*)", re.ASCII | re.IGNORECASE)


def parse(text: str) -> list[tuple[str, str]]:
    """`>=4,<6` as [(">=", "4"), ("<", "6")]. Raises `ValueError`."""
    found = []
    for each in text.split(","):
        match = _PART.fullmatch(each.strip())
        if match is None or (match[1] not in ("==", "!=") and _numbers(match[2]) is None):
            raise ValueError(each.strip())
        found.append((match[1], match[2]))
    return found


def holds(wanted: str | None, version: str) -> bool | None:
    """Whether a version is among those meant; None where it cannot be compared, as "nightly" with a number.

    None wanted means every version.
    """
    answers = [_one(sign, bound, version) for sign, bound in parse(wanted)] if wanted else []
    return False if False in answers else None if None in answers else True


def _one(sign: str, bound: str, version: str) -> bool | None:
    mine, theirs = _numbers(version), _numbers(bound)
    if mine is None or theirs is None:
        return (version == bound) == (sign == "==") if sign in ("==", "!=") else None
    return {
        ">=": mine >= theirs, "<=": mine <= theirs, ">": mine > theirs, "<": mine < theirs, "==": mine == theirs,
        "!=": mine != theirs,
    }[sign]  # fmt: skip


def _numbers(version: str) -> tuple[int, ...] | None:
    """7.0 and 7 are one version."""
    match = _NUMBERS.fullmatch(version)
    if match is None:
        return None
    parts = [int(each) for each in match[1].split(".")]
    while len(parts) > 1 and not parts[-1]:
        parts.pop()
    return tuple(parts)


def _range(value: Any) -> str:
    example = 'a range in quotes, such as ">=4,<6"'
    if not isinstance(value, str):
        raise wrong("is empty" if value is None else f"{shown(value)} is not text", f"write {example}")
    try:
        return ",".join(sign + bound for sign, bound in parse(value))
    except ValueError as error:
        raise wrong(f"{shown(str(error))} is no range of versions", f"write {example}") from None


Range = Annotated[
    str, BeforeValidator(_range), WithJsonSchema({"type": "string", "description": "Versions, such as >=4,<6."})
]
