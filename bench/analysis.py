"""`python -m bench.analysis [--runs N]`: how often the analysis cries wolf, and how soon it sees one.

Each run is a canary of 30 looks, in each of which the candidate serves 300 requests and the champion 2,700, of which 1 %
are bad. All tests see the same requests. Ours is the code that rollouts run; the others are z-tests by SciPy.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bench.report import heading, line, verdict
from core.policy.sequential import LOOKS_TO_ALARM, RATIOS, Counts, Evidence

LOOKS, MINE, THEIRS, RATE, ALPHA = 30, 300, 2_700, 0.01, 0.05
HARMS = (1.0, 1.25, 1.5, 2.0, 5.0)
SEED = 20_261_123
Counted = NDArray[np.int64]


@dataclass(frozen=True)
class Canaries:
    """Bad requests of candidate and champion: a row for each run, a column for each look."""

    mine: Counted
    theirs: Counted
    served: int = THEIRS  #: by the champion, in each look


def canaries(harm: float, runs: int, burst: int = 1, looks: int = LOOKS, theirs: int = THEIRS) -> Canaries:
    """Runs in which the candidate's rate is `harm` times the champion's; bad requests come `burst` at a time."""
    random = np.random.default_rng([SEED, round(harm * 100), burst])
    bad = random.binomial(MINE // burst, RATE * harm, (runs, looks)) * burst
    return Canaries(bad, random.binomial(theirs // burst, RATE, (runs, looks)) * burst, theirs)


def sequential(seen: Canaries, tolerance: float = 1.0, looks: int = LOOKS_TO_ALARM) -> list[int | None]:
    """The look at which each run is alarmed, if it ever is; `looks` in a row must agree."""
    runs = zip(seen.mine.tolist(), seen.theirs.tolist(), strict=True)
    return [_alarm(zip(*run, strict=True), seen.served, tolerance, looks) for run in runs]


def _alarm(run: Iterable[tuple[int, int]], served: int, tolerance: float, looks: int) -> int | None:
    evidence = Evidence()
    for number, (mine, theirs) in enumerate(run, 1):
        evidence = evidence.after(Counts(mine, MINE), Counts(theirs, served), tolerance, ALPHA)
        if evidence.alarms >= looks:
            return number
    return None


def needed(harm: float, theirs: int, runs: int) -> int:
    """How many requests the candidate must serve until nine of ten such harms are seen."""
    found = sequential(canaries(harm, runs, looks=200, theirs=theirs))
    return MINE * sorted(each or 10**6 for each in found)[runs * 9 // 10]


def z_tests(seen: Canaries) -> NDArray[np.float64]:
    """One-sided p-values of the pooled two-proportion z-test over all requests so far, at each look."""
    n = np.arange(1, LOOKS + 1)
    mine, theirs = seen.mine.cumsum(axis=1), seen.theirs.cumsum(axis=1)
    pooled = (mine + theirs) / ((MINE + THEIRS) * n)
    spread = np.sqrt(pooled * (1 - pooled) * (1 / (MINE * n) + 1 / (THEIRS * n)))
    with np.errstate(invalid="ignore"):
        return np.nan_to_num(stats.norm.sf((mine / (MINE * n) - theirs / (THEIRS * n)) / spread), nan=1.0)


def peeking(seen: Canaries) -> list[int | None]:
    """The look at which a z-test at every look first says p < alpha."""
    hits = z_tests(seen) < ALPHA
    return [int(row.argmax()) + 1 if row.any() else None for row in hits]


def at_the_end(seen: Canaries) -> list[int | None]:
    """The last look for runs in which one z-test at the end says p < alpha."""
    return [LOOKS if p < ALPHA else None for p in z_tests(seen)[:, -1]]


def share(found: Sequence[int | None]) -> float:
    """In how many of the runs there was an alarm, in percent."""
    return 100 * sum(each is not None for each in found) / len(found)


def _cell(found: Sequence[int | None]) -> str:
    alarmed = [each for each in found if each is not None]
    when = f"(look {np.median(alarmed):.0f})" if alarmed else ""
    return f"{share(found):6.1f} % {when:<10}"


def _table(rows: Iterable[tuple[str, Canaries]], columns: dict[str, Callable[[Canaries], list[int | None]]]) -> None:
    line(f"{'candidate bad':<22}" + "".join(f"{name:<21}" for name in columns))
    for label, seen in rows:
        line(f"{label:<22}" + "".join(f"{_cell(test(seen)):<21}" for test in columns.values()))


def _percent(harm: float) -> str:
    return f"{harm * RATE * 100:.2f} %{' (no harm)' if harm == 1 else ''}"


def largest_difference(runs: int) -> float:
    """Between our log-likelihood ratios and SciPy's binomial ones, over random looks, relative to their size."""
    random, worst = np.random.default_rng(SEED), 0.0
    for _ in range(runs):
        n, most = random.integers(1, 5_000, 2), random.integers(0, 50, 2)
        mine, theirs = (Counts(float(min(b, t)), float(t)) for b, t in zip(most, n, strict=True))
        tolerance = float(random.uniform(1, 3))
        logs = Evidence().after(mine, theirs, tolerance, ALPHA).logs
        odds = np.array([1.0, *RATIOS]) * tolerance * mine.total
        likely = stats.binom.logpmf(mine.bad, mine.bad + theirs.bad, odds / (odds + theirs.total))
        worst = max(worst, float(np.max(np.abs(np.array(logs) - (likely[1:] - likely[0])) / (1 + np.abs(likely[0])))))
    return worst


