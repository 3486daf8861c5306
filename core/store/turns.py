"""Whose turn it is to write.

SQLite lets one writer in, and has the others sleep and try again: under load somebody who clicked would wait behind
whatever happened to wake first. Here writers of one process queue instead, and a person who waits for an answer goes
before work that may wait. The same holds for the processor: what may wait steps back while somebody is being answered.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_URGENT: ContextVar[bool] = ContextVar("urgent", default=False)


#: How many are being answered now, since when nobody is, and the bell that rings then.
_answering = 0
_quiet_since = 0.0
_nobody_waits = threading.Condition()
#: One click is often followed by the next: what may wait does not rush into the gap between them.
GAP = 0.02


@contextmanager
def urgent() -> Iterator[None]:
    """Whoever writes in here has somebody waiting for the answer."""
    global _answering, _quiet_since  # one interpreter, one processor lock: a matter of the whole process
    token = _URGENT.set(True)
    with _nobody_waits:
        _answering += 1
    try:
        yield
    finally:
        _URGENT.reset(token)
        with _nobody_waits:
            _answering -= 1
            if not _answering:
                _quiet_since = time.monotonic()
                _nobody_waits.notify_all()


def step_back(longest: float = 0.5) -> None:
    """Let those who wait for an answer go first, for at most so many seconds: nothing that may wait may starve."""
    until = time.monotonic() + longest
    with _nobody_waits:
        while (left := until - time.monotonic()) > 0:
            gap = GAP - (time.monotonic() - _quiet_since)
            if not _answering and gap <= 0:
                return
            _nobody_waits.wait(left if _answering else min(left, gap))


class Turns:
    """A lock that is handed on: to the urgent first, and among equals to who came first. Any thread may give it back."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._taken = False
        self._urgent: deque[threading.Lock] = deque()
        self._others: deque[threading.Lock] = deque()

    def take(self, seconds: float | None) -> bool:
        """Wait for the turn, for ever with None; False when it did not come in time."""
        with self._guard:
            if not self._taken:
                self._taken = True
                return True
            mine = threading.Lock()
            mine.acquire()
            queue = self._urgent if _URGENT.get() else self._others
            queue.append(mine)
        if mine.acquire(timeout=-1 if seconds is None else seconds):
            return True
        with self._guard:
            if mine in queue:
                queue.remove(mine)
                return False
        return True  # it came at the last moment

    def give(self) -> None:
        """Hand the turn on."""
        with self._guard:
            queue = self._urgent or self._others
            if queue:
                queue.popleft().release()
            else:
                self._taken = False
