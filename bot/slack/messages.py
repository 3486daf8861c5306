"""The one writer of Slack. What is to be shown stands in the `messages` table; here it is rendered from the database
and posted or edited, again and again until Slack has said yes.

Level-triggered: writing a message twice is harmless, since it is rendered from the truth each time. A post whose answer
was lost is looked for (by its metadata) before it is repeated.
"""

from __future__ import annotations

import itertools
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from sqlalchemy.exc import SQLAlchemyError

from bot.slack.blocks.card import Awaited, Message, card
from bot.slack.blocks.story import direct, line
from bot.slack.blocks.text import clip_markup
from bot.slack.identity import SlackDirectory
from core.domain.views import PromotionView
from core.policy import approvals
from core.policy.schema import Policy, Stage
from core.ports import Clock
from core.store import messages as store
from core.store import promotions
from core.store.database import Database
from core.store.tables import AuditEvent

log = logging.getLogger(__name__)

EVENT_TYPE = "baton_message"
#: Slack lets an app post about once a second into one channel, with short bursts. A thread leaves one turn for a card.
BURST, PER_SECOND, KEPT_FOR_CARDS = 4.0, 1.0, 1.0
#: Lines of a story that go out in one message, and how long it may be (Slack advises 4,000 characters).
LINES, STORY = 12, 3800
#: However often Slack failed, it is asked again this soon: a card must be true again within 5 s of a fault's end.
LONGEST_WAIT = 4.0
#: Answers that mean that the message which was to be edited is gone.
GONE = ("message_not_found", "cant_update_message", "edit_window_closed")
#: Failures after which a post may have happened all the same.
UNCLEAR = ("fatal_error", "internal_error", "request_timeout", "service_unavailable")


#: Slack limits edits by the workspace, posts by the channel; this names the former where the latter names a channel.
EDITS = ""


