"""Hostile tokens, for every algorithm: each is refused with 401, none upsets the app."""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
import zlib

import jwt
import pytest
from jwt.utils import base64url_encode

from flask_jwt_keys import create_access_token, decode_token

CLAIMS = ["exp", "iat", "nbf", "identity", "iss", "aud"]


def assert_refused(response):
    assert response.status_code == 401
    assert response.json["error"] == "Invalid token", response.json


@pytest.fixture
def refused(client, call, signer):
    """Assert that a token is refused, by an app that accepts a good one."""

    def check(token):
        assert_refused(call.protected(client, token))
        assert call.protected(client, signer.token()).status_code == 200

    return check


def unsigned(header, claims):
    return b".".join(base64url_encode(json.dumps(part).encode()) for part in (header, claims))


def payload_with(**raw):
    """A payload as JSON text in which some claims are written as given."""
    now = int(time.time())
    claims = {"exp": f"{now + 300}", "iat": f"{now}", "nbf": f"{now}", "identity": "1"}
    claims |= {"iss": '"https://issuer.example"', "aud": '"https://audience.example"'} | raw
    members = (f'"{name}":{value}' for name, value in claims.items())
    return ("{" + ",".join(members) + "}").encode()


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "", None, ["RS256"], 1, {}, ...])
@pytest.mark.parametrize("signature", ["", "AAAA"])
def test_no_algorithm(refused, good_claims, alg, signature):
    header = {"typ": "JWT"} if alg is ... else {"alg": alg, "typ": "JWT"}
    refused(f"{unsigned(header, good_claims()).decode()}.{signature}")


@pytest.mark.parametrize("alg", ["none", "hs256", "RS256 ", "HS512", "PS256", "RS512", None, 7])
def test_wrong_algorithm_with_a_good_signature(refused, signer, alg):
    refused(signer.token({"alg": alg}))


def test_algorithm_written_in_another_case(refused, signer, algorithm):
    refused(signer.token({"alg": algorithm.swapcase()}))


def test_every_other_algorithm_is_refused(refused, signer, strangers, algorithm):
    for other in strangers:
        if other != algorithm:
            refused(strangers[other].token())
            refused(strangers[other].token({"alg": algorithm}))
            refused(signer.token({"alg": other}))


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
@pytest.mark.parametrize("form", ["pem", "pem without newline", "der", "jwk"])
def test_public_key_as_shared_secret(refused, signer, new_signer, algorithm, form):
    to_jwk = type(jwt.get_algorithm_by_name(algorithm)).to_jwk
    secret = {
        "pem": signer.public_pem.encode(),
        "pem without newline": signer.public_pem.strip().encode(),
        "der": signer.public_der,
        "jwk": to_jwk(signer.private.public_key()).encode(),
    }[form]
    forger = new_signer("HS256")
    forger.private = secret
    refused(forger.token())
    refused(forger.token({"alg": algorithm}))


def test_signature_removed_truncated_changed_or_anothers(refused, signer, stranger):
    head, body, signature = signer.token().split(".")
    refused(f"{head}.{body}")
    refused(f"{head}.{body}.")
    refused(f"{head}.{body}.{signature[:-4]}")
    refused(f"{head}.{body}.{signature[:-4]}{'A' * 4}")
    refused(f"{head}.{body}.{'A' * len(signature)}")
    refused(stranger.token())
    other = signer.token(identity=2).split(".")
    refused(f"{head}.{other[1]}.{signature}")


def test_keys_and_addresses_in_the_token_are_not_used(refused, stranger, algorithm):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/keys"
        headers = [{"jku": url}, {"x5u": url}, {"jku": url, "kid": url}]
        if algorithm != "HS256":
            to_jwk = type(jwt.get_algorithm_by_name(algorithm)).to_jwk
            headers.append({"jwk": to_jwk(stranger.private.public_key(), as_dict=True)})
            headers.append({"x5c": [base64.b64encode(stranger.public_der).decode()]})
        for header in headers:
            refused(stranger.token(header))
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize(
    "kid",
    [
        "../../dev/null",
        "/dev/null",
        "' OR 1=1 --",
        "http://127.0.0.1/key",
        "| sleep 5",
        "",
        "unknown",
        "\x00",
        "\ud800",
        "k" * 5000,
        0,
        1,
        True,
        None,
        ["a"],
        {"a": 1},
    ],
)
def test_hostile_key_ids(refused, signer, stranger, kid):
    refused(signer.token({"kid": kid}))
    refused(stranger.token({"kid": kid}))


