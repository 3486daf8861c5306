"""(d) The same click in a small database and in a large one, turn by turn."""

from __future__ import annotations

import time
from contextlib import ExitStack
from statistics import median

from bench.clicking import clicks
from bench.databases import Databases
from bench.filling import fill
from bench.report import heading, line, p, spoken, verdict
from bench.world import World

ROUNDS = 8
WARM = 20


def run(places: Databases, quick: bool) -> None:
    heading("(d) the same click in a small and in a large database, one approver")
    number = 60 if quick else 200
    sizes = ((1_000, 100), (50_000, 5_000) if quick else (1_000_000, 100_000))
    for kind in places.kinds:
        with ExitStack() as stack:
            worlds = []
            for versions, promotions in sizes:
                url = places.new(kind)
                began = time.monotonic()
                fill(url, versions, promotions)
                line(
                    f"{kind}: {versions:,} versions, {promotions:,} promotions put in within {time.monotonic() - began:.0f} s"
                )
                models = [f"model-{n}" for n in range(WARM + number)]
                worlds.append(stack.enter_context(World(url, places.folder, models, quorum=2)))
            compare(kind, worlds, number)


def compare(kind: str, worlds: list[World], number: int) -> None:
    small, large = worlds
    for which, what in ((0, "first approval"), (1, "deciding approval")):
        times: dict[World, list[float]] = {small: [], large: []}
        for world in worlds:
            clicks(world.port, [world.click(n + which, n) for n in range(WARM)], 1)
        step = number // ROUNDS
        for n in range(WARM, WARM + step * ROUNDS, step):
            for mine, other in ((small, large), (large, small)):
                with other.frozen():
                    times[mine] += clicks(mine.port, [mine.click(k + which, k) for k in range(n, n + step)], 1)[0]
        line(f"{kind}, {what}")
        line(f"  small  {spoken(times[small])}")
        line(f"  large  {spoken(times[large])}")
        verdict("large against small, median", median(times[large]) / median(times[small]), 1.2)
        line(f"    p99 {p(times[large], 99) / p(times[small], 99):.2f} x")
