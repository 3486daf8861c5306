"""How traffic moves and when it may not: rollout, analysis, verification, freeze windows."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from core.policy.fields import (
    Allowance,
    Duration,
    Moment,
    Name,
    Number,
    Part,
    TimeOfDay,
    TimeZone,
    shown,
    whole,
    wrong,
)
from core.policy.queries import BadQuery, holes, is_outline

Limit = Annotated[int, whole(0, 1_000)]
Samples = Annotated[int, whole(1, 1_000_000_000)]
Percent = Annotated[int, whole(1, 100)]
_MOVING = re.compile(r"\b(increase|rate|irate|delta|idelta|\w+_over_time)\s*\(")


class Step(Part):
    """One step of a canary: how much traffic, and for how long at least."""

    traffic: Percent
    hold: Duration | None = None


class AnalysisMetric(Part):
    """One thing watched while traffic moves: a query with bounds, or two counts compared with the champion's.

    `bad` and `total` are counters that only ever grow; their rate may have a ceiling, and is compared by a sequential
    test: `tolerance` times the champion's rate is allowed, `alpha` is the chance of a false alarm over all looks
    together, and with fewer than `min_samples` requests nothing passes. A metric on `dry_run` is shown, never decides.
    """

    name: Name
    query: str | None = None
    bad: str | None = None
    total: str | None = None
    at_least: Number | None = None
    at_most: Number | None = None
    compared_to: Literal["champion"] | None = None
    no_worse_by: Allowance = 0.0
    lower_is_better: bool = False
    first: Literal["allow", "deny"] = "allow"
    tolerance: Number = 1.0
    alpha: Number = 0.05
    min_samples: Samples = 100
    failure_limit: Limit = 0
    inconclusive_limit: Limit = 0
    consecutive_error_limit: Limit = 4
    dry_run: bool = False

    @property
    def queries(self) -> tuple[str, ...]:
        """What is asked of the source: the number, or the bad ones and all of them."""
        return tuple(each for each in (self.query, self.bad, self.total) if each is not None)

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Self:
        counts = (self.bad is not None, self.total is not None)
        if (self.query is not None) == any(counts) or (any(counts) and not all(counts)):
            raise wrong("asks for no number or for two", "write either query, or bad and total")
        if self.at_least is None and self.at_most is None and self.compared_to is None:
            raise wrong("has no bound", "add at_least, at_most or compared_to: champion")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise wrong(f"is above at_most, {shown(self.at_most)}, so nothing could pass", "lower it", "at_least")
        self._refuse(("tolerance", "first", "no_worse_by") if self.compared_to is None else (), "without a comparison")
        self._check_queries()
        if self.query is None:
            self._check_counts()
        else:
            self._check_number()
        return self

    def _refuse(self, keys: tuple[str, ...], where: str) -> None:
        for key in keys:
            if getattr(self, key) != type(self).model_fields[key].default:
                raise wrong(f"says nothing {where}", "remove it", key)

    def _check_queries(self) -> None:
        for key in ("query", "bad", "total"):
            query = getattr(self, key)
            if query is None or is_outline(query):
                continue
            try:
                named = holes(query)
            except BadQuery as error:
                raise wrong(error.problem, error.remedy, key) from None
            if self.compared_to is not None and "version" not in named:
                remedy = 'name the version, as in version="{{version}}"'
                raise wrong("asks the same of candidate and champion", remedy, key)
            window = _MOVING.search(query) if key != "query" else None
            if window is not None:
                problem = f"{window[1]}() counts the same requests again at every look"
                raise wrong(problem, "write the counter itself; what was added is counted here", key)

    def _check_number(self) -> None:
        self._refuse(("tolerance", "alpha", "min_samples"), "of a query; it goes with bad and total")
        ceiling = self.at_most is not None and self.at_least is None
        # Without this, a latency better than the champion's would fail, and a worse one pass.
        if self.compared_to is not None and ceiling and "lower_is_better" not in self.model_fields_set:
            raise wrong("has a ceiling and a comparison", "say which way is better: lower_is_better: true, or false")

    def _check_counts(self) -> None:
        self._refuse(("at_least", "no_worse_by"), "of bad requests; write at_most or tolerance")
        if self.at_most is not None and not 0 <= self.at_most < 1:
            raise wrong("is the share of bad requests", "write a number such as 0.02", "at_most")
        if not 1 <= self.tolerance <= 100:
            raise wrong("is not from 1 to 100", "write how many times the champion's rate is allowed", "tolerance")
        if not 0 < self.alpha <= 0.5:
            raise wrong("is not above 0 and at most 0.5", "write a chance such as 0.05", "alpha")


class Analysis(Part):
    """What is watched while traffic moves, and where it is asked: first after `initial_delay` (one interval), then on."""

    source: Name
    interval: Duration = timedelta(minutes=1)
    initial_delay: Duration | None = None
    metrics: tuple[AnalysisMetric, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _can_decide(self) -> Self:
        names = [metric.name for metric in self.metrics]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise wrong(
                    f"there is another metric {shown(name)} above", "name each metric once", "metrics", index, "name"
                )
        if all(metric.dry_run for metric in self.metrics):
            raise wrong("are all on dry_run, so nothing could decide", "let one decide", "metrics")
        return self


class Rollout(Part):
    """How a version gets its traffic. `keep`: how long after the last switch the old one stays ready to take over."""

    strategy: Literal["all_at_once", "canary", "blue_green"] = "all_at_once"
    steps: tuple[Step, ...] = ()
    keep: Duration | None = None
    analysis: Analysis | None = None

    @model_validator(mode="after")
    def _steps_climb(self) -> Self:
        if self.strategy == "all_at_once" and self.analysis is not None:
            raise wrong("goes with canary or blue_green only", "remove it, or set strategy: canary", "analysis")
        if self.strategy != "canary":
            if self.steps:
                raise wrong("go with canary only", "remove them, or set strategy: canary", "steps")
            return self
        traffic = [step.traffic for step in self.steps]
        if not traffic or traffic[-1] != 100 or any(a >= b for a, b in pairwise(traffic)):
            raise wrong(
                "do not climb to 100",
                "write steps with rising traffic, the last one {traffic: 100}",
                *(["steps"] if self.steps else []),
            )
        return self


class Verify(Part):
    """How long a version is watched at full traffic before the champion changes hands."""

    for_: Duration = Field(alias="for")


class Freeze(Part):
    """A time in which nothing is promoted (`deny`), or in which alone something is (`allow`).

    Recurring (`rrule`, `duration`) or once (`from`, `until`; a date means its first moment). `reason` is shown.
    """

    name: Name
    kind: Literal["deny", "allow"] = "deny"
    rrule: str | None = None
    duration: Duration | None = None
    from_: Moment | None = Field(None, alias="from")
    until: Moment | None = None
    timezone: TimeZone = "UTC"
    reason: str = Field("", max_length=500)

    @model_validator(mode="after")
    def _is_one_kind(self) -> Self:
        recurring = (self.rrule is not None, self.duration is not None)
        once = (self.from_ is not None, self.until is not None)
        if not (all(recurring) and not any(once)) and not (all(once) and not any(recurring)):
            raise wrong("is neither recurring nor once", "write either rrule and duration, or from and until")
        if self.rrule is not None:
            _check_rrule(self.rrule)
        if self.from_ is not None and self.until is not None and _order(self.from_) >= _order(self.until):
            raise wrong("is not after from", "write a later date", "until")
        return self


class QuietHours(Part):
    """When nobody is reminded, in each person's own time zone."""

    from_: TimeOfDay = Field(alias="from")
    until: TimeOfDay
    weekends: bool = True


def _order(moment: date | datetime) -> str:
    return moment.isoformat()


def rule_of(text: str) -> Any:
    """A recurrence rule as dateutil has it. It counts from a Monday's midnight unless it names its own DTSTART.

    Raises `ValueError` and whatever else dateutil raises for what is no rule.
    """
    from dateutil.rrule import DAILY, rrulestr

    found = rrulestr(text, dtstart=datetime(2024, 1, 1), cache=True)  # noqa: DTZ001 - times of the wall
    if getattr(found, "_freq", DAILY) > DAILY:  # a rule for every second would keep us counting for hours
        raise ValueError("faster than daily")
    found.after(datetime(2026, 1, 1))  # noqa: DTZ001 - a DTSTART with a zone is refused here
    return found


def _check_rrule(text: str) -> None:
    if re.search(r"FREQ=(HOURLY|MINUTELY|SECONDLY)", text, re.IGNORECASE):
        raise wrong(f"{shown(text)} recurs more often than daily", "write FREQ=DAILY or slower", "rrule")
    try:
        rule_of(text)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError):
        raise wrong(
            f"{shown(text)} is not a recurrence rule", 'write one such as "FREQ=WEEKLY;BYDAY=SA,SU"', "rrule"
        ) from None
