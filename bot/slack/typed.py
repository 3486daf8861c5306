"""What can be asked for with `/promote` and `/rollback`, as typed values; `bot.slack.grammar` reads them out of text."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class OpenForm:
    """`/promote` or `/rollback` alone."""


@dataclass(frozen=True)
class Help:
    """`/promote help`."""


@dataclass(frozen=True)
class Status:
    """`/promote status [MODEL]`."""

    model: str = ""


@dataclass(frozen=True)
class Why:
    """`/promote why MODEL VERSION [STAGE]`."""

    model: str
    version: str
    stage: str = ""


@dataclass(frozen=True)
class Promote:
    """`/promote MODEL VERSION [to STAGE] [because REASON]`; without a stage, the next one.

    A bundle may be named by its members instead, `/promote search embedder=7 ranker=4`; `version` is then empty.
    """

    model: str
    version: str
    stage: str = ""
    reason: str = ""
    members: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Rollback:
    """`/rollback MODEL [STAGE] [to VERSION] because REASON`."""

    model: str
    stage: str = ""
    version: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Stop:
    """`/promote stop [MODEL] because REASON`."""

    model: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Resume:
    """`/promote resume [MODEL]`."""

    model: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Veto:
    """`/promote veto MODEL VERSION [from STAGE] because REASON`."""

    model: str
    version: str
    stage: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Unveto:
    """`/promote unveto MODEL VERSION`."""

    model: str
    version: str
    reason: str = ""


@dataclass(frozen=True)
class Release:
    """`/promote release MODEL STAGE`: lift the hold that a rollback left."""

    model: str
    stage: str
    reason: str = ""


@dataclass(frozen=True)
class Delegate:
    """`/promote delegate @PERSON until DAY`; `off` and alone are `DelegateOff` and `DelegateShow`."""

    person: str
    until: str


@dataclass(frozen=True)
class DelegateOff:
    """`/promote delegate off`."""


@dataclass(frozen=True)
class DelegateShow:
    """`/promote delegate`."""


@dataclass(frozen=True)
class BreakGlass:
    """`/promote break-glass MODEL VERSION to STAGE because REASON`."""

    model: str
    version: str
    stage: str
    reason: str


@dataclass(frozen=True)
class Review:
    """`/promote review P-12 [because WHAT WAS FOUND]`."""

    promotion: str
    words: str = ""


@dataclass(frozen=True)
class PersonalDigest:
    """`/promote digest on` or `off`."""

    wanted: bool


@dataclass(frozen=True)
class At:
    """`/promote at MODEL TIME [STAGE]`: who served then; without a stage, every one."""

    model: str
    time: str
    stage: str = ""


@dataclass(frozen=True)
class Evidence:
    """`/promote evidence P-12`: everything known of it, as a file."""

    promotion: str
