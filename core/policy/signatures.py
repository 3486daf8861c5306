"""Signatures of models (OpenSSF model signing): a sigstore bundle's envelope against keys, and what it covers. Pure.

The envelope is DSSE (https://github.com/secure-systems-lab/dsse), its payload an in-toto Statement. Nothing is asked
of anybody: who holds a key's other half signed these digests, and that is all that is said.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from core.domain.model import ModelVersion, Outcome

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/"
#: What a statement may be about: of any other, its subject was not vouched for (it may be a list of its faults).
PREDICATES = ("https://model_signing/signature/v1.0", "https://slsa.dev/provenance/v1")
SHOWN = 12


class Unreadable(Exception):
    """A bundle that cannot be understood; str() says why."""


@dataclass(frozen=True)
class Envelope:
    """What was signed, by whom it says it was, and the signatures."""

    payload: bytes
    hint: str
    signatures: tuple[bytes, ...]


@dataclass(frozen=True)
class Covered:
    """One digest of a statement, and what it is called there."""

    name: str
    digest: str


def judge(version: ModelVersion, keys: Sequence[str]) -> tuple[Outcome, str]:
    """Whether one of `keys` (PEM) signed the version's artifact digest, and the sentence that says so."""
    which = f"version {version.version}"
    if not version.signature:
        return Outcome.FAILED, f"V{which[1:]} came without a signature; one by {_any_of(keys)} is required."
    if not version.digest:
        return Outcome.INCONCLUSIVE, f"V{which[1:]} has no artifact digest that a signature could cover."
    try:
        envelope = read(version.signature)
        key = next((each for each in keys if _made(envelope, each)), None)
        if key is None:
            return Outcome.FAILED, _not_theirs(envelope, which, keys)
        covered = list(_covered(envelope.payload))
    except Unreadable as reason:
        return Outcome.INCONCLUSIVE, f"The signature of {which} cannot be read: {reason}."
    found = [each for each in covered if _same(each.digest, version.digest)]
    if not found:
        return Outcome.FAILED, (
            f"The signature of {which} is genuine, but covers {_listed(covered)}, not the artifact {version.digest}."
        )
    return Outcome.PASSED, f"Key {fingerprint(key)[:SHOWN]} signed {version.digest} as {found[0].name}."


def fingerprint(key: str) -> str:
    """SHA-256 of a key's PEM, which model signing gives as the hint of its bundles."""
    return hashlib.sha256(key.encode()).hexdigest()


def pae(payload: bytes) -> bytes:
    """What is signed: DSSE's encoding of payload and type, ahead of each its length."""
    return b"DSSEv1 %d %b %d %b" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)


def read(bundle: str) -> Envelope:
    """The envelope in a sigstore bundle. Raises `Unreadable`."""
    try:
        content = json.loads(bundle)
        envelope, material = content["dsseEnvelope"], content.get("verificationMaterial") or {}
        if envelope["payloadType"] != PAYLOAD_TYPE:
            raise Unreadable("its payload is not an in-toto statement")
        payload = base64.b64decode(envelope["payload"], validate=True)
        signatures = tuple(base64.b64decode(each["sig"], validate=True) for each in envelope["signatures"])
        hint = str((material.get("publicKey") or {}).get("hint") or "")
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError, binascii.Error):
        raise Unreadable("it is not a sigstore bundle with a DSSE envelope") from None
    if not signatures:
        raise Unreadable("nobody has signed its envelope")
    return Envelope(payload, hint, signatures[:10])


def _made(envelope: Envelope, pem: str) -> bool:
    from core.policy import public_keys  # late: it is costly, and few policies name a key

    said = pae(envelope.payload)
    return any(public_keys.verifies(pem, signature, said) for signature in envelope.signatures)


def _covered(payload: bytes) -> Iterator[Covered]:
    """The digests that a statement is about: its subjects, and the files that model signing lists."""
    try:
        statement = json.loads(payload)
        kind, about = str(statement["_type"]), str(statement["predicateType"])
        subjects = [(str(each.get("name") or "its subject"), dict(each["digest"])) for each in statement["subject"]]
        predicate = statement.get("predicate") or {}
        files = predicate.get("resources") or [] if about == PREDICATES[0] else []
        listed = [(str(each["name"]), {str(each["algorithm"]): each["digest"]}) for each in files]
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError):
        raise Unreadable("what was signed is not an in-toto statement") from None
    if not kind.startswith(STATEMENT) or about not in PREDICATES:
        raise Unreadable("what was signed is neither a model's signature nor its provenance")
    for name, digests in [*subjects, *listed]:
        for algorithm, digest in digests.items():
            yield Covered(_plain(name), f"{_plain(algorithm)}:{_plain(digest)}")


def _same(one: str, other: str) -> bool:
    """Digests are compared with their algorithm; without one, SHA-256 is meant."""
    return _spelled(one) == _spelled(other)


def _spelled(digest: str) -> str:
    return (digest if ":" in digest else f"sha256:{digest}").lower()


def _not_theirs(envelope: Envelope, which: str, keys: Sequence[str]) -> str:
    if envelope.hint in [fingerprint(each) for each in keys]:
        return (
            f"The signature of {which} does not hold: what it covers was changed after key {envelope.hint[:SHOWN]} "
            "signed it, or it was never that key's."
        )
    other = f"key {_plain(envelope.hint)[:SHOWN]}" if envelope.hint else "another key"
    return f"The signature of {which} was made by {other}, not by {_any_of(keys)}."


def _any_of(keys: Sequence[str]) -> str:
    names = [fingerprint(each)[:SHOWN] for each in keys]
    return f"key {names[0]}" if len(names) == 1 else f"one of the keys {', '.join(names[:5])}"


def _listed(covered: Sequence[Covered]) -> str:
    if not covered:
        return "nothing"
    more = f" and {len(covered) - 1} more" if len(covered) > 1 else ""
    return f"{covered[0].name} ({covered[0].digest[:19]}…){more}"


def _plain(value: Any) -> str:
    return "".join(char if char.isprintable() else "\ufffd" for char in str(value)[:200])
