"""What a source said, and what a look at it found: the nouns of an analysis. Frozen, and JSON both ways."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from core.policy.sequential import Counts, Evidence


class Standing(StrEnum):
    """What one look found, or where an analysis stands (which alone may be RUNNING). Only PASSED lets traffic move on."""

    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"  #: the answer is no
    INCONCLUSIVE = "inconclusive"  #: there was an answer, and it does not tell
    ERRORED = "errored"  #: there was no answer


@dataclass(frozen=True)
class Value:
    """A query was answered with one number. `warning` is what the source added; outside text."""

    number: float
    warning: str = ""


@dataclass(frozen=True)
class Missing:
    """A query was answered, but not with one number; `reason` is a sentence, and may hold outside text."""

    reason: str


@dataclass(frozen=True)
class Unanswered:
    """A query was not answered; `reason` is a sentence, and may hold outside text."""

    reason: str


Reading = Value | Missing | Unanswered


class Rival(StrEnum):
    """Whom the candidate can be compared with."""

    SERVES = "serves"  #: a champion that gets traffic now
    RESTS = "rests"  #: a champion without traffic: nothing can be compared just now
    ABSENT = "absent"  #: the stage has no champion yet


@dataclass(frozen=True)
class Look:
    """One look at one metric: an answer for each of its queries, asked for the candidate and, unless it is None, again
    for the champion.
    """

    candidate: tuple[Reading, ...]
    champion: tuple[Reading, ...] | None = None
    rival: Rival = Rival.SERVES


@dataclass(frozen=True)
class Measured:
    """What a look found, in one sentence, with its numbers.

    `is_open`: no answer yet and none expected, because counting has only begun or the next look must confirm an alarm.
    """

    outcome: Standing
    sentence: str
    candidate: float | None = None
    champion: float | None = None
    evidence: float | None = None
    is_open: bool = False
    at: str = ""

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Measured:
        """What `dataclasses.asdict` made of it."""
        return cls(**{**kept, "outcome": Standing(kept["outcome"])})


@dataclass(frozen=True)
class Counting:
    """What was counted so far of a metric with `bad` and `total`.

    `seen` is the candidate's counters at the last look, `own` what was added since the first. `pair_seen` is both sides'
    counters when they were last compared; `mine` and `theirs` is what was added between comparisons, so that both always
    cover the same time.
    """

    seen: Counts | None = None
    own: Counts = field(default_factory=Counts)
    pair_seen: tuple[Counts, Counts] | None = None
    mine: Counts = field(default_factory=Counts)
    theirs: Counts = field(default_factory=Counts)
    evidence: Evidence = field(default_factory=Evidence)

    def to_json(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Counting:
        """What `to_json` made of it."""
        seen, pair = kept["seen"], kept["pair_seen"]
        return cls(
            seen=Counts(**seen) if seen else None,
            own=Counts(**kept["own"]),
            pair_seen=(Counts(**pair[0]), Counts(**pair[1])) if pair else None,
            mine=Counts(**kept["mine"]),
            theirs=Counts(**kept["theirs"]),
            evidence=Evidence(tuple(kept["evidence"]["logs"]), kept["evidence"]["alarms"]),
        )
