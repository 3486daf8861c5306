"""(b) From the commit of a decision to the hook's arrival, beside the floor: an empty workflow on the same engine."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from typing import Any

from bench import watched
from bench.clicking import APPROVERS, clicks, wait_until
from bench.databases import Databases
from bench.floor import FIRST
from bench.report import heading, line, p, spoken, verdict
from bench.world import ROOT, World
from core.domain.model import Actor
from core.engine import POLL, Engine
from core.store.database import Database


def run(places: Databases, quick: bool) -> None:
    heading("(b) commit of the decision → the hook's arrival")
    here, apart = (15, 6) if quick else (60, 16)
    for kind in places.kinds:
        line(f"{kind}, floor: an empty workflow, enqueued → begun")
        line(f"  by the same process (nudged)         {spoken(floor(places.new(kind), here))}")
        line(f"  by another process (polled, {POLL} s)   {spoken(floor_apart(places.new(kind), apart))}")
        models = [f"model-{n}" for n in range(here + apart)]
        with World(places.new(kind), places.folder, models, quorum=1, watch=True) as world:
            own = by_click(world, range(here))
            line(f"{kind}, decided by a click: {spoken(own)}")
            verdict("p99, decided in this process", p(own, 99), 1.5, "s")
            other = by_another_process(world, range(here, here + apart))
            line(f"{kind}, decided by another process: {spoken(other)}")
            verdict("p99, decided in another process", p(other, 99), 1.5, "s")


def by_click(world: World, which: range) -> list[float]:
    """One decision after the other; seconds from its commit, as Baton's process saw it."""
    for n in which:
        clicks(world.port, [world.click(n, n)], 1)
        arrival(world, world.numbers[n])
        time.sleep(random.uniform(0.0, 0.1))
    time.sleep(0.2)
    _, decided = world.watched()
    arrivals = world.outside.ask("arrivals")["arrivals"]
    return [arrivals[f"P-{number}"] - decided[f"P-{number}"] for number in (world.numbers[n] for n in which)]


def by_another_process(world: World, which: range) -> list[float]:
    """The use case called here, which Baton's process hears of only when it looks."""
    decided: dict[str, float] = {}
    undo = watched.on_decision(lambda promotion, at: decided.update({promotion: at}))
    database = Database(world.url)
    queue = Engine(database)
    decisions = world.decisions(database, queue)
    for n in which:
        time.sleep(
            random.uniform(1.2, 1.2 + POLL)
        )  # its hurry after the last one is over, and any phase of its polling
        decisions.approve(Actor.user(APPROVERS[0]), world.numbers[n])
        arrival(world, world.numbers[n])
    queue.stop()
    database.dispose()
    undo()
    arrivals = world.outside.ask("arrivals")["arrivals"]
    return [arrivals[promotion] - at for promotion, at in decided.items()]


def arrival(world: World, number: int) -> None:
    wait_until(lambda: f"P-{number}" in world.outside.ask("arrivals")["arrivals"], 20, f"the hook of P-{number}")


def floor(url: str, number: int) -> list[float]:
    with engine_alone(url, number) as process:
        return [hear(process) for _ in range(number)]


def floor_apart(url: str, number: int) -> list[float]:
    committed: dict[str, float] = {}
    with engine_alone(url, 0) as process:
        database = Database(url)
        queue = Engine(database)
        for each in range(FIRST, FIRST + number):
            time.sleep(random.uniform(1.2, 1.2 + POLL))
            with database.change() as session:
                queue.enqueue(session, each, f"floor-{each}")
            committed[str(each)] = time.time()
            wait_until(lambda each=each: str(each) in ask(process), 20, "an empty workflow")  # type: ignore[misc]
        queue.stop()
        database.dispose()
        began = ask(process)
    return [began[each] - at for each, at in committed.items()]


class engine_alone:  # noqa: N801 - a context manager
    """`bench.floor` in a process of its own."""

    def __init__(self, url: str, number: int) -> None:
        self._command = [sys.executable, "-m", "bench.floor", url, str(number)]

    def __enter__(self) -> subprocess.Popen[str]:
        self._process = subprocess.Popen(
            self._command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        hear(self._process)
        return self._process

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(30)


def hear(process: subprocess.Popen[str]) -> Any:
    assert process.stdout
    return json.loads(process.stdout.readline())


def ask(process: subprocess.Popen[str]) -> dict[str, float]:
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()
    found: dict[str, float] = hear(process)
    return found
