"""Signing and verifying as Standard Webhooks does (https://www.standardwebhooks.com), symmetric `v1` signatures.

A secret is written in one of two ways. `whsec_` and base64: the key is what the base64 stands for, as in every
Standard Webhooks library. Anything else: the key is the text's own UTF-8 bytes. Several secrets, parted by white space,
are all valid at once: the first signs foremost, and a receiver or sender may move from one to the next in its own time.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from core.domain.errors import NotAllowed

PREFIX = "whsec_"
#: How far, in seconds, the clocks of sender and receiver may be apart.
TOLERANCE = 300


@dataclass(frozen=True)
class Secret:
    """One shared secret: the key of `webhook-signature`, and the text as written, the key of `X-Hub-Signature-256`."""

    key: bytes = field(repr=False)
    text: bytes = field(repr=False)


def parse_secrets(text: str) -> tuple[Secret, ...]:
    """Read one or several secrets. Raises `ValueError` with the end of a sentence that never holds the secret."""
    secrets = tuple(_parse(word) for word in text.split())
    if not secrets:
        raise ValueError("is empty; write whsec_ and base64, or any other text that both sides know.")
    return secrets


def _parse(word: str) -> Secret:
    if not word.startswith(PREFIX):
        return Secret(word.encode("utf-8", "surrogateescape"), word.encode("utf-8", "surrogateescape"))
    encoded = word.removeprefix(PREFIX)
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("begins with whsec_, but what follows is not base64.") from None
    if not key:
        raise ValueError("is whsec_ with nothing behind it; base64 of at least 24 bytes must follow.")
    return Secret(key, word.encode())


def sign(secrets: Sequence[Secret], key: str, at: datetime, body: bytes) -> dict[str, str]:
    """The headers that go with `body`. `key` is the `webhook-id`, the same over retries; `at` is when this attempt is."""
    timestamp = str(int(at.timestamp()))
    return {
        "webhook-id": key,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(_signature(secret, key, timestamp, body) for secret in secrets),
        "x-hub-signature-256": f"sha256={hmac.new(secrets[0].text, body, hashlib.sha256).hexdigest()}",
    }


def verify(
    secrets: Sequence[Secret], headers: Mapping[str, str], body: bytes, now: datetime, tolerance: int = TOLERANCE
) -> str:
    """Make sure that `body` comes from somebody who knows one of `secrets`, and lately; returns the `webhook-id`.

    Header names are looked up in any case. Raises `NotAllowed`, whatever is wrong with them.
    """
    named = {name.lower(): value for name, value in headers.items()}
    key, timestamp, signatures = (named.get(f"webhook-{part}", "") for part in ("id", "timestamp", "signature"))
    if not (key and timestamp and signatures):
        missing = next(part for part in ("id", "timestamp", "signature") if not named.get(f"webhook-{part}"))
        raise NotAllowed("bad-signature", f"The header webhook-{missing} is missing; sign as Standard Webhooks does.")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise NotAllowed("bad-signature", "The header webhook-timestamp is not a whole number of seconds since 1970.")
    if abs(now.timestamp() - int(timestamp)) > tolerance:
        raise NotAllowed(
            "bad-signature",
            f"The header webhook-timestamp is over {tolerance} s away from the time here; sign every attempt anew.",
        )
    given = [word.encode("utf-8", "replace") for word in signatures.split()]
    right = [_signature(secret, key, timestamp, body).encode() for secret in secrets]
    if not any([hmac.compare_digest(one, other) for one in given for other in right]):  # noqa: C419 (constant time)
        raise NotAllowed("bad-signature", "None of the signatures in webhook-signature fits this body and this secret.")
    return key


def _signature(secret: Secret, key: str, timestamp: str, body: bytes) -> str:
    signed = key.encode("utf-8", "replace") + b"." + timestamp.encode() + b"." + body
    return "v1," + base64.b64encode(hmac.new(secret.key, signed, hashlib.sha256).digest()).decode()
