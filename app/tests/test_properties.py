"""Whatever is sent: never an uncontrolled error, never a wrong token accepted."""

from __future__ import annotations

import json
import math
import time

import jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jwt.utils import base64url_encode

from flask_jwt_keys.tokens import verify

ISSUER, AUDIENCE = "https://issuer.example", "https://audience.example"
NAMES = ["exp", "iat", "nbf", "identity", "iss", "aud", "sub", "jti", "typ", "other"]
HEADERS = ["alg", "kid", "typ", "cty", "crit", "b64", "zip", "jku", "jwk", "x5u", "x5c", "other"]
CHECK = settings(
    max_examples=60,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

text = st.text(st.characters(), max_size=20)
numbers = st.integers() | st.floats() | st.integers(-3, 3) | st.integers(2**31 - 9, 2**31)
scalars = st.none() | st.booleans() | numbers | text | st.sampled_from([ISSUER, AUDIENCE])
values = st.recursive(
    scalars, lambda v: st.lists(v, max_size=3) | st.dictionaries(text, v, max_size=3), max_leaves=6
)
near_now = st.integers(-4000, 4000).map(lambda delta: int(time.time()) + delta)
claims = st.dictionaries(st.sampled_from(NAMES), values | near_now, max_size=5)
headers = st.dictionaries(
    st.sampled_from(HEADERS),
    values | st.sampled_from(["none", "HS256", "RS256", "JWT"]),
    max_size=4,
)


def is_text_or_absent(claims, name):
    return name not in claims or isinstance(claims[name], str)


def is_acceptable(claims, now):
    """The rules, written a second time and on their own; None where a second may decide."""
    times = [claims.get(name) for name in ("exp", "iat", "nbf")]
    if not all(type(value) in (int, float) and math.isfinite(value) for value in times):
        return False
    if not all(0 <= value < 253402300800 for value in times):
        return False
    exp, iat, nbf = map(int, times)
    if any(abs(edge) <= 2 for edge in (exp - now + 10, iat - now - 10, nbf - now - 10)):
        return None
    if exp < now - 10 or iat > now + 10 or nbf > now + 10 or times[0] - times[1] > 3600:
        return False
    if not is_json(claims):
        return False
    texts = all(is_text_or_absent(claims, name) for name in ("sub", "jti"))
    return texts and claims.get("iss") == ISSUER and claims.get("aud") == AUDIENCE


def is_json(value):
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


@pytest.fixture
def accepts(keyed, signer):
    """Whether the app's key set accepts a token; anything but a refusal is an error."""
    app = keyed(signer)

    def check(token):
        try:
            verify(token, *app.extensions["flask_jwt_keys"].current())
        except jwt.InvalidTokenError:
            return False
        return True

    return check


@CHECK
@given(changes=claims)
def test_signed_claims_are_accepted_by_the_rules_alone(accepts, signer, good_claims, changes):
    header = json.dumps({"alg": signer.algorithm, "typ": "JWT"}).encode()
    token = signer.raw(header, json.dumps({**good_claims(), **changes}).encode())
    expected = is_acceptable({**good_claims(), **changes}, time.time())
    assert expected is None or accepts(token) == expected


@CHECK
@given(changes=headers)
def test_signed_headers_are_accepted_by_the_rules_alone(accepts, signer, changes):
    header = {"alg": signer.algorithm, "typ": "JWT", **changes}
    expected = (
        header["alg"] == signer.algorithm
        and header["typ"] == "JWT"
        and set(header) <= {"alg", "typ", "other"}
        and is_json(header)
    )
    assert accepts(signer.token(changes)) == expected


@CHECK
@given(changes=headers)
def test_headers_of_a_stranger_are_never_accepted(accepts, stranger, changes):
    assert not accepts(stranger.token(changes))


@CHECK
@given(header=st.binary(max_size=60), payload=st.binary(max_size=60))
def test_signed_bytes_are_never_accepted(accepts, signer, header, payload):
    good = json.dumps({"alg": signer.algorithm, "typ": "JWT"}).encode()
    assert not accepts(signer.raw(header, payload))
    assert not accepts(signer.raw(good, payload))


@CHECK
@given(parts=st.lists(values.map(json.dumps).map(str.encode) | st.binary(max_size=30), max_size=6))
def test_unsigned_segments_are_never_accepted(accepts, parts):
    assert not accepts(b".".join(map(base64url_encode, parts)).decode())


@CHECK
@given(data=st.data())
def test_no_insertion_deletion_or_exchange_is_accepted(accepts, signer, data):
    token = signer.token()
    begin = data.draw(st.integers(0, len(token)))
    end = begin + data.draw(st.integers(0, 3))
    middle = data.draw(st.text(st.sampled_from("AZaz09-_.=+/ \n%e"), max_size=3))
    changed = token[:begin] + middle + token[end:]
    assert accepts(changed) == (changed == token)


@CHECK
@given(token=st.text(st.characters(), max_size=200))
def test_no_text_is_a_token(accepts, token):
    assert not accepts(token)


@CHECK
@given(changes=claims)
def test_over_http_it_is_200_or_401(client, call, signer, changes):
    assert call.protected(client, signer.token(**changes)).status_code in (200, 401)


header_texts = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=60)


@CHECK
@given(header=header_texts | header_texts.map("JWT {}".format))
def test_no_authorization_header_upsets_the_app(client, header):
    assert client.get("/protected", headers={"Authorization": header}).status_code == 401


@CHECK
@given(body=values | st.fixed_dictionaries({"username": values, "password": values}))
@pytest.mark.parametrize("algorithm", ["HS256"])
def test_no_login_body_upsets_the_app(client, body):
    response = client.post("/auth", data=json.dumps(body), content_type="application/json")
    assert response.status_code == 401


@CHECK
@given(
    body=st.binary(max_size=60),
    content_type=st.sampled_from(["application/json", "application/x-www-form-urlencoded", ""]),
)
@pytest.mark.parametrize("algorithm", ["HS256"])
def test_no_login_bytes_upset_the_app(client, body, content_type):
    response = client.post("/auth", data=body, content_type=content_type)
    assert response.status_code in (400, 401)
