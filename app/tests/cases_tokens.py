"""Cases of headers, claims, bodies and mutations, and what must become of each.

The rules of what counts are written here a second time, and on their own.
"""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

import jwt
from flask import Flask
from hypothesis import strategies as st
from jwt.utils import base64url_encode
from signers import AUDIENCE, ISSUER, good_claims
from verdicts import agree, modest

from flask_jwt_keys import JWT, jwt_required
from flask_jwt_keys.tokens import verify

NAMES = ["exp", "iat", "nbf", "identity", "iss", "aud", "sub", "jti", "typ", "other"]
HEADERS = ["alg", "kid", "typ", "cty", "crit", "b64", "zip", "jku", "jwk", "x5u", "x5c", "other"]

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
header_texts = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=60)
kinds = st.sampled_from(["application/json", "application/x-www-form-urlencoded", ""])
routes = st.sampled_from(["/auth", "/auth/refresh", "/auth/logout"])
changes = st.tuples(
    st.floats(0, 1), st.integers(0, 3), st.text(st.sampled_from("AZaz09-_.=+/ \n%e"), max_size=3)
)


class World:
    """An app with one user, the key that it knows and one that it does not."""

    def __init__(self, directory: Path, signer, stranger):
        self.signer, self.stranger = signer, stranger
        self.app = Flask("tested")
        self.app.config |= {"JWT_ISSUER": ISSUER, "JWT_AUDIENCE": AUDIENCE}
        self.app.config["JWT_STORE_PATH"] = directory / "sessions.sqlite3"
        if signer.algorithm == "HS256":
            self.app.config["SECRET_KEY"] = signer.private
        else:
            (directory / "a.pem").write_text(signer.pem)
            self.app.config["JWT_KEY_DIR"] = directory
        JWT(self.app, lambda name, password: None, lambda claims: claims["identity"] == 1 or None)
        self.app.add_url_rule("/protected", view_func=jwt_required()(lambda: "hello"))
        self.client = self.app.test_client()
        self.current = self.app.extensions["flask_jwt_keys"].current

    def accepts(self, token):
        """Whether the app's key set accepts a token; anything but a refusal is an error."""
        try:
            verify(token, *self.current())
        except jwt.InvalidTokenError:
            return False
        return True

    @property
    def head(self):
        return {"alg": self.signer.algorithm, "typ": "JWT"}


def is_text_or_absent(claims, name):
    return name not in claims or isinstance(claims[name], str)


def is_acceptable(claims, now):
    """The rules; None where a second may decide."""
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


def signed_claims(world, changed):
    said = {**good_claims(), **changed}
    token = world.signer.raw(json.dumps(world.head).encode(), json.dumps(said).encode())
    expected = is_acceptable(said, time.time())
    if expected is not None:
        agree(world.accepts(token), expected)


def signed_headers(world, changed):
    header = {**world.head, **changed}
    expected = (
        header["alg"] == world.signer.algorithm
        and header["typ"] == "JWT"
        and set(header) <= {"alg", "typ", "other"}
        and is_json(header)
    )
    agree(world.accepts(world.signer.token(changed)), expected)


def headers_of_a_stranger(world, changed):
    agree(world.accepts(world.stranger.token(changed)), False)


def signed_bytes(world, parts):
    agree(world.accepts(world.signer.raw(*parts)), False)
    agree(world.accepts(world.signer.raw(json.dumps(world.head).encode(), parts[1])), False)


def unsigned_segments(world, parts):
    agree(world.accepts(b".".join(map(base64url_encode, parts)).decode()), False)


def mutations(world, change):
    token = world.signer.token()
    begin = round(change[0] * len(token))
    changed = token[:begin] + change[2] + token[begin + change[1] :]
    agree(world.accepts(changed), changed == token)


def texts(world, token):
    agree(world.accepts(token), False)


def claims_over_http(world, changed):
    said = {**good_claims(), "jti": "j", **changed}
    token = world.signer.token(**said)
    expected = is_acceptable(said, time.time())
    known = said["identity"] == 1 and isinstance(said["jti"], str)
    status = _get(world, f"JWT {token}")
    assert status in (200, 401)
    if expected is not None:
        agree(status == 200, expected and known)


def authorization_headers(world, header):
    status = _get(world, header)
    agree(status < 400, False)
    assert status == 401


def _get(world, header):
    return modest(world.client.get("/protected", headers={"Authorization": header}))


def json_bodies(world, case):
    url, body = case
    data = json.dumps(body)
    status = modest(world.client.post(url, data=data, content_type="application/json"))
    sent = body.get("refresh_token") if isinstance(body, dict) else None
    is_text = isinstance(sent, str) and sent != ""  # RFC 7009: nothing to end is well
    agree(status == 204, url == "/auth/logout" and is_text)
    assert status in (204, 401)


def bodies(world, case):
    url, data, kind = case
    status = modest(world.client.post(url, data=data, content_type=kind))
    agree(status < 400, False)
    assert status in (400, 401)


part = values.map(json.dumps).map(str.encode) | st.binary(max_size=30)
nested = st.builds(
    lambda text, size: text * (size // len(text)),
    st.sampled_from([b"[", b'{"a":']),
    st.integers(1, 16_000),
)
credentials = st.fixed_dictionaries({"username": values, "password": values})
renewals = st.fixed_dictionaries({"refresh_token": values | text.map("{0}.{0}".format)})
PROPERTIES = {
    signed_claims: claims,
    signed_headers: headers,
    headers_of_a_stranger: headers,
    signed_bytes: st.tuples(st.binary(max_size=60), st.binary(max_size=60)),
    unsigned_segments: st.lists(part, max_size=6),
    mutations: changes,
    texts: st.text(st.characters(), max_size=200),
    claims_over_http: claims,
    authorization_headers: header_texts | header_texts.map("JWT {}".format),
}
"""What holds with each algorithm, and its cases."""

BODIES = {
    json_bodies: st.tuples(routes, values | credentials | renewals),
    bodies: st.tuples(routes, st.binary(max_size=60) | nested, kinds),
}
"""What holds of requests, whatever signs."""