def main() -> None:
    given = argparse.ArgumentParser(prog="python -m bench.analysis", description=__doc__)
    given.add_argument("--runs", type=int, default=4_000, help="canaries for each row")
    runs = given.parse_args().runs
    began = time.monotonic()
    ours, once = sequential, partial(sequential, looks=1)
    print(f"{runs:,} canaries a row, seed {SEED}; {LOOKS} looks, {MINE} + {THEIRS:,} requests a look, alpha {ALPHA}")

    heading("Alarms (and the median look of them); the first row's are false")
    columns = {
        "analysis": ours,
        "one look is enough": once,
        "z-test at each look": peeking,
        "z-test at the end": at_the_end,
    }
    rows = {harm: canaries(harm, runs) for harm in HARMS}
    _table(((_percent(harm), seen) for harm, seen in rows.items()), columns)

    heading("The same with tolerance 1.25: up to 1.25 % is allowed, and an alarm there is false")
    _table(((_percent(harm), rows[harm]) for harm in HARMS), {"analysis": partial(sequential, tolerance=1.25)})

    heading("No harm, but bad requests come several at a time: what no test foresees that takes them one by one")
    _table(((f"bursts of {burst}", canaries(1.0, runs, burst)) for burst in (1, 2, 5)), columns)

    heading(
        "Requests of the candidate until 9 of 10 such harms are seen; for a champion of 0.1 % bad, ten times as many"
    )
    sizes = (1.5, 2.0, 3.0, 5.0)
    line(f"{'traffic':<12}" + "".join(f"{f'{size:g} times':>12}" for size in sizes))
    for percent in (10, 50):
        counts = [needed(size, MINE * (100 - percent) // percent, runs // 10) for size in sizes]
        line(f"{f'{percent} %':<12}" + "".join(f"{count:>12,}" for count in counts))

    heading("Goals")
    false, tolerated = share(ours(rows[1.0])), share(sequential(rows[1.25], 1.25))
    verdict("false alarms, no harm", false, 100 * ALPHA, "%")
    verdict("false alarms at the edge of tolerance 1.25", tolerated, 100 * ALPHA, "%")
    verdict("harm of 2 % seen", share(ours(rows[2.0])), 99, "%", at_least=True)
    verdict("harm of 1.5 % seen", share(ours(rows[1.5])), 80, "%", at_least=True)
    verdict("difference to SciPy's likelihoods, in 1e-9", largest_difference(1_000) * 1e9, 1, "")
    update = time.perf_counter()
    _alarm([(3, 27)] * 10_000, THEIRS, 1.0, 20_000)
    verdict("time of an update", (time.perf_counter() - update) * 100, 100, "us")
    line(f"in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
