"""The text behind `/promote` and `/rollback`, as typed values; what is none of the known forms is refused with the usage."""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import get_close_matches

from bot.slack.typed import (
    At,
    BreakGlass,
    Delegate,
    DelegateOff,
    DelegateShow,
    Evidence,
    Help,
    OpenForm,
    PersonalDigest,
    Promote,
    Release,
    Resume,
    Review,
    Rollback,
    Status,
    Stop,
    Unveto,
    Veto,
    Why,
)
from core.domain.errors import BadInput

PROMOTE_USAGE = "`/promote MODEL VERSION [to STAGE] [because REASON]`"
BUNDLE_USAGE = "`/promote BUNDLE MEMBER=VERSION … [to STAGE] [because REASON]`"
WHY_USAGE = "`/promote why MODEL VERSION [STAGE]`"
STATUS_USAGE = "`/promote status [MODEL]`"
ROLLBACK_USAGE = "`/rollback MODEL [STAGE] [to VERSION] because REASON`"

STOP_USAGE = "`/promote stop [MODEL] because REASON`"
RESUME_USAGE = "`/promote resume [MODEL]`"
VETO_USAGE = "`/promote veto MODEL VERSION [from STAGE] because REASON`"
UNVETO_USAGE = "`/promote unveto MODEL VERSION`"
RELEASE_USAGE = "`/promote release MODEL STAGE`"
DELEGATE_USAGE = "`/promote delegate @PERSON until DAY`, or `/promote delegate off`"
GLASS_USAGE = "`/promote break-glass MODEL VERSION to STAGE because REASON`"
REVIEW_USAGE = "`/promote review P-12 [because WHAT YOU FOUND]`"
DIGEST_USAGE = "`/promote digest on`, or `/promote digest off`"
AT_USAGE = "`/promote at MODEL TIME [STAGE]`"
EVIDENCE_USAGE = "`/promote evidence P-12`"

_BECAUSE = re.compile(r"(?:^|\s)because(?:\s+|$)", re.IGNORECASE)
#: What Slack makes of a name that looks like an address, where it escapes what is typed.
_LINK = re.compile(r"<(?:https?://|mailto:)[^<>|]*\|([^<>]*)>")
_QUOTES = {"“": "”", "„": "“", "‘": "’", "«": "»", '"': '"', "'": "'", "`": "`"}


def _split(text: str) -> tuple[list[str], str | None]:
    """Words before `because`, and what stands after it (None when there is no `because`)."""
    found = _BECAUSE.search(text)
    if found is None:
        return _words(text), None
    return _words(text[: found.start()].rstrip().rstrip(",;")), unescape(text[found.end() :]).strip()


def _words(text: str) -> list[str]:
    """Word by word, without the quotation marks that people, and phones, put around a name."""
    typed = unescape(_LINK.sub(r"\1", text)).split()
    return [word[1:-1] if len(word) > 2 and _QUOTES.get(word[0]) == word[-1] else word for word in typed]


