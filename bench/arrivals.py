"""Two hundred models, and promotions asked for every second for a minute: `python -m bench.arrivals [--quick]`.

Each second brings, through the API, the next version of five models that everybody works on and of five others in turn. A
model that is being deployed refuses, and is asked again a second later; one that is not yet deployed gives way to its next
version. Every promotion is decided by its gates and deployed at once. At the end each has succeeded once or given way, each
model was served one deployment at a time, and its champion is the version asked for last; else this exits 1.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice

from sqlalchemy import select

from bench.databases import Databases, databases
from bench.fleet import Fleet
from bench.report import heading, line, machine, p, summary
from core.store.tables import PromotionRow

MODELS, HOT, OTHERS, SECONDS = 200, 5, 5, 60
TO_THE_END = 120.0


def arrive(fleet: Fleet, seconds: int) -> int:
    """Ask as time goes by; how often somebody had to ask again."""
    began, again, refusals = time.monotonic(), list[str](), 0
    askers = ThreadPoolExecutor(HOT + OTHERS)

    def refused(models: list[str]) -> list[str]:
        """Ask for the next version of each, all at once; whose asking was in vain."""
        return [model for model, status in zip(models, askers.map(fleet.ask_for, models), strict=True) if status != 201]

    names = list(fleet.models)
    hot, others = names[:HOT], cycle(names[HOT:])
    for second in range(seconds):
        due = [*hot, *islice(others, OTHERS)]
        again = refused(list(dict.fromkeys([*again, *due])))
        refusals += len(again)
        time.sleep(max(0.0, began + second + 1 - time.monotonic()))
    while again:
        again = refused(again)
        refusals += len(again)
        time.sleep(0.5)
    return refusals


def run(places: Databases, kind: str, seconds: int) -> int:
    """One database; how many things were wrong."""
    heading(f"{kind}: {MODELS} models, {HOT + OTHERS} promotions asked for each second of {seconds}")
    versions = {f"model-{n:03}": seconds if n < HOT else 1 + seconds * OTHERS // (MODELS - HOT) for n in range(MODELS)}
    fleet = Fleet(places, kind, versions, "", 1)
    try:
        fleet.start(fleet.ports[0])
        began = time.monotonic()
        refusals = arrive(fleet, seconds)
        asked = time.monotonic() - began
        while fleet.active() and time.monotonic() - began < asked + TO_THE_END:
            time.sleep(0.2)
        line(f"{fleet.asked.total()} asked for in {asked:.0f} s ({refusals} asked again); the last had ended "
             f"{time.monotonic() - began - asked:.0f} s later")  # fmt: skip
        with fleet.database.read() as session:
            wanted = select(PromotionRow.created_at, PromotionRow.ended_at).where(PromotionRow.state == "succeeded")
            took = [(row.ended_at - row.created_at).total_seconds() for row in session.execute(wanted) if row.ended_at]
        line(f"{len(took)} succeeded, {fleet.asked.total() - len(took)} gave way to their model's next version")
        line(
            f"from the request to the champion: median {p(took, 50):.1f} s, p99 {p(took, 99):.1f} s, longest {max(took):.1f} s"
        )
        return fleet.complain("succeeded", "superseded")
    finally:
        fleet.stop()


def main() -> None:
    given = argparse.ArgumentParser(prog="python -m bench.arrivals", description=__doc__)
    given.add_argument("--quick", action="store_true", help="a fifth of it: a smoke test")
    asked = given.parse_args()
    began = time.monotonic()
    with databases() as places:
        machine(places.postgres)
        found = sum(run(places, kind, SECONDS // 5 if asked.quick else SECONDS) for kind in places.kinds)
    summary(time.monotonic() - began)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
