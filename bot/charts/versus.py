"""The candidate beside the champion: one strip a metric, better to the right."""

from __future__ import annotations

from typing import Any

from bot.charts.look import (
    BODY,
    CHAMPION,
    FAINT,
    FORBIDDEN,
    INK,
    MARKS,
    SMALL,
    SOFT,
    TITLE,
    WIDTH,
    blank,
    fitting,
    words,
)
from core.policy.comparison import Comparison, Spot, Strip, said, signed

#: Inches: the head, one strip, the foot, and the edge left and right.
HEAD, STRIP, FOOT, EDGE = 1.5, 1.02, 0.3, 0.22


def draw(found: Comparison) -> Any:
    """The picture."""
    more = f"… and {found.left_out} more under Details." if found.left_out else ""
    notes = [each for each in (*found.legend, found.caution, more) if each]
    height = HEAD + STRIP * len(found.strips) + 0.12 + FOOT * max(1, len(notes))
    figure = blank(height)
    paper = figure.add_axes((0, 0, 1, 1))
    paper.set_xlim(0, WIDTH)
    paper.set_ylim(0, height)
    paper.axis("off")
    _head(figure, paper, found, height)
    for index, strip in enumerate(found.strips):
        _strip(figure, paper, strip, height - HEAD - STRIP * index)
    for index, note in enumerate(reversed(notes)):
        words(paper, EDGE, 0.1 + FOOT * index, note, SMALL - 1.5, color=SOFT, va="bottom")
    return figure


def _head(figure: Any, paper: Any, found: Comparison, top: float) -> None:
    title = words(paper, EDGE, top - 0.16, found.title, TITLE, weight="bold", va="top")
    fitting(figure, title, WIDTH - 2 * EDGE)
    against = f" against champion {found.champion}" if found.champion else ", no champion yet"
    line = words(
        paper,
        EDGE,
        top - 0.56,
        f"Candidate {found.candidate}{against} · {found.standing}",
        SMALL,
        color=SOFT,
        va="top",
    )
    fitting(figure, line, WIDTH - 2 * EDGE)
    y, x = top - 1.06, EDGE + 0.1
    paper.plot([x], [y], marker="o", markersize=10, color=MARKS["passed"].colour)
    words(paper, x + 0.17, y, "candidate", SMALL, va="center")
    if found.champion:
        _champion(paper, x + 1.5, y)
        words(paper, x + 1.67, y, "champion", SMALL, va="center")
    if any(strip.edges for strip in found.strips):
        gate = x + (2.95 if found.champion else 1.5)
        paper.plot([gate] * 2, [y - 0.13, y + 0.13], color=INK, linewidth=2, linestyle=(0, (2, 1)))
        words(paper, gate + 0.12, y, "gate", SMALL, va="center")
    if any(strip.lower_is_better is not None for strip in found.strips):
        words(paper, WIDTH - EDGE, y, "better →", SMALL, weight="bold", ha="right", va="center")


def _strip(figure: Any, paper: Any, strip: Strip, top: float) -> None:
    """Name and numbers in one line, where they are in the next, the limit under it."""
    mark = MARKS[strip.outcome]
    paper.plot([EDGE, WIDTH - EDGE], [top, top], color=FAINT, linewidth=0.8)
    y = top - 0.24
    if mark.sign:
        words(paper, EDGE, y, mark.sign, BODY, color=mark.colour, weight="bold", va="center")
    numbers = words(paper, WIDTH - EDGE, y, _numbers(strip), BODY, ha="right", va="center")
    room = WIDTH - 2 * EDGE - numbers.get_window_extent(figure.canvas.get_renderer()).width / figure.dpi - 0.15
    indent = 0.3 if mark.sign else 0
    name = words(paper, EDGE + indent, y, _name(strip), BODY, weight="bold", va="center")
    fitting(figure, name, room - indent)
    _line(paper, strip, top - 0.58)


def _name(strip: Strip) -> str:
    return f"{strip.name} (advisory)" if strip.advisory else strip.name


def _numbers(strip: Strip) -> str:
    text = said(strip.candidate.value, strip.unit) if strip.candidate else "no data"
    if strip.champion is None:
        return text
    change = f"  ({signed(strip.change)})" if strip.change is not None else ""
    return f"{text} vs {said(strip.champion.value, strip.unit)}{change}"


def _line(paper: Any, strip: Strip, y: float) -> None:
    left, width = EDGE, WIDTH - 2 * EDGE

    def at(value: float) -> float:
        return left + width * min(1.0, max(0.0, strip.place(value)))

    paper.plot([left, left + width], [y, y], color=FAINT, linewidth=5, solid_capstyle="round", zorder=1)
    for edge in strip.edges:
        x = at(edge.value)
        to_the_right = edge.above is not bool(strip.lower_is_better)
        end = left + width if to_the_right else left
        paper.plot([x, end], [y, y], color=FORBIDDEN, alpha=0.35, linewidth=5, solid_capstyle="butt", zorder=2)
        paper.plot([x, x], [y - 0.15, y + 0.15], color=INK, linewidth=2, linestyle=(0, (2, 1)), zorder=3)
        side = "left" if x < left + width * 0.3 else "right" if x > left + width * 0.7 else "center"
        words(paper, x, y - 0.18, edge.label, SMALL - 1.5, color=SOFT, ha=side, va="top")
    if not strip.outcome:
        words(paper, left, y - 0.18, "no gate, so neither way is better here", SMALL - 1.5, color=SOFT, va="top")
    if strip.champion is not None:
        _reach(paper, strip.champion, at, y - 0.055, CHAMPION)
        _champion(paper, at(strip.champion.value), y)
    if strip.candidate is not None:
        mark = MARKS[strip.outcome]
        _reach(paper, strip.candidate, at, y + 0.055, mark.colour)
        paper.plot(
            [at(strip.candidate.value)], [y], marker=mark.marker, markersize=12, color=mark.colour,
            markeredgecolor="white", markeredgewidth=1, zorder=6,
        )  # fmt: skip


def _reach(paper: Any, spot: Spot, at: Any, y: float, colour: str) -> None:
    if spot.low is None or spot.high is None:
        return
    ends = [at(spot.low), at(spot.high)]
    paper.plot(ends, [y, y], color=colour, linewidth=3, zorder=4, solid_capstyle="butt")
    for x in ends:
        paper.plot([x, x], [y - 0.05, y + 0.05], color=colour, linewidth=2, zorder=4)


def _champion(paper: Any, x: float, y: float) -> None:
    paper.plot(
        [x],
        [y],
        marker="D",
        markersize=11,
        markerfacecolor="white",
        markeredgecolor=CHAMPION,
        markeredgewidth=2.4,
        zorder=5,
    )
