"""What Slack sends in buttons and forms, as typed values (the text of slash commands: `bot.slack.grammar`).

Nothing in a payload is believed but ids and who Slack says clicked; state and permission are read again in core.
"""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

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


#: What a row of the database can be called.
Id = Annotated[int, Field(ge=1, lt=2**63)]


class OfPromotion(Payload):
    """A button or form about one promotion. `seen`: the beginning of the evidence digest that was shown beside it."""

    promotion: Id
    seen: str = ""


class OfPage(Payload):
    """A button that turns a page of Home."""

    page: Annotated[int, Field(ge=0, lt=2**31)]


class OfProposal(Payload):
    """A button of an alert."""

    proposal: Id


class OfDrift(Payload):
    """A button of what was moved past Baton: and what was shown to be there."""

    drift: Id
    found: str = ""


class OfCertification(Payload):
    """The button of a champion past its review period."""

    certification: Id


class OfGlass(Payload):
    """The red button of break-glass: what was shown when it was offered."""

    model: str
    version: str
    stage: str
    seen: str
    reason: str


class OfRollback(Payload):
    """The red button: what was shown when it was offered."""

    model: str
    stage: str
    current: str
    target: str
    reason: str


def selected(values: dict[str, Any], action: str) -> str:
    """What a form holds for `action`, in whichever block: a chosen option's value, or what was typed; "" if nothing."""
    for block in values.values():
        element = block.get(action)
        if element is not None:
            option = element.get("selected_option")
            return str(option["value"]) if option else str(element.get("value") or "")
    return ""
