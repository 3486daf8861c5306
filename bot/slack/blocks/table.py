"""The metric table of a card: one row a metric, what stops it first, then the worst change. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.slack.blocks.text import plain
from core.domain.model import ModelVersion, Outcome, Verdict
from core.policy.numbers import number

ICONS = {Outcome.PASSED: "✅", Outcome.FAILED: "❌", Outcome.INCONCLUSIVE: "❔"}


def goodness(verdict: Verdict) -> float:
    """Relative change in the direction of better; negative is worse."""
    change = (verdict.change or 0.0) / abs(verdict.champion or 1.0)
    return -change if verdict.lower_is_better else change


def signed(change: float | None) -> str:
    """A change with its sign; "–" for none."""
    if change is None:
        return "–"
    return "±0" if change == 0 else f"{'+' if change > 0 else '−'}{number(abs(change), 2)}"


def rows(verdicts: Sequence[Verdict]) -> list[list[Verdict]]:
    """One row a metric and slice, however many gates hold it: what stops it first, then the worst change first."""
    grouped: dict[tuple[str, str], list[Verdict]] = {}
    for verdict in verdicts:
        if verdict.metric:
            grouped.setdefault((verdict.metric, verdict.slice), []).append(verdict)
    return sorted(grouped.values(), key=lambda row: min(_importance(verdict) for verdict in row))


def _importance(verdict: Verdict) -> tuple[bool, int, bool, float]:
    order = {Outcome.FAILED: 0, Outcome.INCONCLUSIVE: 1, Outcome.PASSED: 2}
    return not verdict.decides, order[verdict.outcome], verdict.advisory, goodness(verdict)


def metric_table(candidate: ModelVersion, champion: ModelVersion | None, rows: list[list[Verdict]]) -> dict[str, Any]:
    """Metric, champion, candidate, change, gate: a native table, whose cells read no markup; missing says "no data"."""
    head = f"Champion {plain(champion.version, 12)}" if champion else "No champion"
    cells = [_cells("Metric", head, f"Candidate {plain(candidate.version, 12)}", "Change", "Gate")]
    cells += [_row(row, champion) for row in rows]
    settings = [{"is_wrapped": True}, *({"align": "right"} for _ in range(3)), {"is_wrapped": True}]
    return {"type": "table", "rows": cells, "column_settings": settings}


def _row(verdicts: list[Verdict], champion: ModelVersion | None) -> list[dict[str, str]]:
    first = verdicts[0]
    mine = next((v.candidate for v in verdicts if v.candidate is not None), None)
    theirs = next((v.champion for v in verdicts if v.champion is not None), None)
    if theirs is None and champion is not None:
        theirs = next(
            (m.value for m in champion.measurements if (m.name, m.slice) == (first.metric, first.slice)), None
        )
    change = mine - theirs if mine is not None and theirs is not None else None
    worst = min(verdicts, key=_importance)
    name = f"{ICONS[worst.outcome]} {plain(first.metric, 40)}" + (f" ({plain(first.slice, 40)})" if first.slice else "")
    gates = ", ".join(f"{plain(v.threshold, 40)}{' (advisory)' if v.advisory else ''}" for v in verdicts)
    return _cells(name, number(theirs) if champion else "–", number(mine), signed(change), gates)


def _cells(*texts: str) -> list[dict[str, str]]:
    return [{"type": "raw_text", "text": text or "–"} for text in texts]
