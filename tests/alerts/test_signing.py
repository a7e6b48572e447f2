"""Standard Webhooks: the reference library's vector, the six cases of a verifier, bad secrets."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

import pytest

from cronbell.alerts.signing import signed_headers, signing_key
from cronbell.errors import SecretError

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID, AT, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def verified(headers, body: bytes, secret: str, now: int) -> bool:
    """Verify as the specification says a receiver does."""
    found = dict(headers)
    if not {"webhook-id", "webhook-timestamp", "webhook-signature"} <= found.keys():
        return False
    if abs(now - int(found["webhook-timestamp"])) > 300:
        return False
    content = f"{found['webhook-id']}.{found['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    good = base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
    given = [one.partition(",") for one in found["webhook-signature"].split(" ")]
    return any(v == "v1" and hmac.compare_digest(text, good) for v, _, text in given)


def test_the_reference_vector():
    headers = signed_headers(ID, AT, BODY, [signing_key(SECRET)])
    assert headers == (
        ("webhook-id", ID),
        ("webhook-timestamp", str(AT)),
        ("webhook-signature", SIGNATURE),
    )


def test_while_rotating_either_secret_verifies():
    new = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    headers = signed_headers(ID, AT, BODY, [signing_key(new), signing_key(SECRET)])
    assert dict(headers)["webhook-signature"].split(" ")[1] == SIGNATURE
    assert verified(headers, BODY, SECRET, AT)
    assert verified(headers, BODY, new, AT)


@pytest.mark.parametrize(
    ("change", "good"),
    [
        ({}, True),
        ({"body": b'{"test":2432232314}'}, False),  # encoded anew
        ({"secret": "whsec_" + base64.b64encode(b"x" * 24).decode()}, False),
        ({"now": AT + 300}, True),
        ({"now": AT + 301}, False),
        ({"without": "webhook-id"}, False),
    ],
)
def test_a_receiver_by_the_specification_takes_ours_and_nothing_else(change, good):
    headers = signed_headers(ID, AT, BODY, [signing_key(SECRET)])
    sent = [pair for pair in headers if pair[0] != change.get("without")]
    secret, now = change.get("secret", SECRET), change.get("now", AT)
    assert verified(sent, change.get("body", BODY), secret, now) is good


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "begin with whsec_"),
        ("whsec_not base64 at all", "not base64"),
        ("whsec_" + base64.b64encode(b"x" * 23).decode(), "23 bytes"),
        ("whsec_" + base64.b64encode(b"x" * 65).decode(), "65 bytes"),
        ("whsec_é", "not base64"),
    ],
)
def test_what_is_no_secret_is_refused_without_being_shown(secret, said):
    with pytest.raises(SecretError, match=said) as refused:
        signing_key(secret, "env:OPS")
    assert secret.removeprefix("whsec_") not in str(refused.value)
    assert "env:OPS" in str(refused.value)
    assert refused.value.hint


@pytest.mark.parametrize("length", [24, 64])
def test_the_shortest_and_the_longest_secret_are_taken(length):
    key = bytes(range(length))
    assert signing_key("whsec_" + base64.b64encode(key).decode()) == key


def test_signs_that_are_no_base64_are_not_passed_over():
    """A lax reader drops them: two spellings of one secret, and a typing error nobody is told."""
    good = base64.b64encode(bytes(range(30))).decode()
    with pytest.raises(SecretError, match="base64"):
        signing_key(f"whsec_{good[:8]}!{good[8:]}")
