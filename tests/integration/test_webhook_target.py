"""What a webhook target makes of every kind of answer, over real sockets."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.ports import Act, Answer
from core.targets.standard_webhooks import parse_secrets
from core.targets.webhook import WebhookTarget, retry_after, understood
from tests.integration.receiver import SECRET, Receiver
from tests.integration.staging import now

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
EVENT = {
    "specversion": "1.0", "id": "msg_1", "source": "https://baton.example.com", "type": "t",
    "datacontenttype": "application/json", "data": {"action": "deploy"},
}  # fmt: skip


@contextmanager
def target(url: str) -> Iterator[WebhookTarget]:
    made = WebhookTarget("prod-hook", url, parse_secrets(SECRET), now)
    yield made
    made.close()


def ask(url: str, timeout: float = 5.0) -> Answer:
    with target(url) as made:
        return made.send(Act("msg_1", EVENT, timeout))


@contextmanager
def raw_server(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server of one connection that says whatever `talk` does, HTTP or not."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            asked = b""
            while not asked.endswith(b"}}"):  # whoever closes with something unread resets the connection
                asked += connection.recv(65_536)
            try:
                talk(connection)
            except OSError:
                return  # we were hung up on, as we should be

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    finally:
        thread.join(10)
        listening.close()
        assert not thread.is_alive()


@pytest.mark.parametrize(
    ("status", "body", "answer"),
    [
        (200, {"state": "succeeded"}, Answer("succeeded")),
        (200, {"state": "succeeded", "message": "live", "url": "https://ci/1"}, Answer("succeeded", "live", "https://ci/1")),
        (200, {"state": "failed", "message": "no such image"}, Answer("refused", "no such image")),
        (200, {"state": "failed"}, Answer("refused", "it answered that it failed")),
        (200, {"state": "started"}, Answer("started")),
        (200, {"state": ["succeeded"]}, Answer("started")),
        (200, ["succeeded"], Answer("started")),
        (201, {"state": "succeeded"}, Answer("started")),
        (202, {"url": "https://ci/2"}, Answer("started", "", "https://ci/2")),
        (202, {"url": "javascript:alert(1)", "message": 7}, Answer("started")),
        (202, {"message": "a\u202eb\n\x00c"}, Answer("started", "a b c")),
        (404, {"detail": "no such hook"}, Answer("refused", "it answered 404: no such hook")),
        (410, {}, Answer("refused", "it answered 410")),
        (401, {"message": "x" * 9_999}, Answer("refused", "it answered 401: " + "x" * 499 + "…")),
        (408, {}, Answer("unclear", "it answered 408")),
        (425, {}, Answer("unclear", "it answered 425")),
        (429, {"headers": {"retry-after": "7"}}, Answer("unclear", "it answered 429", retry_after=7.0)),
        (500, {"error": "boom"}, Answer("unclear", "it answered 500: boom")),
        (503, {}, Answer("unclear", "it answered 503")),
    ],
)  # fmt: skip
def test_answers(status: int, body: dict[str, object], answer: Answer) -> None:
    with Receiver(lambda _hook: (status, body)) as receiver:
        assert ask(receiver.url) == answer
        (hook,) = receiver.await_hooks(1)
    assert hook.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert hook.headers["user-agent"] == "Baton"


def test_redirects_are_not_followed() -> None:
    with Receiver() as elsewhere, Receiver(lambda _hook: (307, {"headers": {"location": elsewhere.url}})) as receiver:
        answer = ask(receiver.url)
        assert elsewhere.hooks == []
    assert answer == Answer("refused", "it answered 307, a redirect, which is never followed; put the final URL in url")


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with Receiver() as receiver:
        assert ask(receiver.url).state == "started"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:1/", "connection refused"),
        ("http://no-such-host.invalid/", "its host name could not be resolved"),
        ("http://[::1/", "its URL cannot be used"),
        ("gopher://127.0.0.1/", "its URL cannot be used"),
    ],
)
def test_what_cannot_be_reached_is_unclear(url: str, words: str) -> None:
    assert ask(url) == Answer("unclear", words)


def test_a_certificate_that_nobody_vouches_for_is_not_accepted() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Path(__file__).with_name("self_signed.pem"))
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listening.accept()
        with connection, contextlib.suppress(OSError):
            context.wrap_socket(connection, server_side=True).close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    answer = ask(f"https://127.0.0.1:{listening.getsockname()[1]}/")
    thread.join(10)
    listening.close()
    assert answer == Answer("unclear", "its certificate could not be verified")


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", Answer("unclear", "it broke the connection off, or does not speak HTTP")),
        (b"", Answer("unclear", "it broke the connection off, or does not speak HTTP")),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\n{", Answer("unclear", "it broke the connection off, or does not speak HTTP")),
        (b"HTTP/1.1 202 Accepted\r\ncontent-length: 90\r\n\r\n{", Answer("started")),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n\xff\xfe\x00", Answer("started")),
        (b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\n\x1f\x8b\x08", Answer("started")),
        (b"HTTP/1.1 400 No\r\ncontent-length: 7\r\n\r\nBad <b>", Answer("refused", "it answered 400: Bad <b>")),
    ],
)  # fmt: skip
def test_nonsense_never_raises(said: bytes, answer: Answer) -> None:
    with raw_server(lambda connection: connection.sendall(said)) as url:
        assert ask(url) == answer


def test_a_huge_answer_is_not_read_to_its_end() -> None:
    sent = 0

    def pour(connection: socket.socket) -> None:
        nonlocal sent
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
        while sent < 1_000_000_000:
            sent += connection.send(b"x" * 65_536)

    with raw_server(pour) as url:
        assert ask(url) == Answer("started")
    assert sent < 20_000_000  # what the buffers between held


def drip(piece: bytes, first: bytes = b"") -> Callable[[socket.socket], None]:
    def talk(connection: socket.socket) -> None:
        connection.sendall(first)
        if not piece:
            while connection.recv(65_536):  # until we are hung up on
                pass
            return
        until = time.monotonic() + 8
        while time.monotonic() < until:
            connection.sendall(piece)
            time.sleep(0.05)

    return talk


@pytest.mark.parametrize(
    ("first", "piece", "answer"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"x-a: b\r\n", Answer("unclear", "no answer within 0.5 s")),
        (b"HTTP/1.1 200 OK\r\n\r\n", b" ", Answer("unclear", "no answer within 0.5 s")),
        (b"HTTP/1.1 202 OK\r\n\r\n", b" ", Answer("started")),
        (b"", b"", Answer("unclear", "no answer within 0.5 s")),
    ],
)
def test_an_answer_that_never_ends_is_cut_off(first: bytes, piece: bytes, answer: Answer) -> None:
    started = time.monotonic()
    with raw_server(drip(piece, first)) as url:
        assert ask(url, 0.5) == answer
        assert time.monotonic() - started < 3


def test_a_message_that_is_too_long_is_not_sent() -> None:
    with Receiver() as receiver, target(receiver.url) as made:
        answer = made.send(Act("msg_1", {**EVENT, "data": "x" * 20_000}))
        assert receiver.hooks == []
    assert answer.state == "refused"
    assert answer.message.endswith("bytes long, more than 20000")


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("12", 12.0),
        ("0", 0.0),
        ("Mon, 23 Nov 2026 09:02:00 GMT", 120.0),
        ("Mon, 23 Nov 2026 08:00:00 GMT", None),
        ("-1", None),
        ("soon", None),
        ("", None),
        ("99999999999999", 86_400.0),
        ("²", None),
    ],
)
def test_retry_after(given: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": given}, NOW) == seconds


def test_an_attempt_is_signed_with_its_own_time() -> None:
    moments = iter([NOW - timedelta(hours=1), NOW])
    with Receiver() as receiver:
        made = WebhookTarget("prod-hook", receiver.url, parse_secrets(SECRET), lambda: next(moments))
        made.send(Act("msg_1", EVENT))
        made.close()
        assert receiver.hooks == []  # the library refuses an old signature
        assert "timestamp" in receiver.problems[0]


def test_deeply_nested_json_is_no_answer() -> None:
    assert understood(200, b"[" * 100_000, NOW) == Answer("started")
    assert understood(200, json.dumps({"state": "succeeded"}).encode(), NOW) == Answer("succeeded")
