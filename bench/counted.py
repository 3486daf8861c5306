"""`baton serve`, counting its statements: every second the count goes to the file that BENCH_COUNT names."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from sqlalchemy import Engine, event

COUNT = [0]


def counted(*_: object) -> None:
    COUNT[0] += 1


def write() -> None:
    while True:
        Path(os.environ["BENCH_COUNT"]).write_text(str(COUNT[0]))
        threading.Event().wait(1)


if __name__ == "__main__":
    from bot.serve import serve
    from bot.settings import Settings

    event.listen(Engine, "before_cursor_execute", counted)
    threading.Thread(target=write, daemon=True).start()
    serve(Settings.load(slack=True))
