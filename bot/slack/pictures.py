"""The one writer of pictures: drawn beside everything else, uploaded once, posted into the thread of the card once.

A picture is a row of `messages` and goes by its rules: level-triggered, claimed, looked for before a post whose answer
was lost is repeated. What can go wrong costs the picture only: then the same stands there as text.
"""

from __future__ import annotations

import logging
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from bot.charts import drawing
from bot.slack import lost_posts, refusals
from bot.slack.blocks import picture as blocks
from bot.slack.blocks.card import Message
from bot.slack.pacing import EDITS, EVERYTHING, KEPT_FOR_CARDS, Pace
from bot.slack.refusals import LONGEST_WAIT, backoff, code_of
from core.domain.lifecycle import ENDS
from core.domain.views import PromotionView
from core.policy.comparison import compare
from core.policy.timeline import Timeline, over_time
from core.ports import Clock
from core.store import looks, pictures, promotions, writing
from core.store import messages as store
from core.store.database import Database

log = logging.getLogger(__name__)

#: Uploads are limited by the workspace; this names them where other limits name a channel.
UPLOADS = "files"
#: So often Slack is asked to take a picture, or whether it is ready; then the text is posted.
TRIES = 8
#: So often a message is taken up in all, turns that it waited for included; then it is left out. The card says it all.
ALL_TRIES = 200
#: How long until Slack is asked again whether it has looked through a file.
SCAN = 0.3


