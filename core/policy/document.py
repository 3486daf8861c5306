"""YAML as the policy file uses it: plain values, each with its line.

Read as YAML 1.2: `09:00` and `2026-12-20` are text, `no` and `on` are words, `010` is ten. Aliases and merge keys work;
tags, keys written twice, a second document, and files that would unfold into something huge are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from core.policy.fields import shown
from core.policy.findings import Finding, Path, PolicyError, Wrong, place, spell

MAX_BYTES = 1_000_000
MAX_ALIASES = 200
MAX_DEPTH = 40
MAX_VALUES = 50_000
_MERGE = "tag:yaml.org,2002:merge"


class _TooMuch(yaml.MarkedYAMLError):
    """The file nests or refers more than any policy does."""


class _Loader(yaml.SafeLoader):
    """Composes nodes only; what a plain scalar means is said below."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own shape
    depth = 0
    aliases = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.aliases += self.check_event(yaml.AliasEvent)
        self.depth += 1
        if self.depth > MAX_DEPTH or self.aliases > MAX_ALIASES:
            problem = "nests too deeply" if self.depth > MAX_DEPTH else "uses too many aliases"
            raise _TooMuch(problem=problem, problem_mark=self.peek_event().start_mark)  # type: ignore[no-untyped-call]
        found = super().compose_node(parent, index)
        self.depth -= 1
        return found


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", list("-+.")),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), _first)


@dataclass
class Document:
    """A file's values, and the line of each."""

    file: str
    value: Any = None
    lines: dict[Path, int] = field(default_factory=dict)

    def finding(self, wrong: Wrong) -> Finding:
        """What is wrong, with its line."""
        return place(self.file, self.lines, wrong)


def read(text: str, file: str) -> Document:
    """The values of a YAML text. Raises `PolicyError` with every finding."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise PolicyError([Finding(file, 1, "", "the file is larger than 1 MB", "a policy is a few pages long")])
    unfolding = _Unfolding(Document(file))
    node = _compose(text, file)
    if node is not None:
        unfolding.document.lines[()] = node.start_mark.line + 1
        unfolding.document.value = unfolding.value(node, ())
    if unfolding.wrong:
        raise PolicyError(unfolding.wrong)
    return unfolding.document


class _Unfolding:
    """Nodes into values, aliases written out."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.wrong: list[Finding] = []
        self.count = 0
        self.open: set[int] = set()  #: the nodes that are being unfolded, to notice one that holds itself

    def value(self, node: yaml.Node, path: Path) -> Any:
        self.count += 1
        if id(node) in self.open or self.count > MAX_VALUES:
            problem = "holds itself by an alias" if id(node) in self.open else "unfolds into too many values"
            raise PolicyError([self.document.finding((path, problem, "write it out without aliases"))])
        if not isinstance(node, yaml.ScalarNode) and node.tag not in (
            "tag:yaml.org,2002:map",
            "tag:yaml.org,2002:seq",
        ):
            return self._tagged(node, path)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        self.open.add(id(node))
        found = self._mapping(node, path) if isinstance(node, yaml.MappingNode) else self._sequence(node, path)
        self.open.remove(id(node))
        return found

    def _tagged(self, node: yaml.Node, path: Path) -> None:
        self._refuse(node, path, f"the tag {shown(node.tag)} means nothing here", "remove it")

    def _refuse(self, node: yaml.Node, path: Path, problem: str, remedy: str) -> None:
        self.wrong.append(Finding(self.document.file, node.start_mark.line + 1, spell(path), problem, remedy))

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        text, kind = node.value, node.tag.removeprefix("tag:yaml.org,2002:")
        try:
            if kind in ("str", "merge"):
                return text
            if kind == "null":
                return None
            if kind == "bool":
                return {"true": True, "false": False}[text.lower()]
            if kind == "int":
                return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
            if kind == "float":
                return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        except (ValueError, KeyError):
            self._refuse(node, path, f"{shown(text)} cannot be read as {kind}", "put it in quotes, or mend it")
            return None
        return self._tagged(node, path)

    def _sequence(self, node: yaml.Node, path: Path) -> list[Any]:
        for number, each in enumerate(node.value):
            self.document.lines[(*path, number)] = each.start_mark.line + 1
        return [self.value(each, (*path, number)) for number, each in enumerate(node.value)]

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        entries = self._entries(node, path)
        for key, (line, _) in entries.items():
            self.document.lines[(*path, key)] = line
        return {key: self.value(each, (*path, key)) for key, (_, each) in entries.items()}

    def _entries(self, node: yaml.MappingNode, path: Path) -> dict[str, tuple[int, yaml.Node]]:
        """Key -> (line, value), with what `<<` merges in; a key's own text is its name, whatever it looks like."""
        own: dict[str, tuple[int, yaml.Node]] = {}
        merged: dict[str, tuple[int, yaml.Node]] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                self._refuse(key, path, "a key is a list or a mapping", "write text")
            elif key.tag == _MERGE:
                for other in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    merged = self._merged(other, key, path) | merged
            elif key.value in own:
                problem = f"is written twice, first on line {own[key.value][0]}"
                self._refuse(key, (*path, key.value), problem, "keep one of them")
            else:
                own[key.value] = (line, value)
        return merged | own

    def _merged(self, other: yaml.Node, key: yaml.Node, path: Path) -> dict[str, tuple[int, yaml.Node]]:
        self.count += 1
        if not isinstance(other, yaml.MappingNode) or id(other) in self.open:
            problem = "merges something that is not another mapping"
            self._refuse(key, (*path, "<<"), problem, "name the anchor of a mapping")
            return {}
        self.open.add(id(other))
        found = self._entries(other, path)
        self.open.remove(id(other))
        return found


