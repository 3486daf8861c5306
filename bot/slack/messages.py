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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from sqlalchemy.exc import SQLAlchemyError

from bot.slack import lost_posts, refusals
from bot.slack.awaited import awaited_by
from bot.slack.blocks import trouble
from bot.slack.blocks.card import Awaited, Message, card
from bot.slack.blocks.story import direct, line, reminder
from bot.slack.blocks.text import clip_markup
from bot.slack.detour import Detour, read_report
from bot.slack.identity import SlackDirectory
from bot.slack.lookout import Lookout
from bot.slack.pacing import EDITS, EVERYTHING, KEPT_FOR_CARDS, Alarm, Pace
from bot.slack.pictures import Pictures
from bot.slack.refusals import LONGEST_WAIT, RARELY, backoff, code_of
from core.domain.views import PromotionView
from core.policy.schema import Policy
from core.ports import Clock
from core.reminders import overtaken
from core.store import messages as store
from core.store import promotions, writing
from core.store.database import Database
from core.store.presence import Presence
from core.store.tables import AuditEvent
from core.store.turns import step_back
from core.store.unreachable import card_state

log = logging.getLogger(__name__)

#: Lines of a story that go out in one message, and how long it may be (Slack advises 4,000 characters).
LINES, STORY = 12, 3800
#: A digest that could not be sent for so long is not worth sending: there is a newer one.
OUTDATED = timedelta(days=1)
#: So often a message asks whether its channel can be reached again; then it is told. One of them goes on asking.
PATIENT = 20


