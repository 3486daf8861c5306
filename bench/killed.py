"""Fifty rollouts under way and a process killed at a random moment, again and again:
`python -m bench.killed [--rounds 200] [--rollouts 50] [--only sqlite|postgresql]`.

One process on SQLite; three on PostgreSQL, one of which is never started again half way. Promotions are asked for through
the API, each under one Idempotency-Key until it is answered. Every tenth version breaks at half of the traffic. At the end
everything asked for has ended, every act had one `webhook-id` however often it arrived, the champions are the versions that
succeeded last, and the audit chain holds; else this exits 1.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter

from sqlalchemy import text

from bench.databases import POSTGRES, SQLITE, Databases, databases
from bench.fleet import Fleet
from bench.report import heading, line, machine, p, summary, verdict

CANARY = """rollout: {strategy: canary, steps: [{traffic: 10, hold: 15s}, {traffic: 50, hold: 15s}, {traffic: 100}]}
    verify: {for: 15s}"""
#: How long everything may take to end once nobody is killed any more.
TO_THE_END = 240.0


def rounds(fleet: Fleet, number: int) -> list[float]:
    """Kill one process a round, start it again and ask for more; half way, on PostgreSQL, one stays away.

    Returns how long it took until others ran what that one had run, in seconds.
    """
    takeovers: list[float] = []
    for count in range(1, number + 1):
        fleet.ask()
        time.sleep(random.uniform(0.2, 4.0))
        port = random.choice(list(fleet.processes))
        fleet.kill(port)
        if fleet.kind == POSTGRES and count == number // 2:
            takeovers = carried_on(fleet)
        else:
            fleet.start(port)
        if count % 20 == 0:
            line(f"round {count}: {fleet.active()} under way, {sum(fleet.asked.values())} asked for, "
                 f"{len(fleet.deploy_system.arrived)} hooks arrived")  # fmt: skip
    return takeovers


def carried_on(fleet: Fleet) -> list[float]:
    """Seconds until each workflow of the process that was just killed is run by another."""
    began, times = time.monotonic(), []
    with fleet.database.read() as session:
        before = set(session.scalars(text("SELECT executor_id FROM processes")))
    left = fleet.under_way()
    time.sleep(6.0)  # each that lives has said so by now
    with fleet.database.read() as session:
        alive = set(session.scalars(text("SELECT executor_id FROM processes WHERE beat_at > now() - interval '6 s'")))
    left = {workflow: who for workflow, who in left.items() if who in before - alive}
    while left and time.monotonic() - began < 120:
        now_run = fleet.under_way()
        gone = [workflow for workflow, who in left.items() if now_run.get(workflow) != who]
        times += [time.monotonic() - began] * len(gone)
        left = {workflow: who for workflow, who in left.items() if workflow not in gone}
        time.sleep(0.1)
    if left:
        raise AssertionError(f"nobody carried on {sorted(left)}")
    return times


def run(places: Databases, kind: str, number: int, rollouts: int) -> int:
    """One database; how many things were wrong."""
    heading(f"{kind}: {rollouts} rollouts at once, {number} kills")
    fleet = Fleet(places, kind, {f"model-{n:02}": 100 for n in range(rollouts)}, CANARY, 1 if kind == SQLITE else 3)
    try:
        for port in fleet.ports:
            fleet.start(port)
        began = time.monotonic()
        takeovers = rounds(fleet, number)
        line(f"killed {number} times in {time.monotonic() - began:.0f} s")
        began = time.monotonic()
        while fleet.active() and time.monotonic() - began < TO_THE_END:
            time.sleep(0.5)
        line(f"after the last kill everything had ended in {time.monotonic() - began:.0f} s")
        arrived = Counter(webhook_id for _, webhook_id in fleet.deploy_system.arrived)
        line(f"{sum(fleet.asked.values())} promotions, {len(arrived)} acts, of which {sum(n > 1 for n in arrived.values())} "
             f"arrived more than once (at most {max(arrived.values())} times), each under its one webhook-id")  # fmt: skip
        if takeovers:
            line(f"{len(takeovers)} workflows of a process that never came back, carried on by another: "
                 f"median {p(takeovers, 50):.1f} s")  # fmt: skip
            verdict("the last of them after", max(takeovers), 30, "s")
        return fleet.complain("succeeded", "rolled_back")
    finally:
        fleet.stop()


def main() -> None:
    given = argparse.ArgumentParser(prog="python -m bench.killed", description=__doc__)
    given.add_argument("--rounds", type=int, default=200)
    given.add_argument("--rollouts", type=int, default=50)
    given.add_argument("--only", choices=[SQLITE.lower(), POSTGRES.lower()])
    asked = given.parse_args()
    began = time.monotonic()
    with databases() as places:
        machine(places.postgres)
        kinds = [each for each in places.kinds if asked.only in (None, each.lower())]
        found = sum(run(places, kind, asked.rounds, asked.rollouts) for kind in kinds)
    summary(time.monotonic() - began)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
