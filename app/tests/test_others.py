"""Others verify our tokens with our public keys: PyJWKClient, joserfc, the openssl command."""

from __future__ import annotations

import base64
import subprocess
import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from joserfc import jwt as joserfc_jwt
from joserfc.errors import BadSignatureError
from joserfc.jwk import KeySet, import_key

AUDIENCE, ISSUER = "https://audience.example", "https://issuer.example"

pytestmark = [
    pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"]),
    pytest.mark.filterwarnings("ignore:EdDSA is deprecated via RFC 9864"),
]


class Silent(WSGIRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def server(keyed, signer):
    """The app on a port; gives its address."""
    with make_server("127.0.0.1", 0, keyed(signer), handler_class=Silent) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def token(client, call):
    return call.login(client).json["access_token"]


def spoilt(token):
    head, body, signature = token.split(".")
    return f"{head}.{body}.{'A' * 20}{signature[20:]}"


def test_pyjwkclient(server, token, algorithm):
    keys = jwt.PyJWKClient(f"{server}/.well-known/jwks.json")
    key = keys.get_signing_key_from_jwt(token)
    options = {"require": ["exp", "iat", "nbf"], "strict_aud": True}
    rules = {"audience": AUDIENCE, "issuer": ISSUER, "options": options}
    assert jwt.decode(token, key, [algorithm], **rules)["identity"] == 1
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(spoilt(token), key, [algorithm], **rules)


def test_joserfc(client, token, algorithm):
    keys = KeySet.import_key_set(client.get("/.well-known/jwks.json").json)
    name = "Ed25519" if algorithm == "EdDSA" else algorithm
    decoded = joserfc_jwt.decode(token, keys, algorithms=[algorithm, name])
    assert decoded.claims["identity"] == 1
    joserfc_jwt.JWTClaimsRegistry(
        exp={"essential": True},
        iss={"essential": True, "value": ISSUER},
        aud={"essential": True, "value": AUDIENCE},
    ).validate(decoded.claims)
    with pytest.raises(BadSignatureError):
        joserfc_jwt.decode(spoilt(token), keys, algorithms=[algorithm, name])


def test_openssl_command(token, signer, algorithm, tmp_path):
    def verify(text):
        signed, signature = text.rsplit(".", 1)
        (tmp_path / "signed").write_text(signed)
        (tmp_path / "signature").write_bytes(_signature_for_openssl(signature, algorithm))
        (tmp_path / "public.pem").write_text(signer.public_pem)
        digest = ["-rawin"] if algorithm == "EdDSA" else ["-rawin", "-digest", "sha256"]
        command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "public.pem", *digest]
        command += ["-in", "signed", "-sigfile", "signature"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode

    assert verify(token) == 0
    assert verify(spoilt(token)) != 0


def _signature_for_openssl(signature, algorithm):
    """JWS writes an ECDSA signature as two numbers side by side, openssl as DER."""
    raw = base64.urlsafe_b64decode(signature + "==")
    return jwt.utils.raw_to_der_signature(raw, SECP256R1()) if algorithm == "ES256" else raw


def test_tokens_of_another_issuer_of_the_same_key_are_accepted(client, call, signer, algorithm):
    claims = jwt.decode(signer.token(), options={"verify_signature": False})
    token = jwt.encode(claims, signer.pem, algorithm)
    assert call.protected(client, token).status_code == 200
    key = {"RS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}[algorithm]
    header = {"alg": algorithm, "typ": "JWT"}
    other = joserfc_jwt.encode(header, claims, import_key(signer.pem, key), algorithms=[algorithm])
    assert call.protected(client, other).status_code == 200
