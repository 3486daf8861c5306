"""Doing what is due, one after the other. What is due is read from the database; a scheduler only wakes those who look."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

from core.store.health import AWAY

log = logging.getLogger(__name__)
T = TypeVar("T")


def one_by_one(due: Iterable[T], act: Callable[[T], object], trouble: str) -> list[T]:
    """Those for which `act` answered something true.

    One that breaks holds up no other: it is logged as `trouble`, such as `P-%s could not be looked at`, and stays due.
    Raises what says that the database is away, since the others would fare no better.
    """
    done = []
    for each in due:
        try:
            if act(each):
                done.append(each)
        except AWAY:
            raise
        except Exception:  # the outermost loop of a clock: the next tick tries it again
            log.exception(trouble, each)
    return done