def test_a_missing_key_id_is_allowed_with_a_single_key_only(
    keyed, call, signer, stranger, algorithm, tmp_path
):
    client = keyed(signer).test_client()
    assert call.protected(client, signer.token()).status_code == 200
    if algorithm != "HS256":
        (tmp_path / "keys" / "b.pem").write_text(stranger.public_pem)
        client = keyed(signer).test_client()
        assert_refused(call.protected(client, signer.token()))
        kid = jwt.get_unverified_header(call.login(client).json["access_token"])["kid"]
        assert call.protected(client, signer.token({"kid": kid})).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"]},
        {"crit": []},
        {"crit": "exp"},
        {"crit": ["b64"], "b64": True},
        {"b64": False},
        {"b64": False, "crit": ["b64"]},
        {"zip": "DEF"},
        {"cty": "JWT"},
        {"typ": "at+jwt"},
        {"typ": "refresh"},
        {"typ": "JWE"},
        {"typ": None},
        {"typ": ["JWT"]},
    ],
)
def test_headers_that_change_the_meaning(refused, signer, header):
    refused(signer.token(header))


def test_a_token_without_a_type_is_accepted(client, call, signer):
    assert call.protected(client, signer.token({"typ": ...})).status_code == 200


@pytest.mark.parametrize("claim", ["exp", "iat", "nbf"])
@pytest.mark.parametrize(
    "value",
    [
        "null",
        '"1999999999"',
        '"tomorrow"',
        "[1999999999]",
        "{}",
        "true",
        "Infinity",
        "-Infinity",
        "NaN",
        "1e400",
        "9" * 5000,
        "-1",
        "253402300800",
    ],
)
def test_times_that_are_none(refused, signer, claim, value):
    header = json.dumps({"alg": signer.algorithm, "typ": "JWT"}).encode()
    refused(signer.raw(header, payload_with(**{claim: value})))


@pytest.mark.parametrize("claim", CLAIMS[:3] + CLAIMS[4:])
def test_claims_that_are_missing(refused, signer, claim):
    refused(signer.token(**{claim: ...}))


def test_times_out_of_bounds(refused, signer):
    now = int(time.time())
    refused(signer.token(exp=now - 11, iat=now - 300))
    refused(signer.token(exp=now + 100 * 365 * 86400))
    refused(signer.token(exp=now + 3600 + 5))
    refused(signer.token(exp=now + 5, iat=now - 3600))
    refused(signer.token(nbf=now + 15))
    refused(signer.token(iat=now + 15))


