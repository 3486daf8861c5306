"""Every way in which Baton says no, drawn as a tree.

    BatonError
    ├── Refused                one sentence: why not, and what would clear it
    │   ├── BadInput           a field is wrong: names it, says what is wrong and what would be right   (HTTP 422)
    │   ├── NotFound           there is no such thing                                                   (HTTP 404)
    │   ├── NotAllowed         this person or token may not                                             (HTTP 403)
    │   └── Conflict           not in this state: already decided, already there, stale                 (HTTP 409)
    │       └── StaleState     somebody else changed the promotion first
    ├── PolicyError            the policy file cannot be used (core.policy.findings)
    └── Unavailable            we could not find out; trying again later may help                       (HTTP 503)

`slug` names the refusal for programs and never changes; the sentence is for people and is written where the
refusal arises, once, with the facts of the case. Sentences may hold outside text: escape them where they are shown.
"""

from __future__ import annotations


class BatonError(Exception):
    """Base of all errors that Baton raises itself."""


class Refused(BatonError):
    """The answer is no."""

    status = 409

    def __init__(self, slug: str, sentence: str, **facts: object) -> None:
        super().__init__(sentence)
        self.slug = slug
        self.sentence = sentence
        self.facts = facts


class BadInput(Refused):
    """A field is wrong. `field` is its name as the asker knows it."""

    status = 422

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__("bad-input", sentence, field=field)
        self.field = field


class NotFound(Refused):
    """There is no such thing."""

    status = 404


class NotAllowed(Refused):
    """This actor may not do this."""

    status = 403


class Conflict(Refused):
    """The thing is not in a state that allows this."""

    status = 409


class StaleState(Conflict):
    """The promotion was no longer in the state that the caller had read."""

    def __init__(self, sentence: str = "Somebody else changed this promotion first; look at it again.") -> None:
        super().__init__("stale-state", sentence)


class Unavailable(BatonError):
    """We could not find out. The sentence says what was not reached."""

    status = 503

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence
