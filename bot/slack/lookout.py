"""Whether the cards of what is under way are still there: nobody tells Baton that one was deleted, or that it was shut out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.slack import refusals
from bot.slack.pacing import EVERYTHING, Pace
from core.store import messages as store
from core.store.database import Database

#: How many cards are looked for at once; Slack allows hundreds a minute.
LOOKED_FOR = 4


class Lookout:
    """Looks for a few cards at a time, the newest first; `doubt` is told of promotions whose card is not where it was."""

    def __init__(self, database: Database, client: WebClient, pace: Pace, doubt: Callable[[int], None]) -> None:
        self._database = database
        self._client = client
        self._pace = pace
        self._doubt = doubt
        self._left: deque[tuple[int, str, str]] = deque()
        self._doubted: set[tuple[str, str]] = set()

    def look(self) -> None:
        """Look for the next few; once a round, the database says which there are."""
        if not self._left:
            with self._database.read() as session:
                self._left.extend(store.standing(session))
        for _ in range(min(LOOKED_FOR, len(self._left))):
            if self._pace.held(EVERYTHING):
                return
            promotion_id, channel, ts = self._left.popleft()
            # Each place is doubted once: where Slack shows us less than it lets us edit, the edit has settled it.
            if (channel, ts) not in self._doubted and self._missing(channel, ts):
                self._doubted.add((channel, ts))
                self._doubt(promotion_id)

    def _missing(self, channel: str, ts: str) -> bool:
        try:
            self._client.chat_getPermalink(channel=channel, message_ts=ts)
        except SlackApiError as error:
            code = refusals.code_of(error)
            return code in refusals.DELETED or code in refusals.UNREACHABLE
        except OSError:
            return False  # whether Slack answers at all is asked elsewhere
        return False
