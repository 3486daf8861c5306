"""Looking features up for promotions. A clock wakes `tick`; what is due stands in the database, so any process may
run it. Nothing is asked inside a transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from core.domain.model import Outcome, State
from core.evaluation import PATIENCE
from core.policy.features import Wanted
from core.promotions import Promotions
from core.sources.feast import FeastSource, Finding, Unanswered
from core.store import feature_tables, messages
from core.store import promotions as store
from core.store.feature_tables import FeatureLookRow
from core.sweeps import one_by_one

AT_ONCE = 50
FIRST_PAUSE, LONGEST_PAUSE = 5, 60


class FeatureLooks:
    """Shares its collaborators with `Promotions`; `stores` are the policy's feature stores by name."""

    def __init__(self, promotions: Promotions, stores: Mapping[str, FeastSource]) -> None:
        self.promotions = promotions
        self.database = promotions.database
        self.stores = stores

    def tick(self, now: datetime) -> list[int]:
        """Ask everything that is due; the promotions that it was asked for."""
        with self.database.read() as session:
            due = feature_tables.due(session, now, AT_ONCE)
        one_by_one(due, lambda each: self._look(*each, now), "features could not be looked up (promotion, key): %s")
        return list(dict.fromkeys(promotion_id for promotion_id, _ in due))

    def _look(self, promotion_id: int, key: str, now: datetime) -> None:
        with self.database.note() as session:
            asked = feature_tables.claim(session, promotion_id, key, now)
        if asked is None:
            return
        found = self._ask(asked, now)
        with self.database.change() as session:
            promotion = store.row(session, promotion_id, lock=True)
            row = session.get_one(FeatureLookRow, (promotion_id, key))
            row.claimed_until = None
            if promotion.state not in (State.EVALUATING, State.APPROVED):
                row.due_at = None  # nobody waits for it any more
                return
            if isinstance(found, Finding):
                row.outcome, row.sentence, row.at, row.due_at, row.trouble = (
                    found.outcome.value, found.sentence, now, None, "",
                )  # fmt: skip
            else:
                self._not_answered(row, found, now, State(promotion.state))
            session.flush()
            if promotion.state == State.EVALUATING:
                self.promotions.evaluation.resume(session, promotion, now)
                messages.card_stale(session, promotion.id, now)

    def _ask(self, asked: Wanted, now: datetime) -> Finding | str:
        """What was found; or why nothing was."""
        source = self.stores.get(asked.source)
        if source is None:
            return f"the policy has no source {asked.source} any more"
        try:
            return source.look(asked, now)
        except Unanswered as reason:
            return str(reason)

    def _not_answered(self, row: FeatureLookRow, why: str, now: datetime, state: State) -> None:
        row.tries += 1
        row.trouble = f"{why[:1].upper()}{why[1:]}; it is asked again."
        row.due_at = now + timedelta(seconds=min(FIRST_PAUSE * 2 ** min(row.tries - 1, 6), LONGEST_PAUSE))
        if state is State.EVALUATING and now - row.wanted_at >= PATIENCE:
            row.outcome, row.at, row.due_at = Outcome.INCONCLUSIVE.value, now, None
            row.sentence = f"Feature service {row.service} could not be looked up: {why}, {row.tries} times."
            row.trouble = ""
