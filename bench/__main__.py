"""`python -m bench [a b c d e f g] [--quick]`: every figure beside its goal, and beside what it is compared with."""

from __future__ import annotations

import argparse
import time

from bench import part_a, part_b, part_c, part_d, part_e, part_f, part_g
from bench.databases import databases
from bench.report import machine, summary

PARTS = {each.__name__[-1]: each.run for each in (part_a, part_b, part_c, part_d, part_e, part_f, part_g)}


def main() -> None:
    given = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    given.add_argument("parts", nargs="*", choices=[*PARTS, []], help="which; all of them when none is named")
    given.add_argument("--quick", action="store_true", help="fewer clicks and smaller databases: a smoke test")
    asked = given.parse_args()
    began = time.monotonic()
    with databases() as places:
        machine(places.postgres)
        for name in asked.parts or PARTS:
            PARTS[name](places, asked.quick)
    summary(time.monotonic() - began)


if __name__ == "__main__":
    main()
