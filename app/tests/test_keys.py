"""Which keys are taken, and which are refused at the start."""

from __future__ import annotations

import json
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from joserfc.jwk import import_key
from jwt.algorithms import get_default_algorithms

from flask_jwt_keys import ConfigError
from flask_jwt_keys.keys import KeySet, pem_key, secret_key
from flask_jwt_keys.roca import is_roca

ASYMMETRIC = ["RS256", "ES256", "EdDSA"]


def pem_of(private, encryption=None):
    form = (Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())
    return private.private_bytes(*form).decode()


def small_primes(count):
    found = []
    candidate = 2
    while len(found) < count:
        if all(candidate % prime for prime in found):
            found.append(candidate)
        candidate += 1
    return found


def roca_prime(bits, start):
    """A prime as the faulty generator made them: k * M + (65537 ** a mod M)."""
    product = 1
    for prime in small_primes(126):
        product *= prime
    k = (3 << (bits - 2)) // product + start
    while True:
        candidate = k * product + pow(65537, k, product)
        if candidate % 2 and pow(3, candidate - 1, candidate) == 1:
            return candidate
        k += 1


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_the_key_decides_the_algorithm(signer, algorithm):
    private, public = pem_key(signer.pem), pem_key(signer.public_pem.encode())
    assert (private.algorithm, public.algorithm) == (algorithm, algorithm)
    assert private.kid == public.kid
    assert private.private is not None and public.private is None


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_a_private_key_is_made_ready_once(signer, algorithm, monkeypatch):
    checks = get_default_algorithms()[algorithm]
    prepare, made = type(checks).prepare_key, []
    monkeypatch.setattr(
        type(checks), "prepare_key", lambda self, key: made.append(key) or prepare(self, key)
    )
    key = pem_key(signer.pem)
    for message in (b"one", b"two"):
        assert checks.verify(message, key.public, key.sign(message))
    assert made == [key.private] and key.weakness is None


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_the_key_id_is_the_rfc_7638_thumbprint(signer, algorithm):
    key = pem_key(signer.pem)
    kind = {"RS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}[algorithm]
    assert key.kid == import_key(signer.public_pem, kind).thumbprint()
    assert key.jwk["kid"] == key.kid
    assert key.jwk["use"] == "sig"
    assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & set(key.jwk)


def test_thumbprint_of_rfc_7638():
    n = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc"
        "_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQ"
        "R0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bF"
        "TWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    )
    pem = import_key({"kty": "RSA", "n": n, "e": "AQAB"}).as_pem(private=False)
    assert pem_key(pem).kid == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_keys_made_with_openssl_genrsa_are_taken(tmp_path):
    private, public = tmp_path / "rs256.pem", tmp_path / "rs256.pub.pem"
    subprocess.run(["openssl", "genrsa", "-out", private, "2048"], check=True, capture_output=True)
    subprocess.run(
        ["openssl", "rsa", "-in", private, "-pubout", "-outform", "PEM", "-out", public],
        check=True,
        capture_output=True,
    )
    traditional = subprocess.run(
        ["openssl", "rsa", "-in", private, "-traditional"], check=True, capture_output=True
    )
    keys = {pem_key(private.read_text()), pem_key(public.read_text()), pem_key(traditional.stdout)}
    assert len({key.kid for key in keys}) == 1


@pytest.mark.parametrize(
    ("pem", "reason"),
    [
        (lambda: pem_of(rsa.generate_private_key(65537, 1024)), "1024 bits"),
        (lambda: pem_of(ec.generate_private_key(ec.SECP384R1())), "not this kind"),
        (lambda: pem_of(ec.generate_private_key(ec.SECP256K1())), "not this kind"),
        (lambda: pem_of(ed448.Ed448PrivateKey.generate()), "not this kind"),
        (
            lambda: pem_of(
                ec.generate_private_key(ec.SECP256R1()), BestAvailableEncryption(b"phrase")
            ),
            "encrypted",
        ),
        (lambda: "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "not a PEM key"),
        (lambda: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "not a PEM key"),
        (lambda: "", "not a PEM key"),
        (lambda: "ssh-rsa AAAA", "not a PEM key"),
        (lambda: json.dumps({"kty": "oct", "k": "AAAA", "use": "enc"}), "not a PEM key"),
    ],
)
def test_keys_that_are_refused(pem, reason):
    with pytest.raises(ConfigError, match=reason):
        pem_key(pem())


def test_roca_keys_are_refused():
    p, q = roca_prime(1024, 1), roca_prime(1024, 5000)
    d = pow(65537, -1, (p - 1) * (q - 1))
    numbers = rsa.RSAPrivateNumbers(
        p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), rsa.RSAPublicNumbers(65537, p * q)
    )
    private = numbers.private_key()
    assert is_roca(p * q)
    with pytest.raises(ConfigError, match="ROCA"):
        pem_key(pem_of(private))


def test_other_keys_are_not_taken_for_roca(signers):
    assert not is_roca(signers["RS256"].private.public_key().public_numbers().n)
    assert not any(is_roca(n) for n in range(2**2047 + 1, 2**2047 + 20000, 2))


@pytest.mark.parametrize("kind", [str, str.encode])
def test_a_pem_is_no_shared_secret(signers, kind):
    with pytest.raises(ConfigError, match="shared secret"):
        secret_key(kind(signers["RS256"].pem))
    with pytest.raises(ConfigError, match="shared secret"):
        secret_key(kind(signers["RS256"].public_pem))


def test_a_set_finds_keys_by_id(signers):
    rsa_key, ec_key = pem_key(signers["RS256"].pem), pem_key(signers["ES256"].public_pem)
    keys = KeySet([rsa_key, ec_key], rsa_key)
    assert keys.find(rsa_key.kid) is rsa_key
    assert keys.find(ec_key.kid) is ec_key
    assert keys.find(None) is None
    assert KeySet([ec_key], None).find(None) is ec_key
    assert [jwk["kid"] for jwk in keys.jwks["keys"]] == [rsa_key.kid, ec_key.kid]


def test_a_shared_secret_is_never_published():
    assert KeySet([secret_key("s" * 32)], None).jwks == {"keys": []}
