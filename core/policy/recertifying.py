"""What lets a champion serve on: the stage's bounds, held against measurements that are fresh. Pure.

What compares with the champion says nothing here: it is the champion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from core.domain.model import Measurement, ModelVersion, Outcome, Verdict
from core.policy import gates
from core.policy.stages import MetricGate, Stage


def judge(stage: Stage, champion: ModelVersion, fresh: Sequence[Measurement]) -> tuple[Verdict, ...]:
    """One verdict for each bound of the stage; where it has none, whether anything was measured at all."""
    bounds = [
        gate.model_copy(update={"compared_to": None, "no_worse_by": 0.0, "first": "allow"})
        for gate in stage.gates
        if isinstance(gate, MetricGate) and (gate.at_least is not None or gate.at_most is not None)
    ]
    if not fresh:
        said = f"Version {champion.version} has no fresh measurements."
        return (Verdict("fresh measurements", Outcome.INCONCLUSIVE, said),)
    if not bounds:
        count = f"{len(fresh)} fresh measurement{'s' if len(fresh) > 1 else ''}"
        return (Verdict("fresh measurements", Outcome.PASSED, f"There are {count}; the stage has no bounds for them."),)
    return gates.evaluate(bounds, replace(champion, measurements=tuple(fresh)), None)
