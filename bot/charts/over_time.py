"""A rollout's analysis over time: one panel a metric, the steps across all of them, how it ended on top."""

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
from core.policy.timeline import Panel, Point, Timeline, shown, spoken_time

#: Inches: the head, one panel with its name, the foot, and the edges.
HEAD, LEGEND, PANEL, NAME, FOOT, LEFT, RIGHT = 1.3, 0.32, 1.45, 0.5, 0.6, 1.0, 0.25


def draw(found: Timeline) -> Any:
    """The picture."""
    head = HEAD + (LEGEND if _outcomes(found) else 0)
    height = head + (PANEL + NAME) * len(found.panels) + FOOT
    figure = blank(height)
    paper = figure.add_axes((0, 0, 1, 1))
    paper.set_xlim(0, WIDTH)
    paper.set_ylim(0, height)
    paper.axis("off")
    _head(figure, paper, found, height)
    for index, panel in enumerate(found.panels):
        top = height - head - (PANEL + NAME) * index
        _name(figure, paper, panel, top)
        bottom = top - NAME - PANEL
        place = (LEFT / WIDTH, bottom / height, (WIDTH - LEFT - RIGHT) / WIDTH, PANEL / height)
        _panel(figure.add_axes(place), found, index)
    if found.left_out:
        words(paper, 0.2, 0.06, f"… and {found.left_out} more metrics", SMALL - 1.5, color=SOFT, va="bottom")
    return figure


def _head(figure: Any, paper: Any, found: Timeline, top: float) -> None:
    fitting(figure, words(paper, 0.2, top - 0.16, found.title, TITLE, weight="bold", va="top"), WIDTH - 0.4)
    mark = MARKS[found.standing]
    verdict = words(
        paper, 0.2, top - 0.57, f"{mark.sign} {found.verdict}", BODY, color=mark.colour, weight="bold", va="top"
    )
    fitting(figure, verdict, WIDTH - 0.4)
    y = top - 1.1
    paper.plot([0.2, 0.5], [y, y], color=MARKS["passed"].colour, linewidth=2.5)
    mine = words(paper, 0.58, y, f"candidate {found.candidate}", SMALL, va="center")
    fitting(figure, mine, 1.9)
    if _compared(found):
        paper.plot([2.6, 2.95], [y, y], color=CHAMPION, linewidth=2.5, linestyle=(0, (3, 1.5)))
        fitting(figure, words(paper, 3.03, y, f"champion {found.champion}", SMALL, va="center"), 1.7)
    x = 0.2
    for name, label in _outcomes(found):
        paper.plot([x + 0.08], [y - LEGEND], marker=MARKS[name].marker, markersize=9, color=MARKS[name].colour)
        text = words(paper, x + 0.25, y - LEGEND, label, SMALL, va="center")
        x += 0.5 + text.get_window_extent(figure.canvas.get_renderer()).width / figure.dpi


def _outcomes(found: Timeline) -> list[tuple[str, str]]:
    """What some look found other than that all is well."""
    there = {point.outcome for panel in found.panels for point in panel.points}
    told = (("failed", "failed"), ("inconclusive", "inconclusive"), ("errored", "no answer"))
    return [(name, label) for name, label in told if name in there]


def _compared(found: Timeline) -> bool:
    return any(point.champion is not None for panel in found.panels for point in panel.points)


def _name(figure: Any, paper: Any, panel: Panel, top: float) -> None:
    better = "better ↓" if panel.lower_is_better else "better ↑"
    words(paper, WIDTH - RIGHT, top - 0.28, better, SMALL, color=SOFT, ha="right", va="center")
    name = f"{panel.name} (dry run)" if panel.dry_run else panel.name
    fitting(figure, words(paper, 0.2, top - 0.28, name, BODY, weight="bold", va="center"), WIDTH - 1.6)


