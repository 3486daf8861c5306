"""The metric table of a card, and what the numbers in it come to: what stops it first, then the worst change. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bot.slack.blocks.text import escape, plain
from core.domain.model import ModelVersion, Outcome, Verdict
from core.policy.gates import NO_GATES
from core.policy.numbers import number

#: Keeps a mark on the line of what it marks.
NO_BREAK = "\u00a0"


@dataclass(frozen=True)
class Row:
    """One metric and slice, with every gate that holds it, and the two numbers side by side; None is no data."""

    verdicts: tuple[Verdict, ...]
    candidate: float | None
    champion: float | None

    @property
    def change(self) -> float | None:
        """Candidate minus champion."""
        return None if self.candidate is None or self.champion is None else self.candidate - self.champion

    @property
    def goodness(self) -> float:
        """Relative change in the direction of better; negative is worse."""
        change = (self.change or 0.0) / abs(self.champion or 1.0)
        return -change if any(_lower_is_better(each) for each in self.verdicts) else change

    @property
    def compared(self) -> bool:
        """True where a gate holds it against the champion."""
        return any(each.change is not None for each in self.verdicts)

    @property
    def worst(self) -> Verdict:
        """The verdict that matters most."""
        return min(self.verdicts, key=_importance)


def judged(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts of gates: where the policy has none, there is one verdict that says just that."""
    return [each for each in verdicts if each.gate != NO_GATES.gate]


def mark(verdict: Verdict) -> str:
    """What stands before a verdict; only what a gate let pass is green, and only what decides is red."""
    if verdict.gate == NO_GATES.gate:
        return "⚠️"
    if verdict.outcome is Outcome.PASSED:
        return "✅"
    if verdict.outcome is Outcome.INCONCLUSIVE:
        return "❓"
    return "⚠️" if verdict.advisory else "❌"


def by_importance(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """What stops it first, then what only warns."""
    return sorted(verdicts, key=_importance)


def lacks_data(verdict: Verdict) -> bool:
    """True when there was nothing to judge."""
    return verdict.outcome is Outcome.INCONCLUSIVE and verdict.candidate is None


def rows(verdicts: Sequence[Verdict], champion: ModelVersion | None) -> list[Row]:
    """One row a metric and slice, however many gates hold it: what stops it first, then the worst change first."""
    grouped: dict[tuple[str, str, str], list[Verdict]] = {}
    for verdict in verdicts:
        if verdict.metric:
            grouped.setdefault((verdict.model, verdict.metric, verdict.slice), []).append(verdict)
    found = [_row(each, champion) for each in grouped.values()]
    return sorted(
        found, key=lambda row: (*_importance(row.worst), not (row.compared and row.goodness < 0), row.goodness)
    )


def _row(verdicts: list[Verdict], champion: ModelVersion | None) -> Row:
    first = verdicts[0]
    mine = next((v.candidate for v in verdicts if v.candidate is not None), None)
    theirs = next((v.champion for v in verdicts if v.champion is not None), None)
    if theirs is None and champion is not None:
        theirs = next(
            (m.value for m in champion.measurements if (m.name, m.slice) == (first.metric, first.slice)), None
        )
    return Row(tuple(verdicts), mine, theirs)


def _lower_is_better(verdict: Verdict) -> bool:
    return verdict.lower_is_better or (verdict.threshold.startswith("≤") and "≥" not in verdict.threshold)


def _importance(verdict: Verdict) -> tuple[bool, bool, int]:
    order = {Outcome.FAILED: 0, Outcome.INCONCLUSIVE: 1, Outcome.PASSED: 2}
    return not verdict.decides, verdict.outcome is Outcome.PASSED, order[verdict.outcome]


def biggest_change(found: Sequence[Row]) -> str:
    """The change that matters most, as mrkdwn; "" without a comparison.

    The worst of those that a gate compares, else the worst, else the best.
    """
    compared = [row for row in found if row.change is not None]
    if not compared:
        return ""
    worse = [row for row in compared if row.goodness < 0]
    if worse:
        return f"Worst change: {_in_words(min(worse, key=lambda row: (not row.compared, row.goodness)))}, worse)"
    best = max(compared, key=lambda row: row.goodness)
    if best.goodness == 0:
        return "No number changed."
    return f"Nothing got worse. {_in_words(best)}, better)"


def _in_words(row: Row) -> str:
    first = row.verdicts[0]
    where = f" on {escape(first.slice, 60)}" if first.slice else ""
    numbers = f"{number(row.candidate)} against {number(row.champion)}"
    of = f"{escape(first.model, 60)} " if first.model else ""
    return f"{of}*{escape(first.metric, 60)}*{where} {numbers} ({signed(row.change)}"


def signed(change: float | None) -> str:
    """A change with its sign; "no data" for none."""
    if change is None:
        return "no data"
    return "±0" if change == 0 else f"{'+' if change > 0 else '−'}{number(abs(change), 2)}"


def metric_table(candidate: ModelVersion, champion: ModelVersion | None, found: Sequence[Row]) -> dict[str, Any]:
    """A native table, whose cells read no markup; missing says "no data".

    Metric, champion, candidate, change, gate. While nobody serves there is nothing to compare, so two columns less: a
    phone is narrow.
    """
    mine = f"Candidate {plain(candidate.version, 20)}"
    head = ["Metric", f"Champion {plain(champion.version, 20)}", mine, "Change", "Gate"] if champion else None
    lines = [cells(*(head or ["Metric", mine, "Gate"])), *(_line(row, champion is not None) for row in found)]
    numbers = [{"align": "right", "is_wrapped": True}] * (len(lines[0]) - 2)
    return {"type": "table", "rows": lines, "column_settings": [{"is_wrapped": True}, *numbers, {"is_wrapped": False}]}


def _line(row: Row, beside: bool) -> list[dict[str, str]]:
    first = row.verdicts[0]
    where = f" ({plain(first.slice, 40)})" if first.slice else ""
    of = f"{plain(first.model, 40)} " if first.model else ""
    name = f"{mark(row.worst)}{NO_BREAK}{of}{plain(first.metric, 40)}{where}"
    gates = ", ".join(f"{plain(v.threshold, 40)}{' (advisory)' if v.advisory else ''}" for v in row.verdicts)
    theirs, change = ([number(row.champion)], [signed(row.change)]) if beside else ([], [])
    return cells(name, *theirs, number(row.candidate), *change, gates)


def cells(*texts: str) -> list[dict[str, str]]:
    """One row of a table; an empty text is a dash."""
    return [{"type": "raw_text", "text": text or "–"} for text in texts]
