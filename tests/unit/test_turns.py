"""Whoever waits for an answer goes first, and what may wait does not starve."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from core.store import turns
from core.store.turns import Turns, step_back, urgent


def begun(act: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    return thread


def queued(line: Turns, waiting: int) -> None:
    """Until so many stand in line."""
    while len(line._urgent) + len(line._others) < waiting:
        time.sleep(0.001)


def test_the_turn_goes_to_the_urgent_first_and_among_equals_to_who_came_first() -> None:
    line, order = Turns(), []
    assert line.take(None)

    def work(name: str) -> None:
        line.take(None)
        order.append(name)
        line.give()

    def click(name: str) -> None:
        with urgent():
            work(name)

    threads = []
    for n, (act, name) in enumerate([(work, "sweep"), (work, "step"), (click, "Bob"), (click, "Carol")]):
        threads.append(begun(lambda act=act, name=name: act(name)))
        queued(line, n + 1)
    line.give()
    for thread in threads:
        thread.join(5)
    assert order == ["Bob", "Carol", "sweep", "step"]


def test_a_turn_that_does_not_come_in_time_is_not_taken() -> None:
    line = Turns()
    assert line.take(None)
    assert not line.take(0.01)
    line.give()
    assert line.take(0.01)


def test_work_that_may_wait_waits_until_nobody_is_being_answered() -> None:
    done = threading.Event()
    with urgent():
        waiting = begun(lambda: (step_back(60.0), done.set()))
        assert not done.wait(0.05)
    assert done.wait(5)
    waiting.join(5)


def test_work_that_may_wait_does_not_rush_into_the_gap_between_two_clicks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "GAP", 30.0)
    done = threading.Event()
    with urgent():
        waiting = begun(lambda: (step_back(60.0), done.set()))
    with urgent():
        pass
    assert not done.wait(0.05)
    monkeypatch.setattr(turns, "GAP", 0.0)
    with urgent():  # its end rings the bell
        pass
    assert done.wait(5)
    waiting.join(5)


def test_work_that_may_wait_does_not_starve() -> None:
    done = threading.Event()
    with urgent():
        waiting = begun(lambda: (step_back(0.01), done.set()))
        assert done.wait(5)
    waiting.join(5)


def test_without_anybody_to_answer_nothing_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_quiet_since", time.monotonic() - 1)
    began = time.monotonic()
    step_back(60.0)
    assert time.monotonic() - began < 30.0
