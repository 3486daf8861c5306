"""Which of Baton's refusals the tests bring about: `python -m tests.sentences [pytest's arguments]`.

Runs the suite and lists every place of the code that makes a refusal (`Refused`, `Unavailable` and what is made of them)
which the run never came to. Places that only child processes come to are not seen.
"""

from __future__ import annotations

import ast
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.domain import errors

ROOT = Path(__file__).parents[1]
HEARD = "SENTENCES_HEARD"
NAMES = {"Refused", "BadInput", "NotFound", "NotAllowed", "Conflict", "Unavailable", "Unauthorised"}
Place = tuple[str, int]


def places() -> Iterator[tuple[Place, int]]:
    """Every call that makes a refusal: its file and first line, and its last line."""
    for file in [*(ROOT / "core").rglob("*.py"), *(ROOT / "bot").rglob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in NAMES:
                yield (str(file.relative_to(ROOT)), node.lineno), node.end_lineno or node.lineno


def _note(line: str) -> None:
    with (Path(os.environ[HEARD]) / str(os.getpid())).open("a", encoding="utf-8") as file:
        file.write(line)


def _listen(kind: type[errors.BatonError]) -> None:
    """Have `kind` say where it is made."""
    made = kind.__init__

    def init(self: errors.BatonError, *args: object, **more: object) -> None:
        frame = sys._getframe(1)
        while frame.f_back is not None and frame.f_code.co_name in ("init", "__init__"):
            frame = frame.f_back
        _note(f"{frame.f_code.co_filename}\t{frame.f_lineno}\n")
        made(self, *args, **more)

    kind.__init__ = init  # type: ignore[assignment]


def pytest_configure() -> None:
    """As a plugin of the run."""
    _listen(errors.Refused)
    _listen(errors.Unavailable)


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="sentences-") as folder:
        os.environ[HEARD] = folder
        status = pytest.main(["-p", "tests.sentences", *sys.argv[1:]])
        lines = {line for file in Path(folder).iterdir() for line in file.read_text(encoding="utf-8").splitlines()}
    heard = {
        (str(Path(name).relative_to(ROOT)), int(at))
        for name, at in (line.split("\t") for line in lines)
        if Path(name).is_relative_to(ROOT)
    }
    found = sorted(set(places()))
    silent = [place for place, end in found if not any((place[0], at) in heard for at in range(place[1], end + 1))]
    for name, at in silent:
        print(f"never heard: {name}:{at}")
    print(f"{len(found)} places make a refusal; {len(found) - len(silent)} of them were come to")
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
