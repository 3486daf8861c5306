"""Tells open pages that something changed: server-sent events and a long poll over one counter."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

_HEARTBEAT_SECONDS = 15.0
_QUEUE_LIMIT = 1000


class Hub:
    """Fans notices out to the people who may see them. Lives on the server's event loop; not for other threads."""

    def __init__(self) -> None:
        self.seq = 0
        self._last_for: dict[str, int] = {}
        self._last_for_all = 0
        self._streams: dict[str, set[asyncio.Queue[str | None]]] = {}
        self._changed = asyncio.Event()
        self._closed = False

    def notify(self, kind: str, users: set[str] | None = None, **fields: Any) -> None:
        """Sends one notice to these people, or to everybody when `users` is None."""
        self.seq += 1
        if users is None:
            self._last_for_all = self.seq
        else:
            self._last_for.update(dict.fromkeys(users, self.seq))
        data = json.dumps({"type": kind, **{k: v for k, v in fields.items() if v is not None}})
        for user, queues in self._streams.items():
            if users is None or user in users:
                for queue in queues:
                    if queue.qsize() < _QUEUE_LIMIT:
                        queue.put_nowait(f"id: {self.seq}\ndata: {data}\n\n")
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def last_for(self, user: str) -> int:
        """The number of the newest notice that this person may see."""
        return max(self._last_for_all, self._last_for.get(user, 0))

    async def wait(self, user: str, since: int, timeout: float) -> int:
        """Returns the person's newest number as soon as it exceeds `since`, or after `timeout` seconds anyway."""
        deadline = asyncio.get_running_loop().time() + timeout
        while self.last_for(user) <= since and not self._closed:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                break
            try:
                await asyncio.wait_for(self._changed.wait(), left)
            except TimeoutError:
                break
        return self.last_for(user)

    async def stream(self, user: str) -> AsyncIterator[str]:
        """The notices of one page as text/event-stream lines, until the server stops."""
        queue: asyncio.Queue[str | None] = asyncio.Queue()
        self._streams.setdefault(user, set()).add(queue)
        try:
            yield "retry: 500\n\n"
            while not self._closed:
                try:
                    item = await asyncio.wait_for(queue.get(), _HEARTBEAT_SECONDS)
                except TimeoutError:
                    item = ": still here\n\n"
                if item is None:
                    return
                yield item
        finally:
            self._streams[user].discard(queue)

    def close(self) -> None:
        """Ends every stream and every wait, so that the server can stop at once."""
        self._closed = True
        self._changed.set()
        for queues in self._streams.values():
            for queue in queues:
                queue.put_nowait(None)
