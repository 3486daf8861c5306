"""Commands that work on the database or on files of this machine, without a running Baton."""

from __future__ import annotations

import getpass
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bot import evidence_html
from bot.settings import Settings
from bot.terminal import ago, safe, table
from core.domain.errors import BadInput, Conflict, NotFound, Unavailable
from core.domain.model import Actor
from core.policy.load import load_file
from core.policy.whatif import Judged
from core.store import audit
from core.store.database import Database, normalise
from core.store.health import AWAY, trouble
from core.store.migrate import newer, upgrade
from core.tokens import Tokens
from core.whatif import judge_past

#: As many audit events are read at a time.
PAGE = 1_000
MANIFEST_STEPS = """Next, create the Slack app:
  1. Open https://api.slack.com/apps, “Create New App”, “From an app manifest”, choose your workspace,
     and paste manifest.yml.
  2. “Basic Information”: copy the Signing Secret into SLACK_SIGNING_SECRET. Under “App-Level Tokens”, make one with
     the scope connections:write, and copy it into SLACK_APP_TOKEN (without it, Slack must reach Baton by HTTP).
  3. “Install App”: install it, and copy the Bot User OAuth Token into SLACK_BOT_TOKEN.
  4. In Slack, invite Baton to the channels that the policy names: /invite @Baton
Then: baton migrate, baton check --online, baton serve."""


def now() -> datetime:
    """The time, for commands."""
    return datetime.now(UTC)


def _me() -> Actor:
    """Whoever sits at this machine; the database's own door needs no token."""
    try:
        who = getpass.getuser()
    except (OSError, KeyError):
        who = "somebody"
    return Actor("system", f"cli:{who}", f"{who} (command line)")


@contextmanager
def opened() -> Iterator[Database]:
    """The database of the settings, at this release. Raises `Unavailable` or `Conflict` with a sentence."""
    url = Settings.load().database_url.get_secret_value()
    refuse_missing_file(url)
    database = Database(url)
    try:
        wrong = trouble(database, seconds=15)
        if "migrate" in wrong:
            raise Conflict("behind", wrong)
        if wrong:
            raise Unavailable(f"{wrong} Is BATON_DATABASE_URL right, and is the server running?")
        yield database
    finally:
        database.dispose()


def refuse_missing_file(url: str) -> None:
    """SQLite would quietly make an empty file; say instead that there is none. Raises `NotFound`."""
    parsed = normalise(url)
    name = parsed.database or ""
    if (
        parsed.drivername == "sqlite"
        and name != ":memory:"
        and not name.startswith("file:")
        and not Path(name).exists()
    ):
        raise NotFound("no-database", f"There is no database at {safe(name)}; `baton migrate` makes it.")


# -- migrate, init -----------------------------------------------------------------------------------------------


def migrate() -> str:
    """Bring the registry's tables and the engine's to this release. Running it twice is harmless."""
    url = Settings.load().database_url.get_secret_value()
    parsed = normalise(url)
    if parsed.drivername == "sqlite" and parsed.database and not Path(parsed.database).parent.is_dir():
        folder = safe(Path(parsed.database).parent)
        raise NotFound(
            "no-folder", f"There is no folder {folder} for the database; make it, or mend BATON_DATABASE_URL."
        )
    from core.engine import Engine

    database = Database(url)
    try:
        if newer(database.engine):
            raise Conflict(
                "newer-database",
                "The database was migrated by a later release of Baton; run that one, or restore a backup.",
            )
        before, after = upgrade(database.engine)
        engine = Engine(database)
        engine.migrate()
        engine.stop()
    except AWAY:
        raise Unavailable(
            "The database cannot be reached; is BATON_DATABASE_URL right, and is the server running?"
        ) from None
    finally:
        database.dispose()
    if before == after:
        return f"The database was at {after} already; nothing changed."
    return f"The database is at {after} now (before: {before or 'empty'})."


def init() -> str:
    """Write the example policy where the settings want one. Raises `Conflict` when there is a file already."""
    from core.policy.schema import EXAMPLE

    path = Settings.load().config
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(EXAMPLE)
    except FileExistsError:
        raise Conflict("exists", f"{path} is there already; remove it first, or set BATON_CONFIG.") from None
    except OSError as wrong:
        raise BadInput("BATON_CONFIG", f"{path} cannot be written ({wrong.strerror}); mend BATON_CONFIG.") from None
    return f"Wrote {path}; every line of it is explained there.\n\n{MANIFEST_STEPS}"


