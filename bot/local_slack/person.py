"""A person at the local Slack, over HTTP: what tests and the demo's tour click with."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

import httpx

Json = dict[str, Any]
T = TypeVar("T")
_POLL_SECONDS = 10.0


class NotThere(AssertionError):
    """Something that was looked for is not on the screen; the message says what is."""


class Person:
    """One person's hands and eyes. `url` is LocalSlack.url; `user` is an id such as U01ALICE.

    `last` holds the answer of the latest act, so that a caller may look at its error.
    """

    def __init__(self, slack_url: str, user: str, timeout: float = 30.0) -> None:
        self.user = user
        self.last: Json = {}
        self._channels: dict[str, str] = {}
        # Plain HTTP on loopback: without verify=False every client would first build a TLS context, 100 ms.
        self._http = httpx.Client(base_url=slack_url, timeout=timeout, trust_env=False, verify=False)  # noqa: S501

    def __enter__(self) -> Person:
        return self

    def __exit__(self, _t: type[BaseException] | None, _e: BaseException | None, _b: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Lets the connections go."""
        self._http.close()

    def get(self, path: str, **query: Any) -> Json:
        """Reads one page resource, as this person."""
        params = {k: v for k, v in {"user": self.user, **query}.items() if v is not None}
        body: Json = self._http.get(f"/_local/{path}", params=params).json()
        return body

    def post(self, path: str, **body: Any) -> Json:
        """Does one act, as this person."""
        answer: Json = self._http.post(f"/_local/{path}", json={"user": self.user, **body}).json()
        self.last = answer
        return answer

    def state(self) -> Json:
        """The side bar: people, channels, commands."""
        return self.get("state")

    def channel_id(self, channel: str) -> str:
        """The id for an id, a #name or a name; "app" is the direct messages with the app."""
        if channel not in self._channels:
            rows = self.state()["channels"]
            for row in rows:
                if channel in (row["id"], f"#{row['name']}", row["name"]) or (channel == "app" and row["app_dm"]):
                    self._channels[channel] = str(row["id"])
                    break
            else:
                raise NotThere(f"no channel {channel}; there are {[r['name'] for r in rows]}")
        return self._channels[channel]

    def command(self, channel: str, text: str) -> Json:
        """Types a slash command; gives {ok, error?}."""
        return self.post("command", channel=self.channel_id(channel), text=text)

    def say(self, channel: str, text: str, thread_ts: str | None = None) -> Json:
        """Writes a message; gives {ok, ts}."""
        return self.post("message", channel=self.channel_id(channel), text=text, thread_ts=thread_ts)

    def messages(self, channel: str, thread_ts: str | None = None) -> list[Json]:
        """What stands in a channel or in a thread, each message with its `channel`."""
        channel_id = self.channel_id(channel)
        body = self.get("messages", channel=channel_id, thread_ts=thread_ts)
        if body.get("ok") is False:
            raise NotThere(f"{channel}: {body['error']}")
        return [{**m, "channel": channel_id} for m in body["messages"]]

    def ephemerals(self, channel: str) -> list[Json]:
        """The notes in a channel that only this person sees."""
        return [m for m in self.messages(channel) if m["ephemeral"]]

    def dms(self) -> list[Json]:
        """The direct messages with the app."""
        return self.messages("app")

    def home(self) -> Json | None:
        """The Home tab, as published last."""
        view: Json | None = self.get("home")["view"]
        return view

    def open_home(self) -> Json:
        """Opens the Home tab (app_home_opened)."""
        return self.post("home_opened")

    def wait_for(self, look: Callable[[], T | None], timeout: float = 10.0, what: str = "") -> T:
        """Looks again after every change until `look` gives something. Raises NotThere after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        seq = self.get("wait", since=-1, timeout=0)["seq"]
        while True:
            found = look()
            if found is not None:
                return found
            left = deadline - time.monotonic()
            if left <= 0:
                raise NotThere(f"{self.user} waited {timeout} s for {what or 'something'}")
            seq = self.get("wait", since=seq, timeout=min(left, _POLL_SECONDS))["seq"]

    def wait_for_message(
        self,
        channel: str,
        predicate: Callable[[Json], bool],
        timeout: float = 10.0,
        thread_ts: str | None = None,
    ) -> Json:
        """The newest message that the predicate accepts, as soon as there is one."""

        def look() -> Json | None:
            return next((m for m in reversed(self.messages(channel, thread_ts)) if predicate(m)), None)

        return self.wait_for(look, timeout, f"a message in {channel}")

    def wait_for_text(self, channel: str, part: str, timeout: float = 10.0, thread_ts: str | None = None) -> Json:
        """The newest message that shows this text, in its text or its blocks."""
        return self.wait_for_message(channel, lambda m: part in shown_text(m), timeout, thread_ts)

    def confirm_of(self, place: Json, label: str) -> Json | None:
        """The confirm dialog that guards a control, or None."""
        confirm: Json | None = find_control(place, label)[1].get("confirm")
        return confirm

    def click(self, place: Json, label: str, *, accept: bool = True, **choice: Any) -> Json:
        """Clicks a control by its label or action_id, in a message, a modal or the Home tab.

        A confirm dialog is accepted, or with accept=False dismissed: then nothing is sent and the answer is
        {"ok": False, "error": "dismissed", "confirm": …}. `choice` is what a select would carry.
        """
        block_id, element = find_control(place, label)
        if element.get("confirm") and not accept:
            self.last = {"ok": False, "error": "dismissed", "confirm": element["confirm"]}
            return self.last
        where = {"channel": place["channel"], "ts": place["ts"]} if "ts" in place else {"view_id": place["id"]}
        if place.get("state"):
            where["state"] = place["state"]
        return self.post("click", block_id=block_id, action_id=element["action_id"], **where, **choice)

    def open_view(self) -> Json | None:
        """The form on top, or None."""
        stack = self.get("views")["stack"]
        return stack[-1] if stack else None

    def wait_for_view(self, timeout: float = 10.0, predicate: Callable[[Json], bool] = lambda _view: True) -> Json:
        """The form on top as soon as there is one that the predicate accepts (a loading one may come first)."""

        def look() -> Json | None:
            view = self.open_view()
            return view if view is not None and predicate(view) else None

        return self.wait_for(look, timeout, "a form")

    def fill(self, view: Json, values: dict[str, Any]) -> Json:
        """The view with its inputs filled in, by label (or block_id, or action_id); sends nothing.

        A select takes an option's text or value (a list for a multi-select); an external select takes an option
        as `options` gave it; users and channels take ids.
        """
        filled = {block: dict(entries) for block, entries in view["state"]["values"].items()}
        for label, value in values.items():
            block_id, element = find_control(view, label)
            filled.setdefault(block_id, {})[element["action_id"]] = as_choice(element, value)
        return {**view, "state": {"values": filled}}

    def submit(self, view: Json, values: dict[str, Any] | None = None) -> Json:
        """Fills a form in and sends it; gives {ok, errors?}."""
        filled = self.fill(view, values or {})
        return self.post("submit", view_id=view["id"], state=filled["state"])

    def close_view(self, view: Json) -> Json:
        """Closes a form without sending it."""
        return self.post("close", view_id=view["id"])

    def options(self, place: Json, label: str, typed: str) -> list[Json]:
        """What the app offers in an external select for the text typed (groups flattened)."""
        block_id, element = find_control(place, label)
        where = {"channel": place["channel"], "ts": place["ts"]} if "ts" in place else {"view_id": place["id"]}
        if place.get("state"):
            where["state"] = place["state"]
        body = self.post("options", block_id=block_id, action_id=element["action_id"], value=typed, **where)
        grouped = [option for group in body.get("option_groups", ()) for option in group["options"]]
        return list(body.get("options", ())) + grouped


def shown_text(place: Json) -> str:
    """Everything that can be read in a message or a view, joined by line feeds."""
    parts = [str(place.get("text") or "")] if isinstance(place.get("text"), str) else []
    title = place.get("title")
    parts += [title["text"]] if isinstance(title, dict) else []
    for root in ("blocks", "attachments"):
        parts += _texts(place.get(root) or [])
    return "\n".join(parts)


def _texts(node: Any) -> list[str]:
    if isinstance(node, list):
        return [text for item in node for text in _texts(item)]
    if not isinstance(node, dict):
        return []
    own = [node["text"]] if isinstance(node.get("text"), str) else []
    return own + [text for key, value in node.items() if key != "text" or not own for text in _texts(value)]


def labels(place: Json) -> list[str]:
    """The labels of every control of a message or a view."""
    return [label for _, element, names in _controls(place) for label in names[:1] or [element["type"]]]


def find_control(place: Json, label: str) -> tuple[str, Json]:
    """The block_id and the control with this label, action_id or block_id. Raises NotThere and says what there is."""
    found = [(block, element) for block, element, names in _controls(place) if label in names]
    if not found:
        raise NotThere(f"no control {label!r}; there are {labels(place)}")
    return found[0]


def _controls(place: Json) -> list[tuple[str, Json, list[str]]]:
    found = []
    for block in place.get("blocks") or ():
        elements = list(block.get("elements") or ()) if block["type"] in ("actions", "context_actions") else []
        elements += [block[key] for key in ("accessory", "element") if isinstance(block.get(key), dict)]
        for element in elements:
            if element.get("action_id"):
                texts = [element.get("text"), block.get("label"), element.get("placeholder")]
                names = [t["text"] for t in texts if isinstance(t, dict)]
                found.append((block["block_id"], element, [*names, element["action_id"], block["block_id"]]))
    return found


def as_choice(element: Json, value: Any) -> Json:
    """A value in the shape of `state.values` for this control. Raises NotThere for an option that is not offered."""
    kind = element["type"]
    if kind.endswith("static_select") or kind in ("radio_buttons", "checkboxes"):
        many = kind in ("checkboxes", "multi_static_select")
        picked = [_option(element, v) for v in (value if many else [value])]
        return {"type": kind, "selected_options": picked} if many else {"type": kind, "selected_option": picked[0]}
    key = _KEYS.get(kind, "value")
    if key == "value" and value is not None and not isinstance(value, str):
        value = str(value)
    return {"type": kind, key: value}


_KEYS = {
    "external_select": "selected_option", "multi_external_select": "selected_options", "users_select": "selected_user",
    "multi_users_select": "selected_users", "channels_select": "selected_channel",
    "multi_channels_select": "selected_channels", "conversations_select": "selected_conversation",
    "multi_conversations_select": "selected_conversations", "datepicker": "selected_date",
    "timepicker": "selected_time", "datetimepicker": "selected_date_time", "rich_text_input": "rich_text_value",
    "file_input": "files",
}  # fmt: skip


def _option(element: Json, wanted: Any) -> Json:
    offered = list(element.get("options") or ())
    for group in element.get("option_groups") or ():
        offered += group["options"]
    for option in offered:
        if wanted == option or wanted in (option["text"]["text"], option.get("value")):
            return dict(option)
    raise NotThere(f"no option {wanted!r}; there are {[o['text']['text'] for o in offered]}")
