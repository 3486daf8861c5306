"""Modals and Home tabs: the stack of three, the hash, what the app may do to a view, and what a view's state is."""

from __future__ import annotations

import copy
import json
import secrets
from dataclasses import dataclass

from . import limits
from .cast import APP_ID, BOT_ID, TEAM_ID
from .hub import Hub
from .tickets import Tickets
from .workspace import Json, SlackError, Workspace, as_stored, elements_of

STACK_LIMIT = 3
VIEW_BYTES = 250_000


@dataclass
class OpenView:
    """One view on somebody's screen, in Slack's own shape, and what the client shows beside it."""

    user: str
    body: Json
    errors: dict[str, str] | None = None
    busy: bool = False

    @property
    def id(self) -> str:
        """The view's id."""
        return str(self.body["id"])


class Views:
    """Every open modal and every published Home tab."""

    def __init__(self, workspace: Workspace, tickets: Tickets, hub: Hub) -> None:
        self._workspace = workspace
        self._tickets = tickets
        self._hub = hub
        self.stacks: dict[str, list[OpenView]] = {}
        self.homes: dict[str, OpenView] = {}

    def get(self, view_id: str) -> OpenView:
        """An open view, or a Home tab. Raises SlackError not_found."""
        for view in [v for stack in self.stacks.values() for v in stack] + list(self.homes.values()):
            if view.id == view_id:
                return view
        raise SlackError("not_found")

    def by_external_id(self, external_id: str) -> OpenView:
        """The open view that the app gave this name. Raises SlackError not_found."""
        for view in [v for stack in self.stacks.values() for v in stack] + list(self.homes.values()):
            if external_id and view.body["external_id"] == external_id:
                return view
        raise SlackError("not_found")

    def open(self, trigger_id: object, given: object) -> Json:
        """views.open: a new modal in place of whatever the person had open."""
        body = self._checked(given, ("modal",))
        trigger = self._tickets.redeem_trigger(trigger_id)
        self._refuse_same_name(body)
        view = self._build(trigger.user, body)
        self.stacks[trigger.user] = [view]
        return self._told(view)

    def push(self, trigger_id: object, given: object) -> Json:
        """views.push: a modal on top of the one whose trigger this is."""
        body = self._checked(given, ("modal",))
        trigger = self._tickets.redeem_trigger(trigger_id)
        if trigger.view_id is None or not self.stacks.get(trigger.user):
            raise SlackError("invalid_trigger_id")
        self._refuse_same_name(body)
        return self._push(trigger.user, body)

    def _push(self, user: str, body: Json) -> Json:
        stack = self.stacks.setdefault(user, [])
        if len(stack) >= STACK_LIMIT:
            raise SlackError("push_limit_reached")
        view = self._build(user, body, below=stack[-1] if stack else None)
        stack.append(view)
        return self._told(view)

    def update(self, view: OpenView, given: object, expected_hash: object = None) -> Json:
        """views.update: new content in an open view; what the person typed stays where the ids stay.

        Raises SlackError hash_conflict when `expected_hash` is stale.
        """
        body = self._checked(given, ("modal", "home"))
        if body["type"] != view.body["type"]:
            raise SlackError("invalid_arguments", response_metadata={"messages": ["[ERROR] view type cannot change"]})
        if expected_hash and expected_hash != view.body["hash"]:
            raise SlackError("hash_conflict")
        old = view.body
        fresh = self._build(view.user, body).body
        kept = {k: old[k] for k in ("id", "root_view_id", "previous_view_id")}
        view.body = fresh | kept
        view.body["state"] = {"values": complete_state(view.body["blocks"], {}, old["state"]["values"])}
        view.errors = None
        return self._told(view)

    def publish(self, user: object, given: object, expected_hash: object = None) -> Json:
        """views.publish: the person's Home tab."""
        body = self._checked(given, ("home",))
        person = self._workspace.people.get(str(user))
        if person is None or person.is_bot:
            raise SlackError("invalid_arguments", response_metadata={"messages": ["[ERROR] invalid user_id"]})
        if person.deleted:
            raise SlackError("not_enabled")
        old = self.homes.get(person.id)
        if expected_hash and (old is None or expected_hash != old.body["hash"]):
            raise SlackError("hash_conflict")
        view = self._build(person.id, body)
        if old is not None:
            view.body |= {"id": old.id, "root_view_id": old.id}
        self.homes[person.id] = view
        return self._told(view)

    def respond(self, view: OpenView, answer: Json) -> None:
        """Carries out the acknowledgement of a view_submission. Raises SlackError for what Slack would not accept."""
        stack = self.stacks.get(view.user, [])
        action = answer.get("response_action")
        view.errors = None
        if action is None and not answer:
            if view in stack:
                del stack[stack.index(view) :]
        elif action == "clear":
            stack.clear()
        elif action == "errors":
            self._show_errors(view, answer.get("errors"))
        elif action == "update":
            self.update(view, answer.get("view"))
        elif action == "push":
            self._push(view.user, self._checked(answer.get("view"), ("modal",)))
        else:
            raise SlackError("invalid_response_action")
        self._hub.notify("views", {view.user})

    def close(self, view: OpenView) -> list[OpenView]:
        """The person closes the view: it, or the whole stack with clear_on_close. Gives the views that went."""
        stack = self.stacks.get(view.user, [])
        if view not in stack:
            return []
        cut = 0 if view.body["clear_on_close"] else stack.index(view)
        gone = stack[cut:]
        del stack[cut:]
        self._hub.notify("views", {view.user})
        return gone

    def _checked(self, given: object, types: tuple[str, ...]) -> Json:
        body = checked(given, types)
        if problems := self._workspace.file_problems(body["blocks"], "/view/blocks"):
            raise SlackError("invalid_arguments", response_metadata={"messages": limits.as_messages(problems)})
        return body

    def _show_errors(self, view: OpenView, errors: object) -> None:
        inputs = {b["block_id"] for b in view.body["blocks"] if b["type"] == "input"}
        if not isinstance(errors, dict) or not errors or not set(errors) <= inputs:
            raise SlackError("invalid_error_blocks")
        view.errors = {str(k): str(v) for k, v in errors.items()}

    def _refuse_same_name(self, body: Json) -> None:
        if not body.get("external_id"):
            return
        try:
            self.by_external_id(body["external_id"])
        except SlackError:
            return
        raise SlackError("duplicate_external_id")

    def _told(self, view: OpenView) -> Json:
        self._hub.notify("home" if view.body["type"] == "home" else "views", {view.user})
        return copy.deepcopy(view.body)

    def _build(self, user: str, given: Json, below: OpenView | None = None) -> OpenView:
        view_id = self._workspace.new_id("V")
        blocks = as_stored(given["blocks"])
        body: Json = {
            "id": view_id,
            "team_id": TEAM_ID,
            "type": given["type"],
            "blocks": blocks,
            "private_metadata": given.get("private_metadata") or "",
            "callback_id": given.get("callback_id") or "",
            "state": {"values": complete_state(blocks, {}, {})},
            "hash": f"{int(self._workspace.clock())}.{secrets.token_hex(4)}",
            "title": given.get("title") or {"type": "plain_text", "text": "View Title", "emoji": True},
            "clear_on_close": bool(given.get("clear_on_close")),
            "notify_on_close": bool(given.get("notify_on_close")),
            "close": given.get("close"),
            "submit": given.get("submit"),
            "previous_view_id": below.id if below else None,
            "root_view_id": below.body["root_view_id"] if below else view_id,
            "app_id": APP_ID,
            "external_id": given.get("external_id") or "",
            "app_installed_team_id": TEAM_ID,
            "bot_id": BOT_ID,
        }
        return OpenView(user, body)