def _panel(axes: Any, found: Timeline, index: int) -> None:
    panel = found.panels[index]
    low, high = _ends(panel)
    axes.set_xlim(-0.02 * found.seconds, 1.02 * found.seconds)
    axes.set_ylim(low, high)
    for edge in panel.edges:
        axes.axhspan(
            *((edge.value, high) if edge.above else (low, edge.value)), color=FORBIDDEN, alpha=0.12, linewidth=0
        )
        axes.axhline(edge.value, color=INK, linewidth=1.8, linestyle=(0, (2, 1)))
        inside = (edge.value - low) / (high - low)
        up = inside < 0.75
        axes.text(
            0.04, inside + (0.03 if up else -0.03), edge.label, transform=axes.transAxes, fontsize=SMALL - 1, color=INK,
            ha="left", va="bottom" if up else "top", parse_math=False,
        )  # fmt: skip
    _steps(axes, found, named=index == 0)
    lines: dict[str, dict[str, Any]] = {
        "champion": {"color": CHAMPION, "linestyle": (0, (3, 1.5))},
        "candidate": {"color": MARKS["passed"].colour},
    }
    for value, style in lines.items():
        known = [(each.at, getattr(each, value)) for each in panel.points if getattr(each, value) is not None]
        axes.plot([at for at, _ in known], [number for _, number in known], linewidth=2.3, zorder=3, **style)
    for point in panel.points:
        _mark(axes, point, low, high, len(panel.points))
    _scales(axes, found, panel, (low, high), last=index == len(found.panels) - 1)


def _ends(panel: Panel) -> tuple[float, float]:
    known = [value for each in panel.points for value in (each.candidate, each.champion) if value is not None]
    known += [edge.value for edge in panel.edges]
    if not known:
        return 0.0, 1.0
    low, high = min(known), max(known)
    if 0 <= low <= high / 2:
        low = 0.0
    width = high - low or abs(high) or 1.0
    return low - (0.06 if low == 0 else 0.15) * width, high + 0.3 * width


def _steps(axes: Any, found: Timeline, named: bool) -> None:
    for index, step in enumerate(found.steps):
        axes.axvline(step.at, color=SOFT, linewidth=1.2, linestyle=(0, (1, 1.5)), zorder=1)
        near = index + 1 < len(found.steps) and found.steps[index + 1].at - step.at < 0.1 * found.seconds
        late = step.at > 0.9 * found.seconds
        if named and not near:
            axes.text(
                step.at, 0.98, f"{step.traffic} % " if late else f" {step.traffic} %", transform=axes.get_xaxis_transform(),
                fontsize=SMALL - 1, color=SOFT, va="top", ha="right" if late else "left",
            )  # fmt: skip


def _mark(axes: Any, point: Point, low: float, high: float, count: int) -> None:
    mark = MARKS.get(point.outcome, MARKS[""])
    size = (5 if count < 60 else 3) if point.outcome == "passed" else 10
    y = point.candidate if point.candidate is not None else low + 0.06 * (high - low)
    axes.plot(
        [point.at], [y], marker=mark.marker, markersize=size, color=mark.colour, markeredgecolor="white",
        markeredgewidth=0.6, zorder=5, clip_on=False,
    )  # fmt: skip


def _scales(axes: Any, found: Timeline, panel: Panel, ends: tuple[float, float], last: bool) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
    ticks = _few(*ends)
    axes.set_yticks(ticks, [shown(tick, share=panel.share, in_unit=panel.unit) for tick in ticks], fontsize=SMALL - 1)
    moments = [0.0, found.seconds / 2, found.seconds]
    axes.set_xticks(moments, ["start", *map(spoken_time, moments[1:])] if last else [""] * 3, fontsize=SMALL)
    axes.tick_params(length=0, colors=SOFT, pad=6)
    labels = axes.get_xticklabels()
    labels[0].set_ha("left")
    labels[-1].set_ha("right")
    axes.grid(axis="y", color=FAINT, linewidth=0.6, zorder=0)


def _few(low: float, high: float) -> list[float]:
    """Two or three round numbers."""
    from matplotlib.ticker import MaxNLocator

    found = [float(f"{each:.6g}") for each in MaxNLocator(nbins=3, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)]
    return [each for each in found if low <= each <= high]
