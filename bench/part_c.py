"""(c) At rest: how long a start takes, and what an idle Baton costs."""

from __future__ import annotations

import collections
import contextlib
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from bench.databases import Databases
from bench.report import heading, line, verdict
from bench.world import ROOT, World

#: What `baton serve` has imported once it is ready.
IMPORTS = "import bot.cli, bot.logs, bot.serve, dbos"
#: The work of the first seconds (checking Slack, the directory) is no idling.
SETTLE = 15.0


def run(places: Databases, quick: bool) -> None:
    heading("(c) at rest")
    helps = [timed([sys.executable, "-m", "bot", "--help"]) for _ in range(7)]
    verdict("baton --help, median of 7", middle(helps, 0), 0.3, "s")
    alone = [timed([sys.executable, "-c", "pass"]) for _ in range(3)]
    line(f"  CPU {middle(helps, 1):.2f} s, of which Python itself {middle(alone, 1):.2f} s")
    imports = [timed([sys.executable, "-c", IMPORTS]) for _ in range(3)]
    line(f"  all that serve imports: {middle(imports, 0):.2f} s, CPU {middle(imports, 1):.2f} s; dearest: {dearest()}")
    with contextlib.ExitStack() as stack:
        worlds = []
        for kind in places.kinds:
            started: list[float] = []
            used: list[float] = []
            for _ in range(1 if quick else 3):
                world = World(places.new(kind), places.folder, ["model"], quorum=2)
                with world:
                    started.append(world.ready_after)
                    used.append(world.ready_cpu)
            verdict(f"baton serve ready, {kind}, median of {len(started)}", median(started), 3, "s")
            line(f"  CPU {median(used):.2f} s")
            world = World(places.new(kind), places.folder, ["model"], quorum=2, watch=True)
            worlds.append((kind, stack.enter_context(world)))
        idle(worlds, 8.0 if quick else 30.0)


def idle(worlds: list[tuple[str, World]], seconds: float) -> None:
    """All of them idle at once, since they do next to nothing."""
    time.sleep(SETTLE)
    before = [(world.cpu(), world.watched()[0]) for _, world in worlds]
    began = time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - began
    after = [(world.cpu(), world.watched()[0]) for _, world in worlds]
    for (kind, world), then, now in zip(worlds, before, after, strict=True):
        used = now[0] - then[0]
        verdict(f"idle CPU over {took:.0f} s, {kind}", used / took * 100, 1, "%")
        line(f"  statements a second, with BEGIN: {(now[1] - then[1]) / took:.1f}")
        rss, pss = memory(world.pid)
        verdict(f"idle memory (RSS), {kind}", rss, 120, "MB")
        line(f"  PSS {pss:.0f} MB")


def timed(command: list[str]) -> tuple[float, float]:
    """(seconds, seconds of CPU, which other work on the machine lengthens less)."""
    began, used = time.perf_counter(), os.times()
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    after = os.times()
    cpu = after.children_user + after.children_system - used.children_user - used.children_system
    return time.perf_counter() - began, cpu


def middle(many: list[tuple[float, float]], which: int) -> float:
    return median(each[which] for each in many)


def dearest() -> str:
    """The five packages whose own modules take longest to import."""
    said = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", IMPORTS], cwd=ROOT, check=True, capture_output=True, text=True
    ).stderr
    spent: collections.Counter[str] = collections.Counter()
    for own, name in re.findall(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", said):
        spent[name.split(".")[0]] += int(own)
    return ", ".join(f"{name} {micro / 1e6:.2f} s" for name, micro in spent.most_common(5))


def memory(pid: int) -> tuple[float, float]:
    """(RSS, PSS) in MB."""
    rows = dict(re.findall(r"(\w+):\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text()))
    return int(rows["Rss"]) / 1024, int(rows["Pss"]) / 1024