def unescape(text: str) -> str:
    """Slack escapes &, < and > in what people type; here it is as they typed it."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def promote_command(text: str) -> Command:
    """The text behind `/promote`. Raises `BadInput` with the usage when it is none of the known forms.

    A model that is called like one of the verbs is promoted by the form.
    """
    words, reason = _split(text)
    if not words and reason is None:
        return OpenForm()
    first = words[0].lower() if words else ""
    if first in _VERBS:
        return _VERBS[first](words[1:], reason)
    try:
        return _promote(words, reason)
    except BadInput:
        meant = get_close_matches(first, _VERBS, 1, 0.75)
        if not meant:
            raise
        raise BadInput("text", f"“{words[0]}” is not understood; did you mean /promote {meant[0]}?") from None


def _status(words: list[str], _reason: str | None) -> Status:
    _counted(words, 0, 1, "", "model", STATUS_USAGE)
    return Status(*words)


def _counted(words: list[str], least: int, most: int, question: str, after: str, usage: str) -> None:
    """Raises `BadInput` with the question where words are missing, and for words after the last that has a meaning."""
    if len(words) < least:
        raise BadInput("text", f"{question} Write {usage}.")
    if len(words) > most:
        because = " a reason starts with “because”." if "because" in usage else ""
        what = f"“{words[most]}” is not understood after the {after}{';' if because else '.'}{because}"
        raise BadInput("text", f"{what} Write {usage}.")


def _why(words: list[str], _reason: str | None) -> Why:
    words = [word for word in words if word.lower() != "to"]
    question = "To ask why, name a model and a version, and a stage if you like."
    _counted(words, 2, 3, question, "stage", WHY_USAGE)
    return Why(*words)


def _promote(words: list[str], reason: str | None) -> Promote:
    if words and "@" in words[0][1:-1] and (len(words) == 1 or words[1].lower() == "to"):  # MODEL@VERSION
        words = [*words[0].rsplit("@", 1), *words[1:]]
    if len(words) < 2 or (words[1].lower() == "to" and len(words) > 2):
        named = f" of {words[0]}" if words else ""
        raise BadInput("text", f"Which version{named}? Write {PROMOTE_USAGE}, or /promote alone for a form.")
    model, version, *rest = words
    members: tuple[tuple[str, str], ...] = ()
    if "=" in version:
        count = next((number for number, word in enumerate(words[1:]) if "=" not in word), len(words) - 1)
        members, version, rest = _members(words[1 : count + 1]), "", words[count + 1 :]
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
    return Promote(model, version, rest[0] if rest else "", reason or "", members)


def _members(words: list[str]) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    for word in words:
        model, _, version = word.partition("=")
        if not model or not version:
            raise BadInput("text", f"“{word}” names no member's version. Write {BUNDLE_USAGE}.")
        if model in found:
            raise BadInput("text", f"{model} is named twice. Write {BUNDLE_USAGE}.")
        found[model] = version
    return tuple(found.items())


def _stop(words: list[str], reason: str | None) -> Stop:
    _counted(words, 0, 1, "", "model", STOP_USAGE)
    if not reason:
        raise BadInput("text", f"A stop needs a reason: add “because …”. Write {STOP_USAGE}.")
    return Stop(words[0] if words else "", reason)


def _resume(words: list[str], reason: str | None) -> Resume:
    _counted(words, 0, 1, "", "model", RESUME_USAGE)
    return Resume(words[0] if words else "", reason or "")


def _veto(words: list[str], reason: str | None) -> Veto:
    plain = [word for word in words if word.lower() not in ("from", "in", "for")]
    _counted(plain, 2, 3, "Which version of which model?", "stage", VETO_USAGE)
    if not reason:
        raise BadInput("text", f"A veto needs a reason: add “because …”. Write {VETO_USAGE}.")
    return Veto(plain[0], plain[1], plain[2] if len(plain) == 3 else "", reason)


def _unveto(words: list[str], reason: str | None) -> Unveto:
    _counted(words, 2, 2, "Which version of which model?", "version", UNVETO_USAGE)
    return Unveto(words[0], words[1], reason or "")


def _release(words: list[str], reason: str | None) -> Release:
    plain = [word for word in words if word.lower() not in ("to", "in", "for")]
    _counted(plain, 2, 2, "Which model in which stage?", "stage", RELEASE_USAGE)
    return Release(plain[0], plain[1], reason or "")


def _delegate(words: list[str], _reason: str | None) -> Delegate | DelegateOff | DelegateShow:
    if not words:
        return DelegateShow()
    if len(words) == 1 and words[0].lower() in ("off", "stop", "back"):
        return DelegateOff()
    person, *rest = [word for word in words if word.lower() != "to"]
    if not rest or rest[0].lower() not in ("until", "till", "for") or len(rest) < 2:
        raise BadInput("text", f"To whom, and until when? Write {DELEGATE_USAGE}.")
    return Delegate(person, " ".join(rest[1:]))


def _break_glass(words: list[str], reason: str | None) -> BreakGlass:
    plain = [word for word in words if word.lower() != "to"]
    _counted(plain, 3, 3, "Which version of which model, to which stage?", "stage", GLASS_USAGE)
    if not reason:
        raise BadInput("text", f"Breaking the glass needs a reason: add “because …”. Write {GLASS_USAGE}.")
    return BreakGlass(plain[0], plain[1], plain[2], reason)


def _review(words: list[str], reason: str | None) -> Review:
    _counted(words, 1, 1, "Which promotion?", "promotion", REVIEW_USAGE)
    return Review(words[0], reason or "")


def _digest(words: list[str], _reason: str | None) -> PersonalDigest:
    if len(words) != 1 or words[0].lower() not in ("on", "off"):
        raise BadInput("text", f"On or off? Write {DIGEST_USAGE}.")
    return PersonalDigest(words[0].lower() == "on")


def _at(words: list[str], _reason: str | None) -> At:
    if len(words) > 2 and re.fullmatch(r"\d{1,2}:\d{2}(:\d{2})?", words[2]):  # a day and a time of it
        words = [words[0], f"{words[1]} {words[2]:0>5}", *words[3:]]
    plain = [word for word in words if word.lower() not in ("in", "to")]
    _counted(plain, 2, 3, "Which model, and when (such as 2026-05-01T12:00)?", "stage", AT_USAGE)
    return At(*plain)


def _evidence(words: list[str], _reason: str | None) -> Evidence:
    _counted(words, 1, 1, "Of which promotion?", "promotion", EVIDENCE_USAGE)
    return Evidence(words[0])


Command = (
    OpenForm | Help | Status | Why | Promote | Stop | Resume | Veto | Unveto | Release | Delegate | DelegateOff
    | DelegateShow | BreakGlass | Review | PersonalDigest | At | Evidence
)  # fmt: skip

_VERBS: dict[str, Callable[[list[str], str | None], Command]] = {
    "help": lambda _words, _reason: Help(),
    "status": _status,
    "why": _why,
    "stop": _stop,
    "resume": _resume,
    "veto": _veto,
    "unveto": _unveto,
    "release": _release,
    "delegate": _delegate,
    "break-glass": _break_glass,
    "review": _review,
    "digest": _digest,
    "at": _at,
    "evidence": _evidence,
}


def rollback_command(text: str) -> OpenForm | Help | Rollback:
    """The text behind `/rollback`. Raises `BadInput` with the usage."""
    words, reason = _split(text)
    if not words and reason is None:
        return OpenForm()
    if reason is None and [word.lower() for word in words] == ["help"]:
        return Help()
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
