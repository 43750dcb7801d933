"""Signatures per second, side by side: ``python app/bench/tokens.py [--rounds 5] [--seconds 0.5]``.

Candidates take turns in each round (A B A B), so that what else the machine does meets all alike.
Rates and ratios are medians: of the rounds, and of the ratios within each round. Time is that of
the processor in user mode, which is what openssl speed counts: interrupts of a busy machine count
for nobody. Raw OpenSSL is ``openssl speed`` of the system's OpenSSL, which signs a digest with a
parsed key and does nothing else; cryptography brings an OpenSSL of its own. Both versions show.
A busy machine slows Python more than it slows arithmetic: judge the limits on a quiet one.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import cryptography
import jwt
from cryptography.hazmat.backends.openssl import backend
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
LEAST_OF_RAW = {"RS256": 0.85}
MOST_OF_PYJWT = {"RS256": 1.1, "ES256": 1.15, "EdDSA": 1.15}
Call = Callable[[], object]
Round = dict[str, tuple[float, float]]


def main() -> None:
    """Print the conditions, a table for each algorithm, and whether the limits are met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each candidate in a round")
    options = parser.parse_args()
    print(f"{options.rounds} rounds of {options.seconds:g} s; {conditions()}")
    verdicts = []
    for algorithm in KEYS:
        rounds = measure(algorithm, options.rounds, options.seconds)
        show(algorithm, rounds)
        verdicts += judged(algorithm, rounds)
    print("", *verdicts, f"{load()} at the end", sep="\n")


def conditions() -> str:
    """What the figures depend on."""
    command = ["openssl", "version"]
    system = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[1]
    return (
        f"Python {platform.python_version()} on {os.cpu_count()} processors, {load()}\n"
        f"raw: openssl speed of OpenSSL {system}; cryptography {cryptography.__version__} with "
        f"{' '.join(backend.openssl_version_text().split()[:2])}; PyJWT {jwt.__version__}"
    )


def load() -> str:
    """What else the machine does."""
    return f"load {os.getloadavg()[0]:.1f}"


def measure(algorithm: str, count: int, seconds: float) -> list[Round]:
    """Signatures and verifications per second of each candidate, in each round."""
    rounds = []
    with tempfile.TemporaryDirectory() as directory:
        calls = candidates(algorithm, Path(directory))
        for _ in range(count):
            signs, verifies = (
                {name: rate(pair[kind], seconds) for name, pair in calls.items()}
                for kind in (SIGN, VERIFY)
            )
            rates = {name: (signs[name], verifies[name]) for name in calls}
            rounds.append({RAW: openssl(algorithm), **rates})
    return rounds


def show(algorithm: str, rounds: list[Round]) -> None:
    """Print a table: the medians, and the ratios within each round."""
    print(f"\n{algorithm:<34}{'sign/s':>10}{'of raw':>9}{'verify/s':>10}{'PyJWT time':>12}")
    for name in NAMES:
        sign, verify = (median(each[name][kind] for each in rounds) for kind in (SIGN, VERIFY))
        of_raw, of_pyjwt = ratio(rounds, SIGN, name, RAW), ratio(rounds, VERIFY, PYJWT, name)
        print(f"{name:<34}{sign:>10,.0f}{of_raw:>9.1%}{verify:>10,.0f}{of_pyjwt:>11.2f}x")
    print(f"signing: {ratio(rounds, SIGN, OURS, PEM):.0f} times Flask-JWT's way", end=" ")
    print(f"(raw OpenSSL: {ratio(rounds, SIGN, RAW, PEM):.0f})")


def judged(algorithm: str, rounds: list[Round]) -> list[str]:
    """A line for each limit of this algorithm: what it is, what was seen, and a verdict."""
    lines = []
    if algorithm in LEAST_OF_RAW:
        seen, least = ratio(rounds, SIGN, OURS, RAW), LEAST_OF_RAW[algorithm]
        verdict = "met" if seen >= least else "MISSED"
        lines.append(f"{algorithm} sign: {seen:.3f} of raw, at least {least}: {verdict}")
    seen, most = ratio(rounds, VERIFY, PYJWT, OURS), MOST_OF_PYJWT[algorithm]
    verdict = "met" if seen <= most else "MISSED"
    lines.append(f"{algorithm} verify: {seen:.3f} times PyJWT's time, at most {most}: {verdict}")
    return lines


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
    """Calls per second of user time, so that other processes count less."""
    begin = time.process_time()
    call()
    count = max(1, int(seconds / (time.process_time() - begin + 1e-6)))
    begin = user_time()
    for _ in range(count):
        call()
    return count / max(user_time() - begin, 1e-6)


def user_time() -> float:
    """Seconds that this process has had in user mode."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime


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
