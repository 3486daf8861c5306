"""How pictures look: sizes that a phone can read, and colours that differ for everybody, each with a shape of its own.

A light ground of its own, so that it looks the same in Slack's dark theme. The colours are Okabe and Ito's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: Inches and dots: 1,408 wide. A phone shows it 360 wide, where 14 points come to 11 dots.
WIDTH, DPI = 6.4, 220
GROUND, INK, SOFT, FAINT = "#ffffff", "#1d1c1d", "#5b5a5c", "#d8d8da"
CHAMPION = "#6b6b6b"
FORBIDDEN = "#d55e00"
TITLE, BODY, SMALL = 16.5, 14.0, 12.0


@dataclass(frozen=True)
class Mark:
    """How one outcome looks; the shape alone tells it, and so does the colour."""

    colour: str
    marker: str
    sign: str


MARKS = {
    "passed": Mark("#0072b2", "o", "✔"),
    "failed": Mark("#d55e00", "X", "✘"),
    "inconclusive": Mark("#b07d00", "^", "?"),
    "errored": Mark("#7a4a7a", "s", "!"),
    "running": Mark("#5b5a5c", "D", "…"),
    "asking": Mark("#b07d00", "^", "?"),
    "": Mark("#1d1c1d", "o", ""),
}


def words(place: Any, x: float, y: float, text: str, size: float = BODY, **more: Any) -> Any:
    """Text in which nothing is read as a formula: names come from outside."""
    return place.text(x, y, text, fontsize=size, parse_math=False, **({"color": INK} | more))


def fitting(figure: Any, text: Any, width: float) -> None:
    """Cut a text off where it is wider than so many inches."""
    renderer = figure.canvas.get_renderer()
    said = text.get_text()
    while said and text.get_window_extent(renderer).width > width * DPI:
        said = said[:-2].rstrip()
        text.set_text(f"{said}…")


def blank(height: float) -> Any:
    """An empty picture so many inches high, and what draws it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor=GROUND)
    FigureCanvasAgg(figure)
    return figure