# -- evidence ----------------------------------------------------------------------------------------------------


def write_evidence(made: dict[str, Any], folder: Path) -> str:
    """Write a promotion's evidence as page and as JSON; says where. Raises `BadInput` or `Conflict`."""
    if made.get("format") != evidence_html.FORMAT or not re.fullmatch(r"P-[0-9]+", made["promotion"]):
        raise Conflict("other-release", "This Baton is of another release; use the `baton` that came with it.")
    name = f"baton-{made['promotion']}"
    try:
        for ending, text in (("html", evidence_html.page(made)), ("json", evidence_html.data(made))):
            (folder / f"{name}.{ending}").write_text(text, encoding="utf-8", newline="")
    except OSError as wrong:
        raise BadInput("out", f"{safe(folder)} cannot be written to ({wrong.strerror}); name a folder.") from None
    return f"Wrote {safe(folder / name)}.html and .json; fingerprint {safe(made['fingerprint'])}."


# -- tokens ------------------------------------------------------------------------------------------------------


def create_token(name: str, scopes: list[str], owner: str = "") -> str:
    """The new token, alone on the last line, so that scripts can take it."""
    with opened() as database:
        token, text = Tokens(database, now).create(_me(), name, scopes, owner)
    whose = f", of {token.owner}" if token.owner else ""
    return f"Token {token.name}{whose}, for {', '.join(sorted(token.scopes))}. It is shown this once; keep it safe:\n{text}"


def list_tokens() -> str:
    """A table of all tokens."""
    with opened() as database:
        found = Tokens(database, now).list()
    if not found:
        return "There are no tokens; `baton token create NAME --scope …` makes one."
    rows = [
        (
            each.name,
            ", ".join(sorted(each.scopes)),
            each.owner or "-",
            ago(each.created_at.isoformat()),
            f"revoked {ago(each.revoked_at.isoformat())}" if each.revoked_at else "live",
        )
        for each in found
    ]
    return table(("NAME", "SCOPES", "OWNER", "MADE", "STATE"), rows)


def revoke_token(name: str) -> str:
    """Withdraw one."""
    with opened() as database:
        Tokens(database, now).revoke(_me(), name)
    return f"The token {safe(name)} is revoked; it opens nothing any more."


# -- audit -------------------------------------------------------------------------------------------------------


def verify_audit() -> tuple[bool, str]:
    """(sound, sentence)."""
    with opened() as database, database.read() as session:
        found = audit.verify(session)
    if found.problem:
        before = "1 event before it is sound." if found.count == 1 else f"{found.count:,} events before it are sound."
        return False, f"The audit chain is broken: {found.problem} {before}"
    events = "1 event" if found.count == 1 else f"{found.count:,} events"
    return True, f"{events} verified; head {found.head}."


def export_audit(since: str, until: str, model: str) -> Iterator[str]:
    """Events as lines of JSON, page by page: no transaction stays open while whoever reads them is slow."""
    start, end = _moment(since, "since"), _moment(until, "until")
    narrowed = {"model": model} if model else {}
    after: int | None = 0
    with opened() as database:
        while after is not None:
            with database.read() as session:
                page = list(audit.events(session, after, PAGE, **narrowed))
            for event in page:
                if (start is None or event.at >= start) and (end is None or event.at < end):
                    yield json.dumps(audit.as_dict(event))
            after = page[-1].seq if len(page) == PAGE else None


# -- policy ------------------------------------------------------------------------------------------------------


def test_policy(file: str, since: str, model: str, limit: int) -> Iterator[Judged]:
    """Past promotions as a policy file would have judged them, one by one, the newest first.

    Raises `PolicyError` with its findings, `BadInput`, and `NotFound` for a model that there is not.
    """
    start = _moment(since, "since")
    policy = load_file(Path(file) if file else Settings.load().config)
    with opened() as database:
        yield from judge_past(database, policy, now(), start, model, limit)


def _moment(text: str, option: str) -> datetime | None:
    """A day or a moment; days begin in UTC. Raises `BadInput`."""
    if not text.strip():
        return None
    try:
        found = datetime.fromisoformat(text.strip())
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadInput(
            option, f"--{option} is “{text[:40]}”; write a day or a moment, such as 2026-11-01 or 2026-11-01T10:00:00Z."
        ) from None
