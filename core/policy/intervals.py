"""How sure a measured number is: an interval where one is legitimate, and none where nobody could know. Pure.

A share of samples (accuracy, an error rate) has Wilson's interval. Whatever was measured with its standard error
(`auc_stderr` beside `auc`) has the normal one. Of anything else (an AUC or a percentile from one run, a precision, whose
denominator is not the number of samples) the number of samples tells nothing, and no interval is drawn.

E. B. Wilson, *Probable inference, the law of succession, and statistical inference*, JASA 22 (1927).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from core.domain.model import Measurement, ModelVersion

#: 95 %, two-sided.
Z = 1.959963984540054
#: With fewer samples neither interval is worth a line.
ENOUGH, ENOUGH_FOR_NORMAL = 10, 30
STDERR = "_stderr"
#: Names of numbers that are so many of the samples, whatever set they were taken on.
_SHARE = re.compile(
    r"((val|valid|validation|test|eval|holdout)_)?"
    r"(accuracy|acc|top_?\d+_accuracy|accuracy_at_\d+|error_rate|misclassification_rate|exact_match|hit_rate|pass_rate|"
    r"success_rate|win_rate)"
)


@dataclass(frozen=True)
class Interval:
    """Where the true number is, 19 times of 20; `how` it was found: "Wilson" or "normal"."""

    low: float
    high: float
    how: str


def interval(version: ModelVersion, measured: Measurement) -> Interval | None:
    """The interval of a measurement; None where there is no legitimate one."""
    if measured.value is None or not math.isfinite(measured.value):
        return None
    error = _standard_error(version, measured)
    if error is not None:
        few = measured.samples is not None and measured.samples < ENOUGH_FOR_NORMAL
        return None if few else Interval(measured.value - Z * error, measured.value + Z * error, "normal")
    if measured.samples and _SHARE.fullmatch(measured.name.lower()) and _counted(measured.value, measured.samples):
        return wilson(measured.value, measured.samples)
    return None


def wilson(share: float, samples: int) -> Interval:
    """Wilson's score interval of `share` of `samples`."""
    spread = Z * Z / samples
    centre = (share + spread / 2) / (1 + spread)
    half = Z / (1 + spread) * math.sqrt(share * (1 - share) / samples + spread / (4 * samples))
    return Interval(max(0.0, centre - half), min(1.0, centre + half), "Wilson")


def is_error_of_another(name: str, names: set[str]) -> bool:
    """True for the standard error of a number that was measured too."""
    return name.endswith(STDERR) and name.removesuffix(STDERR) in names


def _standard_error(version: ModelVersion, measured: Measurement) -> float | None:
    for each in version.measurements:
        same = (each.slice, each.dataset, each.dataset_digest) == (
            measured.slice, measured.dataset, measured.dataset_digest,
        )  # fmt: skip
        if each.name == f"{measured.name}{STDERR}" and same and each.value is not None:
            return each.value if math.isfinite(each.value) and each.value > 0 else None
    return None


def _counted(share: float, samples: int) -> bool:
    """Whether so many samples can make this share, to the digits that it was given with."""
    if samples < ENOUGH or not 0 <= share <= 1:
        return False
    digits = len(repr(share).partition(".")[2]) if "e" not in repr(share) else 17
    count = share * samples
    return abs(count - round(count)) <= max(1e-6, 0.5 * samples * 10.0**-digits * 1.0001)
