"""Signatures per second, side by side: ``python app/bench/tokens.py [--seconds 0.06]``.

The table shows the best of thirty rounds, which is what the machine does undisturbed; the lines
below it compare within each round, and show the medians. Raw OpenSSL is ``openssl speed``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

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
OPENSSL_EVERY = 2  # rounds: it takes a second for each rate
SIGN, VERIFY = 0, 1
NAMES = RAW, CRYPTOGRAPHY, PYJWT, OURS, PEM = (
    "raw OpenSSL (openssl speed)",
    "cryptography",
    "PyJWT, key object",
    "flask_jwt_keys",
    "Flask-JWT's way, PEM per call",
)
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
Round = dict[str, tuple[float, float]]


def main() -> None:
    """Print one table for each algorithm."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.06, help="for each of thirty rounds")
    seconds = parser.parse_args().seconds
    for algorithm in KEYS:
        rounds = measure(algorithm, seconds)
        print(f"\n{algorithm:<34}{'sign/s':>10}{'of raw':>9}{'verify/s':>10}{'of PyJWT':>10}")
        best = {n: tuple(max(r[n][kind] for r in rounds) for kind in (SIGN, VERIFY)) for n in NAMES}
        for name, (sign, verify) in best.items():
            of_raw, of_pyjwt = sign / best[RAW][SIGN], verify / best[PYJWT][VERIFY]
            print(f"{name:<34}{sign:>10,.0f}{of_raw:>9.0%}{verify:>10,.0f}{of_pyjwt:>9.2f}x")
        print(f"signing: {ratio(rounds, SIGN, OURS, PEM):.0f} times Flask-JWT's way", end=" ")
        print(f"(raw OpenSSL: {ratio(rounds, SIGN, RAW, PEM):.0f});", end=" ")
        print(f"verifying: {ratio(rounds, VERIFY, PYJWT, OURS):.2f} times PyJWT's time")


def measure(algorithm: str, seconds: float) -> list[Round]:
    """Signatures and verifications per second of each candidate, in each round."""
    rounds = []
    with tempfile.TemporaryDirectory() as directory:
        calls = candidates(algorithm, Path(directory))
        for number in range(ROUNDS):
            if number % OPENSSL_EVERY == 0:
                raw = openssl(algorithm)
            rates = {
                name: tuple(rate(call, seconds) for call in pair) for name, pair in calls.items()
            }
            rounds.append({RAW: raw, **rates})
    return rounds


def ratio(rounds: list[Round], kind: int, one: str, other: str) -> float:
    """How many times one candidate's rate is another's: the median of the rounds' ratios."""
    return median(r[one][kind] / r[other][kind] for r in rounds)


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
        CRYPTOGRAPHY: (
            lambda: private.sign(data, *parameters),
            lambda: public.verify(signature, data, *parameters),
        ),
        PYJWT: (
            lambda: jwt.encode(claims, private, algorithm, header),
            lambda: jwt.decode(token, public, [algorithm]),
        ),
        OURS: (
            lambda: extension.jwt_encode_callback({"id": 1}),
            lambda: extension.jwt_decode_callback(token),
        ),
        PEM: (
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
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    line = next(line for line in lines if line.startswith(mark))
    sign, verify = (float(part) for part in line.split(":")[-2:])
    return sign, verify


if __name__ == "__main__":
    main()
