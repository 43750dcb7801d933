"""The sides of make bench on the demo's host: each with the same app, static files and certificate."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import tarfile
import tempfile
from contextlib import contextmanager
from pathlib import Path

import yaml

from bench import cases, demo

HERE = Path(__file__).parent
PLACE = "/srv/bench"
SIZES = {"10k.txt": 10_240, "1m.txt": 1_048_576}
KEY = f"cd {PLACE}/flask-deploy && mkdir -p keys && [ -e keys/first.pem ] || openssl genrsa -out keys/first.pem 2048"
ANSWER = "curl -sk --max-time 2 --retry 60 --retry-delay 1 --retry-all-errors --retry-connrefused -o /dev/null -f"


@contextmanager
def sides(names):
    """Put these sides on the demo's host; give what runs a command there. At the end all but this project stop."""
    demo.stand()
    with tempfile.TemporaryDirectory() as place:
        source = app(Path(place) / "app")
        demo.play("site.yml", **yaml.safe_load((HERE / "measured.yml").read_text()), build_source=str(source))
        demo.shell(f"mkdir -p {PLACE} && tar -xz --no-same-owner -C {PLACE}", packed(source))
    demo.shell(KEY)
    tls = "/etc/measured/tls/current"
    demo.shell(f"{PLACE}/peers/sides tools {tls}/fullchain.pem {tls}/privkey.pem")
    try:
        demo.shell(f"{PLACE}/peers/sides start {' '.join(names)}")
        for name in names:
            demo.shell(f"{ANSWER} {address(name)}/")
        yield demo.shell
    finally:
        demo.shell(f"{PLACE}/peers/sides stop")


def address(name):
    """Return how curl is told to reach a side."""
    side = cases.SIDES[name]
    if side.socket:
        return f"--unix-socket {side.socket} http://{cases.DOMAIN}"
    return f"https://{cases.DOMAIN}:{side.port}"


def app(place):
    """Make the source of the measured app; return its directory."""
    shutil.copytree(HERE / "measured", place, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("flask_jwt_keys", "static"):
        shutil.copytree(demo.ROOT / "app" / part, place / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name, size in SIZES.items():
        (place / "static" / name).write_text(text(size))
    return place


def text(size):
    """Return so many characters, the same each time, that compress about as well as prose."""
    chance = random.Random(size)  # noqa: S311 - no secret
    words = ["".join(chance.choices("etaoinshrdlu", k=chance.randint(2, 9))) for _ in range(2000)]
    return "\n".join(" ".join(chance.choices(words, k=12)) for _ in range(size // 40))[:size]


def packed(source):
    """Return a tar of what lies below /srv/bench: the recipe's source as its text has it, and how sides are started."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as tar:
        for part in source.iterdir():
            if part.name != "requirements.txt":
                tar.add(part, f"flask-deploy/{part.name}")
        for name in ("Dockerfile", "Pipfile"):
            tar.add(HERE / "recipe" / name, f"flask-deploy/{name}")
        tar.add(HERE / "recipe/site.conf", "recipe/site.conf")
        tar.add(HERE / "peers", "peers")
        tar.add(HERE / "on_host.py", "on_host.py")
        if certificates := os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE"):  # as inventories/local has it
            tar.add(certificates, "ca.pem")
    return whole.getvalue()


def token(run, side, case):
    """Return a new token of the user whom a case sends, or ""."""
    user = cases.CASES[case].login
    if not user:
        return ""
    login = json.dumps({"username": user, "password": user})
    said = run(f"curl -sk --fail --json '{login}' {address(side)}/auth")
    return json.loads(said)["access_token"]