def checked(given: object, types: tuple[str, ...]) -> Json:
    """The view as a dict after every check of a view. Raises SlackError invalid_arguments or view_too_large."""
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except ValueError:
            given = None
    if not isinstance(given, dict):
        raise SlackError("invalid_arguments", response_metadata={"messages": ["[ERROR] missing required field: view"]})
    if len(json.dumps(given, ensure_ascii=False).encode()) > VIEW_BYTES:
        raise SlackError("view_too_large")
    problems = limits.validate_view(given)
    if given.get("type") not in types and not problems:
        wanted = " or ".join(types)
        problems = [{"pointer": "/view/type", "code": "invalid_type", "message": f"must be {wanted}"}]
    if problems:
        raise SlackError("invalid_arguments", response_metadata={"messages": limits.as_messages(problems)})
    return given


_EMPTY: dict[str, Json] = {
    "static_select": {"selected_option": None},
    "external_select": {"selected_option": None},
    "radio_buttons": {"selected_option": None},
    "checkboxes": {"selected_options": []},
    "multi_static_select": {"selected_options": []},
    "multi_external_select": {"selected_options": []},
    "users_select": {"selected_user": None},
    "multi_users_select": {"selected_users": []},
    "channels_select": {"selected_channel": None},
    "multi_channels_select": {"selected_channels": []},
    "conversations_select": {"selected_conversation": None},
    "multi_conversations_select": {"selected_conversations": []},
    "datepicker": {"selected_date": None},
    "timepicker": {"selected_time": None},
    "datetimepicker": {"selected_date_time": None},
    "plain_text_input": {"value": None},
    "email_text_input": {"value": None},
    "url_text_input": {"value": None},
    "number_input": {"value": None},
    "rich_text_input": {"rich_text_value": None},
    "file_input": {"files": []},
}


def complete_state(blocks: list[Json], given: Json, before: Json) -> Json:
    """`state.values` with an entry for every control: what is given now, else what stood there, else its initial."""
    values: Json = {}
    for block in blocks:
        for element in elements_of(block):
            empty = _EMPTY.get(element["type"])
            if empty is None:
                continue
            (key, nothing), action_id = next(iter(empty.items())), element["action_id"]
            value = nothing
            for source in (given, before):
                entry = source.get(block["block_id"], {}).get(action_id) if isinstance(source, dict) else None
                if isinstance(entry, dict) and key in entry:
                    value = entry[key] if entry[key] != "" else None
                    break
            else:
                value = element.get(key.replace("selected_", "initial_"), element.get(f"initial_{key}", nothing))
            entry_out = {"type": element["type"], key: copy.deepcopy(value)}
            values.setdefault(block["block_id"], {})[action_id] = entry_out
    return values
