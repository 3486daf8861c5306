"""A Baton that kills itself: `deployments_child.py DATABASE_URL HOOK_URL DEPLOYMENT POINT`, run by test_deployments_crash.

POINT is `before:STEP`, `inside:STEP` (done, not yet remembered), `after:STEP`, or `never`. It ends by itself once the
deployment's promotion has ended.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

import core.processes
from core.engine import Durable
from core.store.database import Database
from tests.integration.staging import Staging, webhook

T = TypeVar("T")


class Deadly:
    """Steps as they are, but for one moment of one of them."""

    def __init__(self, durable: Durable, point: str) -> None:
        self._durable = durable
        self._moment, _, self._step = point.partition(":")

    def step(self, name: str, act: Callable[[], T]) -> T:
        def and_die() -> T:
            done = act()
            self._die("inside", name)
            return done

        self._die("before", name)
        done = self._durable.step(name, and_die)
        self._die("after", name)
        return done

    def wait(self, seconds: float) -> None:
        self._durable.wait(seconds)

    def _die(self, moment: str, name: str) -> None:
        if (moment, name) == (self._moment, self._step):
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    url, hook, deployment, point = sys.argv[1:]
    core.processes.DEAD = timedelta(seconds=1)
    database = Database(url)
    staging = Staging(database, webhook(hook))
    staging.engine._processes._beat = 0.2
    staging.engine.launch(lambda durable, found: staging.deployments.run(Deadly(durable, point), found))
    staging.await_end(int(deployment), 60)
    staging.stop()
    database.dispose()


if __name__ == "__main__":
    main()
