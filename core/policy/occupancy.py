"""Which stages a version had served at a moment, and for how long. Pure: stretches in, `Served` out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.policy.eligibility import Served


@dataclass(frozen=True)
class Stretch:
    """One time of a version as champion of a stage; `rolled_back_by` is the rollback (`P-9`) that ended it, if one did."""

    stage: str
    since: datetime
    until: datetime | None = None
    rolled_back_by: str | None = None


def served(stretches: Iterable[Stretch], at: datetime | None = None) -> dict[str, Served]:
    """When a version last served which stage. `stretches` are in order of time; with `at`, as it was known then."""
    found: dict[str, Served] = {}
    for each in stretches:
        if at is not None and each.since > at:
            continue
        going = each.until is None or (at is not None and each.until > at)
        before = found.get(each.stage)
        longest = before.longest if before else timedelta()
        if before is not None and before.until is not None and before.rolled_back_by is None:
            longest = max(longest, before.until - before.since)
        found[each.stage] = Served(
            each.since, None if going else each.until, None if going else each.rolled_back_by, longest
        )
    return found
