"""Queries with holes: `errors_total{version="{{version}}"}`. Pure.

A hole stands inside the quotes of a label matcher, and nowhere else: there its value can be escaped, so that no name,
however hostile, ends the string (or, behind `=~`, means anything but itself).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

NAMES = ("version", "model", "stage", "champion")
LONGEST = 5_000
_HOLE = re.compile(r"\{\{\s*(\w*)\s*\}\}")
#: A comment, a string (with its quote), or whatever else up to the next of these.
_TOKEN = re.compile(
    r"""(?P<comment>\#[^\n]*) | (?P<string>"(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' | `[^`]*`) | (?P<code>[^"'`\#]+)""",
    re.VERBOSE | re.DOTALL,
)
_IN_STRING = re.compile(r"\\.|\{\{.*?\}\}|[^\\{]+|.", re.DOTALL)


class BadQuery(ValueError):
    """A query that cannot be filled in safely: what is wrong, and what would be right."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}; {remedy}")
        self.problem, self.remedy = problem, remedy


@dataclass(frozen=True)
class Hole:
    """A place where a name goes; behind `=~` and `!~` it must mean itself there too."""

    name: str
    in_regex: bool


def parse(query: str) -> tuple[str | Hole, ...]:
    """A query as its text and its holes. Raises `BadQuery` for a hole that cannot be filled in safely."""
    if not query.strip() or len(query) > LONGEST:
        raise BadQuery(
            "is empty" if not query.strip() else f"has {len(query):,} characters",
            f"write a PromQL query of at most {LONGEST:,} characters",
        )
    if is_outline(query):
        raise BadQuery("is an outline, with … in it", "write the whole query")
    pieces = tuple(_pieces(query))
    if "{{" in "".join(piece if isinstance(piece, str) else " " for piece in pieces):
        raise BadQuery("has {{ where nothing can be filled in", 'write it in quotes, such as version="{{version}}"')
    return pieces


def is_outline(query: str) -> bool:
    """Whether it leaves something out with `…`, as documentation does. It may stand in a policy, and is never asked."""
    return any("…" in (token["code"] or "") for token in _TOKEN.finditer(query))


def holes(query: str) -> frozenset[str]:
    """The names that a query asks for. Raises `BadQuery`."""
    return frozenset(piece.name for piece in parse(query) if isinstance(piece, Hole))


def fill(query: str, names: Mapping[str, str]) -> str:
    """The query with every hole filled in. Raises `KeyError` for a name that is not given, and `BadQuery`."""
    return "".join(
        piece
        if isinstance(piece, str)
        else _quoted(_literal(names[piece.name]) if piece.in_regex else names[piece.name])
        for piece in parse(query)
    )


def _pieces(query: str) -> Iterator[str | Hole]:
    at, code = 0, ""
    while at < len(query):
        token = _TOKEN.match(query, at)
        if token is None:
            raise BadQuery("has a quote that is not closed", "close it")
        at = token.end()
        if token["string"] is not None:
            yield from _string(token["string"], code.rstrip())
            code = ""
        else:
            code += token["code"] or ""
            yield token[0]


def _string(string: str, before: str) -> Iterator[str | Hole]:
    for token in _IN_STRING.findall(string):
        hole = _HOLE.fullmatch(token)
        if hole is None:
            yield token
            continue
        if hole[1] not in NAMES:
            known = ", ".join(f"{{{{{name}}}}}" for name in NAMES)
            raise BadQuery(f"{token[:40]} is not known", f"known are {known}")
        if string[0] == "`":
            raise BadQuery(f"{token} stands in backticks, in which nothing can be escaped", "write double quotes")
        if not before.endswith(("=", "=~", "!~")) or before.endswith("=="):
            raise BadQuery(f"{token} stands where no label is matched", 'write it as in version="{{version}}"')
        yield Hole(hole[1], in_regex=before.endswith("~"))


def _literal(value: str) -> str:
    """A regular expression (RE2) that matches the value and nothing else, inside of [] too."""
    return re.sub(r"[^0-9A-Za-z_\u0080-\U0010ffff]", lambda char: f"\\{char[0]}", value)


def _quoted(value: str) -> str:
    """The value as the inside of a PromQL string, whichever its quote."""
    return re.sub(r"[^0-9A-Za-z_.:/ -]", lambda char: _escape(ord(char[0])), value)


def _escape(code: int) -> str:
    if 0xD800 <= code <= 0xDFFF:  # half a character: PromQL has no way to write it
        code = 0xFFFD
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
