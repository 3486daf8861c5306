"""Processes that die. They are forked from a server that has imported everything already, so that a life costs a fraction
of a second.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.context import ForkServerContext, ForkServerProcess
from typing import Any

#: What a child would otherwise spend most of its life importing.
PRELOAD = [
    "bot.serve",
    "bot.check",
    "dbos",
    "psycopg",
    "psycopg.types",
    "uvicorn",
    "wsproto",
    "httpx",
    "alembic.command",
    "tests.integration.staging",
]


def context() -> ForkServerContext:
    """Where processes and pipes come from."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(PRELOAD)
    return found


def begin(life: Callable[..., None], *given: Any) -> ForkServerProcess:
    """A process in which `life` runs."""
    process = context().Process(target=life, args=given, daemon=True)
    process.start()
    return process