def test_leeway_and_fractions_are_accepted(client, call, signer):
    now = time.time()
    for claims in ({"exp": int(now) - 5}, {"nbf": int(now) + 5}, {"iat": now, "nbf": now}):
        assert call.protected(client, signer.token(**claims)).status_code == 200


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "https://audience.example.org"},
        {"aud": "https://audience"},
        {"aud": ["https://audience.example"]},
        {"aud": {"https://audience.example": 1}},
        {"aud": ""},
        {"aud": None},
        {"iss": "https://issuer.example/"},
        {"iss": ["https://issuer.example"]},
        {"iss": None},
        {"iss": 1},
        {"sub": 1},
        {"sub": None},
        {"jti": 1},
        {"jti": ["a"]},
    ],
)
def test_claims_of_others_or_of_the_wrong_type(refused, signer, claims):
    refused(signer.token(**claims))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b'"text"',
        b"null",
        b"1",
        b"{",
        b"\xff\xfe{}",
        payload_with() + b" x",
        b"\xef\xbb\xbf" + payload_with(),
        payload_with().decode().encode("utf-16"),
        payload_with(identity='"\xff"').replace(b"\xc3\xbf", b"\xff"),
        payload_with()[:-1] + b',"exp":1999999999}',
        payload_with()[:-1] + b',"deep":{"a":1,"a":2}}',
        b"[" * 5000,
        b'{"a":' * 1000,
    ],
)
def test_payloads_that_are_no_strict_json_object(refused, signer, payload):
    header = json.dumps({"alg": signer.algorithm, "typ": "JWT"}).encode()
    refused(signer.raw(header, payload))


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b'"RS256"',
        b"\xff",
        b"[" * 5000,
        b'{"alg":' * 700,
        b'{"alg":"ALG","alg":"ALG"}',
        b'{"alg":"none","alg":"ALG"}',
        b'\xef\xbb\xbf{"alg":"ALG"}',
        b'{"alg":"ALG","x":NaN}',
    ],
)
def test_headers_that_are_no_strict_json_object(refused, signer, header):
    refused(signer.raw(header.replace(b"ALG", signer.algorithm.encode()), payload_with()))


@pytest.mark.parametrize(
    "token",
    [
        "a" * 1_000_000,
        "." * 1_000_000,
        base64url_encode(b"[" * 1_000_000).decode() + ".e30.AAAA",
        "e30." + base64url_encode(b'{"a":' * 200_000).decode() + ".AAAA",
        "a.b.c.d.e",
        "e30.e30.e30",
        "..",
        ".",
        '{"payload":"e30","signatures":[]}',
        "'\"<>;",
    ],
)
def test_tokens_of_any_form_are_refused_fast(refused, token):
    begin = time.process_time()
    refused(token)
    assert time.process_time() - begin < 0.5


def test_size_is_capped_for_signed_tokens_too(refused, signer, client, call):
    refused(signer.token(text="x" * 8192))
    assert call.protected(client, signer.token(text="x" * 4096)).status_code == 200


def test_encrypted_compressed_and_json_tokens(refused, signer):
    head, body, signature = signer.token().split(".")
    refused(f"{head}.{body}.{body}.{body}.{signature}")
    bomb = zlib.compress(b" " * 5_000_000)[2:-4]
    refused(signer.raw(json.dumps({"alg": signer.algorithm, "zip": "DEF"}).encode(), bomb))
    refused(
        json.dumps(
            {"protected": head, "payload": body, "signature": signature}, separators=(",", ":")
        )
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token + "=",
        lambda token: token + "==",
        lambda token: token.replace(".", "=.", 1),
        lambda token: token.replace(".", "%2e"),
        lambda token: "." + token,
        lambda token: token + ".",
        lambda token: token + "\t",
        lambda token: token[:20] + "\n" + token[20:],
        lambda token: token[:-1] + "+",
        lambda token: token[:-1] + "/",
        lambda token: token + "\u00e9",
        lambda token: f'"{token}"',
        lambda token: f"{token},{token}",
    ],
)
def test_other_spellings_of_a_good_token(keyed, signer, change):
    import flask_jwt_keys.tokens as tokens

    app = keyed(signer)
    current = app.extensions["flask_jwt_keys"].current()
    token = signer.token()
    assert tokens.verify(token, *current)["identity"] == 1
    with pytest.raises(jwt.InvalidTokenError):
        tokens.verify(change(token), *current)


def test_no_character_can_be_changed(keyed, signer):
    from flask_jwt_keys.tokens import verify

    app = keyed(signer)
    current, token = app.extensions["flask_jwt_keys"].current(), signer.token()
    for position, character in enumerate(token):
        for other in {"A", "B", "_", "9", "."} - {character}:
            with pytest.raises(jwt.InvalidTokenError):
                verify(token[:position] + other + token[position + 1 :], *current)