# -- what YAML itself refuses ------------------------------------------------------------------------------------

#: (part of PyYAML's message, what is wrong, what would be right)
_SYNTAX = (
    ("character '\\t'", "a tab is used to indent", "indent with blanks"),
    ("character '@'", "a value that begins with @ is not in quotes", 'write it in quotes, such as "@risk-team"'),
    ("character '`'", "a value that begins with ` is not in quotes", "write it in quotes"),
    ("character '%'", "a value that begins with % is not in quotes", "write it in quotes"),
    ("mapping values are not allowed", "a colon stands where none may", "mend the indentation, or write the text in quotes"),
    ("expected <block end>", "the indentation does not fit", "indent all keys of a mapping alike"),
    ("'<stream end>'", "a { or [ is not closed (without quotes, # begins a comment)", "close it, or write the text in quotes"),
    ("expected ',' or '}'", "a { is not closed, or a comma is missing", "close it with }"),
    ("expected ',' or ']'", "a [ is not closed, or a comma is missing", "close it with ]"),
    ("found unexpected end of stream", "a quote is not closed", "close it"),
    ("could not find expected ':'", "a key has no colon", "write key: value"),
    ("undefined alias", "an alias names no anchor", "define the anchor above it"),
    ("but found another document", "a second document begins", "keep one, and remove the line ---"),
)  # fmt: skip


def _compose(text: str, file: str) -> yaml.Node | None:
    text = text.removeprefix("\ufeff")
    try:
        loader = _Loader(text)
        try:
            return loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        problem = f"the character U+{ord(text[error.position]):04X} cannot be used"
        finding = Finding(file, line, "", problem, "remove it")
    except _TooMuch as error:
        finding = Finding(file, _line(error), "", f"the file {error.problem}", "write it out flat")
    except yaml.MarkedYAMLError as error:
        said = f"{error.context or ''} {error.problem or ''}"
        for part, problem, remedy in _SYNTAX:
            if part in said:
                finding = Finding(file, _line(error), "", problem, remedy)
                break
        else:
            finding = Finding(file, _line(error), "", f"this is not YAML: {error.problem}", "mend what stands here")
    raise PolicyError([finding])


def _line(error: yaml.MarkedYAMLError) -> int:
    mark = error.problem_mark or error.context_mark
    return mark.line + 1 if mark else 1
