"""Public keys in PEM, and what they verify.

The one module that imports `cryptography`, which weighs as much as the whole of Baton's own code: only where a policy
names a key, so whoever needs it imports this late.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

_CURVES = ("secp256r1", "secp384r1", "secp521r1")
_HASHES = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}


class UnreadableKey(ValueError):
    """The text is no public key in PEM."""


class UnknownKind(ValueError):
    """A public key, of a kind that nothing is signed with here."""


def canonical(pem: str) -> str:
    """The key as everybody writes it. Raises `UnreadableKey` or `UnknownKind`."""
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise UnreadableKey from None
    known = isinstance(key, ed25519.Ed25519PublicKey) or (
        isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES
    )
    if not known:
        raise UnknownKind
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def verifies(pem: str, signature: bytes, message: bytes) -> bool:
    """Whether the key's other half made `signature` over `message`: Ed25519, or ECDSA with the hash of its size."""
    key = load_pem_public_key(pem.encode())
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, message)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, message, ec.ECDSA(_HASHES[key.curve.key_size]))
        else:
            return False
    except InvalidSignature:
        return False
    return True
