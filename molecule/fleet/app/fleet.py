"""An app whose health on each host is decided by files in its data directory."""

from __future__ import annotations

import os

from flask import Flask

if os.path.exists("/data/refuse"):
    raise RuntimeError("this host refuses to start it")

app = Flask(__name__)


@app.get("/")
def index():
    return "hello", {"X-Release": os.environ["APP_RELEASE"]}


@app.get("/healthz")
def healthz():
    """Fail where the data directory names this very release's number."""
    try:
        with open("/data/broken", encoding="utf-8") as file:
            broken = file.read().strip() == os.environ.get("NUMBER")
    except FileNotFoundError:
        broken = False
    return ("broken", 500) if broken else "well"
