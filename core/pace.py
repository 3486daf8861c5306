"""How often DBOS looks at its queues.

DBOS polls: a queue every so often, plus, every second and whatever is configured, its list of queues, a queue of its own
and two jobs that Baton has no use for. A decision would wait for the next poll, and an idle process would spend most of
its idle cost on polls. So its threads are given events of ours to wait on: slower while nothing happens, at once when
something does. Should a later DBOS wait otherwise, everything works as before, at DBOS's own pace (a test would tell).
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from core.store.turns import step_back

log = logging.getLogger(__name__)

#: What is polled for no use of ours is looked at so often.
RARELY = 60.0
#: One look costs as much as a click, so that looks keep this distance however much there is to do: so many seconds, and
#: on a machine that is busy so many times as long as the last look took, but no more than the last of these.
DISTANCE, SPARED, FARTHEST = 0.1, 4.0, 1.0
#: A nudge has the queue looked at so much later: at once, and again, since a workflow ends a moment after it says so.
LOOKS = (0.0, 0.2, 0.8)


class Pacer(threading.Event):
    """The event that DBOS's queue threads wait on. Set, it stops them, as any event would."""

    poll: float
    queue_thread: str
    #: When to look because somebody nudged; `time.monotonic()`.
    looks: list[float]
    #: When the thread last went off to look.
    left: float
    #: Not the event's own condition: a thread that began to wait before the event was a Pacer takes a ring for a stop.
    bell: threading.Condition

    def wait(self, timeout: float | None = None) -> bool:  # noqa: ARG002 - DBOS's own pace
        """True once set; False when it is time to look again."""
        mine = threading.current_thread().name == self.queue_thread
        began = time.monotonic()
        apart = min(FARTHEST, max(DISTANCE, SPARED * (began - self.left))) if mine else DISTANCE
        with self.bell:
            while not self.is_set():
                due = min([began + self.poll, *self.looks]) if mine else began + RARELY
                left = max(due, began + apart) - time.monotonic()
                if left <= 0:
                    break
                self.bell.wait(left)
            if mine:
                self.looks = [each for each in self.looks if each > time.monotonic()]
        step_back()
        if mine:
            self.left = time.monotonic()
        return self.is_set()

    def set(self) -> None:
        """Stop whoever waits."""
        super().set()
        with self.bell:
            self.bell.notify_all()

    def nudge(self) -> None:
        """Look at the queue now."""
        now = time.monotonic()
        with self.bell:
            self.looks += [now + later for later in LOOKS]
            self.bell.notify_all()


class Rarely(threading.Event):
    """The event that DBOS's background jobs wait on: delays and time-outs of workflows, of which Baton has none."""

    def wait(self, timeout: float | None = None) -> bool:
        """Between two rounds DBOS waits inside a database lock for a second, then outside it not at all."""
        return super().wait(RARELY if timeout == 0.0 else timeout)


def slow_down_jobs(dbos: Any) -> None:
    """Before the launch."""
    if type(getattr(dbos, "_background_jobs_stop_event", None)) is threading.Event:
        dbos._background_jobs_stop_event = Rarely()
    else:
        log.warning("this DBOS runs its background jobs otherwise; they are left at their own pace")


def take_charge(dbos: Any, queue: str, poll: float) -> list[Pacer]:
    """After the launch: the events that DBOS's threads wait on. The queue is looked at every `poll` seconds, or when
    one is nudged; all else rarely.
    """
    pacers: list[Pacer] = []
    for event in list(getattr(dbos, "background_thread_stop_events", [])):
        if type(event) is threading.Event:
            bell = threading.Condition()
            vars(event).update(
                poll=poll, queue_thread=f"queue-worker-{queue}", looks=[], bell=bell, left=time.monotonic()
            )
            event.__class__ = Pacer  # last: a thread may come to wait on it at this very moment
            pacers.append(event)  # type: ignore[arg-type]
    if not pacers:
        log.warning("this DBOS waits for its queues otherwise; they are left at their own pace")
    return pacers
