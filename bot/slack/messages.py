"""The one writer of Slack. What is to be shown stands in the `messages` table; here it is rendered from the database
and posted or edited, again and again until Slack has said yes.

Level-triggered: writing a message twice is harmless, since it is rendered from the truth each time. A post whose answer
was lost is looked for (by its metadata) before it is repeated.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from core.policy.schema import Policy
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from sqlalchemy.exc import SQLAlchemyError

from bot.slack.blocks.card import Awaited, Message, card
from bot.slack.blocks.story import direct, line
from bot.slack.identity import SlackDirectory
from core.ports import Clock
from core.store import messages as store
from core.store import promotions
from core.store.database import Database
from core.store.tables import AuditEvent

log = logging.getLogger(__name__)

EVENT_TYPE = "baton_message"
#: Slack lets an app post about once a second into one channel, with short bursts.
BURST, PER_SECOND = 3.0, 1.0
#: However often Slack failed, it is asked again this soon: a card must be true again within 5 s of a fault's end.
LONGEST_WAIT = 4.0
#: Answers that mean that the message which was to be edited is gone.
GONE = ("message_not_found", "cant_update_message", "edit_window_closed")
#: Failures after which a post may have happened all the same.
UNCLEAR = ("fatal_error", "internal_error", "request_timeout", "service_unavailable")


class Pace:
    """A token bucket for each channel: how long until the next post may go out."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._now = monotonic
        self._buckets: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def wait(self, channel: str) -> float:
        """Seconds to wait before posting to `channel`; 0.0 takes the turn."""
        with self._lock:
            tokens, at = self._buckets.get(channel, (BURST, self._now()))
            tokens = min(BURST, tokens + (self._now() - at) * PER_SECOND)
            if tokens < 1.0:
                self._buckets[channel] = (tokens, self._now())
                return (1.0 - tokens) / PER_SECOND
            self._buckets[channel] = (tokens - 1.0, self._now())
            return 0.0


