"""Our signatures against the independent `standardwebhooks` package, both ways."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest
import standardwebhooks
from hypothesis import given
from hypothesis import strategies as st

from core.domain.errors import NotAllowed
from core.targets.standard_webhooks import parse_secrets, sign, verify

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
KEY = b"a key of twenty-four byte"
WHSEC = "whsec_" + base64.b64encode(KEY).decode()
BODY = b'{"state": "succeeded"}'


def now_headers(secrets: str = WHSEC, body: bytes = BODY, key: str = "msg_1") -> dict[str, str]:
    return sign(parse_secrets(secrets), key, datetime.now(UTC), body)


@given(body=st.binary(), raw=st.text(st.characters(exclude_categories=("Cs", "Z", "C")), min_size=1).filter(
    lambda word: not word.startswith("whsec_")
))  # fmt: skip
def test_what_we_sign_the_library_verifies(body: bytes, raw: str) -> None:
    for secret, key in ((WHSEC, KEY), (raw, raw.encode())):
        headers = now_headers(secret, body)
        timestamp = headers["webhook-timestamp"]
        expected = hmac.new(key, b"msg_1." + timestamp.encode() + b"." + body, hashlib.sha256).digest()
        assert headers["webhook-signature"] == "v1," + base64.b64encode(expected).decode()
        assert verify(parse_secrets(secret), headers, body, datetime.now(UTC)) == "msg_1"
    standardwebhooks.Webhook(WHSEC).verify(b'{"a": 1}', now_headers(WHSEC, b'{"a": 1}'))


def test_what_the_library_signs_we_verify() -> None:
    at = datetime.now(UTC)
    signature = standardwebhooks.Webhook(WHSEC).sign("msg_2", at, BODY.decode())
    headers = {"Webhook-Id": "msg_2", "Webhook-Timestamp": str(int(at.timestamp())), "Webhook-Signature": signature}
    assert verify(parse_secrets(WHSEC), headers, BODY, at) == "msg_2"


def test_both_secrets_are_good_while_one_replaces_the_other() -> None:
    both = f"{WHSEC} the-old-one"
    for one in (WHSEC, "the-old-one"):
        assert verify(parse_secrets(both), now_headers(one), BODY, datetime.now(UTC))
        assert verify(parse_secrets(one), now_headers(both), BODY, datetime.now(UTC))
    assert len(now_headers(both)["webhook-signature"].split()) == 2


@pytest.mark.parametrize("secret", [WHSEC, "plain"])
def test_the_hub_signature_is_keyed_with_the_secret_as_it_is_written(secret: str) -> None:
    expected = hmac.new(secret.encode(), BODY, hashlib.sha256).hexdigest()
    assert now_headers(secret)["x-hub-signature-256"] == f"sha256={expected}"


def test_whatever_is_changed_is_noticed() -> None:
    headers, secrets = sign(parse_secrets(WHSEC), "msg_1", NOW, BODY), parse_secrets(WHSEC)
    assert verify(secrets, headers, BODY, NOW) == "msg_1"
    unfit = "None of the signatures in webhook-signature fits this body and this secret."
    changed = [
        ({}, BODY + b" ", unfit),
        ({"webhook-id": "msg_2"}, BODY, unfit),
        ({"webhook-timestamp": str(int(NOW.timestamp()) + 1)}, BODY, unfit),
        ({"webhook-signature": "v1,"}, BODY, unfit),
        ({"webhook-signature": "v2" + headers["webhook-signature"][2:]}, BODY, unfit),
        ({"webhook-signature": headers["webhook-signature"][3:]}, BODY, unfit),
        ({"webhook-signature": "v1,\udcff ä"}, BODY, unfit),
        ({"webhook-signature": ""}, BODY, "The header webhook-signature is missing; sign as Standard Webhooks does."),
        ({"webhook-id": ""}, BODY, "The header webhook-id is missing; sign as Standard Webhooks does."),
        ({"webhook-timestamp": "soon"}, BODY,
         "The header webhook-timestamp is not a whole number of seconds since 1970."),
        ({"webhook-timestamp": "9" * 400}, BODY,
         "The header webhook-timestamp is not a whole number of seconds since 1970."),
    ]  # fmt: skip
    for change, body, sentence in changed:
        with pytest.raises(NotAllowed) as refused:
            verify(secrets, headers | change, body, NOW)
        assert (refused.value.slug, refused.value.sentence) == ("bad-signature", sentence)
    with pytest.raises(NotAllowed):
        verify(parse_secrets("another"), headers, BODY, NOW)


@pytest.mark.parametrize("apart", [timedelta(seconds=301), timedelta(seconds=-301)])
def test_an_old_or_future_signature_is_refused(apart: timedelta) -> None:
    headers = sign(parse_secrets(WHSEC), "msg_1", NOW, BODY)
    with pytest.raises(NotAllowed, match=r"^The header webhook-timestamp is over 300 s away from the time here;"):
        verify(parse_secrets(WHSEC), headers, BODY, NOW + apart)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty; write whsec_ and base64, or any other text that both sides know."),
        ("  ", "is empty; write whsec_ and base64, or any other text that both sides know."),
        ("good whsec_n%t", "begins with whsec_, but what follows is not base64."),
        ("whsec_", "is whsec_ with nothing behind it; base64 of at least 24 bytes must follow."),
    ],
)
def test_a_wrong_secret_is_refused_without_showing_it(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        parse_secrets(text)
    assert str(refused.value) == sentence


def test_a_secret_does_not_print_itself() -> None:
    (secret,) = parse_secrets(WHSEC)
    assert repr(secret) == "Secret()"
