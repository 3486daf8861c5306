"""Signed clicks on Approve, as Slack delivers them, and many hands that click."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

from bot.local_slack import payloads
from bot.local_slack.cast import Member
from bot.local_slack.workspace import Channel, Message, elements_of

SIGNING_SECRET = "bench-signing-secret"
CHANNEL = "C0BENCH"
APPROVERS = [f"U{n:03d}BENCH" for n in range(16)]

#: One click: whose payload, already in the form that Slack posts.
Body = bytes


def approve(user: str, card: dict[str, Any], ts: str) -> Body:
    """What Slack posts when `user` clicks Approve on `card`, with the card in it, as ever."""
    who = Member(user, user.lower(), user)
    message = Message(ts=ts, channel=CHANNEL, user="U0BATON", text=card["text"], blocks=card["blocks"])
    source = payloads.message_source(Channel(CHANNEL, "bench", "channel"), message)
    button, block_id = next(
        (element, block["block_id"])
        for block in card["blocks"]
        for element in elements_of(block)
        if element["action_id"] == "promotion.approve"
    )
    action = payloads.action_of(block_id, button, {}, "1700000000.000100")
    trigger = f"{time.monotonic_ns()}.1.bench"
    body = payloads.block_actions(who, trigger, source, action, "http://127.0.0.1:9/nobody-answers-a-good-click")
    return urlencode({"payload": json.dumps(body)}).encode()


def signed(body: Body) -> dict[str, str]:
    """Slack's headers."""
    at = str(int(time.time()))
    digest = hmac.new(SIGNING_SECRET.encode(), f"v0:{at}:".encode() + body, hashlib.sha256).hexdigest()
    return {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Slack-Request-Timestamp": at,
        "X-Slack-Signature": f"v0={digest}",
    }


def clicks(port: int, work: Sequence[Body], hands: int) -> tuple[list[float], float]:
    """All of `work` by so many at once, each over one connection kept open; (seconds each, seconds in all)."""
    times: list[float] = []
    wrong: list[str] = []
    start = threading.Barrier(hands + 1)

    def hand(mine: Sequence[Body]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.connect()
        start.wait()
        for body in mine:
            headers = signed(body)
            began = time.perf_counter()
            connection.request("POST", "/slack/events", body, headers)
            answer = connection.getresponse()
            said = answer.read()
            times.append(time.perf_counter() - began)
            if answer.status != 200 or said:
                wrong.append(f"{answer.status} {said[:200]!r}")
        connection.close()

    threads = [threading.Thread(target=hand, args=(work[n::hands],)) for n in range(hands)]
    for thread in threads:
        thread.start()
    start.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    if wrong or len(times) != len(work):
        raise AssertionError(f"{len(wrong)} clicks were answered wrongly, such as {wrong[:1]}")
    return times, time.perf_counter() - began


def wait_until(true: Callable[[], bool], seconds: float, what: str) -> None:
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() > until:
            raise AssertionError(f"waited {seconds} s in vain for {what}")
        time.sleep(0.01)


def answers(port: int, path: str) -> bool:
    """True when a GET is answered 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