def test_a_header_is_decoded_once(keyed, signer, monkeypatch):
    import flask_jwt_keys.tokens as tokens

    decode, decoded = jwt.PyJWS._decode_base64url_segment, []
    monkeypatch.setattr(
        jwt.PyJWS,
        "_decode_base64url_segment",
        staticmethod(lambda segment, name: decoded.append(name) or decode(segment, name)),
    )
    app = keyed(signer)
    current, token = app.extensions["flask_jwt_keys"].current(), signer.token()
    for _ in range(3):
        assert tokens.verify(token, *current)["identity"] == 1
    assert decoded == ["payload", "crypto"] * 3


@pytest.mark.parametrize("header", ["JWT {0},JWT {0}", "JWT {0}, JWT {0}", "JWT a,{0}", "{0}"])
def test_two_tokens_in_one_header(client, signer, header):
    headers = {"Authorization": header.format(signer.token())}
    assert client.get("/protected", headers=headers).status_code == 401


def test_a_token_elsewhere_is_no_token(client, signer):
    token = signer.token()
    client.set_cookie("access_token", token)
    for url in (f"/protected?access_token={token}", f"/protected?jwt={token}"):
        assert client.get(url).status_code == 401


def test_tokens_do_not_reach_the_log(client, call, signer, caplog):
    caplog.set_level("DEBUG")
    token = signer.token(exp=1, iat=0)
    call.protected(client, token)
    client.get(f"/protected?access_token={token}")
    assert token not in caplog.text
    assert token.split(".")[2] not in caplog.text


def test_all_threads_verify_alike(keyed, signer):
    from flask_jwt_keys.tokens import verify

    app = keyed(signer)
    good, wrong = signer.token(), []

    def work():
        for _ in range(50):
            if verify(good, *app.extensions["flask_jwt_keys"].current())["identity"] != 1:
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_what_would_be_refused_is_not_signed(keyed, signer):
    from flask_jwt_keys.tokens import mint

    app = keyed(signer)
    now = int(time.time())
    good = {"exp": now + 60, "iat": now, "nbf": now}
    for claims in ({"sub": 1}, {"exp": now + 7200}, {"exp": "soon"}, {"jti": 1}):
        with pytest.raises(RuntimeError, match="would not be accepted"):
            mint({**good, **claims}, None, *app.extensions["flask_jwt_keys"].current())


def test_the_lifetime_cap_gives_way_to_the_apps_own_lifetime(keyed, call, signer):
    client = keyed(signer, JWT_EXPIRATION_DELTA=86400).test_client()
    token = call.login(client).json["access_token"]
    assert call.protected(client, token).status_code == 200
    now = int(time.time())
    assert_refused(call.protected(client, signer.token(exp=now + 86405, iat=now)))


def test_the_lifetime_cap_can_be_switched_off(keyed, call, signer):
    client = keyed(signer, JWT_MAX_LIFETIME=None).test_client()
    assert call.protected(client, signer.token(exp=int(time.time()) + 10**8)).status_code == 200


def test_settings_that_change_later_count(keyed, signer):
    from flask_jwt_keys.tokens import verify

    app = keyed(signer)
    bound, token = app.extensions["flask_jwt_keys"], signer.token()
    assert verify(token, *bound.current())
    app.config["JWT_REQUIRED_CLAIMS"] = ["exp"]
    assert verify(token, *bound.current())
    app.config["JWT_REQUIRED_CLAIMS"].append("shoe_size")
    with pytest.raises(jwt.MissingRequiredClaimError, match="shoe_size"):
        verify(token, *bound.current())
    app.config["JWT_MAX_TOKEN_SIZE"] = 10
    with pytest.raises(jwt.DecodeError, match="too long"):
        verify(token, *bound.current())


def test_settings_that_are_no_keys_do_not_read_the_keys_again(keyed, signer):
    app = keyed(signer)
    source = app.extensions["flask_jwt_keys"].source
    app.config["JWT_LEEWAY"] = 0
    assert app.extensions["flask_jwt_keys"].source is source


