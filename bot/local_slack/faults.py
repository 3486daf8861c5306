"""Faults on demand, the log of calls, and Slack's rate limits when they are switched on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .workspace import Json

_CALL_LIMIT = 20_000
_PER_MINUTE = {1: 1, 2: 20, 3: 50, 4: 100, 5: 600}
_POST_BURST = 4.0


@dataclass
class Fault:
    """One fault of `/_local/faults`."""

    method: str
    status: int | None = None
    error: str | None = None
    retry_after: float | None = None
    times: int | None = 1
    after_effect: bool = False
    latency: float = 0.0

    @property
    def drops_answer(self) -> bool:
        """Whether the call has its effect and the connection dies before the answer."""
        return self.after_effect and self.status is None and self.error is None


def read_fault(body: Json) -> Fault:
    """A fault from the body of a control call. Raises TypeError or ValueError when it makes no sense."""
    known = {"method", "status", "error", "retry_after", "times", "after_effect", "latency", "until_cleared"}
    if set(body) - known:
        raise ValueError(f"unknown keys: {sorted(set(body) - known)}")
    times = None if body.get("until_cleared") else int(body.get("times", 1))
    status = body.get("status")
    error = body.get("error") or ("ratelimited" if status == 429 else None)
    return Fault(
        method=str(body.get("method", "*")),
        status=429 if error == "ratelimited" and status is None else status,
        error=error,
        retry_after=body.get("retry_after", 1 if error == "ratelimited" else None),
        times=times,
        after_effect=bool(body.get("after_effect")),
        latency=float(body.get("latency", 0.0)),
    )


class Faults:
    """The faults that are still to happen."""

    def __init__(self) -> None:
        self._pending: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Makes the next matching calls fail."""
        self._pending.append(fault)

    def clear(self) -> None:
        """Forgets every fault."""
        self._pending.clear()

    def take(self, method: str) -> Fault | None:
        """The fault of this call, used up once."""
        for fault in self._pending:
            if fault.method in (method, "*"):
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times <= 0:
                        self._pending.remove(fault)
                return fault
        return None


class Calls:
    """What the app asked of the Web API."""

    def __init__(self) -> None:
        self.entries: deque[Json] = deque(maxlen=_CALL_LIMIT)

    def add(self, at: float, method: str, args: Json, status: int, response: Any) -> None:
        """Remembers one call, without its token."""
        kept = {k: v for k, v in args.items() if k != "token"}
        self.entries.append({"at": at, "method": method, "args": kept, "status": status, "response": response})


class Pacing:
    """Slack's rate limits: one message a second and channel with a small burst, the tiers for the rest."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}

    def refuse_for(self, method: str, tier: int, channel: str = "") -> int | None:
        """Counts a call; the Retry-After seconds when it comes too soon, else None."""
        if method == "chat.postMessage":
            rate, burst, key = 1.0, _POST_BURST, (method, channel)
        else:
            rate, burst, key = _PER_MINUTE[tier] / 60, float(_PER_MINUTE[tier]), (method, "")
        now = self._clock()
        level, at = self._buckets.get(key, (burst, now))
        level = min(burst, level + (now - at) * rate)
        if level < 1:
            self._buckets[key] = (level, now)
            return max(1, round((1 - level) / rate))
        self._buckets[key] = (level - 1, now)
        return None
