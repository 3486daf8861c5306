"""What is said when a message was lost or a channel cannot be reached. Pure.

A card keeps its first lines whatever happens to it: what is said here stands below them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bot.slack.blocks.card import Message
from bot.slack.blocks.text import context, date, escape, link, notice, section
from bot.slack.refusals import UNREACHABLE

#: The headline and why it is or is not safe come first.
FIRST_LINES = 2


@dataclass(frozen=True)
class Report:
    """A channel that cannot be reached, or could not be for a while."""

    channel: str
    code: str
    key: str  #: where the policy names the channel: `slack.channel`
    ref: str  #: what met it first: a promotion, or the digest
    since: datetime
    settled: datetime | None = None
    moved_to: str = ""  #: the channel that the policy names instead


def with_note(message: Message, text: str) -> Message:
    """`message` with a small line under its first ones."""
    return Message(message.text, [*message.blocks[:FIRST_LINES], context(text), *message.blocks[FIRST_LINES:]])


def replaces(deleted: bool, url: str) -> str:
    """Under a card that was posted anew: what became of the one before, and where its thread is."""
    what = (
        "This replaces its card, which was deleted"
        if deleted
        else "This replaces its card, which Slack lets nobody edit any more"
    )
    return f"♻️ {what}" + (f"; {link(url, 'the story until then')}." if url else ".")


def copy(channel: str, trouble: str, posted_channel: str) -> str:
    """Under a copy of a card: why it comes by direct message, or where the card is by now."""
    if trouble or not posted_channel:
        return f"✉️ Sent to you directly, since Baton cannot write into {shown(channel)} now. It stays up to date here."
    return f"✉️ Sent to you directly, since Baton could not write into {shown(posted_channel)}. It is there too now."


def shown(channel: str) -> str:
    """A channel's name as text, or an id as a link to it."""
    return escape(channel, 90) if channel.startswith("#") else f"<#{channel}>"


def report(facts: Report) -> Message:
    """To the policy's owner: which channel cannot be reached, why, and how to mend it; edited once that is settled."""
    why, mend = UNREACHABLE[facts.code]
    where = shown(facts.channel)
    if facts.settled is not None:
        how = f"{shown(facts.moved_to)} takes its place" if facts.moved_to else "Baton writes there again"
        text = f"✅ *{where} is settled:* {how} since {date(facts.settled)}. It could not be reached since {date(facts.since)}."
        return Message(notice(f"{facts.channel} is settled."), [section(text)])
    text = (
        f"🚧 *Baton cannot write into {where}:* {why}. {mend.format(key=f'`{escape(facts.key, 120)}`')}\n"
        f"Noticed with {facts.ref}, {date(facts.since)}. Until it is mended, whoever may still approve gets the card by "
        "direct message, App Home works as ever, and nothing is lost: all of it is shown there then."
    )
    return Message(notice(f"Baton cannot write into {facts.channel}: {why}."), [section(text)])
