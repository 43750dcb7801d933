"""An app whose health on each host is decided by files in its data directory."""

from __future__ import annotations

import os

from flask import Flask

if os.path.exists("/data/refuse"):
    raise RuntimeError("this host refuses to start it")

app = Flask(__name__)


@app.after_request
def name_release(response):
    response.headers["X-Release"] = os.environ["APP_RELEASE"]
    return response


@app.get("/")
def index():
    return "hello"


@app.get("/healthz")
def healthz():
    return ("broken", 500) if os.path.exists("/data/broken") else "well"
