"""Signatures per second, side by side: ``python app/bench/tokens.py [--seconds 0.06]``.

Rounds of all candidates alternate, and each one's best round counts, so that a busy machine
disturbs all alike. Raw OpenSSL is the ``openssl speed`` of the machine.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from flask import Flask, current_app

sys.path.insert(0, str(Path(__file__).parents[1]))

from flask_jwt_keys import JWT

ROUNDS = 30
KEYS = {
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}
PARAMETERS = {
    "RS256": (padding.PKCS1v15(), hashes.SHA256()),
    "ES256": (ec.ECDSA(hashes.SHA256()),),
    "EdDSA": (),
}
OPENSSL = {"RS256": ("rsa2048", "+F2"), "ES256": ("ecdsap256", "+F4"), "EdDSA": ("ed25519", "+F6")}
Call = Callable[[], object]


def main() -> None:
    """Print one table for each algorithm."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.06, help="for each of thirty rounds")
    seconds = parser.parse_args().seconds
    for algorithm in KEYS:
        rates = measure(algorithm, seconds)
        raw = openssl(algorithm)
        print(f"\n{algorithm:<34}{'sign/s':>10}{'of raw':>9}{'verify/s':>10}{'of PyJWT':>10}")
        _row("raw OpenSSL (openssl speed)", *raw, raw[0], rates["PyJWT, key object"][1])
        for name, (sign, verify) in rates.items():
            _row(name, sign, verify, raw[0], rates["PyJWT, key object"][1])
        ours, slow = rates["flask_jwt_keys"], rates["Flask-JWT's way, PEM per call"]
        print(f"signing: {ours[0] / slow[0]:.0f} times Flask-JWT's way", end=" ")
        print(f"(raw OpenSSL: {raw[0] / slow[0]:.0f});", end=" ")
        print(f"verifying: {rates['PyJWT, key object'][1] / ours[1]:.2f} times PyJWT's time")


def measure(algorithm: str, seconds: float) -> dict[str, tuple[float, float]]:
    """Signatures and verifications per second of each candidate."""
    with tempfile.TemporaryDirectory() as directory:
        calls = candidates(algorithm, Path(directory))
        best = dict.fromkeys(calls, (0.0, 0.0))
        for _ in range(ROUNDS):
            for name, pair in calls.items():
                rates = (rate(call, seconds) for call in pair)
                best[name] = tuple(map(max, best[name], rates))
    return best


def candidates(algorithm: str, directory: Path) -> dict[str, tuple[Call, Call]]:
    """A call that signs and one that verifies, for each candidate."""
    private = KEYS[algorithm]()
    public = private.public_key()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public_pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (directory / "a.pem").write_bytes(pem)
    extension = _extension(directory)
    now = int(time.time())
    claims = {"exp": now + 300, "iat": now, "nbf": now, "identity": 1}
    token = extension.jwt_encode_callback({"id": 1})
    header = {"kid": current_app.extensions["flask_jwt_keys"].keys.signer.kid}
    data, signature = (
        token.rpartition(".")[0].encode(),
        jwt.api_jws.base64url_decode(token.split(".")[2]),
    )
    parameters = PARAMETERS[algorithm]
    if algorithm == "ES256":
        signature = private.sign(data, *parameters)
    return {
        "cryptography": (
            lambda: private.sign(data, *parameters),
            lambda: public.verify(signature, data, *parameters),
        ),
        "PyJWT, key object": (
            lambda: jwt.encode(claims, private, algorithm, header),
            lambda: jwt.decode(token, public, [algorithm]),
        ),
        "flask_jwt_keys": (
            lambda: extension.jwt_encode_callback({"id": 1}),
            lambda: extension.jwt_decode_callback(token),
        ),
        "Flask-JWT's way, PEM per call": (
            lambda: jwt.encode(claims, pem, algorithm),
            lambda: jwt.decode(token, public_pem, [algorithm]),
        ),
    }


def _extension(directory: Path) -> JWT:
    app = Flask("bench")
    app.config.update(JWT_KEY_DIR=directory)
    extension = JWT(app, lambda name, password: None, lambda claims: claims)
    app.app_context().push()
    return extension


def rate(call: Call, seconds: float) -> float:
    """Calls per second of CPU time, so that other processes count less."""
    begin = time.process_time()
    call()
    count = max(1, int(seconds / (time.process_time() - begin + 1e-6)))
    begin = time.process_time()
    for _ in range(count):
        call()
    return count / (time.process_time() - begin)


def openssl(algorithm: str) -> tuple[float, float]:
    """Signatures and verifications per second of the openssl command."""
    name, mark = OPENSSL[algorithm]
    command = ["openssl", "speed", "-mr", "-seconds", "1", name]
    runs = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in "123"]
    lines = [line for run in runs for line in run.stdout.splitlines() if line.startswith(mark)]
    rates = [[float(part) for part in line.split(":")[-2:]] for line in lines]
    return max(sign for sign, _ in rates), max(verify for _, verify in rates)


def _row(name: str, sign: float, verify: float, raw: float, pyjwt: float) -> None:
    print(f"{name:<34}{sign:>10,.0f}{sign / raw:>9.0%}{verify:>10,.0f}{verify / pyjwt:>9.2f}x")


if __name__ == "__main__":
    main()
