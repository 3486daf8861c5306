"""A Baton that kills itself, for test_deployments_crash.

Its point is `before:STEP`, `inside:STEP` (done, not yet remembered), `after:STEP`, or `never`. It ends by itself once the
deployment's promotion has ended.
"""

from __future__ import annotations

import os
import signal
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


def live(url: str, hook: str, deployment: int, point: str) -> None:
    """One life, which ends at `point`, or with the deployment's promotion."""
    core.processes.DEAD = timedelta(seconds=1)
    database = Database(url)
    staging = Staging(database, webhook(hook))
    staging.engine._processes._beat = 0.2
    staging.engine.launch(lambda durable, found: staging.deployments.run(Deadly(durable, point), found))
    staging.await_end(deployment, 60)
    staging.stop()
    database.dispose()
