"""Baton in a process of its own that dies, by SIGKILL, at whichever of its steps it is told.

A step is anything that leaves the process: an SQL statement, a commit, an HTTP request and its answer, a frame to Slack.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import urllib.request
from collections.abc import Callable
from datetime import timedelta
from functools import partial, wraps
from multiprocessing.connection import Connection
from typing import Any

from tests.lives import begin, context

#: A dead process is noticed, and its half-written messages are taken over, sooner than in life; stories are told faster.
BEAT, DEAD, CLAIM = 0.2, timedelta(seconds=1.5), timedelta(seconds=2)
#: Threads that poll whether anything happens or not; their steps come by the clock, and make no difference to count.
IDLERS = ("heartbeat", "APScheduler")


class Steps:
    """Counts, and kills at the right moment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: int | None = None
        self.count = 0
        self.until_champion = 0

    def arm(self, left: int | None) -> None:
        """Die at the `left`-th step from now; None only counts."""
        with self._lock:
            self._left, self.count, self.until_champion = left, 0, 0

    def step(self, *_: Any) -> None:
        """Something leaves the process now."""
        if threading.current_thread().name.startswith(IDLERS):
            return
        with self._lock:
            self.count += 1
            if self._left is not None:
                self._left -= 1
                if self._left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

    def statement(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        """An SQL statement is about to be sent."""
        if statement.startswith("INSERT INTO champions"):
            self.until_champion = self.count + 1
        self.step()

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """`call`, with a step before it and one after it: between doing and remembering."""

        @wraps(call)
        def stepped(*args: Any, **kwargs: Any) -> Any:
            self.step()
            answer = call(*args, **kwargs)
            self.step()
            return answer

        return stepped

    def watch(self) -> None:
        """Begin to count."""
        import httpx
        import websocket
        from sqlalchemy import Engine, event

        event.listen(Engine, "before_cursor_execute", self.statement)
        event.listen(Engine, "commit", self.step)
        for owner, name in (
            (httpx.HTTPTransport, "handle_request"),
            (urllib.request.OpenerDirector, "open"),
            (websocket.WebSocketApp, "send"),
        ):
            setattr(owner, name, self.around(getattr(owner, name)))


def live(environment: dict[str, str], log: str, control: Connection) -> None:
    """One life of `baton serve`."""
    from bot.serve import serve
    from bot.settings import Settings
    from bot.slack import pacing
    from core import engine, processes
    from core.store import writing

    logging.basicConfig(filename=log, level=logging.WARNING, format=f"{os.getpid()} %(asctime)s %(name)s %(message)s")
    processes.DEAD, writing.CLAIM, pacing.PER_SECOND = DEAD, CLAIM, 50.0
    engine.Processes = partial(processes.Processes, beat=BEAT)  # type: ignore[misc,assignment]
    steps = Steps()
    steps.watch()
    threading.Thread(target=_obey, args=(steps, control), name="heartbeat of the test", daemon=True).start()
    serve(Settings.load(environment))


def _obey(steps: Steps, control: Connection) -> None:
    try:
        while True:
            match control.recv():
                case "count":
                    control.send((steps.until_champion, steps.count))
                case left:
                    control.send("armed")  # before it is: its first step may be its last
                    steps.arm(left)
    except (EOFError, OSError):  # the test has ended
        os.kill(os.getpid(), signal.SIGKILL)


class Child:
    """One life, seen from the test."""

    def __init__(self, environment: dict[str, str], log: str) -> None:
        self._control, theirs = context().Pipe()
        self.process = begin(live, environment, log, theirs)
        theirs.close()

    def arm(self, left: int | None) -> None:
        self._control.send(left)
        assert self._control.poll(10)
        assert self._control.recv() == "armed"

    def counted(self) -> tuple[int, int]:
        """(steps until the champion changed, steps so far)."""
        self._control.send("count")
        assert self._control.poll(10)
        found: tuple[int, int] = self._control.recv()
        return found

    def died(self, seconds: float) -> bool:
        """Whether it has died by its own hand."""
        self.process.join(seconds)
        return self.process.exitcode == -signal.SIGKILL

    def kill(self) -> None:
        self.process.kill()
        self.process.join(10)
        self.process.close()
        self._control.close()
