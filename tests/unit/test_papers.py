"""Gates on what a version came with: its signature, checked offline, and its model card."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from core.domain.model import ModelVersion, Outcome, Verdict
from core.policy import signatures
from core.policy.gates import evaluate
from core.policy.load import PolicyError, load, load_file
from core.policy.stages import Stage

PASSED, FAILED, INCONCLUSIVE = Outcome.PASSED, Outcome.FAILED, Outcome.INCONCLUSIVE
#: Made by the model-signing package, release 1.1.1, of a folder with two files.
RECORDED = Path(__file__).parents[1] / "fakes" / "signed"
BUNDLE, RELEASE = ((RECORDED / name).read_text() for name in ("model.sig", "release.pub"))
FOLDER = "sha256:fe0b3074fde28c515f63068389676f0286a0352a0a036fc269189d43948f46b7"
WEIGHTS = "sha256:4a0e740d4192afc29a5ef70167bf48daa40b41deb7a22289e8501d7bfe21eb14"


def version(digest: str = FOLDER, signature: str = "", card: str = "") -> ModelVersion:
    return ModelVersion("fraud-detector", "7", "s3://m/7", digest, signature=signature, card=card)


def judged(gate: dict[str, Any], candidate: ModelVersion) -> Verdict:
    (verdict,) = evaluate(Stage.from_rules({"name": "production", "gates": [gate]}).gates, candidate, None)
    return verdict


def signed(candidate: ModelVersion, *keys: str) -> tuple[Outcome, str]:
    verdict = judged({"signature": {"keys": keys or [RELEASE]}}, candidate)
    assert verdict.gate == "signed by a key of the policy"
    return verdict.outcome, verdict.sentence


def pem(private: Any) -> str:
    return str(private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())


def bundle(private: Any, hint: bool = True, **changes: Any) -> str:
    """A bundle as model signing makes it."""
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "fraud", "digest": {"sha256": "ab" * 32}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {"resources": []},
    }
    payload = json.dumps(statement | changes).encode()
    said = signatures.pae(payload)
    if isinstance(private, ed25519.Ed25519PrivateKey):
        signature = private.sign(said)
    else:
        signature = private.sign(said, ec.ECDSA({256: hashes.SHA256(), 384: hashes.SHA384()}[private.key_size]))
    return json.dumps(
        {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {"publicKey": {"hint": signatures.fingerprint(pem(private)) if hint else ""}},
            "dsseEnvelope": {
                "payload": base64.b64encode(payload).decode(),
                "payloadType": "application/vnd.in-toto+json",
                "signatures": [{"sig": base64.b64encode(signature).decode(), "keyid": ""}],
            },
        }
    )


# -- signatures --------------------------------------------------------------------------------------------------


def test_a_bundle_of_the_real_model_signing_is_checked_against_the_policys_key() -> None:
    assert signed(version(signature=BUNDLE)) == (PASSED, f"Key 0e14642b2e31 signed {FOLDER} as fraud-detector.")
    assert signed(version(WEIGHTS, BUNDLE)) == (PASSED, f"Key 0e14642b2e31 signed {WEIGHTS} as model.bin.")
    assert signed(version(WEIGHTS.removeprefix("sha256:").upper(), BUNDLE))[0] is PASSED
    other = pem(ec.generate_private_key(ec.SECP256R1()))
    assert signed(version(signature=BUNDLE), other, RELEASE)[0] is PASSED, "any of the keys will do"
    assert signed(version(signature=BUNDLE), other) == (
        FAILED,
        f"The signature of version 7 was made by key 0e14642b2e31, not by key {signatures.fingerprint(other)[:12]}.",
    )


@pytest.mark.parametrize(
    "private",
    [ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()],
)  # fmt: skip
def test_every_kind_of_key_signs_and_any_change_of_what_it_signed_is_seen(private: Any) -> None:
    candidate, mine = version(f"sha256:{'ab' * 32}", bundle(private)), pem(private)
    name = signatures.fingerprint(mine)[:12]
    assert signed(candidate, mine) == (PASSED, f"Key {name} signed sha256:{'ab' * 32} as fraud.")
    assert signed(replace(candidate, signature=bundle(private, hint=False)), mine)[0] is PASSED
    changed = json.loads(candidate.signature)
    payload = base64.b64decode(changed["dsseEnvelope"]["payload"]).replace(b"abab", b"abac", 1)
    changed["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
    assert signed(replace(candidate, signature=json.dumps(changed)), mine) == (
        FAILED,
        f"The signature of version 7 does not hold: what it covers was changed after key {name} signed it, "
        "or it was never that key's.",
    )
    assert signed(replace(candidate, signature=bundle(private, hint=False)), RELEASE) == (
        FAILED,
        "The signature of version 7 was made by another key, not by key 0e14642b2e31.",
    )


def test_a_signature_of_something_else_is_no_signature_of_this() -> None:
    assert signed(version("sha256:" + "0" * 64, BUNDLE)) == (
        FAILED,
        "The signature of version 7 is genuine, but covers fraud-detector (sha256:fe0b3074fde2…) and 2 more, "
        f"not the artifact sha256:{'0' * 64}.",
    )
    assert signed(version(FOLDER.replace("sha256", "sha512"), BUNDLE))[0] is FAILED, "digests of another kind"
    private = ec.generate_private_key(ec.SECP256R1())
    faults = bundle(private, predicateType="https://example.com/list-of-faults")
    assert signed(version(f"sha256:{'ab' * 32}", faults), pem(private)) == (
        INCONCLUSIVE,
        "The signature of version 7 cannot be read: what was signed is neither a model's signature nor its provenance.",
    )
    built = bundle(private, predicateType="https://slsa.dev/provenance/v1", predicate={"resources": [{"name": "x"}]})
    assert signed(version(f"sha256:{'ab' * 32}", built), pem(private))[0] is PASSED


@pytest.mark.parametrize(
    ("text", "outcome", "sentence"),
    [
        ("", FAILED, "Version 7 came without a signature; one by key 0e14642b2e31 is required."),
        ("{}", INCONCLUSIVE, "it is not a sigstore bundle with a DSSE envelope."),
        ("[" * 5_000, INCONCLUSIVE, "it is not a sigstore bundle with a DSSE envelope."),
        (BUNDLE.replace("MEUC", "M*UC"), INCONCLUSIVE, "it is not a sigstore bundle with a DSSE envelope."),
        (BUNDLE.replace("in-toto+json", "toto"), INCONCLUSIVE, "its payload is not an in-toto statement."),
        (BUNDLE.replace('"signatures":[', '"signatures":[],"x":['), INCONCLUSIVE, "nobody has signed its envelope."),
    ],
)  # fmt: skip
def test_no_signature_and_an_unreadable_one_are_never_a_pass(text: str, outcome: Outcome, sentence: str) -> None:
    found = signed(version(signature=text.replace('": ', '":') if text.startswith("{") else text))
    assert found == (outcome, sentence if not text else f"The signature of version 7 cannot be read: {sentence}")


def test_without_an_artifact_digest_nothing_could_be_covered() -> None:
    assert signed(version("", BUNDLE)) == (
        INCONCLUSIVE,
        "Version 7 has no artifact digest that a signature could cover.",
    )


# -- keys in the policy ------------------------------------------------------------------------------------------

POLICY = """
version: 1
slack: {channel: "#ml"}
stages:
  - name: development
  - name: production
    gates: [{signature: {keys: [KEY]}}]
