"""(a) Click, durable, acknowledged: against bare Bolt with one insert, turn by turn."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import baseline
from bench.clicking import answers, clicks, wait_until
from bench.databases import Databases
from bench.report import heading, line, p, spoken, verdict
from bench.world import ROOT, World
from bot.demo.setting import free_port

ROUNDS = 5
WARM = 16
HANDS = 16


@dataclass
class Figures:
    """One side's clicks."""

    times: list[float]
    seconds: float = 0.0

    def add(self, found: tuple[list[float], float]) -> None:
        self.times += found[0]
        self.seconds += found[1]

    @property
    def rate(self) -> float:
        return len(self.times) / self.seconds


def run(places: Databases, quick: bool) -> None:
    heading("(a) click → durable → acknowledged; every click an approval; Slack answers in 300 ms")
    one, many = (60, 160) if quick else (200, 480)
    with bare_bolt(places.folder / "bare.db") as port:
        sent = 0
        for kind in places.kinds:
            models = [f"model-{n}" for n in range(WARM + one + many)]
            with World(places.new(kind), places.folder, models, quorum=2) as world:
                for n, what in ((0, "first approval"), (1, "deciding approval, starts the deployment")):
                    bodies = [world.click(number + n, number) for number in range(len(models))]
                    clicks(port, bodies[:WARM], 4)
                    clicks(world.port, bodies[:WARM], 4)
                    compare(port, world, bodies[WARM : WARM + one], 1, f"{kind}, one approver, {what}")
                    compare(port, world, bodies[WARM + one :], HANDS, f"{kind}, {HANDS} at once, {what}")
                    sent += len(bodies)
                verify(world, len(models))
        if baseline.count(places.folder / "bare.db") != sent:
            raise AssertionError("bare Bolt lost a click")


def compare(port: int, world: World, bodies: list[bytes], hands: int, label: str) -> None:
    """The same clicks to both, in turns, so that whatever else the machine does hits both."""
    bare, baton = Figures([]), Figures([])
    step = len(bodies) // ROUNDS
    for n in range(ROUNDS):
        share = bodies[n * step : (n + 1) * step] if n < ROUNDS - 1 else bodies[n * step :]
        with world.frozen():
            bare.add(clicks(port, share, hands))
        baton.add(clicks(world.port, share, hands))
    line(label)
    line(f"  Baton      {spoken(baton.times)}  {baton.rate:6.0f}/s")
    line(f"  bare Bolt  {spoken(bare.times)}  {bare.rate:6.0f}/s")
    verdict("median against bare Bolt", median(baton.times) / median(bare.times), 2)
    verdict("p99 against bare Bolt", p(baton.times, 99) / p(bare.times, 99), 3)
    verdict("clicks a second against bare Bolt", baton.rate / bare.rate, 0.5, at_least=True)


def verify(world: World, promotions: int) -> None:
    """Every click is an approval by somebody else, every promotion was decided, each has one deployment."""
    found = [
        world.scalar("SELECT count(*) FROM decisions WHERE kind = 'approval'"),
        world.scalar("SELECT count(*) FROM (SELECT DISTINCT promotion_id, actor FROM decisions) AS pairs"),
        world.scalar("SELECT count(*) FROM audit_events WHERE kind = 'quorum_reached'"),
        world.scalar("SELECT count(*) FROM deployments"),
    ]
    if found != [2 * promotions, 2 * promotions, promotions, promotions]:
        raise AssertionError(f"clicks were lost: {found} of {promotions} promotions")


@contextmanager
def bare_bolt(file: Path) -> Iterator[int]:
    """Bare Bolt in a process of its own; its port."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "bench.baseline", str(port), str(file)], cwd=ROOT)
    try:
        wait_until(lambda: answers(port, "/healthz"), 30, "bare Bolt")
        yield port
    finally:
        process.terminate()
        process.wait(10)
