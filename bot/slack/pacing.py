"""When to write to Slack: one post a second and channel, what Slack asked us to wait for, and who is tried again when."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Iterable

from bot.slack.refusals import LONGEST_WAIT

#: Slack lets an app post about once a second into one channel, with short bursts. A thread leaves one turn for a card.
BURST, PER_SECOND, KEPT_FOR_CARDS = 3.0, 1.0, 1.0
#: Whoever must wait is given a time of their own, up to so many seconds ahead; then they ask again.
AHEAD = 30.0
#: Slack limits edits by the workspace, posts by the channel; this names the former where the latter names a channel.
EDITS = ""
#: Nothing at all may be asked of Slack, since it does not know us.
EVERYTHING = "*"


class Pace:
    """A token bucket for each channel: how long until the next post may go out; and what Slack asked us to wait for."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._now = monotonic
        self._buckets: dict[str, tuple[float, float]] = {}
        self._told: dict[tuple[str, float], float] = {}
        self._held: dict[str, float] = {}
        self._closed: dict[tuple[str, bool], tuple[str, float]] = {}
        self._lock = threading.Lock()

    def hold(self, what: str, seconds: float) -> None:
        """No more posts to this channel (or `EDITS`, or `EVERYTHING`) until then, whoever wants them."""
        with self._lock:
            self._held[what] = max(self._held.get(what, 0.0), self._now() + seconds)

    def held(self, what: str) -> float:
        """For how many seconds still."""
        with self._lock:
            return max(0.0, self._held.get(what, 0.0) - self._now())

    def wait(self, channel: str, kept: float = 0.0) -> float:
        """Seconds to wait before posting to `channel` so that `kept` turns are left; 0.0 takes the turn.

        Hundreds may wait for one channel: were all of them told the same second, all but one would come in vain.
        """
        if held := self.held(channel):
            return held
        with self._lock:
            now = self._now()
            tokens, at = self._buckets.get(channel, (BURST, now))
            tokens = min(BURST, tokens + (now - at) * PER_SECOND)
            if tokens >= 1.0 + kept:
                self._buckets[channel] = (tokens - 1.0, now)
                return 0.0
            self._buckets[channel] = (tokens, now)
            first = now + (1.0 + kept - tokens) / PER_SECOND
            turn = max(first, self._told.get((channel, kept), 0.0) + 1 / PER_SECOND)
            self._told[channel, kept] = turn = min(turn, now + AHEAD)
            return max(turn, first) - now

    def close(self, channel: str, edits: bool, why: str, seconds: float) -> None:
        """Posts to the channel, or edits there, find no way in: until then nobody need try."""
        with self._lock:
            self._closed[channel, edits] = (why, self._now() + seconds)

    def closed(self, channel: str, edits: bool) -> tuple[str, float]:
        """Why there is no way in, and when it is tried again; ("", 0.0) for the one who is to try it now."""
        with self._lock:
            why, until = self._closed.get((channel, edits), ("", 0.0))
            left = until - self._now()
            if why and left <= 0:
                self._closed[channel, edits] = (why, self._now() + LONGEST_WAIT)
            return (why, left) if left > 0 else ("", 0.0)

    def open(self, channel: str, edits: bool) -> bool:
        """One got through; True when there had been no way. Where posts are let in, so are edits."""
        with self._lock:
            gone = [self._closed.pop((channel, each), None) for each in ((True,) if edits else (True, False))]
            return any(gone)


class Alarm:
    """Hands subjects over at their time, to the moment: a clock that looks every other second would come too late."""

    def __init__(self, ring: Callable[[Iterable[int]], None]) -> None:
        self._ring = ring
        self._times: list[tuple[float, int]] = []
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="messages-alarm", daemon=True)

    def start(self) -> None:
        """Begin to ring."""
        self._thread.start()

    def stop(self) -> None:
        """Ring no more."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join()

    def set(self, subject: int, seconds: float) -> None:
        """Ring for `subject` then."""
        with self._changed:
            heapq.heappush(self._times, (time.monotonic() + seconds, subject))
            self._changed.notify()

    def _run(self) -> None:
        while due := self._next():
            self._ring(due)

    def _next(self) -> list[int]:
        """Whoever is due, once somebody is; nobody when it is time to stop."""
        with self._changed:
            while not self._stopping:
                now = time.monotonic()
                due = []
                while self._times and self._times[0][0] <= now:
                    due.append(heapq.heappop(self._times)[1])
                if due:
                    return list(dict.fromkeys(due))
                self._changed.wait(self._times[0][0] - now if self._times else None)
            return []