class Messages:
    """Keeps every message true. `kick` after a change, `sweep` on a clock; both are safe from any thread."""

    def __init__(
        self,
        database: Database,
        client: WebClient,
        directory: SlackDirectory,
        policy: Policy,
        clock: Clock,
        renderers: Mapping[str, Callable[[writing.Claim], Message]],
        on_error: Callable[[str, str], None],
        workers: int = 4,
        pictures: str = "off",
    ) -> None:
        self.database = database
        self.client = client
        self.directory = directory
        self.policy = policy
        self.clock = clock
        self.renderers = renderers  #: by kind, of what belongs to no promotion
        self.on_error = on_error
        self.pace = Pace()
        self.detour = Detour(database, directory, policy, clock)
        self.pictures = Pictures(database, client, self.pace, clock, on_error, pictures)
        self._presence = Presence(database)
        self._alarm = Alarm(self.kick)
        self.lookout = Lookout(database, client, self.pace, self._doubt)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._waiting: set[int] = set()  #: who stands in a queue already
        self._queues: list[queue.Queue[int | None]] = [queue.Queue() for _ in range(workers)]
        self._threads = [
            threading.Thread(target=self._work, args=(mine,), name=f"messages-{n}", daemon=True)
            for n, mine in enumerate(self._queues)
        ]

    def start(self) -> None:
        """Start the writers. Where no other process lives, whoever was at a message before is dead."""
        self._presence.enter(writing.release)
        with self.database.note() as session:
            store.due_now(session, self.clock())
        self._alarm.start()
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
        self._alarm.stop()
        self._presence.leave()

    def kick(self, subjects: Iterable[int]) -> None:
        """Show changes soon. One worker a promotion, so that its thread keeps its order."""
        with self._lock:
            news = [subject for subject in subjects if subject not in self._waiting]
            self._waiting.update(news)
        for subject in news:
            self._queues[subject % len(self._queues)].put(subject)

    def sweep(self) -> None:
        """Hand whatever is stale and due to the writers; the safety net under `kick`, and the retry."""
        if self.pace.held(EVERYTHING):
            return
        with self.database.read() as session:
            due = writing.due_subjects(session, self.clock())
        self.kick(due)

    def refresh(self, subject: int) -> None:
        """Write all stale messages of a promotion; for a negative number, the one message that belongs to none."""
        if wait := self.pace.held(EVERYTHING):
            self._alarm.set(subject, wait)
            return
        if subject < 0:
            self._write(-subject)
            return
        with self.database.read() as session:
            cards, lines, directs = writing.stale_of(session, subject, self.clock())
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
            step_back()
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
            claims = writing.claim(session, [message_id], now)
        if not claims:
            return  # shown meanwhile, or somebody else is at it
        claimed = claims[0]
        if claimed.kind == "digest" and now - claimed.created_at > OUTDATED:
            self._give_up(claimed)
            return
        if self._way_is_closed([claimed]):
            return
        if claimed.reminds and not claimed.ts and overtaken(self.database, claimed.subject, claimed.channel):
            self._give_up(claimed)
            return
        wait = self.pace.held(EDITS) if claimed.ts else self.pace.wait(claimed.channel)
        if wait:
            self._put_off([claimed], wait, lost_answer=claimed.posting_since is not None)
            return
        with self._failing([claimed]):
            self._send(claimed, self._render(claimed), now)

    def _write_story(self, ids: list[int]) -> None:
        """What happened since the thread was written last, in one message and in order."""
        now = self.clock()
        with self.database.note() as session:
            lines = writing.claim_lines(session, ids, now)
        if not lines:
            return
        with self.database.read() as session:
            place = store.card_place(session, lines[0].promotion_id or 0)
        if place is not None and self._way_is_closed(lines):
            return  # asked only by who would write at once: whoever is told to try is the only one
        # Without a card they wait for it, and are due once it is posted.
        wait = LONGEST_WAIT if place is None else self.pace.wait(lines[0].channel, KEPT_FOR_CARDS)
        if place is None or wait:
            self._put_off(lines, wait, lost_answer=any(claimed.posting_since for claimed in lines))
            return
        with self._failing(lines):
            self._post_story(lines, *place, now)

    def _post_story(self, lines: list[writing.Claim], channel: str, card_ts: str, now: datetime) -> None:
        if any(claimed.posting_since for claimed in lines):
            found = lost_posts.find(self.client, lines, channel, card_ts)
            self._shown_all((claimed, channel, found[claimed.key]) for claimed in lines if claimed.key in found)
            lines = [claimed for claimed in lines if claimed.key not in found]
        if not lines:
            return
        with self.database.read() as session:
            view = promotions.load(session, lines[0].promotion_id or 0)
            told = [line(session.get_one(AuditEvent, claimed.body["seq"]), view) for claimed in lines]
        fitting = _fitting(told)
        if fitting < len(lines):
            self._put_off(lines[fitting:], 1.0, lost_answer=False)
            lines, told = lines[:fitting], told[:fitting]
        text = clip_markup("\n".join(told), STORY)
        answer = self._post(lines, Message(text=text, blocks=[]), now, channel=channel, thread_ts=card_ts)
        self._shown_all((claimed, channel, answer[1]) for claimed in lines)

    def _render(self, claimed: writing.Claim) -> Message:
        if claimed.kind in self.renderers:
            return self.renderers[claimed.kind](claimed)
        if claimed.body.get("about") == "channel":
            return trouble.report(read_report(claimed.body))
        with self.database.read() as session:
            view = promotions.load(session, claimed.promotion_id or 0)
            place = card_state(session, view.id)
        if not claimed.is_card:
            to_card = self.directory.permalink(place.posted_channel, place.ts) if place else ""
            return direct(view, to_card, str(claimed.body.get("about")))
        message = card(view, self.awaited(view), guarded=self.policy.guarded(view.stage))
        if claimed.reminds:
            return reminder(message, view, claimed.reminds)
        if replaced := claimed.body.get("replaces"):
            message = trouble.with_note(
                message, trouble.replaces(replaced["why"] in refusals.DELETED, replaced["link"])
            )
        if claimed.to_person and place:
            message = trouble.with_note(message, trouble.copy(place.channel, place.trouble, place.posted_channel))
        return message

    def awaited(self, view: PromotionView) -> Awaited:
        """Who may fill the seats, by id, as far as Slack said."""
        return awaited_by(self.database, self.directory, self.policy, view, self.clock())

    def _send(self, claimed: writing.Claim, message: Message, now: datetime) -> None:
        channel, ts = claimed.posted_channel, claimed.ts
        if not ts and claimed.posting_since is not None:
            ts = lost_posts.find(self.client, [claimed], claimed.channel).get(claimed.key, "")
            channel = lost_posts.channel_id(self.client, claimed.channel) if ts else ""
        if ts:
            self.client.chat_update(channel=channel, ts=ts, **_content(message))
        else:
            channel, ts = self._post([claimed], message, now, channel=claimed.channel)
        self._shown_all([(claimed, channel, ts)])

    def _post(self, claims: list[writing.Claim], message: Message, now: datetime, **place: Any) -> tuple[str, str]:
        with self.database.note() as session:
            for claimed in claims:
                writing.posting(session, claimed, now)
        if self.clock() >= claims[0].claimed_until:  # frozen since: whoever took it over may have posted it
            raise writing.Overtaken
        answer = self.client.chat_postMessage(
            **place,
            **_content(message),
            unfurl_links=False,
            unfurl_media=False,
            metadata=lost_posts.metadata(claims),
        )
        return str(answer["channel"]), str(answer["ts"])

    def _shown_all(self, shown: Iterable[tuple[writing.Claim, str, str]]) -> None:
        done, now = list(shown), self.clock()
        with self.database.note() as session:
            for claimed, channel, ts in done:
                writing.shown(session, claimed, channel, ts)
                if claimed.kind == "card":
                    self.pictures.want(session, claimed.subject, now)
        for claimed, _, _ in done:
            if claimed.kind == "card" and not claimed.ts:
                with self.database.note() as session:
                    waited = store.lines_due(session, claimed.subject, now)
                self.kick([claimed.subject] if waited else [])
            if not claimed.to_person:
                self._reached(claimed)

    def _reached(self, claimed: writing.Claim) -> None:
        """A message is in its channel. Had that been out of reach, whatever waits for it is written at once."""
        opened = self.pace.open(claimed.channel, bool(claimed.ts))
        if opened or claimed.last_error in refusals.UNREACHABLE:
            self.kick(self.detour.leave(claimed, opened))

    def _give_up(self, claimed: writing.Claim) -> None:
        """It stays as it is, or unsaid."""
        with self.database.note() as session:
            writing.shown(session, claimed, claimed.posted_channel, claimed.ts)

    def _doubt(self, promotion_id: int) -> None:
        with self.database.note() as session:
            store.doubt(session, f"card:{promotion_id}", self.clock())
        self.kick([promotion_id])

    # -- when Slack says no --------------------------------------------------------------------------------------

    @contextmanager
    def _failing(self, claims: list[writing.Claim]) -> Iterator[None]:
        """Whatever goes wrong, the messages stay wanted and their time is set."""
        editing = bool(claims[0].ts)
        method = "chat.update" if editing else "chat.postMessage"
        asked_before = any(claimed.posting_since for claimed in claims)
        try:
            yield
        except writing.Overtaken:
            log.warning("messages: %s was taken over meanwhile, and is left alone", claims[0].key)
        except SlackApiError as error:
            self._refused(claims, method, error, asked_before)
        except OSError as error:  # timeouts, refused and broken connections
            self.on_error(method, type(error).__name__)
            log.warning("messages: %s for %s failed: %s", method, claims[0].key, type(error).__name__)
            wait = backoff(claims[0].attempts)
            self._put_off(claims, wait, f"{type(error).__name__}: {error}", lost_answer=not editing)

    def _refused(self, claims: list[writing.Claim], method: str, error: SlackApiError, asked_before: bool) -> None:
        first, code = claims[0], code_of(error)
        self.on_error(method, code)
        if first.ts and code in refusals.DELETED | refusals.FROZEN:
            self._lost(first, code)
            return
        unclear = code in refusals.UNCLEAR or error.response.status_code >= 500
        level = logging.INFO if code == "ratelimited" else logging.WARNING
        log.log(level, "messages: Slack answered %s to %s for %s", code, method, first.key)
        wait = self._wait_after(first, code, refusals.retry_after(error))
        self._put_off(claims, wait, code, lost_answer=not first.ts and (unclear or asked_before))
        if first.kind == "thread" and code in refusals.HEADLESS:
            self._doubt(first.promotion_id or 0)
        elif code in refusals.UNREACHABLE and not first.to_person:
            self.pace.close(first.channel, bool(first.ts), code, wait)
            self.detour.take(first, code)

    def _wait_after(self, first: writing.Claim, code: str, asked: float) -> float:
        """How long until it is worth trying again."""
        if asked:
            self.pace.hold(EDITS if first.ts else first.channel, asked)
            return asked
        if code in refusals.UNKNOWN_US:
            self.pace.hold(EVERYTHING, LONGEST_WAIT / 2)
            return LONGEST_WAIT / 2
        if code in refusals.OUR_MISTAKE:
            log.error("messages: %s cannot be shown, a defect of Baton's: Slack answers %s", first.key, code)
            return backoff(first.attempts + 2, RARELY)
        if first.to_person and (code in refusals.NO_SUCH_PERSON or code in refusals.UNREACHABLE):
            return backoff(first.attempts + 2, RARELY)
        return LONGEST_WAIT if code in refusals.UNREACHABLE else backoff(first.attempts)

    def _lost(self, claimed: writing.Claim, code: str) -> None:
        """A message that was to be edited is gone, or nobody may edit it: a card is posted anew, the rest was said."""
        if not claimed.is_card:
            self._give_up(claimed)
            return
        log.warning("messages: %s is posted anew, since Slack answers %s", claimed.key, code)
        link = lost_posts.link_to_story(self.database, self.client, claimed)
        if code in refusals.FROZEN:  # it would go on saying what is no longer so
            try:
                self.client.chat_delete(channel=claimed.posted_channel, ts=claimed.ts)
            except (SlackApiError, OSError):
                log.warning("messages: the old %s stays where it is, and says what was so then", claimed.key)
        with self.database.note() as session:
            writing.repost(session, claimed, self.clock(), {"why": code, "link": link})
        self.kick([claimed.subject])

    def _way_is_closed(self, claims: list[writing.Claim]) -> bool:
        """Whether the channel is known to be out of reach just now; then these wait until somebody got through."""
        first = claims[0]
        code, left = ("", 0.0) if first.to_person else self.pace.closed(first.channel, bool(first.ts))
        if code:
            wait = left if first.attempts < PATIENT else RARELY
            self._put_off(claims, wait, code, lost_answer=any(claimed.posting_since for claimed in claims))
            self.detour.take(first, code)
        return bool(code)

    def _put_off(self, claims: list[writing.Claim], seconds: float, error: str = "", *, lost_answer: bool) -> None:
        until = self.clock() + timedelta(seconds=seconds)
        with self.database.note() as session:
            writing.put_off(session, claims, until, error, lost_answer)
        if seconds < RARELY:
            self._alarm.set(claims[0].subject, seconds)


def _content(message: Message) -> dict[str, Any]:
    return {"text": message.text, "blocks": message.blocks} if message.blocks else {"text": message.text}


def _fitting(told: Sequence[str]) -> int:
    """How many lines of a story fit into one message; at least one, which then is clipped."""
    sizes = itertools.accumulate(len(each) + 1 for each in told)
    return max(1, sum(size <= STORY for size in sizes))
