"""Gates on what a version came with, a signature and a model card, as the policy file writes them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from core.policy.fields import Name, Part, wrong

PEM = "-----BEGIN "


def _public_key(value: Any) -> str:
    """A public key as everybody writes it in PEM. Nothing of the text is repeated: it may be the private one."""
    if not isinstance(value, str) or PEM not in value:
        raise wrong("is not a public key in PEM", "write the path of its file, or the key itself")
    if "PRIVATE KEY" in value:
        raise wrong("is a private key", "write the public one, and replace this one: who has read it can sign")
    from core.policy import public_keys  # late: it is costly, and few policies name a key

    try:
        return public_keys.canonical(value)
    except public_keys.UnreadableKey:
        raise wrong(
            "cannot be read as a public key in PEM", "copy the whole key, its first and last line too"
        ) from None
    except public_keys.UnknownKind:
        raise wrong("is a key of a kind that is not known here", "use ECDSA (P-256, P-384, P-521) or Ed25519") from None


PublicKey = Annotated[
    str,
    BeforeValidator(_public_key),
    WithJsonSchema({"type": "string", "description": "A public key in PEM, or the path of its file."}),
]


Sections = Annotated[
    tuple[Name, ...],
    BeforeValidator(lambda given: () if given is True else given),
    WithJsonSchema(
        {
            "anyOf": [{"const": True}, {"type": "array", "items": {"type": "string"}}],
            "description": "The sections that must be there; true where a card is enough.",
        }
    ),
]


class Signers(Part):
    """Whose signature counts."""

    keys: tuple[PublicKey, ...] = Field(min_length=1, max_length=20)


class SignatureGate(Part):
    """The version came with a signature of its artifact digest, by one of these keys."""

    signature: Signers
    advisory: bool = False


class ModelCardGate(Part):
    """The version came with a model card that has these sections, as headings or as keys of its front matter."""

    model_card: Sections
    advisory: bool = False
