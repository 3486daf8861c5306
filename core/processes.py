"""Which processes run workflows, and what becomes of the work of one that died.

The free DBOS does not notice a dead process. Here each one says every few seconds that it lives; whoever finds one that
has not for a while, or work of one that has left, puts that work back on the queue. So does a process with work of its
own that ended here and not in the database, which was away just then.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select, text, update

from core.store.database import Database
from core.store.tables import Process

log = logging.getLogger(__name__)

BEAT = 5.0
DEAD = timedelta(seconds=20)
#: Any constant but those of `core.store`: one process at a time looks after the dead.
REAPER_LOCK = 0x6261746F70


def _now() -> datetime:
    return datetime.now(UTC)


class Processes:
    """This process among its like. `under_way()` says which workflow is run by which process; `resume(workflows)` puts
    some back on the queue; `ended_here(forget)` says which came to an end in this process, and forgets some of them.
    """

    def __init__(
        self,
        database: Database,
        executor_id: str,
        under_way: Callable[[], dict[str, str]],
        resume: Callable[[list[str]], None],
        ended_here: Callable[[set[str]], set[str]],
        clock: Callable[[], datetime] = _now,
        beat: float = BEAT,
    ) -> None:
        self.database = database
        self.executor_id = executor_id
        self._under_way = under_way
        self._resume = resume
        self._ended_here = ended_here
        self._doubtful: set[str] = set()
        self._clock = clock
        self._beat = beat
        self._leaving = threading.Event()
        self._thread: threading.Thread | None = None

    def enter(self) -> None:
        """Say that this process lives. On SQLite there is only one process: whoever is still listed is dead."""
        now = self._clock()
        with self.database.note() as session:
            if self.database.dialect == "sqlite":
                session.execute(delete(Process))
            session.add(Process(executor_id=self.executor_id, started_at=now, beat_at=now))

    def start(self) -> None:
        """Look after the dead at once, then keep saying that this process lives."""
        self.reap()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._thread.start()

    def leave(self) -> None:
        """Stop, and say so: others take over what is left without waiting."""
        self._leaving.set()
        if self._thread is not None:
            self._thread.join()
        with self.database.note() as session:
            session.execute(delete(Process).where(Process.executor_id == self.executor_id))

    def beat(self) -> None:
        """Say that this process still lives."""
        now = self._clock()
        with self.database.note() as session:
            known = session.execute(
                update(Process).where(Process.executor_id == self.executor_id).values(beat_at=now)
            ).rowcount  # type: ignore[attr-defined]
            if not known:  # it was frozen so long that others buried it
                session.add(Process(executor_id=self.executor_id, started_at=now, beat_at=now))

    def reap(self) -> None:
        """Resume the work of the dead, unless another process is at it."""
        if self.database.dialect == "sqlite":
            # The engine has connections of its own, which a transaction here would lock out; there is nobody else.
            self._take_over(self._under_way(), {self.executor_id})
            return
        with self.database.note() as session:
            if not session.scalar(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": REAPER_LOCK}):
                return
            session.execute(delete(Process).where(Process.beat_at < self._clock() - DEAD))
            under_way = self._under_way()  # asked first: a process that enters after this has nothing in it
            if under_way:
                self._take_over(under_way, set(session.scalars(select(Process.executor_id))))

    def carry_on(self) -> None:
        """Resume this process's own work that ended here and, two beats long, not in the database."""
        ended = self._ended_here(set())
        if not ended:
            return
        under_way = self._under_way()
        doubtful = {each for each in ended if under_way.get(each) == self.executor_id}
        lost = sorted(doubtful & self._doubtful)
        self._ended_here(ended - doubtful)
        self._doubtful = doubtful - set(lost)
        if lost:
            log.warning("beginning again, since the database was away when it ended: %s", ", ".join(lost))
            self._resume(lost)

    def _take_over(self, under_way: dict[str, str], alive: set[str]) -> None:
        lost = sorted(workflow for workflow, executor in under_way.items() if executor not in alive)
        if lost:
            log.warning("taking over from a process that is gone: %s", ", ".join(lost))
            self._resume(lost)

    def _run(self) -> None:
        while not self._leaving.wait(self._beat):
            try:
                self.beat()
                if self.database.dialect == "postgresql":
                    self.reap()
                self.carry_on()
            except Exception:  # the outermost loop: it must go on
                log.warning("the heartbeat failed; trying again", exc_info=True)
