"""API tokens: made, listed, withdrawn, recognised. Only a hash is kept; the token itself is shown once."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from core.domain.errors import BadInput, Conflict, NotFound
from core.domain.model import Actor
from core.ports import Clock
from core.store import audit
from core.store.database import Database
from core.store.tables import ApiToken

PREFIX = "baton_"
#: What a token may do; `admin` may all of it.
SCOPES = ("register", "request", "read", "admin")
_SHAPE = re.compile(r"baton_[A-Za-z0-9_-]{43}")
_SLACK_ID = re.compile(r"[UW][A-Z0-9]{1,20}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Token:
    """What is known of a token; never the token itself."""

    id: int
    name: str
    scopes: frozenset[str]
    created_at: datetime
    revoked_at: datetime | None
    owner: str = ""  #: the Slack id of the person who answers for it

    @property
    def actor(self) -> Actor:
        """Who acts when this token does."""
        return Actor("token", self.name, self.name, self.owner)

    def may(self, scope: str) -> bool:
        """True when the token holds `scope`, or `admin`."""
        return scope in self.scopes or "admin" in self.scopes


class Tokens:
    """All tokens of this installation. Safe to share between threads."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database = database
        self.clock = clock

    def create(self, actor: Actor, name: str, scopes: Iterable[str], owner: str = "") -> tuple[Token, str]:
        """A new token and, this once, its text. What it asks for counts as asked by its `owner`, who may not approve it.

        Raises `BadInput`, or `Conflict` for a name that was ever used.
        """
        wanted = _scopes(scopes)
        if not _NAME.fullmatch(name):
            raise BadInput(
                "name", "A token's name has 1 to 64 letters, digits, dots, dashes or underscores, such as ci-fraud."
            )
        if owner and not _SLACK_ID.fullmatch(owner):
            raise BadInput("owner", f"“{owner[:40]}” is no Slack id of a person; write one such as U01ALICE.")
        text = PREFIX + secrets.token_urlsafe(32)
        now = self.clock()
        with self.database.change() as session:
            if session.scalar(select(ApiToken.id).where(ApiToken.name == name)) is not None:
                raise Conflict(
                    "token-exists",
                    f"There is, or was, a token called {name}; a name is used once, so that the audit stays clear.",
                )
            row = ApiToken(name=name, hash=_hash(text), scopes=wanted, owner=owner, created_at=now)
            session.add(row)
            session.flush()
            facts = {"token": name, "scopes": wanted} | ({"owner": owner} if owner else {})
            audit.append(session, now, actor, "token_created", audit.Subject(), facts)
            return _token(row), text

    def list(self) -> list[Token]:
        """Every token that there is or was, oldest first."""
        with self.database.read() as session:
            return [_token(row) for row in session.scalars(select(ApiToken).order_by(ApiToken.id))]

    def revoke(self, actor: Actor, name: str) -> Token:
        """Withdraw a token at once and for good. Raises `NotFound`, or `Conflict` when it is withdrawn already."""
        now = self.clock()
        with self.database.change() as session:
            row = session.scalar(select(ApiToken).where(ApiToken.name == name)) if "\x00" not in name else None
            if row is None:
                raise NotFound(
                    "unknown-token", f"There is no token called “{name[:80]}”; `baton token list` shows all."
                )
            if row.revoked_at is not None:
                raise Conflict("token-revoked", f"The token {name} was revoked already.")
            row.revoked_at = now
            audit.append(session, now, actor, "token_revoked", audit.Subject(), {"token": name})
            return _token(row)

    def recognise(self, text: str) -> Token | None:
        """The live token that this is; None for a wrong or revoked one, without saying which."""
        if not _SHAPE.fullmatch(text):
            return None
        digest = _hash(text)
        with self.database.read() as session:
            row = session.scalar(select(ApiToken).where(ApiToken.hash == digest))
        if row is None or row.revoked_at is not None or not hmac.compare_digest(row.hash, digest):
            return None
        return _token(row)


def _hash(text: str) -> str:
    """SHA-256 is enough: the text holds 256 random bits, so there is nothing to guess or to slow down."""
    return hashlib.sha256(text.encode()).hexdigest()


def _scopes(scopes: Iterable[str]) -> list[str]:
    wanted = {each.strip() for each in scopes if each.strip()}
    unknown = sorted(wanted - set(SCOPES))
    if unknown or not wanted:
        wrong = f"“{unknown[0][:40]}” is no scope" if unknown else "A token needs a scope"
        raise BadInput("scope", f"{wrong}; write one or more of {', '.join(SCOPES)}, with commas between.")
    return [scope for scope in SCOPES if scope in wanted]


def _token(row: ApiToken) -> Token:
    return Token(row.id, row.name, frozenset(row.scopes), row.created_at, row.revoked_at, row.owner)
