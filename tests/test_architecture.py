"""The shape of the house, checked over the imports: who may know whom, and how long a file or a function may get."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(path for room in ("bot", "core") for path in (ROOT / room).rglob("*.py"))

#: From the inside out; a room imports only rooms before it (and itself).
ORDER = [
    {"core.domain"},
    {"core.policy"},
    {"core.ports"},
    {"core.store", "core.targets", "core.registries", "core.sources", "core.processes", "core.pace", "core.engine"},
    {"core.sweeps"},
    {"core.promotions", "core.registration", "core.tokens"},
    {"core.decisions", "core.rollbacks", "core.outcomes", "core.deployments"},
    {"bot"},
]
RANK = {room: rank for rank, rooms in enumerate(ORDER) for room in rooms}


def module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return found


def rank(name: str) -> int | None:
    parts = name.split(".")
    return next((RANK[".".join(parts[:n])] for n in (2, 1) if ".".join(parts[:n]) in RANK), None)


@pytest.mark.parametrize("path", FILES, ids=module)
def test_a_room_imports_only_rooms_further_in(path: Path) -> None:
    mine = rank(module(path))

    outward = {name for name in imports(path) if mine is not None and (rank(name) or 0) > mine}

    assert outward == set()


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Imports for types and inside functions count too: a circle is a circle."""
    names = {module(path) for path in FILES}
    known = {module(path): {name for name in imports(path) if name in names} for path in FILES}
    while leaves := {name for name, needed in known.items() if not needed & known.keys()}:
        known = {name: needed for name, needed in known.items() if name not in leaves}

    assert sorted(known) == []


@pytest.mark.parametrize(
    ("library", "rooms"),
    [
        (("slack_sdk", "slack_bolt"), ("bot.slack", "bot.local_slack", "bot.wiring", "bot.check")),
        (("fastapi", "starlette", "uvicorn"), ("bot.http", "bot.local_slack")),
        (("sqlalchemy", "alembic"), ("core", "bot.slack", "bot.http", "bot.failures", "bot.direct", "bot.check")),
        (("dbos",), ("core.engine",)),
        (("apscheduler",), ("bot.serve",)),
        (("typer",), ("bot.cli", "bot.cli_direct", "bot.__main__", "bot.failures")),
    ],
)
def test_a_library_is_known_only_where_it_is_meant(library: tuple[str, ...], rooms: tuple[str, ...]) -> None:
    strangers = {
        module(path)
        for path in FILES
        if any(name.split(".")[0] in library for name in imports(path)) and not module(path).startswith(rooms)
    }

    assert strangers == set()


def test_the_domain_knows_only_the_standard_library() -> None:
    for path in (ROOT / "core" / "domain").glob("*.py"):
        assert {name.split(".")[0] for name in imports(path)} <= {
            "__future__",
            "core",
            "dataclasses",
            "datetime",
            "enum",
            "typing",
        }


@pytest.mark.parametrize("path", FILES, ids=module)
def test_no_file_is_over_400_lines_and_no_function_over_50(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    long = {
        node.name: node.end_lineno - node.lineno + 1
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno - node.lineno + 1 > 50
    }

    assert len(text.splitlines()) <= 400
    assert long == {}