class Messages:
    """Keeps every message true. `kick` after a change, `sweep` on a clock; both are safe from any thread."""

    def __init__(
        self,
        database: Database,
        client: WebClient,
        directory: SlackDirectory,
        policy: Policy,
        clock: Clock,
        render_digest: Callable[[str, str], Message],
        on_error: Callable[[str, str], None],
        workers: int = 4,
    ) -> None:
        self.database = database
        self.client = client
        self.directory = directory
        self.policy = policy
        self.clock = clock
        self.render_digest = render_digest
        self.on_error = on_error
        self.pace = Pace()
        self._queues: list[queue.Queue[int | None]] = [queue.Queue() for _ in range(workers)]
        self._threads = [
            threading.Thread(target=self._work, args=(mine,), name=f"messages-{n}", daemon=True)
            for n, mine in enumerate(self._queues)
        ]

    def start(self) -> None:
        """Start the writers."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        """Finish the message at hand, leave the rest to the next start."""
        for mine in self._queues:
            mine.put(None)
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout)

    def kick(self, promotion_id: int) -> None:
        """Show a promotion's change soon. One worker a promotion, so that its thread keeps its order."""
        self._queues[promotion_id % len(self._queues)].put(promotion_id)

    def sweep(self) -> None:
        """Hand whatever is stale and due to the writers; the safety net under `kick`, and the retry."""
        with self.database.read() as session:
            due = store.due_subjects(session, self.clock())
        for subject in due:
            self._queues[subject % len(self._queues)].put(subject)

    def refresh(self, subject: int) -> None:
        """Write all stale messages of a promotion (for a negative number, the one message that belongs to none), in order."""
        with self.database.read() as session:
            ids = store.stale_of(session, subject) if subject > 0 else [-subject]
        for message_id in ids:
            if not self._write(message_id):
                return  # what comes after must wait: a thread line needs its card, and lines keep their order

    # -- one message -------------------------------------------------------------------------------------------

    def _work(self, mine: queue.Queue[int | None]) -> None:
        while (subject := mine.get()) is not None:
            try:
                self.refresh(subject)
            except SQLAlchemyError:
                log.exception("messages: the database did not answer; the next sweep tries again")
            except Exception:  # the outermost loop of a writer: one bad message must not stop the others
                log.exception("messages: subject %s could not be written", subject)
                self.on_error("render", "exception")

    def _write(self, message_id: int) -> bool:
        """True when the message is on show now (or somebody else is at it no more)."""
        now = self.clock()
        with self.database.note() as session:
            claimed = store.claim(session, message_id, now)
        if claimed is None:
            return False
        place = self._place(claimed)
        if place is None:
            return self._put_off(claimed, 1.0, "its card is not posted yet", lost_answer=False)
        wait = 0.0 if claimed.ts else self.pace.wait(claimed.channel)
        if wait:
            return self._put_off(claimed, wait, claimed_error(claimed), lost_answer=claimed.posting_since is not None)
        try:
            return self._send(claimed, place, self._render(claimed), now)
        except SlackApiError as error:
            return self._failed(claimed, error)
        except OSError as error:  # timeouts, refused and broken connections
            self.on_error("chat.update" if claimed.ts else "chat.postMessage", type(error).__name__)
            return self._put_off(
                claimed, _backoff(claimed), f"{type(error).__name__}: {error}", lost_answer=not claimed.ts
            )

    def _place(self, claimed: store.Claim) -> dict[str, Any] | None:
        """Where a message belongs; None for a thread line whose card is not there yet."""
        if claimed.kind != "thread":
            return {"channel": claimed.posted_channel or claimed.channel}
        with self.database.read() as session:
            found = store.card_place(session, claimed.promotion_id or 0)
        return {"channel": found[0], "thread_ts": found[1]} if found else None

    def _render(self, claimed: store.Claim) -> Message:
        if claimed.kind == "digest":
            return self.render_digest(claimed.channel, claimed.body["day"])
        with self.database.read() as session:
            view = promotions.load(session, claimed.promotion_id or 0)
            if claimed.kind == "thread":
                event = session.get_one(AuditEvent, claimed.body["seq"])
                return Message(text=line(event, view), blocks=[])
            if claimed.kind == "direct":
                found = store.card_place(session, view.id)
                return direct(view, found[0] if found else "")
        guarded = view.stage == self.policy.stage_names[-1]
        return card(view, self.awaited(view.tally.seats if view.tally else ()), guarded)

    def awaited(self, seats: Any) -> Awaited:
        """Who may fill the seats, by id, as far as Slack said."""
        return Awaited(
            {
                s.group: tuple(p.id for p in self.directory.members(list(self.policy.groups.get(s.group, []))))
                for s in seats
            }
        )

    def _send(self, claimed: store.Claim, place: dict[str, Any], message: Message, now: datetime) -> bool:
        content: dict[str, Any] = {"text": message.text}
        if message.blocks:
            content["blocks"] = message.blocks
        if claimed.ts:
            self.client.chat_update(channel=claimed.posted_channel, ts=claimed.ts, **content)
            return self._shown(claimed, claimed.posted_channel, claimed.ts)
        if claimed.posting_since is not None:
            found = self._look_for(claimed, place)
            if found is not None:
                self.client.chat_update(channel=found[0], ts=found[1], **content)
                return self._shown(claimed, *found)
        with self.database.note() as session:
            store.posting(session, claimed, now)
        answer = self.client.chat_postMessage(
            **place,
            **content,
            unfurl_links=False,
            unfurl_media=False,
            metadata={"event_type": EVENT_TYPE, "event_payload": {"key": claimed.key}},
        )
        return self._shown(claimed, str(answer["channel"]), str(answer["ts"]))

    def _shown(self, claimed: store.Claim, channel: str, ts: str) -> bool:
        with self.database.note() as session:
            store.shown(session, claimed, channel, ts)
        return True

    def _look_for(self, claimed: store.Claim, place: dict[str, Any]) -> tuple[str, str] | None:
        """Where a post whose answer was lost ended up, if it did."""
        channel = self._channel_id(place["channel"])
        if channel is None or claimed.posting_since is None:
            return None
        asked: dict[str, Any] = {
            "channel": channel,
            "oldest": f"{(claimed.posting_since - timedelta(seconds=60)).timestamp():.6f}",
            "include_all_metadata": True,
            "limit": 200,
        }
        if "thread_ts" in place:
            found = self.client.conversations_replies(ts=place["thread_ts"], **asked)
        else:
            found = self.client.conversations_history(**asked)
        for message in found.get("messages") or []:
            metadata = message.get("metadata") or {}
            if metadata.get("event_type") == EVENT_TYPE and metadata.get("event_payload", {}).get("key") == claimed.key:
                return channel, str(message["ts"])
        return None

    def _channel_id(self, channel: str) -> str | None:
        if channel.startswith(("U", "W")):
            opened = self.client.conversations_open(users=channel)
            return str((opened.get("channel") or {}).get("id") or "") or None
        if not channel.startswith("#"):
            return channel
        cursor = ""
        while True:
            listed = self.client.conversations_list(types="public_channel,private_channel", limit=1000, cursor=cursor)
            for each in listed.get("channels") or []:
                if each.get("name") == channel.removeprefix("#"):
                    return str(each["id"])
            cursor = (listed.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                return None

    def _failed(self, claimed: store.Claim, error: SlackApiError) -> bool:
        code = str(error.response.get("error") or error.response.status_code)
        method = "chat.update" if claimed.ts else "chat.postMessage"
        self.on_error(method, code)
        if claimed.ts and code in GONE:
            log.warning("messages: %s was deleted in Slack; it is posted anew", claimed.key)
            with self.database.note() as session:
                store.repost(session, claimed, self.clock())
            return False
        after = error.response.headers.get("Retry-After") if error.response.headers else None
        unclear = not claimed.ts and (code in UNCLEAR or error.response.status_code >= 500)
        log.log(
            logging.INFO if code == "ratelimited" else logging.WARNING,
            "messages: Slack answered %s to %s for %s", code, method, claimed.key,
        )  # fmt: skip
        return self._put_off(
            claimed, float(after) if after else _backoff(claimed), code, unclear or claimed.posting_since is not None
        )

    def _put_off(self, claimed: store.Claim, seconds: float, error: str, lost_answer: bool) -> bool:
        with self.database.note() as session:
            store.put_off(session, claimed, self.clock() + timedelta(seconds=seconds), error, lost_answer)
        return False


def claimed_error(claimed: store.Claim) -> str:
    """What stands in `last_error` while a message only waits for its turn."""
    return "waits for its turn" if claimed.attempts <= 1 else "waits for its turn after a failure"


def _backoff(claimed: store.Claim) -> float:
    return min(LONGEST_WAIT, 0.5 * 2 ** min(claimed.attempts, 6))


def utc_now() -> datetime:
    """The clock."""
    return datetime.now(UTC)
