"""What Slack sends, as typed values: button values, private metadata, and the text of slash commands.

Nothing in a payload is believed but ids and who Slack says clicked; state and permission are read again in core.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from core.domain.errors import BadInput


class Payload(BaseModel):
    """Base of what Baton hides in buttons and forms; opaque to people, checked when it comes back."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def dump(self) -> str:
        """As the string that Slack carries."""
        return self.model_dump_json(exclude_defaults=True)

    @classmethod
    def read(cls, text: str | None) -> Self:
        """Back from the string. Raises `BadInput` for anything that Baton did not write."""
        try:
            return cls.model_validate_json(text or "")
        except ValidationError as error:
            raise BadInput(
                "button", "This button was not made by this release of Baton; ask anew with /promote."
            ) from error


class OfPromotion(Payload):
    """A button or form about one promotion."""

    promotion: int


class OfRollback(Payload):
    """The red button: what was shown when it was offered."""

    model: str
    stage: str
    current: str
    target: str
    reason: str


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
    """`/promote MODEL VERSION [to STAGE] [because REASON]`; without a stage, the next one."""

    model: str
    version: str
    stage: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Rollback:
    """`/rollback MODEL [STAGE] [to VERSION] because REASON`."""

    model: str
    stage: str = ""
    version: str = ""
    reason: str = ""


PROMOTE_USAGE = "`/promote MODEL VERSION [to STAGE] [because REASON]`"
WHY_USAGE = "`/promote why MODEL VERSION [STAGE]`"
STATUS_USAGE = "`/promote status [MODEL]`"
ROLLBACK_USAGE = "`/rollback MODEL [STAGE] [to VERSION] because REASON`"

_BECAUSE = re.compile(r"(?:^|\s)because(?:\s+|$)", re.IGNORECASE)


def _split(text: str) -> tuple[list[str], str | None]:
    """Words before `because`, and what stands after it (None when there is no `because`)."""
    found = _BECAUSE.search(text)
    if found is None:
        return unescape(text).split(), None
    return unescape(text[: found.start()]).split(), unescape(text[found.end() :]).strip()


def unescape(text: str) -> str:
    """Slack escapes &, < and > in what people type; here it is as they typed it."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def promote_command(text: str) -> OpenForm | Help | Status | Why | Promote:
    """The text behind `/promote`. Raises `BadInput` with the usage when it is none of the known forms."""
    words, reason = _split(text)
    if not words and reason is None:
        return OpenForm()
    first = words[0].lower() if words else ""
    if first == "help" and len(words) == 1:
        return Help()
    if first == "status" and len(words) <= 2 and reason is None:
        return Status(*words[1:])
    if first == "why":
        return _why(words[1:])
    return _promote(words, reason)


def _why(words: list[str]) -> Why:
    words = [word for word in words if word.lower() != "to"]
    if len(words) not in (2, 3):
        raise BadInput("text", f"To ask why, name a model and a version, and a stage if you like: {WHY_USAGE}.")
    return Why(*words)


def _promote(words: list[str], reason: str | None) -> Promote:
    if len(words) < 2:
        named = f" of {words[0]}" if words else ""
        raise BadInput("text", f"Which version{named}? Write {PROMOTE_USAGE}, or /promote alone for a form.")
    model, version, *rest = words
    if rest and rest[0].lower() == "to":
        if len(rest) == 1:
            raise BadInput("text", f"To which stage? Write {PROMOTE_USAGE}.")
        rest = rest[1:]
    elif rest:
        raise BadInput("text", f"“{rest[0]}” is not understood after the version. Write {PROMOTE_USAGE}.")
    if len(rest) > 1:
        raise BadInput(
            "text",
            f"“{rest[1]}” is not understood after the stage; a reason starts with “because”. Write {PROMOTE_USAGE}.",
        )
    if reason == "":
        raise BadInput("text", f"There is nothing after “because”. Write {PROMOTE_USAGE}.")
    return Promote(model, version, rest[0] if rest else "", reason or "")


def rollback_command(text: str) -> OpenForm | Rollback:
    """The text behind `/rollback`. Raises `BadInput` with the usage."""
    words, reason = _split(text)
    if not words and reason is None:
        return OpenForm()
    if not words:
        raise BadInput("text", f"Which model? Write {ROLLBACK_USAGE}, or /rollback alone for a form.")
    model, *rest = words
    version = ""
    lowered = [word.lower() for word in rest]
    if "to" in lowered:
        at = lowered.index("to")
        if len(rest) != at + 2:
            raise BadInput("text", f"After “to” comes one version. Write {ROLLBACK_USAGE}.")
        version, rest = rest[at + 1], rest[:at]
    if len(rest) > 1:
        raise BadInput(
            "text",
            f"“{rest[1]}” is not understood after the stage; a reason starts with “because”. Write {ROLLBACK_USAGE}.",
        )
    if not reason:
        raise BadInput("text", f"A rollback needs a reason: add “because …”. Write {ROLLBACK_USAGE}.")
    return Rollback(model, rest[0] if rest else "", version, reason)


def selected(values: dict[str, Any], action: str) -> str:
    """What a form holds for `action`, in whichever block: a chosen option's value, or what was typed; "" if nothing."""
    for block in values.values():
        element = block.get(action)
        if element is not None:
            option = element.get("selected_option")
            return str(option["value"]) if option else str(element.get("value") or "")
    return ""
