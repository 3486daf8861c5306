"""`baton serve`, watched: `python -m bench.watched FILE` writes to FILE, a line each,

statements N          once a second, how many SQL statements there were so far
decided P-7 1234.5    the moment at which a decision that starts a deployment was committed
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from core.store.tables import DeploymentRow

Told = Callable[[str, float], None]


def on_decision(told: Told) -> Callable[[], None]:
    """Have `told` called right after each commit that starts a deployment, until what is returned is called."""

    def flushed(session: Session, _context: object) -> None:
        for row in session.new:
            if isinstance(row, DeploymentRow):
                session.info.setdefault("bench", []).append(f"P-{row.promotion_id}")

    def committed(session: Session) -> None:
        now = time.time()
        for promotion in session.info.pop("bench", []):
            told(promotion, now)

    def undo() -> None:
        event.remove(Session, "after_flush", flushed)
        event.remove(Session, "after_commit", committed)

    event.listen(Session, "after_flush", flushed)
    event.listen(Session, "after_commit", committed)
    return undo


def main(file: Path) -> None:
    count, lock = [0], threading.Lock()

    def write(text: str) -> None:
        with lock, file.open("a") as out:
            out.write(f"{text}\n")

    def counted(*_: object) -> None:
        count[0] += 1

    def every_second() -> None:
        while True:
            write(f"statements {count[0]}")
            time.sleep(1)

    event.listen(Engine, "before_cursor_execute", counted)
    on_decision(lambda promotion, at: write(f"decided {promotion} {at}"))
    threading.Thread(target=every_second, daemon=True).start()
    sys.argv = ["baton", "serve"]
    from bot.__main__ import main as baton

    baton()


def read(file: Path) -> tuple[int, dict[str, float]]:
    """(statements so far, when each promotion was decided)."""
    statements, decided = 0, {}
    for each in file.read_text().splitlines() if file.exists() else []:
        words = each.split()
        if words[0] == "statements":
            statements = int(words[1])
        else:
            decided[words[1]] = float(words[2])
    return statements, decided


if __name__ == "__main__":
    main(Path(sys.argv[1]))