class Pace:
    """A token bucket for each channel: how long until the next post may go out; and what Slack asked us to wait for."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._now = monotonic
        self._buckets: dict[str, tuple[float, float]] = {}
        self._held: dict[str, float] = {}
        self._lock = threading.Lock()

    def hold(self, what: str, seconds: float) -> None:
        """Slack said 429: no more posts to this channel (or `EDITS`) until then, whoever wants them."""
        with self._lock:
            self._held[what] = max(self._held.get(what, 0.0), self._now() + seconds)

    def held(self, what: str) -> float:
        """For how many seconds still."""
        with self._lock:
            return max(0.0, self._held.get(what, 0.0) - self._now())

    def wait(self, channel: str, kept: float = 0.0) -> float:
        """Seconds to wait before posting to `channel` so that `kept` turns are left; 0.0 takes the turn."""
        if held := self.held(channel):
            return held
        with self._lock:
            tokens, at = self._buckets.get(channel, (BURST, self._now()))
            tokens = min(BURST, tokens + (self._now() - at) * PER_SECOND)
            if tokens < 1.0 + kept:
                self._buckets[channel] = (tokens, self._now())
                return (1.0 + kept - tokens) / PER_SECOND
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
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._waiting: set[int] = set()  #: who stands in a queue already
        self._queues: list[queue.Queue[int | None]] = [queue.Queue() for _ in range(workers)]
        self._threads = [
            threading.Thread(target=self._work, args=(mine,), name=f"messages-{n}", daemon=True)
            for n, mine in enumerate(self._queues)
        ]

    def start(self) -> None:
        """Start the writers. On SQLite there is only one process: whoever was at a message before is dead."""
        if self.database.dialect == "sqlite":
            with self.database.note() as session:
                store.release(session)
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        """Finish the message at hand, leave the rest to the next start."""
        self._stopping.set()
        for mine in self._queues:
            mine.put(None)
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout)

    def kick(self, subjects: Iterable[int]) -> None:
        """Show changes soon. One worker a promotion, so that its thread keeps its order."""
        with self._lock:
            news = [subject for subject in subjects if subject not in self._waiting]
            self._waiting.update(news)
        for subject in news:
            self._queues[subject % len(self._queues)].put(subject)

    def sweep(self) -> None:
        """Hand whatever is stale and due to the writers; the safety net under `kick`, and the retry."""
        with self.database.read() as session:
            due = store.due_subjects(session, self.clock())
        self.kick(due)

    def refresh(self, subject: int) -> None:
        """Write all stale messages of a promotion; for a negative number, the one message that belongs to none."""
        if subject < 0:
            self._write(-subject)
            return
        with self.database.read() as session:
            cards, lines, directs = store.stale_of(session, subject)
        for message_id in [*cards, *directs]:
            self._write(message_id)
        if lines:
            self._write_story(lines[:LINES])
            if len(lines) > LINES:
                self.kick([subject])

    # -- one message -------------------------------------------------------------------------------------------

    def _work(self, mine: queue.Queue[int | None]) -> None:
        while (subject := mine.get()) is not None and not self._stopping.is_set():
            with self._lock:
                self._waiting.discard(subject)
            try:
                self.refresh(subject)
            except SQLAlchemyError:
                log.exception("messages: the database did not answer; the next sweep tries again")
            except Exception:  # the outermost loop of a writer: one bad message must not stop the others
                log.exception("messages: subject %s could not be written", subject)
                self.on_error("render", "exception")

    def _write(self, message_id: int) -> None:
        now = self.clock()
        with self.database.note() as session:
            claimed = store.claim(session, message_id, now)
        if claimed is None:
            return  # shown meanwhile, or somebody else is at it
        wait = self.pace.held(EDITS) if claimed.ts else self.pace.wait(claimed.channel)
        if wait:
            self._put_off([claimed], wait, "waits for its turn", lost_answer=claimed.posting_since is not None)
            return
        with self._failing([claimed]):
            self._send(claimed, self._render(claimed), now)

    def _write_story(self, ids: list[int]) -> None:
        """What happened since the thread was written last, in one message and in order."""
        now = self.clock()
        with self.database.note() as session:
            # An earlier line that somebody else is at must come first, so nothing after it is taken.
            claims = list(itertools.takewhile(bool, (store.claim(session, each, now) for each in ids)))
        lines = [claimed for claimed in claims if claimed is not None]
        if not lines:
            return
        with self.database.read() as session:
            place = store.card_place(session, lines[0].promotion_id or 0)
        lost = any(claimed.posting_since for claimed in lines)
        wait = 1.0 if place is None else self.pace.wait(lines[0].channel, KEPT_FOR_CARDS)
        if place is None or wait:
            self._put_off(
                lines, wait, "waits for its turn" if place else "its card is not posted yet", lost_answer=lost
            )
            return
        with self._failing(lines):
            self._post_story(lines, *place, now)

    def _post_story(self, lines: list[store.Claim], channel: str, card_ts: str, now: datetime) -> None:
        if any(claimed.posting_since for claimed in lines):
            found = self._find(lines, channel, thread_ts=card_ts)
            self._shown_all((claimed, channel, found[claimed.key]) for claimed in lines if claimed.key in found)
            lines = [claimed for claimed in lines if claimed.key not in found]
        if not lines:
            return
        with self.database.read() as session:
            view = promotions.load(session, lines[0].promotion_id or 0)
            told = [line(session.get_one(AuditEvent, claimed.body["seq"]), view) for claimed in lines]
        fitting = _fitting(told)
        if fitting < len(lines):
            self._put_off(lines[fitting:], 1.0, "waits for the lines before it", lost_answer=False)
            lines, told = lines[:fitting], told[:fitting]
        text = clip_markup("\n".join(told), STORY)
        answer = self._post(lines, Message(text=text, blocks=[]), now, channel=channel, thread_ts=card_ts)
        self._shown_all((claimed, channel, answer[1]) for claimed in lines)

    def _render(self, claimed: store.Claim) -> Message:
        if claimed.kind == "digest":
            return self.render_digest(claimed.channel, claimed.body["day"])
        with self.database.read() as session:
            view = promotions.load(session, claimed.promotion_id or 0)
            place = store.card_place(session, view.id)
        if claimed.kind == "direct":
            return direct(view, place[0] if place else "")
        guarded = view.stage == self.policy.stage_names[-1]
        return card(view, self.awaited(view), guarded)

    def awaited(self, view: PromotionView) -> Awaited:
        """Who may fill the seats, by id, as far as Slack said."""
        return awaited_by(self.directory, self.policy, view)

    def _send(self, claimed: store.Claim, message: Message, now: datetime) -> None:
        channel, ts = claimed.posted_channel, claimed.ts
        if not ts and claimed.posting_since is not None:
            channel = self._channel_id(claimed.channel) or ""
            ts = self._find([claimed], channel).get(claimed.key, "") if channel else ""
        if ts:
            self.client.chat_update(channel=channel, ts=ts, **_content(message))
        else:
            channel, ts = self._post([claimed], message, now, channel=claimed.channel)
        self._shown_all([(claimed, channel, ts)])

    def _post(self, claims: list[store.Claim], message: Message, now: datetime, **place: Any) -> tuple[str, str]:
        with self.database.note() as session:
            for claimed in claims:
                store.posting(session, claimed, now)
        answer = self.client.chat_postMessage(
            **place,
            **_content(message),
            unfurl_links=False,
            unfurl_media=False,
            metadata={"event_type": EVENT_TYPE, "event_payload": {"keys": ",".join(claimed.key for claimed in claims)}},
        )
        return str(answer["channel"]), str(answer["ts"])

    def _shown_all(self, shown: Iterable[tuple[store.Claim, str, str]]) -> None:
        with self.database.note() as session:
            for claimed, channel, ts in shown:
                store.shown(session, claimed, channel, ts)

    def _find(self, claims: list[store.Claim], channel: str, thread_ts: str = "") -> dict[str, str]:
        """Where posts whose answer was lost ended up, if they did: key -> ts."""
        since = min(claimed.posting_since for claimed in claims if claimed.posting_since) - timedelta(seconds=60)
        asked: dict[str, Any] = {
            "channel": channel,
            "oldest": f"{since.timestamp():.6f}",
            "include_all_metadata": True,
            "limit": 200,
        }
        if thread_ts:
            found = self.client.conversations_replies(ts=thread_ts, **asked)
        else:
            found = self.client.conversations_history(**asked)
        keys: dict[str, str] = {}
        for message in found.get("messages") or []:
            metadata = message.get("metadata") or {}
            if metadata.get("event_type") == EVENT_TYPE:
                said = str(metadata.get("event_payload", {}).get("keys", ""))
                keys |= dict.fromkeys(said.split(","), str(message["ts"]))
        return keys

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

    # -- when Slack says no --------------------------------------------------------------------------------------

    @contextmanager
    def _failing(self, claims: list[store.Claim]) -> Iterator[None]:
        """Whatever goes wrong, the messages stay wanted and their time is set."""
        editing = bool(claims[0].ts)
        method = "chat.update" if editing else "chat.postMessage"
        asked_before = any(claimed.posting_since for claimed in claims)
        try:
            yield
        except SlackApiError as error:
            self._refused(claims, method, error, asked_before)
        except OSError as error:  # timeouts, refused and broken connections
            self.on_error(method, type(error).__name__)
            log.warning("messages: %s for %s failed: %s", method, claims[0].key, type(error).__name__)
            self._put_off(claims, _backoff(claims[0]), f"{type(error).__name__}: {error}", lost_answer=not editing)

    def _refused(self, claims: list[store.Claim], method: str, error: SlackApiError, asked_before: bool) -> None:
        code = str(error.response.get("error") or error.response.status_code)
        self.on_error(method, code)
        if claims[0].ts and code in GONE:
            log.warning("messages: %s was deleted in Slack; it is posted anew", claims[0].key)
            with self.database.note() as session:
                store.repost(session, claims[0], self.clock())
            return
        after = _retry_after(error)
        if after:
            self.pace.hold(EDITS if claims[0].ts else claims[0].channel, after)
        unclear = code in UNCLEAR or error.response.status_code >= 500
        level = logging.INFO if code == "ratelimited" else logging.WARNING
        log.log(level, "messages: Slack answered %s to %s for %s", code, method, claims[0].key)
        wait = after or _backoff(claims[0])
        self._put_off(claims, wait, code, lost_answer=not claims[0].ts and (unclear or asked_before))

    def _put_off(self, claims: list[store.Claim], seconds: float, error: str, lost_answer: bool) -> None:
        until = self.clock() + timedelta(seconds=seconds)
        with self.database.note() as session:
            for claimed in claims:
                store.put_off(session, claimed, until, error, lost_answer)


def awaited_by(directory: SlackDirectory, policy: Policy, view: PromotionView) -> Awaited:
    """The members of each group that is asked, without those who may not approve this one."""
    seats = view.tally.seats if view.tally else ()
    members = {seat.group: directory.members(list(policy.groups.get(seat.group, ()))) for seat in seats}
    everybody = [who for people in members.values() for who in people]
    rule = Stage.from_rules(view.rules).approvals
    out = approvals.barred(rule, everybody, view.requester, view.version.lineage.trained_by)
    return Awaited({group: tuple(who.id for who in people if who.id not in out) for group, people in members.items()})


def _content(message: Message) -> dict[str, Any]:
    return {"text": message.text, "blocks": message.blocks} if message.blocks else {"text": message.text}


def _fitting(told: Sequence[str]) -> int:
    """How many lines of a story fit into one message; at least one, which then is clipped."""
    sizes = itertools.accumulate(len(each) + 1 for each in told)
    return max(1, sum(size <= STORY for size in sizes))


def _retry_after(error: SlackApiError) -> float:
    """What Slack asks for, in seconds; 0.0 where it asks for nothing. The header's case is any proxy's choice."""
    headers = {str(name).lower(): str(value) for name, value in (error.response.headers or {}).items()}
    given = headers.get("retry-after", "")
    return float(given) if given.isascii() and given.isdigit() else 0.0


def _backoff(claimed: store.Claim) -> float:
    return float(min(LONGEST_WAIT, 0.5 * 2 ** min(claimed.attempts, 6)))
