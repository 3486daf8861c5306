"""Text from outside, made harmless: it cannot mention anybody, forge a link, change the layout or break a limit.

`plain` is for places where Slack reads no markup (plain_text, raw_text, rich_text); `escape` for mrkdwn.
https://docs.slack.dev/messaging/formatting-message-text#escaping
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from typing import Any

#: Left-to-right and right-to-left marks, embeddings, overrides and isolates: they can reverse what is read.
_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
#: Characters without width: they can make two names look like one.
_INVISIBLE = (
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200d\u2060-\u2064\u206a-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffc"
)
_DROPPED = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff{_BIDI}{_INVISIBLE}\U000e0000-\U000e0fff]")
_SPACES = re.compile(r"\s+")
#: What Slack reads as markup where it stands at the edge of a word (inside one, as in latency_p99_ms, it does not), and
#: what is shown instead. Characters without width would not do: whether they make an edge is any client's guess.
_MARKUP = re.compile(r"`|(?<![^\W_])[*_~]+|[*_~]+(?![^\W_])")
_LOOKALIKE = str.maketrans({"*": "∗", "_": "ˍ", "~": "∼", "`": "ˋ"})
#: A command as the usage of one spells it, once escaped; and a moment as `core.policy.eligibility.stamp` spells it.
_COMMAND = re.compile(r"ˋ(/(?:promote|rollback)\b[^ˋ\n]*)ˋ")
_STAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2} UTC")
_EMOJI = re.compile(r":(?=[A-Za-z0-9_+'-]+:)")
#: A longer word is cut through, and so is what would be half as long without it.
LONGEST_WORD = 30
_QUOTE = re.compile(r"^(\s*)>", re.MULTILINE)
#: What Slack would take for a mention, a date or a link where it reads markup. Where it reads none this is only text, but
#: text is copied, mailed and quoted; so it is shown as what it can no longer be taken for.
_REFERENCE = re.compile(r"<((?:[@#!]|[^<>\s|:]+[|:])[^<>]*)>")


def plain(text: str, limit: int = 300, lines: bool = False) -> str:
    """`text` without control, bidirectional and invisible characters, on one line unless `lines`, clipped.

    Never empty: Slack refuses empty texts, so nothing is shown as an en dash.
    """
    kept = _DROPPED.sub("", unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")))
    kept = _REFERENCE.sub(r"‹\1›", kept.strip() if lines else _SPACES.sub(" ", kept).strip())
    if any(unicodedata.bidirectional(character) in ("R", "AL") for character in kept):
        kept = f"\u2068{clip(kept, limit - 2)}\u2069"  # keeps the order of what stands around it
    return clip(kept, limit) or "–"


def escape(text: str, limit: int = 300, lines: bool = False) -> str:
    """`text` for mrkdwn: as `plain`, and neither entities nor markup. The limit holds for the escaped text too."""
    clipped = plain(text, limit, lines)
    harmless = _MARKUP.sub(lambda mark: mark[0].translate(_LOOKALIKE), clipped)
    harmless = _QUOTE.sub(r"\1›", _EMOJI.sub("꞉", harmless))
    while True:
        escaped = harmless.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        if len(escaped) <= limit or len(harmless) <= 1:
            return escaped
        harmless = clip(harmless, max(1, len(harmless) - max(1, (len(escaped) - limit) // 5)))


def said(text: str, limit: int = 300) -> str:
    """A sentence of Baton's own for mrkdwn: as `escape`, but what can be typed is code, and a moment is in the reader's zone."""
    return _STAMP.sub(_in_own_zone, _COMMAND.sub(r"`\1`", escape(text, limit)))


def _in_own_zone(stamp: re.Match[str]) -> str:
    try:
        return date(datetime.strptime(stamp[0], "%Y-%m-%d %H:%M UTC").replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return stamp[0]


def notice(text: str, limit: int = 3000) -> str:
    """What a notification shows beside blocks. Slack reads it as mrkdwn, so nothing in it may mention or link."""
    return clip(text, limit // 5).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def clip(text: str, limit: int) -> str:
    """At most `limit` characters, with an ellipsis where something was cut off; between words, if one ends near there."""
    if len(text) <= limit:
        return text
    kept = text[: max(0, limit - 1)]
    last = kept.rfind(" ")
    if not text[len(kept)].isspace() and last > len(kept) - LONGEST_WORD and last > len(kept) // 2:
        kept = kept[:last]
    return kept.rstrip() + "…"


def clip_markup(text: str, limit: int) -> str:
    """As `clip`, for finished mrkdwn: never in the middle of a mention, a date, a link or an entity."""
    if len(text) <= limit:
        return text
    return re.sub(r"(<[^<>]*|&[a-z]{0,3})$", "", text[: max(0, limit - 1)]).rstrip() + "…"


def person(actor_id: str, fallback: str = "") -> str:
    """A mention of a person by Slack id; anything that is no Slack id is shown as text."""
    return f"<@{actor_id}>" if re.fullmatch(r"[UW][A-Z0-9]{1,20}", actor_id) else escape(fallback or actor_id, 80)


def date(moment: datetime, style: str = "{date_short_pretty} at {time}") -> str:
    """A moment in the reader's own zone, as Slack dates; UTC where Slack cannot."""
    return f"<!date^{int(moment.timestamp())}^{style}^{moment:%Y-%m-%d %H:%M} UTC>"


def link(url: str, label: str) -> str:
    """A link, if `url` is http(s) and holds nothing that could end it early; else just the label."""
    if re.fullmatch(r"https?://[^\s<>|\"\x00-\x1f]{1,2000}", url):
        return f"<{url.replace('&', '&amp;')}|{escape(label, 100).replace('|', '¦')}>"
    return escape(label, 100)


# -- the few blocks that everything is made of -------------------------------------------------------------------


def mrkdwn(text: str) -> dict[str, Any]:
    """A mrkdwn text object. `verbatim`: Slack must not make links or mentions out of what only looks like them."""
    return {"type": "mrkdwn", "text": clip_markup(text, 3000), "verbatim": True}


def plain_text(text: str, limit: int = 3000) -> dict[str, Any]:
    """A plain_text object; colons stay colons."""
    return {"type": "plain_text", "text": clip(text, limit) or "–", "emoji": False}


def header(text: str) -> dict[str, Any]:
    """A header block, 150 characters at most."""
    return {"type": "header", "text": plain_text(text, 150)}


def section(text: str, **more: Any) -> dict[str, Any]:
    """A section of mrkdwn."""
    return {"type": "section", "text": mrkdwn(text), **more}


def context(*texts: str) -> dict[str, Any]:
    """Small grey lines; ten at most."""
    return {"type": "context", "elements": [mrkdwn(text) for text in texts[:10] if text]}


def quote(text: str, limit: int = 1200) -> dict[str, Any]:
    """What somebody wrote, as a quotation in which nothing is read as markup."""
    words = [{"type": "text", "text": plain(text, limit, lines=True)}]
    return {"type": "rich_text", "elements": [{"type": "rich_text_quote", "elements": words}]}


def button(label: str, action_id: str, value: str, style: str = "", **more: Any) -> dict[str, Any]:
    """A button; `style` is "", "primary" or "danger"."""
    made: dict[str, Any] = {
        "type": "button",
        "action_id": action_id,
        "text": plain_text(label, 75),
        "value": value,
        **more,
    }
    return made | ({"style": style} if style else {})