class Pictures:
    """`want` when a card is shown, `kick` for news, `sweep` on a clock. `mode` is the setting BATON_PICTURES."""

    def __init__(
        self, database: Database, client: WebClient, pace: Pace, clock: Clock, on_error: Callable[[str, str], None],
        mode: str,
    ) -> None:  # fmt: skip
        self.database = database
        self.client = client
        self.pace = pace
        self.clock = clock
        self.on_error = on_error
        self.mode = mode
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._draws = False
        self._news = threading.Event()
        self._stopping = threading.Event()
        self._rest: float | None = None
        self._thread = threading.Thread(target=self._work, name="pictures", daemon=True)

    def start(self) -> None:
        """Begin to write, and say if it will be text."""
        if self.mode == "off":
            with self.database.note() as session:
                pictures.unwanted(session, self.clock())
            return
        self._draws = self.mode == "auto" and drawing.available()
        if self.mode == "auto" and not self._draws:
            log.info(
                "Pictures are posted as text, since matplotlib is not installed; the extra baton[charts] brings it."
            )
        self._news.set()
        self._thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        """Finish what is at hand, leave the rest to the next start."""
        self._stopping.set()
        self._news.set()
        if self._thread.is_alive():
            self._thread.join(timeout)
        if self._folder is not None:
            with suppress(OSError):
                self._folder.cleanup()

    def want(self, session: Session, promotion_id: int, now: datetime) -> None:
        """The card of a promotion is shown: its pictures are to show the same. Part of the caller's transaction."""
        if self.mode != "off" and pictures.want(session, promotion_id, now):
            self._news.set()

    def sweep(self) -> None:
        """Whatever is due; the safety net, and the retry."""
        self._news.set()

    def ready(self, promotion_id: int) -> dict[str, tuple[str, str]]:
        """By what it is about: (file, alt text) of what Slack can show of a promotion."""
        if self.mode == "off":
            return {}
        with self.database.read() as session:
            return pictures.ready(session, promotion_id)

    def running(self, view: PromotionView) -> Timeline | None:
        """A rollout's analysis so far, for whoever looks while it runs."""
        if self.mode == "off" or view.rollout is None or not view.rollout.under_way:
            return None
        with self.database.read() as session:
            return over_time(view, looks.taken(session, view.id))

    def forget(self, promotion_id: int) -> None:
        """Slack does not show them any more."""
        with self.database.note() as session:
            pictures.forget(session, promotion_id)

    # -- the worker ----------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while not self._stopping.is_set():
            self._news.wait(self._rest)
            self._news.clear()
            self._rest = None
            try:
                self._write_due()
            except SQLAlchemyError:
                log.exception("pictures: the database did not answer; the next sweep tries again")
            except Exception:  # the outermost loop of a writer: one bad picture must not stop the others
                log.exception("pictures: one could not be written")
                self.on_error("picture", "exception")

    def _write_due(self) -> None:
        if self.pace.held(EVERYTHING):
            return
        with self.database.read() as session:
            due = pictures.due(session, self.clock())
        for message_id in due:
            if self._stopping.is_set():
                return
            with self.database.note() as session:
                claims = writing.claim(session, [message_id], self.clock())
            for claimed in claims:
                self._write(claimed)

    def _write(self, claimed: writing.Claim) -> None:
        try:
            self._bring(claimed)
        except writing.Overtaken:
            log.warning("pictures: %s was taken over meanwhile, and is left alone", claimed.key)
        except SlackApiError as error:
            code = code_of(error)
            self.on_error("picture", code)
            unclear = code in refusals.UNCLEAR or error.response.status_code >= 500
            log.log(logging.INFO if code == "ratelimited" else logging.WARNING, "pictures: %s: %s", claimed.key, code)
            if code in refusals.DELETED | refusals.FROZEN and claimed.ts:
                self._done(claimed)
                return
            if code in refusals.OUR_MISTAKE and claimed.body.get("file"):
                self._note(claimed, {"refused": claimed.body["of"], "ready": ""})
            wait = refusals.retry_after(error) or backoff(claimed.attempts)
            self._put_off(claimed, wait, code, lost_answer=not claimed.ts and unclear)
        except (SlackClientError, OSError) as error:
            self.on_error("picture", type(error).__name__)
            self._try_again(claimed, backoff(claimed.attempts), type(error).__name__)

    def _bring(self, claimed: writing.Claim) -> None:
        """One step on the way: drawn and uploaded, then looked through by Slack, then posted."""
        with self.database.read() as session:
            view = promotions.load(session, claimed.promotion_id or 0)
            place = store.card_place(session, view.id)
            found = self._found(session, claimed, view)
        if found is None or claimed.attempts > ALL_TRIES:
            self._done(claimed)
            return
        file = self._file(claimed, found) if self._draws else ""
        if file is None:
            return  # on its way
        if claimed.body["about"] == pictures.ANALYSIS and view.state not in ENDS:
            self._done(claimed, {"ready": file} if file else {})
            return
        if place is None:
            self._put_off(claimed, LONGEST_WAIT)
            return
        self._post(claimed, blocks.picture(found, file) if file else blocks.in_text(found), file, *place)

    def _found(self, session: Session, claimed: writing.Claim, view: PromotionView) -> drawing.Picture | None:
        if claimed.body["about"] == pictures.EVIDENCE:
            return compare(view)
        return over_time(view, looks.taken(session, view.id))

    # -- the file ------------------------------------------------------------------------------------------------

    def _file(self, claimed: writing.Claim, found: drawing.Picture) -> str | None:
        """The file that shows it; "" where it must be text, None where it is still on its way."""
        body = claimed.body
        if body.get("refused") == body["of"]:
            return ""
        if body.get("tries", 0) >= TRIES:
            self._note(claimed, {"refused": body["of"]})
            return ""
        if wait := self.pace.held(UPLOADS):
            self._put_off(claimed, wait)
            return None
        try:
            if body.get("drawn") == body["of"]:
                return self._looked_through(claimed, str(body["file"]))
            return self._upload(claimed, found)
        except SlackApiError as error:
            return self._refused(claimed, error)

    def _upload(self, claimed: writing.Claim, found: drawing.Picture) -> str | None:
        try:
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="baton-charts-", ignore_cleanup_errors=True)
            drawn = drawing.draw(found, self._folder.name, drawing.SECONDS)
        except drawing.NotDrawn as why:
            log.warning("pictures: %s is posted as text: %s", claimed.key, why)
            self.on_error("picture", "not_drawn")
            self._note(claimed, {"refused": claimed.body["of"]})
            return ""
        alt = blocks.alt_text(found)
        name = f"baton-P-{claimed.promotion_id}-{claimed.body['about']}.png"
        answer = self.client.files_upload_v2(filename=name, title=found.title, content=drawn, alt_txt=alt[:1000])
        self._note(claimed, {"file": answer["files"][0]["id"], "drawn": claimed.body["of"], "alt": alt})
        self._put_off(claimed, 0.0)
        return None

    def _looked_through(self, claimed: writing.Claim, file: str) -> str | None:
        """Slack shows a file only once it knows what it is."""
        if self.client.files_info(file=file)["file"].get("mimetype"):
            return file
        self._try_again(claimed, SCAN * (1 + int(claimed.body.get("tries", 0))))
        return None

    def _refused(self, claimed: writing.Claim, error: SlackApiError) -> str | None:
        """Slack does not take the file: later, or never."""
        code = code_of(error)
        self.on_error("picture", code)
        if code == "ratelimited" or code in refusals.UNCLEAR or error.response.status_code >= 500:
            wait = refusals.retry_after(error) or backoff(claimed.attempts)
            self.pace.hold(UPLOADS, wait)
            self._try_again(claimed, wait, code)
            return None
        mend = " (add the scope to the Slack app and install it again)" if code == "missing_scope" else ""
        log.warning("pictures: %s is posted as text, since Slack answers %s%s", claimed.key, code, mend)
        self._note(claimed, {"refused": claimed.body["of"]})
        return ""

    # -- the message ---------------------------------------------------------------------------------------------

    def _post(self, claimed: writing.Claim, message: Message, file: str, channel: str, card_ts: str) -> None:
        wait = self.pace.held(EDITS) if claimed.ts else self.pace.wait(claimed.channel, KEPT_FOR_CARDS + 1)
        if wait:
            self._put_off(claimed, wait, lost_answer=claimed.posting_since is not None)
            return
        content: dict[str, Any] = {"text": message.text, "blocks": message.blocks}
        ts, where = claimed.ts, claimed.posted_channel
        if not ts and claimed.posting_since is not None:
            ts, where = lost_posts.find(self.client, [claimed], channel, card_ts).get(claimed.key, ""), channel
        if ts:
            self.client.chat_update(channel=where, ts=ts, **content)
        else:
            with self.database.note() as session:
                writing.posting(session, claimed, self.clock())
            answer = self.client.chat_postMessage(
                channel=channel, thread_ts=card_ts, unfurl_links=False, unfurl_media=False,
                metadata=lost_posts.metadata([claimed]), **content,
            )  # fmt: skip
            ts, where = str(answer["ts"]), str(answer["channel"])
        self._done(claimed, {"ready": file}, where, ts)

    def _done(
        self, claimed: writing.Claim, facts: dict[str, Any] | None = None, channel: str = "", ts: str = ""
    ) -> None:
        with self.database.note() as session:
            if facts:
                pictures.note(session, claimed, facts)
            writing.shown(session, claimed, channel or claimed.posted_channel, ts or claimed.ts)

    def _note(self, claimed: writing.Claim, facts: dict[str, Any]) -> None:
        with self.database.note() as session:
            pictures.note(session, claimed, facts)

    def _try_again(self, claimed: writing.Claim, seconds: float, error: str = "") -> None:
        """Later, and not too often. Whatever post may have happened is looked for."""
        self._note(claimed, {"tries": int(claimed.body.get("tries", 0)) + 1})
        self._put_off(claimed, seconds, error, lost_answer=True)

    def _put_off(self, claimed: writing.Claim, seconds: float, error: str = "", *, lost_answer: bool = False) -> None:
        with self.database.note() as session:
            until = self.clock() + timedelta(seconds=seconds)
            writing.put_off(session, [claimed], until, error, lost_answer)
        self._rest = min(seconds, self._rest) if self._rest is not None else seconds
