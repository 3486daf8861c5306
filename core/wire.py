"""Calling other machines: cutting off what takes too long, and naming what went wrong on the way."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import httpx

T = TypeVar("T")
#: What a call that was cut off is given to say so.
GRACE_SECONDS = 0.25


@cache
def trusted() -> ssl.SSLContext:
    """The authorities that every HTTPS connection goes by: those of httpx, or what SSL_CERT_FILE or SSL_CERT_DIR names.

    Read once, since that takes up to a tenth of a second.
    """
    return httpx.create_ssl_context()


def new_client(headers: Mapping[str, str], timeout: float = 15.0) -> httpx.Client:
    """A client that goes where the policy says and nowhere else: no proxies of the environment, no redirects.

    Each call has a connection of its own, which its `Deadline` can cut off.
    """
    return httpx.Client(
        verify=trusted(),
        trust_env=False,
        follow_redirects=False,
        limits=httpx.Limits(max_keepalive_connections=0),
        timeout=httpx.Timeout(timeout, connect=min(5.0, timeout)),
        headers={"user-agent": "Baton", "accept": "application/json", "accept-encoding": "identity"} | dict(headers),
    )


def trouble(error: Exception) -> str:
    """What went wrong on the way, as the end of a sentence."""
    chain: list[BaseException] = [error, *_causes(error)]
    text = str(error).lower()
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in chain) or "certificate verify" in text:
        return "its certificate could not be verified"
    if any(isinstance(cause, socket.gaierror) for cause in chain):
        return "its host name could not be resolved"
    if any(isinstance(cause, ConnectionRefusedError) for cause in chain) or "refused" in text:
        return "connection refused"
    if isinstance(error, httpx.ConnectTimeout):
        return "no connection in time"
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    if isinstance(error, httpx.RemoteProtocolError):
        return "it broke the connection off, or does not speak HTTP"
    return "the connection broke" if isinstance(error, httpx.NetworkError | OSError) else "its URL cannot be used"


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause = error.__cause__ or error.__context__
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


class Deadline:
    """Ends a call when its time is up. httpx bounds each read but not their sum: a peer that drips one byte
    of a header every few seconds would hold the workflow for ever.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._until = time.monotonic() + seconds
        self._is_cut = False
        self._sockets: list[Any] = []
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    @property
    def passed(self) -> bool:
        """True once the time is up."""
        return self._is_cut or time.monotonic() >= self._until

    def __enter__(self) -> Deadline:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def within(self, call: Callable[[], T]) -> T:
        """What `call` returns or raises. Raises `TimeoutError` when it is not back in time.

        Nothing cuts a look-up of a host's name off, so the call has a thread of its own, which is left to itself. Should it
        get a connection after all, that is cut off before anything is sent.
        """
        return within(max(0.0, self._until - time.monotonic()) + GRACE_SECONDS, call)

    def watch(self, event: str, info: Mapping[str, Any]) -> None:
        """Take note of the socket as httpcore opens it (its `trace` extension)."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._sockets.append(info["return_value"].get_extra_info("socket"))
            if self.passed:
                self._cut()

    def _cut(self) -> None:
        self._is_cut = True
        for each in self._sockets:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:  # closed already, or handed over to TLS
                continue


def within(seconds: float, work: Callable[[], T]) -> T:
    """What `work` gives, or raises, where it does within `seconds`. Raises `TimeoutError` where it does not; where no time
    is left, it is not begun.

    For libraries that bound each read but not their sum, and whose sockets are their own matter: what was begun goes on
    in a thread that nobody waits for, until the other side ends it.
    """
    came: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()

    def run() -> None:
        try:
            came.put((work(), None))
        except BaseException as error:  # noqa: BLE001 - raised again by whoever waits
            came.put((None, error))

    if seconds <= 0:
        raise TimeoutError
    threading.Thread(target=run, name="within", daemon=True).start()
    try:
        found, error = came.get(timeout=seconds)
    except Empty:
        raise TimeoutError from None
    if error is not None:
        raise error
    return found  # type: ignore[return-value]
