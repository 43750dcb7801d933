"""An app that says which host answered which visitor, by whatever method."""

from __future__ import annotations

import os
import time
from pathlib import Path

from flask import Flask, Response, request

app = Flask(__name__)


@app.after_request
def add_names(response):
    response.headers["X-Release"] = os.environ["APP_RELEASE"]
    response.headers["X-Served-By"] = Path("/data/name").read_text().strip() if os.path.exists("/data/name") else ""
    return response


@app.route("/", methods=["GET", "POST"])
def index():
    return f"hello {request.remote_addr}"


@app.route("/echo", methods=["GET", "POST"])
def echo():
    """Answer with the number, or with the body that was sent."""
    return Response(request.get_data() or request.args["number"], mimetype="application/octet-stream")


@app.route("/slow", methods=["GET", "POST"])
def slow():
    time.sleep(3)
    return "done"


@app.get("/healthz")
def healthz():
    return "" if not os.path.exists("/data/unwell") else ("", 500)
