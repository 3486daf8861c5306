"""Figures beside their goals, and what they are made of."""

from __future__ import annotations

import os
import platform
import sqlite3
import time
from collections.abc import Sequence
from statistics import median

#: Every goal that was missed in this run, in the words of its line.
MISSED: list[str] = []
_MET: list[str] = []


def heading(text: str) -> None:
    print(f"\n{text}", flush=True)


def line(text: str) -> None:
    print(f"  {text}", flush=True)


def verdict(label: str, value: float, goal: float, unit: str = "x", at_least: bool = False) -> None:
    """One figure with its goal, and whether it is met."""
    met = value >= goal if at_least else value <= goal
    sign = "≥" if at_least else "≤"
    (_MET if met else MISSED).append(f"{label}: {value:.2f} {unit}, goal {sign} {goal:g}")
    print(f"    {label:<58}{value:9.2f} {unit:<3} goal {sign} {goal:<5g}{'met' if met else 'MISSED'}", flush=True)


def p(times: Sequence[float], percent: int) -> float:
    """A percentile, by nearest rank."""
    return sorted(times)[min(len(times) - 1, int(len(times) * percent / 100))]


def spoken(times: Sequence[float]) -> str:
    return f"median {median(times) * 1000:7.1f} ms  p99 {p(times, 99) * 1000:7.1f} ms"


def machine(postgres: str) -> None:
    """What it ran on; other work on the same cores shows in the load."""
    model = next(
        (row.split(":")[1].strip() for row in open("/proc/cpuinfo") if row.startswith("model name")),  # noqa: SIM115, PTH123
        platform.machine(),
    )
    print(f"{time.strftime('%Y-%m-%d %H:%M')}  {os.cpu_count()} cores ({model}), load {os.getloadavg()[0]:.1f}")
    print(f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, PostgreSQL {postgres or 'not there'}")


def summary(seconds: float) -> None:
    print(
        f"\n{len(_MET)} goals met, {len(MISSED)} missed, in {seconds:.0f} s; load {os.getloadavg()[0]:.1f} at the end"
    )
    for each in MISSED:
        print(f"  MISSED  {each}")