"""


def test_a_key_is_named_by_its_file_or_written_out_and_is_part_of_the_policy(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "release.pub").write_text(RELEASE)
    file = tmp_path / "baton.yml"
    file.write_text(POLICY.replace("KEY", "keys/release.pub"))
    policy = load_file(file)
    inline = load(POLICY.replace("KEY", json.dumps(RELEASE)))
    assert policy.stages[1].rules()["gates"] == [{"signature": {"keys": [RELEASE]}, "advisory": False}]
    assert policy.digest == inline.digest
    (tmp_path / "keys" / "release.pub").write_text(pem(ed25519.Ed25519PrivateKey.generate()))
    assert load_file(file).digest != policy.digest, "another key is another policy"


SECRET = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("keys/lost.pub", '"keys/lost.pub" cannot be read (No such file or directory); write the path of a public key in '
         "PEM, as seen from this file, or the key itself."),
        ('"-----BEGIN PUBLIC KEY-----"', "cannot be read as a public key in PEM; copy the whole key, its first and last "
         "line too."),
        (json.dumps(SECRET.decode()), "is a private key; write the public one, and replace this one: who has read it can "
         "sign."),
        ("", "is empty; write at least 1."),
    ],
)  # fmt: skip
def test_a_key_that_is_none_is_refused_with_its_line(key: str, said: str) -> None:
    with pytest.raises(PolicyError) as refused:
        load(POLICY.replace("KEY", key))
    assert said in str(refused.value)
    assert SECRET.decode().splitlines()[1][:12] not in str(refused.value)


# -- model cards -------------------------------------------------------------------------------------------------

CARD = """---
license: apache-2.0
intended_use: Scoring card payments.
limitations:
---
# Fraud detector

## Training data

Transactions of 2025.

## Evaluation

### Per country

Equal within 2 %.

## Ethical considerations

```
## Caveats
```
## Owner
"""


def card(text: str, *sections: str) -> tuple[Outcome, str]:
    verdict = judged({"model_card": list(sections) or True}, version(card=text))
    assert verdict.gate == (f"model card with {', '.join(sections)}" if sections else "model card")
    return verdict.outcome, verdict.sentence


def test_a_card_is_asked_for_its_sections_in_front_matter_and_headings() -> None:
    assert card(CARD) == (PASSED, "Version 7 came with a model card.")
    wanted = ("intended_use", "Training data", "evaluation", "ethical considerations")
    assert card(CARD, *wanted) == (PASSED, f"The model card says {', '.join(wanted)}.")
    assert card(CARD, "limitations", "owner", "license") == (
        FAILED,
        "The model card of version 7 says nothing under limitations and owner.",
    )
    assert card(CARD, "caveats", "biases", "owner") == (
        FAILED,
        "The model card of version 7 has no caveats and no biases and says nothing under owner.",
    )
    assert card("Only words.") == (PASSED, "Version 7 came with a model card.")
    assert card(CARD.replace("\n", "\r\n"), *wanted)[0] is PASSED


@pytest.mark.parametrize(
    ("text", "outcome", "sentence"),
    [
        ("", FAILED, "Version 7 came without a model card; one is required."),
        (" \n", FAILED, "Version 7 came without a model card; one is required."),
        ("---\na: [1\n---\n", INCONCLUSIVE, "The model card of version 7 cannot be read: line 3 of its front matter, "
         "a { or [ is not closed (without quotes, # begins a comment)."),
        ("---\n- a\n---\n", INCONCLUSIVE, "The model card of version 7 cannot be read: its front matter is not a mapping."),
    ],
)  # fmt: skip
def test_no_card_and_an_unreadable_one_are_never_a_pass(text: str, outcome: Outcome, sentence: str) -> None:
    assert card(text, "license") == (outcome, sentence)
