"""Who is who: Slack's people, e-mail addresses and user groups behind the policy's groups. Cached; fails closed."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from core.domain.errors import BadInput, NotFound, Unavailable
from core.domain.model import Actor, Person

log = logging.getLogger(__name__)

#: How long an answer of Slack counts. Somebody who leaves a group stops counting within this.
TTL = 300.0


class SlackDirectory:
    """Implements `core.ports.Directory` over Slack. Thread-safe; one per process."""

    def __init__(
        self, client: WebClient, groups: dict[str, list[str]], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._groups = groups
        self._now = monotonic
        self._home: Mapping[str, Any] | None = None  #: what Slack says of our own workspace
        self._cache: dict[tuple[str, str], tuple[float, Any]] = {}
        self._lock = threading.Lock()

    def person(self, user_id: str) -> Person | None:
        """The person behind a Slack id; None when Slack knows nobody. Raises `Unavailable`."""
        found: Person | None = self._cached("user", user_id, self._ask_user)
        return found

    def groups_of(self, user_id: str, groups: dict[str, list[str]]) -> frozenset[str]:
        """Which of `groups` hold the person; none holds who is no full member of the workspace, whatever the policy says.

        Raises `Unavailable` when a group's membership could not be found out.
        """
        found = frozenset(name for name, members in groups.items() if self._holds(user_id, members))
        who = self.person(user_id) if found else None
        return found if who is not None and who.active else frozenset()

    def members(self, members: list[str]) -> list[Person]:
        """The people behind a group's members as far as known without failing, for showing."""
        people: dict[str, Person] = {}
        for member in members:
            for who in self._known(member):
                people.setdefault(who.id, who)
        return list(people.values())

    def actor(self, user: dict[str, Any]) -> Actor:
        """The actor behind a payload's user; the name is Slack's if known, else what the payload says."""
        cached = self._peek("user", user["id"])
        name = (
            cached.name if isinstance(cached, Person) else str(user.get("name") or user.get("username") or user["id"])
        )
        return Actor.user(user["id"], name)

    def knows(self, user_id: str) -> bool:
        """True when Slack has told who this is."""
        return self._peek("user", user_id) is not None

    def find(self, named: str) -> Person:
        """Whom somebody means who types `@dave`, an e-mail address, an id or a mention. Raises `Refused`, `Unavailable`."""
        mention = re.fullmatch(r"<@([UW][A-Z0-9]+)(\|[^>]*)?>", named)
        if mention or re.fullmatch(r"[UW][A-Z0-9]{1,30}", named):
            found = self.person(mention[1] if mention else named)
            people = [found] if found else []
        elif "@" in named[1:]:
            found = self._cached("email", named.lower(), self._ask_email)
            people = [found] if found else []
        else:
            wanted = named.removeprefix("@").casefold()
            everybody: list[Person] = self._cached("everybody", "", self._ask_everybody)
            called = [who for who in everybody if who.handle.casefold() == wanted] or [
                who for who in everybody if who.name.casefold() == wanted
            ]
            people = [who for who in called if who.active] or called[:1]
        if len(people) > 1:
            raise BadInput("person", f"Several people are called {named[:80]}; name one by e-mail address.")
        if not people:
            raise NotFound(
                "unknown-person",
                f"Slack knows nobody called {named[:80]}; write @ and their name, or their e-mail address.",
            )
        return people[0]

    def permalink(self, channel: str, ts: str) -> str:
        """The address of a message, as Slack spells those of our workspace; "" while it does not say what ours is."""
        try:
            url = str(self._at_home().get("url") or "")
        except (SlackApiError, OSError):
            return ""
        return f"{url.rstrip('/')}/archives/{channel}/p{ts.replace('.', '')}" if url and ts else ""

    def warm(self) -> None:
        """Ask Slack for everything the policy names, ahead of clicks. Never raises; run in the background."""
        for member in {member for members in self._groups.values() for member in members}:
            try:
                if member.startswith("@"):
                    for user_id in self._usergroup(member, fresh=True):
                        self._cached("user", user_id, self._ask_user, fresh=True)
                elif "@" in member:
                    self._cached("email", member.lower(), self._ask_email, fresh=True)
                else:
                    self._cached("user", member, self._ask_user, fresh=True)
            except Unavailable as error:
                log.warning("directory: %s", error)

    def _holds(self, user_id: str, members: list[str]) -> bool:
        if user_id in members:
            return True
        emails = [member.lower() for member in members if "@" in member and not member.startswith("@")]
        if emails:
            who = self.person(user_id)
            if who is not None and (who.email.lower() in emails or (not who.email and self._has_one_of(emails, who))):
                return True
        return any(user_id in self._usergroup(member) for member in members if member.startswith("@"))

    def _has_one_of(self, emails: list[str], who: Person) -> bool:
        """Where Slack hides people's e-mail addresses it may still say whose a given one is; if not, it is nobody's."""
        try:
            found = [self._cached("email", email, self._ask_email) for email in emails]
        except Unavailable:
            return False
        return any(each is not None and each.id == who.id for each in found)

    def _known(self, member: str) -> list[Person]:
        try:
            if member.startswith("@"):
                found = [self.person(user_id) for user_id in self._usergroup(member)]
            elif "@" in member:
                found = [self._cached("email", member.lower(), self._ask_email)]
            else:
                found = [self.person(member)]
        except Unavailable:
            return []
        return [who for who in found if who is not None and who.active]

    def _usergroup(self, handle: str, fresh: bool = False) -> frozenset[str]:
        found: frozenset[str] = self._cached("usergroup", handle.removeprefix("@").lower(), self._ask_usergroup, fresh)
        return found

    # -- asking Slack ------------------------------------------------------------------------------------------

    def _at_home(self) -> Mapping[str, Any]:
        """auth.test, asked once: a workspace keeps its ids and its address. Raises `SlackApiError`, `OSError`."""
        if self._home is None:
            self._home = dict(self._client.auth_test().data)  # type: ignore[arg-type]
        return self._home

    def _person(self, user: dict[str, Any]) -> Person | None:
        """Somebody as Slack describes them. Who is of another workspace (Slack Connect) may call themselves anything."""
        found = _person(user)
        if found is None or not found.active or not user.get("team_id"):
            return found
        home = self._at_home()
        team, enterprise = home.get("team_id"), home.get("enterprise_id")
        theirs = (user.get("enterprise_user") or {}).get("enterprise_id")
        at_home = user["team_id"] in (team, enterprise) or bool(enterprise and theirs == enterprise)
        return found if at_home else replace(found, active=False)

    def _ask_user(self, user_id: str) -> Person | None:
        try:
            return self._person(self._client.users_info(user=user_id).get("user") or {})
        except SlackApiError as error:
            if error.response.get("error") in ("user_not_found", "user_not_visible"):
                return None
            raise

    def _ask_email(self, email: str) -> Person | None:
        try:
            found = self._person(self._client.users_lookupByEmail(email=email).get("user") or {})
        except SlackApiError as error:
            if error.response.get("error") == "users_not_found":
                return None
            raise
        if found is not None and found.email:
            # It is the whole person, so their click need not wait for Slack to say it again.
            self._keep("user", found.id, found)
        return found

    def _ask_everybody(self, _: str) -> list[Person]:
        people: list[Person] = []
        cursor = ""
        for _page in range(50):
            listed = self._client.users_list(limit=200, cursor=cursor)
            found = [self._person(each) for each in listed.get("members") or []]
            people += [who for who in found if who is not None]
            cursor = (listed.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                break
        return people

    def _ask_usergroup(self, handle: str) -> frozenset[str]:
        listed = self._client.usergroups_list().get("usergroups") or []
        for group in listed:
            if group.get("handle", "").lower() == handle or group.get("id", "").lower() == handle:
                return frozenset(self._client.usergroups_users_list(usergroup=group["id"]).get("users") or [])
        log.warning("directory: Slack has no user group @%s; nobody counts as its member", handle)
        return frozenset()

    def _cached(self, kind: str, key: str, ask: Callable[[str], Any], fresh: bool = False) -> Any:
        with self._lock:
            kept = self._cache.get((kind, key))
        if kept is not None and not fresh and self._now() - kept[0] < TTL:
            return kept[1]
        try:
            answer = ask(key)
        except (SlackApiError, OSError) as error:
            shown = {"user": "this person", "everybody": "everybody", "email": key, "usergroup": f"@{key}"}[kind]
            code = error.response.get("error") if isinstance(error, SlackApiError) else type(error).__name__
            raise Unavailable(
                f"Slack did not say who {shown} is ({code}), so nobody is believed; try again in a moment."
            ) from error
        self._keep(kind, key, answer)
        return answer

    def _keep(self, kind: str, key: str, answer: Any) -> None:
        with self._lock:
            self._cache[(kind, key)] = (self._now(), answer)

    def _peek(self, kind: str, key: str) -> Any:
        with self._lock:
            return (self._cache.get((kind, key)) or (0, None))[1]


def _person(user: dict[str, Any]) -> Person | None:
    if not user.get("id"):
        return None
    profile = user.get("profile") or {}
    counts = not any(
        user.get(flag) for flag in ("deleted", "is_bot", "is_restricted", "is_ultra_restricted", "is_stranger")
    )
    return Person(
        id=user["id"],
        name=profile.get("display_name")
        or profile.get("real_name")
        or user.get("real_name")
        or user.get("name")
        or user["id"],
        email=profile.get("email") or "",
        handle=user.get("name") or "",
        active=counts,
        timezone=user.get("tz") or "",
    )
