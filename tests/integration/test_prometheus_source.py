"""What a Prometheus source makes of every kind of answer, over real sockets, from a fake that is strict about questions."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest

from core.policy.readings import Look, Missing, Reading, Rival, Unanswered, Value
from core.policy.rollout import Analysis
from core.sources.looks import Subject, take_looks
from core.sources.prometheus import PrometheusSource

AT = datetime(2026, 11, 23, 9, 0, 0, 250_000, tzinfo=UTC)
NONSENSE = Unanswered("Prometheus answered with something that is not an answer to a query.")
Answer = tuple[int, Any]


class FakePrometheus:
    """Answers `POST /prom/api/v1/query` as `reply(query)` says, and takes no question that the real one would not.

    `at` is the time that is to be asked for; any where it is "".
    """

    def __init__(self, reply: Callable[[str], Answer], at: str = "1795424400.250", timeout: str = "5s") -> None:
        self.queries: list[str] = []
        self.problems: list[str] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode(), strict_parsing=True)
                asked = (self.path, self.headers["content-type"], sorted(form), form["time"], form["timeout"])
                wanted = (
                    "/prom/api/v1/query",
                    "application/x-www-form-urlencoded",
                    ["query", "time", "timeout"],
                    [at or form["time"][0]],
                    [timeout],
                )
                if asked != wanted:
                    fake.problems.append(repr(asked))
                fake.queries += form["query"]
                status, answer = reply(form["query"][0])
                sent = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                if status == 307:
                    self.send_header("location", f"http://127.0.0.1:{self.server.server_address[1]}/elsewhere")
                self.send_header("content-length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/prom/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def __enter__(self) -> FakePrometheus:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        assert self.problems == []


@contextmanager
def source(url: str, timeout: float = 5.0) -> Iterator[PrometheusSource]:
    made = PrometheusSource(url, timeout)
    yield made
    made.close()


def ask(url: str, timeout: float = 5.0) -> Reading:
    with source(url, timeout) as made:
        return made.ask("up", AT)


def answered(status: int, answer: Any) -> Reading:
    with FakePrometheus(lambda _query: (status, answer)) as fake:
        return ask(fake.url)


def success(kind: object, result: object, **more: Any) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": kind, "result": result}, **more}


def vector(*values: Any, **more: Any) -> dict[str, Any]:
    return success("vector", [{"metric": {"n": str(n)}, "value": [1.5, v]} for n, v in enumerate(values)], **more)


@pytest.mark.parametrize(
    ("answer", "reading"),
    [
        (vector("0.00898"), Value(0.00898)),
        (vector("1e+06"), Value(1_000_000.0)),
        (vector("-3"), Value(-3.0)),
        (success("scalar", [1.5, "1"]), Value(1.0)),
        (vector("1", warnings=["partial response.", 7, "x" * 999]), Value(1.0, f"partial response; {'x' * 299}…")),
        (vector("1", warnings="no list"), Value(1.0)),
        (vector(), Missing("no series answers the query.")),
        (vector("1", "2"), Missing("2 series answer the query, and one number is wanted; sum them or narrow it.")),
        (vector("NaN"), Missing("the answer is NaN, which says nothing.")),
        (vector("+Inf"), Missing("the answer is +Inf, which says nothing.")),
        (vector("-Inf"), Missing("the answer is -Inf, which says nothing.")),
        (vector("1e999"), Missing("the answer is 1e999, which says nothing.")),
        (success("scalar", [1.5, "NaN"]), Missing("the answer is NaN, which says nothing.")),
        (success("string", [1.5, "1"]), Missing("the query answers with a string, and one number is wanted.")),
        (success("matrix", []), Missing("the query answers with a matrix, and one number is wanted.")),
        (success("vector", [{"histogram": [1.5, {}]}]), Missing("the query answers with a histogram, and one number is wanted.")),
        (vector(1), NONSENSE),
        (vector(None), NONSENSE),
        (vector("1_000"), NONSENSE),
        (vector("٣"), NONSENSE),
        (vector(" 1"), NONSENSE),
        (success("vector", [7]), NONSENSE),
        (success("vector", {"0": "1"}), NONSENSE),
        (success(["vector"], []), NONSENSE),
        (success("scalar", "1"), NONSENSE),
        ({"status": "error", "data": {"resultType": "scalar", "result": [1, "1"]}}, NONSENSE),
        ({"status": "success"}, NONSENSE),
        ([], NONSENSE),
        (b"<html>log in</html>", NONSENSE),
        (b"\xff\xfe", NONSENSE),
        (b"[" * 100_000, NONSENSE),
        (b"", NONSENSE),
    ],
)  # fmt: skip
def test_an_answer_is_one_number_or_says_why_it_is_none(answer: Any, reading: Reading) -> None:
    assert answered(200, answer) == reading


@pytest.mark.parametrize(
    ("status", "answer", "sentence"),
    [
        (400, {"status": "error", "errorType": "bad_data", "error": "invalid parameter \"query\":\n1:4: parse error."}, 'Prometheus answered 400, it does not understand the query: invalid parameter "query": 1:4: parse error.'),
        (422, {"status": "error", "errorType": "execution", "error": "too many samples"}, "Prometheus answered 422, it could not carry the query out: too many samples."),
        (503, {"status": "error", "errorType": "timeout", "error": "query timed out"}, "Prometheus answered 503, it is overloaded or gave up in time: query timed out."),
        (503, b"<h1>Service Unavailable</h1>", "Prometheus answered 503, it is overloaded or gave up in time."),
        (401, b"", "Prometheus answered 401, it wants to know who asks."),
        (404, b"404 page not found", "Prometheus answered 404, it is not at this url."),
        (418, {"error": ["teapot"]}, "Prometheus answered 418."),
        (500, {"error": "\u202eboom\x00"}, "Prometheus answered 500: boom."),
        (201, vector("1"), "Prometheus answered 201."),
        (307, b"", "Prometheus answered 307, a redirect, which is never followed; put the final URL in url."),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_one_sentence(status: int, answer: Any, sentence: str) -> None:
    with FakePrometheus(lambda _query: (status, answer)) as fake:
        assert ask(fake.url) == Unanswered(sentence)
        assert len(fake.queries) == 1


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:1", "connection refused"),
        ("http://no-such-host.invalid", "its host name could not be resolved"),
        ("http://[::1", "its URL cannot be used"),
    ],
)
def test_what_cannot_be_reached_is_one_sentence(url: str, words: str) -> None:
    assert ask(url) == Unanswered(f"Prometheus could not be asked: {words}.")


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert answered(200, vector("1")) == Value(1.0)


@contextmanager
def raw_server(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server of one connection that says whatever `talk` does, HTTP or not."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            asked = b""
            while not asked.endswith(b"s"):  # of timeout=0.5s; whoever closes with something unread resets it
                received = connection.recv(65_536)
                if not received:
                    return  # whoever asks had no time left to ask
                asked += received
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


OK = b"HTTP/1.1 200 OK\r\n"
BROKEN_OFF = Unanswered("Prometheus could not be asked: it broke the connection off, or does not speak HTTP.")


@pytest.mark.parametrize(
    ("said", "reading"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", BROKEN_OFF),
        (b"", BROKEN_OFF),
        (OK + b"content-length: 90\r\n\r\n{", BROKEN_OFF),
        (OK + b"content-encoding: gzip\r\ncontent-length: 3\r\n\r\n\x1f\x8b\x08", NONSENSE),
    ],
)
def test_a_peer_that_does_not_speak_properly_never_raises(said: bytes, reading: Reading) -> None:
    with raw_server(lambda connection: connection.sendall(said)) as url:
        assert ask(url) == reading


def test_a_huge_answer_is_not_read_to_its_end() -> None:
    sent = 0

    def pour(connection: socket.socket) -> None:
        nonlocal sent
        connection.sendall(OK + b"content-length: 1000000000\r\n\r\n")
        while sent < 1_000_000_000:
            sent += connection.send(b" " * 65_536)

    with raw_server(pour) as url:
        assert ask(url) == Unanswered("Prometheus answered with more than 1,000,000 bytes.")
    assert sent < 20_000_000  # what the buffers between held


@pytest.mark.parametrize(
    ("first", "piece"),
    [(b"", b""), (OK, b"x-a: b\r\n"), (OK + b"\r\n", b" "), (OK + b"\r\n" + json.dumps(vector("1")).encode(), b" ")],
)
def test_an_answer_that_never_ends_is_cut_off(first: bytes, piece: bytes) -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(first)
        until = time.monotonic() + 8
        while piece and time.monotonic() < until:
            connection.sendall(piece)
            time.sleep(0.05)
        while not piece and connection.recv(65_536):  # until we are hung up on
            pass

    started = time.monotonic()
    with raw_server(drip) as url:
        assert ask(url, 0.5) == Unanswered("Prometheus gave no answer within 0.5 s.")
        assert time.monotonic() - started < 3


# -- a look at everything ------------------------------------------------------------------------------------------

ERRORS = {
    "name": "errors",
    "bad": 'bad{m="{{model}}",v="{{version}}"}',
    "total": 'all{m="{{model}}",v="{{version}}"}',
    "compared_to": "champion",
}
WATCHED = Analysis.model_validate(
    {
        "source": "prometheus",
        "metrics": [
            {"name": "rate", "query": 'rate{v="{{version}}",s="{{stage}}"}', "at_most": 0.02},
            ERRORS,
            {"name": "ratio", "query": 'rate{v="{{version}}"} / rate{v="{{champion}}"}', "at_most": 2},
        ],
    }
)


def test_a_look_asks_for_the_candidate_and_again_for_the_champion() -> None:
    with FakePrometheus(lambda query: (200, vector(str(len(query))))) as fake, source(fake.url) as prometheus:
        looks = take_looks(prometheus, WATCHED, Subject("fraud", "production", "7", "6"), AT)
    asked = [
        'rate{v="7",s="production"}',
        'bad{m="fraud",v="7"}',
        'all{m="fraud",v="7"}',
        'bad{m="fraud",v="6"}',
        'all{m="fraud",v="6"}',
        'rate{v="7"} / rate{v="6"}',
    ]
    assert fake.queries == asked
    read = [Value(float(len(query))) for query in asked]
    assert looks == {
        "rate": Look((read[0],)),
        "errors": Look((read[1], read[2]), (read[3], read[4])),
        "ratio": Look((read[5],)),
    }


def test_without_a_champion_nobody_is_asked_about_it() -> None:
    with FakePrometheus(lambda _query: (200, vector("1"))) as fake, source(fake.url) as prometheus:
        looks = take_looks(prometheus, WATCHED, Subject("fraud", "production", "7"), AT)
    assert len(fake.queries) == 3
    assert looks["errors"] == Look((Value(1.0), Value(1.0)), None, Rival.ABSENT)
    assert looks["ratio"].candidate == (Missing("the query names {{champion}}, and there is none in this stage yet."),)


def test_while_the_champion_rests_only_bounds_are_asked_for() -> None:
    with FakePrometheus(lambda _query: (200, vector("1"))) as fake, source(fake.url) as prometheus:
        subject = Subject("fraud", "production", "7", "6", champion_serves=False)
        looks = take_looks(prometheus, WATCHED, subject, AT)
    assert sorted(looks) == ["rate", "ratio"]
    assert {each.rival for each in looks.values()} == {Rival.RESTS}
    assert len(fake.queries) == 2


def test_a_query_that_is_an_outline_is_never_asked() -> None:
    outline = Analysis.model_validate(
        {"source": "p", "metrics": [{"name": "e", "query": "…{{version}}…", "at_most": 1}]}
    )
    with FakePrometheus(lambda _query: (200, vector("1"))) as fake, source(fake.url) as prometheus:
        looks = take_looks(prometheus, outline, Subject("fraud", "production", "7"), AT)
    assert fake.queries == []
    assert looks["e"].candidate == (Unanswered("the query cannot be asked: it is an outline, with … in it."),)
