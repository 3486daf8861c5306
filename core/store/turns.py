"""Whose turn it is to write.

SQLite lets one writer in, and has the others sleep and try again: under load somebody who clicked would wait behind
whatever happened to wake first. Here writers of one process queue instead, and a person who waits for an answer goes
before work that may wait. The same holds for the processor: what may wait steps back while somebody is being answered.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_URGENT: ContextVar[bool] = ContextVar("urgent", default=False)


#: How many are being answered now, and the bell that rings when nobody is any more.
_answering = 0
_nobody_waits = threading.Condition()


@contextmanager
def urgent() -> Iterator[None]:
    """Whoever writes in here has somebody waiting for the answer."""
    global _answering  # one interpreter, one processor lock: a matter of the whole process
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
                _nobody_waits.notify_all()


def step_back(longest: float = 0.5) -> None:
    """Let those who wait for an answer go first, for at most so many seconds: nothing that may wait may starve."""
    with _nobody_waits:
        _nobody_waits.wait_for(lambda: not _answering, longest)


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
