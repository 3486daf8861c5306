"""Whose Home is to be drawn anew, and who is at it."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Homes:
    """Draws each person's Home one at a time, so that what was read first is not what is shown last.

    Whoever clicks faster than Slack answers has it drawn once more after that, not once a click.
    """

    def __init__(self) -> None:
        self._wanted: dict[str, int] = {}  #: by person, the page that was asked for last
        self._busy: set[str] = set()
        self._lock = threading.Lock()

    def draw(self, user_id: str, page: int, publish: Callable[[str, int], None]) -> None:
        """Publish a page of the person's Home, or leave it to whoever is at it. Raises what `publish` raises."""
        with self._lock:
            self._wanted[user_id] = page
            if user_id in self._busy:
                return
            self._busy.add(user_id)
        try:
            while (wanted := self._next(user_id)) is not None:
                publish(user_id, wanted)
        except BaseException:
            with self._lock:
                self._busy.discard(user_id)
            raise

    def _next(self, user_id: str) -> int | None:
        """The page that is wanted by now; None, and somebody else may begin, when there is nothing left."""
        with self._lock:
            wanted = self._wanted.pop(user_id, None)
            if wanted is None:
                self._busy.discard(user_id)
            return wanted
