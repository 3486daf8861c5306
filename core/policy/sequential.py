"""Has the candidate a higher rate of bad requests than the champion? A test that may be looked at as often as one likes.

In each look, candidate and champion serve n and N requests. Were the candidate's rate r times the champion's, then each
bad request would be the candidate's with the chance s(r) = r n / (r n + N). For the allowed ratio (`tolerance`) and a few
worse ones, the likelihoods of what was seen are multiplied up over the looks; `E` is the mean of the worse ones'
likelihoods, each divided by the allowed one's. As long as the candidate is no worse than allowed, E is a supermartingale that begins at
1, so by Ville's inequality it ever reaches 1/alpha with a chance of at most alpha, however often one looks.

Such tests are described by Ramdas, Grünwald, Vovk and Shafer, "Game-theoretic statistics and safe anytime-valid
inference", Statistical Science 38 (2023). Conditioning on the bad requests is Przyborowski and Wilenski's comparison of
two rates (Biometrika 31, 1940).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

#: How many times worse than allowed the candidate may be, all of them thought equally likely.
RATIOS = (1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
#: Bad requests come in bursts, which no test that takes them one by one foresees: so a second look must agree.
LOOKS_TO_ALARM = 2


@dataclass(frozen=True)
class Counts:
    """Requests, and how many of them were bad."""

    bad: float = 0.0
    total: float = 0.0

    @property
    def rate(self) -> float:
        """The share of bad ones; 0 of none."""
        return self.bad / self.total if self.total else 0.0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.bad + other.bad, self.total + other.total)

    def __sub__(self, other: Counts) -> Counts:
        return Counts(self.bad - other.bad, self.total - other.total)


@dataclass(frozen=True)
class Evidence:
    """What all looks together say: one logarithm for each of `RATIOS`, and how many looks in a row were alarmed."""

    logs: tuple[float, ...] = (0.0,) * len(RATIOS)
    alarms: int = 0

    @property
    def log_e(self) -> float:
        """The natural logarithm of E."""
        most = max(self.logs)
        return most + math.log(math.fsum(math.exp(log - most) for log in self.logs) / len(self.logs))

    @property
    def e(self) -> float:
        """E, by which the odds of harm have grown; cut at 1e300."""
        return math.exp(min(self.log_e, math.log(1e300)))

    @property
    def is_alarm(self) -> bool:
        """Enough looks in a row were alarmed."""
        return self.alarms >= LOOKS_TO_ALARM

    def after(self, candidate: Counts, champion: Counts, tolerance: float, alpha: float) -> Evidence:
        """The evidence after one more look, of which both had requests.

        A look in which the candidate had no bad request agrees with no alarm, though it need not end one.
        """
        allowed = tolerance * candidate.total / (tolerance * candidate.total + champion.total)
        logs = []
        for ratio, log in zip(RATIOS, self.logs, strict=True):
            weighed = ratio * tolerance * candidate.total
            share = weighed / (weighed + champion.total)
            hit, miss = math.log(share / allowed), math.log((1 - share) / (1 - allowed))
            logs.append(log + candidate.bad * hit + champion.bad * miss)
        grown = Evidence(tuple(logs))
        if grown.log_e < -math.log(alpha):
            return grown
        return Evidence(grown.logs, self.alarms + 1 if candidate.bad else self.alarms)
