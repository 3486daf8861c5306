"""How the senders of alerts prove who they are: a token, or Grafana's signature with it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping

SIGNATURE = "x-grafana-alerting-signature"
#: Where Grafana may be told to put the time that it signs with the body.
TIMESTAMPS = ("x-grafana-alerting-timestamp", "x-grafana-timestamp")


def proves(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether a request holds the secret. Compared in constant time; an empty secret proves nothing."""
    if not secret:
        return False
    given = {name.lower(): value for name, value in headers.items()}
    kind, _, rest = given.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return _same(rest.strip(), secret)
    if kind.lower() == "basic":
        return _same(_password(rest.strip()), secret)
    if signature := given.get(SIGNATURE, "").strip().lower():
        times = [given[name] for name in TIMESTAMPS if name in given]
        signed = [body, *(f"{time}:".encode() + body for time in times)]
        return any(_same(signature, hmac.new(secret.encode(), each, hashlib.sha256).hexdigest()) for each in signed)
    return False


def _password(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
