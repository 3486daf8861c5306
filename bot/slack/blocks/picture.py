"""Pictures in Slack, and the same in text where there is none. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bot.slack.blocks.card import Message
from bot.slack.blocks.text import context, escape, notice, plain, section
from core.policy import comparison, timeline
from core.policy.comparison import Comparison, Strip, said, signed
from core.policy.timeline import Timeline, sparkline, summary

Json = dict[str, Any]

#: Of an image block; and how many characters a strip in text is wide.
ALT, WIDTH = 2000, 24
_SIGNS = {"passed": "✔", "failed": "✘", "inconclusive": "?", "": " "}


def alt_text(found: Comparison | Timeline) -> str:
    """The picture in words."""
    words = comparison.alt_text(found) if isinstance(found, Comparison) else timeline.alt_text(found)
    return plain(words, ALT)


def image(file: str, alt: str) -> Json:
    """A picture that Slack has."""
    return {"type": "image", "slack_file": {"id": file}, "alt_text": plain(alt, ALT)}


def picture(found: Comparison | Timeline, file: str) -> Message:
    """The message that shows it in a thread."""
    alt = alt_text(found)
    return Message(text=notice(alt), blocks=[image(file, alt)])


def in_text(found: Comparison | Timeline) -> Message:
    """The same without a picture."""
    return Message(text=notice(alt_text(found)), blocks=text_blocks(found))


def text_blocks(found: Comparison | Timeline) -> list[Json]:
    """What the picture would show, as text of one width."""
    return _comparison(found) if isinstance(found, Comparison) else _timeline(found)


def _comparison(found: Comparison) -> list[Json]:
    against = f" against champion {escape(found.champion, 60)}" if found.champion else ", no champion yet"
    head = (
        f"*{escape(found.title, 200)}*\nCandidate {escape(found.candidate, 60)}{against} · {escape(found.standing, 60)}"
    )
    lines = [line for strip in found.strips for line in _lines(strip)]
    champion = "  ◇ champion" if found.champion else ""
    legend = f"● candidate{champion}  ┊ gate  better →"
    more = f"… and {found.left_out} more under Details." if found.left_out else ""
    foot = " ".join(each for each in (found.caution, more) if each)
    return [section(head), _fixed([*lines, legend]), *([context(foot)] if foot else [])]


def _lines(strip: Strip) -> list[str]:
    mine = said(strip.candidate.value, strip.unit) if strip.candidate else "no data"
    theirs = f" vs {said(strip.champion.value, strip.unit)}" if strip.champion else ""
    change = f" ({signed(strip.change)})" if strip.change is not None else ""
    advisory = " (advisory)" if strip.advisory else ""
    gates = "".join(f"  {edge.label}" for edge in strip.edges) or ("" if strip.outcome else "  no gate")
    return [
        f"{_SIGNS[strip.outcome]} {plain(strip.name, 60)}{advisory}: {mine}{theirs}{change}",
        f"  {_drawn(strip)}{gates}",
    ]


def _drawn(strip: Strip) -> str:
    cells = ["─"] * WIDTH
    marks = [(edge.value, "┊") for edge in strip.edges]
    marks += [(spot.value, sign) for spot, sign in ((strip.champion, "◇"), (strip.candidate, "●")) if spot]
    for value, sign in marks:
        cells[min(WIDTH - 1, max(0, round(strip.place(value) * (WIDTH - 1))))] = sign
    return "".join(cells)


def _timeline(found: Timeline) -> list[Json]:
    head = f"*{escape(found.title, 200)}*\n{escape(found.verdict, 200)}"
    lines = []
    for panel in found.panels:
        lines += [sparkline(panel), f"  {plain(summary(panel), 200)}"]
    if found.left_out:
        lines.append(f"… and {found.left_out} more metrics")
    return [section(head), _fixed(lines)]


def _fixed(lines: Sequence[str]) -> Json:
    words = [{"type": "text", "text": "\n".join(lines)[:2900]}]
    return {"type": "rich_text", "elements": [{"type": "rich_text_preformatted", "elements": words}]}


def behind(details: Json, files: Mapping[str, tuple[str, str]], running: Timeline | None) -> Json:
    """A promotion's details with its pictures under the head; an analysis that has none yet as text."""
    shown = [image(*files[about]) for about in ("analysis", "evidence") if about in files]
    if running is not None and "analysis" not in files:
        shown = [*text_blocks(running), *shown]
    return details | {"blocks": [*details["blocks"][:2], *shown, *details["blocks"][2:]][:100]}
