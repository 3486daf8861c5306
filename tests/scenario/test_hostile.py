"""Who reports what is not so, and deploy systems that answer what is no answer: a sentence each, and nothing lost."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from bot.local_slack.person import shown_text
from core.targets.standard_webhooks import parse_secrets, sign
from tests.integration.receiver import SECRET, Hook
from tests.scenario.world import MODEL, POLICY, Baton, wait

OTHER = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


def reported(
    baton: Baton, hook: Hook, body: Any, key: str = "r1", secret: str = SECRET, late: timedelta = timedelta(), to: str = ""
) -> tuple[int, str]:  # fmt: skip
    """Somebody's report; the status and the sentence that it is answered with."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = sign(parse_secrets(secret), key, datetime.now(UTC) - late, raw) if secret else {}
    url = hook.data["callback_url"].replace(hook.data["deployment"], to or hook.data["deployment"])
    answer = httpx.post(url, content=raw, headers={**headers, "content-type": "application/json"}, timeout=30)
    return answer.status_code, str(answer.json().get("detail", ""))


def test_reports_that_are_not_so_change_nothing_and_the_true_one_is_heard(baton: Baton) -> None:
    baton.receiver.reply = lambda _hook: (202, {})
    baton.register("7")
    baton.approve(baton.ask("7"))
    (hook,) = baton.receiver.await_hooks(1)
    done = {"state": "succeeded"}

    for status, sentence, found in (
        (401, "The header webhook-id is missing", reported(baton, hook, done, secret="")),
        (401, "None of the signatures", reported(baton, hook, done, secret=OTHER)),
        (401, "sign every attempt anew", reported(baton, hook, done, late=timedelta(minutes=6))),
        (409, "This report is of D-99, but was sent to D-1", reported(baton, hook, done | {"deployment": "D-99"})),
        (404, "There is no deployment D-99.", reported(baton, hook, done, to="D-99")),
        (413, "larger than 64 kB", reported(baton, hook, b'{"state": "' + b"x" * 10_000_000 + b'"}')),
        (422, "state is “done”", reported(baton, hook, {"state": "done"})),
    ):
        assert (found[0], sentence in found[1]) == (status, True), found
    assert baton.states() == ["deploying"]
    assert baton.champion() is None

    assert reported(baton, hook, done, key="r2") == (200, "")
    card = baton.card(f"{MODEL} 7 is champion of production")
    status, sentence = reported(baton, hook, done, key="r2")  # again, word for word
    assert (status, "already" in sentence) == (200, True)
    for _ in range(2):
        assert reported(baton, hook, {"state": "failed", "message": "out of <!here> memory"}, key="r3") == (
            409,
            "D-1 has succeeded already; the report changes nothing.",
        )
    assert baton.champion() == "7"
    told = (
        "⚠️ prod-hook reports now that D-1 failed: out of <!here> memory. It had succeeded, so nothing was changed: see "
        "whether 7 serves production, and type /rollback fraud-detector production because … if it does not."
    )
    wait(lambda: "reports now" in baton.story(card), "the story")
    assert baton.story(card).replace("‹", "<").replace("›", ">").count(told) == 1


@pytest.mark.parametrize("policy", [POLICY.replace("timeout: 5m", "timeout: 1s")], ids=["a second"])
def test_a_success_that_comes_after_the_time_is_up_is_told_to_whoever_looks(baton: Baton) -> None:
    baton.receiver.reply = lambda _hook: (202, {})
    baton.register("7")
    baton.approve(baton.ask("7"))
    (hook,) = baton.receiver.await_hooks(1)
    card = baton.card("Not promoted: fraud-detector 7 to production")
    assert "prod-hook did not report within 1s." in shown_text(card)
    assert reported(baton, hook, {"state": "succeeded"})[0] == 409
    wait(
        lambda: (
            "7 may serve production though it is not the champion; ask for it again, or roll production back."
            in baton.story(card)
        ),
        "the story",
    )
    assert baton.champion() is None


# -- targets -----------------------------------------------------------------------------------------------------

Behaviour = Callable[[socket.socket, threading.Event], None]


def says(raw: bytes) -> Behaviour:
    return lambda peer, _closing: peer.sendall(raw)


def streams(head: bytes, piece: bytes) -> Behaviour:
    """Never comes to an end."""

    def answer(peer: socket.socket, closing: threading.Event) -> None:
        peer.sendall(head)
        while not closing.wait(0.02):
            peer.sendall(piece)

    return answer


OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
BEHAVIOURS: dict[str, tuple[Behaviour, str, str]] = {
    "a page": (says(OK + b"content-length: 13\r\n\r\n<html>Welcome"), "Not promoted", "prod-hook did not report within 2s."),
    "another JSON": (says(OK + b"content-length: 9\r\n\r\n[[[7, 8]]"), "Not promoted", "prod-hook did not report within 2s."),
    "a redirect": (
        says(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n"),
        "Not promoted",
        "prod-hook refused it: it answered 302, a redirect, which is never followed; put the final URL in url.",
    ),
    "nothing": (lambda _peer, closing: closing.wait(60) and None, "Outcome unknown", "no answer within"),
    "headers without end": (streams(OK, b"x-a: b\r\n"), "Outcome unknown", "prod-hook could not be reached within 2s"),
    "a body without end": (
        streams(OK + b'\r\n{"state": "succeeded", "message": "', b"lots of it "), "Outcome unknown", "prod-hook could not be",
    ),
    "no HTTP": (says(b"SSH-2.0-OpenSSH_9.2\r\n"), "Outcome unknown", "prod-hook could not be reached within 2s"),
}  # fmt: skip


class Peer:
    """A deploy system on a bare socket, that behaves as a test says."""

    def __init__(self) -> None:
        self.behaviour: Behaviour = says(b"")
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._closing = threading.Event()
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/deploy"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._closing.set()
        self._listening.close()

    def _serve(self) -> None:
        while not self._closing.is_set():
            try:
                peer, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(peer,), daemon=True).start()

    def _answer(self, peer: socket.socket) -> None:
        with peer:
            try:
                peer.recv(65_536)
                self.behaviour(peer, self._closing)
            except OSError:
                return


@pytest.fixture
def peer() -> Iterator[Peer]:
    made = Peer()
    yield made
    made.close()


class TestTargets:
    @pytest.fixture
    def policy(self, peer: Peer) -> str:
        return POLICY.replace("timeout: 5m", "timeout: 2s").replace("HOOK_URL", peer.url)

    def test_what_is_no_answer_ends_in_a_sentence_on_the_card(self, baton: Baton, peer: Peer) -> None:
        for number, (name, (behaviour, end, sentence)) in enumerate(BEHAVIOURS.items(), 7):
            peer.behaviour = behaviour
            baton.register(str(number))
            baton.approve(baton.ask(str(number)))
            card = shown_text(baton.card(f"{end}: {MODEL} {number} to production"))
            assert sentence in card, (name, card)
        assert baton.champion() is None
