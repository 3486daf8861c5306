"""What a changed policy would have made of past promotions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from core.policy.bundles import ruled
from core.policy.schema import Policy
from core.policy.whatif import Judged, judge
from core.store import past
from core.store.database import Database
from core.store.registry import model_row

#: So many are read at a time: memory stays the same, however many there are.
CHUNK = 500


def judge_past(
    database: Database, policy: Policy, now: datetime, since: datetime | None = None, model: str = "", limit: int = 500
) -> Iterator[Judged]:
    """Past promotions, newest first, as `policy` would have judged them. Nobody judges rollbacks, so they are left out.

    Raises `NotFound` for a model that there is not.
    """
    with database.read() as session:
        model_id = model_row(session, model).id if model else None
        beside = past.reigns(session, ruled(policy.bundles))
    before = None
    while limit > 0:
        with database.read() as session:
            found = past.promotions(session, before, since, model_id, min(limit, CHUNK), beside)
        yield from (judge(policy, each, now) for each in found)
        if len(found) < CHUNK:
            return
        before, limit = found[-1].id, limit - len(found)