def test_several_issuers_and_audiences(keyed, call, signer):
    names = {
        "JWT_ISSUER": ["https://issuer.example", "other"],
        "JWT_AUDIENCE": ("https://audience.example", "other"),
    }
    client = keyed(signer, **names).test_client()
    claims = jwt.decode(
        call.login(client).json["access_token"], options={"verify_signature": False}
    )
    assert (claims["iss"], claims["aud"]) == ("https://issuer.example", "https://audience.example")
    for changes in ({}, {"iss": "other"}, {"aud": "other"}, {"aud": ["third", "other"]}):
        assert call.protected(client, signer.token(**changes)).status_code == 200
    for changes in (
        {"iss": "third"},
        {"iss": ["other"]},
        {"iss": 1},
        {"iss": ...},
        {"aud": "third"},
        {"aud": ["third"]},
        {"aud": []},
        {"aud": ["other", 1]},
        {"aud": {"other": 1}},
        {"aud": ...},
    ):
        assert call.protected(client, signer.token(**changes)).status_code == 401


def test_a_payload_may_name_its_audience_of_several(keyed, signer):
    from flask_jwt_keys.tokens import mint, verify

    app = keyed(
        signer,
        JWT_ISSUER=["https://issuer.example", "other"],
        JWT_AUDIENCE=["https://audience.example", "other"],
    )
    now = int(time.time())
    claims = {"exp": now + 60, "iat": now, "nbf": now, "iss": "other", "aud": ["other", "third"]}
    current = app.extensions["flask_jwt_keys"].current()
    assert verify(mint(claims, None, *current), *current) == claims
    for wrong in ({"iss": "third"}, {"aud": ["third"]}, {"aud": 1}):
        with pytest.raises(RuntimeError, match="would not be accepted"):
            mint({**claims, **wrong}, None, *current)


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"level": float("nan")}, "Out of range float"),
        ({"levels": [{"now": float("inf")}]}, "Out of range float"),
        ({"iss": 5}, "iss must be a string"),
        ({"text": "x" * 9000}, "set JWT_MAX_TOKEN_SIZE higher"),
    ],
)
def test_no_token_is_made_that_would_be_refused(keyed, signer, claims, reason):
    app = keyed(signer, JWT_ISSUER=None)
    with app.app_context(), pytest.raises(RuntimeError, match=reason):
        create_access_token({"id": 1}, claims)


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
def test_a_time_of_none_is_no_time(keyed, signer, name):
    app = keyed(signer, JWT_REQUIRED_CLAIMS=[], JWT_MAX_LIFETIME=None)
    with app.app_context():
        assert name not in decode_token(create_access_token({"id": 1}, {name: None}))
    app.config["JWT_REQUIRED_CLAIMS"] = [name]
    with app.app_context(), pytest.raises(RuntimeError, match=f"required claims: {name}"):
        create_access_token({"id": 1}, {name: None})


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
def test_a_time_of_null_is_refused_whatever_pyjwt_says_of_it(name):
    from flask_jwt_keys.strict import check_times

    with pytest.raises(jwt.DecodeError, match="must be an integer"):
        check_times({name: None})


def test_a_token_is_made_as_pyjwt_makes_it(keyed, signer):
    """Letter by letter; signatures of ES256 are never the same twice."""
    app = keyed(signer, JWT_ISSUER=None, JWT_AUDIENCE=None)
    odd = {"text": 'ü\ud800"\\/', "deep": [{"a": None, "b": [1.5, True]}], "1": 10**30}
    with app.app_context():
        token = create_access_token({"id": 1}, odd)
        other = create_access_token({"id": 1}, None, None, {"kind": ["x", {"y": 1}]})
        key = app.extensions["flask_jwt_keys"].keys.signer
    decoded = jwt.decode_complete(token, key.public, [signer.algorithm])
    assert decoded["payload"].items() >= odd.items()
    made = jwt.encode(decoded["payload"], key.private, signer.algorithm, decoded["header"])
    end = -1 if signer.algorithm == "ES256" else None
    assert token.split(".")[:end] == made.split(".")[:end]
    header = jwt.decode_complete(other, key.public, [signer.algorithm])["header"]
    assert header == {**decoded["header"], "kind": ["x", {"y": 1}]}
